/*
 * map_columns.c
 *		Putting a new column in the place of an old one in stored queries.
 *
 * What is changed is the tree, not the text: a name in a text can mean
 * anything.  A reference to the old column becomes a plain reference to the
 * new one, as if the query had been written so.  What the columns of joins
 * are, on the other hand, stays as it is, and so a reference that goes through
 * the column of a join (USING, or the alias of a join) cannot be changed; the
 * caller gets the reason as a sentence.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "migration/map_columns.h"

typedef struct MapContext
{
	List *map;
	PgxcColumnMap *bare; /* what varno 1 is outside of any query */
	List *queries;       /* innermost first */
	const char *reason;  /* why it cannot be done */
} MapContext;

static bool map_walker(Node *node, void *arg);

/*
 * The old and new columns of relid and of all its descendants, by name.  A
 * column that is not there is left out; new_attnum is then 0.  The caller
 * holds some lock on relid; descendants are not locked.
 */
List *
pgxc_column_map(Oid relid, List *old_columns, const char *new_column)
{
	List *map = NIL;
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		PgxcColumnMap *entry = palloc0(sizeof(PgxcColumnMap));
		ListCell *column;

		entry->relid = lfirst_oid(lc);
		entry->new_attnum = get_attnum(entry->relid, new_column);
		foreach (column, old_columns)
		{
			AttrNumber attnum = get_attnum(entry->relid, lfirst(column));

			if (attnum != InvalidAttrNumber)
				entry->old_attnums = lappend_int(entry->old_attnums, attnum);
		}
		map = lappend(map, entry);
	}
	return map;
}

/* The entry of a relation, or NULL. */
PgxcColumnMap *
pgxc_column_map_find(List *map, Oid relid)
{
	ListCell *lc;

	foreach (lc, map)
	{
		PgxcColumnMap *entry = lfirst(lc);

		if (entry->relid == relid)
			return entry;
	}
	return NULL;
}

/* The entry of the relation of which type is the row type, or NULL. */
static PgxcColumnMap *
find_row_type(List *map, Oid type)
{
	Oid relid = get_typ_typrelid(getBaseType(type));

	return OidIsValid(relid) ? pgxc_column_map_find(map, relid) : NULL;
}

static bool
is_old(const PgxcColumnMap *entry, int attnum)
{
	return entry != NULL && list_member_int(entry->old_attnums, attnum);
}

/*
 * A column of a function that returns rows of the table: which columns it has
 * was written down when the query was.
 */
static bool
function_column_is_old(MapContext *context, RangeTblEntry *rte, int attno)
{
	ListCell *lc;
	int before = 0;

	foreach (lc, rte->functions)
	{
		RangeTblFunction *function = lfirst_node(RangeTblFunction, lc);

		if (attno <= before + function->funccolcount)
			return is_old(find_row_type(context->map,
										exprType(function->funcexpr)),
						  attno - before);
		before += function->funccolcount;
	}
	return false;
}

static void
map_var(Var *var, MapContext *context)
{
	Query *query;
	RangeTblEntry *rte;
	PgxcColumnMap *entry;

	if ((int) var->varlevelsup >= list_length(context->queries))
	{
		if (is_old(context->bare, var->varattno))
		{
			var->varattno = context->bare->new_attnum;
			if (var->varnosyn != 0)
				var->varattnosyn = var->varattno;
		}
		return;
	}

	query = list_nth(context->queries, var->varlevelsup);
	rte = rt_fetch(var->varno, query->rtable);
	if (rte->rtekind == RTE_FUNCTION &&
		function_column_is_old(context, rte, var->varattno))
		context->reason = "It reads the column from the result of a function.";
	if (rte->rtekind != RTE_RELATION)
		return;
	entry = pgxc_column_map_find(context->map, rte->relid);
	if (!is_old(entry, var->varattno))
		return;

	/* Written as a column of a join that has a name of its own? */
	if (var->varnosyn != 0 && var->varnosyn != var->varno &&
		rt_fetch(var->varnosyn, query->rtable)->alias != NULL)
		context->reason =
			"It reads the column through the alias of a join, which has no other column for it.";

	var->varattno = entry->new_attnum;
	if (var->varnosyn != 0)
	{
		var->varnosyn = var->varno;
		var->varattnosyn = var->varattno;
	}
}

static void
map_field(FieldSelect *field, MapContext *context)
{
	PgxcColumnMap *entry =
		find_row_type(context->map, exprType((Node *) field->arg));

	if (is_old(entry, field->fieldnum))
		field->fieldnum = entry->new_attnum;
}

/* USING and NATURAL: both sides must have a column of the same name. */
static void
check_using(JoinExpr *join, MapContext *context)
{
	MapContext probe = *context;
	Node *quals;

	if (join->usingClause == NIL)
		return;
	quals = copyObject(join->quals);
	(void) map_walker(quals, &probe);
	if (!equal(quals, join->quals))
		context->reason =
			"It joins with USING on the column, and the other table has none of the new name.";
}

/* The columns that an INSERT or UPDATE sets. */
static void
map_targets(Query *query, MapContext *context)
{
	RangeTblEntry *rte = rt_fetch(query->resultRelation, query->rtable);
	PgxcColumnMap *entry = pgxc_column_map_find(context->map, rte->relid);
	ListCell *lc;

	if (entry == NULL)
		return;
	if ((query->commandType != CMD_INSERT && query->commandType != CMD_UPDATE &&
		 query->commandType != CMD_DELETE) ||
		query->onConflict != NULL)
	{
		context->reason = "It writes to the table with MERGE or ON CONFLICT.";
		return;
	}
	if (query->commandType == CMD_DELETE)
		return;
	foreach (lc, query->targetList)
	{
		TargetEntry *tle = lfirst_node(TargetEntry, lc);

		if (!tle->resjunk && tle->resno == entry->new_attnum)
			context->reason = "It sets both columns.";
		else if (!tle->resjunk && is_old(entry, tle->resno))
		{
			tle->resno = entry->new_attnum;
			tle->resname = get_attname(entry->relid, tle->resno, false);
		}
	}
}

/*
 * Which columns a user needs rights on.
 */
static void
map_selected(Bitmapset **selected, const PgxcColumnMap *entry)
{
	ListCell *lc;
	bool found = false;

	if (selected == NULL)
		return;
	foreach (lc, entry->old_attnums)
	{
		int member = lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber;

		found |= bms_is_member(member, *selected);
		*selected = bms_del_member(*selected, member);
	}
	if (found)
		*selected =
			bms_add_member(*selected, entry->new_attnum -
										  FirstLowInvalidHeapAttributeNumber);
}

/*
 * GROUP BY the primary key: the query holds on to the constraint, which goes
 * with the old column.
 */
static bool
needs_old_key(List *constraints, const PgxcColumnMap *entry)
{
	Oid key;
	Bitmapset *columns = get_primary_key_attnos(entry->relid, true, &key);
	ListCell *lc;

	if (!list_member_oid(constraints, key))
		return false;
	foreach (lc, entry->old_attnums)
	{
		if (bms_is_member(lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber,
						  columns))
			return true;
	}
	return false;
}

static bool
map_one_query(Query *query, MapContext *context)
{
	ListCell *lc;
	bool stop;

	foreach (lc, query->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);
		PgxcColumnMap *entry;

		if (rte->rtekind != RTE_RELATION)
			continue;
		entry = pgxc_column_map_find(context->map, rte->relid);
		if (entry == NULL)
			continue;
		map_selected(pgxc_selected_columns(query, rte), entry);
		if (needs_old_key(query->constraintDeps, entry))
			context->reason =
				"It groups by the primary key that the column belongs to.";
	}
	if (query->resultRelation != 0)
		map_targets(query, context);

	context->queries = lcons(query, context->queries);
	/* The columns of a join stay what they are; see the top of the file. */
	stop =
		query_tree_walker(query, map_walker, context, QTW_IGNORE_JOINALIASES);
	context->queries = list_delete_first(context->queries);
	return stop;
}

/* Stops as soon as there is a reason. */
static bool
map_walker(Node *node, void *arg)
{
	MapContext *context = (MapContext *) arg;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
		return map_one_query((Query *) node, context);
	if (IsA(node, Var))
		map_var((Var *) node, context);
	else if (IsA(node, FieldSelect))
		map_field((FieldSelect *) node, context);
	else if (IsA(node, JoinExpr))
		check_using((JoinExpr *) node, context);

	return context->reason != NULL ||
		   expression_tree_walker(node, map_walker, arg);
}

/*
 * Replace the old columns by the new one in a query (any depth), in place.
 * Returns NULL, or a sentence that says why it cannot be done; the tree is
 * then of no use.  Every entry of the map must have a new column, with the
 * old one's type.
 */
const char *
pgxc_map_query(Query *query, List *map)
{
	MapContext context = { .map = map };

	(void) map_walker((Node *) query, &context);
	return context.reason;
}

/*
 * The same for an expression over one relation.
 */
const char *
pgxc_map_expression(Node *expr, PgxcColumnMap *entry)
{
	MapContext context = { .map = list_make1(entry), .bare = entry };

	(void) map_walker(expr, &context);
	return context.reason;
}
