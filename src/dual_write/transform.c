/*
 * transform.c
 *		How one column is computed from a row.
 *
 * Compiled once per relation, evaluated for every row that needs it.  What
 * turns out to be another column's value as it is (a rename, a cast that does
 * not change the bytes) is nothing but a copy.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "catalog/pg_language.h"
#include "catalog/pg_proc.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "dual_write/never_raises.h"
#include "dual_write/transform.h"

#define PREFIX "SELECT ("

/* The text that is being compiled. */
typedef struct TransformText
{
	const char *migration;
	const char *text;
	const char *column; /* that it computes */
} TransformText;

/*
 * A position is one in our text, not in the statement that fires the trigger.
 */
static void
transpose_error_position(void *arg)
{
	TransformText *text = (TransformText *) arg;
	int position = geterrposition();

	if (position > 0)
	{
		errposition(0);
		internalerrposition(position - (int) strlen(PREFIX));
		internalerrquery(text->text);
	}
	errcontext("migration \"%s\", preparing what computes column \"%s\"",
			   text->migration, text->column);
}

/* Parse and analyse an expression. */
static Node *
parse_expression(ParseState *pstate, const char *expression)
{
	/* A comment at the end must not swallow anything: end the line. */
	char *sql = psprintf("%s%s\n)", PREFIX, expression);
	List *list = raw_parser(sql, RAW_PARSE_DEFAULT);
	SelectStmt *stmt = castNode(SelectStmt, linitial_node(RawStmt, list)->stmt);

	pstate->p_sourcetext = sql;
	return transformExpr(pstate,
						 linitial_node(ResTarget, stmt->targetList)->val,
						 EXPR_KIND_UPDATE_SOURCE);
}

/* Cast as an assignment does; throws 42804 if that is not possible. */
static Node *
cast_to_column(ParseState *pstate, Node *expr, Relation rel, AttrNumber to)
{
	Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), to - 1);
	Node *result =
		coerce_to_target_type(pstate, expr, exprType(expr), att->atttypid,
							  att->atttypmod, COERCION_ASSIGNMENT,
							  COERCE_IMPLICIT_CAST, -1);

	if (result == NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg(
				 "a value of type %s cannot be assigned to column \"%s\" of type %s",
				 format_type_be(exprType(expr)), NameStr(att->attname),
				 format_type_be(att->atttypid)),
			 errhint(
				 "Give an expression that returns the type of the column.")));
	assign_expr_collations(pstate, result);
	return result;
}

/*
 * Does the function run something that finds other things by name?  Of those
 * in SQL: an error leaves what the function keeps between calls half-way.
 */
static bool
note_function(Oid function, void *context)
{
	PgxcTransform *transform = (PgxcTransform *) context;
	HeapTuple tuple;
	Oid language;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false; /* the evaluation will say so */
	language = ((Form_pg_proc) GETSTRUCT(tuple))->prolang;
	ReleaseSysCache(tuple);
	/* Nothing that comes with the server looks for functions by name. */
	if (function >= FirstNormalObjectId && language != INTERNALlanguageId &&
		language != ClanguageId)
		transform->uses_names = true;
	if (language == SQLlanguageId)
		transform->fragile = true;
	return false;
}

static bool
note_functions_walker(Node *node, void *context)
{
	PgxcTransform *transform = (PgxcTransform *) context;

	if (node == NULL)
		return false;
	(void) check_functions_in_node(node, note_function, context);
	/* A constraint of a domain may call anything. */
	if (IsA(node, CoerceToDomain))
		transform->uses_names = transform->fragile = true;
	return expression_tree_walker(node, note_functions_walker, context);
}

/* What is left of an expression below casts that change nothing. */
static Node *
strip_relabels(Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;
	return expr;
}

/* Make a planned expression ready to run.  Sets all but the kind. */
static void
prepare_state(PgxcTransformCompiler *compiler, PgxcTransform *transform,
			  Node *expr)
{
	MemoryContext old = MemoryContextSwitchTo(compiler->keep);

	if (compiler->econtext == NULL)
		compiler->econtext = CreateStandaloneExprContext();
	transform->econtext = compiler->econtext;
	expr = copyObject(expr);
	transform->state = ExecInitExpr((Expr *) expr, NULL);
	MemoryContextSwitchTo(old);

	transform->never_raises = pgxc_never_raises(expr);
	transform->uses_settings = contain_mutable_functions(expr);
	(void) note_functions_walker(expr, transform);
}

static Node *
plan_expression(PgxcTransformCompiler *compiler, Node *expr)
{
	List *relations = NIL;
	List *items = NIL;

	expr = (Node *) expression_planner_with_deps((Expr *) expr, &relations,
												 &items);
	compiler->dependencies = list_concat(compiler->dependencies, items);
	return expr;
}

/* An expression over the row alone: a copy, or something to evaluate. */
static void
compile_expression(PgxcTransformCompiler *compiler, PgxcTransform *transform,
				   Node *expr)
{
	Node *core;

	expr = plan_expression(compiler, expr);
	core = strip_relabels(expr);
	if (IsA(core, Var) && ((Var *) core)->varattno > 0)
	{
		transform->kind = PGXC_TRANSFORM_COPY;
		transform->copied = ((Var *) core)->varattno;
		transform->never_raises = true;
		return;
	}
	transform->kind = PGXC_TRANSFORM_EXPRESSION;
	prepare_state(compiler, transform, expr);
}

/* An expression with a subquery, and the cast of what it returns. */
static void
compile_query(PgxcTransformCompiler *compiler, PgxcTransform *transform,
			  ParseState *pstate, const char *text, Node *expr, AttrNumber to)
{
	CaseTestExpr *result = makeNode(CaseTestExpr);
	MemoryContext old;
	Node *cast;

	assign_expr_collations(pstate, expr);
	result->typeId = exprType(expr);
	result->typeMod = exprTypmod(expr);
	result->collation = exprCollation(expr);
	cast = plan_expression(compiler, cast_to_column(pstate, (Node *) result,
													compiler->rel, to));

	transform->kind = PGXC_TRANSFORM_QUERY;
	if (!IsA(strip_relabels(cast), CaseTestExpr))
		prepare_state(compiler, transform, cast);
	transform->never_raises = false;
	transform->uses_settings = true;
	transform->uses_names = true;

	old = MemoryContextSwitchTo(compiler->keep);
	transform->subquery =
		pgxc_subquery_make(text, compiler->row, compiler->rel->rd_rel->reltype,
						   result->typeId);
	MemoryContextSwitchTo(old);
}

/* Analyse "=" or an expression over alias t. */
static Node *
analyse(PgxcTransformCompiler *compiler, ParseState *pstate, const char *text,
		AttrNumber from)
{
	ParseNamespaceItem *item =
		addRangeTableEntryForRelation(pstate, compiler->rel, AccessShareLock,
									  makeAlias("t", NIL), false, true);

	addNSItemToQuery(pstate, item, false, true, true);
	if (strcmp(text, "=") == 0)
	{
		Form_pg_attribute att = TupleDescAttr(compiler->row, from - 1);

		return (Node *) makeVar(1, from, att->atttypid, att->atttypmod,
								att->attcollation, 0);
	}
	return parse_expression(pstate, text);
}

/*
 * Compile what computes column "to" of a relation: "=" for column "from" with
 * an assignment cast, or an expression over alias t which names everything in
 * full.  Leaves garbage in the current memory context, but nothing of it in
 * the compiler's, and adds what the result depends on.
 *
 * The caller has a lock on the relation, has become its owner and has set the
 * search_path to pg_catalog.  Throws what analysing the expression throws.
 */
PgxcTransform *
pgxc_transform_compile(PgxcTransformCompiler *compiler, const char *text,
					   AttrNumber from, AttrNumber to)
{
	PgxcTransform *transform =
		MemoryContextAllocZero(compiler->keep, sizeof(PgxcTransform));
	ParseState *pstate = make_parsestate(NULL);
	TransformText context = {
		compiler->migration, text,
		NameStr(TupleDescAttr(compiler->row, to - 1)->attname)
	};
	ErrorContextCallback callback;
	List *relations = NIL;
	List *items = NIL;
	bool row_security;
	Node *expr;

	callback.callback = transpose_error_position;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	expr = analyse(compiler, pstate, text, from);
	/* Functions that planning computes or inlines are not seen afterwards. */
	extract_query_dependencies(expr, &relations, &items, &row_security);
	compiler->dependencies = list_concat(compiler->dependencies, items);

	if (pstate->p_hasSubLinks)
		compile_query(compiler, transform, pstate, text, expr, to);
	else
		compile_expression(compiler, transform,
						   cast_to_column(pstate, expr, compiler->rel, to));
	free_parsestate(pstate);
	error_context_stack = callback.previous;
	return transform;
}

/*
 * Evaluate a transform on a row.  The result is in the current memory context,
 * or in the row.  Throws what the expression throws; rights and settings are
 * then restored by the end of the (sub)transaction.
 */
Datum
pgxc_transform_run(const PgxcTransform *transform,
				   const PgxcEnvironment *environment, Oid owner,
				   TupleTableSlot *row, bool *isnull)
{
	ExprContext *econtext = transform->econtext;
	PgxcEnvironmentSaved saved;
	Datum value;

	if (transform->kind == PGXC_TRANSFORM_COPY)
		return slot_getattr(row, transform->copied, isnull);

	pgxc_environment_enter(environment, owner, transform->uses_settings,
						   transform->uses_names, &saved);
	if (transform->kind == PGXC_TRANSFORM_EXPRESSION)
	{
		econtext->ecxt_scantuple = row;
		value = ExecEvalExpr(transform->state, econtext, isnull);
	}
	else
	{
		value = pgxc_subquery_run(transform->subquery, row, isnull);
		if (transform->state != NULL)
		{
			econtext->ecxt_scantuple = row;
			econtext->caseValue_datum = value;
			econtext->caseValue_isNull = *isnull;
			value = ExecEvalExpr(transform->state, econtext, isnull);
		}
	}
	pgxc_environment_leave(&saved);
	return value;
}

/* Is this an error about the value? */
static bool
is_data_error(int sqlerrcode)
{
	int category = ERRCODE_TO_CATEGORY(sqlerrcode);

	return category == ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) ||
		   category ==
			   ERRCODE_TO_CATEGORY(ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION) ||
		   category == ERRCODE_TO_CATEGORY(ERRCODE_PLPGSQL_ERROR);
}

/*
 * The same, but null for a value that the expression fails on (an error of
 * class 22, 23 or P0; *sqlerrcode is that, otherwise 0).  All other errors are
 * thrown.
 */
Datum
pgxc_transform_try(PgxcTransform *transform, const PgxcEnvironment *environment,
				   Oid owner, TupleTableSlot *row, bool *isnull,
				   int *sqlerrcode)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner resources = CurrentResourceOwner;
	volatile Datum value = (Datum) 0;

	*sqlerrcode = 0;
	if (transform->never_raises)
		return pgxc_transform_run(transform, environment, owner, row, isnull);

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		value = pgxc_transform_run(transform, environment, owner, row, isnull);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = resources;
	}
	PG_CATCH();
	{
		ErrorData *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = resources;
		if (!is_data_error(error->sqlerrcode))
			ReThrowError(error);
		*sqlerrcode = error->sqlerrcode;
		FreeErrorData(error);
		transform->broken = transform->fragile;
		value = (Datum) 0;
		*isnull = true;
	}
	PG_END_TRY();
	return value;
}
