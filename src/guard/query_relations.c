/*
 * query_relations.c
 *		The relations that a query inside of a DDL statement locks and reads:
 *		of CREATE VIEW, of a rule, of CREATE TABLE AS.
 *
 * Parse analysis locks what the text names.  A query that is run is rewritten
 * and planned as well, which locks what is behind views, children, partitions
 * that are not pruned, and indexes; the plan says what is read.
 *
 * Clauses that would lock more than ACCESS SHARE (FOR UPDATE and the like) are
 * taken out of the query before anybody acts on them.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/visibilitymap.h"
#include "commands/prepare.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/planner.h"
#include "parser/analyze.h"
#include "parser/parse_node.h"
#include "parser/parsetree.h"
#include "rewrite/rewriteHandler.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "guard/analysis.h"

typedef struct QueryWalk
{
	PgxcAnalysis *a;
	bool executed;
	bool lock_all; /* FOR UPDATE without names */
	List *locked;  /* names in FOR UPDATE OF, of String */
	List *names;   /* of RangeVar, in the raw text */
	List *ctes;    /* names of WITH, of String */
	bool opaque;   /* not to be analysed: it writes, or names NEW or OLD */
} QueryWalk;

static bool
is_listed(List *names, const char *name)
{
	ListCell *lc;

	foreach (lc, names)
	{
		if (strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	}
	return false;
}

/* What INSERT, UPDATE or DELETE write to; NULL for other nodes. */
static RangeVar *
target_of(Node *node)
{
	switch (nodeTag(node))
	{
		case T_InsertStmt:
			return ((InsertStmt *) node)->relation;
		case T_UpdateStmt:
			return ((UpdateStmt *) node)->relation;
		case T_DeleteStmt:
			return ((DeleteStmt *) node)->relation;
		case T_MergeStmt:
			return ((MergeStmt *) node)->relation;
		default:
			return NULL;
	}
}

/* The target of a writing statement, with its indexes. */
static void
touch_target(PgxcAnalysis *a, RangeVar *name, bool executed)
{
	Oid relid = pgxc_resolve(a, name);
	Relation rel;
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	pgxc_touch(a, relid, RowExclusiveLock);
	rel = relation_open(relid, AccessShareLock);
	if (executed && rel->rd_rel->relkind == RELKIND_RELATION)
	{
		foreach (lc, RelationGetIndexList(rel))
			pgxc_touch(a, lfirst_oid(lc), RowExclusiveLock);
	}
	relation_close(rel, NoLock);
}

/* Note what the raw text names, and take its locking clauses out. */
static bool
raw_walker(Node *node, void *context)
{
	QueryWalk *walk = (QueryWalk *) context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		walk->names = lappend(walk->names, node);
	else if (IsA(node, CommonTableExpr))
		walk->ctes = lappend(walk->ctes,
							 makeString(((CommonTableExpr *) node)->ctename));
	else if (IsA(node, SelectStmt))
	{
		SelectStmt *select = (SelectStmt *) node;
		ListCell *lc;

		foreach (lc, select->lockingClause)
		{
			LockingClause *clause = lfirst_node(LockingClause, lc);
			ListCell *name;

			if (clause->lockedRels == NIL)
				walk->lock_all = true;
			foreach (name, clause->lockedRels)
				walk->locked =
					lappend(walk->locked,
							makeString(lfirst_node(RangeVar, name)->relname));
		}
		select->lockingClause = NIL;
	}
	else if (IsA(node, ColumnRef))
	{
		Node *first = linitial(((ColumnRef *) node)->fields);

		if (IsA(first, String) && (strcmp(strVal(first), "new") == 0 ||
								   strcmp(strVal(first), "old") == 0))
			walk->opaque = true;
	}
	else if (target_of(node) != NULL)
	{
		touch_target(walk->a, target_of(node), walk->executed);
		walk->opaque = true;
	}
	return raw_expression_tree_walker(node, raw_walker, walk);
}

/* The lock that the query takes on a relation of this alias. */
static LOCKMODE
lock_of(QueryWalk *walk, RangeTblEntry *rte)
{
	if (walk->lock_all || (walk->locked != NIL && rte->eref != NULL &&
						   is_listed(walk->locked, rte->eref->aliasname)))
		return RowShareLock;
	return AccessShareLock;
}

/* nextval() and its like hold a lock on the sequence. */
static void
touch_sequence(QueryWalk *walk, FuncExpr *call)
{
	Node *arg = call->args ? linitial(call->args) : NULL;

	switch (call->funcid)
	{
		case F_NEXTVAL:
		case F_CURRVAL:
		case F_SETVAL_REGCLASS_INT8:
		case F_SETVAL_REGCLASS_INT8_BOOL:
			if (arg && IsA(arg, Const) && !((Const *) arg)->constisnull)
				pgxc_touch(walk->a,
						   DatumGetObjectId(((Const *) arg)->constvalue),
						   RowExclusiveLock);
			break;
		default:
			break;
	}
}

/*
 * What parse analysis has locked.  A query that has been analysed before (a
 * prepared one) is changed to lock no more than ACCESS SHARE.
 */
static bool
query_walker(Node *node, void *context)
{
	QueryWalk *walk = (QueryWalk *) context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind != RTE_RELATION)
			return false;
		LockRelationOid(rte->relid, AccessShareLock);
		pgxc_touch(walk->a, rte->relid,
				   Max(lock_of(walk, rte), rte->rellockmode));
		if (rte->rellockmode > AccessShareLock && rte->eref != NULL)
			walk->locked =
				lappend(walk->locked, makeString(rte->eref->aliasname));
		rte->rellockmode = AccessShareLock;
		return false;
	}
	if (IsA(node, Query))
	{
		Query *query = (Query *) node;

		query->rowMarks = NIL;
		query->hasForUpdate = false;
		return query_tree_walker(query, query_walker, walk,
								 QTW_EXAMINE_RTES_BEFORE);
	}
	if (IsA(node, FuncExpr) && walk->executed)
		touch_sequence(walk, (FuncExpr *) node);
	return expression_tree_walker(node, query_walker, walk);
}

/* Planning has locked the indexes of what it thought of reading. */
static void
touch_indexes(PgxcAnalysis *a, Oid relid, LOCKMODE lock)
{
	Relation rel = relation_open(relid, AccessShareLock);
	ListCell *lc;

	foreach (lc, rel->rd_rel->relhasindex ? RelationGetIndexList(rel) : NIL)
	{
		if (CheckRelationOidLockedByMe(lfirst_oid(lc), AccessShareLock, true))
			pgxc_touch(a, lfirst_oid(lc), lock);
	}
	relation_close(rel, NoLock);
}

/* Nothing below this node is ever run. */
static bool
is_dead(Plan *plan)
{
	if (IsA(plan, Limit))
	{
		Node *count = ((Limit *) plan)->limitCount;

		return count != NULL && IsA(count, Const) &&
			   !((Const *) count)->constisnull &&
			   DatumGetInt64(((Const *) count)->constvalue) == 0;
	}
	return false;
}

/* An index-only scan of a table that VACUUM has just seen reads no rows. */
static bool
reads_rows(Plan *plan, Oid relid)
{
	Relation rel;
	BlockNumber visible;
	bool reads;

	if (!IsA(plan, IndexOnlyScan))
		return true;
	rel = relation_open(relid, AccessShareLock);
	visibilitymap_count(rel, &visible, NULL);
	reads = visible < RelationGetNumberOfBlocks(rel);
	relation_close(rel, NoLock);
	return reads;
}

static void touch_scans(PgxcAnalysis *a, PlannedStmt *stmt, Plan *plan);

static void
touch_scan_list(PgxcAnalysis *a, PlannedStmt *stmt, List *plans)
{
	ListCell *lc;

	foreach (lc, plans)
		touch_scans(a, stmt, (Plan *) lfirst(lc));
}

/* Mark what this part of the plan reads. */
static void
touch_scans(PgxcAnalysis *a, PlannedStmt *stmt, Plan *plan)
{
	if (plan == NULL || is_dead(plan))
		return;
	switch (nodeTag(plan))
	{
		case T_SeqScan:
		case T_SampleScan:
		case T_IndexScan:
		case T_IndexOnlyScan:
		case T_BitmapHeapScan:
		case T_TidRangeScan:
		{
			Index index = ((Scan *) plan)->scanrelid;
			RangeTblEntry *rte = rt_fetch(index, stmt->rtable);

			if (reads_rows(plan, rte->relid))
				pgxc_touch_work(a, rte->relid, AccessShareLock, PGXC_WORK_SCAN,
								"the query reads it");
			break;
		}
		case T_Append:
			touch_scan_list(a, stmt, ((Append *) plan)->appendplans);
			break;
		case T_MergeAppend:
			touch_scan_list(a, stmt, ((MergeAppend *) plan)->mergeplans);
			break;
		case T_SubqueryScan:
			touch_scans(a, stmt, ((SubqueryScan *) plan)->subplan);
			break;
		case T_CustomScan:
			touch_scan_list(a, stmt, ((CustomScan *) plan)->custom_plans);
			break;
		default:
			break;
	}
	touch_scans(a, stmt, plan->lefttree);
	touch_scans(a, stmt, plan->righttree);
}

/* What planning has locked, and what the plan reads. */
static void
touch_plan(QueryWalk *walk, Query *query)
{
	PlannedStmt *stmt;
	ListCell *lc;
	bool snapshot = !ActiveSnapshotSet();

	if (snapshot)
		PushActiveSnapshot(GetTransactionSnapshot());
	stmt = standard_planner(query, walk->a->source ? walk->a->source : "",
							CURSOR_OPT_PARALLEL_OK, NULL);
	foreach (lc, stmt->relationOids)
		pgxc_touch(walk->a, lfirst_oid(lc), AccessShareLock);
	foreach (lc, stmt->rtable)
	{
		RangeTblEntry *rte = lfirst_node(RangeTblEntry, lc);

		if (rte->rtekind != RTE_RELATION)
			continue;
		pgxc_touch(walk->a, rte->relid, lock_of(walk, rte));
		touch_indexes(walk->a, rte->relid, lock_of(walk, rte));
	}
	touch_scans(walk->a, stmt, stmt->planTree);
	touch_scan_list(walk->a, stmt, stmt->subplans);
	if (snapshot)
		PopActiveSnapshot();
}

/* The queries of a prepared statement, rewritten already. */
static List *
prepared_queries(ExecuteStmt *execute)
{
	PreparedStatement *entry = FetchPreparedStatement(execute->name, true);

	return copyObject(entry->plansource->query_list);
}

/* Is one of the relations that the text names unknown? */
static bool
names_unknown(QueryWalk *walk)
{
	ListCell *lc;

	foreach (lc, walk->names)
	{
		RangeVar *name = lfirst_node(RangeVar, lc);

		if (name->schemaname == NULL && is_listed(walk->ctes, name->relname))
			continue;
		if (!OidIsValid(pgxc_resolve(walk->a, name)))
			return true;
	}
	return false;
}

/* Where the query cannot be analysed: what its text names. */
static void
touch_names(QueryWalk *walk)
{
	ListCell *lc;

	foreach (lc, walk->names)
	{
		RangeVar *name = lfirst_node(RangeVar, lc);
		Oid relid;

		if (name->schemaname == NULL && is_listed(walk->ctes, name->relname))
			continue;
		relid = pgxc_resolve(walk->a, name);
		if (OidIsValid(relid))
			pgxc_touch_work(walk->a, relid, AccessShareLock,
							walk->executed ? PGXC_WORK_SCAN : PGXC_WORK_NONE,
							walk->executed ? "the query reads it" : NULL);
	}
}

/* Parse analysis without the hooks of other extensions; NULL: not possible. */
static Query *
analyse_raw(QueryWalk *walk, Node *raw_query)
{
	ParseState *pstate;
	RawStmt *raw;
	Query *query;

	if (IsA(raw_query, RawStmt))
		raw_query = ((RawStmt *) raw_query)->stmt;
	raw_query = copyObject(raw_query);
	(void) raw_walker(raw_query, walk);
	if (!IsA(raw_query, SelectStmt) || walk->opaque || names_unknown(walk))
		return NULL;
	raw = makeNode(RawStmt);
	raw->stmt = raw_query;
	raw->stmt_location = -1;
	pstate = make_parsestate(NULL);
	pstate->p_sourcetext = walk->a->source ? walk->a->source : "";
	query = transformTopLevelStmt(pstate, raw);
	free_parsestate(pstate);
	return query;
}

/*
 * Note the locks that a query inside of a DDL statement takes: as parsed (an
 * expression with queries in it will do), as analysed, or an EXECUTE.  If it is executed, those of rewriting and planning
 * too, and what it reads.
 *
 * Takes ACCESS SHARE on all of that.  Throws what parse analysis and planning
 * throw.  Names that only the same text makes are passed over.
 */
void
pgxc_touch_query_relations(PgxcAnalysis *a, Node *raw_query, bool executed)
{
	QueryWalk walk = { .a = a, .executed = executed };
	List *queries;
	ListCell *lc;

	if (IsA(raw_query, Query) && ((Query *) raw_query)->utilityStmt != NULL)
		raw_query = ((Query *) raw_query)->utilityStmt;
	if (IsA(raw_query, ExecuteStmt))
	{
		if (!executed)
			return;
		queries = prepared_queries((ExecuteStmt *) raw_query);
	}
	else if (IsA(raw_query, Query))
		queries = list_make1(copyObject(raw_query));
	else
	{
		Query *query = analyse_raw(&walk, raw_query);

		if (query == NULL)
		{
			touch_names(&walk);
			return;
		}
		queries = list_make1(query);
	}

	foreach (lc, queries)
		(void) query_walker((Node *) lfirst(lc), &walk);
	if (!executed)
		return;
	if (!IsA(raw_query, ExecuteStmt))
		queries = QueryRewrite(linitial_node(Query, queries));
	foreach (lc, queries)
	{
		Query *query = lfirst_node(Query, lc);

		if (query->commandType != CMD_UTILITY)
			touch_plan(&walk, query);
	}
}
