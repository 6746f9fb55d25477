/*
 * migration_row.c
 *		A row of pgxc.migration: finding it, loading it, locking it.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/extension.h"
#include "core/migration_row.h"
#include "core/settings.h"
#include "core/sql_runner.h"

enum
{
	COL_ID = 1,
	COL_NAME,
	COL_RELATION,
	COL_RELATION_NAME,
	COL_OWNER,
	COL_HOME,
	COL_COLUMNS,
	COL_EXPRESSIONS,
	COL_PREDICATE,
	COL_SETTINGS,
	COL_TARGET_CHUNK_MS,
	COL_MAX_DUTY,
	COL_PARALLEL_WORKERS,
	COL_MAX_ROWS_PER_SECOND,
	COL_MAX_WAL_RATE,
	COL_PASSES,
	COL_MAX_ROW_ERRORS,
	COL_THROTTLE_FUNCTION,
	COL_KIND,
	COL_SCOPE,
	COL_SCOPE_SCHEMA,
	COL_OLD_COLUMNS,
	COL_NEW_COLUMN,
	COL_FINAL_COLUMN,
	COL_UP,
	COL_DOWNS,
	COL_USES,
	COL_FINGERPRINT,
	COL_PREFER,
	COL_KEEP_OLD,
	COL_FIRE_TRIGGERS,
	COL_PHASE,
	COL_STATE,
	COL_STEP,
	COL_PLANNED,
	COL_ROUND,
	COL_BLOCKED_TRIES,
	COL_STARTS,
	COL_HAS_ROW_ERRORS
};

static char *
text_column(int column)
{
	bool isnull;
	Datum value = pgxc_sql_value(0, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static int
int_column(int column, int if_null)
{
	bool isnull;
	Datum value = pgxc_sql_value(0, column, &isnull);

	return isnull ? if_null : DatumGetInt32(value);
}

static PgxcMigration *
read_row(void)
{
	PgxcMigration *m = palloc0(sizeof(PgxcMigration));
	bool isnull;
	Datum duty;

	m->id = pgxc_sql_int64(0, COL_ID);
	m->name = text_column(COL_NAME);
	m->relid = DatumGetObjectId(pgxc_sql_value(0, COL_RELATION, &isnull));
	m->relation_name = text_column(COL_RELATION_NAME);
	m->owner = text_column(COL_OWNER);
	m->home = text_column(COL_HOME);
	m->columns = pgxc_sql_text_list(0, COL_COLUMNS);
	m->expressions = pgxc_sql_text_list(0, COL_EXPRESSIONS);
	m->predicate = text_column(COL_PREDICATE);
	m->settings = pgxc_sql_text_list(0, COL_SETTINGS);
	m->target_chunk_ms = int_column(COL_TARGET_CHUNK_MS, pgxc_target_chunk_ms);
	duty = pgxc_sql_value(0, COL_MAX_DUTY, &isnull);
	m->max_duty = isnull ? pgxc_max_duty : DatumGetFloat8(duty);
	m->parallel_workers = int_column(COL_PARALLEL_WORKERS, 1);
	m->max_rows_per_second = int_column(COL_MAX_ROWS_PER_SECOND, 0);
	m->max_wal_rate = int_column(COL_MAX_WAL_RATE, pgxc_max_wal_rate);
	m->passes = int_column(COL_PASSES, 0);
	m->max_row_errors = pgxc_sql_int64(0, COL_MAX_ROW_ERRORS);
	m->throttle_function = text_column(COL_THROTTLE_FUNCTION);
	m->kind = text_column(COL_KIND);
	m->scope = text_column(COL_SCOPE);
	m->scope_schema = text_column(COL_SCOPE_SCHEMA);
	m->expand_only = strcmp(m->kind, "expand_only") == 0;
	m->dual_write = !m->expand_only && strcmp(m->kind, "backfill") != 0;
	m->old_columns = pgxc_sql_text_list(0, COL_OLD_COLUMNS);
	m->new_column = text_column(COL_NEW_COLUMN);
	m->final_column = text_column(COL_FINAL_COLUMN);
	m->up = text_column(COL_UP);
	m->downs = pgxc_sql_text_list(0, COL_DOWNS);
	m->uses = pgxc_sql_text_list(0, COL_USES);
	m->fingerprint = pgxc_sql_text_list(0, COL_FINGERPRINT);
	m->prefer = text_column(COL_PREFER);
	m->keep_old = DatumGetBool(pgxc_sql_value(0, COL_KEEP_OLD, &isnull));
	m->fire_triggers =
		DatumGetBool(pgxc_sql_value(0, COL_FIRE_TRIGGERS, &isnull));
	m->phase = text_column(COL_PHASE);
	if (!pgxc_state_parse(text_column(COL_STATE), &m->state))
		elog(ERROR, "unknown migration state"); /* cannot happen */
	m->verifying = strcmp(text_column(COL_STEP), "verify") == 0;
	m->planned = DatumGetBool(pgxc_sql_value(0, COL_PLANNED, &isnull));
	m->round = int_column(COL_ROUND, 0);
	m->blocked_tries = int_column(COL_BLOCKED_TRIES, 0);
	m->starts = int_column(COL_STARTS, 0);
	m->has_row_errors =
		DatumGetBool(pgxc_sql_value(0, COL_HAS_ROW_ERRORS, &isnull));

	/* What came from elsewhere is paused, whatever its row says so far. */
	if (strcmp(m->phase, "migrate") == 0 && m->state != PGXC_STATE_FAILED &&
		!pgxc_migration_is_home(m))
		m->state = PGXC_STATE_PAUSED;
	return m;
}

#define MIGRATION_COLUMNS                                                                                             \
	"SELECT m.id, name, relation::oid, relation_name, owner, home, columns, expressions,"                             \
	" predicate, settings, target_chunk_ms, max_duty, parallel_workers,"                                              \
	" max_rows_per_second, max_wal_rate, passes, max_row_errors,"                                                     \
	" throttle_function, kind, scope, scope_schema, old_columns, new_column, final_column, up, downs,"                \
	" uses, fingerprint, prefer, keep_old, fire_triggers, phase, state, step, planned, round, blocked_tries, starts," \
	" EXISTS (SELECT FROM pgxc.row_error e WHERE e.migration_id = m.id)"                                              \
	" FROM pgxc.migration m "

/*
 * Load a migration into the current memory context; NULL if there is none.
 * Takes no lock on the row.
 */
PgxcMigration *
pgxc_migration_load(int64 id)
{
	static PgxcStatement select_row =
		PGXC_SQL(MIGRATION_COLUMNS "WHERE m.id = $1", INT8OID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	PgxcMigration *m = NULL;
	Datum value = Int64GetDatum(id);

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select_row, &value, NULL, SPI_OK_SELECT) == 1)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);

		m = read_row();
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return m;
}

/*
 * The migration that an argument names, by bigint id or by text name.  Throws
 * 42704 if there is none, and 22004 for a null.
 */
PgxcMigration *
pgxc_migration_argument(FunctionCallInfo fcinfo, int argno)
{
	static PgxcStatement select_id =
		PGXC_SQL("SELECT id FROM pgxc.migration WHERE name = $1", TEXTOID);
	PgxcMigration *m = NULL;
	char *what;

	if (PG_ARGISNULL(argno))
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("migration must not be null")));

	if (get_fn_expr_argtype(fcinfo->flinfo, argno) == TEXTOID)
	{
		PgxcIdentity saved;
		Datum value = PG_GETARG_DATUM(argno);
		int64 id = 0;
		bool found;

		what = psprintf("\"%s\"", TextDatumGetCString(value));
		pgxc_sql_begin(&saved);
		found = pgxc_sql_execute(&select_id, &value, NULL, SPI_OK_SELECT) == 1;
		if (found)
			id = pgxc_sql_int64(0, 1);
		pgxc_sql_end(&saved);
		if (found)
			m = pgxc_migration_load(id);
	}
	else
	{
		int64 id = PG_GETARG_INT64(argno);

		what = psprintf(INT64_FORMAT, id);
		m = pgxc_migration_load(id);
	}

	if (m == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("migration %s does not exist", what),
						errhint("The view pgxc.migrations lists them.")));
	return m;
}

/*
 * May the current user act for the owner of the migration's table, schema or
 * database (or of the role that was, if it is gone)?
 */
bool
pgxc_migration_is_owner(const PgxcMigration *migration)
{
	Oid owner;
	Oid schema;

	if (get_rel_name(migration->relid) != NULL)
		return pgxc_relation_ownercheck(migration->relid, GetUserId());
	if (migration->scope_schema != NULL)
	{
		schema = get_namespace_oid(migration->scope_schema, true);
		if (OidIsValid(schema))
			return pgxc_schema_ownercheck(schema, GetUserId());
	}
	if (migration->scope != NULL && strcmp(migration->scope, "database") == 0)
		return pgxc_database_ownercheck(MyDatabaseId, GetUserId());

	owner = get_role_oid(migration->owner, true);
	return superuser() ||
		   (OidIsValid(owner) && has_privs_of_role(GetUserId(), owner));
}

/*
 * Throw 42501 unless that is so.
 */
void
pgxc_migration_check_owner(const PgxcMigration *migration)
{
	if (!pgxc_migration_is_owner(migration))
		ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
						errmsg("must be owner of %s%s",
							   migration->expand_only &&
									   strcmp(migration->scope, "table") != 0
								   ? ""
								   : "table ",
							   migration->relation_name)));
}

/*
 * Throw 55000 for an expand-only phase that is open: what has no data has
 * nothing to run, stop or undo.  verb completes "cannot ... migration".
 */
void
pgxc_migration_require_data(const PgxcMigration *migration, const char *verb)
{
	if (migration->expand_only && migration->state != PGXC_STATE_FINISHED)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot %s migration \"%s\", which is an expand-only phase",
					verb, migration->name),
			 errdetail("It has no data; it is open until a person ends it."),
			 errhint("End it with SELECT pgxc.finish_expand_only(%lld).",
					 (long long) migration->id)));
}

/*
 * Take the migration's control lock until the end of the transaction.
 *
 * It is a lock on an object of ours, not on a table: every chunk takes it in
 * ROW SHARE mode, and whoever changes a migration's state in EXCLUSIVE mode.
 * So pause() and cancel() return when no chunk runs, and none starts before
 * they have committed.  Bounded by lock_timeout.
 */
void
pgxc_migration_control_lock(int64 id, LOCKMODE mode)
{
	LockDatabaseObject(pgxc_catalog_table("migration"), (Oid) id, 1, mode);
}

/* Was this row written by this very server, database and extension? */
bool
pgxc_migration_is_home(const PgxcMigration *migration)
{
	return strcmp(migration->home, pgxc_home()) == 0;
}
