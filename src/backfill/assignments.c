/*
 * assignments.c
 *		What the user wrote, analysed.
 *
 * The text is parsed and analysed with the search_path of the caller, and
 * deparsed without one: what is stored names every function, operator and
 * type in full, and means the same in any session.  All mistakes are found
 * here, with their position in the caller's text, before anything is changed.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "backfill/assignments.h"
#include "core/compat.h"
#include "core/given_text.h"
#include "core/sql_runner.h"

static void
refuse_clause(const PgxcGivenText *given, bool present, const char *clause)
{
	if (present)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s must not have a %s clause", given->argument,
						clause),
				 strcmp(clause, "WHERE") == 0
					 ? errhint("Pass the condition as the argument predicate.")
					 : 0));
}

/*
 * Refuse to assign a column that a backfill must not touch.
 */
static void
check_column(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);

	if (att->attgenerated)
		ereport(ERROR,
				(errcode(ERRCODE_GENERATED_ALWAYS),
				 errmsg("cannot assign generated column \"%s\"",
						NameStr(att->attname)),
				 errhint("Assign the columns that it is generated from.")));
	if (att->attidentity)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot assign identity column \"%s\"",
						NameStr(att->attname)),
				 errhint(
					 "Drop the identity first, or assign another column.")));
}

/* The expression that SET ... = DEFAULT stands for. */
static Node *
default_expression(Relation rel, AttrNumber attnum)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node *expr = build_column_default(rel, attnum);

	if (expr == NULL)
		expr = (Node *) makeNullConst(att->atttypid, att->atttypmod,
									  att->attcollation);
	return expr;
}

/* Remember a column that the migration reads or assigns. */
static void
note_use(PgxcAssignments *result, Relation rel, AttrNumber attnum)
{
	ListCell *lc;
	char *name;

	if (attnum <= 0)
		return;
	name = get_attname(RelationGetRelid(rel), attnum, false);
	foreach (lc, result->uses)
	{
		if (strcmp((char *) lfirst(lc), name) == 0)
			return;
	}
	result->uses = lappend(result->uses, name);
}

static void
note_uses(PgxcAssignments *result, Relation rel, Node *expr)
{
	ListCell *lc;

	foreach (lc, pull_vars_of_level(expr, 0))
		note_use(result, rel, lfirst_node(Var, lc)->varattno);
}

static void
analyze_assignments(PgxcAssignments *result, Relation rel, List *family,
					PgxcGivenText *given, bool has_predicate, List *context)
{
	RawStmt *raw = pgxc_given_parse(given);
	UpdateStmt *stmt = castNode(UpdateStmt, raw->stmt);
	Query *query;
	ListCell *lc;

	refuse_clause(given, stmt->whereClause != NULL, "WHERE");
	refuse_clause(given, stmt->fromClause != NIL, "FROM");
	refuse_clause(given, pgxc_update_has_returning(stmt), "RETURNING");
	foreach (lc, stmt->targetList)
	{
		ResTarget *target = lfirst_node(ResTarget, lc);

		if (target->indirection != NIL)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("cannot assign a part of column \"%s\"",
								   target->name),
							errhint("Assign the whole column."),
							pgxc_given_errposition(given, target->location)));
	}

	query = parse_analyze_fixedparams(raw, given->sql, NULL, 0, NULL);

	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);
		Node *expr = (Node *) tle->expr;
		int member = tle->resno - FirstLowInvalidHeapAttributeNumber;
		char *name;
		PgxcIdentity saved;

		if (tle->resjunk)
			continue;
		check_column(rel, tle->resno);
		name = get_attname(RelationGetRelid(rel), tle->resno, false);
		if (bms_is_member(member, result->attnums))
			ereport(ERROR,
					(errcode(ERRCODE_SYNTAX_ERROR),
					 errmsg("multiple assignments to column \"%s\"", name)));
		result->attnums = bms_add_member(result->attnums, member);

		if (IsA(expr, SetToDefault))
			expr = default_expression(rel, tle->resno);
		pgxc_given_check(given, expr, family, has_predicate,
						 psprintf("assignment to column \"%s\"", name));
		note_use(result, rel, tle->resno);
		note_uses(result, rel, expr);

		pgxc_identity_push(&saved, GetUserId(), 0);
		result->expressions =
			lappend(result->expressions,
					deparse_expression(expr, context, true, false));
		pgxc_identity_pop(&saved);
		result->columns = lappend(result->columns, name);
	}
}

static void
analyze_predicate(PgxcAssignments *result, Relation rel, List *family,
				  PgxcGivenText *given, List *context)
{
	RawStmt *raw = pgxc_given_parse(given);
	SelectStmt *stmt = castNode(SelectStmt, raw->stmt);
	Query *query;
	PgxcIdentity saved;

	if (stmt->op != SETOP_NONE || stmt->groupClause || stmt->havingClause ||
		stmt->windowClause || stmt->sortClause || stmt->limitCount ||
		stmt->limitOffset || stmt->lockingClause)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("%s must be a condition and nothing else",
							   given->argument)));

	query = parse_analyze_fixedparams(raw, given->sql, NULL, 0, NULL);
	pgxc_given_check(given, query->jointree->quals, family, false, "predicate");
	note_uses(result, rel, query->jointree->quals);

	pgxc_identity_push(&saved, GetUserId(), 0);
	result->predicate =
		deparse_expression(query->jointree->quals, context, true, false);
	pgxc_identity_pop(&saved);
}

/*
 * Analyse assignments ("a = 1, b = c + 1") and a predicate (or NULL) over a
 * table.  family: OIDs of the table and of everything it inherits from or is
 * inherited by, which subqueries must not read.
 *
 * The caller holds a lock on rel; parse analysis takes ROW EXCLUSIVE on it,
 * until the end of the transaction, as an UPDATE would.  Throws 42601, 42703,
 * 42804, 428C9, 0A000 and whatever else parse analysis does, with a position
 * in the given text.
 */
PgxcAssignments *
pgxc_assignments_analyze(Relation rel, List *family, const char *assignments,
						 const char *predicate)
{
	PgxcAssignments *result = palloc0(sizeof(PgxcAssignments));
	char *table = quote_qualified_identifier(get_namespace_name(
												 RelationGetNamespace(rel)),
											 RelationGetRelationName(rel));
	List *context = deparse_context_for("t", RelationGetRelid(rel));
	PgxcGivenText given = { 0 };

	pgxc_given_begin(&given);

	given.prefix = psprintf("UPDATE ONLY %s SET ", table);
	given.text = assignments;
	given.argument = "assignments";
	analyze_assignments(result, rel, family, &given, predicate != NULL,
						context);

	if (predicate != NULL)
	{
		given.prefix = psprintf("SELECT FROM ONLY %s WHERE ", table);
		given.text = predicate;
		given.argument = "predicate";
		analyze_predicate(result, rel, family, &given, context);
	}

	pgxc_given_end(&given);
	return result;
}
