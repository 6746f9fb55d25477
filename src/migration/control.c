/*
 * control.c
 *		pause, resume, retry and cancel.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/event_log.h"
#include "core/extension.h"
#include "core/migration_row.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "core/transition.h"
#include "migration/contract.h"
#include "migration/control.h"

/*
 * What every verb does first: find the migration, check the caller, and keep
 * chunks out until the transaction ends.  Throws 55000 for expand_only, which
 * has nothing that a verb could act on.
 */
PgxcMigration *
pgxc_take_control(FunctionCallInfo fcinfo, const char *verb)
{
	PgxcMigration *migration;

	pgxc_require_primary(psprintf("pgxc.%s()", verb));
	migration = pgxc_migration_argument(fcinfo, 0);
	pgxc_migration_check_owner(migration);
	pgxc_migration_require_data(migration, verb);
	if (migration->expand_only)
		pgxc_refuse_verb(migration, verb, NULL);
	pgxc_migration_control_lock(migration->id, ExclusiveLock);

	/* It may have changed while we waited for the chunk in progress. */
	migration = pgxc_migration_load(migration->id);
	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the migration was removed concurrently")));
	return migration;
}

void
pgxc_refuse_verb(const PgxcMigration *migration, const char *verb,
				 const char *hint)
{
	bool open = strcmp(migration->phase, "migrate") == 0;

	ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					errmsg("cannot %s migration \"%s\", which is %s", verb,
						   migration->name,
						   open ? pgxc_state_name(migration->state)
								: migration->phase),
					hint ? errhint("%s", hint) : 0));
}

Datum
pgxc_state_result(PgxcState state)
{
	return PointerGetDatum(cstring_to_text(pgxc_state_name(state)));
}

/*
 * A dump names a table that was dropped by its OID, which may be another
 * table's here.  Of a migration that came here in a dump, throw 55000 unless the
 * name is the one it was started on.
 */
void
pgxc_require_same_table(const PgxcMigration *migration)
{
	char *name = get_rel_name(migration->relid);

	if (pgxc_migration_is_home(migration))
		return;
	if (name != NULL)
		name = quote_qualified_identifier(
			get_namespace_name(get_rel_namespace(migration->relid)), name);
	if (name != NULL && strcmp(name, migration->relation_name) == 0)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
		 errmsg("the table of restored migration \"%s\" is not here",
				migration->name),
		 name ? errdetail("It was started on table %s; its row names table %s.",
						  migration->relation_name, name)
			  : errdetail("It was started on table %s.",
						  migration->relation_name),
		 errhint(
			 "Cancel it with SELECT pgxc.cancel(%lld), and start it on the table that you mean.",
			 (long long) migration->id)));
}

/*
 * Forget all that is known of blocks: a migration that came here in a dump
 * starts from nothing.
 */
static void
come_home(const PgxcMigration *migration)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET home = $2, planned = false, step = 'update', round = 0 WHERE id = $1",
		INT8OID, TEXTOID);
	PgxcIdentity saved;
	Datum values[2];

	if (pgxc_migration_is_home(migration))
		return;
	pgxc_require_same_table(migration);
	values[0] = Int64GetDatum(migration->id);
	values[1] = CStringGetTextDatum(pgxc_home());
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_event(migration->id, "restored", NULL, NULL,
			   "it starts again at block 0");
	pgxc_sql_end(&saved);
}

/* What was verified is looked at again: first what came since, then all. */
static void
start_over_verification(int64 id)
{
	static PgxcStatement update =
		PGXC_SQL("UPDATE pgxc.migration SET step = 'update' WHERE id = $1",
				 INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

static void
recheck_row_errors(int64 id)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.row_error SET recheck = true WHERE migration_id = $1",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/* What crashed its worker gets another chance, too. */
static void
forget_attempts(int64 id)
{
	static PgxcStatement update = PGXC_SQL(
		"WITH m AS (UPDATE pgxc.migration SET starts = 0 WHERE id = $1)"
		" UPDATE pgxc.stripe SET attempts = 0 WHERE migration_id = $1",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/* Nobody will go on here: keep the counts, drop the cursors. */
void
pgxc_forget_work(int64 id)
{
	static PgxcStatement forget = PGXC_SQL(
		"WITH s AS (DELETE FROM pgxc.stripe WHERE migration_id = $1 RETURNING *),"
		" q AS (SELECT relid, sum(rows_updated) AS rows_updated, sum(wal_bytes) AS wal_bytes,"
		" sum(chunks) AS chunks FROM s GROUP BY relid),"
		" r AS (DELETE FROM pgxc.revisit WHERE migration_id = $1)"
		" UPDATE pgxc.leaf l SET rows_updated = l.rows_updated + q.rows_updated,"
		" wal_bytes = l.wal_bytes + q.wal_bytes, chunks = l.chunks + q.chunks"
		" FROM q WHERE l.migration_id = $1 AND l.relid = q.relid",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&forget, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

PG_FUNCTION_INFO_V1(pgxc_pause);
PG_FUNCTION_INFO_V1(pgxc_resume);
PG_FUNCTION_INFO_V1(pgxc_retry);
PG_FUNCTION_INFO_V1(pgxc_cancel);

/* pause(migration) returns text */
Datum
pgxc_pause(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration = pgxc_take_control(fcinfo, "pause");

	pgxc_interrupt_build(migration->id);
	if (migration->state != PGXC_STATE_PAUSED &&
		!pgxc_transition(migration->id, PGXC_STATE_PAUSED, NULL,
						 "paused by pgxc.pause()"))
		pgxc_refuse_verb(migration, "pause", NULL);
	return pgxc_state_result(PGXC_STATE_PAUSED);
}

/* resume(migration) returns text */
Datum
pgxc_resume(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration = pgxc_take_control(fcinfo, "resume");

	if (migration->state == PGXC_STATE_QUEUED)
		return pgxc_state_result(PGXC_STATE_QUEUED);

	/* Its row may still have the state that it was dumped in. */
	if (!pgxc_migration_is_home(migration))
		(void)
			pgxc_transition(migration->id, PGXC_STATE_PAUSED, NULL,
							"restored from a dump or copied with its database");
	if (migration->state != PGXC_STATE_PAUSED)
		pgxc_refuse_verb(migration, "resume",
						 migration->state == PGXC_STATE_ATTENTION ||
								 migration->state == PGXC_STATE_FAILED
							 ? "Mend the cause and use pgxc.retry()."
							 : NULL);
	forget_attempts(migration->id);
	come_home(migration);
	if (!pgxc_transition(migration->id, PGXC_STATE_QUEUED, NULL,
						 "resumed by pgxc.resume()"))
		pgxc_refuse_verb(migration, "resume", NULL);
	return pgxc_state_result(PGXC_STATE_QUEUED);
}

/* retry(migration) returns text */
Datum
pgxc_retry(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration = pgxc_take_control(fcinfo, "retry");

	if (migration->state != PGXC_STATE_ATTENTION &&
		migration->state != PGXC_STATE_FAILED &&
		migration->state != PGXC_STATE_BLOCKED &&
		migration->state != PGXC_STATE_READY)
		pgxc_refuse_verb(migration, "retry",
						 migration->state == PGXC_STATE_PAUSED
							 ? "Use pgxc.resume()."
							 : NULL);

	if (migration->state == PGXC_STATE_READY)
		start_over_verification(migration->id);
	recheck_row_errors(migration->id);
	forget_attempts(migration->id);
	come_home(migration);
	if (!pgxc_transition(migration->id, PGXC_STATE_QUEUED, NULL,
						 "retried by pgxc.retry()"))
		pgxc_refuse_verb(migration, "retry", NULL);
	return pgxc_state_result(PGXC_STATE_QUEUED);
}

/*
 * cancel(migration) returns text
 *
 * For a migration with two shapes it is the same as rollback.
 */
Datum
pgxc_cancel(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration = pgxc_take_control(fcinfo, "cancel");
	bool done;

	if (migration->dual_write && migration->state != PGXC_STATE_FINISHED)
	{
		pgxc_rollback_table(migration);
		done = pgxc_transition(migration->id, PGXC_STATE_FINISHED,
							   "rolled_back", "cancelled by pgxc.cancel()");
	}
	else
		done = pgxc_transition(
			migration->id, PGXC_STATE_FINISHED, "cancelled",
			"cancelled by pgxc.cancel(); rows that were updated stay updated");
	if (!done)
		pgxc_refuse_verb(migration, "cancel", NULL);
	pgxc_forget_work(migration->id);
	return pgxc_state_result(PGXC_STATE_FINISHED);
}
