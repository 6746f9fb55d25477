/*
 * analyse_drop.c
 *		DROP of anything, DROP OWNED, DROP ROLE.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_shdepend.h"
#include "commands/user.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/analysis.h"
#include "guard/drop_closure.h"
#include "guard/pending.h"

static List *
lappend_address(List *addresses, Oid classid, Oid objid, int subid)
{
	ObjectAddress *address = palloc0(sizeof(ObjectAddress));

	ObjectAddressSubSet(*address, classid, objid, subid);
	return lappend(addresses, address);
}

/* Is this the kind of relation that DROP of that kind drops? */
static bool
kind_matches(ObjectType type, char relkind)
{
	switch (type)
	{
		case OBJECT_TABLE:
			return relkind == RELKIND_RELATION ||
				   relkind == RELKIND_PARTITIONED_TABLE;
		case OBJECT_INDEX:
			return relkind == RELKIND_INDEX ||
				   relkind == RELKIND_PARTITIONED_INDEX;
		case OBJECT_SEQUENCE:
			return relkind == RELKIND_SEQUENCE;
		case OBJECT_VIEW:
			return relkind == RELKIND_VIEW;
		case OBJECT_MATVIEW:
			return relkind == RELKIND_MATVIEW;
		case OBJECT_FOREIGN_TABLE:
			return relkind == RELKIND_FOREIGN_TABLE;
		default:
			return false;
	}
}

/*
 * The relations that are named, as addresses.  False if PostgreSQL would
 * refuse the statement.
 */
static bool
named_relations(PgxcAnalysis *a, DropStmt *stmt, List **addresses)
{
	ListCell *lc;

	foreach (lc, stmt->objects)
	{
		RangeVar *name = makeRangeVarFromNameList(lfirst_node(List, lc));
		Oid relid = pgxc_resolve(a, name);

		if (OidIsValid(relid))
		{
			if (!kind_matches(stmt->removeType, get_rel_relkind(relid)))
				return false;
			*addresses =
				lappend_address(*addresses, RelationRelationId, relid, 0);
		}
		else if (!stmt->missing_ok && pgxc_pending_is_empty(a->pending))
			return false;
	}
	return true;
}

/*
 * Dropping a partitioned index, the server locks all partitions beforehand,
 * also those that have no index of it.
 */
static void
touch_partitions(PgxcAnalysis *a, Oid index)
{
	ListCell *lc;

	if (get_rel_relkind(index) != RELKIND_PARTITIONED_INDEX)
		return;
	foreach (lc,
			 find_all_inheritors(IndexGetRelation(index, false), NoLock, NULL))
	{
		PgxcEffect *effect = pgxc_touch(a, lfirst_oid(lc), AccessExclusiveLock);

		if (effect->reason == NULL)
			effect->reason = "an index of the partitioned table is dropped";
	}
}

/* DROP INDEX CONCURRENTLY, of an index that others can see. */
static void
drop_concurrently(PgxcAnalysis *a, List *addresses, DropBehavior behavior)
{
	Oid index = ((ObjectAddress *) linitial(addresses))->objectId;
	PgxcEffect *effect;

	if (list_length(addresses) != 1 || behavior == DROP_CASCADE ||
		get_rel_relkind(index) == RELKIND_PARTITIONED_INDEX)
		return;
	(void) pgxc_drop_closure(addresses, behavior);
	effect =
		pgxc_touch(a, IndexGetRelation(index, false), ShareUpdateExclusiveLock);
	effect->reason = "an index of it is dropped concurrently";
	effect = pgxc_touch(a, index, ShareUpdateExclusiveLock);
	effect->reason = "it is dropped concurrently";
	pgxc_change(a, PGXC_ACTION_DROP, RelationRelationId, index, 0);
}

/* An index that nothing else depends on can go without stopping anybody. */
static void
advise_concurrently(PgxcAnalysis *a, DropStmt *stmt, List *addresses)
{
	Oid index = ((ObjectAddress *) linitial(addresses))->objectId;
	char *name;

	if (list_length(addresses) != 1 || list_length(a->changes) != 1 ||
		get_rel_relkind(index) != RELKIND_INDEX ||
		get_rel_persistence(index) == RELPERSISTENCE_TEMP)
		return;
	name =
		quote_qualified_identifier(get_namespace_name(get_rel_namespace(index)),
								   get_rel_name(index));
	name = psprintf("DROP INDEX CONCURRENTLY %s%s",
					stmt->missing_ok ? "IF EXISTS " : "", name);
	pgxc_effect_find(a, index)->alternative = name;
	pgxc_effect_find(a, IndexGetRelation(index, false))->alternative = name;
}

/* DROP TABLE, INDEX, SEQUENCE, VIEW, MATERIALIZED VIEW, FOREIGN TABLE */
static void
drop_relations(PgxcAnalysis *a, DropStmt *stmt)
{
	List *addresses = NIL;
	ListCell *lc;

	if (!named_relations(a, stmt, &addresses) || addresses == NIL)
		return;
	if (stmt->concurrent &&
		get_rel_persistence(
			((ObjectAddress *) linitial(addresses))->objectId) !=
			RELPERSISTENCE_TEMP)
	{
		drop_concurrently(a, addresses, stmt->behavior);
		return;
	}
	pgxc_analyse_drop_objects(a, addresses, stmt->behavior);
	foreach (lc, addresses)
		touch_partitions(a, ((ObjectAddress *) lfirst(lc))->objectId);
	if (stmt->removeType == OBJECT_INDEX)
		advise_concurrently(a, stmt, addresses);
}

/* Is it an object of a relation that the text makes, or that is not there? */
static bool
belongs_to_missing_relation(PgxcAnalysis *a, DropStmt *stmt, List *name)
{
	if (stmt->removeType != OBJECT_TRIGGER && stmt->removeType != OBJECT_RULE &&
		stmt->removeType != OBJECT_POLICY)
		return false;
	name = list_copy_head(name, list_length(name) - 1);
	return !OidIsValid(pgxc_resolve(a, makeRangeVarFromNameList(name)));
}

/* DROP of all that is no relation */
static void
drop_objects(PgxcAnalysis *a, DropStmt *stmt)
{
	List *addresses = NIL;
	ListCell *lc;

	foreach (lc, stmt->objects)
	{
		Node *name = (Node *) lfirst(lc);
		Relation rel = NULL;
		ObjectAddress address;

		if (belongs_to_missing_relation(a, stmt, (List *) name))
		{
			if (!stmt->missing_ok && pgxc_pending_is_empty(a->pending))
				return;
			continue;
		}
		address =
			get_object_address(stmt->removeType, name, &rel, AccessShareLock,
							   stmt->missing_ok ||
								   !pgxc_pending_is_empty(a->pending));
		if (rel != NULL)
			relation_close(rel, NoLock);
		if (!OidIsValid(address.objectId))
			continue;
		if (stmt->removeType == OBJECT_FUNCTION &&
			get_func_prokind(address.objectId) == PROKIND_AGGREGATE)
			return;
		addresses = lappend_address(addresses, address.classId,
									address.objectId, address.objectSubId);
	}
	if (addresses != NIL)
		pgxc_analyse_drop_objects(a, addresses, stmt->behavior);
}

/* Does the policy speak of no other roles than these? */
static bool
is_policy_for_only(Oid policy, List *roles)
{
	Relation catalog = table_open(PolicyRelationId, AccessShareLock);
	HeapTuple tuple =
		get_catalog_object_by_oid(catalog, Anum_pg_policy_oid, policy);
	bool result = HeapTupleIsValid(tuple);
	bool isnull;
	ArrayType *array;

	if (result)
	{
		array = DatumGetArrayTypePCopy(
			heap_getattr(tuple, Anum_pg_policy_polroles,
						 RelationGetDescr(catalog), &isnull));
		for (int i = 0; i < ARR_DIMS(array)[0]; i++)
			result &= list_member_oid(roles, ((Oid *) ARR_DATA_PTR(array))[i]);
	}
	table_close(catalog, AccessShareLock);
	return result;
}

/* What DROP OWNED does with one object that has to do with one of the roles. */
static List *
add_owned(PgxcAnalysis *a, List *addresses, Form_pg_shdepend row, List *roles)
{
	bool goes = false;

	if (row->dbid != MyDatabaseId)
		return addresses;
	if (row->deptype == SHARED_DEPENDENCY_OWNER)
		goes = true;
	else if (row->deptype == SHARED_DEPENDENCY_POLICY)
	{
		goes = is_policy_for_only(row->objid, roles);
		if (!goes)
			pgxc_change(a, PGXC_ACTION_REDEFINE, row->classid, row->objid, 0);
	}
	if (!goes)
		return addresses;
	return lappend_address(addresses, row->classid, row->objid, row->objsubid);
}

/* DROP OWNED; the privileges that it revokes lock no relation. */
static void
drop_owned(PgxcAnalysis *a, DropOwnedStmt *stmt)
{
	List *roles = roleSpecsToIds(stmt->roles);
	List *addresses = NIL;
	Relation catalog;
	ListCell *lc;

	catalog = table_open(SharedDependRelationId, AccessShareLock);
	foreach (lc, roles)
	{
		ScanKeyData key[2];
		SysScanDesc scan;
		HeapTuple tuple;

		/* PostgreSQL refuses. */
		if (IsPinnedObject(AuthIdRelationId, lfirst_oid(lc)))
		{
			addresses = NIL;
			break;
		}
		ScanKeyInit(&key[0], Anum_pg_shdepend_refclassid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(AuthIdRelationId));
		ScanKeyInit(&key[1], Anum_pg_shdepend_refobjid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(lfirst_oid(lc)));
		scan = systable_beginscan(catalog, SharedDependReferenceIndexId, true,
								  NULL, 2, key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
			addresses = add_owned(a, addresses,
								  (Form_pg_shdepend) GETSTRUCT(tuple), roles);
		systable_endscan(scan);
	}
	table_close(catalog, AccessShareLock);
	if (addresses != NIL)
		pgxc_analyse_drop_objects(a, addresses, stmt->behavior);
}

/*
 * DROP of anything, DROP OWNED, DROP ROLE.  Takes ACCESS SHARE on what the
 * statement names.  Throws, as PostgreSQL does, for what it would refuse.
 */
void
pgxc_analyse_drop(PgxcAnalysis *a, Node *node)
{
	DropStmt *stmt;

	/* A role owns nothing when it goes. */
	if (IsA(node, DropRoleStmt))
		return;
	if (IsA(node, DropOwnedStmt))
	{
		drop_owned(a, castNode(DropOwnedStmt, node));
		return;
	}
	stmt = castNode(DropStmt, node);
	switch (stmt->removeType)
	{
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
			drop_relations(a, stmt);
			break;
		default:
			drop_objects(a, stmt);
			break;
	}
}
