/*
 * drive.c
 *		Driving one migration: the loop around chunks.
 *
 * Each step is one transaction and looks at the migration's row first, so a
 * change of state or of a parameter takes effect within one chunk.  What is
 * learnt from an error (smaller, later, without the locked rows, half of the
 * range) is kept in memory only: whoever comes after a crash learns it again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/pmsignal.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "backfill/chunk.h"
#include "backfill/drive.h"
#include "backfill/drive_error.h"
#include "backfill/drive_pace.h"
#include "backfill/drive_statement.h"
#include "backfill/leaf_tables.h"
#include "backfill/row_errors.h"
#include "core/compat.h"
#include "core/event_log.h"
#include "core/extension.h"
#include "core/sql_runner.h"
#include "core/transition.h"

/* So long may a statement of a chunk wait for any lock, a row's included. */
#define CHUNK_LOCK_TIMEOUT "20ms"

PgxcStage pgxc_build_stage = NULL;

/*
 * Prepare to drive a migration in this process.  The drive itself should be
 * allocated in the current memory context, which lives as long as it does.
 */
void
pgxc_drive_init(PgxcDrive *drive, int64 migration_id, PgxcSlot *slot,
				bool foreground)
{
	memset(drive, 0, sizeof(*drive));
	drive->foreground = foreground;
	drive->migration_id = migration_id;
	drive->slot = slot;
	drive->context = CurrentMemoryContext;
	drive->step_context =
		AllocSetContextCreate(CurrentMemoryContext, "pgxc step",
							  ALLOCSET_DEFAULT_SIZES);
	drive->live.migration_id = migration_id;
	drive->live.throttle_signal = -1;
	drive->live.started_at = GetCurrentTimestamp();
	pgxc_sizer_init(&drive->update_sizer);
	pgxc_sizer_init(&drive->verify_sizer);
	pgxc_signals_init(&drive->signals, foreground);
	if (slot)
		pgxc_slot_publish(slot, &drive->live);
}

void
pgxc_drive_end(PgxcDrive *drive)
{
	pgxc_signals_end(&drive->signals);
	if (!drive->foreground)
		SetConfigOption("session_replication_role", "origin", PGC_SUSET,
						PGC_S_SESSION);
	pgxc_chunk_statement_forget();
	MemoryContextDelete(drive->step_context);
}

/*
 * First contact with a migration: find its leaf tables.  A row that came here
 * in a dump, or in a copy of its database, starts from nothing: whatever names
 * blocks is forgotten.  Of several workers, one does it.
 */
static PgxcStep
plan_migration(const PgxcMigration *migration)
{
	static PgxcStatement lock_row = PGXC_SQL(
		"SELECT FROM pgxc.migration WHERE id = $1 AND NOT planned FOR NO KEY UPDATE",
		INT8OID);
	static PgxcStatement forget[] = {
		PGXC_SQL("DELETE FROM pgxc.leaf WHERE migration_id = $1", INT8OID),
		PGXC_SQL("DELETE FROM pgxc.stripe WHERE migration_id = $1", INT8OID),
		PGXC_SQL("DELETE FROM pgxc.revisit WHERE migration_id = $1", INT8OID),
		PGXC_SQL("DELETE FROM pgxc.row_error WHERE migration_id = $1", INT8OID),
	};
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET planned = true, step = 'update' WHERE id = $1",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration->id);
	int leaves;

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&lock_row, &value, NULL, SPI_OK_SELECT) == 1)
	{
		for (int i = 0; i < lengthof(forget); i++)
			(void) pgxc_sql_execute(&forget[i], &value, NULL, SPI_OK_DELETE);
		leaves = pgxc_leaf_sync(migration, false);
		(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
		pgxc_event(migration->id, "planned", NULL, NULL,
				   psprintf("%d leaf tables", leaves));
	}
	pgxc_sql_end(&saved);
	return PGXC_STEP_AGAIN;
}

/*
 * It works: what was counted of failures is over.
 */
static void
forget_failures(const PgxcMigration *migration)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET blocked_tries = 0, starts = 0 WHERE id = $1",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration->id);

	if (migration->blocked_tries == 0 && migration->starts == 0)
		return;
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/*
 * First sight of the migration: say whose work this process does.
 */
static void
introduce(PgxcDrive *drive, const PgxcMigration *migration)
{
	drive->name = MemoryContextStrdup(drive->context, migration->name);
	drive->parallel_workers = migration->parallel_workers;
	drive->live.root_relid = migration->relid;
	if (!drive->foreground)
	{
		char appname[NAMEDATALEN];

		snprintf(appname, sizeof(appname), "pgxc %.58s", migration->name);
		SetConfigOption("application_name", appname, PGC_USERSET,
						PGC_S_SESSION);
		SetConfigOption("session_replication_role", pgxc_chunk_role(migration),
						PGC_SUSET, PGC_S_SESSION);
	}
}

/*
 * Was the number of workers lowered, and does this one have to go?  Those in
 * the first slots stay.
 */
static bool
one_too_many(PgxcDrive *drive, const PgxcMigration *migration)
{
	PgxcSlot *slots;
	int before = 0;

	if (drive->slot == NULL ||
		migration->parallel_workers == drive->parallel_workers)
		return false;

	drive->parallel_workers = migration->parallel_workers;
	for (int i = 0, n = pgxc_slots_copy(&slots); i < n; i++)
	{
		if (slots[i].pid == MyProcPid)
			break;
		if (slots[i].database == MyDatabaseId &&
			slots[i].live.migration_id == migration->id)
			before++;
	}
	return before >= migration->parallel_workers;
}

/*
 * What there is to do next, in the current transaction.
 */
static PgxcStep
do_step(PgxcDrive *drive, PgxcMigration **migration_out)
{
	PgxcMigration *migration;
	PgxcStep step;

	pgxc_set_local("lock_timeout", CHUNK_LOCK_TIMEOUT);

	if (!pgxc_extension_lock(&drive->extension))
		return PGXC_STEP_GONE;
	pgxc_migration_control_lock(drive->migration_id, RowShareLock);
	migration = pgxc_migration_load(drive->migration_id);
	*migration_out = migration;
	if (migration == NULL)
		return PGXC_STEP_GONE;
	if (migration->state != PGXC_STATE_RUNNING ||
		!pgxc_migration_is_home(migration))
		return PGXC_STEP_STOPPED;
	if (drive->name == NULL)
		introduce(drive, migration);
	if (one_too_many(drive, migration))
		return PGXC_STEP_STOPPED;

	if (!migration->planned)
		return plan_migration(migration);
	if (drive->paced_at == 0)
		pgxc_duty_init(&drive->duty, migration->max_duty);

	/* Nothing is done while a hard limit is exceeded, but looking here. */
	if (drive->duty.level == PGXC_LEVEL_RED)
	{
		forget_failures(migration);
		drive->wait_ms = 250;
		return PGXC_STEP_WAIT;
	}

	if (drive->bisect != NIL)
		step = pgxc_bisect_step(drive, migration);
	else
	{
		step = migration->has_row_errors ? pgxc_recheck_step(drive, migration)
										 : PGXC_STEP_DONE;
		if (step == PGXC_STEP_DONE)
			step = pgxc_chunk_step(drive, migration);
	}
	if (step == PGXC_STEP_CHUNK || drive->statement_succeeded)
		forget_failures(migration);
	drive->statement_succeeded = false;
	return step;
}

/*
 * A step has committed: drop what was meant for its retry, and see that not
 * more than about one chunk's worth of commits can be lost.
 */
static void
step_committed(PgxcDrive *drive, const PgxcMigration *migration, PgxcStep step,
			   TransactionId xid)
{
	pgxc_signals_committed(&drive->signals, xid, XactLastCommitEnd);

	if (step != PGXC_STEP_CHUNK)
		return;

	drive->contention = 0;
	drive->pass_locked_by = false;
	drive->put_off = false;
	drive->limit_blocks = 0;
	if (drive->work.kind == PGXC_WORK_BISECT && drive->bisect != NIL)
	{
		pfree(linitial(drive->bisect));
		drive->bisect = list_delete_first(drive->bisect);
	}

	drive->unflushed_ms += drive->busy_ms;
	if (drive->unflushed_ms >= drive->target_ms)
	{
		XLogFlush(XactLastCommitEnd);
		drive->unflushed_ms = 0;
	}
}

/*
 * From the end of this step on, which lets go of the control lock, whoever
 * changes the migration's state has to find out that we run a long statement.
 */
static void
announce_statement(PgxcDrive *drive)
{
	drive->live.activity = PGXC_ACTIVITY_BUILDING;
	if (drive->slot)
		pgxc_slot_publish(drive->slot, &drive->live);
}

/* The step failed after all. */
static void
withdraw_statement(PgxcDrive *drive)
{
	pgxc_drive_statement_forget(drive);
	drive->live.activity = PGXC_ACTIVITY_INITIALIZING;
	if (drive->slot)
		pgxc_slot_publish(drive->slot, &drive->live);
}

/*
 * One transaction.  Never throws, but for a termination of the process.
 *
 * Chunks commit without waiting for the disk, bookkeeping (a stripe that is
 * taken up) without waiting for standbys; a state that others act on (done,
 * failed) is committed as the server's setting says.
 */
static PgxcStep
run_step(PgxcDrive *drive, PgxcMigration **migration)
{
	MemoryContext old = MemoryContextSwitchTo(drive->step_context);
	volatile PgxcStep step = PGXC_STEP_AGAIN;
	TransactionId xid;

	MemoryContextReset(drive->step_context);
	memset(&drive->result, 0, sizeof(drive->result));
	memset(&drive->work, 0, sizeof(drive->work));
	drive->sizer = NULL;
	drive->busy_ms = 0;
	drive->wait_ms = 0;
	drive->wait_for[0] = '\0';
	pgxc_drive_statement_forget(drive);
	*migration = NULL;

	PG_TRY();
	{
		CHECK_FOR_INTERRUPTS();
		pgxc_tx_begin(drive->foreground);
		MemoryContextSwitchTo(drive->step_context);
		step = do_step(drive, migration);
		if (step == PGXC_STEP_CHUNK)
			pgxc_set_local("synchronous_commit", "off");
		else if (step == PGXC_STEP_AGAIN || step == PGXC_STEP_STATEMENT)
			pgxc_set_local("synchronous_commit", "local");
		if (step == PGXC_STEP_STATEMENT)
			announce_statement(drive);
		xid = GetTopTransactionIdIfAny();
		if (pgxc_signals_lock_waiters(&drive->signals) > 0)
		{
			drive->result.waiters = true;
			drive->live.lock_yields++;
		}
		pgxc_tx_commit(drive->foreground);
		MemoryContextSwitchTo(drive->step_context);
		step_committed(drive, *migration, step, xid);
	}
	PG_CATCH();
	{
		PgxcError *error = pgxc_error_capture(drive->step_context);

		pgxc_tx_abort(drive->foreground);
		MemoryContextSwitchTo(drive->step_context);
		if (drive->live.activity == PGXC_ACTIVITY_BUILDING)
			withdraw_statement(drive);
		step = pgxc_drive_error(drive, *migration, error);
	}
	PG_END_TRY();

	MemoryContextSwitchTo(old);
	if (!drive->foreground)
		(void) pgstat_report_stat(false);
	return step;
}

/* Is the migration still blocked, or did somebody change its state? */
static bool
still_blocked(PgxcDrive *drive)
{
	volatile bool blocked = false;

	PG_TRY();
	{
		PgxcMigration *migration;

		pgxc_tx_begin(drive->foreground);
		migration = pgxc_migration_load(drive->migration_id);
		blocked = migration != NULL && migration->state == PGXC_STATE_BLOCKED;
		pgxc_tx_commit(drive->foreground);
	}
	PG_CATCH();
	{
		(void) pgxc_error_capture(drive->step_context);
		pgxc_tx_abort(drive->foreground);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drive->context);
	return blocked;
}

/*
 * Wait until a blocked migration is due.  Whoever changes a state wakes all
 * workers of the database (we have just done so ourselves): that alone is no
 * reason to try again.
 */
static void
wait_while_blocked(PgxcDrive *drive)
{
	TimestampTz end =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(), drive->wait_ms);
	long left;

	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
												   end)) > 0 &&
		   !pgxc_slot_stop_requested(drive->slot) && still_blocked(drive))
		pgxc_drive_sleep(drive, left, PGXC_WAIT_RETRY);
}

/*
 * Go on with a migration after it was blocked.
 */
static void
unblock(PgxcDrive *drive)
{
	PG_TRY();
	{
		pgxc_tx_begin(drive->foreground);
		(void) pgxc_transition(drive->migration_id, PGXC_STATE_RUNNING, NULL,
							   "trying again");
		pgxc_tx_commit(drive->foreground);
	}
	PG_CATCH();
	{
		PgxcError *error = pgxc_error_capture(drive->step_context);

		pgxc_tx_abort(drive->foreground);
		ereport(LOG,
				(errmsg("pgxc could not resume migration " INT64_FORMAT ": %s",
						drive->migration_id, error->message)));
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drive->context);
}

/*
 * Work on the migration until it is done, or somebody or something stops it.
 *
 * Returns PGXC_STEP_DONE, _STOPPED, _GONE, or _BLOCKED (in a worker, when the
 * next try is further away than it should wait for).  Must be called outside
 * of a transaction (in the foreground: with nothing done in it yet).
 */
PgxcStep
pgxc_drive_run(PgxcDrive *drive)
{
	for (;;)
	{
		PgxcMigration *migration;
		PgxcStep step;

		if (!drive->foreground && ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (pgxc_slot_stop_requested(drive->slot))
			return PGXC_STEP_STOPPED;

		/* Who never rests finds out in no WaitLatch(), and would go on. */
		if (!PostmasterIsAlive())
			proc_exit(1);

		pgxc_drive_report(drive);
		step = run_step(drive, &migration);
		if (step == PGXC_STEP_STATEMENT)
			step = pgxc_drive_statement(drive, migration);
		switch (step)
		{
			case PGXC_STEP_CHUNK:
			case PGXC_STEP_WAIT:
				pgxc_drive_pace(drive, migration, step);
				break;
			case PGXC_STEP_AGAIN:
				break;
			case PGXC_STEP_BLOCKED:
				if (!drive->foreground && drive->wait_ms > 10000)
					return step;
				wait_while_blocked(drive);
				unblock(drive);
				break;
			default:
				return step;
		}
	}
}
