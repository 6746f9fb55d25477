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
#include "mb/pg_wchar.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "rewrite/rewriteHandler.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "backfill/assignments.h"
#include "core/compat.h"
#include "core/sql_runner.h"

/* The text that is being analysed: what we put before it, and what it is. */
typedef struct GivenText
{
	const char *prefix;
	const char *text;
	const char *argument; /* the name of the caller's argument */
	char *sql;
} GivenText;

/*
 * Turn a position in our statement into one in the caller's argument.
 */
static void
transpose_error_position(void *arg)
{
	GivenText *given = (GivenText *) arg;
	int position = geterrposition();

	if (position > 0)
	{
		position -= pg_mbstrlen(given->prefix);
		errposition(0);
		if (position > 0)
		{
			internalerrposition(position);
			internalerrquery(given->text);
		}
	}
	errcontext("argument %s", given->argument);
}

/* Report a position (a byte offset) in the statement that is analysed. */
static int
given_errposition(const GivenText *given, int location)
{
	if (location < 0)
		return 0;
	return errposition(pg_mbstrlen_with_len(given->sql, location) + 1);
}

static RawStmt *
parse_given(GivenText *given)
{
	List *statements;

	/* A comment at the end must not swallow anything: end the line. */
	given->sql = psprintf("%s%s\n", given->prefix, given->text);
	statements = raw_parser(given->sql, RAW_PARSE_DEFAULT);

	if (list_length(statements) != 1)
	{
		int location = lsecond_node(RawStmt, statements)->stmt_location;

		/* Before 18 the white space in front of it counts. */
		while (scanner_isspace(given->sql[location]))
			location++;
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("%s must not contain several statements",
							   given->argument),
						given_errposition(given, location)));
	}
	return linitial_node(RawStmt, statements);
}

static void
refuse_clause(const GivenText *given, bool present, const char *clause)
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

typedef struct ForbiddenContext
{
	List *family; /* the table, its ancestors and descendants */
	bool same_table;
	bool changes_with_time;
	bool multi_assignment;
} ForbiddenContext;

static bool
forbidden_walker(Node *node, void *arg)
{
	ForbiddenContext *context = (ForbiddenContext *) arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		ListCell *lc;

		foreach (lc, ((Query *) node)->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			if (rte->rtekind == RTE_RELATION &&
				list_member_oid(context->family, rte->relid))
				context->same_table = true;
		}
		return query_tree_walker((Query *) node, forbidden_walker, context, 0);
	}
	if (IsA(node, SQLValueFunction))
	{
		switch (((SQLValueFunction *) node)->op)
		{
			case SVFOP_CURRENT_DATE:
			case SVFOP_CURRENT_TIME:
			case SVFOP_CURRENT_TIME_N:
			case SVFOP_CURRENT_TIMESTAMP:
			case SVFOP_CURRENT_TIMESTAMP_N:
			case SVFOP_LOCALTIME:
			case SVFOP_LOCALTIME_N:
			case SVFOP_LOCALTIMESTAMP:
			case SVFOP_LOCALTIMESTAMP_N:
				context->changes_with_time = true;
				break;
			default:
				break;
		}
	}
	if (IsA(node, FuncExpr))
	{
		Oid funcid = ((FuncExpr *) node)->funcid;

		if (funcid == F_NOW || funcid == F_TRANSACTION_TIMESTAMP ||
			funcid == F_STATEMENT_TIMESTAMP)
			context->changes_with_time = true;
	}
	if (IsA(node, Param) && ((Param *) node)->paramkind == PARAM_MULTIEXPR)
		context->multi_assignment = true;
	return expression_tree_walker(node, forbidden_walker, context);
}

/*
 * Refuse what cannot be done chunk by chunk.  "what" names the expression.
 */
static void
check_expression(const GivenText *given, Node *expr, List *family,
				 bool has_predicate, const char *what)
{
	ForbiddenContext context = { family, false, false, false };

	(void) forbidden_walker(expr, &context);

	if (context.multi_assignment)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot assign several columns from one subquery"),
				 errhint("Write one assignment for each column.")));
	if (context.same_table)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s must not have a subquery on the same table", what),
			 errdetail(
				 "Other chunks change the table while the subquery reads it."),
			 given_errposition(given, exprLocation(expr))));
	if (has_predicate)
		return;
	if (contain_volatile_functions(expr) || context.changes_with_time)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s gives another value each time it is evaluated", what),
			 errdetail("pgxc cannot tell from it which rows are done."),
			 errhint(
				 "Pass a predicate that is false once a row is updated, such as '<column> IS NULL'."),
			 given_errposition(given, exprLocation(expr))));
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

static void
analyze_assignments(PgxcAssignments *result, Relation rel, List *family,
					GivenText *given, bool has_predicate, List *context)
{
	RawStmt *raw = parse_given(given);
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
							given_errposition(given, target->location)));
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
		check_expression(given, expr, family, has_predicate,
						 psprintf("assignment to column \"%s\"", name));

		pgxc_identity_push(&saved, GetUserId(), 0);
		result->expressions =
			lappend(result->expressions,
					deparse_expression(expr, context, true, false));
		pgxc_identity_pop(&saved);
		result->columns = lappend(result->columns, name);
	}
}

static void
analyze_predicate(PgxcAssignments *result, List *family, GivenText *given,
				  List *context)
{
	RawStmt *raw = parse_given(given);
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
	check_expression(given, query->jointree->quals, family, false, "predicate");

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
	ErrorContextCallback callback;
	GivenText given = { 0 };

	callback.callback = transpose_error_position;
	callback.arg = &given;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

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
		analyze_predicate(result, family, &given, context);
	}

	error_context_stack = callback.previous;
	return result;
}
