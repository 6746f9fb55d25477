/*
 * constraint_def.c
 *		ADD CONSTRAINT, and the constraints of a new column.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/pg_am.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "commands/tablecmds.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/paths.h"
#include "partitioning/partdesc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/constraint.h"

/* ---- CHECK ------------------------------------------------------------- */

/*
 * A relation and its children get the constraint, except where there is one of
 * that name already: that one is the same, or the server refuses.
 */
static void
add_check(PgxcAnalysis *a, Relation rel, const Constraint *constraint,
		  LOCKMODE lock, bool validate)
{
	ListCell *lc;

	if (validate)
		(void) pgxc_touch_work(a, RelationGetRelid(rel), lock, PGXC_WORK_SCAN,
							   "every row is checked");
	if (constraint->is_no_inherit)
		return;
	foreach (lc,
			 find_inheritance_children(RelationGetRelid(rel), AccessShareLock))
	{
		Oid childid = lfirst_oid(lc);
		Relation child = relation_open(childid, AccessShareLock);

		(void) pgxc_touch(a, childid, lock);
		if (constraint->conname == NULL ||
			pgxc_constraint_by_name(childid, constraint->conname) == NULL)
			add_check(a, child, constraint, lock, validate);
		relation_close(child, NoLock);
	}
}

/* ---- NOT NULL ---------------------------------------------------------- */

/* One column of one table becomes NOT NULL. */
static void
set_not_null(PgxcAnalysis *a, Relation rel, const char *column, LOCKMODE lock)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum != InvalidAttrNumber && !pgxc_not_null_is_proved(a, rel, attnum))
		(void) pgxc_touch_work(a, RelationGetRelid(rel), lock, PGXC_WORK_SCAN,
							   psprintf("no valid constraint proves that "
										"column %s has no null",
										quote_identifier(column)));
}

static bool
is_marked_not_null(Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	return attnum < 0 ||
		   (attnum > 0 &&
			TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attnotnull);
}

/*
 * A NOT NULL constraint (18) comes, on a table and on those children that have
 * none.  One that is there ends the recursion.  validate says whether rows are
 * looked at, where nothing proves them good.
 */
void
pgxc_add_not_null(PgxcAnalysis *a, Relation rel, const char *column,
				  LOCKMODE lock, bool inherit, bool validate)
{
	ListCell *lc;

	if (is_marked_not_null(rel, column))
		return;
	if (validate)
		set_not_null(a, rel, column, lock);
	if (!inherit)
		return;
	foreach (lc,
			 find_inheritance_children(RelationGetRelid(rel), AccessShareLock))
	{
		Relation child = relation_open(lfirst_oid(lc), AccessShareLock);

		(void) pgxc_touch(a, lfirst_oid(lc), lock);
		pgxc_add_not_null(a, child, column, lock, true, validate);
		relation_close(child, NoLock);
	}
}

#ifdef PGXC_HAVE_NOT_NULL_CONSTRAINTS
/* A primary key wants its columns NOT NULL in all children, even with ONLY. */
static void
add_primary_not_null(PgxcAnalysis *a, Relation rel, const char *column,
					 bool inherit, LOCKMODE lock)
{
	if (is_marked_not_null(rel, column))
		return;
	pgxc_touch_descendants(a, RelationGetRelid(rel), lock);
	pgxc_add_not_null(a, rel, column, lock, true, true);
}
#else
/*
 * A primary key sets its columns NOT NULL as SET NOT NULL would; with ONLY, on
 * a partitioned table, the partitions are asked whether they are.
 */
static void
add_primary_not_null(PgxcAnalysis *a, Relation rel, const char *column,
					 bool inherit, LOCKMODE lock)
{
	bool partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	ListCell *lc;

	if (partitioned && is_marked_not_null(rel, column))
		return;
	if (!inherit && !partitioned)
	{
		set_not_null(a, rel, column, lock);
		return;
	}
	foreach (lc,
			 find_all_inheritors(RelationGetRelid(rel), AccessShareLock, NULL))
	{
		Relation child = relation_open(lfirst_oid(lc), AccessShareLock);

		(void) pgxc_touch(a, lfirst_oid(lc), lock);
		if (inherit)
			set_not_null(a, child, column, lock);
		relation_close(child, NoLock);
	}
}
#endif

/* ---- UNIQUE, PRIMARY KEY, EXCLUDE -------------------------------------- */

static bool
column_is(Relation rel, AttrNumber attnum, const Node *name)
{
	return attnum > 0 &&
		   get_attnum(RelationGetRelid(rel), strVal(name)) == attnum;
}

/* Is this index of a partition what the constraint would have made? */
static bool
is_same_index(Relation partition, Oid indexid, const Constraint *constraint)
{
	Relation index = relation_open(indexid, AccessShareLock);
	Form_pg_index form = index->rd_index;
	int nkeys = list_length(constraint->keys);
	bool same;

	same = form->indisunique && !index->rd_rel->relispartition &&
		   form->indnullsnotdistinct == constraint->nulls_not_distinct &&
		   form->indnkeyatts == nkeys &&
		   form->indnatts == nkeys + list_length(constraint->including) &&
		   index->rd_rel->relam == BTREE_AM_OID &&
		   RelationGetIndexPredicate(index) == NIL &&
		   OidIsValid(get_index_constraint(indexid));
	for (int i = 0; same && i < form->indnatts; i++)
	{
		AttrNumber attnum = form->indkey.values[i];
		Node *name = i < nkeys ? list_nth(constraint->keys, i)
							   : list_nth(constraint->including, i - nkeys);

		same = column_is(partition, attnum, name);
		if (same && i < nkeys)
		{
			Form_pg_attribute attr =
				TupleDescAttr(RelationGetDescr(partition), attnum - 1);
			Oid opclass = GetDefaultOpClass(attr->atttypid, BTREE_AM_OID);

			same = index->rd_indcollation[i] == attr->attcollation &&
				   OidIsValid(opclass) &&
				   index->rd_opfamily[i] == get_opclass_family(opclass);
		}
	}
	relation_close(index, NoLock);
	return same;
}

/* Such an index becomes part of the new one. */
static bool
attach_existing(PgxcAnalysis *a, Relation partition,
				const Constraint *constraint)
{
	ListCell *lc;

	if (constraint->contype == CONSTR_EXCLUSION ||
		pgxc_constraint_def_period(constraint))
		return false;
	foreach (lc, RelationGetIndexList(partition))
	{
		if (is_same_index(partition, lfirst_oid(lc), constraint))
		{
			(void) pgxc_touch(a, lfirst_oid(lc), ShareLock);
			return true;
		}
	}
	return false;
}

/* An index is built on the table, or on each partition that has none. */
static void
build_index(PgxcAnalysis *a, Relation rel, const Constraint *constraint,
			bool inherit, LOCKMODE lock)
{
	PartitionDesc partitions;

	if (rel->rd_rel->relkind == RELKIND_RELATION ||
		rel->rd_rel->relkind == RELKIND_MATVIEW)
		(void) pgxc_touch_work(a, RelationGetRelid(rel), lock,
							   PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD,
							   "an index is built");
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE || !inherit)
		return;
	partitions = RelationGetPartitionDesc(rel, true);
	for (int i = 0; i < partitions->nparts; i++)
	{
		Relation partition =
			relation_open(partitions->oids[i], AccessShareLock);

		(void) pgxc_touch(a, partitions->oids[i], ShareLock);
		if (!attach_existing(a, partition, constraint))
			build_index(a, partition, constraint, true, ShareLock);
		relation_close(partition, NoLock);
	}
}

/* The index of USING INDEX, which is looked for beside the table. */
static Oid
using_index(Relation rel, const Constraint *constraint)
{
	Oid indexid =
		get_relname_relid(constraint->indexname, RelationGetNamespace(rel));

	return OidIsValid(indexid) && get_rel_relkind(indexid) == RELKIND_INDEX
			   ? indexid
			   : InvalidOid;
}

/* The columns of a UNIQUE or PRIMARY KEY, by name, with USING INDEX also. */
List *
pgxc_key_columns(Relation rel, const Constraint *constraint)
{
	List *names = NIL;
	Oid indexid;
	Relation index;

	if (constraint->indexname == NULL)
		return constraint->keys;
	indexid = using_index(rel, constraint);
	if (!OidIsValid(indexid))
		return NIL;
	index = relation_open(indexid, AccessShareLock);
	for (int i = 0; i < index->rd_index->indnkeyatts; i++)
	{
		AttrNumber attnum = index->rd_index->indkey.values[i];
		char *name = attnum > 0
						 ? get_attname(RelationGetRelid(rel), attnum, true)
						 : NULL;

		if (name != NULL)
			names = lappend(names, makeString(name));
	}
	relation_close(index, NoLock);
	return names;
}

static void
add_index_constraint(PgxcAnalysis *a, Relation rel,
					 const Constraint *constraint, bool inherit,
					 bool new_column, LOCKMODE lock)
{
	ListCell *lc;

	if (constraint->contype == CONSTR_PRIMARY && !new_column)
	{
		foreach (lc, pgxc_key_columns(rel, constraint))
			add_primary_not_null(a, rel, strVal(lfirst(lc)), inherit, lock);
	}
	if (constraint->indexname == NULL)
		build_index(a, rel, constraint, inherit, lock);
	else if (OidIsValid(using_index(rel, constraint)))
		(void) pgxc_touch(a, using_index(rel, constraint),
						  constraint->conname == NULL ||
								  strcmp(constraint->conname,
										 constraint->indexname) == 0
							  ? AccessShareLock
							  : ShareUpdateExclusiveLock);
}

/* ---- all of them ------------------------------------------------------- */

/* Rows with certain values in these columns are welcome no more. */
static void
constrain_columns(PgxcAnalysis *a, Relation rel, List *names)
{
	ListCell *lc;

	foreach (lc, names)
	{
		AttrNumber attnum =
			get_attnum(RelationGetRelid(rel), strVal(lfirst(lc)));

		if (attnum > 0)
			(void) pgxc_change_column(a, PGXC_ACTION_CONSTRAIN,
									  RelationGetRelid(rel), attnum);
	}
}

/* The column of this statement that the constraint was written at. */
static const ColumnDef *
column_of(AlterTableStmt *stmt, const Constraint *constraint)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		Node *def = lfirst_node(AlterTableCmd, lc)->def;

		if (def != NULL && IsA(def, ColumnDef) &&
			list_member_ptr(((ColumnDef *) def)->constraints, constraint))
			return (ColumnDef *) def;
	}
	return NULL;
}

static bool
is_serial(const ColumnDef *column)
{
	static const char *const names[] = {
		"smallserial", "serial2", "serial", "serial4", "bigserial", "serial8"
	};

	if (column->typeName == NULL || list_length(column->typeName->names) != 1)
		return false;
	for (int i = 0; i < lengthof(names); i++)
		if (strcmp(strVal(linitial(column->typeName->names)), names[i]) == 0)
			return true;
	return false;
}

/*
 * A foreign key of a new column is checked only if the column has values; that
 * identity gives it some the server does not consider.
 */
static bool
has_default(const ColumnDef *column)
{
	ListCell *lc;

	if (column->raw_default != NULL || is_serial(column))
		return true;
	foreach (lc, column->constraints)
	{
		ConstrType type = lfirst_node(Constraint, lc)->contype;

		if (type == CONSTR_DEFAULT || type == CONSTR_GENERATED)
			return true;
	}
	return false;
}

/* Are existing rows checked? */
static bool
is_validated(AlterTableStmt *stmt, const Constraint *constraint,
			 bool new_column)
{
	const ColumnDef *column;

	if (constraint->skip_validation ||
		!pgxc_constraint_def_enforced(constraint))
		return false;
	if (!new_column)
		return true;
	column = column_of(stmt, constraint);
	if (column == NULL)
		return true;
	if (pgxc_constraint_not_enforced_here(column->constraints, constraint))
		return false;
	return constraint->contype != CONSTR_FOREIGN || has_default(column);
}

static bool
collect_column(Node *node, void *names)
{
	if (node == NULL)
		return false;
	if (IsA(node, ColumnRef))
	{
		Node *last = llast(((ColumnRef *) node)->fields);

		if (IsA(last, String) && !list_member(*(List **) names, last))
			*(List **) names = lappend(*(List **) names, last);
		return false;
	}
	return raw_expression_tree_walker(node, collect_column, names);
}

/* The columns that a constraint looks at, by name. */
List *
pgxc_constraint_def_columns(Relation rel, const Constraint *constraint)
{
	List *names = NIL;
	ListCell *lc;

	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			(void) collect_column(constraint->raw_expr, &names);
			return names;
		case CONSTR_FOREIGN:
			return constraint->fk_attrs;
		case CONSTR_EXCLUSION:
			foreach (lc, constraint->exclusions)
			{
				IndexElem *elem = linitial_node(IndexElem, lfirst(lc));

				if (elem->name != NULL)
					names = lappend(names, makeString(elem->name));
				else
					(void) collect_column(elem->expr, &names);
			}
			return names;
		default:
			return pgxc_key_columns(rel, constraint);
	}
}

/*
 * A constraint comes: by ADD CONSTRAINT, or at a new column.
 *
 * rel is the table, locked as the statement says (the caller has said so), or
 * NULL if the statement makes it; then only a foreign key touches anything,
 * and stmt may be NULL.  What a new column's DEFAULT, NOT NULL, ... do is the
 * caller's to know: here it is nothing.
 *
 * Runs under the locks of the analysis; memory of the current context.
 */
void
pgxc_analyse_constraint_def(PgxcAnalysis *a, Relation rel,
							Constraint *constraint, AlterTableStmt *stmt,
							bool new_column)
{
	LOCKMODE lock;
	bool inherit;
	bool validate;

	if (rel == NULL)
	{
		if (constraint->contype == CONSTR_FOREIGN)
			pgxc_add_foreign_key(a, NULL, constraint, NoLock, false);
		return;
	}
	lock = AlterTableGetLockLevel(stmt->cmds);
	inherit = stmt->relation->inh;
	validate = is_validated(stmt, constraint, new_column);
	switch (constraint->contype)
	{
		case CONSTR_CHECK:
			add_check(a, rel, constraint, lock, validate);
			break;
		case CONSTR_NOTNULL:
			if (new_column || constraint->keys == NIL)
				return;
			pgxc_add_not_null(a, rel, strVal(linitial(constraint->keys)), lock,
							  !constraint->is_no_inherit, validate);
			break;
		case CONSTR_UNIQUE:
		case CONSTR_PRIMARY:
		case CONSTR_EXCLUSION:
			add_index_constraint(a, rel, constraint, inherit, new_column, lock);
			break;
		case CONSTR_FOREIGN:
			pgxc_add_foreign_key(a, rel, constraint, lock, validate);
			break;
		default:
			return;
	}
	if (pgxc_constraint_def_enforced(constraint))
		constrain_columns(a, rel, pgxc_constraint_def_columns(rel, constraint));
}
