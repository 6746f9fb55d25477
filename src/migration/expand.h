/*
 * expand.h
 *		The expand step: column and trigger, in one transaction.
 */
#ifndef PGXC_EXPAND_H
#define PGXC_EXPAND_H

#include "migration/shape.h"

extern List *pgxc_migration_tree(Oid relid);
extern void pgxc_lock_tree(List *tree, List *others, const char *what);
extern List *pgxc_expand(PgxcShape *shape, List *tree, int64 id,
						 const char *name, List *settings);
extern void pgxc_create_trigger(Oid relid, int64 id, const char *name,
								const char *new_column, const char *prefer,
								const char *up, List *settings,
								List *old_columns, List *downs);

#endif /* PGXC_EXPAND_H */
