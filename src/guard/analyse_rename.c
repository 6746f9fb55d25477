/*
 * analyse_rename.c
 *		ALTER ... RENAME.
 *
 * A relation is found by its kind, not by the statement's word for it: ALTER
 * TABLE renames indexes, views and sequences as well.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/policy.h"
#include "commands/tablecmds.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "rewrite/rewriteSupport.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"

/* A table, index, view, sequence: the row type and constraint go along. */
static void
rename_relation(PgxcAnalysis *a, RenameStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	char relkind;
	Oid constraint;

	if (!OidIsValid(relid))
		return;
	relkind = get_rel_relkind(relid);
	if (relkind == RELKIND_INDEX || relkind == RELKIND_PARTITIONED_INDEX)
	{
		pgxc_touch_relation(a, relid,
							stmt->renameType == OBJECT_INDEX
								? ShareUpdateExclusiveLock
								: AccessExclusiveLock);
		constraint = get_index_constraint(relid);
		if (OidIsValid(constraint))
			pgxc_change(a, PGXC_ACTION_RENAME, ConstraintRelationId, constraint,
						0)
				->cascade = true;
	}
	else
		pgxc_touch_relation(a, relid, AccessExclusiveLock);
	pgxc_change(a, PGXC_ACTION_RENAME, RelationRelationId, relid, 0);
}

/* The tables made OF a composite type, with their heirs. */
static List *
typed_tables(Oid typid)
{
	Relation classes = table_open(RelationRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	List *relids = NIL;

	ScanKeyInit(&key, Anum_pg_class_reloftype, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(typid));
	scan = systable_beginscan(classes, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		relids = lappend_oid(relids, ((Form_pg_class) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return relids;
}

static void
rename_columns(PgxcAnalysis *a, Oid relid, const char *column, bool recurse,
			   bool cascade)
{
	ListCell *lc;

	foreach (lc, pgxc_touch_inheritors(a, relid, recurse, AccessExclusiveLock))
	{
		Oid child = lfirst_oid(lc);
		AttrNumber attnum = get_attnum(child, column);

		if (attnum > 0)
			pgxc_change_column(a, PGXC_ACTION_RENAME, child, attnum)->cascade =
				cascade || child != relid;
	}
}

/* A column of a table or view, or an attribute of a composite type. */
static void
rename_column(PgxcAnalysis *a, RenameStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	rename_columns(a, relid, stmt->subname, stmt->relation->inh, false);
	if (get_rel_relkind(relid) != RELKIND_COMPOSITE_TYPE)
		return;
	foreach (lc, typed_tables(get_rel_type_id(relid)))
		rename_columns(a, lfirst_oid(lc), stmt->subname, true, true);
}

/* Do the children have this constraint, too, under the same name? */
static bool
is_inherited(Form_pg_constraint constraint)
{
	if (constraint->connoinherit)
		return false;
	return constraint->contype == CONSTRAINT_CHECK ||
		   constraint->contype == PGXC_CONSTRAINT_NOTNULL;
}

static void
rename_constraint_here(PgxcAnalysis *a, Oid relid, const char *name,
					   bool cascade)
{
	Oid constraint = get_relation_constraint_oid(relid, name, true);

	if (OidIsValid(constraint))
		pgxc_change(a, PGXC_ACTION_RENAME, ConstraintRelationId, constraint, 0)
			->cascade = cascade;
}

static void
rename_table_constraint(PgxcAnalysis *a, RenameStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	Oid constraint;
	HeapTuple tuple;
	Form_pg_constraint form;
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	constraint = get_relation_constraint_oid(relid, stmt->subname, true);
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	foreach (lc,
			 pgxc_touch_inheritors(a, relid,
								   stmt->relation->inh && is_inherited(form),
								   AccessExclusiveLock))
		rename_constraint_here(a, lfirst_oid(lc), stmt->subname,
							   lfirst_oid(lc) != relid);
	if (form->contype == CONSTRAINT_PRIMARY ||
		form->contype == CONSTRAINT_UNIQUE ||
		form->contype == CONSTRAINT_EXCLUSION)
	{
		pgxc_touch_relation(a, form->conindid, ShareUpdateExclusiveLock);
		pgxc_change(a, PGXC_ACTION_RENAME, RelationRelationId, form->conindid,
					0)
			->cascade = true;
	}
	ReleaseSysCache(tuple);
}

/* The clones of a trigger on one partition, however deep below. */
static void
rename_clones(PgxcAnalysis *a, Oid partition, List **parents)
{
	Relation triggers = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(partition));
	scan = systable_beginscan(triggers, TriggerRelidNameIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_trigger form = (Form_pg_trigger) GETSTRUCT(tuple);

		if (!OidIsValid(form->tgparentid) ||
			!list_member_oid(*parents, form->tgparentid))
			continue;
		*parents = lappend_oid(*parents, form->oid);
		pgxc_change(a, PGXC_ACTION_RENAME, TriggerRelationId, form->oid, 0)
			->cascade = true;
	}
	systable_endscan(scan);
	table_close(triggers, AccessShareLock);
}

/* By its new name it may fire after others: as if it were a new one. */
static void
note_new_order(PgxcAnalysis *a, Oid relid, Oid trigger, const char *name)
{
	Relation rel = relation_open(relid, AccessShareLock);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		const Trigger *found = &rel->trigdesc->triggers[i];

		if (found->tgoid == trigger && TRIGGER_FOR_BEFORE(found->tgtype) &&
			TRIGGER_FOR_ROW(found->tgtype))
			pgxc_change(a, PGXC_ACTION_ADD, RelationRelationId, relid, 0)
				->what = psprintf("trigger \"%s\"", name);
	}
	relation_close(rel, NoLock);
}

/* All partitions are locked, even if they have no clone of it. */
static void
rename_trigger(PgxcAnalysis *a, RenameStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	Oid trigger;
	List *relids;
	List *parents;
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	relids = pgxc_touch_inheritors(a, relid,
								   get_rel_relkind(relid) ==
									   RELKIND_PARTITIONED_TABLE,
								   AccessExclusiveLock);
	trigger = get_trigger_oid(relid, stmt->subname, true);
	if (!OidIsValid(trigger))
		return;
	pgxc_change(a, PGXC_ACTION_RENAME, TriggerRelationId, trigger, 0);
	note_new_order(a, relid, trigger, stmt->newname);
	parents = list_make1_oid(trigger);
	foreach (lc, relids)
		rename_clones(a, lfirst_oid(lc), &parents);
}

/* A rule or a policy. */
static void
rename_on_relation(PgxcAnalysis *a, RenameStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->relation);
	bool rule = stmt->renameType == OBJECT_RULE;
	Oid oid;

	if (!OidIsValid(relid))
		return;
	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	oid = rule ? get_rewrite_oid(relid, stmt->subname, true)
			   : get_relation_policy_oid(relid, stmt->subname, true);
	if (OidIsValid(oid))
		pgxc_change(a, PGXC_ACTION_RENAME,
					rule ? RewriteRelationId : PolicyRelationId, oid, 0);
}

/*
 * What an ALTER ... RENAME does: renames, of what is reached through
 * inheritance as well.
 */
static void
rename_object(PgxcAnalysis *a, RenameStmt *stmt)
{
	switch (stmt->renameType)
	{
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
			rename_relation(a, stmt);
			break;
		case OBJECT_COLUMN:
		case OBJECT_ATTRIBUTE:
			rename_column(a, stmt);
			break;
		case OBJECT_TABCONSTRAINT:
			rename_table_constraint(a, stmt);
			break;
		case OBJECT_TRIGGER:
			rename_trigger(a, stmt);
			break;
		case OBJECT_RULE:
		case OBJECT_POLICY:
			rename_on_relation(a, stmt);
			break;
		case OBJECT_SCHEMA:
		case OBJECT_DATABASE:
		case OBJECT_ROLE:
		case OBJECT_TABLESPACE:
			pgxc_change_named_object(a, PGXC_ACTION_RENAME, stmt->renameType,
									 (Node *) makeString(stmt->subname));
			break;
		case OBJECT_DOMCONSTRAINT:
			pgxc_change_named_object(
				a, PGXC_ACTION_RENAME, OBJECT_DOMCONSTRAINT,
				(Node *) list_make2(makeTypeNameFromNameList(
										castNode(List, stmt->object)),
									makeString(stmt->subname)));
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			(void) pgxc_touch_type(a, castNode(List, stmt->object),
								   AccessExclusiveLock);
			pgxc_change_named_object(a, PGXC_ACTION_RENAME, stmt->renameType,
									 (Node *) makeTypeNameFromNameList(
										 castNode(List, stmt->object)));
			break;
		default:
			pgxc_change_named_object(a, PGXC_ACTION_RENAME, stmt->renameType,
									 stmt->object);
			break;
	}
}

/*
 * What a statement does that gives an object another name, schema or owner.
 * Throws what the catalog look-ups throw.
 */
void
pgxc_analyse_rename(PgxcAnalysis *a, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_RenameStmt:
			rename_object(a, (RenameStmt *) stmt);
			break;
		case T_AlterObjectSchemaStmt:
			pgxc_analyse_set_schema(a, (AlterObjectSchemaStmt *) stmt);
			break;
		case T_AlterOwnerStmt:
			pgxc_analyse_owner(a, (AlterOwnerStmt *) stmt);
			break;
		case T_ReassignOwnedStmt:
			pgxc_analyse_reassign_owned(a, (ReassignOwnedStmt *) stmt);
			break;
		default:
			break;
	}
}
