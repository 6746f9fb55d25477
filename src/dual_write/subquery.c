/*
 * subquery.c
 *		An expression over a row that reads other tables.
 *
 * It runs as a saved plan of SELECT (expression) whose references to the row,
 * t.column and t, are parameters: the parser asks us what they are.  So the
 * columns keep their types, typmods and collations, and t its row type.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "nodes/makefuncs.h"
#include "nodes/params.h"
#include "parser/parse_node.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "dual_write/subquery.h"

/* The parameter of a column is its number; that of the whole row is the next. */
static Node *
make_param(PgxcSubquery *subquery, int number, int location)
{
	Param *param = makeNode(Param);
	MemoryContext old;

	param->paramkind = PARAM_EXTERN;
	param->paramid = number;
	param->location = location;
	if (number <= subquery->row->natts)
	{
		Form_pg_attribute att = TupleDescAttr(subquery->row, number - 1);

		param->paramtype = att->atttypid;
		param->paramtypmod = att->atttypmod;
		param->paramcollid = att->attcollation;
	}
	else
	{
		param->paramtype = subquery->row_type;
		param->paramtypmod = -1;
		param->paramcollid = InvalidOid;
	}
	old = MemoryContextSwitchTo(GetMemoryChunkContext(subquery));
	subquery->used = bms_add_member(subquery->used, number);
	MemoryContextSwitchTo(old);
	return (Node *) param;
}

/* What the parser does not find in the query itself may be of our row. */
static Node *
resolve_column(ParseState *pstate, ColumnRef *cref, Node *var)
{
	PgxcSubquery *subquery = (PgxcSubquery *) pstate->p_ref_hook_state;
	Node *column;

	if (var != NULL || strcmp(strVal(linitial(cref->fields)), "t") != 0)
		return NULL;
	if (list_length(cref->fields) == 1)
		return make_param(subquery, subquery->row->natts + 1, cref->location);
	if (list_length(cref->fields) != 2)
		return NULL;
	column = (Node *) lsecond(cref->fields);
	if (IsA(column, A_Star))
		return make_param(subquery, subquery->row->natts + 1, cref->location);
	for (int i = 0; i < subquery->row->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(subquery->row, i);

		if (!att->attisdropped &&
			strcmp(NameStr(att->attname), strVal(column)) == 0)
			return make_param(subquery, i + 1, cref->location);
	}
	return NULL;
}

static void
set_up_parser(ParseState *pstate, void *arg)
{
	pstate->p_ref_hook_state = arg;
	pstate->p_post_columnref_hook = resolve_column;
}

/*
 * Prepare an expression over alias t, which names everything in full.  "row"
 * must live as long as the result, which is in the current memory context.
 */
PgxcSubquery *
pgxc_subquery_make(const char *expression, TupleDesc row, Oid row_type,
				   Oid result_type)
{
	PgxcSubquery *subquery = palloc0(sizeof(PgxcSubquery));

	subquery->sql = psprintf("SELECT (%s\n)", expression);
	subquery->row = row;
	subquery->row_type = row_type;
	get_typlenbyval(result_type, &subquery->result_len,
					&subquery->result_byval);
	return subquery;
}

/* The row as parameters; those that the plan does not have stay null. */
static ParamListInfo
row_params(PgxcSubquery *subquery, TupleTableSlot *row)
{
	int natts = subquery->row->natts;
	ParamListInfo params = makeParamList(natts + 1);
	int number = -1;

	for (int i = 0; i <= natts; i++)
	{
		ParamExternData *param = &params->params[i];

		param->value = (Datum) 0;
		param->isnull = true;
		param->pflags = PARAM_FLAG_CONST;
		param->ptype = InvalidOid;
	}
	while ((number = bms_next_member(subquery->used, number)) >= 0)
	{
		ParamExternData *param = &params->params[number - 1];

		if (number <= natts)
		{
			param->value = slot_getattr(row, number, &param->isnull);
			param->ptype = TupleDescAttr(subquery->row, number - 1)->atttypid;
		}
		else
		{
			HeapTuple tuple;

			slot_getallattrs(row);
			tuple = heap_form_tuple(subquery->row, row->tts_values,
									row->tts_isnull);
			param->value = heap_copy_tuple_as_datum(tuple, subquery->row);
			param->isnull = false;
			param->ptype = subquery->row_type;
		}
	}
	return params;
}

/*
 * Evaluate it on a row.  The caller has set the rights and the search_path.
 * The result is in the current memory context.  Reads with the snapshot of the
 * statement; throws what the query throws.
 */
Datum
pgxc_subquery_run(PgxcSubquery *subquery, TupleTableSlot *row, bool *isnull)
{
	SPIExecuteOptions options = { 0 };
	Datum value;
	int rc;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	if (subquery->plan == NULL)
	{
		SPIPrepareOptions prepare = { 0 };
		SPIPlanPtr plan;

		prepare.parserSetup = set_up_parser;
		prepare.parserSetupArg = subquery;
		plan = SPI_prepare_extended(subquery->sql, &prepare);
		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", /* cannot happen */
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		subquery->plan = plan;
	}

	options.params = row_params(subquery, row);
	options.read_only = true;
	options.must_return_tuples = true;
	rc = SPI_execute_plan_extended(subquery->plan, &options);
	if (rc != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "unexpected SPI result %s", /* cannot happen */
			 SPI_result_code_string(rc));

	value =
		SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
	if (!*isnull)
		value = SPI_datumTransfer(value, subquery->result_byval,
								  subquery->result_len);
	SPI_finish();
	return value;
}

/*
 * Forget the plan.  The rest goes with its memory context.
 */
void
pgxc_subquery_free(PgxcSubquery *subquery)
{
	if (subquery->plan != NULL)
		SPI_freeplan(subquery->plan);
	subquery->plan = NULL;
}
