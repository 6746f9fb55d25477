/*
 * refresh.c
 *		REFRESH MATERIALIZED VIEW: the view, and what its query reads.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_index.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/maintenance.h"
#include "guard/reindex.h"

/* The query as text, parsed again. */
static Node *
query_of(Relation matview)
{
	char *sql = TextDatumGetCString(
		DirectFunctionCall1(pg_get_viewdef,
							ObjectIdGetDatum(RelationGetRelid(matview))));

	return linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT))->stmt;
}

/*
 * Locks and reads of the query.  Does it find anything to read, as far as one
 * can see without running it?
 */
static bool
touch_query(PgxcAnalysis *a, Relation matview)
{
	List *before = a->effects;
	bool any = false;
	ListCell *lc;

	a->effects = NIL;
	pgxc_touch_query_relations(a, query_of(matview), true);
	foreach (lc, a->effects)
	{
		Oid relid = ((PgxcEffect *) lfirst(lc))->relid;
		char relkind = get_rel_relkind(relid);

		any |= (relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW) &&
			   pgxc_is_populated(relid);
	}
	if (a->effects == NIL)
		any = true; /* constants, functions */
	a->effects = list_concat(before, a->effects);
	return any;
}

/* All columns, all rows, every one once: what CONCURRENTLY compares by. */
static bool
is_usable(Relation index)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisunique || !form->indimmediate || !form->indisvalid ||
		RelationGetIndexPredicate(index) != NIL || form->indnatts == 0)
		return false;
	for (int i = 0; i < form->indnatts; i++)
	{
		if (form->indkey.values[i] <= 0)
			return false;
	}
	return true;
}

static bool
can_be_concurrent(Relation matview)
{
	bool usable = false;
	ListCell *lc;

	if (!RelationIsPopulated(matview))
		return false;
	foreach (lc, RelationGetIndexList(matview))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		usable |= is_usable(index);
		index_close(index, NoLock);
	}
	return usable;
}

/* The query's result is compared with the view, and the difference applied. */
static void
refresh_concurrently(PgxcAnalysis *a, Relation matview)
{
	Oid relid = RelationGetRelid(matview);

	if (!can_be_concurrent(matview))
		return;
	pgxc_touch_work(a, relid, ExclusiveLock, PGXC_WORK_SCAN,
					"every row is compared with the new result");
	(void) touch_query(a, matview);
	(void) pgxc_touch_indexes(a, relid, RowExclusiveLock, PGXC_WORK_NONE, NULL);
}

/* The result is a new file. */
static void
refresh_anew(PgxcAnalysis *a, Relation matview, bool with_data)
{
	Oid relid = RelationGetRelid(matview);
	PgxcEffect *effect;

	pgxc_touch_remade(a, matview, PGXC_WORK_NONE,
					  "its query is run into a new file");
	effect = pgxc_effect_find(a, relid);
	if (!with_data)
	{
		pgxc_change(a, PGXC_ACTION_TRUNCATE, RelationRelationId, relid, 0);
		return;
	}
	/* The indexes are built on what is read now, not on what was there. */
	if (touch_query(a, matview) && (effect->work & PGXC_WORK_INDEX_BUILD))
		effect->work |= PGXC_WORK_SCAN;
	if (can_be_concurrent(matview))
		effect->alternative =
			psprintf("REFRESH MATERIALIZED VIEW CONCURRENTLY %s",
					 DatumGetCString(
						 DirectFunctionCall1(regclassout,
											 ObjectIdGetDatum(relid))));
}

/*
 * REFRESH MATERIALIZED VIEW
 */
void
pgxc_analyse_refresh(PgxcAnalysis *a, RefreshMatViewStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	Relation matview;

	if (!OidIsValid(relid))
		return;
	matview = relation_open(relid, AccessShareLock);
	if (matview->rd_rel->relkind == RELKIND_MATVIEW)
	{
		if (!stmt->concurrent)
			refresh_anew(a, matview, !stmt->skipData);
		else if (!stmt->skipData)
			refresh_concurrently(a, matview);
	}
	relation_close(matview, NoLock);
}
