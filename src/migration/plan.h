/*
 * plan.h
 *		pgxc.plan(), and what a dry run says.
 */
#ifndef PGXC_PLAN_H
#define PGXC_PLAN_H

#include "core/options.h"
#include "migration/shape.h"

extern void pgxc_say_dual_write_plan(const PgxcShape *shape, Relation root,
									 List *tree, bool fire_triggers,
									 const PgxcOptions *options);

#endif /* PGXC_PLAN_H */
