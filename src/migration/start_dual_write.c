/*
 * start_dual_write.c
 *		pgxc.start_rename(), pgxc.start_type_change(), pgxc.start_transform()
 *
 * Ordinary functions, legal inside a transaction: ROLLBACK leaves no trace.
 * All checks come before the heavy lock, and again under it.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/preflight.h"
#include "backfill/registration.h"
#include "core/compat.h"
#include "core/ddl.h"
#include "core/event_log.h"
#include "core/extension.h"
#include "core/options.h"
#include "core/sql_runner.h"
#include "core/wakeup.h"
#include "migration/carry_over.h"
#include "migration/expand.h"
#include "migration/piece.h"
#include "migration/plan.h"
#include "migration/register.h"
#include "migration/shape.h"

static void
require_arguments(FunctionCallInfo fcinfo, const char *function,
				  const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("%s of %s() must not be null", names[i],
								   function)));
	}
}

static char *
text_argument(FunctionCallInfo fcinfo, int argno)
{
	return PG_ARGISNULL(argno) ? NULL
							   : text_to_cstring(PG_GETARG_TEXT_PP(argno));
}

static char *
name_argument(FunctionCallInfo fcinfo, int argno)
{
	return pstrdup(NameStr(*PG_GETARG_NAME(argno)));
}

static bool
bool_argument(FunctionCallInfo fcinfo, int argno)
{
	return !PG_ARGISNULL(argno) && PG_GETARG_BOOL(argno);
}

/* Throw 42703, or 42601 for a column that has no second shape. */
static void
check_old_column(Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);
	Form_pg_attribute att;

	if (attnum == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of relation \"%s\" does not exist",
						column, RelationGetRelationName(rel))));
	if (attnum < 0)
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("cannot migrate system column \"%s\"", column)));
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (att->attgenerated)
		ereport(
			ERROR,
			(errcode(ERRCODE_GENERATED_ALWAYS),
			 errmsg("cannot migrate generated column \"%s\"", column),
			 errhint(
				 "Migrate the columns that it is generated from, or add another generated column.")));
	if (att->attinhcount > 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("cannot migrate inherited column \"%s\"", column),
				 errhint("Start the migration on the parent table.")));
}

static void
check_new_column(Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	if (column[0] == '\0')
		ereport(ERROR, (errcode(ERRCODE_INVALID_NAME),
						errmsg("name of the new column must not be empty"),
						errhint("Give it a name.")));
	if (attnum == InvalidAttrNumber)
		return;
	if (attnum < 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("column name \"%s\" conflicts with a system column name",
					column),
			 errhint("Give the new column another name.")));
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("column \"%s\" of relation \"%s\" already exists", column,
					RelationGetRelationName(rel)),
			 errhint("To fill an existing column use pgxc.start_backfill().")));
}

/* Identity columns can have three types only. */
static void
check_identity(Relation rel, const PgxcShape *shape)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel),
								   (char *) linitial(shape->old_columns));

	if (TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attidentity == '\0')
		return;
	if (shape->typid == INT2OID || shape->typid == INT4OID ||
		shape->typid == INT8OID)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("cannot carry over the identity of column \"%s\" to type %s",
				(char *) linitial(shape->old_columns),
				format_type_be(shape->typid)),
		 errhint(
			 "Identity columns are smallint, integer or bigint; drop the identity first.")));
}

static void
check_type_differs(Relation rel, const PgxcShape *shape)
{
	Form_pg_attribute att;

	if (strcmp(shape->kind, "type_change") != 0)
		return;
	att = TupleDescAttr(RelationGetDescr(rel),
						get_attnum(RelationGetRelid(rel),
								   (char *) linitial(shape->old_columns)) -
							1);
	if (att->atttypid == shape->typid && att->atttypmod == shape->typmod)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("column \"%s\" is of type %s already",
							   NameStr(att->attname),
							   format_type_with_typemod(att->atttypid,
														att->atttypmod)),
						errhint("Name another type.")));
}

/* All that can be said of the tables without the expressions. */
static List *
check_tables(Relation rel)
{
	List *tree = pgxc_migration_tree(RelationGetRelid(rel));
	ListCell *lc;

	pgxc_preflight_relation(rel, true);
	if (OidIsValid(rel->rd_rel->reloftype))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("cannot migrate typed table \"%s\"",
						RelationGetRelationName(rel)),
				 errhint("ALTER TABLE ... NOT OF makes it an ordinary one.")));
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE &&
		list_length(tree) > 1)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(
				 "cannot migrate a column of table \"%s\", which has inheritance children",
				 RelationGetRelationName(rel)),
			 errdetail("Triggers and indexes are not inherited."),
			 errhint("Use partitions, or ALTER TABLE ... NO INHERIT.")));
	foreach (lc, tree)
	{
		Relation leaf;

		if (lfirst_oid(lc) == RelationGetRelid(rel))
			continue;
		/* ACCESS SHARE: only the definition is read. */
		leaf = table_open(lfirst_oid(lc), AccessShareLock);
		pgxc_preflight_relation(leaf, false);
		if (!has_privs_of_role(rel->rd_rel->relowner, leaf->rd_rel->relowner))
			aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
						   RelationGetRelationName(leaf));
		table_close(leaf, NoLock);
	}
	pgxc_preflight_subscribed(tree);
	return tree;
}

/*
 * Check everything, and find out what the migration is.  Takes ACCESS SHARE on
 * the partitions until the end of the transaction.
 */
static PgxcShape *
prepare(const PgxcRequest *request, Relation rel, List **tree)
{
	PgxcShape *shape = palloc0(sizeof(PgxcShape));
	ListCell *lc;

	*tree = check_tables(rel);
	shape->kind = request->kind;
	shape->final_column = request->final_column;
	shape->given_up = request->up;
	shape->given_down = request->down;
	shape->keep_old = request->keep_old;
	if (request->old_column != NULL)
	{
		check_old_column(rel, request->old_column);
		shape->old_columns = list_make1(request->old_column);
	}
	if (strcmp(request->kind, "type_change") != 0)
	{
		if (request->old_column &&
			strcmp(request->old_column, request->final_column) == 0)
			ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
							errmsg("column \"%s\" has this name already",
								   request->old_column),
							errhint("Give new_column another name.")));
		check_new_column(rel, request->final_column);
		shape->new_column = request->final_column;
	}

	pgxc_shape_type(shape, rel, request->type_name);
	pgxc_shape_check_type(shape, rel);
	check_type_differs(rel, shape);
	pgxc_shape_up(shape, rel);
	foreach (lc, shape->old_columns)
		check_old_column(rel, (char *) lfirst(lc));
	foreach (lc, *tree)
		pgxc_preflight_columns(rel, shape->old_columns, lfirst_oid(lc));
	pgxc_shape_down(shape, rel, false);
	if (pgxc_shape_carries(shape))
		check_identity(rel, shape);
	pgxc_carry_preflight(shape, *tree);
	return shape;
}

/* The type as SQL: what was written may be an alias, such as int8. */
static char *
normal_type_name(const PgxcRequest *request)
{
	PgxcShape shape = { 0 };

	if (request->type_name == NULL)
		return NULL;
	pgxc_shape_type(&shape, NULL, request->type_name);
	return pgxc_shape_type_name(&shape);
}

static char *
default_name(const PgxcRequest *request, Relation rel)
{
	char *table =
		psprintf("%s.%s", get_namespace_name(RelationGetNamespace(rel)),
				 RelationGetRelationName(rel));

	if (strcmp(request->kind, "rename") == 0)
		return psprintf("rename %s.%s to %s", table, request->old_column,
						request->final_column);
	if (strcmp(request->kind, "type_change") == 0)
		return psprintf("type_change %s.%s to %s", table, request->final_column,
						normal_type_name(request));
	return psprintf("transform %s.%s", table, request->final_column);
}

/*
 * Is there a migration of this name?  With the same definition: its id, with
 * another: 42710.  One that was rolled back is history, and gives the name up.
 */
static int64
same_migration(const PgxcRequest *request)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT id, state, phase, kind = $2 AND relation = $3 AND final_column = $4"
		" AND ($5 IS NULL OR old_columns = ARRAY[$5]) AND new_type IS NOT DISTINCT FROM coalesce($6, new_type)"
		" AND given_up IS NOT DISTINCT FROM $7 AND given_down IS NOT DISTINCT FROM $8 AND keep_old = $9"
		" FROM pgxc.migration WHERE name = $1 AND phase <> 'rolled_back'",
		TEXTOID, TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, BOOLOID);
	const char *texts[] = {
		request->name,         request->kind,       NULL,
		request->final_column, request->old_column, normal_type_name(request),
		request->up,           request->down
	};
	PgxcIdentity saved;
	Datum values[9];
	char nulls[10] = "         ";
	bool isnull;
	int64 id = 0;

	for (int i = 0; i < lengthof(texts); i++)
	{
		values[i] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
		nulls[i] = texts[i] ? ' ' : 'n';
	}
	values[2] = ObjectIdGetDatum(request->relid);
	nulls[2] = ' ';
	values[8] = BoolGetDatum(request->keep_old);

	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, nulls) == 1)
	{
		char *state = TextDatumGetCString(pgxc_sql_value(0, 2, &isnull));
		char *phase = TextDatumGetCString(pgxc_sql_value(0, 3, &isnull));

		id = pgxc_sql_int64(0, 1);
		pgxc_report_same_name(request->name, id,
							  DatumGetBool(pgxc_sql_value(0, 4, &isnull)),
							  state, phase);
	}
	pgxc_sql_end(&saved);
	return id;
}

/*
 * Throw 55006 if an open migration uses one of the columns, on this table or
 * on one that shares rows with it.
 */
static void
check_conflicts(Relation rel, const PgxcShape *shape)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT m.name, c FROM pgxc.migration m, unnest(m.columns || m.old_columns || m.final_column) c"
		" WHERE m.phase = 'migrate' AND m.relation::oid = ANY ($1) AND c = ANY ($2)"
		" ORDER BY m.id LIMIT 1",
		OIDARRAYOID, TEXTARRAYOID);
	List *columns = lappend(list_copy(shape->old_columns), shape->final_column);
	PgxcIdentity saved;
	Datum values[2];

	values[0] =
		pgxc_oid_list_datum(pgxc_relation_family(RelationGetRelid(rel)));
	values[1] = pgxc_text_list_datum(columns);
	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, NULL) > 0)
	{
		bool isnull;
		char *name = TextDatumGetCString(pgxc_sql_value(0, 1, &isnull));

		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("column \"%s\" is in use by migration \"%s\"",
					TextDatumGetCString(pgxc_sql_value(0, 2, &isnull)), name),
			 errhint("Finish it first, or end it with SELECT pgxc.cancel(%s).",
					 quote_literal_cstr(name))));
	}
	pgxc_sql_end(&saved);
}

/*
 * Everything is checked: lock, check again, expand, register.
 *
 * Takes ACCESS EXCLUSIVE on the table and its partitions until the end of the
 * transaction, politely.
 */
static int64
start(PgxcRequest *request, List *tree)
{
	List *settings = pgxc_settings_list();
	PgxcShape *shape;
	List *pieces;
	Relation rel;
	int64 id;

	pgxc_lock_tree(tree, NIL,
				   psprintf("start migration \"%s\"", request->name));
	rel = table_open(request->relid, NoLock);
	shape = prepare(request, rel, &tree);
	check_conflicts(rel, shape);
	table_close(rel, NoLock);

	id = pgxc_next_id();
	if (shape->new_column == NULL)
		shape->new_column = pgxc_shadow_name(id, shape->final_column);
	pieces = pgxc_expand(shape, tree, id, request->name, settings);
	pgxc_register(request, shape, pieces, id, settings);
	pgxc_warn_if_published(shape, tree);
	pgxc_warn_without_workers(id);
	pgxc_wakeup_at_commit();
	return id;
}

/* With ACCESS SHARE.  Throws if there is no such table, or not for us. */
static Relation
open_table(Oid relid)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	if (!pgxc_relation_ownercheck(relid, GetUserId()))
		aclcheck_error(ACLCHECK_NOT_OWNER, OBJECT_TABLE,
					   RelationGetRelationName(rel));
	return rel;
}

static Datum
start_request(FunctionCallInfo fcinfo, PgxcRequest *request)
{
	Relation rel;
	PgxcShape *shape;
	List *tree;
	int64 id = 0;

	pgxc_require_primary(psprintf("%s()", request->function));
	rel = open_table(request->relid);
	if (request->name == NULL)
		request->name = default_name(request, rel);
	else if (request->name[0] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of a migration must not be empty"),
				 errhint(
					 "Leave it out to have one made from table and columns.")));

	if (!request->dry_run)
	{
		relation_close(rel, AccessShareLock);
		pgxc_lock_hierarchy(request->relid);
		pgxc_lock_name(request->name);
		rel = open_table(request->relid);
		/* First: once contracted, the old column is not there any more. */
		id = same_migration(request);
	}
	if (id != 0)
	{
		table_close(rel, NoLock);
		PG_RETURN_INT64(id);
	}

	shape = prepare(request, rel, &tree);
	check_conflicts(rel, shape);
	if (request->dry_run)
		pgxc_say_dual_write_plan(shape, rel, tree, request->fire_triggers,
								 &request->options);
	table_close(rel, NoLock);
	if (request->dry_run)
		PG_RETURN_NULL();
	PG_RETURN_INT64(start(request, tree));
}

PG_FUNCTION_INFO_V1(pgxc_start_rename);
PG_FUNCTION_INFO_V1(pgxc_start_type_change);
PG_FUNCTION_INFO_V1(pgxc_start_transform);

/* start_rename(relation, old_column, new_column, name, ...) returns bigint */
Datum
pgxc_start_rename(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "relation", "old_column",
										 "new_column" };
	PgxcRequest request = { .function = "pgxc.start_rename", .kind = "rename" };

	require_arguments(fcinfo, request.function, names, lengthof(names));
	request.relid = PG_GETARG_OID(0);
	request.old_column = name_argument(fcinfo, 1);
	request.final_column = name_argument(fcinfo, 2);
	request.name = text_argument(fcinfo, 3);
	pgxc_options_read(fcinfo, 4, false, &request.options);
	request.fire_triggers = bool_argument(fcinfo, 12);
	request.dry_run = bool_argument(fcinfo, 13);
	return start_request(fcinfo, &request);
}

/* start_type_change(relation, column_name, new_type, up, down, name, ...) */
Datum
pgxc_start_type_change(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "relation", "column_name",
										 "new_type" };
	PgxcRequest request = { .function = "pgxc.start_type_change",
							.kind = "type_change" };

	require_arguments(fcinfo, request.function, names, lengthof(names));
	request.relid = PG_GETARG_OID(0);
	request.old_column = name_argument(fcinfo, 1);
	request.final_column = request.old_column;
	request.type_name = text_argument(fcinfo, 2);
	request.up = text_argument(fcinfo, 3);
	request.down = text_argument(fcinfo, 4);
	request.name = text_argument(fcinfo, 5);
	pgxc_options_read(fcinfo, 6, false, &request.options);
	request.fire_triggers = bool_argument(fcinfo, 14);
	request.dry_run = bool_argument(fcinfo, 15);
	return start_request(fcinfo, &request);
}

/* start_transform(relation, new_column, new_type, up, down, name, ...) */
Datum
pgxc_start_transform(PG_FUNCTION_ARGS)
{
	static const char *const names[] = { "relation", "new_column", "new_type",
										 "up" };
	PgxcRequest request = { .function = "pgxc.start_transform",
							.kind = "transform" };

	require_arguments(fcinfo, request.function, names, lengthof(names));
	request.relid = PG_GETARG_OID(0);
	request.final_column = name_argument(fcinfo, 1);
	request.type_name = text_argument(fcinfo, 2);
	request.up = text_argument(fcinfo, 3);
	request.down = text_argument(fcinfo, 4);
	request.name = text_argument(fcinfo, 5);
	pgxc_options_read(fcinfo, 6, false, &request.options);
	request.keep_old = bool_argument(fcinfo, 14);
	request.fire_triggers = bool_argument(fcinfo, 15);
	request.dry_run = bool_argument(fcinfo, 16);
	return start_request(fcinfo, &request);
}
