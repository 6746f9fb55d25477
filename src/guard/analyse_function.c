/*
 * analyse_function.c
 *		CREATE and ALTER FUNCTION and PROCEDURE.
 *
 * A body in SQL is parsed and rewritten when the function is made, which locks
 * what it reads and writes.  Those in other languages lock nothing.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_func.h"
#include "parser/parse_type.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"
#include "guard/raw_relations.h"

static bool
is_input(const FunctionParameter *parameter)
{
	return parameter->mode != FUNC_PARAM_OUT &&
		   parameter->mode != FUNC_PARAM_TABLE;
}

/* The types of its arguments; false if there is one that does not exist. */
static bool
argument_types(CreateFunctionStmt *stmt, Oid *types, int *n)
{
	ListCell *lc;

	*n = 0;
	foreach (lc, stmt->parameters)
	{
		FunctionParameter *parameter = lfirst_node(FunctionParameter, lc);
		bool procedure_out =
			stmt->is_procedure && parameter->mode == FUNC_PARAM_OUT;

		if (!is_input(parameter) && !procedure_out)
			continue;
		if (*n >= FUNC_MAX_ARGS)
			return false;
		types[*n] = LookupTypeNameOid(NULL, parameter->argType, true);
		if (!OidIsValid(types[*n]))
			return false;
		/* The output of a procedure is no part of its identity. */
		if (!procedure_out)
			(*n)++;
	}
	return true;
}

/* Where a function of this name would be made; InvalidOid: nowhere. */
static Oid
creation_schema(List *names, char **name)
{
	char *schema;
	List *path;

	DeconstructQualifiedName(names, &schema, name);
	if (schema)
		return LookupExplicitNamespace(schema, true);
	path = fetch_search_path(false);
	return path == NIL ? InvalidOid : linitial_oid(path);
}

/* The function that would be replaced. */
static Oid
existing_function(CreateFunctionStmt *stmt)
{
	Oid types[FUNC_MAX_ARGS];
	int n;
	char *name;
	Oid schema = creation_schema(stmt->funcname, &name);

	if (!OidIsValid(schema) || !argument_types(stmt, types, &n))
		return InvalidOid;
	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(types, n)),
						   ObjectIdGetDatum(schema));
}

/* A body with such arguments is checked when it is called. */
static bool
is_polymorphic(CreateFunctionStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->parameters)
	{
		FunctionParameter *parameter = lfirst_node(FunctionParameter, lc);
		Oid typid = LookupTypeNameOid(NULL, parameter->argType, true);

		if (is_input(parameter) && IsPolymorphicType(typid))
			return true;
	}
	return false;
}

/* The text of the body, if its language is SQL; else NULL. */
static char *
sql_body(CreateFunctionStmt *stmt)
{
	char *body = NULL;
	char *language = NULL;
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "as") == 0)
			body = strVal(linitial(castNode(List, option->arg)));
		else if (strcmp(option->defname, "language") == 0)
			language = strVal(option->arg);
	}
	return language && strcmp(language, "sql") == 0 ? body : NULL;
}

typedef struct ParameterWalk
{
	PgxcAnalysis *a;
	Oid types[FUNC_MAX_ARGS];
	int n;
} ParameterWalk;

/* $1.field: a body that is kept depends on the row that has the field. */
static bool
touch_parameter_fields(Node *node, void *context)
{
	ParameterWalk *walk = (ParameterWalk *) context;

	if (node == NULL)
		return false;
	if (IsA(node, A_Indirection) &&
		IsA(((A_Indirection *) node)->arg, ParamRef))
	{
		int number = ((ParamRef *) ((A_Indirection *) node)->arg)->number;

		if (number > 0 && number <= walk->n)
			pgxc_touch_relation(walk->a,
								get_typ_typrelid(
									getBaseType(walk->types[number - 1])),
								AccessShareLock);
	}
	/* The server's walker does not know this one. */
	if (IsA(node, ReturnStmt))
		return touch_parameter_fields(((ReturnStmt *) node)->returnval,
									  context);
	return raw_expression_tree_walker(node, touch_parameter_fields, context);
}

static void
touch_kept_body(PgxcAnalysis *a, CreateFunctionStmt *stmt)
{
	ParameterWalk walk = { .a = a };

	if (argument_types(stmt, walk.types, &walk.n))
		(void) touch_parameter_fields(stmt->sql_body, &walk);
	pgxc_touch_raw_query(a, stmt->sql_body, check_function_bodies, true);
}

static void
create_function(PgxcAnalysis *a, CreateFunctionStmt *stmt)
{
	Oid function = stmt->replace ? existing_function(stmt) : InvalidOid;
	char *body = sql_body(stmt);
	ListCell *lc;

	if (OidIsValid(function))
		pgxc_change(a, PGXC_ACTION_REDEFINE, ProcedureRelationId, function, 0);
	foreach (lc, stmt->parameters)
		pgxc_touch_raw_expression(a,
								  lfirst_node(FunctionParameter, lc)->defexpr);
	if (stmt->sql_body)
		touch_kept_body(a, stmt);
	else if (body && check_function_bodies && !is_polymorphic(stmt))
		pgxc_touch_raw_query(a, (Node *) pg_parse_query(body), true, false);
}

/*
 * What CREATE FUNCTION or ALTER FUNCTION does (PROCEDURE, ROUTINE as well).
 */
void
pgxc_analyse_function(PgxcAnalysis *a, Node *stmt)
{
	if (IsA(stmt, CreateFunctionStmt))
		create_function(a, (CreateFunctionStmt *) stmt);
	else if (IsA(stmt, AlterFunctionStmt))
	{
		AlterFunctionStmt *alter = (AlterFunctionStmt *) stmt;

		pgxc_change_named_object(a, PGXC_ACTION_REDEFINE, alter->objtype,
								 (Node *) alter->func);
	}
}
