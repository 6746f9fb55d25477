/*
 * reindex.c
 *		REINDEX, of an index, a table, a schema or the database.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/catalog.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/reindex.h"
#include "guard/relation_list.h"

static const char *const table_reason =
	"every row is read for each index that is rebuilt";
static const char *const index_reason = "it is built anew";
static const char *const replaced_reason = "a new index takes its place";

typedef struct Reindex
{
	PgxcAnalysis *a;
	ReindexStmt *stmt;
	bool concurrently;
} Reindex;

/*
 * Each index of the relation, with the same lock and work.  The relation must
 * be locked.  Is there one?
 */
bool
pgxc_touch_indexes(PgxcAnalysis *a, Oid relid, LOCKMODE lock, int work,
				   const char *reason)
{
	Relation rel = relation_open(relid, AccessShareLock);
	List *indexes = RelationGetIndexList(rel);
	ListCell *lc;

	foreach (lc, indexes)
		pgxc_touch_work(a, lfirst_oid(lc), lock, work, reason);
	relation_close(rel, NoLock);
	return indexes != NIL;
}

/* Is it built concurrently?  Nobody else sees a temporary one. */
static bool
is_concurrent(Reindex *reindex, Oid relid)
{
	return reindex->concurrently &&
		   get_rel_persistence(relid) != RELPERSISTENCE_TEMP;
}

/* What REINDEX TABLE CONCURRENTLY passes over, and INDEX refuses. */
static bool
is_left_out(Oid indexid, bool of_table)
{
	Relation index = index_open(indexid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	bool left_out = form->indisexclusion || (of_table && !form->indisvalid);

	index_close(index, NoLock);
	return left_out;
}

static void
rebuild_index(Reindex *reindex, Oid indexid)
{
	Oid relid = IndexGetRelation(indexid, true);
	bool concurrent = is_concurrent(reindex, indexid);

	if (!OidIsValid(relid) || IsToastNamespace(get_rel_namespace(relid)) ||
		(concurrent && is_left_out(indexid, false)))
		return;
	pgxc_touch_work(reindex->a, relid,
					concurrent ? ShareUpdateExclusiveLock : ShareLock,
					PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD, table_reason);
	if (concurrent)
		pgxc_touch_work(reindex->a, indexid, ShareUpdateExclusiveLock,
						PGXC_WORK_NONE, replaced_reason);
	else
		pgxc_touch_work(reindex->a, indexid, AccessExclusiveLock,
						PGXC_WORK_REWRITE, index_reason);
}

static void
rebuild_concurrently(Reindex *reindex, Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		pgxc_touch(reindex->a, relid, ShareUpdateExclusiveLock);
		pgxc_touch(reindex->a, lfirst_oid(lc), ShareUpdateExclusiveLock);
		if (is_left_out(lfirst_oid(lc), true))
			continue;
		pgxc_touch_work(reindex->a, relid, ShareUpdateExclusiveLock,
						PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD, table_reason);
		pgxc_touch_work(reindex->a, lfirst_oid(lc), ShareUpdateExclusiveLock,
						PGXC_WORK_NONE, replaced_reason);
	}
	if (OidIsValid(rel->rd_rel->reltoastrelid))
		pgxc_touch(reindex->a, relid, ShareUpdateExclusiveLock);
	relation_close(rel, NoLock);
}

static void
rebuild_table(Reindex *reindex, Oid relid)
{
	if (is_concurrent(reindex, relid))
	{
		rebuild_concurrently(reindex, relid);
		return;
	}
	pgxc_touch(reindex->a, relid, ShareLock);
	if (pgxc_touch_indexes(reindex->a, relid, AccessExclusiveLock,
						   PGXC_WORK_REWRITE, index_reason))
		pgxc_touch_work(reindex->a, relid, ShareLock,
						PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD, table_reason);
}

/* Is there anything to build, of it or of its TOAST table? */
static bool
has_indexes(Oid relid)
{
	Relation rel = relation_open(relid, AccessShareLock);
	bool any = RelationGetIndexList(rel) != NIL ||
			   OidIsValid(rel->rd_rel->reltoastrelid);

	relation_close(rel, NoLock);
	return any;
}

/*
 * The leaves of a partitioned table or index, in transactions of their own.  To
 * list those of an index, an exclusive lock on it is needed for a moment.
 */
static void
rebuild_partitions(Reindex *reindex, Oid relid)
{
	bool of_index = get_rel_relkind(relid) == RELKIND_PARTITIONED_INDEX;
	ListCell *lc;

	if (of_index && !reindex->concurrently)
	{
		pgxc_touch(reindex->a, IndexGetRelation(relid, false), ShareLock);
		pgxc_touch(reindex->a, relid, AccessExclusiveLock);
	}
	foreach (lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		Oid part = lfirst_oid(lc);

		switch (get_rel_relkind(part))
		{
			case RELKIND_INDEX:
				rebuild_index(reindex, part);
				break;
			case RELKIND_PARTITIONED_INDEX:
				if (!reindex->concurrently)
					pgxc_touch(reindex->a, part, ShareLock);
				break;
			case RELKIND_RELATION:
				if (has_indexes(part))
					rebuild_table(reindex, part);
				break;
			default:
				break;
		}
	}
}

static void
rebuild_named(Reindex *reindex, bool of_index)
{
	Oid relid = pgxc_resolve(reindex->a, reindex->stmt->relation);
	char relkind = OidIsValid(relid) ? get_rel_relkind(relid) : '\0';

	switch (relkind)
	{
		case RELKIND_INDEX:
			if (of_index)
				rebuild_index(reindex, relid);
			break;
		case RELKIND_PARTITIONED_INDEX:
			if (of_index)
				rebuild_partitions(reindex, relid);
			break;
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
			if (!of_index)
				rebuild_table(reindex, relid);
			break;
		case RELKIND_PARTITIONED_TABLE:
			if (!of_index)
				rebuild_partitions(reindex, relid);
			break;
		default:
			break;
	}
}

/* Tables of the schema, if one is given. */
static bool
is_table_of(Form_pg_class form, void *schema)
{
	return (form->relkind == RELKIND_RELATION ||
			form->relkind == RELKIND_MATVIEW) &&
		   (schema == NULL || form->relnamespace == *(Oid *) schema);
}

/* Every table of a schema or (NULL) of the database, each by itself. */
static void
rebuild_all(Reindex *reindex, Oid *schema)
{
	ListCell *lc;

	foreach (lc, pgxc_list_relations(is_table_of, schema))
	{
		if (has_indexes(lfirst_oid(lc)))
			rebuild_table(reindex, lfirst_oid(lc));
	}
}

/* With CONCURRENTLY, which every form but that of the catalogs has. */
static char *
concurrent_text(ReindexStmt *stmt, Oid relid)
{
	static const struct
	{
		ReindexObjectType kind;
		const char *word;
	} kinds[] = {
		{ REINDEX_OBJECT_INDEX, "INDEX" },
		{ REINDEX_OBJECT_TABLE, "TABLE" },
		{ REINDEX_OBJECT_SCHEMA, "SCHEMA" },
		{ REINDEX_OBJECT_DATABASE, "DATABASE" },
	};
	const char *word = NULL;
	const char *tablespace = "";
	ListCell *lc;

	for (int i = 0; i < lengthof(kinds); i++)
	{
		if (kinds[i].kind == stmt->kind)
			word = kinds[i].word;
	}
	if (word == NULL)
		return NULL;
	foreach (lc, stmt->params)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "tablespace") == 0)
			tablespace = psprintf("(TABLESPACE %s) ",
								  quote_identifier(defGetString(option)));
	}
	return psprintf(
		"REINDEX %s%s CONCURRENTLY %s", tablespace, word,
		stmt->relation
			? DatumGetCString(
				  DirectFunctionCall1(regclassout, ObjectIdGetDatum(relid)))
			: quote_identifier(stmt->name ? stmt->name
										  : get_database_name(MyDatabaseId)));
}

static void
advise(Reindex *reindex)
{
	ReindexStmt *stmt = reindex->stmt;
	Oid relid = InvalidOid;
	char *sql;
	ListCell *lc;

	if (reindex->concurrently)
		return;
	if (stmt->relation)
		relid = pgxc_resolve(reindex->a, stmt->relation);
	/* An exclusion constraint's index cannot be built concurrently. */
	if (stmt->kind == REINDEX_OBJECT_INDEX &&
		get_rel_relkind(relid) == RELKIND_INDEX && is_left_out(relid, false))
		return;
	sql = concurrent_text(stmt, relid);
	foreach (lc, reindex->a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);

		if (effect->work != 0 &&
			get_rel_persistence(effect->relid) != RELPERSISTENCE_TEMP)
			effect->alternative = sql;
	}
}

static bool
says_concurrently(ReindexStmt *stmt)
{
	bool concurrently = false;
	ListCell *lc;

	foreach (lc, stmt->params)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		if (strcmp(option->defname, "concurrently") == 0)
			concurrently = defGetBoolean(option);
	}
	return concurrently;
}

/*
 * REINDEX
 */
void
pgxc_analyse_reindex(PgxcAnalysis *a, ReindexStmt *stmt)
{
	Reindex reindex = { a, stmt, says_concurrently(stmt) };
	Oid schema;

	switch (stmt->kind)
	{
		case REINDEX_OBJECT_INDEX:
			rebuild_named(&reindex, true);
			break;
		case REINDEX_OBJECT_TABLE:
			rebuild_named(&reindex, false);
			break;
		case REINDEX_OBJECT_SCHEMA:
			schema = get_namespace_oid(stmt->name, false);
			rebuild_all(&reindex, &schema);
			break;
		case REINDEX_OBJECT_DATABASE:
			/* Of another one PostgreSQL refuses it. */
			if (stmt->name == NULL ||
				get_database_oid(stmt->name, true) == MyDatabaseId)
				rebuild_all(&reindex, NULL);
			break;
		default:
			/* Of the catalogs: no relation of a user. */
			break;
	}
	advise(&reindex);
}
