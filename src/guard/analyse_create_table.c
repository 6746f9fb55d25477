/*
 * analyse_create_table.c
 *		CREATE TABLE in all its forms: plain, LIKE, INHERITS, OF, PARTITION OF,
 *		foreign, AS, SELECT INTO, and CREATE MATERIALIZED VIEW.
 *
 * The new relation itself is no concern of anybody; what counts are the
 * relations that it is made from or refers to.  The server locks, too, what a
 * new object depends on: sequences of defaults, tables whose row type is used.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tupdesc.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "guard/object_family.h"
#include "guard/partition.h"
#include "guard/raw_relations.h"

/* Is there a relation of this name where a new one would be made? */
static bool
name_is_taken(const RangeVar *name)
{
	Oid nspid;

	if (name->relpersistence == RELPERSISTENCE_TEMP)
		nspid = LookupNamespaceNoError("pg_temp");
	else if (name->schemaname != NULL)
		nspid = LookupNamespaceNoError(name->schemaname);
	else
	{
		List *path = fetch_search_path(false);

		nspid = path == NIL ? InvalidOid : linitial_oid(path);
	}
	return OidIsValid(nspid) &&
		   OidIsValid(get_relname_relid(name->relname, nspid));
}

/* regclass constants in a stored expression. */
static bool
touch_regclass(Node *node, void *context)
{
	PgxcAnalysis *a = (PgxcAnalysis *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Const) && ((Const *) node)->consttype == REGCLASSOID &&
		!((Const *) node)->constisnull)
	{
		Oid relid = DatumGetObjectId(((Const *) node)->constvalue);

		if (SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
			pgxc_touch(a, relid, AccessShareLock);
	}
	return expression_tree_walker(node, touch_regclass, a);
}

/* What columns that are copied from another relation depend on. */
static void
touch_copied_columns(PgxcAnalysis *a, Oid relid, bool with_defaults)
{
	Relation rel = relation_open(relid, AccessShareLock);
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped)
			pgxc_touch_row_type(a, att->atttypid);
	}
	for (int i = 0;
		 with_defaults && desc->constr && i < desc->constr->num_defval; i++)
		(void) touch_regclass(stringToNode(desc->constr->defval[i].adbin), a);
	relation_close(rel, NoLock);
}

/* FOREIGN KEY: the table that is referenced, by its columns or its key. */
static void
touch_constraint(PgxcAnalysis *a, Constraint *constraint)
{
	Oid relid;

	if (constraint->contype != CONSTR_FOREIGN)
	{
		pgxc_touch_raw_expression(a, constraint->raw_expr);
		return;
	}
	relid = pgxc_resolve(a, constraint->pktable);
	if (OidIsValid(relid))
		pgxc_touch_referenced(a, relid,
							  pgxc_referenced_index(relid,
													constraint->pk_attrs));
}

static void
touch_column(PgxcAnalysis *a, ColumnDef *column)
{
	ListCell *lc;

	if (column->typeName != NULL)
	{
		Type type = LookupTypeName(NULL, column->typeName, NULL, true);

		if (type != NULL)
		{
			pgxc_touch_row_type(a, typeTypeId(type));
			ReleaseSysCache(type);
		}
	}
	foreach (lc, column->constraints)
		touch_constraint(a, lfirst_node(Constraint, lc));
}

static void
touch_like(PgxcAnalysis *a, TableLikeClause *like)
{
	Oid relid = pgxc_resolve(a, like->relation);

	if (!OidIsValid(relid))
		return;
	if (get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE)
		pgxc_touch(a, relid, AccessShareLock);
	touch_copied_columns(a, relid,
						 (like->options & CREATE_TABLE_LIKE_DEFAULTS) != 0);
}

/* INHERITS and PARTITION OF */
static void
touch_parent(PgxcAnalysis *a, CreateStmt *stmt, RangeVar *name)
{
	Oid parent = pgxc_resolve(a, name);

	if (!OidIsValid(parent))
		return;
	pgxc_touch(a, parent,
			   stmt->partbound ? AccessExclusiveLock
							   : ShareUpdateExclusiveLock);
	pgxc_change(a, PGXC_ACTION_ATTACH, RelationRelationId, parent, 0);
	touch_copied_columns(a, parent, true);
	if (stmt->partbound != NULL)
		pgxc_touch_new_partition(a, parent, stmt);
}

static void
create_table(PgxcAnalysis *a, CreateStmt *stmt)
{
	ListCell *lc;

	/* With IF NOT EXISTS nothing happens, without it an error. */
	if (name_is_taken(stmt->relation))
		return;
	foreach (lc, stmt->inhRelations)
		touch_parent(a, stmt, lfirst_node(RangeVar, lc));
	foreach (lc, stmt->tableElts)
	{
		Node *element = lfirst(lc);

		if (IsA(element, ColumnDef))
			touch_column(a, (ColumnDef *) element);
		else if (IsA(element, TableLikeClause))
			touch_like(a, (TableLikeClause *) element);
		else if (IsA(element, Constraint))
			touch_constraint(a, (Constraint *) element);
	}
}

/* The query is planned, but not run. */
static void
forget_scans(PgxcAnalysis *a)
{
	ListCell *lc;

	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);

		effect->work = PGXC_WORK_NONE;
		effect->reason = NULL;
	}
}

/*
 * CREATE TABLE AS and CREATE MATERIALIZED VIEW.  WITH NO DATA, the query is
 * analysed only; but EXECUTE plans it even so.
 */
static void
create_table_as(PgxcAnalysis *a, IntoClause *into, Node *query, bool is_view)
{
	bool taken = name_is_taken(into->rel);
	bool is_execute =
		IsA(query, ExecuteStmt) ||
		(IsA(query, Query) && ((Query *) query)->utilityStmt != NULL);

	/* A stored query depends on what it names. */
	if (is_view && !taken)
		pgxc_touch_query_relations(a, query, false);
	pgxc_touch_query_relations(a, query,
							   !taken && (is_execute || !into->skipData));
	if (into->skipData)
		forget_scans(a);
}

/* SELECT INTO, as parsed. */
static void
select_into(PgxcAnalysis *a, SelectStmt *stmt)
{
	IntoClause *into = pgxc_select_into(stmt);
	SelectStmt *first = stmt;

	while (first->op != SETOP_NONE)
		first = first->larg;
	first->intoClause = NULL;
	create_table_as(a, into, (Node *) stmt, false);
}

/*
 * Where a SELECT, as parsed, puts its rows; NULL if it is no SELECT INTO.
 */
IntoClause *
pgxc_select_into(const SelectStmt *stmt)
{
	while (stmt->op != SETOP_NONE)
		stmt = stmt->larg;
	return stmt->intoClause;
}

/*
 * CreateStmt, CreateForeignTableStmt, CreateTableAsStmt, or a SelectStmt with
 * INTO.  A subtransaction, ACCESS SHARE on what is named, what parse analysis
 * and planning of a query throw.
 */
void
pgxc_analyse_create_table(PgxcAnalysis *a, Node *stmt)
{
	if (IsA(stmt, CreateTableAsStmt))
	{
		CreateTableAsStmt *create = (CreateTableAsStmt *) stmt;

		create_table_as(a, create->into, create->query,
						create->objtype == OBJECT_MATVIEW);
	}
	else if (IsA(stmt, SelectStmt))
		select_into(a, (SelectStmt *) stmt);
	else if (IsA(stmt, CreateForeignTableStmt))
		create_table(a, &((CreateForeignTableStmt *) stmt)->base);
	else
		create_table(a, castNode(CreateStmt, stmt));
}
