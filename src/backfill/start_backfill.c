/*
 * start_backfill.c
 *		pgxc.start_backfill()
 *
 * A plain function, legal inside a transaction: it checks everything, inserts
 * a row, and asks for workers at COMMIT.  ROLLBACK leaves no trace.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/assignments.h"
#include "backfill/estimate.h"
#include "backfill/preflight.h"
#include "backfill/registration.h"
#include "core/compat.h"
#include "core/event_log.h"
#include "core/extension.h"
#include "core/fingerprint.h"
#include "core/options.h"
#include "core/settings.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "core/wakeup.h"

enum
{
	ARG_RELATION,
	ARG_ASSIGNMENTS,
	ARG_PREDICATE,
	ARG_NAME,
	ARG_TARGET_CHUNK_MS,
	ARG_MAX_DUTY,
	ARG_PARALLEL_WORKERS,
	ARG_MAX_ROWS_PER_SECOND,
	ARG_MAX_WAL_RATE,
	ARG_PASSES,
	ARG_MAX_ROW_ERRORS,
	ARG_THROTTLE_FUNCTION,
	ARG_DRY_RUN
};

static char *
default_name(Relation rel, List *columns)
{
	StringInfoData buf;
	ListCell *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "backfill %s.%s",
					 get_namespace_name(RelationGetNamespace(rel)),
					 RelationGetRelationName(rel));
	foreach (lc, columns)
		appendStringInfo(&buf, "%s%s", lc == list_head(columns) ? "." : ",",
						 (char *) lfirst(lc));
	return buf.data;
}

/*
 * Check each table of the hierarchy.  ACCESS SHARE on each, for a moment.
 */
static void
check_hierarchy(Relation root, List *columns)
{
	ListCell *lc;

	pgxc_preflight_columns(root, columns, RelationGetRelid(root));
	foreach (lc, find_all_inheritors(RelationGetRelid(root), NoLock, NULL))
	{
		Relation leaf;

		if (lfirst_oid(lc) == RelationGetRelid(root))
			continue;
		pgxc_preflight_columns(root, columns, lfirst_oid(lc));
		leaf = try_relation_open(lfirst_oid(lc), AccessShareLock);
		if (leaf == NULL)
			continue;
		pgxc_preflight_relation(leaf, false);
		if (!has_privs_of_role(root->rd_rel->relowner, leaf->rd_rel->relowner))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
						   RelationGetRelationName(leaf));
		relation_close(leaf, AccessShareLock);
	}
}

/*
 * Is there a migration of this name?  With the same definition: returns its id
 * (the caller's work is done already).  With another: throws 42710.
 */
static int64
same_migration(const char *name, Oid relid, const PgxcAssignments *assignments)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT id, state, phase, kind = 'backfill' AND relation = $2 AND columns = $3"
		" AND expressions = $4 AND predicate IS NOT DISTINCT FROM $5"
		" FROM pgxc.migration WHERE name = $1",
		TEXTOID, REGCLASSOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID);
	PgxcIdentity saved;
	Datum values[5];
	char nulls[6] = "     ";
	bool isnull;
	int64 id = 0;

	values[0] = CStringGetTextDatum(name);
	values[1] = ObjectIdGetDatum(relid);
	values[2] = pgxc_text_list_datum(assignments->columns);
	values[3] = pgxc_text_list_datum(assignments->expressions);
	values[4] = assignments->predicate
					? CStringGetTextDatum(assignments->predicate)
					: (Datum) 0;
	nulls[4] = assignments->predicate ? ' ' : 'n';

	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, nulls) == 1)
	{
		char *state = TextDatumGetCString(pgxc_sql_value(0, 2, &isnull));
		char *phase = TextDatumGetCString(pgxc_sql_value(0, 3, &isnull));

		id = pgxc_sql_int64(0, 1);
		pgxc_report_same_name(name, id,
							  DatumGetBool(pgxc_sql_value(0, 4, &isnull)),
							  state, phase);
	}
	pgxc_sql_end(&saved);
	return id;
}

/*
 * Throw 55006 if another open migration assigns one of the columns, on this
 * table or on one that shares rows with it.
 */
static void
check_conflicts(List *family, List *columns)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT m.name, c FROM pgxc.migration m, unnest(m.columns || m.old_columns || m.final_column) c"
		" WHERE m.phase = 'migrate' AND m.relation::oid = ANY ($1) AND c = ANY ($2)"
		" ORDER BY m.id LIMIT 1",
		OIDARRAYOID, TEXTARRAYOID);
	PgxcIdentity saved;
	Datum values[2];

	values[0] = pgxc_oid_list_datum(family);
	values[1] = pgxc_text_list_datum(columns);

	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, NULL) > 0)
	{
		bool isnull;
		char *name = TextDatumGetCString(pgxc_sql_value(0, 1, &isnull));

		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("column \"%s\" is being assigned by migration \"%s\"",
					TextDatumGetCString(pgxc_sql_value(0, 2, &isnull)), name),
			 errhint(
				 "Wait until it is done, or cancel it with SELECT pgxc.cancel(%s).",
				 quote_literal_cstr(name))));
	}
	pgxc_sql_end(&saved);
}

/*
 * Insert the row.  Returns 0 if another transaction has inserted one of the
 * same name meanwhile.
 */
static int64
insert_migration(FunctionCallInfo fcinfo, Relation rel, const char *name,
				 const PgxcAssignments *assignments, const PgxcOptions *options)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.migration (name, kind, relation, relation_name, owner, home,"
		" columns, expressions, predicate, assignments_given, predicate_given, settings,"
		" target_chunk_ms, max_duty, parallel_workers, max_rows_per_second, max_wal_rate,"
		" passes, max_row_errors, throttle_function, phase, state)"
		" VALUES ($1, 'backfill', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,"
		" $15, $16, $17, $18, $19, 'migrate', 'queued')"
		" ON CONFLICT (name) DO NOTHING RETURNING id",
		TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID,
		TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTARRAYOID, INT4OID,
		FLOAT8OID, INT4OID, INT4OID, INT4OID, INT4OID, INT8OID, TEXTOID);
	PgxcIdentity saved;
	Datum values[19];
	char nulls[20] = "                   ";
	int64 id = 0;

	values[0] = CStringGetTextDatum(name);
	values[1] = ObjectIdGetDatum(RelationGetRelid(rel));
	values[2] = CStringGetTextDatum(quote_qualified_identifier(
		get_namespace_name(RelationGetNamespace(rel)),
		RelationGetRelationName(rel)));
	values[3] =
		CStringGetTextDatum(GetUserNameFromId(rel->rd_rel->relowner, false));
	values[4] = CStringGetTextDatum(pgxc_home());
	values[5] = pgxc_text_list_datum(assignments->columns);
	values[6] = pgxc_text_list_datum(assignments->expressions);
	values[7] = assignments->predicate
					? CStringGetTextDatum(assignments->predicate)
					: (Datum) 0;
	nulls[7] = assignments->predicate ? ' ' : 'n';
	values[8] = PG_GETARG_DATUM(ARG_ASSIGNMENTS);
	values[9] = PG_ARGISNULL(ARG_PREDICATE) ? (Datum) 0
											: PG_GETARG_DATUM(ARG_PREDICATE);
	nulls[9] = PG_ARGISNULL(ARG_PREDICATE) ? 'n' : ' ';
	values[10] = pgxc_text_list_datum(pgxc_settings_list());
	pgxc_options_datums(options, &values[11], &nulls[11]);

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&insert, values, nulls, SPI_OK_INSERT_RETURNING) == 1)
		id = pgxc_sql_int64(0, 1);
	if (id != 0)
		pgxc_event(id, "created", NULL, "queued",
				   psprintf("UPDATE %s SET %s%s%s",
							RelationGetRelationName(rel),
							TextDatumGetCString(values[8]),
							PG_ARGISNULL(ARG_PREDICATE) ? "" : " WHERE ",
							PG_ARGISNULL(ARG_PREDICATE)
								? ""
								: TextDatumGetCString(values[9])));
	pgxc_sql_end(&saved);
	if (id != 0)
		pgxc_fingerprint_store(id, rel, assignments->columns, assignments->uses,
							   false);
	return id;
}

static void
say_plan(Relation rel, const PgxcAssignments *assignments,
		 const PgxcOptions *options)
{
	ListCell *lc;
	int n = 0;

	foreach (lc, pgxc_plan_backfill(RelationGetRelid(rel), assignments->columns,
									true, options->passes,
									options->parallel_workers,
									options->max_duty > 0 ? options->max_duty
														  : pgxc_max_duty))
	{
		PgxcPlanStep *step = (PgxcPlanStep *) lfirst(lc);

		ereport(NOTICE, (errmsg("step %d: %s", ++n, step->action),
						 errdetail("Lock on the table: %s, held for: %s. %s",
								   step->lock, step->duration, step->detail)));
	}
}

static void
require_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(ARG_RELATION) || PG_ARGISNULL(ARG_ASSIGNMENTS))
		ereport(
			ERROR,
			(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
			 errmsg("%s must not be null",
					PG_ARGISNULL(ARG_RELATION) ? "relation" : "assignments"),
			 errhint(
				 "Call pgxc.start_backfill('table', 'column = expression').")));
}

/* With ACCESS SHARE.  Throws if there is no such table, or not for us. */
static Relation
open_table(Oid relid)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	pgxc_preflight_relation(rel, true);
	return rel;
}

PG_FUNCTION_INFO_V1(pgxc_start_backfill);

/*
 * start_backfill(relation, assignments, predicate, name, ...) returns bigint
 *
 * Takes ROW EXCLUSIVE on the table until the end of the transaction (parse
 * analysis does), which conflicts with no reader and no writer.
 */
Datum
pgxc_start_backfill(PG_FUNCTION_ARGS)
{
	PgxcAssignments *assignments;
	PgxcOptions options;
	Relation rel;
	List *family;
	char *name;
	int64 id;
	bool dry_run = !PG_ARGISNULL(ARG_DRY_RUN) && PG_GETARG_BOOL(ARG_DRY_RUN);

	pgxc_require_primary("pgxc.start_backfill()");
	require_arguments(fcinfo);
	pgxc_options_read(fcinfo, ARG_TARGET_CHUNK_MS, false, &options);

	rel = open_table(PG_GETARG_OID(ARG_RELATION));
	if (!dry_run)
	{
		relation_close(rel, AccessShareLock);
		pgxc_lock_hierarchy(PG_GETARG_OID(ARG_RELATION));
		rel = open_table(PG_GETARG_OID(ARG_RELATION));
	}

	family = pgxc_relation_family(RelationGetRelid(rel));
	assignments = pgxc_assignments_analyze(
		rel, family, text_to_cstring(PG_GETARG_TEXT_PP(ARG_ASSIGNMENTS)),
		PG_ARGISNULL(ARG_PREDICATE)
			? NULL
			: text_to_cstring(PG_GETARG_TEXT_PP(ARG_PREDICATE)));
	check_hierarchy(rel, assignments->columns);

	name = PG_ARGISNULL(ARG_NAME)
			   ? default_name(rel, assignments->columns)
			   : text_to_cstring(PG_GETARG_TEXT_PP(ARG_NAME));
	if (name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a migration must not be empty"),
				 errhint(
					 "Leave it out to have one made from table and columns.")));

	if (dry_run)
	{
		check_conflicts(family, assignments->columns);
		say_plan(rel, assignments, &options);
		table_close(rel, NoLock);
		PG_RETURN_NULL();
	}

	pgxc_lock_name(name);
	id = same_migration(name, RelationGetRelid(rel), assignments);
	if (id == 0)
	{
		check_conflicts(family, assignments->columns);
		id = insert_migration(fcinfo, rel, name, assignments, &options);
		if (id == 0)
			id = same_migration(name, RelationGetRelid(rel), assignments);
		else
		{
			pgxc_warn_without_workers(id);
			pgxc_wakeup_at_commit();
		}
	}
	table_close(rel, NoLock);
	PG_RETURN_INT64(id);
}
