/*
 * given_text.h
 *		SQL text that a user gave as an argument.
 */
#ifndef PGXC_GIVEN_TEXT_H
#define PGXC_GIVEN_TEXT_H

#include "nodes/parsenodes.h"
#include "utils/elog.h"

typedef struct PgxcGivenText
{
	const char *prefix;
	const char *text;
	const char *argument; /* the name of the caller's argument */
	char *sql;            /* all of it, once it was parsed */
	ErrorContextCallback callback;
} PgxcGivenText;

extern void pgxc_given_begin(PgxcGivenText *given);
extern void pgxc_given_end(PgxcGivenText *given);
extern RawStmt *pgxc_given_parse(PgxcGivenText *given);
extern int pgxc_given_errposition(const PgxcGivenText *given, int location);
extern void pgxc_given_check(const PgxcGivenText *given, Node *expr,
							 List *family, bool has_predicate,
							 const char *what);

#endif /* PGXC_GIVEN_TEXT_H */
