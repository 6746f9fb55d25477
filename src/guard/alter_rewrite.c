/*
 * alter_rewrite.c
 *		What ALTER TABLE does with whole tables: rewriting them, reaching their
 *		children; and how its advice is written down.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "guard/alter_table.h"

/* Does the statement, as far as it was analysed, drop this object? */
bool
pgxc_drops(PgxcAnalysis *a, Oid classid, Oid objid)
{
	ListCell *lc;

	foreach (lc, a->changes)
	{
		PgxcChange *change = (PgxcChange *) lfirst(lc);

		if (change->action == PGXC_ACTION_DROP &&
			change->object.classId == classid &&
			change->object.objectId == objid && change->object.objectSubId == 0)
			return true;
	}
	return false;
}

/*
 * The table is written anew, row by row, and its indexes with it.  Those that
 * the statement drops are gone by then: analyse drops first.
 */
void
pgxc_rewrite_table(PgxcAnalysis *a, Oid relid, LOCKMODE lock,
				   const char *reason)
{
	Relation rel = relation_open(relid, AccessShareLock);
	int work = PGXC_WORK_SCAN | PGXC_WORK_REWRITE;
	ListCell *lc;

	/* A foreign or partitioned table has no rows of its own. */
	if (RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind))
	{
		foreach (lc, RelationGetIndexList(rel))
		{
			Oid index = lfirst_oid(lc);

			if (pgxc_drops(a, RelationRelationId, index))
				continue;
			work |= PGXC_WORK_INDEX_BUILD;
			pgxc_touch_work(a, index, AccessExclusiveLock, PGXC_WORK_REWRITE,
							"its table is rewritten");
		}
		pgxc_touch_work(a, relid, lock, work, reason);
	}
	relation_close(rel, NoLock);
}

/*
 * The relation itself and, if asked for, everything that inherits from it, as
 * OIDs; the statement locks them all.
 */
List *
pgxc_touch_tree(PgxcAnalysis *a, Relation rel, bool recurse, LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);
	List *all;
	ListCell *lc;

	if (!recurse || !rel->rd_rel->relhassubclass)
		return list_make1_oid(relid);
	all = find_all_inheritors(relid, AccessShareLock, NULL);
	foreach (lc, all)
		pgxc_touch(a, lfirst_oid(lc), lock);
	return all;
}

/* The relation's name as SQL may say it: quoted, qualified where needed. */
char *
pgxc_table_text(Oid relid)
{
	return DatumGetCString(
		DirectFunctionCall1(regclassout, ObjectIdGetDatum(relid)));
}

/* There is a safer way, for a relation that the statement works on. */
void
pgxc_suggest(PgxcAnalysis *a, Oid relid, const char *sql)
{
	PgxcEffect *effect = pgxc_effect_find(a, relid);

	if (sql == NULL || effect == NULL || effect->work == PGXC_WORK_NONE)
		return;
	if (effect->alternative == NULL)
		effect->alternative = pstrdup(sql);
	else if (strstr(effect->alternative, sql) == NULL)
		effect->alternative = psprintf("%s; %s", effect->alternative, sql);
}

static bool
touch_constants(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, Const) && ((Const *) node)->consttype == REGCLASSOID &&
		!((Const *) node)->constisnull)
	{
		Oid relid = DatumGetObjectId(((Const *) node)->constvalue);

		if (get_rel_relkind(relid) != '\0')
			pgxc_touch((PgxcAnalysis *) context, relid, AccessShareLock);
	}
	return expression_tree_walker(node, touch_constants, context);
}

/*
 * An expression is stored in the catalog: the relations that it names as
 * constants are locked while what depends on them is recorded.
 */
void
pgxc_touch_named(PgxcAnalysis *a, Node *expr)
{
	(void) touch_constants(expr, a);
}

static bool
touch_sequences(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, FuncExpr) && ((FuncExpr *) node)->funcid == F_NEXTVAL)
	{
		Node *arg = linitial(((FuncExpr *) node)->args);

		if (IsA(arg, Const) && !((Const *) arg)->constisnull)
			pgxc_touch((PgxcAnalysis *) context,
					   DatumGetObjectId(((Const *) arg)->constvalue),
					   RowExclusiveLock);
	}
	return expression_tree_walker(node, touch_sequences, context);
}

/*
 * An expression is computed for every row of a table, if there is one: the
 * sequences that it takes numbers from stay locked.
 */
void
pgxc_touch_computed(PgxcAnalysis *a, Oid relid, Node *expr)
{
	if (pgxc_is_populated(relid))
		(void) touch_sequences(expr, a);
}
