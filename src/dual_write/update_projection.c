/*
 * update_projection.c
 *		Dual-write in an UPDATE, without its trigger.
 *
 * A BEFORE UPDATE trigger for each row is expensive before it has done anything:
 * the executor locks every row first, which it otherwise does not need to, and
 * writes that to the WAL.  That is a third on top of a plain UPDATE.
 *
 * So where nothing but our triggers makes it lock, an UPDATE does our work where
 * it computes the new row, as it does for a generated column: we put ourselves
 * behind the projection that makes the new row of the old one and of what the
 * statement assigns, and take the triggers out of this execution.  When a row
 * turns out to be changed by somebody else, the executor comes here again with
 * the row as it is then.
 *
 * All else goes through the triggers as usual: INSERT, ON CONFLICT DO UPDATE,
 * MERGE, logical replication, tables with other such triggers.
 */
#include "postgres.h"

#include "access/tableam.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "nodes/execnodes.h"
#include "nodes/plannodes.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "core/own_statement.h"
#include "dual_write/arbiters.h"
#include "dual_write/carry.h"
#include "dual_write/config_cache.h"
#include "dual_write/trigger.h"
#include "dual_write/update_projection.h"

/*
 * More tables than this in one UPDATE: most of them are partitions that it
 * never comes to, and the executor would prepare itself for those it does.
 */
#define MAX_RELATIONS 32

/* One of our triggers, and what is remembered for it from row to row. */
typedef struct OurTrigger
{
	const Trigger *trigger;
	void *remembered;
	bool looked;    /* untouched is known */
	bool untouched; /* the statement assigns no column of the migration */
} OurTrigger;

/* The projection that the executor runs, around the one that it should. */
typedef struct DualWriteProjection
{
	ProjectionInfo base;
	ProjectionInfo *inner;
	Relation rel;
	List *assigned; /* attribute numbers that the statement assigns */
	int ntriggers;
	OurTrigger triggers[FLEXIBLE_ARRAY_MEMBER];
} DualWriteProjection;

static ExecutorStart_hook_type prev_ExecutorStart = NULL;

/*
 * Does the statement assign none of the migration's columns?  With another
 * migration's trigger on the table nobody knows what that one assigns.
 */
static bool
leaves_alone(const DualWriteProjection *projection, const PgxcDualWrite *dw)
{
	if (projection->ntriggers > 1 ||
		list_member_int(projection->assigned, dw->target.attnum))
		return false;
	for (int i = 0; i < dw->nsources; i++)
	{
		if (list_member_int(projection->assigned, dw->sources[i].column.attnum))
			return false;
	}
	return true;
}

/* Let one trigger have its say about the new row. */
static void
carry(const DualWriteProjection *projection, OurTrigger *our,
	  TupleTableSlot *before, TupleTableSlot *row)
{
	Relation rel = projection->rel;
	PgxcDualWrite *dw =
		pgxc_dual_write_find(our->trigger, rel, &our->remembered);
	int column = dw->target.attnum - 1;

	if (unlikely(!our->looked))
	{
		our->untouched = leaves_alone(projection, dw);
		our->looked = true;
	}
	/* All that could be left to do is to fill the row. */
	if (our->untouched && !row->tts_isnull[column])
		return;

	if (unlikely(pgxc_own_chunk_migration != 0) &&
		pgxc_dual_write_is_own_chunk(dw, 0))
		return;
	if (!pgxc_dual_write_carry(dw, rel, before, row))
		return;

	row->tts_values[column] = dw->row->tts_values[column];
	row->tts_isnull[column] = dw->row->tts_isnull[column];
	for (int i = 0; i < dw->nsources; i++)
	{
		column = dw->sources[i].column.attnum - 1;
		row->tts_values[column] = dw->row->tts_values[column];
		row->tts_isnull[column] = dw->row->tts_isnull[column];
	}
}

/* Called by ExecProject(), in the memory context of the row. */
static Datum
project(ExprState *state, ExprContext *econtext, bool *isnull)
{
	DualWriteProjection *projection =
		(DualWriteProjection *) ((char *) state -
								 offsetof(ProjectionInfo, pi_state));
	ExprState *inner = &projection->inner->pi_state;
	TupleTableSlot *row = inner->resultslot;
	Datum result = inner->evalfunc(inner, econtext, isnull);

	/* What ExecProject() is going to do; it makes the columns readable. */
	row->tts_flags &= ~TTS_FLAG_EMPTY;
	row->tts_nvalid = row->tts_tupleDescriptor->natts;

	for (int i = 0; i < projection->ntriggers; i++)
		carry(projection, &projection->triggers[i], econtext->ecxt_scantuple,
			  row);
	return result;
}

/*
 * Our triggers on a table, in the order in which they fire, if it has no other
 * BEFORE UPDATE triggers for each row; NULL otherwise.
 */
static DualWriteProjection *
find_triggers(ResultRelInfo *info)
{
	TriggerDesc *triggers = info->ri_TrigDesc;
	DualWriteProjection *projection;

	if (triggers == NULL || !triggers->trig_update_before_row)
		return NULL;
	projection = palloc0(offsetof(DualWriteProjection, triggers) +
						 sizeof(OurTrigger) * triggers->numtriggers);
	for (int i = 0; i < triggers->numtriggers; i++)
	{
		Trigger *trigger = &triggers->triggers[i];

		if (!TRIGGER_TYPE_MATCHES(trigger->tgtype, TRIGGER_TYPE_ROW,
								  TRIGGER_TYPE_BEFORE, TRIGGER_TYPE_UPDATE) ||
			trigger->tgenabled == TRIGGER_DISABLED)
			continue;
		if (!pgxc_dual_write_is_ours(trigger))
			return NULL;
		projection->triggers[projection->ntriggers++].trigger = trigger;
	}
	return projection->ntriggers > 0 ? projection : NULL;
}

/* Prepare the projection of new rows, as the executor would at the first. */
static void
replace_triggers(ModifyTableState *state, int index)
{
	ResultRelInfo *info = &state->resultRelInfo[index];
	Relation rel = info->ri_RelationDesc;
	EState *estate = state->ps.state;
	DualWriteProjection *projection;

	if (rel->rd_rel->relkind != RELKIND_RELATION ||
		info->ri_projectNewInfoValid)
		return;
	projection = find_triggers(info);
	if (projection == NULL)
		return;

	if (state->ps.ps_ExprContext == NULL)
		ExecAssignExprContext(estate, &state->ps);
	info->ri_oldTupleSlot = table_slot_create(rel, &estate->es_tupleTable);
	info->ri_newTupleSlot = table_slot_create(rel, &estate->es_tupleTable);
	projection->inner =
		ExecBuildUpdateProjection(outerPlan(state->ps.plan)->targetlist, false,
								  pgxc_update_columns(state, index),
								  RelationGetDescr(rel),
								  state->ps.ps_ExprContext,
								  info->ri_newTupleSlot, &state->ps);
	projection->rel = rel;
	projection->assigned = pgxc_update_columns(state, index);

	projection->base.type = T_ProjectionInfo;
	projection->base.pi_exprContext = projection->inner->pi_exprContext;
	projection->base.pi_state.type = T_ExprState;
	projection->base.pi_state.resultslot = info->ri_newTupleSlot;
	projection->base.pi_state.evalfunc = project;
	info->ri_projectNew = &projection->base;
	info->ri_projectNewInfoValid = true;

	/* The executor's own copy, for this execution alone. */
	info->ri_TrigDesc->trig_update_before_row = false;
}

static void
look_at_node(PlanState *node)
{
	ModifyTableState *state = (ModifyTableState *) node;

	if (node == NULL || !IsA(node, ModifyTableState))
		return;
	if (state->operation == CMD_INSERT)
		pgxc_arbiters_add(state);
	if (state->operation != CMD_UPDATE || state->mt_nrels > MAX_RELATIONS)
		return;
	for (int i = 0; i < state->mt_nrels; i++)
		replace_triggers(state, i);
}

static void
executor_start(QueryDesc *query, int flags)
{
	EState *estate;
	MemoryContext old;
	ListCell *lc;

	if (prev_ExecutorStart)
		prev_ExecutorStart(query, flags);
	else
		standard_ExecutorStart(query, flags);

	if ((query->operation != CMD_UPDATE && query->operation != CMD_INSERT &&
		 !query->plannedstmt->hasModifyingCTE) ||
		(flags & EXEC_FLAG_EXPLAIN_ONLY) != 0)
		return;
	estate = query->estate;
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	look_at_node(query->planstate);
	foreach (lc, estate->es_auxmodifytables)
		look_at_node((PlanState *) lfirst(lc));
	MemoryContextSwitchTo(old);
}

/*
 * Once in a process, when the library is loaded.
 */
void
pgxc_update_projection_init(void)
{
	prev_ExecutorStart = ExecutorStart_hook;
	ExecutorStart_hook = executor_start;
}
