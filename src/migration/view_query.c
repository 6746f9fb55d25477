/*
 * view_query.c
 *		The stored query of a view, and which views stand on which.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteSupport.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/sql_runner.h"
#include "migration/map_columns.h"
#include "migration/view_query.h"

/*
 * The query of a view or materialized view, as it is stored, in memory of the
 * caller.  Locks the tables in it as every reader does.  NULL if there is none.
 */
Query *
pgxc_view_query(Oid view)
{
	HeapTuple tuple = SearchSysCache2(RULERELNAME, ObjectIdGetDatum(view),
									  PointerGetDatum(ViewSelectRuleName));
	Datum action;
	bool isnull;
	Query *query;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	action =
		SysCacheGetAttr(RULERELNAME, tuple, Anum_pg_rewrite_ev_action, &isnull);
	query = linitial_node(Query,
						  castNode(List,
								   stringToNode(TextDatumGetCString(action))));
	ReleaseSysCache(tuple);
	AcquireRewriteLocks(query, false, false);
	return query;
}

/*
 * The columns of a view can have been renamed since; what is made of its query
 * must give them the names that they have.
 */
static void
set_output_names(Query *query, Oid view)
{
	for (;;)
	{
		SetOperationStmt *set = (SetOperationStmt *) query->setOperations;
		Node *left = (Node *) set;
		ListCell *lc;

		foreach (lc, query->targetList)
		{
			TargetEntry *tle = lfirst_node(TargetEntry, lc);

			if (!tle->resjunk)
				tle->resname = get_attname(view, tle->resno, false);
		}
		if (set == NULL)
			break;
		while (IsA(left, SetOperationStmt))
			left = ((SetOperationStmt *) left)->larg;
		query = rt_fetch(castNode(RangeTblRef, left)->rtindex, query->rtable)
					->subquery;
	}
}

/*
 * The view's query with the new column instead of the old one.  Returns NULL,
 * or a sentence that says why there is none.
 */
const char *
pgxc_view_mapped_query(Oid view, List *map, Query **query)
{
	*query = pgxc_view_query(view);
	if (*query == NULL)
		return "It has no query.";
	set_output_names(*query, view);
	return pgxc_map_query(*query, map);
}

#define RENAMES_COLUMNS \
	"It gives columns of the table other names by their position."

typedef struct PositionalContext
{
	List *map;
	const char *reason;
} PositionalContext;

static bool
is_row_type(List *map, Oid type)
{
	Oid relid = get_typ_typrelid(getBaseType(type));

	return OidIsValid(relid) && pgxc_column_map_find(map, relid) != NULL;
}

static const char *
positional_entry(RangeTblEntry *rte, List *map)
{
	ListCell *lc;

	if (rte->rtekind == RTE_RELATION && rte->alias != NULL &&
		rte->alias->colnames != NIL &&
		pgxc_column_map_find(map, rte->relid) != NULL)
		return RENAMES_COLUMNS;
	foreach (lc, rte->functions)
	{
		RangeTblFunction *function = lfirst_node(RangeTblFunction, lc);

		if (is_row_type(map, exprType(function->funcexpr)))
			return "It reads rows of the table from a function.";
	}
	return NULL;
}

/* (table JOIN other) alias: its text can have a list of the columns' names. */
static bool
has_named_join(Query *query, List *map)
{
	bool table = false;
	bool named = false;
	ListCell *lc;

	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		table |= rte->rtekind == RTE_RELATION &&
				 pgxc_column_map_find(map, rte->relid) != NULL;
		named |= rte->rtekind == RTE_JOIN && rte->alias != NULL;
	}
	return table && named;
}

static bool
positional_walker(Node *node, void *arg)
{
	PositionalContext *context = (PositionalContext *) arg;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		if (context->reason == NULL)
			context->reason =
				positional_entry((RangeTblEntry *) node, context->map);
		return false; /* the range table's walker does the rest */
	}
	if (IsA(node, Query))
	{
		if (has_named_join((Query *) node, context->map))
			context->reason = RENAMES_COLUMNS;
		return query_tree_walker((Query *) node, positional_walker, arg,
								 QTW_IGNORE_JOINALIASES |
									 QTW_EXAMINE_RTES_BEFORE);
	}
	if (IsA(node, RowExpr) &&
		is_row_type(context->map, ((RowExpr *) node)->row_typeid))
		context->reason = "It makes rows of the table.";
	return expression_tree_walker(node, positional_walker, arg);
}

/*
 * Where a server had to rename columns to keep names apart, the text has a
 * list of them behind the alias: table alias(a, b, ...).
 */
static bool
has_column_list(const char *text, const char *name)
{
	const char *found = text;

	while ((found = strstr(found, name)) != NULL)
	{
		const char *rest = found + strlen(name);
		const char *alias;
		bool quoted = false;

		found++;
		if (*rest++ != ' ')
			continue;
		alias = rest;
		while (*rest != '\0' &&
			   (quoted || *rest == '"' || *rest == '_' || *rest == '$' ||
				IS_HIGHBIT_SET(*rest) || isalnum((unsigned char) *rest)))
		{
			if (*rest == '"')
				quoted = !quoted;
			rest++;
		}
		if (*rest == '(' && rest > alias)
			return true;
	}
	return false;
}

/*
 * Do the statements that make a view (char *) mean a column of the table by
 * its position?  They would mean something else once the position of a column
 * has changed.  Returns the reason as a sentence, or NULL.
 */
char *
pgxc_view_positional(Oid view, List *statements, List *map)
{
	PositionalContext context = { .map = map };
	ListCell *lc;

	(void) positional_walker((Node *) pgxc_view_query(view), &context);
	if (context.reason != NULL)
		return pstrdup(context.reason);

	foreach (lc, map)
	{
		PgxcColumnMap *entry = lfirst(lc);
		const char *name = quote_identifier(get_rel_name(entry->relid));
		ListCell *statement;

		foreach (statement, statements)
		{
			if (strncmp(lfirst(statement), "COMMENT ", 8) != 0 &&
				has_column_list(lfirst(statement), name))
				return pstrdup(RENAMES_COLUMNS);
		}
	}
	return NULL;
}

/* OIDs of the views whose query reads a relation, or some columns of it. */
static List *
views_on(Oid relid, List *attnums)
{
	static PgxcStatement select = PGXC_SQL(
		"SELECT DISTINCT r.ev_class FROM pg_catalog.pg_depend d"
		" JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid"
		" JOIN pg_catalog.pg_class c ON c.oid = r.ev_class"
		" WHERE d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass"
		" AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass"
		" AND d.refobjid = $1 AND r.rulename = '_RETURN'"
		" AND ($2 = 0 OR d.refobjsubid = $2)"
		" AND c.relkind IN ('v', 'm') AND r.ev_class <> $1"
		" ORDER BY 1",
		OIDOID, INT4OID);
	MemoryContext caller = CurrentMemoryContext;
	List *views = NIL;
	List *wanted = attnums == NIL ? list_make1_int(0) : attnums;
	ListCell *lc;

	foreach (lc, wanted)
	{
		Datum values[2] = { ObjectIdGetDatum(relid),
							Int32GetDatum(lfirst_int(lc)) };
		PgxcIdentity saved;
		uint64 rows;
		MemoryContext spi;

		pgxc_sql_begin(&saved);
		rows = pgxc_sql_execute(&select, values, NULL, SPI_OK_SELECT);
		spi = MemoryContextSwitchTo(caller);
		for (uint64 row = 0; row < rows; row++)
		{
			bool isnull;

			views = list_append_unique_oid(
				views, DatumGetObjectId(pgxc_sql_value(row, 1, &isnull)));
		}
		MemoryContextSwitchTo(spi);
		pgxc_sql_end(&saved);
	}
	return views;
}

/* OIDs of the views and materialized views that read an old column. */
List *
pgxc_views_on_columns(List *map)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc, map)
	{
		PgxcColumnMap *entry = lfirst(lc);

		if (entry->old_attnums != NIL)
			views = list_concat_unique_oid(views, views_on(entry->relid,
														   entry->old_attnums));
	}
	return views;
}

/* Put a view before all that are on the list; those above it are there. */
static List *
visit(List *ordered, Oid view)
{
	ListCell *lc;

	check_stack_depth();
	if (list_member_oid(ordered, view))
		return ordered;
	foreach (lc, views_on(view, NIL))
		ordered = visit(ordered, lfirst_oid(lc));
	return lcons_oid(view, ordered);
}

/*
 * These views and all that stand on them, each before those that stand on it.
 */
List *
pgxc_views_closure(List *views)
{
	List *ordered = NIL;
	ListCell *lc;

	foreach (lc, views)
		ordered = visit(ordered, lfirst_oid(lc));
	return ordered;
}
