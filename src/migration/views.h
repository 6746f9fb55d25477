/*
 * views.h
 *		Views over a column that contract takes away.
 */
#ifndef PGXC_VIEWS_H
#define PGXC_VIEWS_H

#include "nodes/pg_list.h"

/* What happens to the column that a view reads. */
typedef enum PgxcColumnFate
{
	PGXC_FATE_REPLACED, /* the new column has the same type and values */
	PGXC_FATE_SWAPPED,  /* the new column takes the old one's name */
	PGXC_FATE_GONE      /* the new column means something else */
} PgxcColumnFate;

typedef struct PgxcSavedView PgxcSavedView;

extern PgxcColumnFate pgxc_column_fate(const char *new_column,
									   const char *final_name, bool same_type);
extern List *pgxc_views_affected(List *map, PgxcColumnFate fate);
extern char *pgxc_view_obstacle(Oid view, List *views, List *map,
								PgxcColumnFate fate);
extern char *pgxc_view_replacement(Oid view, List *map);

extern List *pgxc_views_locks(Oid relid, List *old_columns,
							  const char *new_column, const char *final_name,
							  bool same_type);
extern List *pgxc_views_capture(Oid relid, List *old_columns,
								const char *new_column, const char *final_name,
								bool same_type);
extern void pgxc_views_drop(List *saved);
extern void pgxc_views_recreate(List *saved);

#endif /* PGXC_VIEWS_H */
