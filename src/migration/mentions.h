/*
 * mentions.h
 *		Functions whose text mentions a column.
 */
#ifndef PGXC_MENTIONS_H
#define PGXC_MENTIONS_H

#include "nodes/pg_list.h"

typedef struct PgxcMention
{
	Oid function;
	bool is_trigger; /* of a trigger on the table */
} PgxcMention;

extern List *pgxc_mentions(Oid relid, const char *column);

#endif /* PGXC_MENTIONS_H */
