/*
 * analyse_maintenance.c
 *		Statements that keep what a relation says and change how it is stored:
 *		CLUSTER and ALTER ... ALL IN TABLESPACE here, the others in files of
 *		their own.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/maintenance.h"
#include "guard/object_family.h"
#include "guard/reindex.h"
#include "guard/relation_list.h"

/*
 * The relation is written anew, and then all of its indexes, under the
 * strongest lock on each.  work is what else is done to the relation.
 */
void
pgxc_touch_rewritten(PgxcAnalysis *a, Oid relid, int work, const char *reason)
{
	work |= PGXC_WORK_REWRITE;
	pgxc_touch(a, relid, AccessExclusiveLock);
	if (pgxc_touch_indexes(a, relid, AccessExclusiveLock, PGXC_WORK_REWRITE,
						   "it is built anew, after its table"))
		work |= PGXC_WORK_INDEX_BUILD;
	pgxc_touch_work(a, relid, AccessExclusiveLock, work, reason);
}

/*
 * The same, where the new file is first one of a new table with these columns:
 * to make that locks the composite types among theirs.
 */
void
pgxc_touch_remade(PgxcAnalysis *a, Relation rel, int work, const char *reason)
{
	TupleDesc columns = RelationGetDescr(rel);

	pgxc_touch_rewritten(a, RelationGetRelid(rel), work, reason);
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (!column->attisdropped)
			pgxc_touch_row_type(a, column->atttypid);
	}
}

static void
cluster_relation(PgxcAnalysis *a, Oid relid, Oid index)
{
	Relation rel = relation_open(relid, AccessShareLock);

	pgxc_touch(a, relid, AccessExclusiveLock);
	pgxc_touch(a, index, AccessExclusiveLock);
	/* A materialized view that was never filled is passed over. */
	if (RelationIsPopulated(rel))
	{
		pgxc_touch_remade(a, rel, PGXC_WORK_SCAN,
						  "it is written anew, in the order of an index");
		pgxc_change(a, PGXC_ACTION_MOVE, RelationRelationId, relid, 0);
	}
	relation_close(rel, NoLock);
}

/* The index that the relation was clustered by. */
static Oid
clustered_index(Relation rel)
{
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		if (get_index_isclustered(lfirst_oid(lc)))
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/* Each partition by its part of the index, if the user may. */
static void
cluster_partitions(PgxcAnalysis *a, Oid index)
{
	ListCell *lc;

	pgxc_touch(a, index, AccessShareLock);
	foreach (lc, find_all_inheritors(index, AccessShareLock, NULL))
	{
		Oid relid;

		if (get_rel_relkind(lfirst_oid(lc)) != RELKIND_INDEX)
			continue;
		relid = IndexGetRelation(lfirst_oid(lc), true);
		if (OidIsValid(relid) && pgxc_may_maintain(relid, GetUserId()))
			cluster_relation(a, relid, lfirst_oid(lc));
	}
}

static void
cluster_named(PgxcAnalysis *a, ClusterStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	Relation rel;
	Oid index;

	if (!OidIsValid(relid))
		return;
	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			break;
		default:
			return;
	}
	rel = table_open(relid, AccessShareLock);
	index = stmt->indexname
				? get_relname_relid(stmt->indexname, RelationGetNamespace(rel))
				: clustered_index(rel);
	if (OidIsValid(index) && IndexGetRelation(index, true) == relid)
	{
		if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
			cluster_partitions(a, index);
		else
			cluster_relation(a, relid, index);
	}
	table_close(rel, NoLock);
}

static bool
has_indexes(Form_pg_class form, void *arg)
{
	return (form->relkind == RELKIND_RELATION ||
			form->relkind == RELKIND_MATVIEW) &&
		   form->relhasindex && pgxc_may_maintain(form->oid, GetUserId());
}

/* Whatever was clustered before, if the user may. */
static void
cluster_all(PgxcAnalysis *a)
{
	ListCell *lc;

	foreach (lc, pgxc_list_relations(has_indexes, NULL))
	{
		Relation rel = try_relation_open(lfirst_oid(lc), AccessShareLock);
		Oid index;

		if (rel == NULL)
			continue;
		index = clustered_index(rel);
		relation_close(rel, NoLock);
		if (OidIsValid(index))
			cluster_relation(a, lfirst_oid(lc), index);
	}
}

typedef struct MoveAll
{
	ObjectType type;
	Oid from; /* as pg_class has it: InvalidOid is the database's own */
	List *owners;
} MoveAll;

static bool
is_moved(Form_pg_class form, void *arg)
{
	MoveAll *move = (MoveAll *) arg;

	if (form->reltablespace != move->from ||
		isAnyTempNamespace(form->relnamespace) ||
		(move->owners != NIL && !list_member_oid(move->owners, form->relowner)))
		return false;
	switch (move->type)
	{
		case OBJECT_TABLE:
			return form->relkind == RELKIND_RELATION ||
				   form->relkind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_INDEX:
			return form->relkind == RELKIND_INDEX ||
				   form->relkind == RELKIND_PARTITIONED_INDEX;
		case OBJECT_MATVIEW:
			return form->relkind == RELKIND_MATVIEW;
		default:
			return false;
	}
}

static Oid
tablespace_in_catalog(const char *name)
{
	Oid tablespace = get_tablespace_oid(name, false);

	return tablespace == MyDatabaseTableSpace ? InvalidOid : tablespace;
}

/* ALTER TABLE, INDEX, MATERIALIZED VIEW ALL IN TABLESPACE. */
static void
analyse_move_all(PgxcAnalysis *a, AlterTableMoveAllStmt *stmt)
{
	MoveAll move = { .type = stmt->objtype,
					 .from = tablespace_in_catalog(stmt->orig_tablespacename) };
	ListCell *lc;

	if (tablespace_in_catalog(stmt->new_tablespacename) == move.from)
		return;
	foreach (lc, stmt->roles)
		move.owners =
			lappend_oid(move.owners,
						get_rolespec_oid(lfirst_node(RoleSpec, lc), false));
	foreach (lc, pgxc_list_relations(is_moved, &move))
	{
		Oid relid = lfirst_oid(lc);

		pgxc_touch(a, relid, AccessExclusiveLock);
		if (RELKIND_HAS_STORAGE(get_rel_relkind(relid)))
			pgxc_touch_work(a, relid, AccessExclusiveLock, PGXC_WORK_REWRITE,
							"its file is copied to another tablespace");
		pgxc_change(a, PGXC_ACTION_MOVE, RelationRelationId, relid, 0);
	}
}

/*
 * CLUSTER, VACUUM, ANALYZE, REFRESH MATERIALIZED VIEW, TRUNCATE, LOCK TABLE,
 * ALTER ... ALL IN TABLESPACE.
 */
void
pgxc_analyse_maintenance(PgxcAnalysis *a, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_ClusterStmt:
			if (((ClusterStmt *) stmt)->relation)
				cluster_named(a, (ClusterStmt *) stmt);
			else
				cluster_all(a);
			break;
		case T_VacuumStmt:
			pgxc_analyse_vacuum(a, (VacuumStmt *) stmt);
			break;
		case T_RefreshMatViewStmt:
			pgxc_analyse_refresh(a, (RefreshMatViewStmt *) stmt);
			break;
		case T_TruncateStmt:
			pgxc_analyse_truncate(a, (TruncateStmt *) stmt);
			break;
		case T_LockStmt:
			pgxc_analyse_lock(a, (LockStmt *) stmt);
			break;
		case T_AlterTableMoveAllStmt:
			analyse_move_all(a, (AlterTableMoveAllStmt *) stmt);
			break;
		default:
			break;
	}
}
