/*
 * verify.c
 *		Reading every row before a migration is called done.
 *
 * A verification is a sweep of its own over all leaf tables as they are by
 * then, with all the blocks that they have by then.  What it finds in need of
 * work goes to the list of ranges to revisit; after that, everything is read
 * again.  Only a sweep that found nothing ends the migration.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "backfill/chunk.h"
#include "backfill/leaf_tables.h"
#include "backfill/old_snapshots.h"
#include "backfill/retry.h"
#include "backfill/revisit.h"
#include "backfill/row_errors.h"
#include "backfill/verify.h"
#include "core/event_log.h"
#include "core/sql_runner.h"
#include "core/transition.h"

#define MAX_ROUNDS 5 /* before a person is asked */
#define SNAPSHOT_FIRST_MS 20
#define SNAPSHOT_CAP_MS 1000

/*
 * Lock the migration's row and check that it still is at the step that this
 * transaction saw: of several workers, one turns the page.
 */
static bool
lock_step(const PgxcMigration *migration)
{
	static PgxcStatement lock_row = PGXC_SQL(
		"SELECT step = $2 AND round = $3 FROM pgxc.migration WHERE id = $1 FOR NO KEY UPDATE",
		INT8OID, TEXTOID, INT4OID);
	PgxcIdentity saved;
	Datum values[3];
	bool isnull;
	bool same;

	values[0] = Int64GetDatum(migration->id);
	values[1] = CStringGetTextDatum(migration->verifying ? "verify" : "update");
	values[2] = Int32GetDatum(migration->round);
	pgxc_sql_begin(&saved);
	same = pgxc_sql_execute(&lock_row, values, NULL, SPI_OK_SELECT) == 1 &&
		   DatumGetBool(pgxc_sql_value(0, 1, &isnull));
	pgxc_sql_end(&saved);
	return same;
}

static void
set_step(const PgxcMigration *migration, const char *step, int round)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET step = $2, round = $3,"
		" unconverted_seen = CASE WHEN $2 = 'verify' THEN (SELECT count(*) FROM pgxc.event e"
		" WHERE e.migration_id = $1 AND e.event = 'unconverted') ELSE unconverted_seen END"
		" WHERE id = $1",
		INT8OID, TEXTOID, INT4OID);
	PgxcIdentity saved;
	Datum values[3];

	values[0] = Int64GetDatum(migration->id);
	values[1] = CStringGetTextDatum(step);
	values[2] = Int32GetDatum(round);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/*
 * All blocks were updated: look for new leaf tables, and if there are none,
 * start to verify.
 */
PgxcStep
pgxc_verify_begin(PgxcDrive *drive, const PgxcMigration *migration)
{
	if (!lock_step(migration))
		return PGXC_STEP_AGAIN;
	if (pgxc_leaf_sync(migration, false) > 0)
		return PGXC_STEP_AGAIN;
	if (migration->dual_write && pgxc_build_stage != NULL)
	{
		PgxcStep step = pgxc_build_stage(drive, migration);

		if (step != PGXC_STEP_DONE)
			return step;
	}

	pgxc_old_snapshots_forget(drive);
	pgxc_row_error_recheck_all(migration->id);
	(void) pgxc_leaf_sync(migration, true);
	set_step(migration, "verify", migration->round + 1);
	pgxc_event(migration->id, "verify", NULL, NULL,
			   psprintf("round %d: reading every row", migration->round + 1));
	return PGXC_STEP_AGAIN;
}

/*
 * Read the next range of a stripe, and note what needs work.
 */
void
pgxc_verify_chunk(PgxcDrive *drive, const PgxcMigration *migration,
				  Relation leaf, PgxcStripe *stripe,
				  PgxcStripeProgress *progress)
{
	int64 blocks = Max(1, (int64) drive->verify_sizer.next);
	int64 end;
	PgxcChunkArgs args = { 0 };
	PgxcChunkOutcome outcome;

	if (drive->limit_blocks > 0)
		blocks = Min(blocks, drive->limit_blocks);
	end = Min(stripe->window_start + blocks, stripe->end_block);
	args.range.first = PGXC_BLOCK_KEY(stripe->window_start);
	args.range.end = PGXC_BLOCK_KEY(end);
	args.passes = 1;
	args.skip = pgxc_row_error_skip(migration, stripe->relid, args.range);
	drive->work.range = args.range;
	drive->live.passes = 1;
	drive->live.pass = 1;
	drive->live.chunk_blocks = end - stripe->window_start;

	drive->sizer = &drive->verify_sizer;
	pgxc_chunk_measured(drive, migration, leaf, PGXC_CHUNK_VERIFY, &args,
						&outcome);
	drive->result.rows = 0; /* a read is bounded by time alone */
	if (outcome.needing > 0)
		pgxc_revisit_add(migration->id, stripe->relid,
						 PGXC_KEY_BLOCK(outcome.first),
						 PGXC_KEY_BLOCK(outcome.last) + 1,
						 "found by verification");
	progress->rows_verified = outcome.rows;
	progress->mismatches = outcome.needing;
	stripe->window_start = end;
	stripe->next_block = end;
}

/*
 * Verified: what has nothing to contract is done, everything else is ready to
 * be contracted.
 */
static void
end_migration(const PgxcMigration *migration)
{
	static PgxcStatement note_verified = PGXC_SQL(
		"UPDATE pgxc.migration m SET verified_at = clock_timestamp(),"
		" verified_rows ="
		" (SELECT coalesce(sum(l.rows_verified), 0) FROM pgxc.leaf l WHERE l.migration_id = m.id AND NOT l.gone)"
		" WHERE m.id = $1",
		INT8OID);
	int64 errors = pgxc_row_error_count(migration->id);
	const char *reason =
		errors == 0
			? "every row was read and none needs the update"
			: psprintf("every row was read; %lld rows could not be updated",
					   (long long) errors);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration->id);

	if (!migration->dual_write)
	{
		(void) pgxc_transition(migration->id, PGXC_STATE_FINISHED, "done",
							   reason);
		return;
	}
	if (!pgxc_transition(migration->id, PGXC_STATE_READY, NULL, reason))
		return;
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&note_verified, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/* Whoever sees the table as it was before the rows were filled goes first. */
static PgxcStep
wait_for_snapshots(PgxcDrive *drive, const char *holders)
{
	drive->wait_ms =
		pgxc_backoff_ms(SNAPSHOT_FIRST_MS, drive->snapshot_tries - 1,
						SNAPSHOT_CAP_MS);
	snprintf(drive->wait_for, PGXC_REASON_LEN,
			 "a snapshot from before the rows were filled, of %s", holders);
	return PGXC_STEP_WAIT;
}

/*
 * Every row was read: done, or once more around.
 */
PgxcStep
pgxc_verify_end(PgxcDrive *drive, const PgxcMigration *migration)
{
	int64 mismatches;

	if (!lock_step(migration))
		return PGXC_STEP_AGAIN;

	mismatches = pgxc_leaf_mismatches(migration->id);
	if (mismatches == 0)
	{
		if (migration->dual_write && !migration->keep_old)
		{
			char *holders = pgxc_old_snapshots_holders(drive);

			if (holders != NULL)
				return wait_for_snapshots(drive, holders);
		}
		end_migration(migration);
		return PGXC_STEP_DONE;
	}

	pgxc_event(migration->id, "verify", NULL, NULL,
			   psprintf("round %d: %lld rows need the update", migration->round,
						(long long) mismatches));
	if (migration->round % MAX_ROUNDS == 0)
	{
		set_step(migration, "update", migration->round);
		(void) pgxc_transition(
			migration->id, PGXC_STATE_ATTENTION, NULL,
			psprintf(
				"after %d rounds %lld rows still need the update: something keeps writing such rows, or a trigger undoes the update",
				migration->round, (long long) mismatches));
		return PGXC_STEP_STOPPED;
	}
	set_step(migration, "update", migration->round);
	return PGXC_STEP_AGAIN;
}
