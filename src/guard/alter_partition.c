/*
 * alter_partition.c
 *		Subcommands by which tables become parts of others and cease to be:
 *		ATTACH and DETACH PARTITION, INHERIT and NO INHERIT.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "guard/partition.h"

static void
touch_all(PgxcAnalysis *a, List *relids, LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, relids)
		pgxc_touch(a, lfirst_oid(lc), lock);
}

/* The relation comes to its parent, or goes. */
static void
note_change(PgxcAnalysis *a, PgxcAction action, Oid parent, Oid part)
{
	pgxc_change(a, action, RelationRelationId, part, 0);
	pgxc_change(a, action, RelationRelationId, parent, 0);
}

/*
 * CREATE TABLE PARTITION OF: what it does besides the lock on the parent.
 */
void
pgxc_touch_new_partition(PgxcAnalysis *a, Oid parent, CreateStmt *stmt)
{
	Relation rel = relation_open(parent, AccessShareLock);

	if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		if (!stmt->partbound->is_default)
		{
			List *quals = pgxc_partition_bound_quals(rel, stmt->partbound);

			pgxc_touch_default_scan(a, rel, quals, false);
			pgxc_advise_new_partition(a, rel, quals);
		}
		if (!IsA(stmt, CreateForeignTableStmt))
			pgxc_touch_partition_indexes(a, rel, NULL);
		pgxc_touch_partition_keys(a, rel, NULL);
	}
	relation_close(rel, NoLock);
}

/* ALTER TABLE ATTACH PARTITION */
static void
attach_table(PgxcAnalysis *a, Relation rel, PartitionCmd *cmd)
{
	Oid partid = pgxc_resolve(a, cmd->name);
	Relation part;
	List *quals;

	if (!OidIsValid(partid))
		return;
	quals = pgxc_partition_bound_quals(rel, cmd->bound);
	part = relation_open(partid, AccessShareLock);
	touch_all(a, find_all_inheritors(partid, NoLock, NULL),
			  AccessExclusiveLock);
	pgxc_touch_partition_indexes(a, rel, part);
	pgxc_touch_partition_keys(a, rel, part);
	pgxc_touch_attached_scan(a, rel, part, quals);
	/* The bound of the parent is part of it; that is read from there. */
	if (rel->rd_rel->relispartition)
		pgxc_touch(a, get_partition_parent(RelationGetRelid(rel), true),
				   AccessShareLock);
	if (!cmd->bound->is_default)
		pgxc_touch_default_scan(a, rel, quals, true);
	pgxc_advise_attach(a, rel, part, cmd->bound, quals);
	note_change(a, PGXC_ACTION_ATTACH, RelationGetRelid(rel), partid);
	relation_close(part, NoLock);
}

/* ALTER INDEX ATTACH PARTITION */
static void
attach_index(PgxcAnalysis *a, Relation rel, PartitionCmd *cmd)
{
	Oid index = pgxc_resolve(a, cmd->name);

	if (!OidIsValid(index) || get_rel_relkind(index) == RELKIND_RELATION)
		return;
	pgxc_touch(a, index, AccessExclusiveLock);
	pgxc_touch(a, IndexGetRelation(index, false), AccessShareLock);
	pgxc_touch(a, rel->rd_index->indrelid, AccessShareLock);
}

/*
 * Rows of another table that refer to the partition are looked for, and its
 * constraint is dropped.
 */
static void
detach_keys_on(PgxcAnalysis *a, Relation part, LOCKMODE lock, bool scan)
{
	ListCell *lc;

	foreach (lc, pgxc_constraints_on(RelationGetRelid(part)))
	{
		Oid constraint = lfirst_oid(lc);
		HeapTuple tuple =
			SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
		Form_pg_constraint form;
		Relation other;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_constraint) GETSTRUCT(tuple);
		if (OidIsValid(form->conparentid))
		{
			pgxc_touch(a, form->conrelid, lock)->reason =
				"a foreign key to the partition is dropped";
			other = relation_open(form->conrelid, AccessShareLock);
			if (scan)
				pgxc_touch_key_check(a, constraint, other,
									 RelationGetRelid(part), true);
			relation_close(other, NoLock);
		}
		ReleaseSysCache(tuple);
	}
}

/* Foreign keys that it had from its parent become its own. */
static void
detach_keys_of(PgxcAnalysis *a, Relation part)
{
	List *own = NIL;
	ListCell *lc;

	foreach (lc, RelationGetFKeyList(part))
		own = lappend_oid(own, lfirst_node(ForeignKeyCacheInfo, lc)->conoid);
	foreach (lc, RelationGetFKeyList(part))
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, lc);
		HeapTuple tuple =
			SearchSysCache1(CONSTROID, ObjectIdGetDatum(key->conoid));
		Form_pg_constraint form;

		if (!HeapTupleIsValid(tuple))
			continue;
		form = (Form_pg_constraint) GETSTRUCT(tuple);
		if (OidIsValid(form->conparentid) &&
			!list_member_oid(own, form->conparentid))
			pgxc_touch_referenced(a, key->confrelid,
								  get_rel_relkind(key->confrelid) ==
										  RELKIND_PARTITIONED_TABLE
									  ? form->conindid
									  : InvalidOid);
		ReleaseSysCache(tuple);
	}
}

/*
 * ALTER TABLE DETACH PARTITION, CONCURRENTLY, FINALIZE.  CONCURRENTLY does its
 * work under weaker locks; only its last step, which does none, is like the
 * others.
 */
static void
detach(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd)
{
	PartitionCmd *detach = (PartitionCmd *) cmd->def;
	Oid partid = pgxc_resolve(a, detach->name);
	Oid default_part = pgxc_default_partition(rel);
	bool finalize = cmd->subtype == AT_DetachPartitionFinalize;
	bool concurrent = detach->concurrent && !finalize;
	Relation part;
	ListCell *lc;

	if (!OidIsValid(partid))
		return;
	if (OidIsValid(default_part) && !concurrent && !finalize)
		pgxc_touch(a, default_part, AccessExclusiveLock);
	part = relation_open(partid, AccessShareLock);
	pgxc_touch(a, partid,
			   concurrent ? ShareUpdateExclusiveLock : AccessExclusiveLock);
	detach_keys_on(a, part, concurrent ? ShareLock : AccessExclusiveLock,
				   !finalize);
	detach_keys_of(a, part);
	foreach (lc, RelationGetIndexList(part))
	{
		if (get_rel_relispartition(lfirst_oid(lc)))
			pgxc_touch(a, lfirst_oid(lc), AccessExclusiveLock);
	}
	if (part->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
	{
		List *all = find_all_inheritors(partid, NoLock, NULL);

		touch_all(a, list_delete_first(all), AccessExclusiveLock);
	}
	if (!concurrent && !finalize && !OidIsValid(default_part))
		pgxc_advise_detach(a, rel, part);
	note_change(a, PGXC_ACTION_DETACH, RelationGetRelid(rel), partid);
	relation_close(part, NoLock);
}

static void
inherit(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd)
{
	Oid parent = pgxc_resolve(a, (RangeVar *) cmd->def);

	if (!OidIsValid(parent))
		return;
	if (cmd->subtype == AT_AddInherit)
	{
		pgxc_touch(a, parent, ShareUpdateExclusiveLock);
		touch_all(a, find_all_inheritors(RelationGetRelid(rel), NoLock, NULL),
				  AccessShareLock);
		note_change(a, PGXC_ACTION_ATTACH, parent, RelationGetRelid(rel));
	}
	else
	{
		pgxc_touch(a, parent, AccessShareLock);
		note_change(a, PGXC_ACTION_DETACH, parent, RelationGetRelid(rel));
	}
}

/*
 * One subcommand of the family; false: it is of another one.  Throws what is
 * wrong with a partition bound.
 */
bool
pgxc_alter_partition(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
					 AlterTableStmt *stmt, LOCKMODE lock)
{
	switch (cmd->subtype)
	{
		case AT_AttachPartition:
			if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
				attach_table(a, rel, (PartitionCmd *) cmd->def);
			else if (rel->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
				attach_index(a, rel, (PartitionCmd *) cmd->def);
			return true;
		case AT_DetachPartition:
		case AT_DetachPartitionFinalize:
			if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
				detach(a, rel, cmd);
			return true;
		case AT_AddInherit:
		case AT_DropInherit:
			inherit(a, rel, cmd);
			return true;
		default:
			return false;
	}
}
