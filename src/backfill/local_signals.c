/*
 * local_signals.c
 *		Signals of this server: its sessions, processors, disks and tables.
 */
#include "postgres.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_tablespace_d.h"
#include "catalog/pg_type.h"
#include "common/relpath.h"
#include "postmaster/autovacuum.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "backfill/signals.h"
#include "core/compat.h"
#include "core/sql_runner.h"

static int
core_count(void)
{
	long n = pgxc_cores;

	if (n == 0)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return Max(1, (int) n);
}

/*
 * Does a backend do nothing but wait: for its client, for a lock, or, as in
 * CALL pgxc.wait(), for us?
 */
static bool
only_waits(int pid)
{
	PGPROC *proc = BackendPidGetProc(pid);
	uint32 class;

	if (proc == NULL)
		return true;
	class = *(volatile uint32 *) &proc->wait_event_info & 0xFF000000;
	return class == PG_WAIT_EXTENSION || class == PG_WAIT_CLIENT ||
		   class == PG_WAIT_LOCK;
}

/*
 * Client sessions that run a statement, for each core; smoothed, as a sample
 * is but a moment.
 */
bool
pgxc_sample_active_sessions(PgxcSignals *signals,
							const PgxcMigration *migration,
							PgxcReading *reading)
{
	int active = 0;
	int n;

	pgstat_clear_snapshot();
	n = pgstat_fetch_stat_numbackends();
	for (int i = 1; i <= n; i++)
	{
		PgBackendStatus *status = pgxc_backend_status(i);

		if (status->st_procpid != MyProcPid &&
			status->st_backendType == B_BACKEND &&
			(status->st_state == STATE_RUNNING ||
			 status->st_state == STATE_FASTPATH) &&
			!only_waits(status->st_procpid))
			active++;
	}
	/* The first sample has no past. */
	if (signals->active_samples++ == 0)
		reading->value = (double) active / core_count();
	else
		reading->value = 0.75 * reading->value + 0.25 * active / core_count();
	return true;
}

/*
 * Milliseconds for which this process was ready to run and had no CPU, since
 * it started; negative if the operating system does not tell (only Linux
 * does).
 */
static double
run_delay_ms(PgxcSignals *signals)
{
	char buf[128];
	ssize_t len;
	unsigned long long run;
	unsigned long long delay;

	if (signals->schedstat_fd == -1)
	{
		signals->schedstat_fd =
			open("/proc/self/schedstat", O_RDONLY | O_CLOEXEC);
		if (signals->schedstat_fd < 0)
			signals->schedstat_fd = -2;
	}
	if (signals->schedstat_fd < 0)
		return -1;
	len = pread(signals->schedstat_fd, buf, sizeof(buf) - 1, 0);
	if (len <= 0)
		return -1;
	buf[len] = '\0';
	if (sscanf(buf, "%llu %llu", &run, &delay) != 2)
		return -1;
	return delay / 1e6;
}

void
pgxc_signals_chunk_begin(PgxcSignals *signals)
{
	signals->chunk_delay_ms = run_delay_ms(signals);
}

void
pgxc_signals_chunk_end(PgxcSignals *signals, double ms)
{
	double delay = run_delay_ms(signals);

	if (delay < 0 || signals->chunk_delay_ms < 0)
		return;
	signals->cpu_busy_ms += ms;
	signals->cpu_delay_ms += delay - signals->chunk_delay_ms;
}

/*
 * Percent of the time of its chunks that this process waited for a CPU: the
 * most direct sign that the application wants it.  Half of the past is
 * forgotten with each sample.
 */
bool
pgxc_sample_cpu_wait(PgxcSignals *signals, const PgxcMigration *migration,
					 PgxcReading *reading)
{
	if (signals->schedstat_fd < 0)
		return false;
	if (signals->cpu_busy_ms < 1)
		reading->value = 0.75 * reading->value;
	else
		reading->value =
			Min(100, 100 * signals->cpu_delay_ms / signals->cpu_busy_ms);
	signals->cpu_busy_ms *= 0.75;
	signals->cpu_delay_ms *= 0.75;
	return true;
}

/*
 * How many sessions wait for the current transaction.  Asking costs next to
 * nothing unless there are some.  Call it before the commit.
 */
int
pgxc_signals_lock_waiters(PgxcSignals *signals)
{
	TransactionId xid = GetTopTransactionIdIfAny();
	LOCKTAG tag;
	LockData *locks;
	int waiters = 0;

	if (!TransactionIdIsValid(xid))
		return 0;
	SET_LOCKTAG_TRANSACTION(tag, xid);
	if (!LockHasWaiters(&tag, ExclusiveLock, false))
		return 0;

	locks = GetLockStatusData();
	for (int i = 0; i < locks->nelements; i++)
	{
		LockInstanceData *lock = &locks->locks[i];

		if (lock->waitLockMode != NoLock &&
			memcmp(&lock->locktag, &tag, sizeof(LOCKTAG)) == 0)
			waiters++;
	}
	signals->waiters = waiters;
	signals->waiters_at = GetCurrentTimestamp();
	return waiters;
}

/* The most recent count counts for a second. */
bool
pgxc_sample_lock_waiters(PgxcSignals *signals, const PgxcMigration *migration,
						 PgxcReading *reading)
{
	if (TimestampDifferenceExceeds(signals->waiters_at, GetCurrentTimestamp(),
								   1000))
		signals->waiters = 0;
	reading->value = signals->waiters;
	return true;
}

/*
 * Dead tuples in percent of the live ones.  Only where vacuum will come and
 * could remove them: otherwise waiting for it would be waiting for ever.
 */
bool
pgxc_sample_dead_tuples(PgxcSignals *signals, const PgxcMigration *migration,
						PgxcReading *reading)
{
	PgStat_StatTabEntry *entry;

	if (!OidIsValid(signals->leaf) || !signals->autovacuum ||
		!AutoVacuumingActive() ||
		(signals->horizon_since != 0 &&
		 TimestampDifferenceExceeds(signals->horizon_since,
									GetCurrentTimestamp(), 60000)))
		return false;

	pgstat_clear_snapshot();
	entry = pgstat_fetch_stat_tabentry(signals->leaf);
	if (entry == NULL || pgxc_stat_live_tuples(entry) <= 0)
		return false;
	reading->value =
		100.0 * pgxc_stat_dead_tuples(entry) / pgxc_stat_live_tuples(entry);
	return true;
}

static void
least_free(const char *path, const char *what, double *least,
		   PgxcReading *reading)
{
	struct statvfs fs;
	double percent;

	if (statvfs(path, &fs) != 0 || fs.f_blocks == 0)
		return;
	percent = 100.0 * fs.f_bavail / fs.f_blocks;
	if (percent < *least)
	{
		*least = percent;
		strlcpy(reading->detail, what, PGXC_DETAIL_LEN);
	}
}

/* Free space of the data directory, of WAL, and of the table's tablespace. */
bool
pgxc_sample_disk_free(PgxcSignals *signals, const PgxcMigration *migration,
					  PgxcReading *reading)
{
	double least = 101;

	least_free(".", "data directory", &least, reading);
	least_free("pg_wal", "WAL directory", &least, reading);
	if (OidIsValid(signals->tablespace) &&
		signals->tablespace != DEFAULTTABLESPACE_OID)
	{
		char path[64];

		snprintf(path, sizeof(path), "pg_tblspc/%u", signals->tablespace);
		least_free(path, "tablespace of the table", &least, reading);
	}
	reading->value = least;
	return least <= 100;
}

/*
 * A transaction of ours was committed: note it for the lags.
 */
void
pgxc_signals_committed(PgxcSignals *signals, TransactionId xid, XLogRecPtr lsn)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 last = signals->nxids - 1;

	/* A transaction that wrote nothing leaves the last one's position. */
	if (!XLogRecPtrIsInvalid(lsn) &&
		(signals->ncommits == 0 ||
		 signals->commits[(signals->ncommits - 1) % PGXC_COMMIT_RING].lsn !=
			 lsn))
	{
		signals->commits[signals->ncommits % PGXC_COMMIT_RING].lsn = lsn;
		signals->commits[signals->ncommits % PGXC_COMMIT_RING].at = now;
		signals->ncommits++;
	}

	if (TransactionIdIsValid(xid) &&
		(last < 0 ||
		 TimestampDifferenceExceeds(signals->xids[last % PGXC_XID_RING].at, now,
									100)))
	{
		signals->xids[signals->nxids % PGXC_XID_RING].xid = xid;
		signals->xids[signals->nxids % PGXC_XID_RING].at = now;
		signals->nxids++;
	}
}

/*
 * How long ago the transactions ended whose dead tuples can be removed by now,
 * in ms: how far the horizon lags behind.
 */
double
pgxc_horizon_lag_ms(PgxcSignals *signals, Relation leaf)
{
	TimestampTz now = GetCurrentTimestamp();
	TransactionId horizon = GetOldestNonRemovableTransactionId(leaf);
	int64 first = Max(0, signals->nxids - PGXC_XID_RING);
	TimestampTz oldest_kept = now;

	/* With nobody to hold it, it moves only as new transactions come. */
	if (horizon != signals->horizon ||
		!TransactionIdPrecedes(horizon, ReadNextTransactionId()))
	{
		signals->horizon = horizon;
		signals->horizon_since = now;
	}

	/* The oldest own transaction that is not yet behind the horizon. */
	for (int64 i = signals->nxids - 1; i >= first; i--)
	{
		if (TransactionIdPrecedes(signals->xids[i % PGXC_XID_RING].xid,
								  horizon))
			break;
		oldest_kept = signals->xids[i % PGXC_XID_RING].at;
	}
	return (now - Min(oldest_kept, signals->horizon_since)) / 1000.0;
}

/*
 * See whether the horizon has moved, also while no chunk runs.  It is the same
 * for every ordinary table of a database; one of ours is never locked for
 * long, and if it is nevertheless (DROP EXTENSION), false is returned.
 */
static bool
look_at_horizon(PgxcSignals *signals)
{
	Oid schema = get_namespace_oid("pgxc", true);
	Oid relid = InvalidOid;
	Relation rel;

	if (OidIsValid(schema))
		relid = get_relname_relid("migration", schema);
	if (!OidIsValid(relid) ||
		!ConditionalLockRelationOid(relid, AccessShareLock))
		return false;
	rel = try_relation_open(relid, NoLock);
	if (rel == NULL)
		return false;
	(void) pgxc_horizon_lag_ms(signals, rel);
	relation_close(rel, NoLock);
	return true;
}

/*
 * For how long the horizon has not moved, and who holds it.
 */
bool
pgxc_sample_horizon_age(PgxcSignals *signals, const PgxcMigration *migration,
						PgxcReading *reading)
{
	static PgxcStatement holder = PGXC_SQL(
		"SELECT who FROM ("
		" SELECT format('%s %s', backend_type, pid) AS who, age(backend_xmin) AS a FROM pg_stat_activity"
		" WHERE backend_xmin IS NOT NULL AND pid <> pg_backend_pid()"
		" UNION ALL SELECT format('slot \"%s\"', slot_name), greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots"
		" WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL"
		" UNION ALL SELECT format('prepared transaction \"%s\"', gid), age(transaction) FROM pg_prepared_xacts"
		") q ORDER BY a DESC LIMIT 1");
	PgxcIdentity saved;

	if (signals->horizon_since == 0)
		return false;
	pgxc_tx_begin(signals->foreground);
	if (!look_at_horizon(signals))
	{
		pgxc_tx_commit(signals->foreground);
		return false;
	}
	reading->value =
		(GetCurrentTimestamp() - signals->horizon_since) / 1000000.0;
	if (reading->value < 10)
	{
		pgxc_tx_commit(signals->foreground);
		return true;
	}

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&holder, NULL, NULL, SPI_OK_SELECT) == 1)
	{
		bool isnull;
		Datum who = pgxc_sql_value(0, 1, &isnull);

		if (!isnull)
			strlcpy(reading->detail, TextDatumGetCString(who), PGXC_DETAIL_LEN);
	}
	pgxc_sql_end(&saved);
	pgxc_tx_commit(signals->foreground);
	return true;
}

/*
 * Checkpoints that somebody (we, perhaps, by our WAL) asked for, in the last
 * five minutes or since the worker started.
 */
bool
pgxc_sample_requested_checkpoints(PgxcSignals *signals,
								  const PgxcMigration *migration,
								  PgxcReading *reading)
{
	TimestampTz now = GetCurrentTimestamp();
	int64 requested;
	int n = signals->ncheckpoints;
	int oldest;

	pgstat_clear_snapshot();
	requested = pgxc_requested_checkpoints();
	if (n == 0 || TimestampDifferenceExceeds(
					  signals->checkpoints[(n - 1) % PGXC_CHECKPOINT_RING].at,
					  now, 10000))
	{
		signals->checkpoints[n % PGXC_CHECKPOINT_RING].at = now;
		signals->checkpoints[n % PGXC_CHECKPOINT_RING].requested = requested;
		n = ++signals->ncheckpoints;
	}
	oldest = n > PGXC_CHECKPOINT_RING ? n % PGXC_CHECKPOINT_RING : 0;
	reading->value = requested - signals->checkpoints[oldest].requested;
	return true;
}
