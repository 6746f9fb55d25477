/*
 * lock_table.c
 *		LOCK TABLE: children and, behind a view, whatever it reads.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/maintenance.h"

typedef struct LockWalk
{
	PgxcAnalysis *a;
	LOCKMODE lock;
	List *views; /* that were opened on the way here */
} LockWalk;

static void lock_relation(LockWalk *walk, Oid relid, bool inh);

/* What a query, of a view, names anywhere. */
static bool
lock_query(Node *node, void *context)
{
	LockWalk *walk = (LockWalk *) context;

	if (node == NULL)
		return false;
	if (IsA(node, Query))
	{
		Query *query = castNode(Query, node);
		ListCell *lc;

		foreach (lc, query->rtable)
		{
			RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

			/* A view's own name is in there, as OLD and NEW of its rule. */
			if (rte->rtekind == RTE_RELATION &&
				!list_member_oid(walk->views, rte->relid))
				lock_relation(walk, rte->relid, rte->inh);
		}
		return query_tree_walker(query, lock_query, walk,
								 QTW_IGNORE_JOINALIASES);
	}
	return expression_tree_walker(node, lock_query, walk);
}

static void
lock_view(LockWalk *walk, Oid relid)
{
	Relation view = table_open(relid, AccessShareLock);
	List *views = walk->views;

	pgxc_touch(walk->a, relid, walk->lock);
	walk->views = lappend_oid(list_copy(views), relid);
	(void) lock_query((Node *) get_view_query(view), walk);
	walk->views = views;
	table_close(view, NoLock);
}

/* Other kinds cannot be locked; behind a view they are passed over. */
static void
lock_relation(LockWalk *walk, Oid relid, bool inh)
{
	ListCell *lc;

	switch (get_rel_relkind(relid))
	{
		case RELKIND_VIEW:
			lock_view(walk, relid);
			break;
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			pgxc_touch(walk->a, relid, walk->lock);
			if (!inh)
				break;
			foreach (lc, find_all_inheritors(relid, AccessShareLock, NULL))
				pgxc_touch(walk->a, lfirst_oid(lc), walk->lock);
			break;
		default:
			break;
	}
}

/*
 * LOCK TABLE
 */
void
pgxc_analyse_lock(PgxcAnalysis *a, LockStmt *stmt)
{
	LockWalk walk = { .a = a, .lock = stmt->mode };
	ListCell *lc;

	foreach (lc, stmt->relations)
	{
		RangeVar *name = lfirst_node(RangeVar, lc);
		Oid relid = pgxc_resolve(a, name);

		if (OidIsValid(relid))
			lock_relation(&walk, relid, name->inh);
	}
}
