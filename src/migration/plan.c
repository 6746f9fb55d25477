/*
 * plan.c
 *		pgxc.plan(), and what a dry run says.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/estimate.h"
#include "core/ddl.h"
#include "core/migration_row.h"
#include "core/settings.h"
#include "migration/carry_over.h"
#include "migration/dependents.h"
#include "migration/expand.h"
#include "migration/expand_only.h"
#include "migration/piece.h"
#include "migration/plan.h"

#define INSTANT "an instant"

static List *
add_piece(List *steps, const PgxcPiece *piece)
{
	char *what =
		psprintf("build %s%s%s%s", pgxc_piece_kind_name(piece->kind),
				 piece->kind == PGXC_PIECE_REFERENCING ? " foreign key" : "",
				 piece->old_name[0] ? " " : "", piece->old_name);

	if (pgxc_piece_is_index(piece->kind))
		return pgxc_plan_add(steps, what, "SHARE UPDATE EXCLUSIVE",
							 "the build; blocks no reads and no writes",
							 piece->definition);
	if (piece->kind == PGXC_PIECE_STATISTICS)
		return pgxc_plan_add(steps, what, "SHARE UPDATE EXCLUSIVE", INSTANT,
							 piece->definition);
	return pgxc_plan_add(
		steps, what,
		piece->kind == PGXC_PIECE_CHECK || piece->kind == PGXC_PIECE_NOT_NULL
			? "ACCESS EXCLUSIVE, then SHARE UPDATE EXCLUSIVE"
			: "SHARE ROW EXCLUSIVE, then SHARE UPDATE EXCLUSIVE",
		"an instant, then a scan that blocks no reads and no writes",
		psprintf("on %s: %s", pgxc_qualified_name(piece->relid),
				 piece->definition));
}

static List *
add_dependents(List *steps, Oid relid, List *old_columns,
			   const char *new_column, const char *final_column, bool same_type)
{
	ListCell *lc;

	foreach (lc, pgxc_dependents(relid, old_columns, new_column, final_column,
								 same_type))
	{
		PgxcDependent *dependent = (PgxcDependent *) lfirst(lc);

		steps = pgxc_plan_add(
			steps,
			psprintf(dependent->blocks ? "before contract: mend %s"
									   : "before contract: look at %s",
					 dependent->identity),
			"none", "-",
			psprintf("%s%s%s", dependent->note ? dependent->note : "",
					 dependent->note && dependent->statement ? " " : "",
					 dependent->statement ? dependent->statement : ""));
	}
	return steps;
}

/* The steps of a kind that writes both columns. */
static List *
dual_write_steps(Oid relid, const char *kind, List *old_columns,
				 const char *new_column, const char *final_column,
				 bool same_type, bool keep_old, bool fire_triggers,
				 List *pieces, int passes, int parallel_workers,
				 double max_duty)
{
	List *steps = NIL;
	List *backfill;
	ListCell *lc;

	steps = pgxc_plan_add(
		steps, "expand: add the column and the trigger", "ACCESS EXCLUSIVE",
		"until the end of the transaction",
		psprintf(
			"%s \"%s\" of table \"%s\", NULL in every row; the trigger keeps both columns equal from here on",
			new_column ? "column" : "a second column for",
			new_column ? new_column : final_column, get_rel_name(relid)));
	backfill = pgxc_plan_backfill(
		relid, new_column ? list_make1(unconstify(char *, new_column)) : NIL,
		fire_triggers, passes, parallel_workers, max_duty);
	foreach (lc, backfill)
	{
		/* Registering is part of expand, verifying comes last. */
		if (foreach_current_index(lc) > 0 && lnext(backfill, lc) != NULL)
			steps = lappend(steps, lfirst(lc));
	}
	foreach (lc, pieces)
		steps = add_piece(steps, (PgxcPiece *) lfirst(lc));
	steps = lappend(steps, llast(backfill));
	steps = add_dependents(steps, relid, old_columns,
						   new_column ? new_column
									  : psprintf("_pgxc_%s", final_column),
						   final_column, same_type);
	return pgxc_plan_add(
		steps, "contract, when you call it", "ACCESS EXCLUSIVE", INSTANT,
		keep_old ? "drops the trigger; the old columns stay"
		: strcmp(kind, "type_change") == 0
			? psprintf(
				  "drops the old column and gives its name, \"%s\", to the new one",
				  final_column)
			: "drops the trigger and the old column");
}

/* Say as NOTICEs what a dry run found. */
void
pgxc_say_dual_write_plan(const PgxcShape *shape, Relation root, List *tree,
						 bool fire_triggers, const PgxcOptions *options)
{
	List *pieces = NIL;
	ListCell *lc;
	int n = 0;

	if (pgxc_shape_carries(shape))
		pieces = pgxc_carry_list(tree, (char *) linitial(shape->old_columns));
	foreach (lc, dual_write_steps(RelationGetRelid(root), shape->kind,
								  shape->keep_old ? NIL : shape->old_columns,
								  shape->new_column, shape->final_column,
								  shape->same_type, shape->keep_old,
								  fire_triggers, pieces, options->passes,
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

static List *
migration_steps(const PgxcMigration *migration)
{
	if (migration->expand_only)
		return pgxc_plan_expand_only(migration);
	if (get_rel_relkind(migration->relid) == '\0')
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("table %s does not exist any more",
							   migration->relation_name)));
	if (!migration->dual_write)
		return pgxc_plan_backfill(migration->relid, migration->columns, true,
								  migration->passes,
								  migration->parallel_workers,
								  migration->max_duty);
	return dual_write_steps(migration->relid, migration->kind,
							migration->keep_old ||
									strcmp(migration->phase, "migrate") != 0
								? NIL
								: migration->old_columns,
							migration->new_column, migration->final_column,
							strcmp(migration->kind, "rename") == 0,
							migration->keep_old, migration->fire_triggers,
							pgxc_pieces_load(migration->id), migration->passes,
							migration->parallel_workers, migration->max_duty);
}

PG_FUNCTION_INFO_V1(pgxc_plan);

/*
 * plan(migration) returns setof (step, action, lock, duration, detail)
 *
 * Takes ACCESS SHARE on the table, to read what depends on its columns.
 */
Datum
pgxc_plan(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgxcMigration *migration = pgxc_migration_argument(fcinfo, 0);
	ListCell *lc;
	int n = 0;

	pgxc_migration_check_owner(migration);
	InitMaterializedSRF(fcinfo, 0);
	foreach (lc, migration_steps(migration))
	{
		PgxcPlanStep *step = (PgxcPlanStep *) lfirst(lc);
		Datum values[5];
		bool nulls[5] = { false };

		values[0] = Int32GetDatum(++n);
		values[1] = CStringGetTextDatum(step->action);
		values[2] = CStringGetTextDatum(step->lock);
		values[3] = CStringGetTextDatum(step->duration);
		values[4] = CStringGetTextDatum(step->detail);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
