/*
 * way_back.c
 *		Does the new column still hold all that the old one does?
 *
 * The verification finds a row whose value would be lost on the way to the new
 * column and back.  A row that is written after it must not escape: the write
 * succeeds, and leaves a note that contract finds.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "parser/parse_coerce.h"
#include "utils/datum.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/typcache.h"

#include "dual_write/unconverted.h"
#include "dual_write/way_back.h"

/* Casts to a type that holds every value of the other one. */
static const Oid widening[] = {
	F_FLOAT8_FLOAT4, F_INT4_INT2,    F_FLOAT8_INT4,
	F_INT8_INT4,     F_INT8_INT2,    F_NUMERIC_INT4,
	F_NUMERIC_INT8,  F_NUMERIC_INT2, F_TIMESTAMP_DATE,
};

/* Is this cast one that cannot lose anything? */
static bool
is_widening(Form_pg_attribute from, Form_pg_attribute to)
{
	Oid function;

	if (to->atttypmod != -1 ||
		find_coercion_pathway(to->atttypid, from->atttypid, COERCION_ASSIGNMENT,
							  &function) != COERCION_PATH_FUNC)
		return false;
	for (int i = 0; i < lengthof(widening); i++)
	{
		if (widening[i] == function)
			return true;
	}
	return false;
}

/*
 * Is there a way back from the new column, and could it fail to bring the old
 * value back?  For a migration that has been compiled; up is its argument.
 */
bool
pgxc_way_back_matters(const PgxcDualWrite *dw, Relation rel, const char *up)
{
	TupleDesc desc = RelationGetDescr(rel);

	if (dw->one_way || dw->plain)
		return false;
	return strcmp(up, "=") != 0 ||
		   !is_widening(TupleDescAttr(desc, dw->sources[0].column.attnum - 1),
						TupleDescAttr(desc, dw->target.attnum - 1));
}

/*
 * Is it the same value, if not for its image then for its type?  Not asked of
 * strings, whose "=" may ignore case or accents.  As pgxc.lost() sees it.
 */
static bool
is_same(Form_pg_attribute att, Datum a, bool a_null, Datum b, bool b_null)
{
	TypeCacheEntry *entry;
	char category;
	bool preferred;

	if (a_null || b_null)
		return a_null == b_null;
	if (datum_image_eq(a, b, att->attbyval, att->attlen))
		return true;
	get_type_category_preferred(getBaseType(att->atttypid), &category,
								&preferred);
	entry = lookup_type_cache(att->atttypid, TYPECACHE_EQ_OPR_FINFO);
	return category != TYPCATEGORY_STRING && OidIsValid(entry->eq_opr) &&
		   DatumGetBool(FunctionCall2Coll(&entry->eq_opr_finfo,
										  att->attcollation, a, b));
}

/*
 * Look whether each old column of a row comes back from its new one, and note
 * it if not.  Throws nothing that is about a value.
 */
void
pgxc_way_back_check(const PgxcDualWrite *dw, Relation rel, TupleTableSlot *row)
{
	for (int i = 0; i < dw->nsources; i++)
	{
		AttrNumber attnum = dw->sources[i].column.attnum;
		bool isnull;
		bool back_null;
		int sqlerrcode;
		Datum value = slot_getattr(row, attnum, &isnull);
		Datum back = pgxc_transform_try(dw->sources[i].down, dw->environment,
										rel->rd_rel->relowner, row, &back_null,
										&sqlerrcode);

		if (sqlerrcode == 0 &&
			is_same(TupleDescAttr(RelationGetDescr(rel), attnum - 1), value,
					isnull, back, back_null))
			continue;
		pgxc_note_unconverted(dw->migration, dw->target.name,
							  sqlerrcode ? sqlerrcode : ERRCODE_DATA_EXCEPTION);
		return;
	}
}
