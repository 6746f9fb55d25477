/*
 * index_text.h
 *		CREATE INDEX written so that it does not block.
 */
#ifndef PGXC_INDEX_TEXT_H
#define PGXC_INDEX_TEXT_H

#include "guard/analysis.h"
#include "guard/index_shape.h"

typedef struct PgxcIndexText PgxcIndexText;

extern PgxcIndexText *pgxc_index_text(PgxcAnalysis *a, IndexStmt *stmt);
extern char *pgxc_index_text_create(PgxcIndexText *text, Relation rel,
									const PgxcIndexShape *shape,
									const char *parent_index);
extern void pgxc_index_text_attach(PgxcIndexText *text, const char *index,
								   Oid part);
extern char *pgxc_index_text_finish(PgxcIndexText *text);

#endif /* PGXC_INDEX_TEXT_H */
