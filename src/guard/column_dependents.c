/*
 * column_dependents.c
 *		What depends on a column whose type changes: indexes, which are kept or
 *		built anew; check constraints, which are verified again even if the type
 *		stays the same; foreign keys of both sides.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_index.h"
#include "catalog/pg_operator.h"
#include "commands/defrem.h"
#include "parser/parse_oper.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/alter_table.h"

/* The operator class of an index's key, counted from 0. */
Oid
pgxc_index_opclass(Relation index, int key)
{
	bool isnull;
	Datum classes = SysCacheGetAttr(INDEXRELID, index->rd_indextuple,
									Anum_pg_index_indclass, &isnull);

	return ((oidvector *) DatumGetPointer(classes))->values[key];
}

/* The operator's name, as a list that finds it again. */
static List *
operator_name(Oid operator)
{
	HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator));
	List *name = NIL;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_operator form = (Form_pg_operator) GETSTRUCT(tuple);

		name = list_make2(makeString(get_namespace_name(form->oprnamespace)),
						  makeString(pstrdup(NameStr(form->oprname))));
		ReleaseSysCache(tuple);
	}
	return name;
}

/* The change of this column, or NULL. */
static PgxcColumnChange *
change_of(const PgxcChangedTable *table, AttrNumber attnum)
{
	ListCell *lc;

	foreach (lc, table->columns)
	{
		PgxcColumnChange *change = (PgxcColumnChange *) lfirst(lc);

		if (change->attnum == attnum)
			return change;
	}
	return NULL;
}

/*
 * Will the key column have the operator class and collation that it has?  The
 * server deparses the index and parses it again: both are named in the text
 * only where they are not what the column's type says by itself.
 */
static bool
key_is_kept(Relation index, int key, const PgxcChangedTable *table,
			const PgxcColumnChange *change)
{
	Oid old_type = get_atttype(table->relid, change->attnum);
	Oid old_collation = InvalidOid;
	Oid opclass;
	Oid input;
	int32 typmod;

	get_atttypetypmodcoll(table->relid, change->attnum, &old_type, &typmod,
						  &old_collation);
	opclass = pgxc_index_opclass(index, key);
	if (GetDefaultOpClass(old_type, index->rd_rel->relam) == opclass &&
		GetDefaultOpClass(change->type, index->rd_rel->relam) != opclass)
		return false;
	if (index->rd_indcollation[key] == old_collation &&
		change->collation != old_collation)
		return false;
	/* What an index of arrays holds is not what the column holds. */
	input = get_opclass_input_type(opclass);
	return !IsPolymorphicType(input) ||
		   TupleDescAttr(RelationGetDescr(index), key)->atttypid ==
			   change->type;
}

/* Does an exclusion constraint find the operators that it has? */
static bool
operators_are_kept(Relation index, const PgxcChangedTable *table)
{
	Oid *operators;
	Oid *functions;
	uint16 *strategies;

	if (!index->rd_index->indisexclusion)
		return true;
	RelationGetExclusionInfo(index, &operators, &functions, &strategies);
	for (int key = 0; key < index->rd_index->indnkeyatts; key++)
	{
		PgxcColumnChange *change =
			change_of(table, index->rd_index->indkey.values[key]);
		Oid left;
		Oid right;

		if (change == NULL)
			continue;
		if (compatible_oper_opid(operator_name(operators[key]), change->type,
								 change->type, true) != operators[key])
			return false;
		op_input_types(operators[key], &left, &right);
		if ((IsPolymorphicType(left) || IsPolymorphicType(right)) &&
			TupleDescAttr(RelationGetDescr(index), key)->atttypid !=
				change->type)
			return false;
	}
	return true;
}

/* Can the new index take over the file of the old one? */
static bool
index_is_kept(Relation index, const PgxcChangedTable *table)
{
	Form_pg_index form = index->rd_index;

	if (!form->indisvalid || RelationGetIndexExpressions(index) != NIL ||
		RelationGetIndexPredicate(index) != NIL)
		return false;
	/* One with partitions is made from scratch in all of them. */
	if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX ||
		index->rd_rel->relispartition)
		return false;
	for (int key = 0; key < form->indnkeyatts; key++)
	{
		PgxcColumnChange *change = change_of(table, form->indkey.values[key]);

		if (change != NULL && !key_is_kept(index, key, table, change))
			return false;
	}
	return operators_are_kept(index, table);
}

/* An index is dropped and made again. */
static void
rebuild_index(PgxcAnalysis *a, Oid indexid, const PgxcChangedTable *table,
			  LOCKMODE lock)
{
	Relation index = try_relation_open(indexid, AccessShareLock);

	if (index == NULL)
		return;
	pgxc_touch(a, indexid, AccessExclusiveLock);
	if (!table->rewrite && RELKIND_HAS_STORAGE(index->rd_rel->relkind) &&
		!index_is_kept(index, table))
	{
		pgxc_touch_work(a, indexid, AccessExclusiveLock, PGXC_WORK_REWRITE,
						"it sorts or holds its values otherwise");
		pgxc_touch_work(a, table->relid, lock,
						PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD,
						psprintf("index %s cannot be kept",
								 quote_identifier(
									 RelationGetRelationName(index))));
	}
	relation_close(index, NoLock);
}

/* A constraint is dropped and made again. */
static void
rebuild_constraint(PgxcAnalysis *a, Oid conid, const PgxcChangedTable *table,
				   List *tables, LOCKMODE lock)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(conid));
	Form_pg_constraint form;

	if (!HeapTupleIsValid(tuple))
		return;
	form = (Form_pg_constraint) GETSTRUCT(tuple);
	switch (form->contype)
	{
		case CONSTRAINT_CHECK:
			if (OidIsValid(form->conrelid) && form->convalidated &&
				RELKIND_HAS_STORAGE(get_rel_relkind(form->conrelid)))
				pgxc_touch_work(
					a, form->conrelid,
					form->conrelid == table->relid ? lock : AccessExclusiveLock,
					PGXC_WORK_SCAN,
					psprintf("check constraint %s is verified again",
							 quote_identifier(NameStr(form->conname))));
			break;
		case CONSTRAINT_PRIMARY:
		case CONSTRAINT_UNIQUE:
		case CONSTRAINT_EXCLUSION:
			rebuild_index(a, form->conindid, table, lock);
			break;
		case CONSTRAINT_FOREIGN:
			pgxc_rebuild_foreign_key(a, conid, tables);
			break;
		default:
			break;
	}
	ReleaseSysCache(tuple);
}

/* One thing that depends on the column. */
static void
rebuild(PgxcAnalysis *a, const ObjectAddress *object,
		const PgxcChangedTable *table, List *tables, LOCKMODE lock)
{
	char relkind;
	Oid constraint;

	if (object->classId == ConstraintRelationId)
		rebuild_constraint(a, object->objectId, table, tables, lock);
	if (object->classId != RelationRelationId)
		return;
	relkind = get_rel_relkind(object->objectId);
	if (relkind != RELKIND_INDEX && relkind != RELKIND_PARTITIONED_INDEX)
		return;
	constraint = get_index_constraint(object->objectId);
	if (OidIsValid(constraint))
		rebuild_constraint(a, constraint, table, tables, lock);
	else
		rebuild_index(a, object->objectId, table, lock);
}

/*
 * All that depends on the changed columns of a table is made again.  The tables
 * are all that the statement changes: foreign keys look at both sides.
 */
void
pgxc_rebuild_dependents(PgxcAnalysis *a, PgxcChangedTable *table, List *tables,
						LOCKMODE lock)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	List *seen = NIL;
	ListCell *lc;

	foreach (lc, table->columns)
	{
		PgxcColumnChange *change = (PgxcColumnChange *) lfirst(lc);
		ScanKeyData key[3];
		SysScanDesc scan;
		HeapTuple tuple;

		ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(RelationRelationId));
		ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
					F_OIDEQ, ObjectIdGetDatum(table->relid));
		ScanKeyInit(&key[2], Anum_pg_depend_refobjsubid, BTEqualStrategyNumber,
					F_INT4EQ, Int32GetDatum(change->attnum));
		scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 3,
								  key);
		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
			ObjectAddress object;

			if (list_member_oid(seen, form->objid) ||
				pgxc_drops(a, form->classid, form->objid))
				continue;
			seen = lappend_oid(seen, form->objid);
			ObjectAddressSet(object, form->classid, form->objid);
			rebuild(a, &object, table, tables, lock);
		}
		systable_endscan(scan);
	}
	table_close(depend, AccessShareLock);
}
