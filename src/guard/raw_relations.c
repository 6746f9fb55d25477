/*
 * raw_relations.c
 *		The relations that a query's text names, without analysing it: where
 *		the names of parameters, of NEW and OLD are not known yet, or where
 *		analysing would lock what the query writes to.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_rewrite.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "rewrite/prs2lock.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/raw_relations.h"

typedef struct RawWalk
{
	PgxcAnalysis *a;
	bool rewritten;   /* locks what is behind views and rules, too */
	bool stored;      /* kept as an expression: depends on what it names */
	Oid value_type;   /* of VALUE, in a domain's expression */
	List *ctes;       /* names of WITH, of String */
	List *row_locked; /* aliases of FOR UPDATE OF, of String */
	int all_locked;   /* inside of a FOR UPDATE of everything: depth */
} RawWalk;

static void touch_behind(PgxcAnalysis *a, Oid relid, LOCKMODE lock);

static bool
is_listed(List *names, const char *name)
{
	ListCell *lc;

	foreach (lc, names)
	{
		if (name && strcmp(strVal(lfirst(lc)), name) == 0)
			return true;
	}
	return false;
}

static void
touch_name(RawWalk *walk, RangeVar *name, LOCKMODE lock)
{
	Oid relid;

	if (name == NULL ||
		(name->schemaname == NULL && is_listed(walk->ctes, name->relname)))
		return;
	relid = pgxc_resolve(walk->a, name);
	if (!OidIsValid(relid))
		return;
	if (lock == AccessShareLock &&
		(walk->all_locked > 0 ||
		 is_listed(walk->row_locked,
				   name->alias ? name->alias->aliasname : name->relname)))
		lock = RowShareLock;
	pgxc_touch_relation(walk->a, relid, lock);
	if (walk->rewritten)
		touch_behind(walk->a, relid, lock);
}

/* A name in a string constant. */
static void
touch_constant(RawWalk *walk, Node *arg)
{
	List *names;

	if (arg == NULL || !IsA(arg, A_Const) || ((A_Const *) arg)->isnull ||
		!IsA(&((A_Const *) arg)->val, String))
		return;
	names = pgxc_split_qualified_name(strVal(&((A_Const *) arg)->val));
	if (list_length(names) <= 3)
		pgxc_touch_relation(walk->a, pgxc_resolve_names(walk->a, names),
							AccessShareLock);
}

static bool
is_sequence_function(List *names)
{
	static const char *const functions[] = { "nextval", "currval", "setval" };

	for (int i = 0; i < lengthof(functions); i++)
	{
		if (strcmp(strVal(llast(names)), functions[i]) == 0)
			return true;
	}
	return false;
}

/* Is it VALUE? */
static bool
is_value(Node *node)
{
	ColumnRef *ref = (ColumnRef *) node;

	return IsA(node, ColumnRef) && list_length(ref->fields) == 1 &&
		   IsA(linitial(ref->fields), String) &&
		   strcmp(strVal(linitial(ref->fields)), "value") == 0;
}

/* A field of a composite value: whoever keeps it depends on the type's row. */
static void
touch_field(RawWalk *walk, A_Indirection *field)
{
	Oid typid = InvalidOid;

	if (field->indirection == NIL || !IsA(linitial(field->indirection), String))
		return;
	if (is_value(field->arg))
		typid = walk->value_type;
	else if (IsA(field->arg, TypeCast))
		typid =
			LookupTypeNameOid(NULL, ((TypeCast *) field->arg)->typeName, true);
	if (!OidIsValid(typid))
		return;
	pgxc_touch_relation(walk->a, get_typ_typrelid(getBaseType(typid)),
						AccessShareLock);
}

/* An expression that is kept depends on the relations in its constants. */
static void
touch_constants(RawWalk *walk, Node *node)
{
	if (IsA(node, TypeCast))
	{
		TypeCast *cast = (TypeCast *) node;

		if (cast->typeName->names != NIL &&
			strcmp(strVal(llast(cast->typeName->names)), "regclass") == 0)
			touch_constant(walk, cast->arg);
	}
	else if (IsA(node, A_Indirection))
		touch_field(walk, (A_Indirection *) node);
	else if (IsA(node, FuncCall))
	{
		FuncCall *call = (FuncCall *) node;

		if (call->args != NIL && is_sequence_function(call->funcname))
			touch_constant(walk, linitial(call->args));
	}
}

/* Its names count inside only, but no query uses one name for both. */
static void
note_with(RawWalk *walk, WithClause *with)
{
	ListCell *lc;

	foreach (lc, with ? with->ctes : NIL)
	{
		CommonTableExpr *cte = lfirst_node(CommonTableExpr, lc);

		walk->ctes = lappend(walk->ctes, makeString(cte->ctename));
	}
}

static bool raw_walker(Node *node, void *context);

static bool
walk_select(SelectStmt *select, RawWalk *walk)
{
	ListCell *lc;
	bool all = false;

	note_with(walk, select->withClause);
	foreach (lc, select->lockingClause)
	{
		LockingClause *clause = lfirst_node(LockingClause, lc);
		ListCell *name;

		all |= clause->lockedRels == NIL;
		foreach (name, clause->lockedRels)
			walk->row_locked =
				lappend(walk->row_locked,
						makeString(lfirst_node(RangeVar, name)->relname));
	}
	select->lockingClause = NIL;
	walk->all_locked += all;
	(void) raw_expression_tree_walker((Node *) select->fromClause, raw_walker,
									  walk);
	walk->all_locked -= all;
	select->fromClause = NIL;
	return raw_expression_tree_walker((Node *) select, raw_walker, walk);
}

static bool
raw_walker(Node *node, void *context)
{
	RawWalk *walk = (RawWalk *) context;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_RangeVar:
			touch_name(walk, (RangeVar *) node, AccessShareLock);
			return false;
		case T_SelectStmt:
			return walk_select((SelectStmt *) node, walk);
		case T_InsertStmt:
			note_with(walk, ((InsertStmt *) node)->withClause);
			touch_name(walk, ((InsertStmt *) node)->relation, RowExclusiveLock);
			break;
		case T_UpdateStmt:
			note_with(walk, ((UpdateStmt *) node)->withClause);
			touch_name(walk, ((UpdateStmt *) node)->relation, RowExclusiveLock);
			break;
		case T_DeleteStmt:
			note_with(walk, ((DeleteStmt *) node)->withClause);
			touch_name(walk, ((DeleteStmt *) node)->relation, RowExclusiveLock);
			break;
		case T_MergeStmt:
			note_with(walk, ((MergeStmt *) node)->withClause);
			touch_name(walk, ((MergeStmt *) node)->relation, RowExclusiveLock);
			break;
		default:
			if (walk->stored)
				touch_constants(walk, node);
			break;
	}
	return raw_expression_tree_walker(node, raw_walker, walk);
}

/* What stands behind a relation's name when a query is rewritten. */
typedef struct BehindWalk
{
	PgxcAnalysis *a;
	Oid relid;
	LOCKMODE target; /* on what the query reads first of all */
} BehindWalk;

static bool
behind_walker(Node *node, void *context)
{
	BehindWalk *walk = (BehindWalk *) context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeTblEntry))
	{
		RangeTblEntry *rte = (RangeTblEntry *) node;

		if (rte->rtekind == RTE_RELATION && rte->relid != walk->relid)
		{
			LOCKMODE lock = Max(walk->target, rte->rellockmode);

			pgxc_touch_relation(walk->a, rte->relid, lock);
			touch_behind(walk->a, rte->relid, lock);
		}
		return false;
	}
	if (IsA(node, Query))
		return query_tree_walker((Query *) node, behind_walker, walk,
								 QTW_EXAMINE_RTES_BEFORE);
	return expression_tree_walker(node, behind_walker, walk);
}

/* Does a query that takes this lock on the relation set off the rule? */
static bool
is_rule_used(RewriteRule *rule, LOCKMODE lock)
{
	if (rule->event == CMD_SELECT)
		return true;
	return lock >= RowExclusiveLock;
}

/*
 * What a query that is rewritten locks beyond what it names.  Which of the
 * rules of a table that is written to is used depends on the command; all are
 * taken.
 */
static void
touch_behind(PgxcAnalysis *a, Oid relid, LOCKMODE lock)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		return;
	check_stack_depth();
	for (int i = 0; rel->rd_rules != NULL && i < rel->rd_rules->numLocks; i++)
	{
		RewriteRule *rule = rel->rd_rules->rules[i];
		BehindWalk walk = { .a = a,
							.relid = relid,
							.target = rule->event == CMD_SELECT
										  ? lock
										  : AccessShareLock };

		if (rel->rd_rel->relkind == RELKIND_MATVIEW ||
			!is_rule_used(rule, lock))
			continue;
		(void) behind_walker((Node *) rule->actions, &walk);
		(void) behind_walker(rule->qual, &walk);
	}
	relation_close(rel, NoLock);
}

/*
 * The locks that parse analysis of a query takes on the relations that it
 * names; with rewritten, those of rewriting, too; with stored, those of keeping
 * it in the catalog.  The query is raw, or a list of such, and is changed;
 * utility commands count only for a query inside.  Takes ACCESS SHARE.
 */
void
pgxc_touch_raw_query(PgxcAnalysis *a, Node *raw, bool rewritten, bool stored)
{
	RawWalk walk = { .a = a, .rewritten = rewritten, .stored = stored };
	ListCell *lc;

	if (raw == NULL)
		return;
	switch (nodeTag(raw))
	{
		case T_RawStmt:
			pgxc_touch_raw_query(a, ((RawStmt *) raw)->stmt, rewritten, stored);
			break;
		case T_List:
			foreach (lc, (List *) raw)
				pgxc_touch_raw_query(a, lfirst(lc), rewritten, stored);
			break;
		case T_ExplainStmt:
			pgxc_touch_raw_query(a, ((ExplainStmt *) raw)->query, false,
								 stored);
			break;
		case T_CreateTableAsStmt:
			pgxc_touch_raw_query(a, ((CreateTableAsStmt *) raw)->query, false,
								 stored);
			break;
		case T_DeclareCursorStmt:
			pgxc_touch_raw_query(a, ((DeclareCursorStmt *) raw)->query, false,
								 stored);
			break;
		case T_ReturnStmt:
			(void) raw_walker(((ReturnStmt *) raw)->returnval, &walk);
			break;
		case T_SelectStmt:
		case T_InsertStmt:
		case T_UpdateStmt:
		case T_DeleteStmt:
		case T_MergeStmt:
			(void) raw_walker(raw, &walk);
			break;
		default:
			break;
	}
}

/*
 * The same of a raw expression that is kept in the catalog: what its
 * subqueries read, and the sequences and tables in its constants, on which it
 * depends from then on.
 */
void
pgxc_touch_raw_expression(PgxcAnalysis *a, Node *expr)
{
	RawWalk walk = { .a = a, .stored = true };

	if (expr != NULL)
		(void) raw_walker(expr, &walk);
}

/*
 * The same as pgxc_touch_raw_expression(), of a domain's: VALUE is of this type.
 */
void
pgxc_touch_domain_expression(PgxcAnalysis *a, Node *expr, Oid value_type)
{
	RawWalk walk = { .a = a, .stored = true, .value_type = value_type };

	if (expr != NULL)
		(void) raw_walker(expr, &walk);
}
