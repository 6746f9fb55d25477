/*
 * arbiters.c
 *		ON CONFLICT while two unique indexes hold the same values.
 *
 * INSERT ... ON CONFLICT (a) knows the unique index on a.  Of two sessions that
 * insert the same new key at the same time, the second finds the conflict in
 * that index when it inserts, and starts over.  The unique index that is built
 * on the new column has the same conflict, but as it is no arbiter, the second
 * session could get a unique violation from it instead.  So where the values of
 * both columns correspond one to one, the twin of an arbiter is an arbiter, too.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/genam.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "nodes/plannodes.h"
#include "rewrite/rewriteManip.h"
#include "utils/rel.h"

#include "dual_write/arbiters.h"
#include "dual_write/config_cache.h"
#include "dual_write/trigger.h"

/* Expressions, with one column in the place of another. */
static Node *
with_column(Node *node, Relation rel, AttrNumber from, AttrNumber to)
{
	AttrMap *map = make_attrmap(RelationGetNumberOfAttributes(rel));
	bool whole_row;

	for (int i = 0; i < map->maplen; i++)
		map->attnums[i] = i + 1 == from ? to : i + 1;
	return map_variable_attnos(node, 1, 0, map, InvalidOid, &whole_row);
}

/* Is one index what the other is, but for this column? */
static bool
is_twin(Relation rel, Relation index, Relation other, AttrNumber from,
		AttrNumber to)
{
	Form_pg_index one = index->rd_index;
	Form_pg_index two = other->rd_index;

	if (!two->indisunique || !two->indimmediate ||
		one->indnkeyatts != two->indnkeyatts)
		return false;
	for (int i = 0; i < one->indnkeyatts; i++)
	{
		AttrNumber attnum = one->indkey.values[i];

		if (two->indkey.values[i] != (attnum == from ? to : attnum))
			return false;
	}
	return equal(with_column((Node *) RelationGetIndexExpressions(index), rel,
							 from, to),
				 RelationGetIndexExpressions(other)) &&
		   equal(with_column((Node *) RelationGetIndexPredicate(index), rel,
							 from, to),
				 RelationGetIndexPredicate(other));
}

/* The indexes that are twins of these, in either direction; OIDs. */
static List *
find_twins(Relation rel, List *arbiters, AttrNumber a, AttrNumber b)
{
	List *twins = NIL;
	ListCell *lc;
	ListCell *candidate;

	foreach (lc, arbiters)
	{
		/* The planner has locked them as the statement does the table. */
		Relation index = index_open(lfirst_oid(lc), RowExclusiveLock);

		foreach (candidate, RelationGetIndexList(rel))
		{
			Relation other;

			if (list_member_oid(arbiters, lfirst_oid(candidate)))
				continue;
			other = index_open(lfirst_oid(candidate), RowExclusiveLock);
			if (is_twin(rel, index, other, a, b) ||
				is_twin(rel, index, other, b, a))
				twins = list_append_unique_oid(twins, lfirst_oid(candidate));
			index_close(other, NoLock);
		}
		index_close(index, NoLock);
	}
	return twins;
}

/*
 * Give an INSERT ... ON CONFLICT the arbiters that it needs while migrations
 * are open.  In the memory context of the query.  Does nothing where no trigger
 * of ours is, and for a partitioned table: the executor chooses the indexes of
 * its partitions by those of the table, and the table has no twin yet.
 */
void
pgxc_arbiters_add(ModifyTableState *state)
{
	ModifyTable *plan = (ModifyTable *) state->ps.plan;
	ResultRelInfo *info = state->resultRelInfo;
	Relation rel = info->ri_RelationDesc;

	if (plan->onConflictAction == ONCONFLICT_NONE ||
		rel->rd_rel->relkind != RELKIND_RELATION ||
		info->ri_onConflictArbiterIndexes == NIL || info->ri_TrigDesc == NULL ||
		!info->ri_TrigDesc->trig_insert_before_row)
		return;
	for (int i = 0; i < info->ri_TrigDesc->numtriggers; i++)
	{
		Trigger *trigger = &info->ri_TrigDesc->triggers[i];
		void *remembered = NULL;
		PgxcDualWrite *dw;

		if (!pgxc_dual_write_is_ours(trigger))
			continue;
		dw = pgxc_dual_write_find(trigger, rel, &remembered);
		if (dw->nsources != 1 || dw->one_way || dw->may_lose)
			continue;

		/* The list is the plan's; this one is this execution's. */
		info->ri_onConflictArbiterIndexes =
			list_concat(find_twins(rel, info->ri_onConflictArbiterIndexes,
								   dw->sources[0].column.attnum,
								   dw->target.attnum),
						info->ri_onConflictArbiterIndexes);
	}
}
