/*
 * analyse_owner.c
 *		ALTER ... SET SCHEMA, ALTER ... OWNER TO and REASSIGN OWNED.
 *
 * ALTER TABLE ... OWNER TO is a subcommand of ALTER TABLE and not here.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_shdepend.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"

static PgxcChange *
cascade_to(PgxcAnalysis *a, PgxcAction action, Oid classid, Oid objid)
{
	PgxcChange *change = pgxc_change(a, action, classid, objid, 0);

	change->cascade = true;
	return change;
}

/* The sequences that belong to a column of the relation. */
static List *
owned_sequences(Oid relid)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	List *relids = NIL;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan =
		systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refobjsubid != 0 && form->classid == RelationRelationId &&
			form->objsubid == 0 &&
			(form->deptype == DEPENDENCY_AUTO ||
			 form->deptype == DEPENDENCY_INTERNAL) &&
			get_rel_relkind(form->objid) == RELKIND_SEQUENCE)
			relids = lappend_oid(relids, form->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return relids;
}

/* Its indexes are moved without a lock on them, its sequences with one. */
static void
move_relation(PgxcAnalysis *a, Oid relid, bool moves, bool cascade)
{
	Relation rel = relation_open(relid, AccessShareLock);
	char relkind = rel->rd_rel->relkind;
	ListCell *lc;

	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	if (moves)
		pgxc_change(a, PGXC_ACTION_RENAME, RelationRelationId, relid, 0)
			->cascade = cascade;
	if (relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
		relkind == RELKIND_PARTITIONED_TABLE)
	{
		foreach (lc, RelationGetIndexList(rel))
		{
			if (moves)
				cascade_to(a, PGXC_ACTION_RENAME, RelationRelationId,
						   lfirst_oid(lc));
		}
		foreach (lc, owned_sequences(relid))
		{
			pgxc_touch_relation(a, lfirst_oid(lc), AccessExclusiveLock);
			if (moves)
				cascade_to(a, PGXC_ACTION_RENAME, RelationRelationId,
						   lfirst_oid(lc));
		}
	}
	relation_close(rel, NoLock);
}

/* Every member of an extension moves. */
static void
move_extension(PgxcAnalysis *a, Oid extension)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(ExtensionRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(extension));
	scan =
		systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->deptype != DEPENDENCY_EXTENSION)
			continue;
		if (form->classid == RelationRelationId)
			move_relation(a, form->objid, true, true);
		else
			cascade_to(a, PGXC_ACTION_RENAME, form->classid, form->objid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/*
 * What ALTER ... SET SCHEMA does.
 */
void
pgxc_analyse_set_schema(PgxcAnalysis *a, AlterObjectSchemaStmt *stmt)
{
	Oid schema = get_namespace_oid(stmt->newschema, true);
	Oid oid;

	switch (stmt->objectType)
	{
		case OBJECT_TABLE:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
			oid = pgxc_resolve(a, stmt->relation);
			if (OidIsValid(oid))
				move_relation(a, oid, get_rel_namespace(oid) != schema, false);
			break;
		case OBJECT_EXTENSION:
			oid = get_extension_oid(strVal(stmt->object), true);
			if (OidIsValid(oid))
				move_extension(a, oid);
			break;
		case OBJECT_TYPE:
		case OBJECT_DOMAIN:
			pgxc_change_named_object(a, PGXC_ACTION_RENAME, stmt->objectType,
									 (Node *) makeTypeNameFromNameList(
										 castNode(List, stmt->object)));
			break;
		default:
			pgxc_change_named_object(a, PGXC_ACTION_RENAME, stmt->objectType,
									 stmt->object);
			break;
	}
}

/*
 * What ALTER ... OWNER TO does, of anything but a relation: locks none but the
 * one of a composite type.
 */
void
pgxc_analyse_owner(PgxcAnalysis *a, AlterOwnerStmt *stmt)
{
	Node *object = stmt->object;

	if (stmt->objectType == OBJECT_TYPE || stmt->objectType == OBJECT_DOMAIN)
	{
		(void) pgxc_touch_type(a, castNode(List, stmt->object),
							   AccessExclusiveLock);
		object =
			(Node *) makeTypeNameFromNameList(castNode(List, stmt->object));
	}
	pgxc_change_named_object(a, PGXC_ACTION_REDEFINE, stmt->objectType, object);
}

/* The indexes are locked only where the owner changes. */
static void
reassign_relation(PgxcAnalysis *a, Oid relid, Oid newowner)
{
	Relation rel = relation_open(relid, AccessShareLock);
	char relkind = rel->rd_rel->relkind;
	ListCell *lc;

	pgxc_touch_relation(a, relid, AccessExclusiveLock);
	if (rel->rd_rel->relowner != newowner)
	{
		cascade_to(a, PGXC_ACTION_REDEFINE, RelationRelationId, relid);
		if (relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW ||
			relkind == RELKIND_PARTITIONED_TABLE)
		{
			foreach (lc, RelationGetIndexList(rel))
				pgxc_touch_relation(a, lfirst_oid(lc), AccessExclusiveLock);
			foreach (lc, owned_sequences(relid))
				pgxc_touch_relation(a, lfirst_oid(lc), AccessExclusiveLock);
		}
	}
	relation_close(rel, NoLock);
}

static void
reassign_from(PgxcAnalysis *a, Oid owner, Oid newowner)
{
	Relation depend = table_open(SharedDependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(AuthIdRelationId));
	ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(owner));
	scan = systable_beginscan(depend, SharedDependReferenceIndexId, true, NULL,
							  2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_shdepend form = (Form_pg_shdepend) GETSTRUCT(tuple);

		if (form->deptype != SHARED_DEPENDENCY_OWNER ||
			(form->dbid != MyDatabaseId && OidIsValid(form->dbid)))
			continue;
		if (form->classid == RelationRelationId)
			reassign_relation(a, form->objid, newowner);
		else if (owner != newowner)
		{
			cascade_to(a, PGXC_ACTION_REDEFINE, form->classid, form->objid);
			if (form->classid == TypeRelationId &&
				get_typtype(form->objid) == TYPTYPE_COMPOSITE)
				pgxc_touch_relation(a, get_typ_typrelid(form->objid),
									AccessExclusiveLock);
		}
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/*
 * What REASSIGN OWNED does: ALTER ... OWNER TO of all that the roles have in
 * this database.
 */
void
pgxc_analyse_reassign_owned(PgxcAnalysis *a, ReassignOwnedStmt *stmt)
{
	Oid newowner = get_rolespec_oid(stmt->newrole, true);
	ListCell *lc;

	if (!OidIsValid(newowner))
		return;
	foreach (lc, stmt->roles)
	{
		Oid owner = get_rolespec_oid(lfirst_node(RoleSpec, lc), true);

		if (OidIsValid(owner) && !IsPinnedObject(AuthIdRelationId, owner))
			reassign_from(a, owner, newowner);
	}
}
