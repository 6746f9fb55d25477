/*
 * alter_constraint.c
 *		The subcommands of ALTER TABLE that are about constraints.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/constraint.h"
#include "guard/statement_text.h"

static bool
is_partitioned(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
}

/* ---- VALIDATE CONSTRAINT ----------------------------------------------- */

/*
 * A foreign key that is not valid, and those that exist because of it.  Where
 * the referenced side is partitioned, some of these are there for triggers
 * only; nobody checks their rows.
 */
static void
validate_foreign_key(PgxcAnalysis *a, Form_pg_constraint form, Oid referenced,
					 LOCKMODE lock)
{
	ListCell *lc;

	(void) pgxc_touch(a, form->conrelid, lock);
	if (!is_partitioned(form->conrelid) && form->confrelid == referenced)
		pgxc_scan_foreign_key(a, form->conrelid, referenced, lock,
							  pgxc_constraint_period(form));
#ifdef PGXC_HAVE_PARTITIONED_NOT_VALID
	foreach (lc, pgxc_constraint_children(form->oid))
	{
		Form_pg_constraint child = pgxc_constraint_by_oid(lfirst_oid(lc));

		if (child != NULL && !child->convalidated)
			validate_foreign_key(a, child, referenced, lock);
	}
#else
	(void) lc;
#endif
}

/* The child's constraint: of the same name, or NOT NULL of the same column. */
static Form_pg_constraint
constraint_of_child(Form_pg_constraint form, Oid childid)
{
	List *columns;

	if (form->contype != PGXC_CONSTRAINT_NOTNULL)
		return pgxc_constraint_by_name(childid, NameStr(form->conname));
	columns = pgxc_constraint_columns(form->oid);
	if (columns == NIL)
		return NULL;
	return pgxc_constraint_by_oid(pgxc_not_null_constraint(
		childid, get_attname(form->conrelid, linitial_int(columns), true)));
}

/* A CHECK or NOT NULL, here and in all that inherit it. */
static void
validate_rows(PgxcAnalysis *a, Form_pg_constraint form, LOCKMODE lock)
{
	List *tables =
		form->connoinherit
			? list_make1_oid(form->conrelid)
			: find_all_inheritors(form->conrelid, AccessShareLock, NULL);
	ListCell *lc;

	foreach (lc, tables)
	{
		Form_pg_constraint child = constraint_of_child(form, lfirst_oid(lc));

		(void) pgxc_touch(a, lfirst_oid(lc), lock);
		if (child != NULL && !child->convalidated)
			pgxc_touch_scan(a, lfirst_oid(lc), lock, "every row is checked");
	}
}

/* Where this transaction has a stronger lock, the next one would not. */
static void
advise_commit(PgxcAnalysis *a, LOCKMODE lock)
{
	char *text = pgxc_statement_text(a);
	ListCell *lc;

	foreach (lc, text != NULL ? a->effects : NIL)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);

		if (effect->work != PGXC_WORK_NONE && effect->lock > lock &&
			effect->alternative == NULL)
			effect->alternative = psprintf("COMMIT; %s", text);
	}
}

static void
validate_constraint(PgxcAnalysis *a, Relation rel, const char *name,
					LOCKMODE lock)
{
	Form_pg_constraint form =
		pgxc_constraint_by_name(RelationGetRelid(rel), name);

	if (form == NULL || form->convalidated || !pgxc_constraint_enforced(form))
		return;
	if (form->contype == CONSTRAINT_FOREIGN)
		validate_foreign_key(a, form, form->confrelid, lock);
	else
		validate_rows(a, form, lock);
	advise_commit(a, lock);
}

/* ---- ALTER CONSTRAINT -------------------------------------------------- */

/* The constraint's triggers come or go, on both sides, and on partitions. */
static void
alter_enforced(PgxcAnalysis *a, Form_pg_constraint form, Oid referencing,
			   Oid referenced, bool enforced, LOCKMODE lock)
{
	bool changed = pgxc_constraint_enforced(form) != enforced;
	ListCell *lc;

	(void) pgxc_touch(a, form->conrelid, lock);
	if (enforced && !changed)
		return;
	if (!enforced)
	{
		foreach (lc, pgxc_constraint_trigger_tables(form->oid))
			(void) pgxc_touch(a, lfirst_oid(lc), AccessExclusiveLock);
	}
	else
	{
		if (form->conrelid == referencing)
			(void) pgxc_touch(a, form->confrelid, ShareRowExclusiveLock);
		if (!is_partitioned(form->conrelid) && form->confrelid == referenced)
			pgxc_scan_foreign_key(a, form->conrelid, referenced, lock, false);
	}
	foreach (lc, pgxc_constraint_children(form->oid))
	{
		Form_pg_constraint child = pgxc_constraint_by_oid(lfirst_oid(lc));

		if (child != NULL)
			alter_enforced(a, child, referencing, referenced, enforced, lock);
	}
}

static void
alter_deferrable(PgxcAnalysis *a, Form_pg_constraint form,
				 const PgxcAlterConstraint *options, LOCKMODE lock)
{
	ListCell *lc;

	(void) pgxc_touch(a, form->conrelid, lock);
#ifdef PGXC_ALTER_CONSTRAINT_LOOKS_FIRST
	if (form->condeferrable == options->deferrable &&
		form->condeferred == options->initdeferred)
		return;
#endif
	foreach (lc, pgxc_constraint_children(form->oid))
	{
		Form_pg_constraint child = pgxc_constraint_by_oid(lfirst_oid(lc));

		if (child != NULL)
			alter_deferrable(a, child, options, lock);
	}
}

/* NOT NULL that was of this table alone comes to its children, or back. */
static void
alter_inherit(PgxcAnalysis *a, Form_pg_constraint form, bool noinherit,
			  LOCKMODE lock)
{
	List *columns = pgxc_constraint_columns(form->oid);
	char *column;
	ListCell *lc;

	if (form->connoinherit == noinherit || columns == NIL)
		return;
	column = get_attname(form->conrelid, linitial_int(columns), false);
	foreach (lc, find_inheritance_children(form->conrelid, AccessShareLock))
	{
		Relation child = relation_open(lfirst_oid(lc), AccessShareLock);

		(void) pgxc_touch(a, lfirst_oid(lc), lock);
		if (!noinherit)
			pgxc_add_not_null(a, child, column, lock, true, true);
		relation_close(child, NoLock);
	}
}

static void
alter_constraint(PgxcAnalysis *a, Relation rel, const Node *def, LOCKMODE lock)
{
	PgxcAlterConstraint options = pgxc_alter_constraint_options(def);
	Form_pg_constraint form =
		pgxc_constraint_by_name(RelationGetRelid(rel), options.conname);
	ListCell *lc;

	if (form == NULL)
		return;
	(void) pgxc_change(a, PGXC_ACTION_REDEFINE, ConstraintRelationId, form->oid,
					   0);
	if (options.alter_enforced && options.enforced &&
		!pgxc_constraint_enforced(form))
	{
		foreach (lc, pgxc_constraint_columns(form->oid))
			(void) pgxc_change_column(a, PGXC_ACTION_CONSTRAIN, form->conrelid,
									  lfirst_int(lc));
	}
	if (form->contype == CONSTRAINT_FOREIGN && options.alter_enforced)
		alter_enforced(a, form, form->conrelid, form->confrelid,
					   options.enforced, lock);
	if (form->contype == CONSTRAINT_FOREIGN && options.alter_deferrable &&
		(!options.alter_enforced ||
		 options.enforced == pgxc_constraint_enforced(form)))
		alter_deferrable(a, form, &options, lock);
	if (options.alter_inherit)
		alter_inherit(a, form, options.noinherit, lock);
}

/* ---- DROP CONSTRAINT --------------------------------------------------- */

static void
drop_constraint(PgxcAnalysis *a, Form_pg_constraint form, bool inherit,
				DropBehavior behavior, LOCKMODE lock)
{
	ObjectAddress *address = palloc(sizeof(ObjectAddress));
	ListCell *lc;

	if (form->contype == CONSTRAINT_FOREIGN &&
		form->confrelid != form->conrelid)
		(void) pgxc_touch(a, form->confrelid, AccessExclusiveLock);
	ObjectAddressSet(*address, ConstraintRelationId, form->oid);
	pgxc_analyse_drop_objects(a, list_make1(address), behavior);

	if (form->connoinherit || (form->contype != CONSTRAINT_CHECK &&
							   form->contype != PGXC_CONSTRAINT_NOTNULL))
		return;
	foreach (lc, find_inheritance_children(form->conrelid, AccessShareLock))
	{
		Form_pg_constraint child = constraint_of_child(form, lfirst_oid(lc));

		(void) pgxc_touch(a, lfirst_oid(lc), lock);
		/* One that has other reasons to be stays. */
		if (child != NULL && inherit && child->coninhcount == 1 &&
			!child->conislocal)
			drop_constraint(a, child, inherit, behavior, lock);
	}
}

/* Is it the last that adds a constraint? */
static bool
is_last_constraint(AlterTableStmt *stmt, const AlterTableCmd *cmd)
{
	const AlterTableCmd *last = NULL;
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AddConstraint)
			last = (AlterTableCmd *) lfirst(lc);
	}
	return cmd == last;
}

static void
add_constraint(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
			   AlterTableStmt *stmt, LOCKMODE lock)
{
	char *advice;
	ListCell *lc;

	if (!IsA(cmd->def, Constraint))
		return;
#ifdef PGXC_ADD_CONSTRAINT_LOCKS_ALL
	if (stmt->relation->inh)
		pgxc_touch_descendants(a, RelationGetRelid(rel), lock);
#endif
	pgxc_analyse_constraint_def(a, rel, (Constraint *) cmd->def, stmt, false);
	if (!is_last_constraint(stmt, cmd))
		return;
	advice = pgxc_constraint_advice(a, rel, stmt);
	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);

		if (effect->work != PGXC_WORK_NONE && effect->alternative == NULL)
			effect->alternative = advice;
	}
}

/*
 * One of these subcommands; false for another one.  lock is what the statement
 * takes on the relation.
 */
bool
pgxc_alter_constraint(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
					  AlterTableStmt *stmt, LOCKMODE lock)
{
	Form_pg_constraint form;
	bool inherit = stmt->relation->inh;

	switch (cmd->subtype)
	{
		case AT_AddConstraint:
			add_constraint(a, rel, cmd, stmt, lock);
			return true;
		case AT_ValidateConstraint:
			validate_constraint(a, rel, cmd->name, lock);
			return true;
		case AT_AlterConstraint:
			alter_constraint(a, rel, cmd->def, lock);
			return true;
		case AT_DropConstraint:
			if (rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE)
				pgxc_touch_descendants(a, RelationGetRelid(rel), lock);
			form = pgxc_constraint_by_name(RelationGetRelid(rel), cmd->name);
			if (form != NULL)
				drop_constraint(a, form, inherit, cmd->behavior, lock);
			return true;
		default:
			return false;
	}
}
