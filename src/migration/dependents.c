/*
 * dependents.c
 *		What else depends on a column that contract takes away.
 *
 * Indexes, constraints, statistics, defaults, the table's own policies and its
 * triggers are carried over to the new column.  This finds the rest: what the
 * catalog knows to depend on the column, which keeps it from being dropped,
 * and functions that only mention its name, which fail when they run.  For
 * each it says what to do, where that can be derived exactly as a statement.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/sysattr.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_publication_rel.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "funcapi.h"
#include "rewrite/rewriteHandler.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/ddl.h"
#include "core/sql_runner.h"
#include "migration/dependents.h"
#include "migration/map_columns.h"
#include "migration/mentions.h"
#include "migration/views.h"

/* What is asked for, and what was found. */
typedef struct Search
{
	Oid relid;
	List *old_columns;
	const char *new_column;
	bool has_new; /* the new column is there: statements can name it */
	PgxcColumnFate fate;
	List *map;
	List *views; /* OIDs */
	List *found; /* PgxcDependent */
} Search;

/* A row of the catalog's answer. */
typedef struct Edge
{
	char kind;
	ObjectAddress object;
	Oid relid; /* rule, publication: the relation; else the table */
	bool blocks;
} Edge;

static PgxcDependent *
add_dependent(Search *search, const ObjectAddress *object, const char *kind)
{
	PgxcDependent *dependent = palloc0(sizeof(PgxcDependent));

	dependent->classid = object->classId;
	dependent->objid = object->objectId;
	dependent->objsubid = object->objectSubId;
	dependent->kind =
		kind != NULL ? pstrdup(kind) : getObjectTypeDescription(object, false);
	dependent->identity = getObjectIdentity(object, false);
	dependent->blocks = true;
	search->found = lappend(search->found, dependent);
	return dependent;
}

static void
add_view(Search *search, Oid view)
{
	ObjectAddress object;
	PgxcDependent *dependent;
	char *reason =
		pgxc_view_obstacle(view, search->views, search->map, search->fate);

	ObjectAddressSet(object, RelationRelationId, view);
	dependent = add_dependent(search, &object, NULL);
	dependent->recreatable = reason == NULL;
	if (search->fate == PGXC_FATE_REPLACED && search->has_new)
		dependent->statement = pgxc_view_replacement(view, search->map);

	if (reason != NULL)
		dependent->note = psprintf("contract cannot keep it: %s", reason);
	else if (dependent->statement != NULL)
		dependent->note = pstrdup(
			"Run the statement, or contract with recreate_views => true.");
	else if (search->fate == PGXC_FATE_REPLACED && !search->has_new)
		dependent->note = pstrdup(
			"contract with recreate_views => true lets it read the new column; once the migration has started, pgxc.checklist() gives the statement that does so.");
	else if (search->fate == PGXC_FATE_REPLACED)
		dependent->note = pstrdup(
			"contract with recreate_views => true lets it read the new column; its rows stay.");
	else
		dependent->note =
			pstrdup("contract with recreate_views => true recreates it.");
}

static void
add_rule(Search *search, const Edge *edge)
{
	PgxcDependent *dependent;

	/* It is made again with its view. */
	if (search->fate == PGXC_FATE_SWAPPED &&
		list_member_oid(search->views, edge->relid))
		return;
	dependent = add_dependent(search, &edge->object, NULL);
	dependent->note =
		search->fate == PGXC_FATE_SWAPPED
			? pstrdup(
				  "Drop the rule before contract, and create it again afterwards.")
			: psprintf("Write it for column %s with CREATE OR REPLACE RULE.",
					   quote_identifier(search->new_column));
}

/* The expression of a generated column, with the new column in it, or NULL. */
static char *
mapped_generation(Search *search, const ObjectAddress *column)
{
	Relation rel = relation_open(column->objectId, AccessShareLock);
	PgxcColumnMap *entry = pgxc_column_map_find(search->map, column->objectId);
	TupleConstr *constraints = RelationGetDescr(rel)->constr;
	Node *expr = NULL;
	char *text = NULL;

	for (int i = 0; constraints != NULL && i < constraints->num_defval; i++)
	{
		if (constraints->defval[i].adnum == column->objectSubId)
			expr = stringToNode(constraints->defval[i].adbin);
	}
	if (expr != NULL && pgxc_map_expression(expr, entry) == NULL)
		text =
			deparse_expression(expr,
							   deparse_context_for(RelationGetRelationName(rel),
												   entry->relid),
							   false, false);
	relation_close(rel, AccessShareLock);
	return text;
}

static char
generated_how(const ObjectAddress *column)
{
	HeapTuple tuple =
		SearchSysCache2(ATTNUM, ObjectIdGetDatum(column->objectId),
						Int16GetDatum(column->objectSubId));
	char how;

	if (!HeapTupleIsValid(tuple))
		return '\0';
	how = ((Form_pg_attribute) GETSTRUCT(tuple))->attgenerated;
	ReleaseSysCache(tuple);
	return how;
}

static void
add_generated(Search *search, const Edge *edge)
{
	const ObjectAddress *column = &edge->object;
	PgxcDependent *dependent =
		add_dependent(search, column, "generated column");
	char *alter =
		psprintf("ALTER TABLE %s ALTER COLUMN %s",
				 pgxc_qualified_name(column->objectId),
				 quote_identifier(get_attname(column->objectId,
											  column->objectSubId, false)));

#ifdef PGXC_HAVE_SET_EXPRESSION
	if (search->fate != PGXC_FATE_GONE && search->has_new)
	{
		char *text = mapped_generation(search, column);

		if (text != NULL)
		{
			dependent->statement =
				psprintf("%s SET EXPRESSION AS (%s)", alter, text);
			dependent->note =
				pstrdup(generated_how(column) == ATTRIBUTE_GENERATED_STORED
							? "This rewrites the table while it is locked."
							: "This only changes the catalog.");
			return;
		}
	}
#else
	(void) mapped_generation;
#endif
	if (generated_how(column) == ATTRIBUTE_GENERATED_STORED)
	{
		dependent->statement = psprintf("%s DROP EXPRESSION", alter);
		dependent->note = pstrdup(
			"The column then keeps its values but is no longer computed; a trigger can compute it from the new column.");
	}
	else
		dependent->note = pstrdup("Drop the column before contract.");
}

/* Does the replica identity need an old column? */
static bool
identifies_rows(Search *search, Oid relid)
{
	PgxcColumnMap *entry = pgxc_column_map_find(search->map, relid);
	Relation rel = relation_open(relid, AccessShareLock);
	Bitmapset *identity =
		RelationGetIndexAttrBitmap(rel, INDEX_ATTR_BITMAP_IDENTITY_KEY);
	bool found = false;
	ListCell *lc;

	foreach (lc, entry->old_attnums)
		found |=
			bms_is_member(lfirst_int(lc) - FirstLowInvalidHeapAttributeNumber,
						  identity);
	relation_close(rel, AccessShareLock);
	return found;
}

/* " (a, b)": the column list with the new column in it; "" if there is none. */
static char *
mapped_column_list(Datum attrs, PgxcColumnMap *entry, bool *mapped)
{
	int2vector *numbers = (int2vector *) PG_DETOAST_DATUM(attrs);
	StringInfoData list;
	bool has_new = false;

	initStringInfo(&list);
	for (int i = 0; i < numbers->dim1; i++)
		has_new |= numbers->values[i] == entry->new_attnum;
	for (int i = 0; i < numbers->dim1; i++)
	{
		AttrNumber attnum = numbers->values[i];

		if (list_member_int(entry->old_attnums, attnum))
		{
			*mapped = true;
			if (has_new || entry->new_attnum == InvalidAttrNumber)
				continue;
			has_new = true;
			attnum = entry->new_attnum;
		}
		appendStringInfo(&list, "%s%s", list.len == 0 ? " (" : ", ",
						 quote_identifier(
							 get_attname(entry->relid, attnum, false)));
	}
	appendStringInfoChar(&list, ')');
	return list.data;
}

/* " WHERE (...)", or NULL if the filter cannot be written. */
static char *
mapped_row_filter(Search *search, Datum qual, PgxcColumnMap *entry)
{
	Node *before = stringToNode(TextDatumGetCString(qual));
	Node *expr = copyObject(before);

	if (pgxc_map_expression(expr, entry) != NULL)
		return NULL;
	if (search->fate == PGXC_FATE_GONE && !equal(expr, before))
		return NULL;
	return psprintf(" WHERE (%s)",
					deparse_expression(expr,
									   deparse_context_for(get_rel_name(
															   entry->relid),
														   entry->relid),
									   false, false));
}

static void
add_publication(Search *search, const Edge *edge)
{
	PgxcColumnMap *entry = pgxc_column_map_find(search->map, edge->relid);
	HeapTuple tuple =
		SearchSysCacheCopy1(PUBLICATIONREL,
							ObjectIdGetDatum(edge->object.objectId));
	PgxcDependent *dependent;
	const char *publication;
	char *columns = "";
	char *filter = "";
	bool in_list = false;
	bool isnull;
	Datum value;

	if (!HeapTupleIsValid(tuple) || entry == NULL)
		return;
	publication = quote_identifier(get_publication_name(
		((Form_pg_publication_rel) GETSTRUCT(tuple))->prpubid, false));
	value = SysCacheGetAttr(PUBLICATIONREL, tuple,
							Anum_pg_publication_rel_prattrs, &isnull);
	if (!isnull)
		columns = mapped_column_list(value, entry, &in_list);
	value = SysCacheGetAttr(PUBLICATIONREL, tuple,
							Anum_pg_publication_rel_prqual, &isnull);
	if (!isnull)
		filter = mapped_row_filter(search, value, entry);

	dependent = add_dependent(search, &edge->object,
							  in_list ? "publication column list"
									  : "publication row filter");
	if (filter != NULL && search->has_new)
		dependent->statement = psprintf(
			"ALTER PUBLICATION %s DROP TABLE ONLY %s; ALTER PUBLICATION %s ADD TABLE ONLY %s%s%s",
			publication, pgxc_qualified_name(entry->relid), publication,
			pgxc_qualified_name(entry->relid), columns, filter);
	if (filter == NULL)
		dependent->note = pstrdup(
			"Take the table out of the publication, and add it again with another row filter.");
	else if (identifies_rows(search, entry->relid))
		dependent->note = pstrdup(
			"The old column identifies rows: run both in one transaction with contract, and give the column to subscribers first.");
	else
		dependent->note = pstrdup(
			"Run both in one transaction, after subscribers have the new column.");
}

/*
 * CREATE OR REPLACE FUNCTION with the new column in a stored body, or NULL.
 * Arguments appear by number in it.
 */
static char *
mapped_function(Oid function, Datum body, List *map, const char **reason)
{
	Node *tree = stringToNode(TextDatumGetCString(body));
	bool block = IsA(tree, List);
	List *queries = block ? linitial(castNode(List, tree)) : list_make1(tree);
	char *definition = TextDatumGetCString(
		OidFunctionCall1(F_PG_GET_FUNCTIONDEF, ObjectIdGetDatum(function)));
	char *old_body =
		TextDatumGetCString(OidFunctionCall1(F_PG_GET_FUNCTION_SQLBODY,
											 ObjectIdGetDatum(function)));
	char *end = strrchr(definition, '\n'); /* the last character */
	int header = end - definition - strlen(old_body);
	StringInfoData text;
	ListCell *lc;

	if (header < 0 ||
		strncmp(definition + header, old_body, strlen(old_body)) != 0)
		return NULL;
	initStringInfo(&text);
	appendBinaryStringInfo(&text, definition, header);
	if (block)
		appendStringInfoString(&text, "BEGIN ATOMIC\n");
	foreach (lc, queries)
	{
		Query *query = lfirst_node(Query, lc);

		if (query->commandType == CMD_UTILITY)
			return NULL;
		AcquireRewriteLocks(query, false, false);
		*reason = pgxc_map_query(query, map);
		if (*reason != NULL)
			return NULL;
		appendStringInfo(&text, block ? " %s;\n" : "%s",
						 pg_get_querydef(query, false));
	}
	if (block)
		appendStringInfoString(&text, "END");
	return text.data;
}

static void
add_function(Search *search, const Edge *edge)
{
	PgxcDependent *dependent = add_dependent(search, &edge->object, NULL);
	HeapTuple tuple =
		SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(edge->object.objectId));
	const char *reason = NULL;
	bool isnull;
	Datum body;

	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosqlbody, &isnull);
	if (!isnull && search->fate == PGXC_FATE_REPLACED && search->has_new)
		dependent->statement =
			mapped_function(edge->object.objectId, body, search->map, &reason);
	if (dependent->statement != NULL)
		dependent->note = pstrdup(
			"It is the same function with the new column; its arguments appear by number.");
	else if (search->fate == PGXC_FATE_SWAPPED)
		dependent->note = pstrdup(
			"Drop it before contract, and create it again afterwards with the same text.");
	else
		dependent->note = psprintf("Write it anew for column %s.%s%s",
								   quote_identifier(search->new_column),
								   reason ? " " : "", reason ? reason : "");
}

static void
add_edge(Search *search, const Edge *edge)
{
	PgxcDependent *dependent;

	switch (edge->kind)
	{
		case 'r':
			add_rule(search, edge);
			break;
		case 'g':
			add_generated(search, edge);
			break;
		case 'p':
			add_publication(search, edge);
			break;
		case 'f':
			add_function(search, edge);
			break;
		default:
			dependent = add_dependent(search, &edge->object, NULL);
			dependent->blocks = edge->blocks;
			dependent->note = pstrdup(
				edge->blocks ? "Change or drop it before contract."
							 : "It would be dropped together with the column.");
	}
}

static bool
is_found(Search *search, const ObjectAddress *object)
{
	ListCell *lc;

	foreach (lc, search->found)
	{
		PgxcDependent *dependent = lfirst(lc);

		if (dependent->classid == object->classId &&
			dependent->objid == object->objectId &&
			dependent->objsubid == object->objectSubId)
			return true;
	}
	return false;
}

/*
 * What pg_depend has on one column, without views and without what is carried
 * over: rules, generated columns (not those that are inherited), publications,
 * functions, and whatever else there may be, in this order.
 */
static List *
find_edges(Oid relid, int attnum, Datum family)
{
	static PgxcStatement select = PGXC_SQL(
		"SELECT k.kind, COALESCE(g.classid, d.classid), COALESCE(g.objid, d.objid), COALESCE(g.objsubid, d.objsubid),"
		" COALESCE(r.ev_class, p.prrelid, $1), pg_catalog.bool_or(d.deptype = 'n')"
		" FROM pg_catalog.pg_depend d"
		" LEFT JOIN pg_catalog.pg_rewrite r ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND r.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_class rc ON rc.oid = r.ev_class"
		" LEFT JOIN pg_catalog.pg_class c ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND c.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_attrdef ad ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND ad.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_publication_rel p ON d.classid = 'pg_catalog.pg_publication_rel'::pg_catalog.regclass AND p.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_policy po ON d.classid = 'pg_catalog.pg_policy'::pg_catalog.regclass AND po.oid = d.objid"
		" LEFT JOIN pg_catalog.pg_trigger t ON d.classid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND t.oid = d.objid"
		" LEFT JOIN LATERAL (SELECT 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid AS classid, a.attrelid AS objid,"
		" a.attnum::pg_catalog.int4 AS objsubid, a.attinhcount FROM pg_catalog.pg_attribute a WHERE a.attgenerated <> ''"
		" AND (a.attrelid = ad.adrelid AND a.attnum = ad.adnum"
		" OR a.attrelid = c.oid AND a.attnum = d.objsubid)) g ON true"
		" CROSS JOIN LATERAL (SELECT CASE WHEN r.oid IS NOT NULL THEN 'r' WHEN g.objid IS NOT NULL THEN 'g'"
		" WHEN p.oid IS NOT NULL THEN 'p' WHEN d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass THEN 'f'"
		" ELSE 'o' END::pg_catalog.\"char\" AS kind,"
		" CASE WHEN r.oid IS NOT NULL THEN 1 WHEN g.objid IS NOT NULL THEN 2 WHEN p.oid IS NOT NULL THEN 3"
		" WHEN d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass THEN 4 ELSE 5 END AS rank) k"
		" WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid = $1 AND d.refobjsubid = $2"
		" AND d.classid NOT IN ('pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_statistic_ext'::pg_catalog.regclass)"
		" AND (r.oid IS NULL OR r.rulename <> '_RETURN' OR rc.relkind NOT IN ('v', 'm'))"
		" AND (c.oid IS NULL OR g.objid IS NOT NULL OR c.relkind NOT IN ('i', 'I', 'S') AND c.oid <> $1)"
		" AND (ad.oid IS NULL OR ad.adrelid <> $1 OR ad.adnum <> $2)"
		" AND (po.oid IS NULL OR po.polrelid <> ALL ($3))"
		" AND (t.oid IS NULL OR t.tgrelid <> ALL ($3))"
		" AND (g.objid IS NULL OR g.attinhcount = 0)"
		" GROUP BY k.rank, 1, 2, 3, 4, 5 ORDER BY k.rank, 3, 4",
		OIDOID, INT4OID, OIDARRAYOID);
	MemoryContext caller = CurrentMemoryContext;
	Datum values[3] = { ObjectIdGetDatum(relid), Int32GetDatum(attnum),
						family };
	List *edges = NIL;
	PgxcIdentity saved;
	uint64 rows;

	pgxc_sql_begin(&saved);
	rows = pgxc_sql_execute(&select, values, NULL, SPI_OK_SELECT);
	MemoryContextSwitchTo(caller);
	for (uint64 row = 0; row < rows; row++)
	{
		Edge *edge = palloc(sizeof(Edge));
		bool isnull;

		edge->kind = DatumGetChar(pgxc_sql_value(row, 1, &isnull));
		ObjectAddressSubSet(edge->object,
							DatumGetObjectId(pgxc_sql_value(row, 2, &isnull)),
							DatumGetObjectId(pgxc_sql_value(row, 3, &isnull)),
							DatumGetInt32(pgxc_sql_value(row, 4, &isnull)));
		edge->relid = DatumGetObjectId(pgxc_sql_value(row, 5, &isnull));
		edge->blocks = DatumGetBool(pgxc_sql_value(row, 6, &isnull));
		edges = lappend(edges, edge);
	}
	pgxc_sql_end(&saved);
	return edges;
}

static Datum
family_array(List *map)
{
	Datum *values = palloc(sizeof(Datum) * list_length(map));
	int count = 0;
	ListCell *lc;

	foreach (lc, map)
		values[count++] =
			ObjectIdGetDatum(((PgxcColumnMap *) lfirst(lc))->relid);
	return PointerGetDatum(construct_array(values, count, OIDOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}

static void
add_edges(Search *search)
{
	Datum family = family_array(search->map);
	ListCell *lc;

	foreach (lc, search->map)
	{
		PgxcColumnMap *entry = lfirst(lc);
		ListCell *column;

		foreach (column, entry->old_attnums)
		{
			ListCell *edge;

			foreach (edge, find_edges(entry->relid, lfirst_int(column), family))
			{
				if (!is_found(search, &((Edge *) lfirst(edge))->object))
					add_edge(search, lfirst(edge));
			}
		}
	}
}

/* Functions whose text only mentions an old column: the catalog says nothing. */
static void
add_hints(Search *search)
{
	ListCell *lc;

	foreach (lc, search->old_columns)
	{
		ListCell *mention;

		foreach (mention, pgxc_mentions(search->relid, lfirst(lc)))
		{
			PgxcMention *function = lfirst(mention);
			PgxcDependent *dependent;
			ObjectAddress object;

			ObjectAddressSet(object, ProcedureRelationId, function->function);
			if (is_found(search, &object))
				continue;
			dependent =
				add_dependent(search, &object,
							  function->is_trigger ? "trigger function" : NULL);
			dependent->blocks = false;
			dependent->note = psprintf(
				"Its text mentions %s; if that is the column, it must be changed.",
				quote_identifier(lfirst(lc)));
		}
	}
}

/*
 * All that depends on the old columns (char *) of relid and of its partitions
 * and is not carried over to the new one: a list of PgxcDependent, views
 * first, each before those that stand on it.  Views that only stand on other
 * views are listed if those have to be recreated.
 *
 * final_name: what the new column is called after contract.  same_type: the
 * new column has the type and the values of the one old column.  As long as
 * the new column is not there (a dry run) no statement can name it.
 *
 * Needs any lock on relid, and takes what readers take on what it looks at.
 * The result is in CurrentMemoryContext.
 */
List *
pgxc_dependents(Oid relid, List *old_columns, const char *new_column,
				const char *final_name, bool same_type)
{
	Search search = { .relid = relid,
					  .old_columns = old_columns,
					  .new_column = new_column };
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	ListCell *lc;

	/* With a search_path that has nobody's names: all come out in full. */
	pgxc_sql_begin(&saved);
	MemoryContextSwitchTo(caller);

	search.fate = pgxc_column_fate(new_column, final_name, same_type);
	search.map = pgxc_column_map(relid, old_columns, new_column);
	search.has_new = get_attnum(relid, new_column) != InvalidAttrNumber;
	search.views = pgxc_views_affected(search.map, search.fate);
	foreach (lc, search.views)
		add_view(&search, lfirst_oid(lc));
	add_edges(&search);
	add_hints(&search);

	pgxc_sql_end(&saved);
	return search.found;
}

PG_FUNCTION_INFO_V1(pgxc_test_dependents);

/* A name[] as a list of char *. */
static List *
name_list(Datum array)
{
	Datum *names;
	int count;
	List *list = NIL;

	deconstruct_array(DatumGetArrayTypeP(array), NAMEOID, NAMEDATALEN, false,
					  TYPALIGN_CHAR, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		list = lappend(list, pstrdup(NameStr(*DatumGetName(names[i]))));
	return list;
}

/*
 * For tests: (relation, old columns, new column, final name, same type)
 * returns setof (kind, identity, blocks, recreatable, statement, note).
 */
Datum
pgxc_test_dependents(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach (lc,
			 pgxc_dependents(PG_GETARG_OID(0), name_list(PG_GETARG_DATUM(1)),
							 NameStr(*PG_GETARG_NAME(2)),
							 NameStr(*PG_GETARG_NAME(3)), PG_GETARG_BOOL(4)))
	{
		PgxcDependent *dependent = lfirst(lc);
		Datum values[6];
		bool nulls[6] = { false };

		values[0] = CStringGetTextDatum(dependent->kind);
		values[1] = CStringGetTextDatum(dependent->identity);
		values[2] = BoolGetDatum(dependent->blocks);
		values[3] = BoolGetDatum(dependent->recreatable);
		nulls[4] = dependent->statement == NULL;
		if (!nulls[4])
			values[4] = CStringGetTextDatum(dependent->statement);
		values[5] = CStringGetTextDatum(dependent->note);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
