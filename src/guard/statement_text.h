/*
 * statement_text.h
 *		The words of the statement under analysis, as its author wrote them.
 */
#ifndef PGXC_STATEMENT_TEXT_H
#define PGXC_STATEMENT_TEXT_H

#include "guard/analysis.h"

extern char *pgxc_statement_text(PgxcAnalysis *a);
extern char *pgxc_subcommand_text(PgxcAnalysis *a, int n);
extern int pgxc_subcommand_at(PgxcAnalysis *a, int location);
extern char *pgxc_text_insert(const char *text, int ntokens,
							  const char *insertion);

#endif /* PGXC_STATEMENT_TEXT_H */
