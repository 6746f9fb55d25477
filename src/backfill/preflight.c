/*
 * preflight.c
 *		May this table be backfilled at all?
 *
 * Every reason that would stop a migration half-way, and can be seen before,
 * is an error of start_....  The same checks hold for each leaf table, at the
 * start and again for those that are attached later.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/sysattr.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/indexing.h"
#include "catalog/partition.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "rewrite/prs2lock.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"

#include "backfill/preflight.h"
#include "backfill/registration.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/sql_runner.h"

static void
check_kind(Relation rel)
{
	char *name = RelationGetRelationName(rel);

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot backfill view \"%s\"", name),
					 errhint("Backfill the tables that it selects from.")));
			break;
		case RELKIND_MATVIEW:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot backfill materialized view \"%s\"", name),
					 errhint("Use REFRESH MATERIALIZED VIEW.")));
			break;
		case RELKIND_FOREIGN_TABLE:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("cannot backfill foreign table \"%s\"", name),
					 errhint("Backfill the table on its own server.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_WRONG_OBJECT_TYPE),
					 errmsg("\"%s\" is not a table", name),
					 errhint("Name an ordinary or a partitioned table.")));
	}

	if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP)
		ereport(
			ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("cannot backfill temporary table \"%s\"", name),
			 errdetail(
				 "Background workers cannot see the temporary tables of a session."),
			 errhint("Use UPDATE.")));
	if (IsSystemRelation(rel))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", name),
				 errhint("Name a table of your own.")));
	if (RelationGetNamespace(rel) == pgxc_schema_oid())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" belongs to extension pgxc",
						name),
				 errhint("Name a table of your own.")));
	if (rel->rd_rel->relkind == RELKIND_RELATION &&
		rel->rd_rel->relam != HEAP_TABLE_AM_OID)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot backfill table \"%s\", which is not a heap table",
					name),
			 errhint("pgxc walks the blocks of a heap; use UPDATE.")));
}

static void
check_update_rules(Relation rel)
{
	if (rel->rd_rules == NULL)
		return;
	for (int i = 0; i < rel->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = rel->rd_rules->rules[i];

		if (rule->event == CMD_UPDATE)
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg(
					 "cannot backfill table \"%s\", which has rules for UPDATE",
					 RelationGetRelationName(rel)),
				 errdetail(
					 "A rule could turn the backfill into something else."),
				 errhint(
					 "Drop the rule, or disable it with ALTER TABLE ... DISABLE RULE and use a trigger.")));
	}
}

/*
 * Check a table (is_root: the one that the caller named) or a leaf of it.
 * The caller holds a lock on it.  Throws 42809, 42501, 0A000 and 55000.
 */
void
pgxc_preflight_relation(Relation rel, bool is_root)
{
	check_kind(rel);
	if (is_root &&
		!pgxc_relation_ownercheck(RelationGetRelid(rel), GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
					   RelationGetRelationName(rel));
	check_update_rules(rel);

	if (check_enable_rls(RelationGetRelid(rel), rel->rd_rel->relowner, true) ==
		RLS_ENABLED)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(
				 "row security would hide rows of table \"%s\" from its owner",
				 RelationGetRelationName(rel)),
			 errdetail(
				 "The backfill runs as the owner, and FORCE ROW LEVEL SECURITY is set."),
			 errhint(
				 "Grant BYPASSRLS to the owner, or ALTER TABLE ... NO FORCE ROW LEVEL SECURITY meanwhile.")));

	/* Core's own error, which names the publication's need. */
	if (rel->rd_rel->relkind == RELKIND_RELATION)
		CheckCmdReplicaIdentity(rel, CMD_UPDATE);
}

/*
 * May these tables (OIDs) get a column that publishers know nothing of?
 *
 * A subscription finds the row that it is to change by a key or, where there is
 * none, by comparing all columns.  With a value in the new column a row is like
 * none that is sent: its changes would be lost, and nobody would say so.
 *
 * Takes no lock.  Throws 55000.
 */
void
pgxc_preflight_subscribed(List *tables)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT c.relname::text, s.subname::text FROM pg_class c, pg_subscription_rel r"
		" JOIN pg_subscription s ON s.oid = r.srsubid"
		" WHERE c.oid = ANY ($1) AND c.relkind = 'r' AND (r.srrelid = c.oid"
		" OR r.srrelid IN (SELECT a.relid FROM pg_partition_ancestors(c.oid) a))"
		" AND NOT EXISTS (SELECT FROM pg_index i WHERE i.indrelid = c.oid"
		" AND (i.indisprimary OR i.indisreplident) AND i.indisvalid AND i.indimmediate)"
		" ORDER BY 1, 2 LIMIT 1",
		OIDARRAYOID);
	PgxcIdentity saved;
	Datum value = pgxc_oid_list_datum(tables);

	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, &value, NULL) > 0)
	{
		bool isnull;

		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(
				 "cannot add a column to table \"%s\", which subscription \"%s\" replicates without a key",
				 TextDatumGetCString(pgxc_sql_value(0, 1, &isnull)),
				 TextDatumGetCString(pgxc_sql_value(0, 2, &isnull))),
			 errdetail(
				 "Its rows are found by comparing all columns, and the publisher does not send the new one, so that changes would be lost."),
			 errhint(
				 "Give it a primary key, or a unique index and ALTER TABLE ... REPLICA IDENTITY USING INDEX.")));
	}
	pgxc_sql_end(&saved);
}

/*
 * Refuse columns of the partition key of any partitioned table of the
 * hierarchy: an update would move rows to other leaf tables.  relid is the
 * root itself or one of its descendants.
 */
void
pgxc_preflight_columns(Relation root, List *columns, Oid relid)
{
	Relation rel;
	ListCell *lc;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;

	/* ACCESS SHARE: only the definition is read. */
	rel = table_open(relid, AccessShareLock);
	foreach (lc, columns)
	{
		AttrNumber attnum = get_attnum(relid, (char *) lfirst(lc));
		Bitmapset *attrs;
		bool in_expression;

		attrs = bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);
		if (has_partition_attrs(rel, attrs, &in_expression))
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg(
					 "cannot assign column \"%s\", which is in the partition key of table \"%s\"",
					 (char *) lfirst(lc), RelationGetRelationName(rel)),
				 errdetail("The update would move rows between partitions."),
				 errhint("Use UPDATE, in batches of your own.")));
	}
	table_close(rel,
				relid == RelationGetRelid(root) ? NoLock : AccessShareLock);
}

/*
 * Everything that a table inherits from, directly or not: OIDs, nearest
 * first.  Takes no lock.
 */
List *
pgxc_relation_ancestors(Oid relid)
{
	List *result = NIL;
	List *todo = list_make1_oid(relid);
	Relation inherits = table_open(InheritsRelationId, AccessShareLock);

	while (todo != NIL)
	{
		Oid child = linitial_oid(todo);
		ScanKeyData key;
		SysScanDesc scan;
		HeapTuple tuple;

		todo = list_delete_first(todo);
		ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(child));
		scan = systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true,
								  NULL, 1, &key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Oid parent = ((Form_pg_inherits) GETSTRUCT(tuple))->inhparent;

			if (!list_member_oid(result, parent))
			{
				result = lappend_oid(result, parent);
				todo = lappend_oid(todo, parent);
			}
		}
		systable_endscan(scan);
	}
	table_close(inherits, AccessShareLock);
	return result;
}

/*
 * The table, its ancestors and its descendants: whatever shares rows with it.
 */
List *
pgxc_relation_family(Oid relid)
{
	return list_concat_unique_oid(find_all_inheritors(relid, NoLock, NULL),
								  pgxc_relation_ancestors(relid));
}
