/*
 * drive_error.c
 *		What to do after a step failed.
 *
 * The step's transaction is gone, and with it all that it did.  What the
 * error means decides: come back later and smaller, look for the bad row, wait
 * for the environment, or stop.
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "backfill/drive_error.h"
#include "backfill/drive_statement.h"
#include "backfill/retry.h"
#include "backfill/revisit.h"
#include "backfill/row_errors.h"
#include "core/event_log.h"
#include "core/sql_runner.h"
#include "core/transition.h"

#define CONTENTION_FIRST_MS 20
#define CONTENTION_CAP_MS 5000
#define CONTENTION_PATIENCE 8 /* errors before a range is put off */
#define REVISIT_FIRST_MS 250
#define REVISIT_CAP_MS 30000
#define BLOCKED_FIRST_MS 5000
#define BLOCKED_CAP_MS 300000

static int64
with_jitter(int64 ms)
{
	return ms + (int64) (ms * 0.25 * pg_prng_double(&pg_global_prng_state));
}

/* Let the others pass; the reason is what the views show meanwhile. */
static PgxcStep
come_back_later(PgxcDrive *drive, const char *reason)
{
	drive->wait_ms =
		with_jitter(pgxc_backoff_ms(CONTENTION_FIRST_MS, drive->contention - 1,
									CONTENTION_CAP_MS));
	strlcpy(drive->wait_for, reason, PGXC_REASON_LEN);
	return PGXC_STEP_WAIT;
}

/*
 * For a step that did not get a lock and has thrown nothing: what to return,
 * so that it is tried again after a while that grows with each time.
 */
PgxcStep
pgxc_drive_yield(PgxcDrive *drive, const char *reason)
{
	drive->contention++;
	drive->live.retries++;
	return come_back_later(drive, reason);
}

/*
 * Somebody holds a lock that we want: first pass locked rows by, then take
 * smaller bites, at last put the range off and go on behind it.
 */
static PgxcStep
on_contention(PgxcDrive *drive, const PgxcError *error)
{
	PgxcWork *work = &drive->work;
	int64 blocks =
		PGXC_KEY_BLOCK(work->range.end) - PGXC_KEY_BLOCK(work->range.first);

	drive->contention++;
	drive->live.retries++;

	if (work->kind == PGXC_WORK_REVISIT || work->kind == PGXC_WORK_REVISIT_ROW)
	{
		pgxc_tx_begin(drive->foreground);
		pgxc_revisit_postpone(work->revisit_id,
							  with_jitter(pgxc_backoff_ms(REVISIT_FIRST_MS,
														  pgxc_revisit_tries(
															  work->revisit_id),
														  REVISIT_CAP_MS)),
							  error->message);
		pgxc_tx_commit(drive->foreground);
		return PGXC_STEP_AGAIN;
	}

	if (work->kind == PGXC_WORK_CHUNK)
	{
		if (!drive->pass_locked_by)
		{
			drive->pass_locked_by = true;
			return PGXC_STEP_AGAIN;
		}
		drive->limit_blocks = Max(1, blocks / 2);
		if (drive->contention > CONTENTION_PATIENCE)
			drive->put_off = true;
	}
	return come_back_later(drive, error->message);
}

static void
push_range(PgxcDrive *drive, const PgxcRange *range)
{
	MemoryContext old = MemoryContextSwitchTo(drive->context);
	PgxcRange *copy = palloc(sizeof(PgxcRange));

	*copy = *range;
	drive->bisect = lcons(copy, drive->bisect);
	MemoryContextSwitchTo(old);
}

/* Record the row, and ask for a person if there are too many by now. */
static PgxcStep
record_row(PgxcDrive *drive, const PgxcMigration *migration,
		   const PgxcError *error)
{
	PgxcStep step = PGXC_STEP_AGAIN;
	int64 count;

	pgxc_tx_begin(drive->foreground);
	pgxc_set_local("lock_timeout", "1s");
	pgxc_row_error_store(migration, drive->work.relid, drive->work.range.first,
						 error);
	count = pgxc_row_error_count(migration->id);
	if (count > migration->max_row_errors)
	{
		pgxc_record_error(migration->id, error, 0);
		(void) pgxc_transition(
			migration->id, PGXC_STATE_ATTENTION, NULL,
			psprintf("%lld rows cannot be updated (max_row_errors is %lld)",
					 (long long) count, (long long) migration->max_row_errors));
		step = PGXC_STEP_STOPPED;
	}
	pgxc_tx_commit(drive->foreground);
	return step;
}

/*
 * A row is bad: halve the range until it stands alone.
 */
static PgxcStep
on_row_error(PgxcDrive *drive, const PgxcMigration *migration,
			 const PgxcError *error)
{
	PgxcWork *work = &drive->work;
	PgxcRange low;
	PgxcRange high;

	if (work->kind == PGXC_WORK_BISECT)
	{
		pfree(linitial(drive->bisect));
		drive->bisect = list_delete_first(drive->bisect);
	}
	else
	{
		drive->bisect_relid = work->relid;
		drive->bisect_verify = work->kind == PGXC_WORK_VERIFY;
	}

	if (work->kind == PGXC_WORK_RECHECK ||
		work->kind == PGXC_WORK_REVISIT_ROW ||
		!pgxc_range_split(&work->range, &low, &high))
		return record_row(drive, migration, error);

	push_range(drive, &high);
	push_range(drive, &low);
	drive->live.retries++;
	return PGXC_STEP_AGAIN;
}

/*
 * A reason that monitors may read: the message may hold values of a row.
 */
static char *
reason_of(const PgxcError *error)
{
	return psprintf("error %s, see last_error", error->sqlstate);
}

static PgxcStep
stop_with(PgxcDrive *drive, const PgxcError *error, PgxcState state,
		  const char *reason)
{
	pgxc_tx_begin(drive->foreground);
	if (pgxc_transition(drive->migration_id, state, NULL, reason))
		pgxc_record_error(drive->migration_id, error, 0);
	pgxc_tx_commit(drive->foreground);
	return PGXC_STEP_STOPPED;
}

static PgxcStep
on_environment(PgxcDrive *drive, const PgxcMigration *migration,
			   const PgxcError *error)
{
	int tries = migration ? migration->blocked_tries : 0;

	drive->wait_ms =
		with_jitter(pgxc_backoff_ms(BLOCKED_FIRST_MS, tries, BLOCKED_CAP_MS));
	pgxc_tx_begin(drive->foreground);
	pgxc_record_error(drive->migration_id, error,
					  TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												  drive->wait_ms));
	(void) pgxc_transition(drive->migration_id, PGXC_STATE_BLOCKED, NULL,
						   reason_of(error));
	pgxc_tx_commit(drive->foreground);
	return PGXC_STEP_BLOCKED;
}

static PgxcStep
decide(PgxcDrive *drive, const PgxcMigration *migration, const PgxcError *error)
{
	PgxcErrorClass error_class = pgxc_error_class(error->sqlerrcode);

	/* The rows do not allow what was to be built on them. */
	if (error_class == PGXC_ERROR_ROW && drive->statement != NULL)
		return stop_with(drive, error, PGXC_STATE_ATTENTION,
						 psprintf("cannot %s, see last_error",
								  drive->statement->purpose));

	/* Nobody's row can be at fault where no row was touched. */
	if (error_class == PGXC_ERROR_ROW &&
		(drive->work.kind == PGXC_WORK_OTHER || migration == NULL))
		error_class = PGXC_ERROR_DEFINITION;

	switch (error_class)
	{
		case PGXC_ERROR_CONTENTION:
			return on_contention(drive, error);
		case PGXC_ERROR_ROW:
			return on_row_error(drive, migration, error);
		case PGXC_ERROR_ENVIRONMENT:
			return on_environment(drive, migration, error);
		case PGXC_ERROR_OPERATOR:
			/* Or one of us, who has changed the state. */
			if (pgxc_slot_take_interrupt(drive->slot))
				return PGXC_STEP_AGAIN;
			return stop_with(drive, error, PGXC_STATE_PAUSED,
							 "its statement was cancelled by an administrator");
		case PGXC_ERROR_DEFINITION:
		case PGXC_ERROR_CORRUPTION:
			break;
	}
	return stop_with(drive, error, PGXC_STATE_FAILED, reason_of(error));
}

/*
 * Decide what to do about an error, and write down what must be.  To be called
 * after the transaction was aborted.  If even that cannot be written (no disk
 * space, say), the step is tried again in a while.
 */
PgxcStep
pgxc_drive_error(PgxcDrive *drive, const PgxcMigration *migration,
				 PgxcError *error)
{
	volatile PgxcStep step = PGXC_STEP_WAIT;

	PG_TRY();
	{
		step = decide(drive, migration, error);
	}
	PG_CATCH();
	{
		PgxcError *second = pgxc_error_capture(drive->step_context);

		pgxc_tx_abort(drive->foreground);
		ereport(
			LOG,
			(errmsg("pgxc could not record an error of migration " INT64_FORMAT
					": %s",
					drive->migration_id, second->message),
			 errdetail("The error was: %s", error->message)));
		strlcpy(drive->live.wait_reason, error->message, PGXC_REASON_LEN);
		drive->wait_ms = BLOCKED_FIRST_MS;
		step = PGXC_STEP_WAIT;
	}
	PG_END_TRY();

	MemoryContextSwitchTo(drive->step_context);
	return step;
}
