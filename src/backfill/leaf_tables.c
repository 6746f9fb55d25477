/*
 * leaf_tables.c
 *		The tables that hold a migration's rows: partitions, inheritance
 *		children, or the table itself.
 *
 * Each has a row in pgxc.leaf with the file that was counted and how many
 * blocks it had.  Tables come and go while a migration runs; the list is made
 * anew before each verification, and each chunk checks the table it is about
 * to touch.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/leaf_tables.h"
#include "backfill/preflight.h"
#include "core/compat.h"
#include "core/event_log.h"
#include "core/fingerprint.h"
#include "core/sql_runner.h"

/*
 * The leaf whose place in the hierarchy was checked last.  Any invalidation
 * of a relation makes us check again: a detached leaf is one of them.
 */
static Oid checked_root = InvalidOid;
static Oid checked_leaf = InvalidOid;

static void
forget_checked_leaf(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == checked_leaf || relid == checked_root)
		checked_leaf = InvalidOid;
}

void
pgxc_leaf_tables_init(void)
{
	CacheRegisterRelcacheCallback(forget_checked_leaf, (Datum) 0);
}

static bool
is_leaf_of(Oid relid, Oid root)
{
	if (relid == root)
		return true;
	if (relid == checked_leaf && root == checked_root)
		return true;
	if (!list_member_oid(pgxc_relation_ancestors(relid), root))
		return false;
	checked_leaf = relid;
	checked_root = root;
	return true;
}

/*
 * Write a leaf's row.  restart: its blocks are to be read from the beginning
 * again (a verification); otherwise an existing row stays as it is.  Returns
 * true if the leaf is new.
 */
static bool
store_leaf(int64 migration_id, Relation leaf, bool restart)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.leaf AS l (migration_id, relid, relfilenumber, end_block, size_before)"
		" VALUES ($1, $2, $3, $4, $5)"
		" ON CONFLICT (migration_id, relid) DO UPDATE"
		" SET gone = false,"
		" relfilenumber = excluded.relfilenumber, end_block = excluded.end_block,"
		" next_block = 0, blocks_done = 0, mismatches = 0, rows_verified = 0"
		" WHERE $6 OR l.gone"
		" RETURNING (xmax = 0)",
		INT8OID, OIDOID, OIDOID, INT8OID, INT8OID, BOOLOID);
	BlockNumber blocks = RelationGetNumberOfBlocks(leaf);
	PgxcIdentity saved;
	Datum values[6];
	bool isnull;
	bool is_new;

	values[0] = Int64GetDatum(migration_id);
	values[1] = ObjectIdGetDatum(RelationGetRelid(leaf));
	values[2] = ObjectIdGetDatum(pgxc_relfilenumber(leaf));
	values[3] = Int64GetDatum((int64) blocks);
	values[4] = Int64GetDatum((int64) blocks * BLCKSZ);
	values[5] = BoolGetDatum(restart);

	pgxc_sql_begin(&saved);
	is_new =
		pgxc_sql_execute(&insert, values, NULL, SPI_OK_INSERT_RETURNING) == 1 &&
		DatumGetBool(pgxc_sql_value(0, 1, &isnull));
	pgxc_sql_end(&saved);
	return is_new;
}

static void
mark_missing_leaves(const PgxcMigration *migration, List *present)
{
	static PgxcStatement select_leaves = PGXC_SQL(
		"SELECT relid FROM pgxc.leaf WHERE migration_id = $1 AND NOT gone",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration->id);
	List *missing = NIL;
	ListCell *lc;
	uint64 n;

	pgxc_sql_begin(&saved);
	n = pgxc_sql_execute(&select_leaves, &value, NULL, SPI_OK_SELECT);
	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		Oid relid = DatumGetObjectId(pgxc_sql_value(i, 1, &isnull));

		if (!list_member_oid(present, relid))
			missing = lappend_oid(missing, relid);
	}
	foreach (lc, missing)
		pgxc_leaf_gone(migration, lfirst_oid(lc));
	pgxc_sql_end(&saved);
}

/*
 * Bring pgxc.leaf up to date with the catalog; returns how many leaves are
 * new.  restart: every leaf is to be read from block 0 again.
 *
 * Takes ACCESS SHARE on each leaf for the moment in which its blocks are
 * counted (released at once, bounded by lock_timeout).  Throws 42P01 if the
 * table itself is gone, and what pgxc_preflight_relation() throws.
 */
int
pgxc_leaf_sync(const PgxcMigration *migration, bool restart)
{
	List *relids;
	List *leaves = NIL;
	ListCell *lc;
	int added = 0;

	if (get_rel_relkind(migration->relid) == '\0')
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s does not exist any more",
							   migration->relation_name)));

	relids = find_all_inheritors(migration->relid, NoLock, NULL);
	foreach (lc, relids)
	{
		Oid relid = lfirst_oid(lc);
		Relation leaf;

		if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			continue;
		leaf = try_relation_open(relid, AccessShareLock);
		if (leaf == NULL)
			continue;
		pgxc_preflight_relation(leaf, false);
		if (store_leaf(migration->id, leaf, restart))
		{
			added++;
			if (migration->planned)
				pgxc_event(migration->id, "leaf_added", NULL, NULL,
						   psprintf("table \"%s\"",
									RelationGetRelationName(leaf)));
		}
		leaves = lappend_oid(leaves, relid);
		relation_close(leaf, AccessShareLock);
	}
	mark_missing_leaves(migration, leaves);
	return added;
}

/*
 * Open a leaf for a chunk, and check that it still is what was planned.
 *
 * mode is ROW EXCLUSIVE for an update and ACCESS SHARE for a read, held until
 * the end of the transaction and bounded by lock_timeout.  *leaf is open
 * unless the leaf is gone.  Throws 42501 if the table has another owner than
 * the one who started the migration: the expressions were that role's; 42P17
 * if a column or the trigger is not what it was.
 */
PgxcLeafStatus
pgxc_leaf_open(const PgxcMigration *migration, Oid relid, Oid relfilenumber,
			   LOCKMODE mode, Relation *leaf)
{
	Oid owner;

	*leaf = try_relation_open(relid, mode);
	if (*leaf == NULL)
		return PGXC_LEAF_GONE;
	if (!is_leaf_of(relid, migration->relid))
	{
		relation_close(*leaf, NoLock);
		*leaf = NULL;
		return PGXC_LEAF_GONE;
	}

	owner = get_role_oid(migration->owner, true);
	if (!OidIsValid(owner) ||
		!has_privs_of_role(owner, (*leaf)->rd_rel->relowner))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg(
				 "table \"%s\" belongs to another role than when the migration was started",
				 RelationGetRelationName(*leaf)),
			 errdetail(
				 "Its expressions would run with the rights of role \"%s\".",
				 GetUserNameFromId((*leaf)->rd_rel->relowner, true)),
			 errhint("Cancel the migration, and let the new owner start it.")));

	pgxc_fingerprint_check(migration, *leaf);
	if (pgxc_relfilenumber(*leaf) != relfilenumber)
		return PGXC_LEAF_REWRITTEN;
	return PGXC_LEAF_OK;
}

/* Delete all that names blocks of a leaf; values are migration and relid. */
static void
forget_work(Datum *values)
{
	static PgxcStatement forget[] = {
		PGXC_SQL(
			"DELETE FROM pgxc.stripe WHERE migration_id = $1 AND relid = $2",
			INT8OID, OIDOID),
		PGXC_SQL(
			"DELETE FROM pgxc.revisit WHERE migration_id = $1 AND relid = $2",
			INT8OID, OIDOID),
		PGXC_SQL(
			"DELETE FROM pgxc.row_error WHERE migration_id = $1 AND relid = $2",
			INT8OID, OIDOID),
	};

	for (int i = 0; i < lengthof(forget); i++)
		(void) pgxc_sql_execute(&forget[i], values, NULL, SPI_OK_DELETE);
}

/*
 * A leaf was dropped or detached: nothing is to be done there any more.
 */
void
pgxc_leaf_gone(const PgxcMigration *migration, Oid relid)
{
	static PgxcStatement mark =
		PGXC_SQL("UPDATE pgxc.leaf SET gone = true, mismatches = 0"
				 " WHERE migration_id = $1 AND relid = $2",
				 INT8OID, OIDOID);
	PgxcIdentity saved;
	Datum values[2];
	char *name = get_rel_name(relid);

	values[0] = Int64GetDatum(migration->id);
	values[1] = ObjectIdGetDatum(relid);
	pgxc_sql_begin(&saved);
	forget_work(values);
	(void) pgxc_sql_execute(&mark, values, NULL, SPI_OK_UPDATE);
	pgxc_event(migration->id, "leaf_gone", NULL, NULL,
			   name ? psprintf("table \"%s\" was detached", name)
					: psprintf("table with OID %u was dropped", relid));
	pgxc_sql_end(&saved);
}

/*
 * A leaf has another file (TRUNCATE, VACUUM FULL, CLUSTER, a rewrite): what is
 * known of its blocks is void, and it starts again at block 0.
 */
void
pgxc_leaf_rewritten(const PgxcMigration *migration, Relation leaf)
{
	PgxcIdentity saved;
	Datum values[2];

	values[0] = Int64GetDatum(migration->id);
	values[1] = ObjectIdGetDatum(RelationGetRelid(leaf));
	pgxc_sql_begin(&saved);
	forget_work(values);
	(void) store_leaf(migration->id, leaf, true);
	pgxc_event(
		migration->id, "layout_changed", NULL, NULL,
		psprintf(
			"table \"%s\" was truncated or rewritten; it starts again at block 0",
			RelationGetRelationName(leaf)));
	pgxc_sql_end(&saved);
}

/* Rows that the verification in progress found in need of the update. */
int64
pgxc_leaf_mismatches(int64 migration_id)
{
	static PgxcStatement sum =
		PGXC_SQL("SELECT coalesce(sum(mismatches), 0)::bigint FROM pgxc.leaf"
				 " WHERE migration_id = $1 AND NOT gone",
				 INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration_id);
	int64 result;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&sum, &value, NULL, SPI_OK_SELECT);
	result = pgxc_sql_int64(0, 1);
	pgxc_sql_end(&saved);
	return result;
}
