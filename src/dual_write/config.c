/*
 * config.c
 *		What a dual-write trigger is to do on its table.
 *
 * The trigger's arguments name columns, because their numbers differ between
 * partitions, and are others again after a restore:
 *
 *	0 id of the migration		1 its name, for messages
 *	2 new column				3 side that wins: old, new
 *	4 up						5 settings, as an array of "name=value"
 *	6, 7 a column that the new one is computed from, and its down; and so on
 *
 * up and down: "=" is a copy with an assignment cast, anything else an
 * expression over alias t that names everything in full.  down "!": there is
 * no way back.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/plannodes.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/sql_runner.h"
#include "dual_write/config.h"
#include "dual_write/way_back.h"

enum
{
	ARG_MIGRATION,
	ARG_NAME,
	ARG_TARGET,
	ARG_PREFER,
	ARG_UP,
	ARG_SETTINGS,
	ARG_SOURCES
};

static void
check_arguments(const Trigger *trigger)
{
	if (trigger->tgnargs < ARG_SOURCES + 2 || trigger->tgnargs % 2 != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" was called with %d arguments",
					"pgxc.dual_write", trigger->tgnargs),
			 errdetail(
				 "It takes six, and two more for each column that the new one is computed from."),
			 errhint(
				 "Let pgxc.start_rename() and its like create the trigger.")));
	if (strcmp(trigger->tgargs[ARG_PREFER], "old") != 0 &&
		strcmp(trigger->tgargs[ARG_PREFER], "new") != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg(
				 "argument %d of function \"%s\" must be \"old\" or \"new\", not \"%s\"",
				 ARG_PREFER, "pgxc.dual_write", trigger->tgargs[ARG_PREFER])));
}

/* Find a column by its name. */
static void
find_column(const PgxcDualWrite *dw, PgxcColumn *column, const char *name,
			Relation rel)
{
	TupleDesc tupdesc = RelationGetDescr(rel);

	for (int i = 0; i < tupdesc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(tupdesc, i);

		if (att->attisdropped || strcmp(NameStr(att->attname), name) != 0)
			continue;
		column->attnum = i + 1;
		column->byval = att->attbyval;
		column->len = att->attlen;
		column->name = MemoryContextStrdup(dw->context, name);
		return;
	}
	ereport(
		ERROR,
		(errcode(ERRCODE_UNDEFINED_COLUMN),
		 errmsg("column \"%s\" of relation \"%s\" does not exist", name,
				RelationGetRelationName(rel)),
		 errdetail("Migration \"%s\" keeps it in step with another column.",
				   dw->name),
		 errhint(
			 "The column was dropped or renamed behind the migration's back; take the migration back with pgxc.rollback().")));
}

/*
 * What the column's default is, of the column itself or of its type.
 */
static void
add_default(const PgxcDualWrite *dw, PgxcSource *source, Relation rel)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), source->column.name);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node *expr = NULL;

	if (!att->attidentity && !att->attgenerated)
	{
		expr = build_column_default(rel, attnum);
		if (expr == NULL)
			return;
		expr = eval_const_expressions(NULL, expr);
	}
	if (expr == NULL || !IsA(expr, Const))
		source->default_unknown = true;
	else if (!((Const *) expr)->constisnull)
	{
		MemoryContext old = MemoryContextSwitchTo(dw->context);

		source->defaults[source->ndefaults++] =
			datumCopy(((Const *) expr)->constvalue, source->column.byval,
					  source->column.len);
		MemoryContextSwitchTo(old);
	}
}

/*
 * An INSERT takes the defaults of the table that it names.  So a partition's
 * row may have those of any table above it.
 */
static void
find_defaults(const PgxcDualWrite *dw, PgxcSource *source, Relation rel)
{
	ListCell *lc;

	source->defaults =
		MemoryContextAlloc(dw->context,
						   sizeof(Datum) * (1 + list_length(dw->ancestors)));
	add_default(dw, source, rel);
	foreach (lc, dw->ancestors)
	{
		/* ACCESS SHARE, as the server does for a partition's constraint. */
		Relation ancestor = table_open(lfirst_oid(lc), AccessShareLock);

		add_default(dw, source, ancestor);
		table_close(ancestor, NoLock);
	}
}

static PgxcEnvironment *
parse_settings(const PgxcDualWrite *dw, const char *literal)
{
	MemoryContext old = MemoryContextSwitchTo(dw->context);
	PgxcEnvironment *environment;
	Datum array =
		OidFunctionCall3(F_ARRAY_IN, CStringGetDatum(literal),
						 ObjectIdGetDatum(TEXTOID), Int32GetDatum(-1));
	List *settings = NIL;
	Datum *elements;
	bool *nulls;
	int n;

	deconstruct_array(DatumGetArrayTypeP(array), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			settings = lappend(settings, TextDatumGetCString(elements[i]));
	environment = pgxc_environment_make(settings);
	MemoryContextSwitchTo(old);
	return environment;
}

/* Keep of the PlanInvalItems what a callback can compare. */
static void
keep_dependencies(PgxcDualWrite *dw, List *items)
{
	ListCell *lc;

	dw->dependencies =
		MemoryContextAlloc(dw->context,
						   sizeof(uint64) * Max(list_length(items), 1));
	foreach (lc, items)
	{
		PlanInvalItem *item = (PlanInvalItem *) lfirst(lc);

		dw->dependencies[dw->ndependencies++] =
			((uint64) item->cacheId << 32) | item->hashValue;
	}
}

/* One more column that the new one is computed from. */
static void
compile_source(PgxcDualWrite *dw, PgxcSource *source,
			   PgxcTransformCompiler *compiler, const char *name,
			   const char *down)
{
	find_column(dw, &source->column, name, compiler->rel);
	find_defaults(dw, source, compiler->rel);
	if (strcmp(down, "!") == 0)
	{
		dw->one_way = true;
		return;
	}
	source->down = pgxc_transform_compile(compiler, down, dw->target.attnum,
										  source->column.attnum);
	if (source->down->kind != PGXC_TRANSFORM_COPY)
		dw->copies_only = false;
}

/* Compile the arguments, as the owner of the table. */
static void
compile(PgxcDualWrite *dw, const Trigger *trigger, Relation rel)
{
	PgxcTransformCompiler compiler = { 0 };
	MemoryContext old = MemoryContextSwitchTo(dw->context);

	compiler.migration = dw->name;
	compiler.rel = rel;
	compiler.keep = dw->context;
	compiler.row = CreateTupleDescCopy(RelationGetDescr(rel));
	dw->row = MakeSingleTupleTableSlot(compiler.row, &TTSOpsVirtual);
	if (rel->rd_rel->relispartition)
		dw->ancestors = get_partition_ancestors(RelationGetRelid(rel));
	MemoryContextSwitchTo(old);

	find_column(dw, &dw->target, trigger->tgargs[ARG_TARGET], rel);
	dw->copies_only = true;
	for (int i = 0; i < dw->nsources; i++)
		compile_source(dw, &dw->sources[i], &compiler,
					   trigger->tgargs[ARG_SOURCES + 2 * i],
					   trigger->tgargs[ARG_SOURCES + 2 * i + 1]);
	dw->up =
		pgxc_transform_compile(&compiler, trigger->tgargs[ARG_UP],
							   dw->sources[0].column.attnum, dw->target.attnum);
	if (dw->up->kind != PGXC_TRANSFORM_COPY)
		dw->copies_only = false;
	dw->plain = dw->copies_only && dw->nsources == 1 && !dw->one_way &&
				dw->up->copied == dw->sources[0].column.attnum &&
				dw->sources[0].down->copied == dw->target.attnum;
	dw->may_lose = pgxc_way_back_matters(dw, rel, trigger->tgargs[ARG_UP]);
	keep_dependencies(dw, compiler.dependencies);
}

/*
 * Compile a trigger for the table that it fires on.  The result lives until
 * pgxc_dual_write_free(); leaves garbage in the current memory context.  Needs
 * a lock on the relation.  Throws 39P01 for arguments that make no sense,
 * 42703 for a column that is not there, and whatever analysing the expressions
 * throws.
 */
PgxcDualWrite *
pgxc_dual_write_build(const Trigger *trigger, Relation rel)
{
	/* Below the caller's until nothing can fail any more. */
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "pgxc dual write",
							  ALLOCSET_SMALL_SIZES);
	PgxcDualWrite *dw = MemoryContextAllocZero(context, sizeof(PgxcDualWrite));
	PgxcIdentity saved;

	check_arguments(trigger);
	dw->context = context;
	dw->trigger = trigger->tgoid;
	dw->relid = RelationGetRelid(rel);
	dw->migration = pg_strtoint64(trigger->tgargs[ARG_MIGRATION]);
	dw->name = MemoryContextStrdup(context, trigger->tgargs[ARG_NAME]);
	dw->prefer_new = strcmp(trigger->tgargs[ARG_PREFER], "new") == 0;
	dw->nsources = (trigger->tgnargs - ARG_SOURCES) / 2;
	dw->sources =
		MemoryContextAllocZero(context, sizeof(PgxcSource) * dw->nsources);
	dw->environment = parse_settings(dw, trigger->tgargs[ARG_SETTINGS]);

	pgxc_identity_push(&saved, rel->rd_rel->relowner,
					   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	compile(dw, trigger, rel);
	pgxc_identity_pop(&saved);

	MemoryContextSetParent(context, CacheMemoryContext);
	return dw;
}

/*
 * Free what pgxc_dual_write_build() returned.  Nothing may be using it.
 */
void
pgxc_dual_write_free(PgxcDualWrite *dw)
{
	if (dw->up->subquery != NULL)
		pgxc_subquery_free(dw->up->subquery);
	for (int i = 0; i < dw->nsources; i++)
		if (dw->sources[i].down != NULL &&
			dw->sources[i].down->subquery != NULL)
			pgxc_subquery_free(dw->sources[i].down->subquery);
	MemoryContextDelete(dw->context);
}
