/*
 * chunk.c
 *		One chunk of a stripe: what is next, do it, store how far it came.
 *
 * A stripe is worked through in windows of some hundred blocks, and a window
 * in several passes: pass j takes only the rows whose line pointer is j modulo
 * the number of passes.  What pass j - 1 left dead is pruned when pass j
 * visits the page, so that the new versions fit in place and no index is
 * touched.  All passes of a window are done before the next one begins, so
 * that each page is written to WAL as a whole once.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/instrument.h"
#include "optimizer/plancat.h"
#include "portability/instr_time.h"
#include "storage/bufmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "backfill/chunk.h"
#include "backfill/leaf_tables.h"
#include "backfill/revisit.h"
#include "backfill/row_errors.h"
#include "backfill/stripe.h"
#include "backfill/verify.h"
#include "core/compat.h"
#include "core/transition.h"

#define MAX_ATTEMPTS 3   /* crashes on one stripe before a person is asked */
#define MAX_WINDOW 16384 /* blocks */

/*
 * The statement that a chunk runs, with its time and WAL measured.
 */
void
pgxc_chunk_measured(PgxcDrive *drive, const PgxcMigration *migration,
					Relation leaf, PgxcChunkKind kind,
					const PgxcChunkArgs *args, PgxcChunkOutcome *outcome)
{
	instr_time start;
	instr_time end;
	uint64 wal_before = pgWalUsage.wal_bytes;

	drive->live.relid = RelationGetRelid(leaf);
	drive->signals.leaf = RelationGetRelid(leaf);
	drive->signals.tablespace = pgxc_relation_tablespace(leaf);
	drive->signals.autovacuum =
		leaf->rd_options == NULL ||
		((StdRdOptions *) leaf->rd_options)->autovacuum.enabled;
	pgxc_signals_chunk_begin(&drive->signals);
	INSTR_TIME_SET_CURRENT(start);
	pgxc_chunk_execute(migration, leaf, kind, args, outcome);
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	pgxc_signals_chunk_end(&drive->signals, INSTR_TIME_GET_MILLISEC(end));

	drive->busy_ms += INSTR_TIME_GET_MILLISEC(end);
	drive->result.ms += INSTR_TIME_GET_MILLISEC(end);
	drive->result.wal_bytes += pgWalUsage.wal_bytes - wal_before;
	drive->result.blocks += Max(1, PGXC_KEY_BLOCK(args->range.end) -
									   PGXC_KEY_BLOCK(args->range.first));
	drive->result.rows += outcome->rows;
}

/*
 * Throw unless every updated row is done: an assignment such as
 * "price = price * 2" would go on for ever.  The chunk is rolled back.
 */
void
pgxc_require_convergence(const PgxcChunkOutcome *outcome)
{
	if (outcome->unchanged > 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the assignments do not converge"),
			 errdetail(
				 "%lld of %lld rows would still need the update after it; the chunk was rolled back.",
				 (long long) outcome->unchanged, (long long) outcome->rows),
			 errhint(
				 "Pass a predicate that is false once a row is updated. A trigger may also have changed the row.")));
}

/*
 * How many rows fit on a page of this table, as far as statistics know.
 */
static double
rows_per_block(Relation leaf)
{
	if (leaf->rd_rel->reltuples > 0 && leaf->rd_rel->relpages > 0)
		return leaf->rd_rel->reltuples / leaf->rd_rel->relpages;
	return PGXC_DEFAULT_PASSES;
}

/*
 * How many blocks of the leaf a chunk of "passes_now" of "passes" may have at
 * most.  An average over its pages would not do: some may be almost empty.
 */
int64
pgxc_chunk_most_blocks(Relation leaf, double row_bytes, int passes_now,
					   int passes)
{
	double full =
		(BLCKSZ - SizeOfPageHeaderData) / (row_bytes + sizeof(ItemIdData));
	double rows = Min(Max(full, rows_per_block(leaf)), MaxHeapTuplesPerPage);

	return (int64) pgxc_most_blocks(ceil(rows * passes_now / passes),
									row_bytes);
}

/* The bytes of an average row on its page, as far as statistics know. */
double
pgxc_chunk_row_bytes(Relation leaf)
{
	return MAXALIGN(SizeofHeapTupleHeader) +
		   MAXALIGN(get_rel_data_width(leaf, NULL));
}

static bool
assigns_indexed_column(const PgxcMigration *migration, Relation leaf)
{
	Bitmapset *attrs = pgxc_hot_blocking_attrs(leaf);
	ListCell *lc;

	foreach (lc, migration->columns)
	{
		AttrNumber attnum =
			get_attnum(RelationGetRelid(leaf), (char *) lfirst(lc));

		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, attrs))
			return true;
	}
	return false;
}

static void
open_window(PgxcDrive *drive, const PgxcMigration *migration, Relation leaf,
			PgxcStripe *stripe)
{
	int64 cap = Max(PGXC_MIN_WINDOW, Min(MAX_WINDOW, NBuffers / 8));
	double lag;
	int64 blocks;

	/* Before the horizon is looked at, or it would seem older than the pass. */
	drive->pass_started_at = GetCurrentTimestamp();
	lag = pgxc_horizon_lag_ms(&drive->signals, leaf);
	blocks = pgxc_choose_window(drive->update_sizer.next,
								drive->live.blocks_per_second *
									Max(drive->live.passes, 1) / 1000,
								lag, cap);
	stripe->passes =
		pgxc_choose_passes(migration->passes,
						   assigns_indexed_column(migration, leaf), blocks == 0,
						   RelationGetFillFactor(leaf, HEAP_DEFAULT_FILLFACTOR),
						   rows_per_block(leaf));
	if (blocks == 0)
		blocks = Max(PGXC_MIN_WINDOW, (int64) drive->update_sizer.next);
	stripe->window_blocks =
		Min(blocks, stripe->end_block - stripe->window_start);
	stripe->pass = 0;
	stripe->pass_to = 0;
	stripe->next_block = stripe->window_start;
	drive->window_rows = 0;
}

/*
 * Skip what is done already: move an empty window forward to the first row
 * that needs work.  Returns true if the cursor stands at such a row's block.
 */
static bool
seek(PgxcDrive *drive, const PgxcMigration *migration, Relation leaf,
	 PgxcStripe *stripe)
{
	int64 blocks = Max(1, (int64) drive->verify_sizer.next);
	int64 end = Min(stripe->window_start + blocks, stripe->end_block);
	PgxcChunkArgs args = { { PGXC_BLOCK_KEY(stripe->window_start),
							 PGXC_BLOCK_KEY(end) },
						   1,
						   0,
						   0,
						   NULL };
	PgxcChunkOutcome outcome;
	int64 wal_bytes;

	args.skip = pgxc_row_error_skip(migration, stripe->relid, args.range);
	drive->work.range = args.range;
	drive->sizer = &drive->verify_sizer;
	pgxc_chunk_measured(drive, migration, leaf, PGXC_CHUNK_SEEK, &args,
						&outcome);
	if (outcome.needing > 0)
	{
		stripe->window_start = PGXC_KEY_BLOCK(outcome.first);
		stripe->next_block = stripe->window_start;
		/* For the size of the chunk it is nothing, but its WAL is written. */
		wal_bytes = drive->result.wal_bytes;
		memset(&drive->result, 0, sizeof(drive->result));
		drive->result.wal_bytes = wal_bytes;
		return true;
	}
	stripe->window_start = end;
	stripe->next_block = end;
	return false;
}

/*
 * Can the next pass not use the room that this one leaves, because a snapshot
 * that is older than the pass still needs the old versions?
 */
static bool
pass_left_no_room(PgxcDrive *drive, Relation leaf)
{
	double lag = pgxc_horizon_lag_ms(&drive->signals, leaf);
	double pass_ms = (GetCurrentTimestamp() - drive->pass_started_at) / 1000.0;

	return drive->pass_started_at != 0 && lag > pass_ms;
}

/*
 * Move the cursor past a chunk that reached "end".  After a first pass that
 * found little to do, or while the horizon is held, the other passes are done
 * in one.
 */
static void
advance(PgxcDrive *drive, Relation leaf, PgxcStripe *stripe, int64 end,
		int64 rows)
{
	int64 window_end = stripe->window_start + stripe->window_blocks;

	if (stripe->pass == 0 && drive->window_rows >= 0)
		drive->window_rows += rows;

	stripe->next_block = end;
	if (end < window_end)
		return;

	stripe->next_block = stripe->window_start;
	stripe->pass = stripe->pass_to + 1;
	if (stripe->pass < stripe->passes)
	{
		bool at_once =
			drive->window_rows >= 0 &&
			drive->window_rows * stripe->passes < stripe->window_blocks;

		at_once |= pass_left_no_room(drive, leaf);
		stripe->pass_to = at_once ? stripe->passes - 1 : stripe->pass;
		drive->pass_started_at = GetCurrentTimestamp();
		return;
	}

	drive->sparse = drive->window_rows >= 0 &&
					drive->window_rows * stripe->passes < stripe->window_blocks;
	stripe->window_start = window_end;
	stripe->window_blocks = 0;
	stripe->passes = 0;
	stripe->pass = 0;
	stripe->pass_to = 0;
	stripe->next_block = window_end;
}

static void
update_chunk(PgxcDrive *drive, const PgxcMigration *migration, Relation leaf,
			 PgxcStripe *stripe, PgxcStripeProgress *progress)
{
	int64 window_end;
	int64 blocks;
	int64 end;
	PgxcChunkArgs args = { 0 };
	PgxcChunkOutcome outcome;

	if (stripe->window_blocks == 0)
	{
		if (drive->sparse && !seek(drive, migration, leaf, stripe))
			return;
		open_window(drive, migration, leaf, stripe);
	}

	window_end = stripe->window_start + stripe->window_blocks;
	if (drive->row_bytes == 0)
		drive->row_bytes = pgxc_chunk_row_bytes(leaf);
	blocks = Max(1, (int64) drive->update_sizer.next);
	blocks =
		Min(blocks, pgxc_chunk_most_blocks(leaf, drive->row_bytes,
										   stripe->pass_to - stripe->pass + 1,
										   stripe->passes));
	if (drive->limit_blocks > 0)
		blocks = Min(blocks, drive->limit_blocks);
	end = Min(stripe->next_block + blocks, window_end);

	args.range.first = PGXC_BLOCK_KEY(stripe->next_block);
	args.range.end = PGXC_BLOCK_KEY(end);
	args.passes = stripe->passes;
	args.pass_from = stripe->pass;
	args.pass_to = stripe->pass_to;
	args.skip = pgxc_row_error_skip(migration, stripe->relid, args.range);
	drive->work.range = args.range;
	drive->live.passes = stripe->passes;
	drive->live.pass = stripe->pass + 1;
	drive->live.chunk_blocks = end - stripe->next_block;

	drive->sizer = &drive->update_sizer;
	if (drive->put_off)
	{
		pgxc_revisit_add(migration->id, stripe->relid, stripe->next_block, end,
						 "lock conflicts");
		advance(drive, leaf, stripe, end, 0);
		return;
	}

	pgxc_chunk_measured(drive, migration, leaf,
						drive->pass_locked_by ? PGXC_CHUNK_UPDATE_UNLOCKED
											  : PGXC_CHUNK_UPDATE,
						&args, &outcome);
	pgxc_require_convergence(&outcome);
	progress->rows_updated = outcome.rows;

	if (drive->pass_locked_by)
	{
		PgxcChunkOutcome rest;

		pgxc_chunk_execute(migration, leaf, PGXC_CHUNK_SEEK, &args, &rest);
		if (rest.needing > 0)
			pgxc_revisit_add(migration->id, stripe->relid,
							 PGXC_KEY_BLOCK(rest.first), end, "locked rows");
	}
	advance(drive, leaf, stripe, end, outcome.rows);
}

/*
 * Get the stripe that this drive holds, or take one.  Returns false if there
 * is nothing to take; *step then says what to do instead.
 */
static bool
take_stripe(PgxcDrive *drive, const PgxcMigration *migration,
			PgxcStripe *stripe, PgxcStep *step)
{
	if (drive->live.stripe_id != 0)
	{
		if (pgxc_stripe_lock(drive->live.stripe_id, stripe))
			return true;
		/* It is gone (a rewritten leaf), or another process took it up. */
		drive->live.stripe_id = 0;
		*step = PGXC_STEP_AGAIN;
		return false;
	}

	drive->sparse =
		!migration->verifying; /* see whether there is work at all */
	drive->window_rows = -1;
	drive->pass_started_at = 0;
	drive->row_bytes = 0;

	if (pgxc_stripe_adopt(migration->id, stripe))
	{
		drive->live.stripe_id = stripe->id;
		*step = PGXC_STEP_AGAIN;
		if (stripe->attempts > MAX_ATTEMPTS)
		{
			(void) pgxc_transition(
				migration->id, PGXC_STATE_ATTENTION, NULL,
				psprintf(
					"the server crashed %d times at blocks %lld to %lld of table with OID %u",
					stripe->attempts - 1, (long long) stripe->next_block,
					(long long) stripe->end_block, stripe->relid));
			*step = PGXC_STEP_STOPPED;
		}
		return false;
	}
	if (pgxc_stripe_carve(migration->id, &drive->live.stripe_id))
	{
		*step = PGXC_STEP_AGAIN;
		return false;
	}
	if (pgxc_stripe_rest(migration->id) == PGXC_STRIPES_TAKEN)
	{
		drive->wait_ms = 100;
		*step = PGXC_STEP_WAIT;
		return false;
	}

	*step = pgxc_revisit_step(drive, migration);
	if (*step == PGXC_STEP_DONE)
		*step = migration->verifying ? pgxc_verify_end(drive, migration)
									 : pgxc_verify_begin(drive, migration);
	return false;
}

/*
 * Do the next chunk of the migration, in the current transaction.
 *
 * Takes ROW EXCLUSIVE (a verification: ACCESS SHARE) on one leaf table, until
 * the end of the transaction, bounded by lock_timeout.
 */
PgxcStep
pgxc_chunk_step(PgxcDrive *drive, const PgxcMigration *migration)
{
	PgxcStripe stripe;
	PgxcStripeProgress progress = { 0 };
	PgxcStep step;
	Relation leaf;

	if (!take_stripe(drive, migration, &stripe, &step))
		return step;

	drive->work.kind =
		migration->verifying ? PGXC_WORK_VERIFY : PGXC_WORK_CHUNK;
	drive->work.relid = stripe.relid;
	drive->work.stripe_id = stripe.id;
	drive->work.attempts = stripe.attempts;
	drive->live.activity =
		migration->verifying ? PGXC_ACTIVITY_VERIFYING : PGXC_ACTIVITY_UPDATING;

	switch (pgxc_leaf_open(migration, stripe.relid, stripe.relfilenumber,
						   migration->verifying ? AccessShareLock
												: RowExclusiveLock,
						   &leaf))
	{
		case PGXC_LEAF_GONE:
			pgxc_leaf_gone(migration, stripe.relid);
			drive->live.stripe_id = 0;
			return PGXC_STEP_AGAIN;
		case PGXC_LEAF_REWRITTEN:
			pgxc_leaf_rewritten(migration, leaf);
			relation_close(leaf, NoLock);
			drive->live.stripe_id = 0;
			return PGXC_STEP_AGAIN;
		case PGXC_LEAF_OK:
			break;
	}

	if (stripe.window_start < stripe.end_block)
	{
		if (migration->verifying)
			pgxc_verify_chunk(drive, migration, leaf, &stripe, &progress);
		else
			update_chunk(drive, migration, leaf, &stripe, &progress);
	}
	progress.wal_bytes = drive->result.wal_bytes;
	pgxc_stripe_save(&stripe, &progress);
	if (stripe.window_start >= stripe.end_block)
	{
		pgxc_stripe_finish(migration->id, &stripe);
		drive->live.stripe_id = 0;
	}
	relation_close(leaf, NoLock);
	return PGXC_STEP_CHUNK;
}
