/*
 * launcher.c
 *		The one process that starts workers.
 *
 * It is connected to the shared catalogs only, so it stands in no database's
 * way.  After a start it has every database looked at once; later it acts on
 * what shared memory tells: a COMMIT that left work behind, a worker that
 * wants help or a call at a later time.  The server starts it when recovery
 * has finished, so never on a standby, and at once after a promotion.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_database.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/procsignal.h"
#include "tcop/tcopprot.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "backfill/launcher.h"
#include "core/compat.h"
#include "core/shared_state.h"

#define RETRY_MS 5000    /* after no worker could be registered */
#define MAX_BACKOFF_S 60 /* for a database whose worker keeps failing */

typedef struct Child
{
	BackgroundWorkerHandle *handle;
	Oid database;
} Child;

static List *children = NIL; /* of Child * */
static List *to_probe = NIL; /* of database OIDs */

static void
launcher_exit(int code, Datum arg)
{
	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	if (pgxc_shared->launcher_pid == MyProcPid)
	{
		pgxc_shared->launcher_pid = 0;
		pgxc_shared->launcher_proc = NULL;
	}
	LWLockRelease(pgxc_shared->lock);
}

/* Note every database that takes connections, to be looked at once. */
static void
list_databases(void)
{
	MemoryContext context = CurrentMemoryContext;
	Relation rel;
	TableScanDesc scan;
	HeapTuple tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database database = (Form_pg_database) GETSTRUCT(tuple);
		MemoryContext old;

		if (!database->datallowconn || database->datistemplate)
			continue;
		old = MemoryContextSwitchTo(context);
		to_probe = list_append_unique_oid(to_probe, database->oid);
		MemoryContextSwitchTo(old);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
}

static bool
database_connectable(Oid database)
{
	MemoryContext context = CurrentMemoryContext;
	HeapTuple tuple;
	bool result = false;

	StartTransactionCommand();
	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datallowconn;
		ReleaseSysCache(tuple);
	}
	CommitTransactionCommand();
	MemoryContextSwitchTo(context);
	return result;
}

/*
 * Forget children that have ended.  One that did not end well is replaced
 * after a while, ever longer.
 */
static void
reap_children(void)
{
	ListCell *lc;

	foreach (lc, children)
	{
		Child *child = (Child *) lfirst(lc);
		PgxcDatabase *entry;
		pid_t pid;

		if (GetBackgroundWorkerPid(child->handle, &pid) != BGWH_STOPPED)
			continue;

		LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
		entry = pgxc_database_entry(child->database, false);
		if (entry && entry->failures > 0 && entry->wake_at == 0)
			entry->wake_at = TimestampTzPlusMilliseconds(
				GetCurrentTimestamp(),
				1000L * Min(1 << Min(entry->failures, 10), MAX_BACKOFF_S));
		LWLockRelease(pgxc_shared->lock);

		pfree(child->handle);
		pfree(child);
		children = foreach_delete_current(children, lc);
	}
}

/*
 * Choose the next database that wants a worker, and count the start as a
 * failure until the worker ends well.  *sleep_ms is lowered to when the next
 * one is due.
 */
static Oid
next_database(long *sleep_ms)
{
	TimestampTz now = GetCurrentTimestamp();
	Oid result = InvalidOid;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < PGXC_MAX_DATABASES && !OidIsValid(result); i++)
	{
		PgxcDatabase *entry = &pgxc_shared->databases[i];

		if (!OidIsValid(entry->database) || entry->holds > 0)
			continue;
		if (entry->wake_at != 0 && entry->wake_at <= now)
		{
			entry->wake_at = 0;
			entry->wanted = true;
		}
		if (entry->wanted)
		{
			entry->wanted = false;
			result = entry->database;
		}
		else if (entry->wake_at != 0)
			*sleep_ms =
				Min(*sleep_ms,
					TimestampDifferenceMilliseconds(now, entry->wake_at) + 1);
	}
	if (!OidIsValid(result) && to_probe != NIL)
	{
		PgxcDatabase *entry;

		result = linitial_oid(to_probe);
		to_probe = list_delete_first(to_probe);
		entry = pgxc_database_entry(result, false);
		if (entry && entry->holds > 0)
			result = InvalidOid;
	}
	LWLockRelease(pgxc_shared->lock);
	return result;
}

static void
note_start(Oid database, bool registered)
{
	PgxcDatabase *entry;
	bool was_failing;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	was_failing = pgxc_shared->registration_failed;
	pgxc_shared->registration_failed = !registered;
	entry = pgxc_database_entry(database, true);
	if (entry)
	{
		if (registered)
			entry->failures++;
		else
			entry->wake_at =
				TimestampTzPlusMilliseconds(GetCurrentTimestamp(), RETRY_MS);
	}
	LWLockRelease(pgxc_shared->lock);

	/* Say it once, not every five seconds. */
	if (!registered && !was_failing)
		ereport(LOG,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("pgxc could not register a background worker"),
				 errhint("You might need to increase max_worker_processes.")));
}

static void
start_worker(Oid database)
{
	BackgroundWorker worker = { 0 };
	BackgroundWorkerHandle *handle;
	bool registered;
	Child *child;
	pid_t pid;

	if (!database_connectable(database))
		return;

	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "pgxc", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgxc_worker_main",
			sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, BGW_MAXLEN, "pgxc worker for database %u",
			 database);
	strlcpy(worker.bgw_type, "pgxc worker", BGW_MAXLEN);
	worker.bgw_main_arg = ObjectIdGetDatum(database);
	worker.bgw_notify_pid = MyProcPid;

	registered = RegisterDynamicBackgroundWorker(&worker, &handle);
	note_start(database, registered);
	if (!registered)
		return;

	child = palloc(sizeof(Child));
	child->handle = handle;
	child->database = database;
	children = lappend(children, child);
	(void) WaitForBackgroundWorkerStartup(handle, &pid);
}

/*
 * Entry point.  Any error ends it, and the postmaster starts it again after
 * five seconds.
 */
void
pgxc_launcher_main(Datum main_arg)
{
	pqsignal(SIGTERM, die);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("pgxc launcher");

	before_shmem_exit(launcher_exit, (Datum) 0);
	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	pgxc_shared->launcher_pid = MyProcPid;
	pgxc_shared->launcher_proc = MyProc;
	LWLockRelease(pgxc_shared->lock);

	MemoryContextSwitchTo(TopMemoryContext);
	list_databases();

	for (;;)
	{
		long sleep_ms = 60000;
		Oid database;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
		}
		if (pgxc_shared->probe_all)
		{
			pgxc_shared->probe_all = false;
			list_databases();
		}

		reap_children();
		while (list_length(children) < pgxc_max_workers &&
			   OidIsValid(database = next_database(&sleep_ms)))
		{
			start_worker(database);
			reap_children();
		}

		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 sleep_ms, pgxc_wait_event(PGXC_WAIT_LAUNCHER));
		ResetLatch(MyLatch);
	}
}

/*
 * Register the launcher, while shared_preload_libraries is processed.
 */
void
pgxc_launcher_init(void)
{
	BackgroundWorker worker = { 0 };

	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;

	worker.bgw_flags =
		BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "pgxc", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "pgxc_launcher_main",
			sizeof(worker.bgw_function_name));
	strlcpy(worker.bgw_name, "pgxc launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "pgxc launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
