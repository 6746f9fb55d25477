/*
 * revisit.c
 *		Ranges of blocks that a chunk could not finish: some of their rows
 *		were locked, or a verification found rows to update.
 *
 * A range gets here in the transaction that moves the cursor over it, so
 * nothing is ever forgotten.  First everything in it that is not locked is
 * updated.  Only when nothing else is left does the worker wait for a row, one
 * row in a transaction, so that it holds no other row lock meanwhile and no
 * cycle of waiting can arise.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "storage/lockdefs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "backfill/chunk.h"
#include "backfill/leaf_tables.h"
#include "backfill/revisit.h"
#include "backfill/row_errors.h"
#include "core/sql_runner.h"

typedef struct RevisitRange
{
	int64 id;
	Oid relid;
	Oid relfilenumber;
	int64 first_block;
	int64 end_block;
} RevisitRange;

/*
 * Remember a range, in the current transaction.
 */
void
pgxc_revisit_add(int64 migration_id, Oid relid, int64 first_block,
				 int64 end_block, const char *reason)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.revisit (migration_id, relid, first_block, end_block, reason)"
		" VALUES ($1, $2, $3, $4, $5)",
		INT8OID, OIDOID, INT8OID, INT8OID, TEXTOID);
	PgxcIdentity saved;
	Datum values[5];

	values[0] = Int64GetDatum(migration_id);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = Int64GetDatum(first_block);
	values[3] = Int64GetDatum(end_block);
	values[4] = CStringGetTextDatum(reason);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&insert, values, NULL, SPI_OK_INSERT);
	pgxc_sql_end(&saved);
}

/*
 * Put a range off: it is tried again after ms milliseconds.
 */
void
pgxc_revisit_postpone(int64 id, int64 ms, const char *reason)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.revisit SET tries = tries + 1, reason = $3,"
		" not_before = clock_timestamp() + make_interval(secs => $2 / 1000.0)"
		" WHERE id = $1",
		INT8OID, INT8OID, TEXTOID);
	PgxcIdentity saved;
	Datum values[3];

	values[0] = Int64GetDatum(id);
	values[1] = Int64GetDatum(ms);
	values[2] = CStringGetTextDatum(reason);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

int
pgxc_revisit_tries(int64 id)
{
	static PgxcStatement select_tries =
		PGXC_SQL("SELECT tries FROM pgxc.revisit WHERE id = $1", INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);
	bool isnull;
	int tries = 0;

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select_tries, &value, NULL, SPI_OK_SELECT) == 1)
		tries = DatumGetInt32(pgxc_sql_value(0, 1, &isnull));
	pgxc_sql_end(&saved);
	return tries;
}

/* Move the beginning of a range forward; a range that is empty goes. */
static void
shrink(const RevisitRange *range, int64 first_block)
{
	static PgxcStatement update =
		PGXC_SQL("UPDATE pgxc.revisit SET first_block = $2 WHERE id = $1",
				 INT8OID, INT8OID);
	static PgxcStatement delete =
		PGXC_SQL("DELETE FROM pgxc.revisit WHERE id = $1", INT8OID);
	PgxcIdentity saved;
	Datum values[2];

	values[0] = Int64GetDatum(range->id);
	values[1] = Int64GetDatum(first_block);
	pgxc_sql_begin(&saved);
	if (first_block < range->end_block)
		(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	else
		(void) pgxc_sql_execute(&delete, values, NULL, SPI_OK_DELETE);
	pgxc_sql_end(&saved);
}

/*
 * Lock the first range that is due.  Otherwise returns false, with *wait_ms:
 * 0 if there is no range at all.
 */
static bool
take_range(int64 migration_id, RevisitRange *range, int64 *wait_ms)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT r.id, r.relid, l.relfilenumber, r.first_block, r.end_block"
		" FROM pgxc.revisit r JOIN pgxc.leaf l USING (migration_id, relid)"
		" WHERE r.migration_id = $1 AND r.not_before <= clock_timestamp()"
		" ORDER BY r.not_before, r.id LIMIT 1 FOR NO KEY UPDATE OF r SKIP LOCKED",
		INT8OID);
	static PgxcStatement next_due = PGXC_SQL(
		"SELECT greatest(extract(epoch FROM min(not_before) - clock_timestamp()) * 1000, 10)::bigint"
		" FROM pgxc.revisit WHERE migration_id = $1 HAVING count(*) > 0",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration_id);
	bool isnull;
	bool found;

	pgxc_sql_begin(&saved);
	found = pgxc_sql_execute(&find, &value, NULL, SPI_OK_SELECT) == 1;
	if (found)
	{
		range->id = pgxc_sql_int64(0, 1);
		range->relid = DatumGetObjectId(pgxc_sql_value(0, 2, &isnull));
		range->relfilenumber = DatumGetObjectId(pgxc_sql_value(0, 3, &isnull));
		range->first_block = pgxc_sql_int64(0, 4);
		range->end_block = pgxc_sql_int64(0, 5);
	}
	else
	{
		*wait_ms = 0;
		if (pgxc_sql_execute(&next_due, &value, NULL, SPI_OK_SELECT) == 1)
			*wait_ms = pgxc_sql_int64(0, 1);
	}
	pgxc_sql_end(&saved);
	return found;
}

/*
 * Wait for one row, in the last statement of this transaction that locks any.
 * Returns false if nobody but a trigger kept it from being updated.
 */
static bool
update_one_row(PgxcDrive *drive, const PgxcMigration *migration, Relation leaf,
			   uint64 position, PgxcChunkOutcome *outcome)
{
	PgxcChunkArgs args = { { position, position + 1 }, 1, 0, 0, NULL };
	PgxcChunkOutcome rest;
	char timeout[32];

	drive->work.kind = PGXC_WORK_REVISIT_ROW;
	drive->work.range = args.range;
	snprintf(timeout, sizeof(timeout), "%dms", migration->target_chunk_ms);
	pgxc_set_local("lock_timeout", timeout);
	pgxc_chunk_measured(drive, migration, leaf, PGXC_CHUNK_UPDATE, &args,
						outcome);
	pgxc_require_convergence(outcome);
	if (outcome->rows > 0)
		return true;

	/* Had it been updated by somebody else, it would stand elsewhere now. */
	pgxc_chunk_execute(migration, leaf, PGXC_CHUNK_SEEK, &args, &rest);
	return rest.needing == 0;
}

static PgxcStep
work_on_range(PgxcDrive *drive, const PgxcMigration *migration, Relation leaf,
			  const RevisitRange *range)
{
	int64 blocks = Max(1, (int64) drive->update_sizer.next);
	int64 end;
	PgxcChunkArgs args = { 0 };
	PgxcChunkOutcome outcome;
	PgxcChunkOutcome rest;

	blocks =
		Min(blocks,
			pgxc_chunk_most_blocks(leaf, pgxc_chunk_row_bytes(leaf), 1, 1));
	if (drive->limit_blocks > 0)
		blocks = Min(blocks, drive->limit_blocks);
	end = Min(range->first_block + blocks, range->end_block);
	args.range.first = PGXC_BLOCK_KEY(range->first_block);
	args.range.end = PGXC_BLOCK_KEY(end);
	args.passes = 1;
	args.skip = pgxc_row_error_skip(migration, range->relid, args.range);
	drive->work.range = args.range;

	drive->sizer = &drive->update_sizer;
	pgxc_chunk_measured(drive, migration, leaf, PGXC_CHUNK_UPDATE_UNLOCKED,
						&args, &outcome);
	pgxc_require_convergence(&outcome);
	pgxc_chunk_execute(migration, leaf, PGXC_CHUNK_SEEK, &args, &rest);
	if (rest.needing == 0)
		shrink(range, end);
	else if (outcome.rows > 0)
		shrink(range, PGXC_KEY_BLOCK(rest.first));
	else if (!update_one_row(drive, migration, leaf, rest.first, &outcome))
	{
		/* Once more in vain would be for ever: leave it to verification. */
		shrink(range, PGXC_KEY_BLOCK(rest.first) + 1);
	}
	pgxc_row_error_count_updates(migration->id, range->relid, outcome.rows);
	return PGXC_STEP_CHUNK;
}

/*
 * Do some work on a range that is due.  Returns PGXC_STEP_DONE if no range is
 * left at all, and PGXC_STEP_WAIT if none is due.
 *
 * Takes ROW EXCLUSIVE on the leaf until the end of the transaction, bounded by
 * lock_timeout.
 */
PgxcStep
pgxc_revisit_step(PgxcDrive *drive, const PgxcMigration *migration)
{
	RevisitRange range;
	Relation leaf;
	PgxcStep step;
	int64 wait_ms = 0;

	if (migration->verifying)
		return PGXC_STEP_DONE; /* its finds wait for the end of the round */
	if (!take_range(migration->id, &range, &wait_ms))
	{
		if (wait_ms == 0)
			return PGXC_STEP_DONE;
		drive->wait_ms = Min(wait_ms, 1000);
		return PGXC_STEP_WAIT;
	}

	drive->live.activity = PGXC_ACTIVITY_REVISITING;
	drive->work.kind = PGXC_WORK_REVISIT;
	drive->work.relid = range.relid;
	drive->work.revisit_id = range.id;

	switch (pgxc_leaf_open(migration, range.relid, range.relfilenumber,
						   RowExclusiveLock, &leaf))
	{
		case PGXC_LEAF_GONE:
			pgxc_leaf_gone(migration, range.relid);
			return PGXC_STEP_AGAIN;
		case PGXC_LEAF_REWRITTEN:
			pgxc_leaf_rewritten(migration, leaf);
			relation_close(leaf, NoLock);
			return PGXC_STEP_AGAIN;
		case PGXC_LEAF_OK:
			break;
	}
	step = work_on_range(drive, migration, leaf, &range);
	relation_close(leaf, NoLock);
	return step;
}
