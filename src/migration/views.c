/*
 * views.c
 *		Views over a column that contract takes away.
 *
 * If the new column has the same type and the same values (rename), a view is
 * not made again: its stored query is replaced by one that reads the new
 * column, as CREATE OR REPLACE VIEW would do, and as nothing does for a
 * materialized view.  All else about the view stays untouched, views on top of
 * it included, and a materialized view keeps its rows.
 *
 * If the column gets another type, the types of the views' columns may change,
 * too, and of all that stands on them: they are dropped and made again from
 * their text, which means the new column as soon as that has the old name.
 * Everything is done as the view's owner.  Whatever about a view cannot be
 * brought back is found before anything is dropped, and refused.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "rewrite/rewriteDefine.h"
#include "rewrite/rewriteSupport.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/syscache.h"

#include "core/ddl.h"
#include "core/lock_queue.h"
#include "core/sql_runner.h"
#include "migration/map_columns.h"
#include "migration/view_query.h"
#include "migration/views.h"

/* Privileges of a column of a view. */
typedef struct SavedColumn
{
	AttrNumber attnum;
	Acl *acl;
} SavedColumn;

struct PgxcSavedView
{
	Oid oid;
	Oid owner;
	Query *query; /* in place: the new query; all below is unused */
	char *drop;
	List *statements; /* char *: makes it, and what belongs to it */
	Oid schema;
	char *name;
	Acl *acl;
	List *columns; /* SavedColumn */
};

/* "VIEW schema.name WITH (options) AS " */
#define VIEW_HEADER                                                            \
	"CASE c.relkind WHEN 'm' THEN 'MATERIALIZED ' ELSE '' END"                 \
	" || pg_catalog.format('VIEW %I.%I', n.nspname, c.relname)"                \
	" || COALESCE((SELECT ' USING ' || pg_catalog.quote_ident(a.amname)"       \
	" FROM pg_catalog.pg_am a WHERE a.oid = c.relam), '')"                     \
	" || COALESCE((SELECT ' WITH (' || pg_catalog.string_agg("                 \
	"pg_catalog.format('%I=%L', o.option_name, o.option_value), ', ') || ')'"  \
	" FROM pg_catalog.pg_options_to_table(c.reloptions) o), '')"               \
	" || COALESCE((SELECT ' TABLESPACE ' || pg_catalog.quote_ident(t.spcname)" \
	" FROM pg_catalog.pg_tablespace t WHERE t.oid = c.reltablespace), '')"     \
	" || ' AS '"

/*
 * What contract does to the columns that a view reads.
 */
PgxcColumnFate
pgxc_column_fate(const char *new_column, const char *final_name, bool same_type)
{
	if (same_type)
		return PGXC_FATE_REPLACED;
	return strcmp(new_column, final_name) != 0 ? PGXC_FATE_SWAPPED
											   : PGXC_FATE_GONE;
}

/*
 * OIDs of the views that need something when the old columns go, each before
 * those that stand on it.  Takes no lock on them.
 */
List *
pgxc_views_affected(List *map, PgxcColumnFate fate)
{
	List *views = pgxc_views_on_columns(map);

	return fate == PGXC_FATE_SWAPPED ? pgxc_views_closure(views) : views;
}

static Datum
oid_array(List *oids)
{
	Datum *values = palloc(sizeof(Datum) * (list_length(oids) + 1));
	int count = 0;
	ListCell *lc;

	foreach (lc, oids)
		values[count++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(construct_array(values, count, OIDOID, sizeof(Oid),
										   true, TYPALIGN_INT));
}

/*
 * What stands in the way of making a view again, as a sentence, or NULL.  Of
 * what hangs on a view, this knows all that view_parts() brings back.
 */
static char *
catalog_obstacle(Oid view, List *views, bool in_place)
{
	static PgxcStatement select = PGXC_SQL(
		"WITH parts (classid, objid) AS ("
		"SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, $1"
		" UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, indexrelid FROM pg_catalog.pg_index WHERE indrelid = $1"
		" UNION ALL SELECT 'pg_catalog.pg_trigger'::pg_catalog.regclass, oid FROM pg_catalog.pg_trigger WHERE tgrelid = $1"
		" UNION ALL SELECT 'pg_catalog.pg_rewrite'::pg_catalog.regclass, oid FROM pg_catalog.pg_rewrite WHERE ev_class = ANY ($2)"
		" UNION ALL SELECT 'pg_catalog.pg_attrdef'::pg_catalog.regclass, oid FROM pg_catalog.pg_attrdef WHERE adrelid = $1"
		" UNION ALL SELECT 'pg_catalog.pg_class'::pg_catalog.regclass, reltoastrelid FROM pg_catalog.pg_class WHERE oid = $1"
		" UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid FROM pg_catalog.pg_type WHERE typrelid = $1"
		" UNION ALL SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, typarray FROM pg_catalog.pg_type WHERE typrelid = $1),"
		" others (who) AS ("
		"SELECT DISTINCT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_catalog.pg_depend d"
		" JOIN parts p ON d.refclassid = p.classid AND d.refobjid = p.objid"
		" WHERE (p.objid = $1 AND p.classid = 'pg_catalog.pg_class'::pg_catalog.regclass"
		" OR p.classid = 'pg_catalog.pg_type'::pg_catalog.regclass)"
		" AND (d.classid, d.objid) NOT IN (SELECT classid, objid FROM parts)) "
		"SELECT CASE"
		" WHEN EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN parts p USING (classid, objid) WHERE d.deptype IN ('e', 'x'))"
		" THEN 'It, or a part of it, belongs to an extension.'"
		" WHEN $3 THEN NULL"
		" WHEN c.relpersistence = 't' THEN 'It is temporary.'"
		" WHEN c.relkind = 'm' AND c.relispopulated THEN 'It is a materialized view with rows, and its query would have to run while the table is locked.'"
		" WHEN EXISTS (SELECT FROM pg_catalog.pg_seclabel l WHERE l.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND l.objoid = c.oid)"
		" THEN 'It has a security label.'"
		" WHEN EXISTS (SELECT FROM others) THEN 'Other objects depend on it: ' || (SELECT pg_catalog.string_agg(who, ', ' ORDER BY who) FROM others) || '.'"
		" WHEN c.relkind = 'm' AND (c.relreplident <> 'd'"
		" OR EXISTS (SELECT FROM pg_catalog.pg_class t WHERE t.oid = c.reltoastrelid AND t.reloptions IS NOT NULL)"
		" OR EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid"
		" WHERE i.indrelid = c.oid AND (i.indisclustered OR i.indisreplident OR ic.reltablespace <> 0))"
		" OR EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid"
		" WHERE a.attnum > 0 AND (a.attrelid = c.oid OR a.attrelid IN (SELECT indexrelid FROM pg_catalog.pg_index WHERE indrelid = c.oid))"
		" AND (a.attstattarget >= 0 OR a.attcompression <> ''"
		" OR EXISTS (SELECT FROM pg_catalog.pg_options_to_table(a.attoptions) o WHERE o.option_name IN ('n_distinct', 'n_distinct_inherited'))"
		" OR a.attrelid = c.oid AND a.attstorage <> t.typstorage)))"
		" THEN 'It, its columns or its indexes have settings that would be lost.'"
		" WHEN NOT pg_catalog.has_schema_privilege(c.relowner, c.relnamespace, 'CREATE')"
		" THEN pg_catalog.format('Its owner %I may not create anything in schema %s.', pg_catalog.pg_get_userbyid(c.relowner), c.relnamespace::pg_catalog.regnamespace)"
		" END FROM pg_catalog.pg_class c WHERE c.oid = $1",
		OIDOID, OIDARRAYOID, BOOLOID);
	MemoryContext caller = CurrentMemoryContext;
	Datum values[3] = { ObjectIdGetDatum(view), oid_array(views),
						BoolGetDatum(in_place) };
	char *reason = NULL;
	PgxcIdentity saved;

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select, values, NULL, SPI_OK_SELECT) > 0)
	{
		bool isnull;
		Datum value = pgxc_sql_value(0, 1, &isnull);

		if (!isnull)
			reason = MemoryContextStrdup(caller, TextDatumGetCString(value));
	}
	pgxc_sql_end(&saved);
	return reason;
}

/*
 * The statements that make a view as it is, in order.
 */
static List *
view_parts(Oid view)
{
	static PgxcStatement select = PGXC_SQL(
		"WITH v AS (SELECT c.oid, c.relkind, pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,"
		" 'CREATE ' || " VIEW_HEADER
		" || pg_catalog.rtrim(pg_catalog.pg_get_viewdef(c.oid), ';')"
		" || CASE c.relkind WHEN 'm' THEN ' WITH NO DATA' ELSE '' END AS made"
		" FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1),"
		" d AS (SELECT classoid, objoid, objsubid, description FROM pg_catalog.pg_description),"
		" parts (rank, oid, statement) AS ("
		"SELECT 1, 0::pg_catalog.oid, made FROM v"
		" UNION ALL SELECT 2, a.oid, pg_catalog.format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s',"
		" v.name, c.attname, pg_catalog.pg_get_expr(a.adbin, a.adrelid))"
		" FROM v JOIN pg_catalog.pg_attrdef a ON a.adrelid = v.oid"
		" JOIN pg_catalog.pg_attribute c ON c.attrelid = a.adrelid AND c.attnum = a.adnum"
		" UNION ALL SELECT 3, i.indexrelid, pg_catalog.pg_get_indexdef(i.indexrelid) FROM pg_catalog.pg_index i WHERE i.indrelid = $1"
		" UNION ALL SELECT 4, r.oid, pg_catalog.rtrim(pg_catalog.pg_get_ruledef(r.oid), ';')"
		" FROM pg_catalog.pg_rewrite r WHERE r.ev_class = $1 AND r.rulename <> '_RETURN'"
		" UNION ALL SELECT 5, t.oid, pg_catalog.pg_get_triggerdef(t.oid) FROM pg_catalog.pg_trigger t WHERE t.tgrelid = $1 AND NOT t.tgisinternal"
		" UNION ALL SELECT 6, 0, pg_catalog.format('COMMENT ON %s %s IS %L',"
		" CASE v.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, v.name, d.description)"
		" FROM v JOIN d ON d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objoid = v.oid AND d.objsubid = 0"
		" UNION ALL SELECT 7, a.attnum::pg_catalog.int4::pg_catalog.oid, pg_catalog.format('COMMENT ON COLUMN %s.%I IS %L', v.name, a.attname, d.description)"
		" FROM v JOIN d ON d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objoid = v.oid"
		" JOIN pg_catalog.pg_attribute a ON a.attrelid = v.oid AND a.attnum = d.objsubid AND a.attnum > 0"
		" UNION ALL SELECT 8, i.indexrelid, pg_catalog.format('COMMENT ON INDEX %I.%I IS %L', n.nspname, c.relname, d.description)"
		" FROM d JOIN pg_catalog.pg_index i ON i.indexrelid = d.objoid JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
		" JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
		" WHERE d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND i.indrelid = $1"
		" UNION ALL SELECT 8, r.oid, pg_catalog.format('COMMENT ON RULE %I ON %s IS %L', r.rulename, v.name, d.description)"
		" FROM v JOIN pg_catalog.pg_rewrite r ON r.ev_class = v.oid"
		" JOIN d ON d.classoid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objoid = r.oid"
		" UNION ALL SELECT 8, t.oid, pg_catalog.format('COMMENT ON TRIGGER %I ON %s IS %L', t.tgname, v.name, d.description)"
		" FROM v JOIN pg_catalog.pg_trigger t ON t.tgrelid = v.oid"
		" JOIN d ON d.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass AND d.objoid = t.oid)"
		" SELECT statement FROM parts ORDER BY rank, oid",
		OIDOID);
	MemoryContext caller = CurrentMemoryContext;
	Datum values[1] = { ObjectIdGetDatum(view) };
	List *statements = NIL;
	PgxcIdentity saved;
	uint64 rows;

	pgxc_sql_begin(&saved);
	rows = pgxc_sql_execute(&select, values, NULL, SPI_OK_SELECT);
	MemoryContextSwitchTo(caller);
	for (uint64 row = 0; row < rows; row++)
	{
		bool isnull;

		statements =
			lappend(statements,
					TextDatumGetCString(pgxc_sql_value(row, 1, &isnull)));
	}
	pgxc_sql_end(&saved);
	return statements;
}

/*
 * Why contract could not keep this view (a sentence), or NULL if it can.
 * views: all that pgxc_views_affected() found.
 */
char *
pgxc_view_obstacle(Oid view, List *views, List *map, PgxcColumnFate fate)
{
	char *reason;
	const char *unmapped;
	Query *query;

	if (fate == PGXC_FATE_GONE)
		return "The new column does not hold what the view reads.";
	reason = catalog_obstacle(view, views, fate == PGXC_FATE_REPLACED);
	if (reason != NULL)
		return reason;
	if (fate == PGXC_FATE_REPLACED)
	{
		unmapped = pgxc_view_mapped_query(view, map, &query);
		return unmapped == NULL ? NULL : pstrdup(unmapped);
	}

	return pgxc_view_positional(view, view_parts(view), map);
}

/* "VIEW name WITH (options) AS ", in caller's memory. */
static char *
view_header(Oid view)
{
	static PgxcStatement select =
		PGXC_SQL("SELECT " VIEW_HEADER " FROM pg_catalog.pg_class c"
				 " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
				 " WHERE c.oid = $1",
				 OIDOID);
	MemoryContext caller = CurrentMemoryContext;
	Datum values[1] = { ObjectIdGetDatum(view) };
	char *header = NULL;
	PgxcIdentity saved;

	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select, values, NULL, SPI_OK_SELECT) == 1)
	{
		bool isnull;
		Datum value = pgxc_sql_value(0, 1, &isnull);

		header = MemoryContextStrdup(caller, TextDatumGetCString(value));
	}
	pgxc_sql_end(&saved);
	return header;
}

/*
 * CREATE OR REPLACE VIEW with the new column instead of the old one, which can
 * be run while both are there; NULL if there is none, as for a materialized
 * view.
 */
char *
pgxc_view_replacement(Oid view, List *map)
{
	MemoryContext caller = CurrentMemoryContext;
	char *header;
	char *statement = NULL;
	Query *query;
	PgxcIdentity saved;

	if (get_rel_relkind(view) != RELKIND_VIEW ||
		pgxc_view_mapped_query(view, map, &query) != NULL)
		return NULL;
	header = view_header(view);

	/* With a search_path that has nobody's names: all come out in full. */
	pgxc_sql_begin(&saved);
	statement = psprintf("CREATE OR REPLACE %s%s", header,
						 pg_get_querydef(query, false));
	statement = MemoryContextStrdup(caller, statement);
	pgxc_sql_end(&saved);
	return statement;
}

static Acl *
copy_acl(int cache, HeapTuple tuple, AttrNumber attribute)
{
	bool isnull;
	Datum acl = SysCacheGetAttr(cache, tuple, attribute, &isnull);

	return isnull ? NULL : DatumGetAclPCopy(acl);
}

static void
save_privileges(PgxcSavedView *saved)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(saved->oid));
	int natts = ((Form_pg_class) GETSTRUCT(tuple))->relnatts;

	saved->acl = copy_acl(RELOID, tuple, Anum_pg_class_relacl);
	ReleaseSysCache(tuple);

	for (AttrNumber attnum = 1; attnum <= natts; attnum++)
	{
		SavedColumn *column = palloc(sizeof(SavedColumn));

		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(saved->oid),
								Int16GetDatum(attnum));
		column->attnum = attnum;
		column->acl = copy_acl(ATTNUM, tuple, Anum_pg_attribute_attacl);
		ReleaseSysCache(tuple);
		if (column->acl != NULL)
			saved->columns = lappend(saved->columns, column);
	}
}

static void
refuse_view(Oid view, const char *reason)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("view %s cannot be recreated", pgxc_qualified_name(view)),
			 errdetail("%s", reason),
			 errhint("Drop the view, and create it again afterwards.")));
}

static PgxcSavedView *
capture_view(Oid view, List *views, List *map, PgxcColumnFate fate)
{
	PgxcSavedView *saved = palloc0(sizeof(PgxcSavedView));
	char *reason;

	saved->oid = view;
	saved->owner = pgxc_relation_owner(view);
	saved->schema = get_rel_namespace(view);
	saved->name = get_rel_name(view);
	if (!has_privs_of_role(GetUserId(), saved->owner))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of view %s", pgxc_qualified_name(view)),
			 errhint(
				 "Let a member of role %s do it, or somebody who may act for all owners.",
				 quote_identifier(GetUserNameFromId(saved->owner, false)))));

	reason = pgxc_view_obstacle(view, views, map, fate);
	if (reason != NULL)
		refuse_view(view, reason);
	if (fate == PGXC_FATE_REPLACED)
	{
		(void) pgxc_view_mapped_query(view, map, &saved->query);
		return saved;
	}

	saved->statements = view_parts(view);
	saved->drop =
		psprintf("DROP %sVIEW %s",
				 get_rel_relkind(view) == RELKIND_MATVIEW ? "MATERIALIZED "
														  : "",
				 pgxc_qualified_name(view));
	save_privileges(saved);
	return saved;
}

static List *
table_locks(List *views)
{
	List *locks = NIL;
	ListCell *lc;

	foreach (lc, views)
	{
		PgxcTableLock *lock = palloc(sizeof(PgxcTableLock));

		lock->relid = lfirst_oid(lc);
		lock->mode = AccessExclusiveLock;
		locks = lappend(locks, lock);
	}
	return locks;
}

/*
 * The locks (PgxcTableLock) that pgxc_views_capture() will need, to be asked
 * for together with those on the table: nobody should wait for the table while
 * we wait for a view.
 */
List *
pgxc_views_locks(Oid relid, List *old_columns, const char *new_column,
				 const char *final_name, bool same_type)
{
	return table_locks(
		pgxc_views_affected(pgxc_column_map(relid, old_columns, new_column),
							pgxc_column_fate(new_column, final_name,
											 same_type)));
}

/*
 * Everything about the views that need something when the old columns of relid
 * go, to be given to pgxc_views_drop() before, and to pgxc_views_recreate()
 * after.  The caller holds ACCESS EXCLUSIVE on the table and its descendants;
 * this takes it on the views, too, if pgxc_views_locks() was not used, or was
 * overtaken by somebody's CREATE VIEW.  The result is in CurrentMemoryContext.
 *
 * same_type: the new column has the type and the values of the (one) old one.
 *
 * Throws 42501 if the caller may not act for the owner of one of them, and
 * 0A000 if one cannot be kept as it is.  Nothing is changed.
 */
List *
pgxc_views_capture(Oid relid, List *old_columns, const char *new_column,
				   const char *final_name, bool same_type)
{
	PgxcColumnFate fate = pgxc_column_fate(new_column, final_name, same_type);
	List *map = pgxc_column_map(relid, old_columns, new_column);
	List *views = pgxc_views_affected(map, fate);
	List *saved = NIL;
	ListCell *lc;

	/* While we wait for a lock, others can make or drop views. */
	for (;;)
	{
		List *before = views;

		if (views != NIL)
			pgxc_lock_politely(table_locks(views), "to recreate views");
		views = pgxc_views_affected(map, fate);
		if (equal(views, before))
			break;
	}
	foreach (lc, views)
		saved = lappend(saved, capture_view(lfirst_oid(lc), views, map, fate));
	return saved;
}

static void
replace_query(PgxcSavedView *view)
{
	PgxcIdentity saved;

	pgxc_identity_push(&saved, view->owner, SECURITY_LOCAL_USERID_CHANGE);
	DefineQueryRewrite(pstrdup(ViewSelectRuleName), view->oid, NULL, CMD_SELECT,
					   true, true, list_make1(copyObject(view->query)));
	pgxc_identity_pop(&saved);
	CommandCounterIncrement();
}

/*
 * Let go of the old columns: replaces the queries of the views, or drops them,
 * those on top first.  The new column must be there.  Throws what DROP VIEW
 * throws.
 */
void
pgxc_views_drop(List *saved)
{
	for (int i = list_length(saved) - 1; i >= 0; i--)
	{
		PgxcSavedView *view = list_nth(saved, i);

		if (view->query != NULL)
			replace_query(view);
		else
			pgxc_ddl(view->owner, "%s", view->drop);
	}
}

/*
 * Write privileges down as they were: also who granted them, and their order.
 * A role that is mentioned cannot have gone meanwhile, as this is noticed when
 * the dependency is recorded.
 */
static void
restore_acl(Relation catalog, HeapTuple tuple, AttrNumber attribute, Oid view,
			int32 subid, Oid owner, Acl *acl)
{
	TupleDesc desc = RelationGetDescr(catalog);
	Datum *values = palloc0(sizeof(Datum) * desc->natts);
	bool *nulls = palloc0(sizeof(bool) * desc->natts);
	bool *replaces = palloc0(sizeof(bool) * desc->natts);
	bool isnull;
	Datum before = heap_getattr(tuple, attribute, desc, &isnull);
	Oid *old_members = NULL;
	Oid *new_members = NULL;
	int old_count = 0;
	int new_count = 0;

	if (!isnull)
		old_count = aclmembers(DatumGetAclPCopy(before), &old_members);
	if (acl != NULL)
		new_count = aclmembers(acl, &new_members);

	values[attribute - 1] = PointerGetDatum(acl);
	nulls[attribute - 1] = acl == NULL;
	replaces[attribute - 1] = true;
	tuple = heap_modify_tuple(tuple, desc, values, nulls, replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	updateAclDependencies(RelationRelationId, view, subid, owner, old_count,
						  old_members, new_count, new_members);
}

static void
restore_privileges(PgxcSavedView *saved)
{
	Oid view = get_relname_relid(saved->name, saved->schema);
	Relation catalog = table_open(RelationRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(view));
	ListCell *lc;

	restore_acl(catalog, tuple, Anum_pg_class_relacl, view, 0, saved->owner,
				saved->acl);
	table_close(catalog, RowExclusiveLock);

	catalog = table_open(AttributeRelationId, RowExclusiveLock);
	foreach (lc, saved->columns)
	{
		SavedColumn *column = lfirst(lc);

		tuple = SearchSysCacheCopy2(ATTNUM, ObjectIdGetDatum(view),
									Int16GetDatum(column->attnum));
		restore_acl(catalog, tuple, Anum_pg_attribute_attacl, view,
					column->attnum, saved->owner, column->acl);
	}
	table_close(catalog, RowExclusiveLock);
	CommandCounterIncrement();
}

/*
 * Make the dropped views again, those below first, with all that they had.
 * The new column must have its final name by now, and its constraints (GROUP
 * BY a primary key needs that).  Throws what CREATE VIEW throws, for example
 * if the text has no meaning with the column's new type.
 */
void
pgxc_views_recreate(List *saved)
{
	ListCell *lc;

	foreach (lc, saved)
	{
		PgxcSavedView *view = lfirst(lc);
		PgxcIdentity identity;
		ListCell *statement;

		if (view->query != NULL)
			continue;
		pgxc_identity_push(&identity, view->owner,
						   SECURITY_LOCAL_USERID_CHANGE);
		pgxc_set_saved("default_tablespace", "");
		foreach (statement, view->statements)
			pgxc_ddl(view->owner, "%s", (char *) lfirst(statement));
		pgxc_identity_pop(&identity);
		restore_privileges(view);
	}
}

PG_FUNCTION_INFO_V1(pgxc_test_recreate_views);

/*
 * For tests: (relation, old column, new column, same type) does to views and
 * columns what contract does.
 */
Datum
pgxc_test_recreate_views(PG_FUNCTION_ARGS)
{
	Oid relid = PG_GETARG_OID(0);
	char *old_column = NameStr(*PG_GETARG_NAME(1));
	char *new_column = NameStr(*PG_GETARG_NAME(2));
	bool same_type = PG_GETARG_BOOL(3);
	char *table = pgxc_qualified_name(relid);
	Oid owner = pgxc_relation_owner(relid);
	PgxcTableLock lock = { relid, AccessExclusiveLock };
	List *saved;

	pgxc_lock_politely(
		lcons(&lock,
			  pgxc_views_locks(relid, list_make1(old_column), new_column,
							   same_type ? new_column : old_column, same_type)),
		"to test views");
	saved = pgxc_views_capture(relid, list_make1(old_column), new_column,
							   same_type ? new_column : old_column, same_type);
	pgxc_views_drop(saved);
	pgxc_ddl(owner, "ALTER TABLE %s DROP COLUMN %s", table,
			 quote_identifier(old_column));
	if (!same_type)
		pgxc_ddl(owner, "ALTER TABLE %s RENAME COLUMN %s TO %s", table,
				 quote_identifier(new_column), quote_identifier(old_column));
	pgxc_views_recreate(saved);
	PG_RETURN_VOID();
}
