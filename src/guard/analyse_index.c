/*
 * analyse_index.c
 *		CREATE INDEX: on one relation, or on a partitioned table and whatever of
 *		its partitions has no such index yet.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/analysis.h"
#include "guard/index_shape.h"
#include "guard/index_text.h"
#include "guard/reindex.h"

static const char *const build_reason = "every row is read for the new index";

/* Who is in need of the index, and what would be safe. */
typedef struct IndexBuild
{
	PgxcAnalysis *a;
	IndexStmt *stmt; /* as it was parsed */
	LOCKMODE lock;
	bool recurse;
	PgxcIndexText *text; /* NULL: there is no alternative */
	List *built;         /* the relations that have work */
} IndexBuild;

/* New entries, perhaps unique ones, for the columns that are in the key. */
static void
change_columns(IndexBuild *build, Relation rel, PgxcIndexShape *shape,
			   bool cascade)
{
	Bitmapset *columns = pgxc_index_key_columns(shape);
	Oid relid = RelationGetRelid(rel);
	int column = -1;
	bool any = false;

	while ((column = bms_next_member(columns, column)) >= 0 || !any)
	{
		AttrNumber attnum =
			column < 0 ? 0 : column + FirstLowInvalidHeapAttributeNumber;

		any = true;
		pgxc_change_column(build->a, PGXC_ACTION_ADD, relid, attnum)->cascade =
			cascade;
		if (build->stmt->unique)
			pgxc_change_column(build->a, PGXC_ACTION_CONSTRAIN, relid, attnum)
				->cascade = cascade;
		if (column < 0)
			break;
	}
}

static void build_on(IndexBuild *build, Relation rel, const char *parent_index);

/* Each partition gets an index, or the one that it has becomes a part. */
static void
build_on_partitions(IndexBuild *build, Relation rel, PgxcIndexShape *shape,
					const char *index)
{
	PartitionDesc partitions = RelationGetPartitionDesc(rel, true);

	for (int i = 0; i < partitions->nparts; i++)
	{
		Relation partition = table_open(partitions->oids[i], AccessShareLock);
		Oid existing;

		if (partition->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
		{
			existing = pgxc_find_matching_index(partition, rel, shape);
			if (!OidIsValid(existing))
				build_on(build, partition, index);
			else
			{
				pgxc_touch(build->a, existing, build->lock);
				if (build->text)
					pgxc_index_text_attach(build->text, index, existing);
			}
		}
		table_close(partition, NoLock);
	}
}

/* One relation that gets a new index. */
static void
build_on(IndexBuild *build, Relation rel, const char *parent_index)
{
	PgxcIndexShape *shape =
		pgxc_index_shape(rel, build->stmt, build->a->source);
	char *index = NULL;
	bool partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;

	change_columns(build, rel, shape, parent_index != NULL);
	if (build->text)
		index = pgxc_index_text_create(build->text, rel, shape, parent_index);
	if (!partitioned)
		build->built =
			lappend(build->built,
					pgxc_touch_work(build->a, RelationGetRelid(rel),
									build->lock,
									PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD,
									build_reason));
	else if (build->recurse)
		build_on_partitions(build, rel, shape, index ? index : "");
}

static bool
can_have_indexes(char relkind)
{
	return relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
		   relkind == RELKIND_PARTITIONED_TABLE;
}

/*
 * The lock on the table and, if it is partitioned, on everything below it.
 * False if PostgreSQL refuses the statement for something there.
 */
static bool
touch_tree(IndexBuild *build, Oid relid)
{
	List *tree = list_make1_oid(relid);
	ListCell *lc;

	if (build->recurse)
		tree = find_all_inheritors(relid, AccessShareLock, NULL);
	foreach (lc, tree)
	{
		if (build->stmt->unique &&
			get_rel_relkind(lfirst_oid(lc)) == RELKIND_FOREIGN_TABLE)
			return false;
	}
	foreach (lc, tree)
		pgxc_touch(build->a, lfirst_oid(lc), build->lock);
	return true;
}

/* IF NOT EXISTS, and there is something of that name. */
static bool
exists_already(IndexStmt *stmt, Relation rel)
{
	return stmt->if_not_exists && stmt->idxname != NULL &&
		   OidIsValid(
			   get_relname_relid(stmt->idxname, RelationGetNamespace(rel)));
}

/* The same advice for every relation on which something is built. */
static void
advise(IndexBuild *build)
{
	char *sql;
	ListCell *lc;

	if (build->text == NULL)
		return;
	sql = pgxc_index_text_finish(build->text);
	foreach (lc, build->built)
		((PgxcEffect *) lfirst(lc))->alternative = sql;
}

static void
analyse_create_index(PgxcAnalysis *a, IndexStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	IndexBuild build = { .a = a, .stmt = stmt };
	Relation rel;
	bool partitioned;

	if (!OidIsValid(relid) || !can_have_indexes(get_rel_relkind(relid)))
		return;
	rel = relation_open(relid, AccessShareLock);
	partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	build.recurse = partitioned && stmt->relation->inh;
	/* Nobody else sees a temporary table: that is not done concurrently. */
	build.lock =
		stmt->concurrent && rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP
			? ShareUpdateExclusiveLock
			: ShareLock;
	if (!(partitioned && stmt->concurrent) && touch_tree(&build, relid) &&
		!exists_already(stmt, rel))
	{
		if (build.lock == ShareLock && (!partitioned || build.recurse) &&
			rel->rd_rel->relpersistence != RELPERSISTENCE_TEMP)
			build.text = pgxc_index_text(a, stmt);
		build_on(&build, rel, NULL);
		advise(&build);
	}
	relation_close(rel, NoLock);
}

/*
 * CREATE INDEX, REINDEX.
 */
void
pgxc_analyse_index(PgxcAnalysis *a, Node *stmt)
{
	if (IsA(stmt, IndexStmt))
		analyse_create_index(a, castNode(IndexStmt, stmt));
	else
		pgxc_analyse_reindex(a, castNode(ReindexStmt, stmt));
}
