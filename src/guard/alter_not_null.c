/*
 * alter_not_null.c
 *		ALTER COLUMN ... SET NOT NULL and DROP NOT NULL.
 *
 * From PostgreSQL 18 on NOT NULL is a constraint with a row of its own, which
 * may be NOT VALID; before, it is a mark on the column.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/alter_table.h"
#include "guard/constraint.h"

static bool
is_not_null(Relation rel, AttrNumber attnum)
{
	return TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attnotnull;
}

/* Is a check of the column, which could prove it, dropped before? */
static bool
drops_a_check(PgxcAnalysis *a, Relation rel, AttrNumber attnum)
{
	ListCell *lc;

	foreach (lc, a->changes)
	{
		PgxcChange *change = (PgxcChange *) lfirst(lc);
		Form_pg_constraint form;

		if (change->action != PGXC_ACTION_DROP ||
			change->object.classId != ConstraintRelationId)
			continue;
		form = pgxc_constraint_by_oid(change->object.objectId);
		if (form != NULL && form->contype == CONSTRAINT_CHECK &&
			form->conrelid == RelationGetRelid(rel) &&
			list_member_int(pgxc_constraint_columns(form->oid), attnum))
			return true;
	}
	return false;
}

/* A CHECK (column IS NOT NULL) that is not valid yet, or NULL. */
static char *
unproved_check(Relation rel, AttrNumber attnum)
{
	TupleConstr *constr = RelationGetDescr(rel)->constr;

	for (int i = 0; constr != NULL && i < constr->num_check; i++)
	{
		NullTest *test = (NullTest *) stringToNode(constr->check[i].ccbin);

		if (!constr->check[i].ccvalid && IsA(test, NullTest) &&
			test->nulltesttype == IS_NOT_NULL && IsA(test->arg, Var) &&
			((Var *) test->arg)->varattno == attnum)
			return constr->check[i].ccname;
	}
	return NULL;
}

/* How to come to the same without a scan under this lock. */
static char *
advise(Relation rel, const char *column, AttrNumber attnum)
{
	const char *table = pgxc_table_text(RelationGetRelid(rel));
	const char *name = quote_identifier(column);
	char *constraint = pgxc_invalid_not_null(rel, attnum);

	if (constraint != NULL)
		return psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s", table,
						quote_identifier(constraint));
	constraint = unproved_check(rel, attnum);
	if (constraint != NULL)
		return psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s; ALTER TABLE %s "
						"ALTER COLUMN %s SET NOT NULL",
						table, quote_identifier(constraint), table, name);
	constraint =
		ChooseConstraintName(RelationGetRelationName(rel), column, "not_null",
							 RelationGetNamespace(rel), NIL);
	constraint = unconstify(char *, quote_identifier(constraint));
#ifdef PGXC_HAVE_NOT_NULL_CONSTRAINTS
	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s NOT VALID; "
					"ALTER TABLE %s VALIDATE CONSTRAINT %s",
					table, constraint, name, table, constraint);
#else
	return psprintf("ALTER TABLE %s ADD CONSTRAINT %s CHECK (%s IS NOT NULL) "
					"NOT VALID; "
					"ALTER TABLE %s VALIDATE CONSTRAINT %s; "
					"ALTER TABLE %s ALTER COLUMN %s SET NOT NULL; "
					"ALTER TABLE %s DROP CONSTRAINT %s",
					table, constraint, name, table, constraint, table, name,
					table, constraint);
#endif
}

/* One table gets the mark: its rows are read unless they are known to have it. */
static void
mark(PgxcAnalysis *a, Relation rel, AttrNumber attnum, bool is_proved,
	 const char *advice, LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);

	pgxc_change_column(a, PGXC_ACTION_CONSTRAIN, relid, attnum);
	if (is_proved || (!drops_a_check(a, rel, attnum) &&
					  pgxc_not_null_is_proved(a, rel, attnum)))
		return;
	pgxc_touch_work(a, relid, lock, PGXC_WORK_SCAN,
					"no valid check constraint proves it");
	pgxc_suggest(a, relid, advice);
}

/*
 * A column that the same statement adds: if it may be null, all rows are read,
 * whatever its default.
 */
static void
mark_added(PgxcAnalysis *a, Relation rel, const char *column,
		   AlterTableStmt *stmt, LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		ListCell *t;

		if (cmd->subtype != AT_AddColumn ||
			strcmp(castNode(ColumnDef, cmd->def)->colname, column) != 0 ||
			pgxc_added_column_is_not_null(castNode(ColumnDef, cmd->def)))
			continue;
		foreach (t, pgxc_touch_tree(a, rel, stmt->relation->inh, lock))
		{
			if (RELKIND_HAS_STORAGE(get_rel_relkind(lfirst_oid(t))))
				pgxc_touch_work(a, lfirst_oid(t), lock, PGXC_WORK_SCAN,
								"no valid check constraint proves it");
		}
	}
}

#ifdef PGXC_HAVE_NOT_NULL_CONSTRAINTS

/* What SET NOT NULL finds on a table. */
typedef struct Existing
{
	bool found;
	bool valid;
	bool is_local;
	bool no_inherit;
} Existing;

static Existing
existing_constraint(Oid relid, AttrNumber attnum)
{
	HeapTuple tuple = findNotNullConstraintAttnum(relid, attnum);
	Existing existing = { 0 };

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		existing.found = true;
		existing.valid = form->convalidated;
		existing.is_local = form->conislocal;
		existing.no_inherit = form->connoinherit;
		heap_freetuple(tuple);
	}
	return existing;
}

/* A constraint that is NOT VALID becomes valid, here and in all children. */
static void
validate(PgxcAnalysis *a, Relation rel, const char *column, bool no_inherit,
		 const char *advice, LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, pgxc_touch_tree(a, rel, !no_inherit, lock))
	{
		Oid relid = lfirst_oid(lc);
		AttrNumber attnum = get_attnum(relid, column);
		Relation child;

		if (attnum <= 0 || existing_constraint(relid, attnum).valid)
			continue;
		child = relation_open(relid, AccessShareLock);
		pgxc_change_column(a, PGXC_ACTION_CONSTRAIN, relid, attnum);
		if (RELKIND_HAS_STORAGE(child->rd_rel->relkind))
		{
			pgxc_touch_work(a, relid, lock, PGXC_WORK_SCAN,
							"its not-null constraint is not valid yet");
			pgxc_suggest(a, relid, advice);
		}
		relation_close(child, NoLock);
	}
}

/* Level by level, down to where there is such a constraint. */
static void
set_not_null(PgxcAnalysis *a, Relation rel, const char *column, bool recurse,
			 bool recursing, const char *advice, LOCKMODE lock)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);
	Existing existing;
	ListCell *lc;

	if (attnum <= 0)
		return;
	existing = existing_constraint(RelationGetRelid(rel), attnum);
	if (existing.found)
	{
		if (!recursing && existing.is_local && !existing.valid)
			validate(a, rel, column, existing.no_inherit, advice, lock);
		return;
	}
	mark(a, rel, attnum, !RELKIND_HAS_STORAGE(rel->rd_rel->relkind), advice,
		 lock);
	if (!recurse)
		return;
	foreach (lc,
			 find_inheritance_children(RelationGetRelid(rel), AccessShareLock))
	{
		Relation child = relation_open(lfirst_oid(lc), AccessShareLock);

		pgxc_touch(a, RelationGetRelid(child), lock);
		set_not_null(a, child, column, true, true, advice, lock);
		relation_close(child, NoLock);
	}
}

void
pgxc_alter_set_not_null(PgxcAnalysis *a, Relation rel, const char *column,
						AlterTableStmt *stmt, LOCKMODE lock)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum == InvalidAttrNumber)
		mark_added(a, rel, column, stmt, lock);
	if (attnum > 0)
		set_not_null(a, rel, column, stmt->relation->inh, false,
					 advise(rel, column, attnum), lock);
}

/* Children lose it where it came from here only. */
void
pgxc_alter_drop_not_null(PgxcAnalysis *a, Relation rel, const char *column,
						 bool recurse, LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);
	AttrNumber attnum = get_attnum(relid, column);
	HeapTuple tuple;
	ListCell *lc;

	if (attnum <= 0 || !is_not_null(rel, attnum))
		return;
	pgxc_change_column(a, PGXC_ACTION_REDEFINE, relid, attnum);
	if (existing_constraint(relid, attnum).no_inherit)
		return;
	foreach (lc, find_inheritance_children(relid, AccessShareLock))
	{
		Oid childid = lfirst_oid(lc);
		bool ends = false;

		pgxc_touch(a, childid, lock);
		tuple = findNotNullConstraint(childid, column);
		if (HeapTupleIsValid(tuple))
		{
			Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

			ends = recurse && form->coninhcount == 1 && !form->conislocal;
			heap_freetuple(tuple);
		}
		if (ends)
		{
			Relation child = relation_open(childid, AccessShareLock);

			pgxc_alter_drop_not_null(a, child, column, true, lock);
			relation_close(child, NoLock);
		}
	}
}

#else

void
pgxc_alter_set_not_null(PgxcAnalysis *a, Relation rel, const char *column,
						AlterTableStmt *stmt, LOCKMODE lock)
{
	bool is_partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);
	bool recurse = stmt->relation->inh || is_partitioned;
	char *advice;
	ListCell *lc;

	if (attnum == InvalidAttrNumber)
		mark_added(a, rel, column, stmt, lock);
	if (attnum <= 0)
		return;
	/* Partitions of a marked parent are marked: nobody looks at them. */
	if (is_partitioned && is_not_null(rel, attnum))
		return;
	advice = advise(rel, column, attnum);
	/* With ONLY, partitions are looked at whether they are marked. */
	foreach (lc, pgxc_touch_tree(a, rel, recurse, lock))
	{
		Oid relid = lfirst_oid(lc);
		Relation child = relation_open(relid, AccessShareLock);

		attnum = get_attnum(relid, column);
		if (attnum > 0 && !is_not_null(child, attnum))
			mark(a, child, attnum, !RELKIND_HAS_STORAGE(child->rd_rel->relkind),
				 advice, lock);
		relation_close(child, NoLock);
	}
}

void
pgxc_alter_drop_not_null(PgxcAnalysis *a, Relation rel, const char *column,
						 bool recurse, LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, pgxc_touch_tree(a, rel, recurse, lock))
	{
		AttrNumber attnum = get_attnum(lfirst_oid(lc), column);

		if (attnum > 0)
			pgxc_change_column(a, PGXC_ACTION_REDEFINE, lfirst_oid(lc), attnum);
	}
}

#endif
