/*
 * estimate.h
 *		What a migration will do, step by step, before it does it.
 */
#ifndef PGXC_ESTIMATE_H
#define PGXC_ESTIMATE_H

#include "nodes/pg_list.h"

typedef struct PgxcPlanStep
{
	const char *action;
	const char *lock;     /* on the table */
	const char *duration; /* how long it is held */
	char *detail;
} PgxcPlanStep;

extern List *pgxc_plan_add(List *steps, const char *action, const char *lock,
						   const char *duration, char *detail);
extern List *pgxc_plan_backfill(Oid relid, List *columns, bool fire_triggers,
								int passes, int parallel_workers,
								double max_duty);

#endif /* PGXC_ESTIMATE_H */
