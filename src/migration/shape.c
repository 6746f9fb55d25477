/*
 * shape.c
 *		The two shapes of a migration: types, and the expressions between them.
 *
 * "up" makes the new column from the old ones, "down" an old one from the new.
 * Both are analysed with the caller's search_path and deparsed with full
 * names, like assignments of a backfill.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parser.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "backfill/preflight.h"
#include "core/compat.h"
#include "core/ddl.h"
#include "core/given_text.h"
#include "core/sql_runner.h"
#include "migration/shape.h"

/* Does the new column stand for one old column that will be gone? */
bool
pgxc_shape_carries(const PgxcShape *shape)
{
	return list_length(shape->old_columns) == 1 && !shape->keep_old;
}

static Form_pg_attribute
old_attribute(const PgxcShape *shape, Relation rel)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel),
								   (char *) linitial(shape->old_columns));

	return TupleDescAttr(RelationGetDescr(rel), attnum - 1);
}

/* The new column's type, as SQL. */
char *
pgxc_shape_type_name(const PgxcShape *shape)
{
	return format_type_extended(shape->typid, shape->typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN |
									FORMAT_TYPE_FORCE_QUALIFY);
}

static void
check_null(void *arg)
{
	domain_check((Datum) 0, true, *(Oid *) arg, NULL, NULL);
}

/*
 * Throw 0A000 for a type that a new column cannot have: a domain that refuses
 * null, because an INSERT that does not know the column would fail before our
 * trigger could fill it.
 */
void
pgxc_shape_check_type(const PgxcShape *shape, Relation rel)
{
	Oid typid = shape->typid;
	PgxcIdentity saved;
	ErrorData *error;

	if (get_typtype(typid) != TYPTYPE_DOMAIN)
		return;
	pgxc_identity_push(&saved, rel->rd_rel->relowner,
					   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	error = pgxc_subxact(check_null, &typid, false);
	pgxc_identity_pop(&saved);
	if (error == NULL)
		return;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg(
			 "the new column cannot be of domain %s, which does not take null",
			 format_type_be(typid)),
		 errdetail("The column is null until a row is filled."),
		 errhint("Take that condition off the domain, or use type %s.",
				 format_type_be(getBaseType(typid)))));
}

/*
 * Fill in the type of the new column: the one named, or (NULL) that of the old
 * column.  Its collation is the old column's where both can have one.  Throws
 * what parsing a type throws.
 */
void
pgxc_shape_type(PgxcShape *shape, Relation rel, const char *type_name)
{
	Form_pg_attribute old =
		shape->old_columns ? old_attribute(shape, rel) : NULL;

	if (type_name == NULL)
	{
		shape->typid = old->atttypid;
		shape->typmod = old->atttypmod;
		shape->collation = old->attcollation;
		shape->same_type = true;
		return;
	}

	pgxc_parse_type(type_name, &shape->typid, &shape->typmod);
	if (get_typtype(shape->typid) == TYPTYPE_PSEUDO)
		ereport(ERROR, (errcode(ERRCODE_INVALID_TABLE_DEFINITION),
						errmsg("a column cannot have pseudo-type %s",
							   format_type_be(shape->typid)),
						errhint("Name a type that a table can store.")));
	shape->collation = get_typcollation(shape->typid);
	if (OidIsValid(shape->collation) && old != NULL &&
		OidIsValid(old->attcollation))
		shape->collation = old->attcollation;
	shape->same_type = false;
}

/*
 * Analyse an expression as it was parsed, over the rows of "from".  Returns
 * the statement; its only target is the expression.
 */
static Query *
analyze_node(const PgxcGivenText *given, Node *node, const char *from)
{
	RawStmt *raw =
		linitial_node(RawStmt, raw_parser(psprintf("SELECT NULL FROM %s", from),
										  RAW_PARSE_DEFAULT));
	SelectStmt *stmt = castNode(SelectStmt, raw->stmt);
	Query *query;

	linitial_node(ResTarget, stmt->targetList)->val = node;
	query = parse_analyze_fixedparams(raw, given->sql, NULL, 0, NULL);
	if (query->hasAggs || query->hasWindowFuncs || query->hasTargetSRFs)
		ereport(ERROR,
				(errcode(query->hasAggs ? ERRCODE_GROUPING_ERROR
						 : query->hasWindowFuncs
							 ? ERRCODE_WINDOWING_ERROR
							 : ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not use %s", given->argument,
						query->hasAggs          ? "aggregate functions"
						: query->hasWindowFuncs ? "window functions"
												: "set-returning functions"),
				 errhint("It is evaluated for one row at a time.")));
	if (list_length(query->targetList) != 1)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("%s must be one expression", given->argument)));
	return query;
}

/* The same for a whole text, which must be an expression and nothing else. */
static Query *
analyze_expression(PgxcGivenText *given, const char *from)
{
	SelectStmt *stmt;

	given->prefix = "SELECT ";
	stmt = castNode(SelectStmt, pgxc_given_parse(given)->stmt);
	if (stmt->op != SETOP_NONE || list_length(stmt->targetList) != 1 ||
		linitial_node(ResTarget, stmt->targetList)->name || stmt->intoClause ||
		stmt->windowClause || stmt->fromClause || stmt->distinctClause ||
		stmt->whereClause || stmt->groupClause || stmt->havingClause ||
		stmt->sortClause || stmt->limitCount || stmt->limitOffset ||
		stmt->lockingClause)
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("%s must be an expression and nothing else",
							   given->argument)));
	return analyze_node(given, linitial_node(ResTarget, stmt->targetList)->val,
						from);
}

static Node *
target_expression(Query *query)
{
	return (Node *) linitial_node(TargetEntry, query->targetList)->expr;
}

/*
 * Coerce as an assignment would.  Throws 42804.
 */
static Node *
coerce_to_column(const PgxcGivenText *given, Node *expr, Oid typid,
				 int32 typmod, const char *column)
{
	Oid actual = exprType(expr);
	Node *result =
		coerce_to_target_type(NULL, expr, actual, typid, typmod,
							  COERCION_ASSIGNMENT, COERCE_IMPLICIT_CAST, -1);

	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("%s is of type %s, but column \"%s\" is of type %s",
						given->argument, format_type_be(actual), column,
						format_type_be(typid)),
				 errhint("Cast it, such as '(%s)::%s'.", given->text,
						 format_type_be(typid)),
				 pgxc_given_errposition(given, exprLocation(expr))));
	return result;
}

/* The expression as text, over the alias t. */
static char *
deparse(Relation rel, Node *expr)
{
	PgxcIdentity saved;
	char *text;

	pgxc_identity_push(&saved, GetUserId(), 0);
	text = deparse_expression(expr,
							  deparse_context_for("t", RelationGetRelid(rel)),
							  true, false);
	pgxc_identity_pop(&saved);
	return text;
}

/* The columns of the table that a query reads, as char *, in table order. */
static List *
columns_read(const PgxcGivenText *given, Relation rel, Node *query)
{
	Bitmapset *attrs = NULL;
	List *names = NIL;
	ListCell *lc;
	int attnum = -1;

	foreach (lc, pull_vars_of_level(query, 0))
	{
		Var *var = lfirst_node(Var, lc);

		if (var->varattno <= 0)
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg(var->varattno == 0
									   ? "%s must not use the whole row"
									   : "%s must not use system columns",
								   given->argument),
							errhint("Name the columns that it needs."),
							pgxc_given_errposition(given, var->location)));
		attrs = bms_add_member(attrs, var->varattno);
	}
	while ((attnum = bms_next_member(attrs, attnum)) >= 0)
		names = lappend(names, get_attname(RelationGetRelid(rel),
										   (AttrNumber) attnum, false));
	return names;
}

/*
 * Without an expression: is there a cast that an assignment would use?  Throws
 * 42846.
 */
static void
require_cast(Oid from, Oid to, const char *column)
{
	if (can_coerce_type(1, &from, &to, COERCION_ASSIGNMENT))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CANNOT_COERCE),
			 errmsg("column \"%s\" cannot be cast automatically to type %s",
					column, format_type_be(to)),
			 errhint("Pass the expression, such as up => '%s::%s'.",
					 quote_identifier(column), format_type_be(to))));
}

/*
 * Analyse given_up (NULL: a copy, or a cast) and find out which columns it
 * reads; these become old_columns unless they are known.  The type must be
 * known.  Throws 42601, 42703, 42804, 42846, 42803, 42P20 and 0A000, with a
 * position in the given text.
 */
void
pgxc_shape_up(PgxcShape *shape, Relation rel)
{
	PgxcGivenText given = { .text = shape->given_up, .argument = "up" };
	Query *query;
	List *read;
	Node *expr;

	if (shape->given_up == NULL)
	{
		Form_pg_attribute old = old_attribute(shape, rel);

		require_cast(old->atttypid, shape->typid, NameStr(old->attname));
		shape->up = PGXC_COPY;
		return;
	}

	pgxc_given_begin(&given);
	query = analyze_expression(&given,
							   psprintf("ONLY %s", pgxc_qualified_name(
													   RelationGetRelid(rel))));
	expr = target_expression(query);
	pgxc_given_check(&given, expr, pgxc_relation_family(RelationGetRelid(rel)),
					 false, "expression up");
	read = columns_read(&given, rel, expr);
	if (read == NIL)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("up does not use any column of table \"%s\"",
					RelationGetRelationName(rel)),
			 errhint(
				 "A constant needs no migration: add the column with a DEFAULT.")));
	if (shape->old_columns == NIL)
		shape->old_columns = read;
	else if (list_length(read) != 1 ||
			 strcmp((char *) linitial(read),
					(char *) linitial(shape->old_columns)) != 0)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
			 errmsg("up must use column \"%s\" and no other",
					(char *) linitial(shape->old_columns)),
			 errhint(
				 "Use pgxc.start_transform() to make a column from several others.")));
	expr = coerce_to_column(&given, expr, shape->typid, shape->typmod,
							shape->final_column);
	shape->up = deparse(rel, expr);
	pgxc_given_end(&given);
}

/*
 * What down is analysed against: one row with nothing but the new column,
 * under the name that users know it by.
 */
static char *
down_source(const PgxcShape *shape, Relation rel, bool column_exists)
{
	if (column_exists)
		return psprintf("(SELECT %s AS %s FROM ONLY %s) AS %s",
						quote_identifier(shape->new_column),
						quote_identifier(shape->final_column),
						pgxc_qualified_name(RelationGetRelid(rel)),
						quote_identifier(RelationGetRelationName(rel)));
	return psprintf("(SELECT NULL::%s AS %s) AS %s",
					pgxc_shape_type_name(shape),
					quote_identifier(shape->final_column),
					quote_identifier(RelationGetRelationName(rel)));
}

typedef struct SubstituteContext
{
	AttrNumber from; /* of relation 1 */
	Node *to;
} SubstituteContext;

static Node *
substitute_mutator(Node *node, void *arg)
{
	SubstituteContext *context = (SubstituteContext *) arg;

	if (node == NULL)
		return NULL;
	if (IsA(node, Var) && ((Var *) node)->varlevelsup == 0 &&
		((Var *) node)->varattno == context->from)
		return copyObject(context->to);
	return expression_tree_mutator(node, substitute_mutator, context);
}

/*
 * What down of one old column is, over the alias t; NULL while the new column
 * is not there, and it can only be checked.
 */
static char *
finish_down(const PgxcShape *shape, Relation rel, const PgxcGivenText *given,
			Query *query, const char *old_column, bool column_exists)
{
	AttrNumber old = get_attnum(RelationGetRelid(rel), old_column);
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), old - 1);
	Node *expr = target_expression(query);
	SubstituteContext context = { 1, NULL };
	AttrNumber attnum;

	if (checkExprHasSubLink(expr))
		ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						errmsg("%s must not have a subquery", given->argument),
						errhint("Put it into a function.")));
	pgxc_given_check(given, expr, NIL, false, "expression down");
	expr = coerce_to_column(given, expr, att->atttypid, att->atttypmod,
							old_column);
	if (!column_exists)
		return NULL;

	attnum = get_attnum(RelationGetRelid(rel), shape->new_column);
	context.to = (Node *) makeVar(1, attnum, shape->typid, shape->typmod,
								  shape->collation, 0);
	return deparse(rel, substitute_mutator(expr, &context));
}

/* "column = expression, ...": the expression of one column, as parsed. */
static Node *
assigned_expression(const PgxcShape *shape, const PgxcGivenText *given,
					UpdateStmt *stmt, const char *column)
{
	ListCell *lc;
	Node *node = NULL;

	if (stmt->whereClause || stmt->fromClause ||
		pgxc_update_has_returning(stmt))
		ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
						errmsg("%s must be assignments and nothing else",
							   given->argument)));
	foreach (lc, stmt->targetList)
	{
		ResTarget *target = lfirst_node(ResTarget, lc);
		bool known = false;
		ListCell *name;

		foreach (name, shape->old_columns)
			known |= strcmp((char *) lfirst(name), target->name) == 0;
		if (!known || target->indirection != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
					 errmsg("down assigns \"%s\", which up does not use",
							target->name),
					 errhint("Assign the columns that up uses, and no others."),
					 pgxc_given_errposition(given, target->location)));
		if (IsA(target->val, MultiAssignRef))
			ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
							errmsg("down must assign one column at a time"),
							errhint("Write down => 'a = ..., b = ...'."),
							pgxc_given_errposition(given, target->location)));
		if (strcmp(target->name, column) != 0)
			continue;
		if (node != NULL)
			ereport(ERROR, (errcode(ERRCODE_SYNTAX_ERROR),
							errmsg("down assigns column \"%s\" twice", column),
							pgxc_given_errposition(given, target->location)));
		node = target->val;
	}
	if (node == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("down does not assign column \"%s\"", column),
			 errhint(
				 "Write down => 'column = expression, ...' with every column that up uses, or leave it out.")));
	return node;
}

/*
 * Analyse given_down.  With one old column it is an expression over the new
 * column; with several, assignments of each of them.  Without it there is a
 * way back only if an automatic up has a cast back.
 *
 * Before the column exists only checks can be made; afterwards downs is
 * filled.  Throws as pgxc_shape_up() does.
 */
void
pgxc_shape_down(PgxcShape *shape, Relation rel, bool column_exists)
{
	PgxcGivenText given = { .text = shape->given_down, .argument = "down" };
	UpdateStmt *stmt = NULL;
	ListCell *lc;

	shape->downs = NIL;
	if (shape->given_down == NULL)
	{
		Form_pg_attribute old = old_attribute(shape, rel);
		bool automatic = strcmp(shape->up, PGXC_COPY) == 0 &&
						 can_coerce_type(1, &shape->typid, &old->atttypid,
										 COERCION_ASSIGNMENT);

		foreach (lc, shape->old_columns)
			shape->downs =
				lappend(shape->downs, automatic ? PGXC_COPY : PGXC_NO_WAY);
		return;
	}

	pgxc_given_begin(&given);
	if (list_length(shape->old_columns) > 1)
	{
		given.prefix = "UPDATE x SET ";
		stmt = castNode(UpdateStmt, pgxc_given_parse(&given)->stmt);
	}
	foreach (lc, shape->old_columns)
	{
		char *column = (char *) lfirst(lc);
		char *from = down_source(shape, rel, column_exists);
		Query *query =
			stmt
				? analyze_node(&given,
							   assigned_expression(shape, &given, stmt, column),
							   from)
				: analyze_expression(&given, from);

		shape->downs =
			lappend(shape->downs, finish_down(shape, rel, &given, query, column,
											  column_exists));
	}
	pgxc_given_end(&given);
}

/* What a chunk assigns to the new column, over the alias t. */
char *
pgxc_shape_assignment(const PgxcShape *shape)
{
	if (strcmp(shape->up, PGXC_COPY) == 0)
		return psprintf("t.%s", quote_identifier(
									(char *) linitial(shape->old_columns)));
	return shape->up;
}

/*
 * The default of the old column, as one of the new column: up applied to it.
 * NULL if there is none.  Takes rel for the table or one of its partitions.
 * Throws 0A000 if up has a subquery, which a default cannot have.
 */
char *
pgxc_shape_default(const PgxcShape *shape, Relation rel)
{
	SubstituteContext context;
	PgxcGivenText given = { .text = pgxc_shape_assignment(shape),
							.argument = "up" };
	Form_pg_attribute old = old_attribute(shape, rel);
	Query *query;

	if (!old->atthasdef || old->attgenerated || old->attidentity)
		return NULL;
	context.from = old->attnum;
	context.to = build_column_default(rel, old->attnum);
	query = analyze_expression(&given, psprintf("ONLY %s AS t",
												pgxc_qualified_name(
													RelationGetRelid(rel))));
	if (checkExprHasSubLink(target_expression(query)))
		ereport(
			ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg(
				 "the expression up has a subquery, which a default cannot have"),
			 errhint("Drop the default first, and set one after contract.")));
	return deparse(rel, substitute_mutator(target_expression(query), &context));
}
