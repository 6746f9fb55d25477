/*
 * index_shape.c
 *		What an index, that does not exist yet, would be like, and whether a
 *		partition has one like it.
 *
 * CREATE INDEX on a partitioned table builds nothing where a partition has a
 * matching index.  What matches, the server decides with CompareIndexInfo();
 * it is asked here with the same operands.
 */
#include "postgres.h"

#include "access/genam.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_utilcmd.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/index_shape.h"

/* A column or an expression: its number (0: expression), type, collation. */
static void
shape_attribute(PgxcIndexShape *shape, Relation rel, int i, IndexElem *elem,
				Oid *type)
{
	IndexInfo *info = shape->info;
	AttrNumber attnum = 0;
	Node *expr = elem->expr;

	if (elem->name != NULL)
	{
		attnum = get_attnum(RelationGetRelid(rel), elem->name);
		get_atttypetypmodcoll(RelationGetRelid(rel), attnum, type,
							  &(int32){ 0 }, &shape->collations[i]);
	}
	else
	{
		*type = exprType(expr);
		shape->collations[i] = exprCollation(expr);
		while (IsA(expr, CollateExpr))
			expr = (Node *) castNode(CollateExpr, expr)->arg;
		/* A column in parentheses is a column. */
		if (IsA(expr, Var) && castNode(Var, expr)->varattno != 0)
			attnum = castNode(Var, expr)->varattno;
		else
			info->ii_Expressions = lappend(info->ii_Expressions, expr);
	}
	info->ii_IndexAttrNumbers[i] = attnum;
}

/* Of a key column, what its order is. */
static void
shape_order(PgxcIndexShape *shape, int i, IndexElem *elem, Oid type,
			const char *method)
{
	Oid opclass;

	if (elem->collation != NIL)
		shape->collations[i] = get_collation_oid(elem->collation, false);
	opclass = ResolveOpClass(elem->opclass, type, method, shape->info->ii_Am);
	shape->opfamilies[i] = get_opclass_family(opclass);
}

/*
 * The index that the statement, as parsed, would make on this relation; source
 * is its text or NULL.  The relation must be locked.  Throws what PostgreSQL
 * throws for a definition that is wrong.
 */
PgxcIndexShape *
pgxc_index_shape(Relation rel, IndexStmt *parsed, const char *source)
{
	IndexStmt *stmt =
		transformIndexStmt(RelationGetRelid(rel), copyObject(parsed), source);
	PgxcIndexShape *shape = palloc0(sizeof(PgxcIndexShape));
	IndexInfo *info = makeNode(IndexInfo);
	int i = 0;
	ListCell *lc;

	shape->info = info;
	info->ii_NumIndexKeyAttrs = list_length(stmt->indexParams);
	info->ii_NumIndexAttrs =
		info->ii_NumIndexKeyAttrs + list_length(stmt->indexIncludingParams);
	if (info->ii_NumIndexAttrs > INDEX_MAX_KEYS)
		ereport(ERROR, (errcode(ERRCODE_TOO_MANY_COLUMNS),
						errmsg("cannot use more than %d columns in an index",
							   INDEX_MAX_KEYS)));
	info->ii_Am = get_index_am_oid(stmt->accessMethod, false);
	info->ii_Unique = stmt->unique;
	info->ii_NullsNotDistinct = stmt->nulls_not_distinct;
	info->ii_Predicate = make_ands_implicit((Expr *) stmt->whereClause);
	foreach (lc,
			 list_concat_copy(stmt->indexParams, stmt->indexIncludingParams))
	{
		IndexElem *elem = lfirst_node(IndexElem, lc);
		Oid type;

		shape_attribute(shape, rel, i, elem, &type);
		if (i < info->ii_NumIndexKeyAttrs)
			shape_order(shape, i, elem, type, stmt->accessMethod);
		i++;
	}
	return shape;
}

/*
 * The columns that the key is made of, in expressions too, as members of
 * pull_varattnos().
 */
Bitmapset *
pgxc_index_key_columns(const PgxcIndexShape *shape)
{
	Bitmapset *columns = NULL;

	pull_varattnos((Node *) shape->info->ii_Expressions, 1, &columns);
	for (int i = 0; i < shape->info->ii_NumIndexKeyAttrs; i++)
	{
		AttrNumber attnum = shape->info->ii_IndexAttrNumbers[i];

		if (attnum != 0)
			columns =
				bms_add_member(columns,
							   attnum - FirstLowInvalidHeapAttributeNumber);
	}
	return columns;
}

/*
 * The index of the partition that would become a part of the parent's index of
 * this shape; InvalidOid if one must be built.  Both must be locked.
 */
Oid
pgxc_find_matching_index(Relation partition, Relation parent,
						 PgxcIndexShape *shape)
{
	AttrMap *map = pgxc_attrmap_by_name(RelationGetDescr(partition),
										RelationGetDescr(parent));
	ListCell *lc;

	foreach (lc, RelationGetIndexList(partition))
	{
		Relation index;
		bool matches;

		if (has_superclass(lfirst_oid(lc)))
			continue;
		index = index_open(lfirst_oid(lc), AccessShareLock);
		matches = CompareIndexInfo(BuildIndexInfo(index), shape->info,
								   index->rd_indcollation, shape->collations,
								   index->rd_opfamily, shape->opfamilies, map);
		index_close(index, NoLock);
		if (matches)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}
