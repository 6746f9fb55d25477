/*
 * subquery.h
 *		An expression over a row that reads other tables.
 */
#ifndef PGXC_SUBQUERY_H
#define PGXC_SUBQUERY_H

#include "access/tupdesc.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "nodes/bitmapset.h"

typedef struct PgxcSubquery
{
	const char *sql;
	TupleDesc row;     /* the columns that it may refer to, as t.column */
	Oid row_type;      /* what t itself is */
	SPIPlanPtr plan;   /* NULL: not yet */
	Bitmapset *used;   /* numbers of parameters that the plan has */
	bool result_byval; /* of what it returns */
	int16 result_len;
} PgxcSubquery;

extern PgxcSubquery *pgxc_subquery_make(const char *expression, TupleDesc row,
										Oid row_type, Oid result_type);
extern Datum pgxc_subquery_run(PgxcSubquery *subquery, TupleTableSlot *row,
							   bool *isnull);
extern void pgxc_subquery_free(PgxcSubquery *subquery);

#endif /* PGXC_SUBQUERY_H */
