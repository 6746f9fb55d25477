/*
 * map_columns.h
 *		Putting a new column in the place of an old one in stored queries.
 */
#ifndef PGXC_MAP_COLUMNS_H
#define PGXC_MAP_COLUMNS_H

#include "nodes/parsenodes.h"
#include "nodes/pg_list.h"

/* The columns of one relation: a table, or a descendant of it. */
typedef struct PgxcColumnMap
{
	Oid relid;
	List *old_attnums; /* int */
	AttrNumber new_attnum;
} PgxcColumnMap;

extern List *pgxc_column_map(Oid relid, List *old_columns,
							 const char *new_column);
extern PgxcColumnMap *pgxc_column_map_find(List *map, Oid relid);
extern const char *pgxc_map_query(Query *query, List *map);
extern const char *pgxc_map_expression(Node *expr, PgxcColumnMap *entry);

#endif /* PGXC_MAP_COLUMNS_H */
