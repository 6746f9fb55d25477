/*
 * carry_over.h
 *		What stands on the old column and has to stand on the new one.
 */
#ifndef PGXC_CARRY_OVER_H
#define PGXC_CARRY_OVER_H

#include "migration/shape.h"

extern List *pgxc_carry_capture(const PgxcShape *shape, List *tree,
								int64 migration_id);
extern void pgxc_carry_try(const PgxcShape *shape, List *pieces);
extern List *pgxc_carry_list(List *tree, const char *column);
extern List *pgxc_carry_related(List *pieces);
extern void pgxc_carry_preflight(const PgxcShape *shape, List *tree);

#endif /* PGXC_CARRY_OVER_H */
