/*
 * view_query.h
 *		The stored query of a view, and which views stand on which.
 */
#ifndef PGXC_VIEW_QUERY_H
#define PGXC_VIEW_QUERY_H

#include "nodes/parsenodes.h"

extern Query *pgxc_view_query(Oid view);
extern const char *pgxc_view_mapped_query(Oid view, List *map, Query **query);
extern char *pgxc_view_positional(Oid view, List *statements, List *map);
extern List *pgxc_views_on_columns(List *map);
extern List *pgxc_views_closure(List *views);

#endif /* PGXC_VIEW_QUERY_H */
