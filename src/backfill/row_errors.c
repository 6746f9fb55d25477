/*
 * row_errors.c
 *		Rows that cannot be updated: finding them, remembering them.
 *
 * When a chunk fails because of a row, its range is halved again and again,
 * each half in a transaction of its own, until the row stands alone.  The
 * cursor does not move meanwhile; then the chunk is done once more, without
 * the rows that are known to fail.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#include "backfill/chunk.h"
#include "backfill/leaf_tables.h"
#include "backfill/row_errors.h"
#include "core/event_log.h"
#include "core/sql_runner.h"

/*
 * Halve a range: at a block if it has more than one, otherwise at a line
 * pointer.  Returns false if it is a single row.  Pure.
 */
bool
pgxc_range_split(const PgxcRange *range, PgxcRange *low, PgxcRange *high)
{
	uint64 first = range->first;
	uint64 end = range->end;
	uint64 middle;
	int64 first_block = PGXC_KEY_BLOCK(first);

	middle = PGXC_BLOCK_KEY((first_block + PGXC_KEY_BLOCK(end) + 1) / 2);
	if (middle <= first || middle >= end)
	{
		end = Min(end, PGXC_BLOCK_KEY(first_block) + MaxHeapTuplesPerPage + 1);
		if (end - first <= 1)
			return false;
		middle = first + (end - first) / 2;
	}
	low->first = first;
	low->end = middle;
	high->first = middle;
	high->end = end;
	return true;
}

static Oid
leaf_relfilenumber(int64 migration_id, Oid relid)
{
	static PgxcStatement select_leaf =
		PGXC_SQL("SELECT relfilenumber FROM pgxc.leaf"
				 " WHERE migration_id = $1 AND relid = $2 AND NOT gone",
				 INT8OID, OIDOID);
	PgxcIdentity saved;
	Datum values[2];
	bool isnull;
	Oid result = InvalidOid;

	values[0] = Int64GetDatum(migration_id);
	values[1] = ObjectIdGetDatum(relid);
	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select_leaf, values, NULL, SPI_OK_SELECT) == 1)
		result = DatumGetObjectId(pgxc_sql_value(0, 1, &isnull));
	pgxc_sql_end(&saved);
	return result;
}

/*
 * Update (or, in a verification, read) the first range of the bisection.  The
 * caller's error handler halves it if it fails.  Takes ROW EXCLUSIVE or ACCESS
 * SHARE on the leaf until the end of the transaction, bounded by lock_timeout.
 */
PgxcStep
pgxc_bisect_step(PgxcDrive *drive, const PgxcMigration *migration)
{
	PgxcChunkArgs args = { 0 };
	PgxcChunkOutcome outcome;
	Relation leaf;
	Oid relfilenumber = leaf_relfilenumber(migration->id, drive->bisect_relid);

	drive->work.kind = PGXC_WORK_BISECT;
	drive->work.relid = drive->bisect_relid;
	drive->work.verify = drive->bisect_verify;
	drive->work.range = *(PgxcRange *) linitial(drive->bisect);

	if (pgxc_leaf_open(migration, drive->bisect_relid, relfilenumber,
					   drive->bisect_verify ? AccessShareLock
											: RowExclusiveLock,
					   &leaf) != PGXC_LEAF_OK)
	{
		/* The next chunk of the stripe will see to it. */
		list_free_deep(drive->bisect);
		drive->bisect = NIL;
		if (leaf != NULL)
			relation_close(leaf, NoLock);
		return PGXC_STEP_AGAIN;
	}

	args.range = drive->work.range;
	args.passes = 1;
	args.skip = pgxc_row_error_skip(migration, drive->bisect_relid, args.range);
	pgxc_chunk_measured(drive, migration, leaf,
						drive->bisect_verify ? PGXC_CHUNK_VERIFY
											 : PGXC_CHUNK_UPDATE,
						&args, &outcome);
	if (!drive->bisect_verify)
	{
		pgxc_require_convergence(&outcome);
		pgxc_row_error_count_updates(migration->id, drive->bisect_relid,
									 outcome.rows);
	}
	relation_close(leaf, NoLock);
	return PGXC_STEP_CHUNK;
}

/* Rows updated outside of a stripe count for the leaf at once. */
void
pgxc_row_error_count_updates(int64 migration_id, Oid relid, int64 rows)
{
	static PgxcStatement update =
		PGXC_SQL("UPDATE pgxc.leaf SET rows_updated = rows_updated + $3"
				 " WHERE migration_id = $1 AND relid = $2",
				 INT8OID, OIDOID, INT8OID);
	PgxcIdentity saved;
	Datum values[3];

	if (rows == 0)
		return;
	values[0] = Int64GetDatum(migration_id);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = Int64GetDatum(rows);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/*
 * The rows of a range that are known to fail, as a tid array; NULL if none.
 */
ArrayType *
pgxc_row_error_skip(const PgxcMigration *migration, Oid relid, PgxcRange range)
{
	static PgxcStatement select_rows = PGXC_SQL(
		"SELECT array_agg(row_ctid) FROM pgxc.row_error"
		" WHERE migration_id = $1 AND relid = $2 AND row_ctid >= $3 AND row_ctid < $4",
		INT8OID, OIDOID, TIDOID, TIDOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	ItemPointerData first;
	ItemPointerData end;
	Datum values[4];
	Datum value;
	bool isnull;
	ArrayType *result = NULL;

	if (!migration->has_row_errors)
		return NULL;

	ItemPointerSet(&first, (BlockNumber) (range.first >> 16),
				   (OffsetNumber) (range.first & 0xFFFF));
	ItemPointerSet(&end, (BlockNumber) (range.end >> 16),
				   (OffsetNumber) (range.end & 0xFFFF));
	values[0] = Int64GetDatum(migration->id);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = PointerGetDatum(&first);
	values[3] = PointerGetDatum(&end);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&select_rows, values, NULL, SPI_OK_SELECT);
	value = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		result = DatumGetArrayTypePCopy(value);
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return result;
}

/*
 * Remember a row that cannot be updated.
 */
void
pgxc_row_error_store(const PgxcMigration *migration, Oid relid, uint64 position,
					 const PgxcError *error)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.row_error (migration_id, relid, row_ctid, key, sqlstate, message)"
		" VALUES ($1, $2, $3, $4, $5, $6)"
		" ON CONFLICT (migration_id, relid, row_ctid) DO UPDATE SET key = excluded.key,"
		" sqlstate = excluded.sqlstate, message = excluded.message,"
		" at = clock_timestamp(), recheck = false",
		INT8OID, OIDOID, TIDOID, TEXTOID, TEXTOID, TEXTOID);
	PgxcIdentity saved;
	ItemPointerData tid;
	Datum values[6];
	char nulls[7] = "      ";
	Relation leaf = try_relation_open(relid, AccessShareLock);
	char *key;

	if (leaf == NULL)
		return;
	key = pgxc_row_key(leaf, position);
	relation_close(leaf, NoLock);

	ItemPointerSet(&tid, (BlockNumber) (position >> 16),
				   (OffsetNumber) (position & 0xFFFF));
	values[0] = Int64GetDatum(migration->id);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = PointerGetDatum(&tid);
	values[3] = key ? CStringGetTextDatum(key) : (Datum) 0;
	nulls[3] = key ? ' ' : 'n';
	values[4] = CStringGetTextDatum(error->sqlstate);
	values[5] = CStringGetTextDatum(error->message);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&insert, values, nulls, SPI_OK_INSERT);
	/* No value of the row here: monitors may read events. */
	pgxc_event(migration->id, "row_error", NULL, NULL,
			   psprintf("a row could not be updated: SQLSTATE %s",
						error->sqlstate));
	pgxc_sql_end(&saved);
}

int64
pgxc_row_error_count(int64 migration_id)
{
	static PgxcStatement count =
		PGXC_SQL("SELECT count(*) FROM pgxc.row_error WHERE migration_id = $1",
				 INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration_id);
	int64 result;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&count, &value, NULL, SPI_OK_SELECT);
	result = pgxc_sql_int64(0, 1);
	pgxc_sql_end(&saved);
	return result;
}

/* Have every row that failed tried again. */
void
pgxc_row_error_recheck_all(int64 migration_id)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.row_error SET recheck = true WHERE migration_id = $1 AND NOT recheck",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration_id);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/*
 * Try one of the rows that failed and are marked for it.  Whether it works,
 * or the row has moved since: its entry goes, and whatever still needs the
 * update is found by the sweep or the verification.  Returns PGXC_STEP_DONE
 * if no row is marked.
 */
PgxcStep
pgxc_recheck_step(PgxcDrive *drive, const PgxcMigration *migration)
{
	static PgxcStatement take = PGXC_SQL(
		"DELETE FROM pgxc.row_error WHERE (migration_id, relid, row_ctid) ="
		" (SELECT migration_id, relid, row_ctid FROM pgxc.row_error"
		" WHERE migration_id = $1 AND recheck LIMIT 1 FOR UPDATE SKIP LOCKED)"
		" RETURNING relid, row_ctid",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration->id);
	bool isnull;
	uint64 position;
	Relation leaf;
	PgxcChunkArgs args = { 0 };
	PgxcChunkOutcome outcome;

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&take, &value, NULL, SPI_OK_DELETE_RETURNING) != 1)
	{
		pgxc_sql_end(&saved);
		return PGXC_STEP_DONE;
	}
	drive->work.relid = DatumGetObjectId(pgxc_sql_value(0, 1, &isnull));
	position = PGXC_TID_KEY(
		(ItemPointer) DatumGetPointer(pgxc_sql_value(0, 2, &isnull)));
	pgxc_sql_end(&saved);

	drive->live.activity = PGXC_ACTIVITY_RECHECKING;
	drive->work.kind = PGXC_WORK_RECHECK;
	args.range.first = position;
	args.range.end = position + 1;
	args.passes = 1;
	drive->work.range = args.range;
	if (pgxc_leaf_open(migration, drive->work.relid,
					   leaf_relfilenumber(migration->id, drive->work.relid),
					   RowExclusiveLock, &leaf) == PGXC_LEAF_OK)
	{
		pgxc_chunk_measured(drive, migration, leaf, PGXC_CHUNK_UPDATE, &args,
							&outcome);
		pgxc_require_convergence(&outcome);
		pgxc_row_error_count_updates(migration->id, drive->work.relid,
									 outcome.rows);
	}
	if (leaf != NULL)
		relation_close(leaf, NoLock);
	return PGXC_STEP_CHUNK;
}
