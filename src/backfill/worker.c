/*
 * worker.c
 *		The background worker of a database: finds a migration, drives it, and
 *		ends when there is nothing to do.
 *
 * It ends rather than idle: a process that is connected to a database keeps
 * DROP DATABASE from succeeding.
 */
#include "postgres.h"

#include <sys/resource.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "backfill/drive.h"
#include "backfill/worker.h"
#include "core/compat.h"
#include "core/event_log.h"
#include "core/extension.h"
#include "core/migration_row.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "core/transition.h"

#define MAX_STARTS 5 /* without a chunk, before a person is asked */

static PgxcSlot *my_slot = NULL;
static volatile sig_atomic_t got_sigterm = false;

/*
 * SIGTERM must interrupt a long statement, as die() does; that it came is
 * remembered for worker_exit().
 */
static void
worker_sigterm(SIGNAL_ARGS)
{
	got_sigterm = true;
	die(postgres_signal_arg);
}

/*
 * Give the slot back.  If the process is ended by a signal that we did not
 * send, somebody wants the migration to stop: the next worker pauses it.  (At
 * a shutdown there is no next worker, and this note dies with shared memory.)
 */
static void
worker_exit(int code, Datum arg)
{
	PgxcDatabase *entry;

	if (my_slot == NULL)
		return;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	entry = pgxc_database_entry(MyDatabaseId, true);
	if (entry)
	{
		if (code == 0)
			entry->failures = 0;
		if (got_sigterm && !my_slot->stop_requested)
		{
			entry->terminated = my_slot->live.migration_id;
			entry->wanted = true;
			entry->failures = 0;
		}
	}
	LWLockRelease(pgxc_shared->lock);
	pgxc_slot_detach(my_slot);
	my_slot = NULL;
	pgxc_launcher_wake();
}

/*
 * Settings of the database or of the role must not reach into our work.
 */
static void
pin_settings(void)
{
	static const char *const settings[][2] = {
		{ "default_transaction_isolation", "read committed" },
		{ "default_transaction_read_only", "off" },
		{ "default_transaction_deferrable", "off" },
		{ "idle_in_transaction_session_timeout", "0" },
		{ "idle_session_timeout", "0" },
		{ "statement_timeout", "0" },
#ifdef PGXC_HAVE_TRANSACTION_TIMEOUT
		{ "transaction_timeout", "0" },
#endif
		{ "lock_timeout", "0" },
		{ "max_parallel_workers_per_gather", "0" },
		{ "search_path", "pg_catalog, pg_temp" },
		{ "session_replication_role", "origin" },
	};

	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], settings[i][1], PGC_SUSET,
						PGC_S_OVERRIDE);
}

/*
 * Rows that were restored from a dump, or came with a copy of their database,
 * are paused: their blocks mean nothing here.  They come home by resume() or
 * retry() only.
 */
static void
pause_foreign_migrations(void)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT id FROM pgxc.migration WHERE home <> $1 AND phase = 'migrate'"
		" AND state NOT IN ('paused', 'failed') ORDER BY id",
		TEXTOID);
	PgxcIdentity saved;
	Datum home = CStringGetTextDatum(pgxc_home());
	uint64 n;
	int64 *ids;

	pgxc_sql_begin(&saved);
	n = pgxc_sql_execute(&find, &home, NULL, SPI_OK_SELECT);
	ids = palloc(sizeof(int64) * (n + 1));
	for (uint64 i = 0; i < n; i++)
		ids[i] = pgxc_sql_int64(i, 1);
	for (uint64 i = 0; i < n; i++)
		(void) pgxc_transition(
			ids[i], PGXC_STATE_PAUSED, NULL,
			"restored from a dump or copied with its database; it will start again at block 0");
	pgxc_sql_end(&saved);
}

/* How many live processes of this database work on a migration. */
static int
workers_on(int64 migration_id)
{
	PgxcSlot *slots;
	int n = pgxc_slots_copy(&slots);
	int count = 0;

	for (int i = 0; i < n; i++)
	{
		if (slots[i].database == MyDatabaseId && slots[i].pid != MyProcPid &&
			slots[i].live.migration_id == migration_id)
			count++;
	}
	return count;
}

/* Let the others see whose work this process does. */
static void
claim(int64 migration_id)
{
	PgxcLive live = { 0 };

	live.migration_id = migration_id;
	live.throttle_signal = -1;
	pgxc_slot_publish(my_slot, &live);
}

/*
 * Find a migration that may run and has not enough workers.  *more: there is
 * work for another worker, too.  Of several migrations of a table only the
 * oldest runs.
 */
static int64
pick_migration(bool *more)
{
	static PgxcStatement count_start =
		PGXC_SQL("UPDATE pgxc.migration SET starts = starts + 1 WHERE id = $1"
				 " RETURNING starts - parallel_workers, parallel_workers",
				 INT8OID);
	static PgxcStatement find = PGXC_SQL(
		"SELECT m.id, m.parallel_workers, m.state FROM pgxc.migration m"
		" WHERE m.phase = 'migrate'"
		" AND (m.state IN ('queued', 'running') OR (m.state = 'blocked' AND m.retry_at <= clock_timestamp()))"
		" AND NOT EXISTS (SELECT FROM pgxc.migration o WHERE o.relation = m.relation AND o.id < m.id"
		" AND o.state IN ('queued', 'running', 'blocked'))"
		" ORDER BY m.id");
	PgxcIdentity saved;
	int64 picked = 0;
	bool start = false;
	bool crashing = false;
	bool taken = false;
	uint64 n;

	*more = false;
	pgxc_sql_begin(&saved);
	n = pgxc_sql_execute(&find, NULL, NULL, SPI_OK_SELECT);
	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		int64 id = pgxc_sql_int64(i, 1);
		int wanted =
			DatumGetInt32(pgxc_sql_value(i, 2, &isnull)) - workers_on(id);

		if (picked == 0 && wanted > 0)
		{
			picked = id;
			start = strcmp(TextDatumGetCString(pgxc_sql_value(i, 3, &isnull)),
						   "running") != 0;
			wanted--;
		}
		if (wanted > 0)
			*more = true;
	}
	if (picked != 0)
	{
		bool isnull;
		Datum value = Int64GetDatum(picked);

		(void) pgxc_sql_execute(&count_start, &value, NULL,
								SPI_OK_UPDATE_RETURNING);
		crashing = DatumGetInt32(pgxc_sql_value(0, 1, &isnull)) >= MAX_STARTS;

		/* We may have waited for one who was faster: the row lock tells. */
		taken =
			workers_on(picked) >= DatumGetInt32(pgxc_sql_value(0, 2, &isnull));
		if (!taken)
			claim(picked);
	}
	pgxc_sql_end(&saved);
	if (taken)
		return 0;

	/* A crash leaves no error, only a start that was followed by no chunk. */
	if (crashing)
	{
		(void) pgxc_transition(
			picked, PGXC_STATE_ATTENTION, NULL,
			"its worker was started again and again, and ended each time before it had finished a chunk: see the server's log");
		return 0;
	}
	if (start && !pgxc_transition(picked, PGXC_STATE_RUNNING, NULL, NULL))
		return 0;
	return picked;
}

/* When the first blocked migration is due, for the launcher. */
static void
leave_wake_up_call(void)
{
	static PgxcStatement next = PGXC_SQL(
		"SELECT min(retry_at) FROM pgxc.migration WHERE phase = 'migrate' AND state = 'blocked'");
	PgxcIdentity saved;
	bool isnull;
	Datum at;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&next, NULL, NULL, SPI_OK_SELECT);
	at = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
		(void) pgxc_database_want(MyDatabaseId, DatumGetTimestampTz(at));
	pgxc_sql_end(&saved);
}

static int64
take_terminated(void)
{
	PgxcDatabase *entry;
	int64 id = 0;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	entry = pgxc_database_entry(MyDatabaseId, false);
	if (entry)
	{
		id = entry->terminated;
		entry->terminated = 0;
	}
	LWLockRelease(pgxc_shared->lock);
	return id;
}

/*
 * One look at the catalog.  Returns the migration to drive, or 0.
 */
static int64
find_work(void)
{
	int64 id = 0;
	int64 terminated = take_terminated();
	bool more = false;
	Oid extension = InvalidOid;

	pgxc_tx_begin(false);
	if (pgxc_extension_exists() && pgxc_extension_lock(&extension))
	{
		if (terminated != 0)
			(void) pgxc_transition(
				terminated, PGXC_STATE_PAUSED, NULL,
				"its worker was terminated by an administrator");
		pause_foreign_migrations();
		id = pick_migration(&more);
		if (id == 0)
			leave_wake_up_call();
	}
	pgxc_tx_commit(false);

	if (more)
		(void) pgxc_database_want(MyDatabaseId, 0);
	return id;
}

static bool
database_is_held(void)
{
	PgxcDatabase *entry;
	bool held;

	LWLockAcquire(pgxc_shared->lock, LW_SHARED);
	entry = pgxc_database_entry(MyDatabaseId, false);
	held = entry != NULL && entry->holds > 0;
	LWLockRelease(pgxc_shared->lock);
	return held;
}

static void
drive_migration(int64 id)
{
	MemoryContext context =
		AllocSetContextCreate(TopMemoryContext, "pgxc drive",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	PgxcDrive *drive = palloc(sizeof(PgxcDrive));

	pgxc_drive_init(drive, id, my_slot, false);
	(void) pgxc_drive_run(drive);
	pgxc_drive_end(drive);

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * Entry point; main_arg is the database's OID.  Ends with exit code 0 when
 * there is nothing to do, or it was asked to stop.
 */
void
pgxc_worker_main(Datum main_arg)
{
	int64 id;

	pqsignal(SIGTERM, worker_sigterm);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();

	pgxc_am_worker = true;
	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(main_arg),
											  InvalidOid, 0);

	/* Registered before the slot is taken, so that it is always given back. */
	before_shmem_exit(worker_exit, (Datum) 0);
	my_slot = pgxc_slot_attach(true);
	if (my_slot == NULL || database_is_held())
		proc_exit(0);

	pin_settings();
	if (pgxc_worker_nice > 0)
		(void) setpriority(PRIO_PROCESS, 0, pgxc_worker_nice);

	while (!pgxc_slot_stop_requested(my_slot))
	{
		CHECK_FOR_INTERRUPTS();
		id = find_work();
		if (id == 0)
			break;
		drive_migration(id);
		memset(&my_slot->live, 0, sizeof(my_slot->live));
	}
	proc_exit(0);
}
