/*
 * constraint_catalog.c
 *		What the catalog knows about constraints and those who have them.
 *
 * Everything here reads under the locks of the analysis and allocates in the
 * current memory context.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "utils/array.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/constraint.h"

/* A copy of the fixed part of its row; NULL if there is none. */
Form_pg_constraint
pgxc_constraint_by_oid(Oid conoid)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(conoid));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return NULL;
	form = palloc(sizeof(FormData_pg_constraint));
	memcpy(form, GETSTRUCT(tuple), sizeof(FormData_pg_constraint));
	ReleaseSysCache(tuple);
	return form;
}

/* The same, of the constraint of that name of the relation. */
Form_pg_constraint
pgxc_constraint_by_name(Oid relid, const char *name)
{
	Oid conoid = get_relation_constraint_oid(relid, name, true);

	return OidIsValid(conoid) ? pgxc_constraint_by_oid(conoid) : NULL;
}

/* The constraints that exist because of this one, on one side or the other. */
List *
pgxc_constraint_children(Oid conoid)
{
	Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
	List *children = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conparentid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(conoid));
	scan = systable_beginscan(catalog, ConstraintParentIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		children =
			lappend_oid(children, ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return children;
}

/* The numbers of its columns. */
List *
pgxc_constraint_columns(Oid conoid)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(conoid));
	List *columns = NIL;
	bool isnull;
	Datum keys;

	if (!HeapTupleIsValid(tuple))
		return NIL;
	keys =
		SysCacheGetAttr(CONSTROID, tuple, Anum_pg_constraint_conkey, &isnull);
	if (!isnull)
	{
		ArrayType *array = DatumGetArrayTypeP(keys);
		int n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

		for (int i = 0; i < n; i++)
			columns =
				lappend_int(columns, ((AttrNumber *) ARR_DATA_PTR(array))[i]);
	}
	ReleaseSysCache(tuple);
	return columns;
}

/* The NOT NULL constraint of a column; InvalidOid if there is none. */
Oid
pgxc_not_null_constraint(Oid relid, const char *column)
{
	AttrNumber attnum = get_attnum(relid, column);
	Oid found = InvalidOid;
	Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_constraint_conrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(relid));
	scan = systable_beginscan(catalog, ConstraintRelidTypidNameIndexId, true,
							  NULL, 1, &key);
	while (!OidIsValid(found) &&
		   HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

		if (form->contype == PGXC_CONSTRAINT_NOTNULL &&
			list_member_int(pgxc_constraint_columns(form->oid), attnum))
			found = form->oid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return found;
}

/*
 * The planner looks at the relation: it opens all of its indexes, and keeps
 * their locks.
 */
void
pgxc_touch_planned_indexes(PgxcAnalysis *a, Oid relid, LOCKMODE lock)
{
	Relation rel = relation_open(relid, AccessShareLock);
	bool opens = rel->rd_rel->relkind == RELKIND_RELATION ||
				 rel->rd_rel->relkind == RELKIND_MATVIEW;
	ListCell *lc;

#ifdef PGXC_PLANNER_OPENS_PARTITIONED_INDEXES
	opens |= rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
#endif
	if (opens)
	{
		foreach (lc, RelationGetIndexList(rel))
			(void) pgxc_touch(a, lfirst_oid(lc), lock);
	}
	relation_close(rel, NoLock);
}

/* All who inherit from the relation, directly or not, get this lock. */
void
pgxc_touch_descendants(PgxcAnalysis *a, Oid relid, LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, AccessShareLock, NULL))
	{
		if (lfirst_oid(lc) != relid)
			(void) pgxc_touch(a, lfirst_oid(lc), lock);
	}
}

/*
 * The strongest lock that this transaction holds on the relation, or else the
 * one given.
 */
LOCKMODE
pgxc_lock_held(Oid relid, LOCKMODE atleast)
{
	Relation rel = relation_open(relid, AccessShareLock);
	LOCKMODE held;

	for (held = AccessExclusiveLock; held > atleast; held--)
	{
		if (CheckRelationLockedByMe(rel, held, false))
			break;
	}
	relation_close(rel, NoLock);
	return held;
}

/*
 * Its rows are read under the lock of the statement, which is meant to be a
 * weak one: a stronger one that the transaction took before counts instead.
 */
void
pgxc_touch_scan(PgxcAnalysis *a, Oid relid, LOCKMODE lock, const char *reason)
{
	LOCKMODE held = pgxc_lock_held(relid, lock);

	if (held > lock)
		reason = psprintf("%s, under the %s that this transaction took before",
						  reason, GetLockmodeName(DEFAULT_LOCKMETHOD, held));
	(void) pgxc_touch_work(a, relid, held, PGXC_WORK_SCAN, reason);
}

/* The relations that have triggers because of this constraint. */
List *
pgxc_constraint_trigger_tables(Oid conoid)
{
	Relation catalog = table_open(TriggerRelationId, AccessShareLock);
	List *tables = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_trigger_tgconstraint, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(conoid));
	scan = systable_beginscan(catalog, TriggerConstraintIndexId, true, NULL, 1,
							  &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		tables = list_append_unique_oid(
			tables, ((Form_pg_trigger) GETSTRUCT(tuple))->tgrelid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return tables;
}
