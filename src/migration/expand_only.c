/*
 * expand_only.c
 *		pgxc.start_expand_only(), pgxc.finish_expand_only()
 *
 * A declared expand phase on a table, a schema or the database.  It has no data
 * and no worker: its row is all there is, and the guard reads it.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/varlena.h"

#include "backfill/estimate.h"
#include "backfill/registration.h"
#include "core/compat.h"
#include "core/ddl.h"
#include "core/event_log.h"
#include "core/extension.h"
#include "core/lock_queue.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "core/transition.h"
#include "migration/control.h"
#include "migration/expand.h"
#include "migration/expand_only.h"

/* What a phase covers, and who may say so. */
typedef struct PhaseScope
{
	char *scope;  /* table, schema or database */
	Oid relid;    /* of a table, else InvalidOid */
	char *schema; /* of a schema, else NULL */
	Oid owner;
	char *label; /* as it is shown: public.t, schema x, database x */
	char *plain; /* the same, unquoted, for the default name */
} PhaseScope;

/* Throw 42809 or 42501 unless it is a table of the caller's. */
static void
check_table(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	const char *name;
	const char *hint = NULL;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relid),
				 errdetail("It was dropped before it could be locked.")));
	form = (Form_pg_class) GETSTRUCT(tuple);
	name = pstrdup(NameStr(form->relname));

	switch (form->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			break;
		case RELKIND_VIEW:
		case RELKIND_MATVIEW:
			hint =
				"Name the tables that it selects from, or use the scope 'schema'.";
			break;
		case RELKIND_FOREIGN_TABLE:
			hint = "Name the table on its own server.";
			break;
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			hint = "Name its table.";
			break;
		default:
			hint = "Name an ordinary or a partitioned table.";
	}
	if (hint != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table", name), errhint("%s", hint)));
	if (form->relpersistence == RELPERSISTENCE_TEMP)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot open a phase on temporary table \"%s\"", name),
				 errdetail("No other session can see it."),
				 errhint("Name an ordinary or a partitioned table.")));
	if (IsSystemClass(relid, form))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" is a system catalog", name),
				 errhint("Name a table of your own.")));
	if (form->relnamespace == pgxc_schema_oid())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: \"%s\" belongs to extension pgxc",
						name),
				 errhint("Name a table of your own.")));
	if (!pgxc_relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE, name);
	ReleaseSysCache(tuple);
}

/* A name as SQL reads it: its parts, char *, at most so many; 42602. */
static List *
split_name(const char *object, const char *what, int most)
{
	List *parts = NIL;

	if (!SplitIdentifierString(pstrdup(object), '.', &parts) || parts == NIL ||
		list_length(parts) > most)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("\"%s\" is not the name of a %s", object, what),
			 errhint(
				 "Write it as in SQL, with double quotes where it needs them.")));
	return parts;
}

/* The table of that name, by the caller's search_path; 42P01. */
static Oid
find_table(const char *object)
{
	List *parts = split_name(object, "table", 2);
	char *schema = list_length(parts) > 1 ? (char *) linitial(parts) : NULL;
	Oid relid =
		RangeVarGetRelid(makeRangeVar(schema, (char *) llast(parts), -1),
						 NoLock, true);

	if (!OidIsValid(relid))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table \"%s\" does not exist", object),
			 errhint(
				 "Write it as in SQL, with its schema unless that is in search_path, and with double quotes where it needs them.")));
	return relid;
}

static void
describe_table(PhaseScope *phase)
{
	phase->owner = pgxc_relation_owner(phase->relid);
	phase->label = pgxc_qualified_name(phase->relid);
	phase->plain = psprintf("table %s.%s",
							get_namespace_name(get_rel_namespace(phase->relid)),
							get_rel_name(phase->relid));
}

/*
 * Let DDL that is under way end, and have what comes judged with the phase
 * open.
 *
 * SHARE UPDATE EXCLUSIVE conflicts with itself and with all that any DDL on a
 * table takes, and with no reader and no writer: there are no rows to wait for
 * here, unlike in the expand step of the kinds with data.
 */
static void
lock_table(PhaseScope *phase, const char *name)
{
	List *locks = NIL;
	ListCell *lc;

	foreach (lc, pgxc_migration_tree(phase->relid))
	{
		PgxcTableLock *lock = palloc(sizeof(PgxcTableLock));

		lock->relid = lfirst_oid(lc);
		lock->mode = ShareUpdateExclusiveLock;
		locks = lappend(locks, lock);
	}
	pgxc_lock_politely(locks, psprintf("start migration \"%s\"", name));
	check_table(phase->relid);
	describe_table(phase);
}

static Oid
find_schema(const char *name)
{
	Oid oid = get_namespace_oid(name, true);

	if (!OidIsValid(oid))
		ereport(
			ERROR,
			(errcode(ERRCODE_UNDEFINED_SCHEMA),
			 errmsg("schema \"%s\" does not exist", name),
			 errhint(
				 "Write it as in SQL, with double quotes where it needs them.")));
	return oid;
}

/* Takes ACCESS SHARE on the schema, as whoever creates something in it does. */
static void
describe_schema(PhaseScope *phase, const char *object)
{
	char *name = (char *) linitial(split_name(object, "schema", 1));
	Oid oid = find_schema(name);
	HeapTuple tuple;

	if (!pgxc_schema_ownercheck(oid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_SCHEMA, name);
	if (IsReservedName(name) || strcmp(name, "information_schema") == 0 ||
		oid == pgxc_schema_oid())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied: schema \"%s\" belongs to %s", name,
						oid == pgxc_schema_oid() ? "extension pgxc"
												 : "the server"),
				 errhint("Name a schema of your own.")));

	LockDatabaseObject(NamespaceRelationId, oid, 0, AccessShareLock);
	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(oid));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("schema \"%s\" does not exist", name),
				 errdetail("It was dropped before it could be locked.")));
	phase->owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	phase->schema = name;
	phase->label = psprintf("schema %s", quote_identifier(name));
	phase->plain = psprintf("schema %s", name);
}

/* object: NULL, or the current database's name, as SQL reads it or as it is. */
static void
describe_database(PhaseScope *phase, const char *object)
{
	char *name = get_database_name(MyDatabaseId);
	HeapTuple tuple;

	if (object != NULL && strcmp(object, name) != 0)
	{
		char *given = (char *) linitial(split_name(object, "database", 1));

		if (!OidIsValid(get_database_oid(given, true)))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_DATABASE),
					 errmsg("database \"%s\" does not exist", given),
					 errhint("Leave it out to name the current database.")));
		if (strcmp(given, name) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("database \"%s\" is not the current database", given),
				 errhint(
					 "Connect to it, and call pgxc.start_expand_only('database') there.")));
	}
	if (!pgxc_database_ownercheck(MyDatabaseId, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_DATABASE, name);

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(MyDatabaseId));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no database %u", MyDatabaseId); /* cannot happen */
	phase->owner = ((Form_pg_database) GETSTRUCT(tuple))->datdba;
	ReleaseSysCache(tuple);
	phase->label = psprintf("database %s", quote_identifier(name));
	phase->plain = psprintf("database %s", name);
}

/* Throws 22004, 22023 and 42602. */
static void
check_arguments(const char *scope, const char *object, const char *name)
{
	if (scope == NULL)
		ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
						errmsg("scope of %s must not be null",
							   "pgxc.start_expand_only()"),
						errhint("It is 'table', 'schema' or 'database'.")));
	if (strcmp(scope, "table") != 0 && strcmp(scope, "schema") != 0 &&
		strcmp(scope, "database") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown scope \"%s\"", scope),
						errhint("It is 'table', 'schema' or 'database'.")));
	if (object == NULL && strcmp(scope, "database") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("object must not be null for scope \"%s\"", scope),
				 errhint("Call pgxc.start_expand_only('%s', 'name').", scope)));
	if (object != NULL && object[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
						errmsg("name of a %s must not be empty", scope),
						errhint("Write it as in SQL.")));
	if (name != NULL && name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a migration must not be empty"),
				 errhint(
					 "Leave it out to have one made from scope and object.")));
}

/*
 * Is there a migration of this name?  With the same definition: its id, with
 * another: 42710.  A phase that is over is history, and so is what was rolled
 * back: they give the name up.
 *
 * One that came here in a dump is from here on this database's own.
 */
static int64
same_migration(const PhaseScope *phase, const char *name)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT id, state, phase, kind = 'expand_only' AND scope = $2"
		" AND relation IS NOT DISTINCT FROM $3 AND scope_schema IS NOT DISTINCT FROM $4, home <> $5"
		" FROM pgxc.migration WHERE name = $1 AND phase <> 'rolled_back'"
		" AND (kind <> 'expand_only' OR phase <> 'done')",
		TEXTOID, TEXTOID, REGCLASSOID, TEXTOID, TEXTOID);
	static PgxcStatement come_home =
		PGXC_SQL("UPDATE pgxc.migration SET home = $2 WHERE id = $1", INT8OID,
				 TEXTOID);
	PgxcIdentity saved;
	Datum values[5] = { 0 };
	char nulls[6] = "     ";
	bool isnull;
	int64 id = 0;

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(phase->scope);
	values[2] = ObjectIdGetDatum(phase->relid);
	nulls[2] = OidIsValid(phase->relid) ? ' ' : 'n';
	if (phase->schema != NULL)
		values[3] = CStringGetTextDatum(phase->schema);
	nulls[3] = phase->schema != NULL ? ' ' : 'n';
	values[4] = CStringGetTextDatum(pgxc_home());

	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, nulls) == 1)
	{
		char *state = TextDatumGetCString(pgxc_sql_value(0, 2, &isnull));
		char *in_phase = TextDatumGetCString(pgxc_sql_value(0, 3, &isnull));
		bool same = DatumGetBool(pgxc_sql_value(0, 4, &isnull));
		bool away = DatumGetBool(pgxc_sql_value(0, 5, &isnull));

		id = pgxc_sql_int64(0, 1);
		pgxc_report_same_name(name, id, same, state, in_phase);
		if (away)
		{
			Datum update[] = { Int64GetDatum(id), values[4] };

			(void) pgxc_sql_execute(&come_home, update, NULL, SPI_OK_UPDATE);
			pgxc_event(id, "restored", NULL, NULL, "the phase is open here");
		}
	}
	pgxc_sql_end(&saved);
	return id;
}

/* What is history keeps its name with its number behind it. */
static void
free_name(const char *name)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET name = format('%s #%s', name, id) WHERE name = $1"
		" AND (phase = 'rolled_back' OR (kind = 'expand_only' AND phase = 'done'))",
		TEXTOID);
	PgxcIdentity saved;
	Datum value = CStringGetTextDatum(name);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/* The caller holds the lock on the name, so that nobody else inserts it. */
static int64
insert_migration(const PhaseScope *phase, const char *name)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.migration (name, kind, scope, relation, scope_schema, relation_name,"
		" owner, home, columns, expressions, assignments_given, settings, phase, state, started_at)"
		" VALUES ($1, 'expand_only', $2, $3, $4, $5, $6, $7, '{}', '{}', '', '{}',"
		" 'expand', 'ready', clock_timestamp()) RETURNING id",
		TEXTOID, TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID);
	PgxcIdentity saved;
	Datum values[7] = { 0 };
	char nulls[8] = "       ";
	int64 id;

	values[0] = CStringGetTextDatum(name);
	values[1] = CStringGetTextDatum(phase->scope);
	values[2] = ObjectIdGetDatum(phase->relid);
	nulls[2] = OidIsValid(phase->relid) ? ' ' : 'n';
	if (phase->schema != NULL)
		values[3] = CStringGetTextDatum(phase->schema);
	nulls[3] = phase->schema != NULL ? ' ' : 'n';
	values[4] = CStringGetTextDatum(phase->label);
	values[5] = CStringGetTextDatum(GetUserNameFromId(phase->owner, false));
	values[6] = CStringGetTextDatum(pgxc_home());

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&insert, values, nulls, SPI_OK_INSERT_RETURNING);
	id = pgxc_sql_int64(0, 1);
	pgxc_event(id, "created", NULL, "ready",
			   psprintf("expand-only phase on %s%s",
						phase->relid ? "table " : "", phase->label));
	pgxc_sql_end(&saved);
	return id;
}

/* Without the library in every session nobody looks at DDL. */
static void
warn_without_guard(const char *name)
{
	if (pgxc_shared == NULL)
		ereport(
			WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("nothing enforces expand-only phase \"%s\"", name),
			 errdetail("pgxc is not in shared_preload_libraries."),
			 errhint(
				 "Add pgxc to shared_preload_libraries and restart the server.")));
}

/* The one row of pgxc.plan(). */
List *
pgxc_plan_expand_only(const PgxcMigration *migration)
{
	bool open = strcmp(migration->phase, "expand") == 0;

	return pgxc_plan_add(
		NIL,
		psprintf(open ? "refuse destructive DDL on %s%s"
					  : "nothing: the phase on %s%s is over",
				 strcmp(migration->scope, "table") == 0 ? "table " : "",
				 migration->relation_name),
		"none",
		open ? psprintf("until SELECT pgxc.finish_expand_only(%lld)",
						(long long) migration->id)
			 : "-",
		open
			? pstrdup(
				  "refused is what would break code that knows the old shape: dropping, renaming, retyping or narrowing something, NOT NULL without a default, a new constraint; what is only added passes")
			: pstrdup(""));
}

PG_FUNCTION_INFO_V1(pgxc_start_expand_only);
PG_FUNCTION_INFO_V1(pgxc_finish_expand_only);

/*
 * start_expand_only(scope text, object text, name text) returns bigint
 *
 * For a table takes SHARE UPDATE EXCLUSIVE on it and its partitions, politely,
 * until the end of the transaction; otherwise no lock on any table.
 */
Datum
pgxc_start_expand_only(PG_FUNCTION_ARGS)
{
	char *texts[3];
	PhaseScope phase = { 0 };
	char *object;
	char *name;
	int64 id;

	pgxc_require_primary("pgxc.start_expand_only()");
	for (int i = 0; i < lengthof(texts); i++)
		texts[i] =
			PG_ARGISNULL(i) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(i));
	phase.scope = texts[0];
	object = texts[1];
	name = texts[2];
	check_arguments(phase.scope, object, name);

	if (strcmp(phase.scope, "table") == 0)
	{
		phase.relid = find_table(object);
		check_table(phase.relid);
		describe_table(&phase);
	}
	else if (strcmp(phase.scope, "schema") == 0)
		describe_schema(&phase, object);
	else
		describe_database(&phase, object);
	if (name == NULL)
		name = psprintf("expand_only %s", phase.plain);

	pgxc_lock_name(name);
	id = same_migration(&phase, name);
	if (id != 0)
		PG_RETURN_INT64(id);
	if (OidIsValid(phase.relid))
		lock_table(&phase, name);
	free_name(name);
	id = insert_migration(&phase, name);
	warn_without_guard(name);
	PG_RETURN_INT64(id);
}

/*
 * finish_expand_only(migration) returns text
 *
 * Also where the table or schema is gone: the role that owned it may.
 */
Datum
pgxc_finish_expand_only(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration;

	pgxc_require_primary("pgxc.finish_expand_only()");
	migration = pgxc_migration_argument(fcinfo, 0);
	pgxc_migration_check_owner(migration);
	if (!migration->expand_only)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" is not an expand-only phase",
						migration->name),
				 errdetail("It is a %s.", migration->kind),
				 migration->dual_write
					 ? errhint(
						   "End it with pgxc.contract() or pgxc.rollback().")
					 : errhint("End it with pgxc.cancel().")));
	if (!pgxc_transition(migration->id, PGXC_STATE_FINISHED, "done",
						 "finished by pgxc.finish_expand_only()"))
		pgxc_refuse_verb(migration, "finish", NULL);
	return pgxc_state_result(PGXC_STATE_FINISHED);
}
