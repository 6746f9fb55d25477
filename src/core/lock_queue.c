/*
 * lock_queue.c
 *		Heavy locks on users' tables, politely.
 *
 * Who waits for a heavy lock stands at the head of a queue, and everybody else
 * who wants the table stands behind.  So a wait of ours is short, and when it
 * was in vain we give back what we had got, let the others pass, and come
 * again.
 *
 * An attempt is a subtransaction: its rollback gives back the locks and
 * restores lock_timeout, its release leaves the locks to the caller.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/array.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/lock_queue.h"
#include "core/settings.h"
#include "core/sql_runner.h"

#define FIRST_PAUSE_MS 50
#define MAX_PAUSE_MS 2000
#define PAUSE_JITTER 0.25

/* A session that has chosen a shorter lock_timeout for itself keeps it. */
static int
wait_limit(void)
{
	if (LockTimeout > 0)
		return Min(LockTimeout, pgxc_ddl_lock_timeout);
	return pgxc_ddl_lock_timeout;
}

/*
 * firm: have an autovacuum that is in the way cancelled, as it is for any DDL.
 * The server does that at the check for deadlocks, which no wait of ours would
 * live to see.
 */
static void
limit_waits(bool firm)
{
	int limit = wait_limit();

	pgxc_set_saved("lock_timeout", psprintf("%d", limit));
	if (firm)
	{
		pgxc_set_saved("deadlock_timeout", psprintf("%d", Max(limit / 2, 1)));
		/* That is also when a wait is logged, which here says nothing. */
		pgxc_set_saved("log_lock_waits", "off");
	}
}

static void
take_lock(const PgxcTableLock *lock)
{
	LockRelationOid(lock->relid, lock->mode);

	/* An OID can be locked without anything behind it. */
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(lock->relid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", lock->relid),
				 errdetail("It was dropped before it could be locked.")));
}

/*
 * Take all locks or none.  Returns the one that could not be had, or NULL.
 */
static PgxcTableLock *
attempt(List *locks, bool firm)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	PgxcTableLock *volatile wanted = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		ListCell *lc;

		limit_waits(firm);
		foreach (lc, locks)
		{
			wanted = lfirst(lc);
			take_lock(wanted);
		}
		wanted = NULL;
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;

		if (wanted == NULL ||
			(error->sqlerrcode != ERRCODE_LOCK_NOT_AVAILABLE &&
			 error->sqlerrcode != ERRCODE_T_R_DEADLOCK_DETECTED))
			ReThrowError(error);
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return wanted;
}

/*
 * Let the others pass.  No lock of ours is waited for meanwhile, and so
 * nothing but a signal or the time ends it.
 */
static void
pause_between(int tries)
{
	int64 ms = MAX_PAUSE_MS;
	TimestampTz until;
	long left;

	if (tries < 8)
		ms = Min(ms, (int64) FIRST_PAUSE_MS << (tries - 1));
	/* Two of us must not come back at the same moment for ever. */
	ms -= (int64) (ms * PAUSE_JITTER * pg_prng_double(&pg_global_prng_state));

	until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ms);
	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
												   until)) > 0)
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 pgxc_wait_event(PGXC_WAIT_LOCK));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The names of the modes that stand in the way of one, as text[]. */
static Datum
conflicting_modes(LOCKMODE wanted)
{
	Datum names[AccessExclusiveLock];
	int n = 0;

	for (LOCKMODE mode = AccessShareLock; mode <= AccessExclusiveLock; mode++)
		if (DoLockModesConflict(wanted, mode))
			names[n++] =
				CStringGetTextDatum(GetLockmodeName(DEFAULT_LOCKMETHOD, mode));
	return PointerGetDatum(
		construct_array(names, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/*
 * Who is in the way of a lock, one after the other with the separator between
 * them, in the current memory context; NULL if nobody is (any more).
 *
 * Of a process that the current user may not look into (the rule of
 * pg_stat_activity) only pid, lock and age are told.  A query can hold values
 * of rows: with_queries is for a message to the current user, and to nobody
 * else.
 */
static char *
describe_blockers(const PgxcTableLock *lock, bool with_queries,
				  const char *separator)
{
	/*
	 * Parallel workers are left out: their leader holds the same lock.  A
	 * prepared transaction is known by the lock on its own id.
	 */
	static PgxcStatement select_blockers = PGXC_SQL(
		"SELECT CASE WHEN l.pid IS NULL THEN format('prepared transaction \"%s\"', p.gid)"
		" ELSE format('process %s', l.pid) END"
		" || CASE WHEN a.pid IS NULL OR NOT known THEN ''"
		" WHEN a.backend_type = 'client backend'"
		" THEN format(' (role %s, application \"%s\")', a.usename, a.application_name)"
		" ELSE format(' (%s)', a.backend_type) END"
		" || CASE WHEN l.granted THEN ' holds ' ELSE ' waits for ' END || l.modes"
		" || CASE WHEN known AND a.state LIKE 'idle in transaction%' THEN ', idle' ELSE ',' END"
		" || coalesce(CASE WHEN l.pid IS NULL THEN format(' prepared %s s ago', age)"
		" ELSE ' in a transaction open for ' || age || ' s' END, ' since when is not known')"
		" || CASE WHEN known AND $5 AND q.query <> '' THEN ': ' || left(q.query, 100)"
		" || CASE WHEN length(q.query) > 100 THEN '...' ELSE '' END ELSE '' END,"
		" count(*) OVER ()"
		" FROM (SELECT pid, virtualtransaction, granted,"
		" string_agg(DISTINCT mode, ' and ') AS modes"
		" FROM pg_catalog.pg_locks"
		" WHERE locktype = 'relation' AND database = $1 AND relation = $2"
		" AND mode = ANY ($3) AND pid IS DISTINCT FROM pg_catalog.pg_backend_pid()"
		" GROUP BY 1, 2, 3) l"
		" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
		" LEFT JOIN (pg_catalog.pg_prepared_xacts p JOIN pg_catalog.pg_locks x"
		" ON x.locktype = 'transactionid' AND x.pid IS NULL AND x.transactionid = p.transaction)"
		" ON l.pid IS NULL AND l.virtualtransaction = x.virtualtransaction,"
		" LATERAL (SELECT coalesce(a.xact_start, p.prepared) AS since, floor(extract(epoch"
		" FROM clock_timestamp() - coalesce(a.xact_start, p.prepared))) AS age,"
		" btrim(regexp_replace(a.query, '[[:space:]]+', ' ', 'g')) AS query,"
		" pg_catalog.pg_has_role($4, 'pg_read_all_stats'::name, 'USAGE')"
		" OR coalesce(pg_catalog.pg_has_role($4, a.usesysid, 'USAGE'), false) AS known) q"
		" WHERE a.backend_type IS DISTINCT FROM 'parallel worker'"
		" ORDER BY l.granted DESC, since, l.pid LIMIT 5",
		OIDOID, OIDOID, TEXTARRAYOID, OIDOID, BOOLOID);
	PgxcIdentity saved;
	StringInfoData lines;
	Datum values[5];
	int64 total = 0;
	int named;

	initStringInfo(&lines);
	values[0] = ObjectIdGetDatum(MyDatabaseId);
	values[1] = ObjectIdGetDatum(lock->relid);
	values[2] = conflicting_modes(lock->mode);
	values[3] = ObjectIdGetDatum(GetUserId());
	values[4] = BoolGetDatum(with_queries);

	/* The transaction may have looked around before. */
	pgstat_clear_backend_activity_snapshot();
	pgxc_sql_begin(&saved);
	named = pgxc_sql_execute(&select_blockers, values, NULL, SPI_OK_SELECT);
	for (int i = 0; i < named; i++)
	{
		bool isnull;
		Datum line = pgxc_sql_value(i, 1, &isnull);

		appendStringInfo(&lines, "%s%s", i > 0 ? separator : "",
						 isnull ? "somebody" : TextDatumGetCString(line));
		total = pgxc_sql_int64(i, 2);
	}
	pgxc_sql_end(&saved);

	if (named == 0)
		return NULL;
	if (total > named)
		appendStringInfo(&lines, "%sand %lld more", separator,
						 (long long) (total - named));
	return lines.data;
}

/* The error of pgxc_lock_politely(). */
static void
report_failure(const PgxcTableLock *lock, const char *what, int tries,
			   TimestampTz start)
{
	double elapsed = (GetCurrentTimestamp() - start) / 1e6;
	char *blockers = describe_blockers(lock, true, "\n");
	char *name = get_rel_name(lock->relid);
	char *schema = get_namespace_name(get_rel_namespace(lock->relid));

	ereport(
		ERROR,
		(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
		 errmsg("could not lock table \"%s.%s\" to %s", schema ? schema : "?",
				name ? name : "?", what),
		 errdetail(
			 "Tried %s in %.1f s to get %s, waiting for at most %d ms each time. %s%s",
			 tries == 1 ? "once" : psprintf("%d times", tries), elapsed,
			 GetLockmodeName(DEFAULT_LOCKMETHOD, lock->mode), wait_limit(),
			 blockers ? "In the way:\n" : "Nobody is in the way now.",
			 blockers ? blockers : ""),
		 errhint(
			 "Try again when these transactions have ended, end them with pg_terminate_backend(), or raise pgxc.ddl_lock_retries.")));
}

/*
 * Acquire all locks (a List of PgxcTableLock *), in the order given, until the
 * end of the transaction.
 *
 * Each wait lasts for at most pgxc.ddl_lock_timeout.  When a lock cannot be
 * had, those taken before are given back, and after a pause (50 ms, doubling to
 * 2 s) all are tried again, pgxc.ddl_lock_retries times.  Between attempts the
 * caller's own locks and snapshots stay.
 *
 * Needs a transaction; leaves memory context, resource owner and settings as
 * they were.  what completes "could not lock table ... to", for the message.
 * Throws 55P03 (with the holders), 42P01 if a table was dropped meanwhile, and
 * what a signal may make of it.
 */
void
pgxc_lock_politely(List *locks, const char *what)
{
	TimestampTz start = GetCurrentTimestamp();
	bool timed = get_timeout_active(STATEMENT_TIMEOUT);

	for (int tries = 1;; tries++)
	{
		/* Any other DDL would have an autovacuum cancelled by then. */
		bool firm = TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
											   DeadlockTimeout);
		PgxcTableLock *missing = attempt(locks, firm);

		if (missing == NULL)
			return;

		/* Where both timeouts expired at once, only ours was reported. */
		if (timed && !get_timeout_active(STATEMENT_TIMEOUT))
			ereport(ERROR,
					(errcode(ERRCODE_QUERY_CANCELED),
					 errmsg("canceling statement due to statement timeout")));
		if (tries > pgxc_ddl_lock_retries)
			report_failure(missing, what, tries, start);
		pause_between(tries);
	}
}

/*
 * One attempt of pgxc_lock_politely(): returns false, and none of the locks is
 * held, when one cannot be had.  *blockers then tells who is in the way, on one
 * line and without their queries (it may be written down for others), in the
 * current memory context.  For workers, which come back later.
 */
bool
pgxc_lock_try(List *locks, char **blockers)
{
	PgxcTableLock *missing = attempt(locks, true);

	*blockers = NULL;
	if (missing == NULL)
		return true;
	*blockers = describe_blockers(missing, false, "; ");
	if (*blockers == NULL)
		*blockers = pstrdup("somebody who has ended meanwhile");
	return false;
}

PG_FUNCTION_INFO_V1(pgxc_test_lock);
PG_FUNCTION_INFO_V1(pgxc_test_lock_try);

static List *
test_locks(ArrayType *relations, const char *mode_name)
{
	LOCKMODE mode = AccessShareLock;
	List *locks = NIL;
	Datum *relids;
	int n;

	while (strcmp(mode_name, GetLockmodeName(DEFAULT_LOCKMETHOD, mode)) != 0)
		if (++mode > AccessExclusiveLock)
			ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
							errmsg("unknown lock mode \"%s\"", mode_name)));

	deconstruct_array(relations, REGCLASSOID, sizeof(Oid), true, TYPALIGN_INT,
					  &relids, NULL, &n);
	for (int i = 0; i < n; i++)
	{
		PgxcTableLock *lock = palloc(sizeof(PgxcTableLock));

		lock->relid = DatumGetObjectId(relids[i]);
		lock->mode = mode;
		locks = lappend(locks, lock);
	}
	return locks;
}

/* pgxc_test_lock(regclass[], mode text, what text), for the tests */
Datum
pgxc_test_lock(PG_FUNCTION_ARGS)
{
	pgxc_lock_politely(test_locks(PG_GETARG_ARRAYTYPE_P(0),
								  text_to_cstring(PG_GETARG_TEXT_PP(1))),
					   text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_VOID();
}

/* pgxc_test_lock_try(regclass[], mode text): null, or who is in the way */
Datum
pgxc_test_lock_try(PG_FUNCTION_ARGS)
{
	char *blockers;

	if (pgxc_lock_try(test_locks(PG_GETARG_ARRAYTYPE_P(0),
								 text_to_cstring(PG_GETARG_TEXT_PP(1))),
					  &blockers))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(blockers));
}
