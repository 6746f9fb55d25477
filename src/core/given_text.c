/*
 * given_text.c
 *		SQL text that a user gave as an argument: parsing, positions, limits.
 *
 * Such a text is put between two pieces of ours and analysed as a statement.
 * A mistake in it is reported with its position in the text that was given.
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "parser/scansup.h"
#include "utils/fmgroids.h"

#include "core/given_text.h"

/*
 * Turn a position in our statement into one in the caller's argument.
 */
static void
transpose_error_position(void *arg)
{
	PgxcGivenText *given = (PgxcGivenText *) arg;
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

/*
 * From here to pgxc_given_end(), errors are reported in terms of the given
 * text.  An error that leaves the bracket resets the stack itself.
 */
void
pgxc_given_begin(PgxcGivenText *given)
{
	given->callback.callback = transpose_error_position;
	given->callback.arg = given;
	given->callback.previous = error_context_stack;
	error_context_stack = &given->callback;
}

void
pgxc_given_end(PgxcGivenText *given)
{
	error_context_stack = given->callback.previous;
}

/* Report a position (a byte offset) in the statement that is analysed. */
int
pgxc_given_errposition(const PgxcGivenText *given, int location)
{
	if (location < 0)
		return 0;
	return errposition(pg_mbstrlen_with_len(given->sql, location) + 1);
}

/*
 * Parse the text behind its prefix, into one statement.  Throws
 * 42601.
 */
RawStmt *
pgxc_given_parse(PgxcGivenText *given)
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
						pgxc_given_errposition(given, location)));
	}
	return linitial_node(RawStmt, statements);
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
 * Refuse an expression that cannot be evaluated row by row and at any time:
 * one that reads the table itself (family: the OIDs that share rows with it),
 * and, unless there is a predicate, one that changes with time.  "what" names
 * it.  Throws 0A000.
 */
void
pgxc_given_check(const PgxcGivenText *given, Node *expr, List *family,
				 bool has_predicate, const char *what)
{
	ForbiddenContext context = { family, false, false, false };
	bool both_ways = strcmp(given->argument, "up") == 0 ||
					 strcmp(given->argument, "down") == 0;

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
			 pgxc_given_errposition(given, exprLocation(expr))));
	if (has_predicate)
		return;
	if (contain_volatile_functions(expr) || context.changes_with_time)
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s gives another value each time it is evaluated", what),
			 both_ways
				 ? errdetail("The two columns could not be kept equal.")
				 : errdetail("pgxc cannot tell from it which rows are done."),
			 both_ways
				 ? errhint("Compute it from the row's own values.")
				 : errhint(
					   "Pass a predicate that is false once a row is updated, such as '<column> IS NULL'."),
			 pgxc_given_errposition(given, exprLocation(expr))));
}
