/*
 * wait.c
 *		CALL pgxc.wait(), and pgxc.assert_done().
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/migration_row.h"
#include "core/nonatomic.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"

#define POLL_MS 500
#define NOTICE_MS 10000

static void
report_progress(int64 id)
{
	static PgxcStatement select_progress = PGXC_SQL(
		"SELECT format('migration \"%s\": %s, %s %%, %s', name, state, percent,"
		" coalesce(wait_reason, 'eta ' || eta::text, next_step))"
		" FROM pgxc.migrations WHERE id = $1",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select_progress, &value, NULL, SPI_OK_SELECT) == 1)
	{
		bool isnull;
		Datum line = pgxc_sql_value(0, 1, &isnull);

		if (!isnull)
			ereport(NOTICE, (errmsg("%s", TextDatumGetCString(line))));
	}
	pgxc_sql_end(&saved);
}

/*
 * Why it stopped.  An error's message may hold values of a row, which are for
 * the table's owner only.
 */
static char *
last_error(const PgxcMigration *migration)
{
	static PgxcStatement select_error = PGXC_SQL(
		"SELECT coalesce(last_error_code || ': ' || CASE WHEN $2 THEN last_error END,"
		" state_reason, 'no reason is known') FROM pgxc.migration WHERE id = $1",
		INT8OID, BOOLOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum values[2];
	char *result = NULL;

	values[0] = Int64GetDatum(migration->id);
	values[1] = BoolGetDatum(pgxc_migration_is_owner(migration));
	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select_error, values, NULL, SPI_OK_SELECT) == 1)
	{
		bool isnull;

		result =
			MemoryContextStrdup(caller, TextDatumGetCString(
											pgxc_sql_value(0, 1, &isnull)));
	}
	pgxc_sql_end(&saved);
	return result;
}

/*
 * Does it still run by itself?  Throws if it ended in any other way than done,
 * ready or paused.
 */
static bool
still_running(const PgxcMigration *migration)
{
	switch (migration->state)
	{
		case PGXC_STATE_QUEUED:
		case PGXC_STATE_RUNNING:
		case PGXC_STATE_BLOCKED:
			return true;
		case PGXC_STATE_READY:
			pgxc_migration_require_data(migration, "wait for");
			return false;
		case PGXC_STATE_PAUSED:
			ereport(
				WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("migration \"%s\" is paused", migration->name),
				 pgxc_migration_is_home(migration)
					 ? errdetail("%s", last_error(migration))
					 : errdetail(
						   "It was restored from a dump or copied with its database; it will start again at block 0."),
				 errhint("SELECT pgxc.resume(%lld) lets it go on.",
						 (long long) migration->id)));
			return false;
		case PGXC_STATE_FINISHED:
			if (strcmp(migration->phase, "done") == 0)
				return false;
			ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
							errmsg("migration \"%s\" was %s", migration->name,
								   strcmp(migration->phase, "rolled_back") == 0
									   ? "rolled back"
									   : "cancelled")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("migration \"%s\" %s", migration->name,
							migration->state == PGXC_STATE_FAILED
								? "failed"
								: "needs attention"),
					 errdetail("%s", last_error(migration)),
					 errhint("Mend the cause, then SELECT pgxc.retry(%lld).",
							 (long long) migration->id)));
	}
	return false;
}

static void
check_timeout(const PgxcMigration *migration, TimestampTz start,
			  TimestampTz end)
{
	if (end != 0 && GetCurrentTimestamp() >= end)
		ereport(
			ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("migration \"%s\" is not done after %ld s", migration->name,
					(long) ((GetCurrentTimestamp() - start) / USECS_PER_SEC)),
			 errhint("It goes on in the background; call pgxc.wait() again.")));
}

static void
sleep_until_change(void)
{
	if (pgxc_shared != NULL)
		(void) ConditionVariableTimedSleep(&pgxc_shared->changed, POLL_MS,
										   pgxc_wait_event(
											   PGXC_WAIT_MIGRATION));
	else
	{
		(void) WaitLatch(MyLatch,
						 WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 POLL_MS, pgxc_wait_event(PGXC_WAIT_MIGRATION));
		ResetLatch(MyLatch);
	}
	CHECK_FOR_INTERRUPTS();
}

PG_FUNCTION_INFO_V1(pgxc_wait);
PG_FUNCTION_INFO_V1(pgxc_assert_done);

/*
 * wait(migration, timeout interval)
 *
 * Each look is a transaction of its own, and between two of them no snapshot
 * is held: one would keep vacuum from removing the very rows that the backfill
 * leaves dead.
 */
Datum
pgxc_wait(PG_FUNCTION_ARGS)
{
	TimestampTz start = GetCurrentTimestamp();
	TimestampTz end = 0;
	TimestampTz said = start;
	PgxcMigration *migration;
	MemoryContext look;
	MemoryContext old;
	int64 id;

	pgxc_require_nonatomic(fcinfo, "pgxc.wait()");
	migration = pgxc_migration_argument(fcinfo, 0);
	id = migration->id;
	if (!PG_ARGISNULL(1))
		end =
			DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
													TimestampTzGetDatum(start),
													PG_GETARG_DATUM(1)));
	if (pgxc_shared == NULL && still_running(migration))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no background worker will run migration \"%s\"",
						migration->name),
				 errdetail("pgxc is not in shared_preload_libraries."),
				 errhint("Run it in this session with CALL pgxc.run(%lld).",
						 (long long) id)));

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	if (pgxc_shared != NULL)
		ConditionVariablePrepareToSleep(&pgxc_shared->changed);

	/* A wait may last for days: each look leaves nothing behind. */
	look = AllocSetContextCreate(CurrentMemoryContext, "pgxc wait",
								 ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(look);
	PG_TRY();
	{
		for (;;)
		{
			MemoryContextReset(look);
			pgxc_tx_begin(true);
			migration = pgxc_migration_load(id);
			if (migration == NULL)
				ereport(ERROR,
						(errcode(ERRCODE_UNDEFINED_OBJECT),
						 errmsg("the migration was removed concurrently")));
			if (!still_running(migration))
				break;
			check_timeout(migration, start, end);
			if (TimestampDifferenceExceeds(said, GetCurrentTimestamp(),
										   NOTICE_MS))
			{
				said = GetCurrentTimestamp();
				report_progress(id);
			}
			pgxc_tx_commit(true);
			sleep_until_change();
		}
	}
	PG_CATCH();
	{
		pgxc_tx_leave();
		PG_RE_THROW();
	}
	PG_END_TRY();

	pgxc_tx_commit(true);
	MemoryContextSwitchTo(old);
	if (pgxc_shared != NULL)
		ConditionVariableCancelSleep();
	SPI_finish();
	PG_RETURN_VOID();
}

/* assert_done(migration) returns void */
Datum
pgxc_assert_done(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration = pgxc_migration_argument(fcinfo, 0);

	if (strcmp(migration->phase, "done") != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" is not done", migration->name),
			 migration->expand_only
				 ? errdetail("The phase is open.")
				 : errdetail("It is %s.",
							 strcmp(migration->phase, "migrate") == 0
								 ? pgxc_state_name(migration->state)
								 : migration->phase),
			 migration->expand_only
				 ? errhint("End it with SELECT pgxc.finish_expand_only(%lld).",
						   (long long) migration->id)
			 : migration->state == PGXC_STATE_READY
				 ? errhint("End it with SELECT pgxc.contract(%lld).",
						   (long long) migration->id)
				 : errhint(
					   "Wait for it with CALL pgxc.wait(%lld) before this release.",
					   (long long) migration->id)));
	PG_RETURN_VOID();
}
