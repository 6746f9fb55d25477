/*
 * drop_locks.c
 *		What the server locks when it deletes objects.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/objectaddress.h"
#include "catalog/partition.h"
#include "catalog/pg_attrdef.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_policy.h"
#include "catalog/pg_rewrite.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/analysis.h"
#include "guard/drop_closure.h"

/* Objects that belong to one relation, which is locked when they go. */
static const struct
{
	Oid classid;
	AttrNumber oid;
	AttrNumber relid;
	LOCKMODE lock;
	const char *reason;
} parts[] = {
	{ ConstraintRelationId, Anum_pg_constraint_oid, Anum_pg_constraint_conrelid,
	  AccessExclusiveLock, "a constraint of it is dropped" },
	{ PolicyRelationId, Anum_pg_policy_oid, Anum_pg_policy_polrelid,
	  AccessExclusiveLock, "a policy of it is dropped" },
	{ RewriteRelationId, Anum_pg_rewrite_oid, Anum_pg_rewrite_ev_class,
	  AccessExclusiveLock, "a rule of it is dropped" },
	{ StatisticExtRelationId, Anum_pg_statistic_ext_oid,
	  Anum_pg_statistic_ext_stxrelid, ShareUpdateExclusiveLock,
	  "extended statistics of it are dropped" },
	{ TriggerRelationId, Anum_pg_trigger_oid, Anum_pg_trigger_tgrelid,
	  AccessExclusiveLock, "a trigger of it is dropped" },
};

static void
touch(PgxcAnalysis *a, Oid relid, LOCKMODE lock, const char *reason)
{
	PgxcEffect *effect = pgxc_touch(a, relid, lock);

	if (effect->reason == NULL)
		effect->reason = unconstify(char *, reason);
}

/* A column, no varlena, of an object's row in its catalog; 0: no such row. */
static Datum
column_of(const ObjectAddress *object, AttrNumber oid, AttrNumber column)
{
	Relation catalog = table_open(object->classId, AccessShareLock);
	HeapTuple tuple = get_catalog_object_by_oid(catalog, oid, object->objectId);
	Datum result = (Datum) 0;
	bool isnull;

	if (HeapTupleIsValid(tuple))
		result =
			heap_getattr(tuple, column, RelationGetDescr(catalog), &isnull);
	table_close(catalog, AccessShareLock);
	return result;
}

/* A trigger of a constraint: what is left then is the other side of it. */
static bool
is_internal_trigger(const ObjectAddress *object)
{
	return object->classId == TriggerRelationId &&
		   DatumGetBool(column_of(object, Anum_pg_trigger_oid,
								  Anum_pg_trigger_tgisinternal));
}

/* A partition that goes changes what its parent and the default one hold. */
static void
lock_around_partition(PgxcAnalysis *a, Oid relid)
{
	Oid parent;
	Oid by_default;

	if (!get_rel_relispartition(relid))
		return;
	parent = get_partition_parent(relid, true);
	touch(a, parent, AccessExclusiveLock, "a partition of it is dropped");
	by_default = get_default_partition_oid(parent);
	if (OidIsValid(by_default) && by_default != relid)
		touch(a, by_default, AccessExclusiveLock,
			  "its partition constraint changes, for a partition is dropped");
}

/* A relation, or a column of it. */
static void
lock_relation(PgxcAnalysis *a, const ObjectAddress *object)
{
	Oid relid = object->objectId;

	switch (get_rel_relkind(relid))
	{
		case RELKIND_TOASTVALUE:
			/* Of a table that goes: nobody names it. */
			return;
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
		{
			Oid table = IndexGetRelation(relid, true);

			if (get_rel_relkind(table) == RELKIND_TOASTVALUE)
				return;
			touch(a, table, AccessExclusiveLock, "an index of it is dropped");
		}
		break;
		default:
			if (object->objectSubId == 0)
				lock_around_partition(a, relid);
			break;
	}
	touch(a, relid, AccessExclusiveLock,
		  object->objectSubId == 0 ? "it is dropped"
								   : "a column of it is dropped");
}

/* All that is locked on account of one object that goes. */
static void
lock_for(PgxcAnalysis *a, const ObjectAddress *object)
{
	if (object->classId == RelationRelationId)
	{
		lock_relation(a, object);
		return;
	}
	if (object->classId == AttrDefaultRelationId)
	{
		ObjectAddress column = GetAttrDefaultColumnAddress(object->objectId);

		touch(a, column.objectId, AccessExclusiveLock,
			  "the default or expression of a column is dropped");
		return;
	}
	for (int i = 0; i < lengthof(parts); i++)
	{
		Oid relid;

		if (parts[i].classid != object->classId)
			continue;
		relid =
			DatumGetObjectId(column_of(object, parts[i].oid, parts[i].relid));
		/* A constraint of a domain has none. */
		if (OidIsValid(relid))
			touch(a, relid, parts[i].lock,
				  is_internal_trigger(object)
					  ? "a foreign key that refers to it is dropped"
					  : parts[i].reason);
		return;
	}
}

/*
 * The objects (a list of ObjectAddress) are dropped in one statement: what it
 * locks, and one change for each that goes.
 *
 * Takes ACCESS SHARE on catalogs only.  Throws 2BP01, with PostgreSQL's own
 * message, where the server refuses; then it has added nothing.
 */
void
pgxc_analyse_drop_objects(PgxcAnalysis *a, List *addresses,
						  DropBehavior behavior)
{
	List *closure = pgxc_drop_closure(addresses, behavior);

	/* What is named comes before what goes along with it. */
	for (int i = list_length(closure) - 1; i >= 0; i--)
	{
		PgxcDropped *dropped = (PgxcDropped *) list_nth(closure, i);
		ObjectAddress *object = &dropped->object;

		lock_for(a, object);
		pgxc_change(a, PGXC_ACTION_DROP, object->classId, object->objectId,
					object->objectSubId)
			->cascade = !dropped->named;
	}
}
