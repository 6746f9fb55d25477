/*
 * fk_recheck.c
 *		A foreign key one of whose columns changes its type: it is dropped and
 *		made again on both tables, and checked again unless it compares the same
 *		way as before.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/stratnum.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_opclass.h"
#include "commands/defrem.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/alter_table.h"
#include "guard/constraint.h"

/* One side of one pair of columns, before and after. */
typedef struct Side
{
	Oid old_type;
	Oid type;
	Oid old_collation;
	Oid collation;
	bool changes;
} Side;

static Side
side_of(Oid relid, AttrNumber attnum, List *tables)
{
	Side side = { 0 };
	int32 typmod;
	ListCell *lc;

	get_atttypetypmodcoll(relid, attnum, &side.old_type, &typmod,
						  &side.old_collation);
	side.type = side.old_type;
	side.collation = side.old_collation;
	foreach (lc, tables)
	{
		PgxcChangedTable *table = (PgxcChangedTable *) lfirst(lc);
		ListCell *c;

		if (table->relid != relid)
			continue;
		foreach (c, table->columns)
		{
			PgxcColumnChange *change = (PgxcColumnChange *) lfirst(c);

			if (change->attnum != attnum)
				continue;
			side.type = change->type;
			side.collation = change->collation;
			side.changes = true;
		}
	}
	return side;
}

/* The operator that compares the two sides, and what it takes on the right. */
static Oid
equality_of(Oid opclass, Oid pktype, Oid fktype, Oid *right)
{
	Oid family = get_opclass_family(opclass);
	Oid input = get_opclass_input_type(opclass);
	Oid actual[2] = { pktype, fktype };
	Oid target[2] = { input, input };
	Oid operator;

	*right = getBaseType(fktype);
	operator= get_opfamily_member(family, input, *right, BTEqualStrategyNumber);
	if (OidIsValid(operator) &&
		OidIsValid(
			get_opfamily_member(family, *right, *right, BTEqualStrategyNumber)))
		return operator;
	*right = input;
	if (!can_coerce_type(2, actual, target, COERCION_IMPLICIT))
		return InvalidOid;
	return get_opfamily_member(family, input, input, BTEqualStrategyNumber);
}

static CoercionPathType
cast_to(Oid target, Oid source, Oid *function)
{
	*function = InvalidOid;
	return target == source
			   ? COERCION_PATH_RELABELTYPE
			   : find_coercion_pathway(target, source, COERCION_IMPLICIT,
									   function);
}

/* The operator class of the referenced index once its column has changed. */
static Oid
opclass_after(Relation index, Oid relid, AttrNumber attnum, const Side *pk)
{
	for (int key = 0; key < index->rd_index->indnkeyatts; key++)
	{
		Oid opclass;

		if (index->rd_index->indkey.values[key] != attnum)
			continue;
		opclass = pgxc_index_opclass(index, key);
		if (pk->changes &&
			GetDefaultOpClass(pk->old_type, index->rd_rel->relam) == opclass)
			opclass = GetDefaultOpClass(pk->type, index->rd_rel->relam);
		return opclass;
	}
	return InvalidOid;
}

/* Does this pair of columns compare as it did? */
static bool
pair_is_kept(Oid old_operator, Relation index, AttrNumber pkattnum,
			 const Side *pk, const Side *fk)
{
	Oid opclass;
	Oid right;
	Oid old_function;
	Oid function;

	if (!pk->changes && !fk->changes)
		return true;
	opclass = opclass_after(index, index->rd_index->indrelid, pkattnum, pk);
	if (!OidIsValid(opclass) ||
		equality_of(opclass, pk->type, fk->type, &right) != old_operator)
		return false;
	if (cast_to(right, fk->old_type, &old_function) !=
			cast_to(right, fk->type, &function) ||
		old_function != function)
		return false;
	if (IsPolymorphicType(right) && fk->type != fk->old_type)
		return false;
#ifdef PGXC_FOREIGN_KEYS_KNOW_COLLATIONS
	if (fk->collation != fk->old_collation &&
		!(get_collation_isdeterministic(fk->collation) &&
		  get_collation_isdeterministic(fk->old_collation)))
		return false;
#endif
	return true;
}

/* An int2[] or oid[] of a constraint, as its elements. */
static void *
elements(HeapTuple tuple, AttrNumber attnum, int *n)
{
	bool isnull;
	Datum datum = SysCacheGetAttr(CONSTROID, tuple, attnum, &isnull);
	ArrayType *array;

	if (isnull)
		elog(ERROR, "foreign key without columns"); /* cannot happen */
	array = DatumGetArrayTypeP(datum);
	*n = ARR_DIMS(array)[0];
	return ARR_DATA_PTR(array);
}

static bool
is_rewritten(Oid relid, List *tables)
{
	ListCell *lc;

	foreach (lc, tables)
	{
		PgxcChangedTable *table = (PgxcChangedTable *) lfirst(lc);

		if (table->relid == relid && table->rewrite)
			return true;
	}
	return false;
}

/* Need its rows not be compared again? */
static bool
foreign_key_is_kept(HeapTuple tuple, List *tables)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	int n;
	int16 *fkeys = elements(tuple, Anum_pg_constraint_conkey, &n);
	int16 *pkeys = elements(tuple, Anum_pg_constraint_confkey, &n);
	Oid *operators = elements(tuple, Anum_pg_constraint_conpfeqop, &n);
	Relation index;
	bool kept = true;

	if (is_rewritten(form->conrelid, tables) ||
		is_rewritten(form->confrelid, tables))
		return false;
	index = relation_open(form->conindid, AccessShareLock);
	for (int i = 0; kept && i < n; i++)
	{
		Side fk = side_of(form->conrelid, fkeys[i], tables);
		Side pk = side_of(form->confrelid, pkeys[i], tables);

		kept = pair_is_kept(operators[i], index, pkeys[i], &pk, &fk);
	}
	relation_close(index, NoLock);
	return kept;
}

/* Is it a partition's share, on the referenced side, of another one? */
static bool
is_share_of_referenced(const Form_pg_constraint form)
{
	Form_pg_constraint parent = pgxc_constraint_by_oid(form->conparentid);

	return parent != NULL && parent->conrelid == form->conrelid;
}

/* Its triggers go, and the index that it refers to is looked at. */
static void
touch_both_sides(PgxcAnalysis *a, const Form_pg_constraint form)
{
	ListCell *lc;

	pgxc_touch(a, form->conrelid, AccessExclusiveLock);
	pgxc_touch(a, form->confrelid, ShareRowExclusiveLock);
	foreach (lc, pgxc_constraint_trigger_tables(form->oid))
		pgxc_touch(a, lfirst_oid(lc), AccessExclusiveLock);
	pgxc_touch(a, form->conindid, AccessShareLock);
}

/*
 * The foreign key is made again, because columns of these tables change.
 */
void
pgxc_rebuild_foreign_key(PgxcAnalysis *a, Oid constraint, List *tables)
{
	Form_pg_constraint form = pgxc_constraint_by_oid(constraint);
	HeapTuple tuple;

	if (form == NULL)
		return;
	touch_both_sides(a, form);
	if (!form->convalidated || is_share_of_referenced(form) ||
		get_rel_relkind(form->conrelid) != RELKIND_RELATION)
		return;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!foreign_key_is_kept(tuple, tables))
		pgxc_scan_foreign_key(a, form->conrelid, form->confrelid,
							  AccessExclusiveLock,
							  pgxc_constraint_period(form));
	ReleaseSysCache(tuple);
}
