/*
 * partition_scan.c
 *		Must the rows of a partition be read, because a bound is new to them?
 *
 * The server asks whether the constraints of a table imply the bound, and so
 * do we, with its own functions.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_utilcmd.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "guard/partition.h"

/*
 * The condition of a bound as written in ATTACH or CREATE TABLE, in terms of
 * the parent's columns; NIL: any row may come.  Throws what is wrong with it.
 */
List *
pgxc_partition_bound_quals(Relation parent, PartitionBoundSpec *bound)
{
	ParseState *pstate = make_parsestate(NULL);
	PartitionBoundSpec *spec =
		transformPartitionBound(pstate, parent, copyObject(bound));

	free_parsestate(pstate);
	return get_qual_from_partbound(parent, spec);
}

/* The reason and the lock are the same for all parts of a partition. */
static void
scan_unless_implied(PgxcAnalysis *a, Relation rel, List *quals,
					const char *reason)
{
	PartitionDesc desc;

	if (PartConstraintImpliedByRelConstraint(rel, quals))
		return;
	if (rel->rd_rel->relkind == RELKIND_RELATION)
		pgxc_touch_work(a, RelationGetRelid(rel), AccessExclusiveLock,
						PGXC_WORK_SCAN, reason);
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	desc = RelationGetPartitionDesc(rel, true);
	for (int i = 0; i < desc->nparts; i++)
	{
		Relation part = relation_open(desc->oids[i], AccessShareLock);

		pgxc_touch(a, desc->oids[i], AccessExclusiveLock);
		scan_unless_implied(a, part,
							map_partition_varattnos(quals, 1, part, rel),
							reason);
		relation_close(part, NoLock);
	}
}

/*
 * What the rows of a table must fulfil that becomes a partition: the bound
 * (quals, of the parent) and what the parent itself must; NIL: nothing.
 */
List *
pgxc_attached_constraint(Relation parent, Relation partition, List *quals)
{
	quals = list_concat_copy(quals, RelationGetPartitionQual(parent));
	if (quals == NIL)
		return NIL;
	quals = (List *) eval_const_expressions(NULL, (Node *) quals);
	quals = list_make1(make_ands_explicit(quals));
	return map_partition_varattnos(quals, 1, partition, parent);
}

/*
 * The table, or its own partitions, are read, unless a constraint proves that.
 */
void
pgxc_touch_attached_scan(PgxcAnalysis *a, Relation parent, Relation partition,
						 List *quals)
{
	quals = pgxc_attached_constraint(parent, partition, quals);
	if (quals != NIL)
		scan_unless_implied(a, partition, quals,
							"no valid CHECK constraint proves its bound");
}

/* CREATE TABLE PARTITION OF reads the default partition in another way. */
static void
scan_whole_default(PgxcAnalysis *a, Relation rel, List *quals,
				   const char *reason)
{
	ListCell *lc;

	if (PartConstraintImpliedByRelConstraint(rel, quals))
		return;
	foreach (lc, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL))
	{
		Relation part = relation_open(lfirst_oid(lc), AccessShareLock);

		pgxc_touch(a, lfirst_oid(lc), AccessExclusiveLock);
		/* The server forgets to map the columns for this proof. */
		if (part->rd_rel->relkind == RELKIND_RELATION &&
			(part->rd_id == rel->rd_id ||
			 !PartConstraintImpliedByRelConstraint(part, quals)))
			pgxc_touch_work(a, lfirst_oid(lc), AccessExclusiveLock,
							PGXC_WORK_SCAN, reason);
		relation_close(part, NoLock);
	}
}

/* The default partition; InvalidOid: none. */
Oid
pgxc_default_partition(Relation parent)
{
	return get_default_oid_from_partdesc(
		RelationGetPartitionDesc(parent, true));
}

/* What its rows must fulfil when a bound (quals, of the parent) is new. */
List *
pgxc_default_constraint(Relation parent, Relation partition, List *quals)
{
	quals = get_proposed_default_constraint(quals);
	return map_partition_varattnos(quals, 1, partition, parent);
}

/*
 * The default partition, if there is one, is locked and gives up the rows of a
 * new bound: it must be read, unless a constraint of its own proves that it has
 * none.
 */
void
pgxc_touch_default_scan(PgxcAnalysis *a, Relation parent, List *quals,
						bool attach)
{
	const char *reason =
		"no valid CHECK constraint proves that it has no row of the new bound";
	Oid relid = pgxc_default_partition(parent);
	Relation rel;

	if (!OidIsValid(relid))
		return;
	pgxc_touch(a, relid, AccessExclusiveLock);
	rel = relation_open(relid, AccessShareLock);
	quals = pgxc_default_constraint(parent, rel, quals);
	if (attach)
		scan_unless_implied(a, rel, quals, reason);
	else
		scan_whole_default(a, rel, quals, reason);
	relation_close(rel, NoLock);
}

/* A condition on this relation's columns, as the text of a CHECK. */
char *
pgxc_partition_check(Relation rel, List *quals)
{
	return deparse_expression((Node *) make_ands_explicit(quals),
							  deparse_context_for(RelationGetRelationName(rel),
												  RelationGetRelid(rel)),
							  false, false);
}
