/*
 * estimate.c
 *		What a migration will do, step by step, before it does it.
 *
 * The numbers come from the catalog and from the measurements in
 * bench/RESULTS.md, and are meant to be of the right order.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/estimate.h"
#include "backfill/pacing.h"
#include "core/compat.h"

/* Rows a second that one worker at duty 1 may be expected to update. */
#define ROWS_PER_SECOND 100000.0
/* WAL bytes: of the change of a row, and of an index entry. */
#define WAL_ROW 200.0
#define WAL_INDEX_ENTRY 70.0

typedef struct Totals
{
	int leaves;
	double rows;
	double blocks;
	int indexes;
	bool indexed; /* an assigned column is */
	bool published;
	bool fire_triggers; /* of the table itself */
	List *triggers;     /* of char * */
} Totals;

/* UPDATE OF fires for the columns that are assigned. */
static bool
fires_for_columns(const Trigger *trigger, Relation leaf, List *columns)
{
	ListCell *lc;

	if (trigger->tgnattr == 0)
		return true;
	foreach (lc, columns)
	{
		AttrNumber attnum =
			get_attnum(RelationGetRelid(leaf), (char *) lfirst(lc));

		for (int i = 0; i < trigger->tgnattr; i++)
		{
			if (trigger->tgattr[i] == attnum)
				return true;
		}
	}
	return false;
}

static void
add_triggers(Totals *totals, Relation leaf, List *columns)
{
	if (leaf->trigdesc == NULL)
		return;
	for (int i = 0; i < leaf->trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &leaf->trigdesc->triggers[i];
		ListCell *lc;
		bool known = false;

		/* Those that keep columns equal step aside. */
		if (trigger->tgisinternal || !TRIGGER_FOR_UPDATE(trigger->tgtype) ||
			trigger->tgenabled == TRIGGER_DISABLED ||
			trigger->tgenabled == (totals->fire_triggers
									   ? TRIGGER_FIRES_ON_REPLICA
									   : TRIGGER_FIRES_ON_ORIGIN) ||
			strncmp(trigger->tgname, "~pgxc_", 6) == 0 ||
			!fires_for_columns(trigger, leaf, columns))
			continue;
		foreach (lc, totals->triggers)
			known |= strcmp((char *) lfirst(lc), trigger->tgname) == 0;
		if (!known)
			totals->triggers =
				lappend(totals->triggers, pstrdup(trigger->tgname));
	}
}

static void
add_leaf(Totals *totals, Relation leaf, List *columns)
{
	double blocks = RelationGetNumberOfBlocks(leaf);
	Bitmapset *indexed = pgxc_hot_blocking_attrs(leaf);
	ListCell *lc;

	totals->leaves++;
	totals->blocks += blocks;
	if (leaf->rd_rel->reltuples > 0 && leaf->rd_rel->relpages > 0)
		totals->rows +=
			blocks * leaf->rd_rel->reltuples / leaf->rd_rel->relpages;
	else
		totals->rows += blocks * 40;
	totals->indexes =
		Max(totals->indexes, list_length(RelationGetIndexList(leaf)));
	totals->published |= pgxc_publishes_updates(leaf);
	foreach (lc, columns)
	{
		AttrNumber attnum =
			get_attnum(RelationGetRelid(leaf), (char *) lfirst(lc));

		totals->indexed |=
			bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, indexed);
	}
	add_triggers(totals, leaf, columns);
}

/* Append a step to a plan. */
List *
pgxc_plan_add(List *steps, const char *action, const char *lock,
			  const char *duration, char *detail)
{
	PgxcPlanStep *step = palloc(sizeof(PgxcPlanStep));

	step->action = action;
	step->lock = lock;
	step->duration = duration;
	step->detail = detail;
	return lappend(steps, step);
}

static char *
side_effects(const Totals *totals)
{
	StringInfoData buf;
	ListCell *lc;

	initStringInfo(&buf);
	foreach (lc, totals->triggers)
		appendStringInfo(&buf, "%s%s",
						 buf.len > 0 ? ", " : "triggers fire for each row: ",
						 (char *) lfirst(lc));
	if (totals->published)
		appendStringInfo(&buf,
						 "%severy updated row goes to logical subscribers",
						 buf.len > 0 ? "; " : "");
	if (buf.len == 0)
		appendStringInfoString(
			&buf, totals->fire_triggers
					  ? "none: no triggers for UPDATE, not published"
					  : "none: triggers are not fired, not published");
	return buf.data;
}

/*
 * The steps of a backfill, as a list of PgxcPlanStep.  fire_triggers: those
 * that fire for other sessions fire for its chunks, too.  Takes ACCESS SHARE on
 * each leaf for a moment.
 */
List *
pgxc_plan_backfill(Oid relid, List *columns, bool fire_triggers, int passes,
				   int parallel_workers, double max_duty)
{
	Totals totals = { .fire_triggers = fire_triggers };
	List *steps = NIL;
	ListCell *lc;
	double bytes;
	double growth;
	double wal;
	double seconds;
	int k;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Relation leaf;

		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_TABLE)
			continue;
		leaf = try_relation_open(lfirst_oid(lc), AccessShareLock);
		if (leaf == NULL)
			continue;
		add_leaf(&totals, leaf, columns);
		relation_close(leaf, AccessShareLock);
	}

	bytes = totals.blocks * BLCKSZ;
	k = pgxc_choose_passes(passes, totals.indexed, false, 100,
						   totals.blocks > 0 ? totals.rows / totals.blocks
											 : PGXC_DEFAULT_PASSES);
	/* The first pass moves its rows elsewhere, and rows may become longer. */
	growth = k == 1 ? bytes : bytes * (1.0 / k + 0.1);
	/* Each page once as a whole, and the changes; and all index entries. */
	wal = bytes + totals.rows * WAL_ROW;
	if (k == 1)
		wal += bytes + totals.rows * totals.indexes * WAL_INDEX_ENTRY;
	seconds =
		totals.rows / ROWS_PER_SECOND / Max(1, parallel_workers) / max_duty;

	steps = pgxc_plan_add(
		steps, "register the migration", "ROW EXCLUSIVE",
		"until the end of the transaction",
		psprintf("%d leaf tables, about %.0f rows, %s", totals.leaves,
				 totals.rows,
				 text_to_cstring(DatumGetTextPP(DirectFunctionCall1(
					 pg_size_pretty, Int64GetDatum((int64) bytes))))));
	steps = pgxc_plan_add(
		steps, "update rows", "ROW EXCLUSIVE, and row locks", "one chunk",
		psprintf(
			"%d striped passes%s; about %.0f MB of WAL and %.0f MB of growth at most; about %.0f s at duty %g",
			k, totals.indexed ? " (an assigned column is indexed)" : "",
			wal / 1048576, growth / 1048576, seconds, max_duty));
	steps = pgxc_plan_add(steps, "side effects of the update", "none", "-",
						  side_effects(&totals));
	steps =
		pgxc_plan_add(steps, "verify every row", "ACCESS SHARE", "one chunk",
					  psprintf("reads %.0f MB; about %.0f s", bytes / 1048576,
							   seconds / 8));
	return steps;
}
