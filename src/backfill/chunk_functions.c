/*
 * chunk_functions.c
 *		The SQL functions that the statements of a chunk call for each row.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"

PG_FUNCTION_INFO_V1(pgxc_differs);
PG_FUNCTION_INFO_V1(pgxc_lost);
PG_FUNCTION_INFO_V1(pgxc_in_pass);

/*
 * differs(anyelement, anyelement) returns boolean
 *
 * Compares what is stored, not what "=" thinks: it is there for every type,
 * and a backfill that changes only the case of a case-insensitive text, or
 * only the scale of a numeric, is work to do, too.
 */
Datum
pgxc_differs(PG_FUNCTION_ARGS)
{
	int16 typlen;
	bool typbyval;
	char typalign;
	struct
	{
		int16 typlen;
		bool typbyval;
	} *type = fcinfo->flinfo->fn_extra;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_BOOL(PG_ARGISNULL(0) != PG_ARGISNULL(1));

	if (type == NULL)
	{
		get_typlenbyvalalign(get_fn_expr_argtype(fcinfo->flinfo, 0), &typlen,
							 &typbyval, &typalign);
		type = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(*type));
		type->typlen = typlen;
		type->typbyval = typbyval;
		fcinfo->flinfo->fn_extra = type;
	}
	PG_RETURN_BOOL(!datum_image_eq(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1),
								   type->typbyval, type->typlen));
}

/*
 * Are the two values equal to their type's own "="?  Not asked of strings,
 * whose "=" may ignore case or accents.
 */
static bool
equal_to_their_type(FunctionCallInfo fcinfo)
{
	Oid typid = get_fn_expr_argtype(fcinfo->flinfo, 0);
	TypeCacheEntry *entry = lookup_type_cache(typid, TYPECACHE_EQ_OPR_FINFO);
	char category;
	bool preferred;

	get_type_category_preferred(getBaseType(typid), &category, &preferred);
	if (!OidIsValid(entry->eq_opr) || category == TYPCATEGORY_STRING)
		return false;
	return DatumGetBool(
		FunctionCall2Coll(&entry->eq_opr_finfo, PG_GET_COLLATION(),
						  PG_GETARG_DATUM(0), PG_GETARG_DATUM(1)));
}

/*
 * lost(old anyelement, back anyelement) returns boolean
 *
 * Throws 22000 if a value does not come back from the new column as it was,
 * and returns false otherwise.  The error's text holds no value: whoever
 * monitors may read it.
 */
Datum
pgxc_lost(PG_FUNCTION_ARGS)
{
	if (!DatumGetBool(pgxc_differs(fcinfo)) ||
		(!PG_ARGISNULL(0) && !PG_ARGISNULL(1) && equal_to_their_type(fcinfo)))
		PG_RETURN_BOOL(false);
	ereport(
		ERROR,
		(errcode(ERRCODE_DATA_EXCEPTION),
		 errmsg("value would be lost on the way back"),
		 errdetail(
			 "What the old column would get from the new one is not what it holds."),
		 errhint(
			 "Mend the row, or start the migration with expressions that keep the value.")));
	PG_RETURN_BOOL(true);
}

/*
 * in_pass(row_ctid tid, passes, first_pass, last_pass integer, skip tid[])
 *		returns boolean
 */
Datum
pgxc_in_pass(PG_FUNCTION_ARGS)
{
	ItemPointer tid = (ItemPointer) PG_GETARG_POINTER(0);
	int passes = PG_GETARG_INT32(1);
	int pass;
	ArrayType *skip;

	if (passes < 1)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("number of passes must be at least 1")));

	/* Offsets begin at 1: so no later pass has more rows than the first. */
	pass = (ItemPointerGetOffsetNumberNoCheck(tid) - 1) % passes;
	if (pass < PG_GETARG_INT32(2) || pass > PG_GETARG_INT32(3))
		PG_RETURN_BOOL(false);

	skip = PG_GETARG_ARRAYTYPE_P(4);
	if (ARR_NDIM(skip) > 0)
	{
		if (array_contains_nulls(skip))
			ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
							errmsg("rows to skip must not be null")));

		/* Without nulls the elements stand side by side: a tid is 6 bytes. */
		for (int i = 0; i < ArrayGetNItems(ARR_NDIM(skip), ARR_DIMS(skip)); i++)
		{
			if (ItemPointerEquals((ItemPointer) ARR_DATA_PTR(skip) + i, tid))
				PG_RETURN_BOOL(false);
		}
	}
	PG_RETURN_BOOL(true);
}
