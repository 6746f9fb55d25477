/*
 * trigger.c
 *		pgxc.dual_write(): keeps an old column and its new one in step.
 *
 * While a migration is open the new column N is up(S) of the old ones S in
 * every row that is written.  Who writes N gets S = down(N).  What a statement
 * has written is seen by comparing values, never by who runs it:
 *
 *	UPDATE	S changed			N = up(S)
 *			N changed			S = down(N), N = up(S)
 *			both changed		nothing if N is up(S), else the preferred side
 *			none changed		N = up(S) if N is null: the row is not filled yet
 *	INSERT	N is null			N = up(S)
 *			N given, S not		S = down(N), N = up(S)
 *			both given			nothing if N is up(S), else the preferred side
 *
 * S is not given if each of its columns is null, has its constant default, or
 * has a default that nobody can know, such as a sequence.
 *
 * A value that up fails on is stored as null: the application's statement must
 * not fail, and the backfill finds the row and says what is wrong with it.  A
 * value that down fails on is the statement's error.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "executor/tuptable.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "core/own_statement.h"
#include "dual_write/config_cache.h"

typedef enum DualWriteAction
{
	ACTION_NONE,
	ACTION_UP,   /* the old side is right */
	ACTION_DOWN, /* the new side is right */
	ACTION_CHECK /* the same, but not if N is up(S) already */
} DualWriteAction;

/* What is being computed, for error messages. */
typedef struct DualWriteContext
{
	const PgxcDualWrite *dw;
	const char *from;
	const char *to;
} DualWriteContext;

PG_FUNCTION_INFO_V1(pgxc_dual_write);

static void
protocol_error(const char *must)
{
	ereport(ERROR,
			(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg("function \"%s\" must be %s", "pgxc.dual_write", must)));
}

static TriggerData *
check_protocol(FunctionCallInfo fcinfo)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by trigger manager",
						"pgxc.dual_write")));
	if (!TRIGGER_FIRED_BEFORE(data->tg_event))
		protocol_error("fired BEFORE");
	if (!TRIGGER_FIRED_FOR_ROW(data->tg_event))
		protocol_error("fired FOR EACH ROW");
	if (!TRIGGER_FIRED_BY_INSERT(data->tg_event) &&
		!TRIGGER_FIRED_BY_UPDATE(data->tg_event))
		protocol_error("fired for INSERT or UPDATE");
	return data;
}

/*
 * Are two values the same image?  Values that are stored out of line are not
 * read if they are the very same one, or if their sizes differ.
 */
static inline bool
same_value(const PgxcColumn *column, Datum a, bool a_null, Datum b, bool b_null)
{
	if (a_null || b_null)
		return a_null == b_null;
	if (column->byval)
		return a == b;
	if (DatumGetPointer(a) == DatumGetPointer(b))
		return true;
	if (column->len == -1)
	{
		Size size = VARSIZE_ANY(DatumGetPointer(a));

		if (size == VARSIZE_ANY(DatumGetPointer(b)) &&
			memcmp(DatumGetPointer(a), DatumGetPointer(b), size) == 0)
			return true;
	}
	return datum_image_eq(a, b, false, column->len);
}

static inline bool
column_changed(const PgxcColumn *column, TupleTableSlot *before,
			   TupleTableSlot *after)
{
	bool old_null;
	bool new_null;
	Datum old_value = slot_getattr(before, column->attnum, &old_null);
	Datum new_value = slot_getattr(after, column->attnum, &new_null);

	return !same_value(column, old_value, old_null, new_value, new_null);
}

static inline bool
is_null(const PgxcColumn *column, TupleTableSlot *row)
{
	return slot_attisnull(row, column->attnum);
}

static inline DualWriteAction
preferred(const PgxcDualWrite *dw)
{
	return dw->prefer_new ? ACTION_CHECK : ACTION_UP;
}

static DualWriteAction
action_for_update(const PgxcDualWrite *dw, TupleTableSlot *before,
				  TupleTableSlot *after)
{
	bool old_side = false;

	for (int i = 0; i < dw->nsources && !old_side; i++)
		old_side = column_changed(&dw->sources[i].column, before, after);

	if (column_changed(&dw->target, before, after))
	{
		if (old_side)
			return preferred(dw);
		/* Whoever fills a row by hand may well write what it should be. */
		return is_null(&dw->target, before) ? ACTION_CHECK : ACTION_DOWN;
	}
	if (old_side)
		return ACTION_UP;
	if (is_null(&dw->target, after))
		for (int i = 0; i < dw->nsources; i++)
			if (!is_null(&dw->sources[i].column, after))
				return ACTION_UP;
	return ACTION_NONE;
}

/* Did the INSERT give this column a value? */
static bool
is_given(const PgxcSource *source, TupleTableSlot *row)
{
	bool null;
	Datum value = slot_getattr(row, source->column.attnum, &null);

	if (null)
		return false;
	switch (source->default_kind)
	{
		case PGXC_DEFAULT_NULL:
			return true;
		case PGXC_DEFAULT_CONSTANT:
			return !same_value(&source->column, value, false,
							   source->default_value, false);
		case PGXC_DEFAULT_UNKNOWN:
			break;
	}
	return false;
}

static DualWriteAction
action_for_insert(const PgxcDualWrite *dw, TupleTableSlot *row)
{
	if (is_null(&dw->target, row))
		return ACTION_UP;
	for (int i = 0; i < dw->nsources; i++)
		if (is_given(&dw->sources[i], row))
			return preferred(dw);
	return ACTION_CHECK;
}

static void
add_context(void *arg)
{
	DualWriteContext *context = (DualWriteContext *) arg;

	errcontext("migration \"%s\", computing column \"%s\" from \"%s\"",
			   context->dw->name, context->to, context->from);
}

/*
 * Evaluate up, or one down, on a row.  A failing up gives null.
 */
static Datum
evaluate(const PgxcDualWrite *dw, const PgxcSource *down, Relation rel,
		 TupleTableSlot *row, bool *isnull)
{
	PgxcTransform *transform = down ? down->down : dw->up;
	Oid owner = rel->rd_rel->relowner;
	DualWriteContext context;
	ErrorContextCallback callback;
	Datum value;

	if (transform->kind == PGXC_TRANSFORM_COPY)
		return slot_getattr(row, transform->copied, isnull);

	context.dw = dw;
	context.from = down ? dw->target.name : dw->sources[0].column.name;
	context.to = down ? down->column.name : dw->target.name;
	callback.callback = add_context;
	callback.arg = &context;
	callback.previous = error_context_stack;
	error_context_stack = &callback;

	value = down ? pgxc_transform_run(transform, dw->environment, owner, row,
									  isnull)
				 : pgxc_transform_try(transform, dw->environment, owner, row,
									  isnull);

	error_context_stack = callback.previous;
	return value;
}

/* Take over a row into one of ours, where its columns can be replaced. */
static void
load_row(TupleTableSlot *mine, TupleTableSlot *row)
{
	int natts = mine->tts_tupleDescriptor->natts;

	slot_getallattrs(row);
	ExecClearTuple(mine);
	memcpy(mine->tts_values, row->tts_values, natts * sizeof(Datum));
	memcpy(mine->tts_isnull, row->tts_isnull, natts * sizeof(bool));
	ExecStoreVirtualTuple(mine);
}

static inline void
replace_column(TupleTableSlot *mine, const PgxcColumn *column, Datum value,
			   bool isnull)
{
	mine->tts_values[column->attnum - 1] = value;
	mine->tts_isnull[column->attnum - 1] = isnull;
}

/* Make a tuple of our row, with the identity of the one that it replaces. */
static HeapTuple
form_tuple(TupleTableSlot *mine, Relation rel, HeapTuple replaced)
{
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(rel), mine->tts_values,
									  mine->tts_isnull);

	tuple->t_data->t_ctid = replaced->t_data->t_ctid;
	tuple->t_self = replaced->t_self;
	tuple->t_tableOid = replaced->t_tableOid;
	return tuple;
}

/* N = up(S) */
static HeapTuple
write_up(const PgxcDualWrite *dw, Relation rel, TupleTableSlot *row,
		 Datum value, bool isnull, HeapTuple tuple)
{
	load_row(dw->row, row);
	replace_column(dw->row, &dw->target, value, isnull);
	return form_tuple(dw->row, rel, tuple);
}

/* S = down(N), N = up(S) */
static HeapTuple
write_down(const PgxcDualWrite *dw, Relation rel, TupleTableSlot *row,
		   HeapTuple tuple)
{
	Datum value;
	bool isnull;

	if (dw->one_way)
		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(
				 "column \"%s\" cannot be written before migration \"%s\" is contracted",
				 dw->target.name, dw->name),
			 errdetail(
				 "There is no down expression that would carry the value to column \"%s\".",
				 dw->sources[0].column.name),
			 errhint("Write column \"%s\"; the new one follows.",
					 dw->sources[0].column.name)));

	/* Each down sees the row as it came. */
	load_row(dw->row, row);
	for (int i = 0; i < dw->nsources; i++)
	{
		value = evaluate(dw, &dw->sources[i], rel, row, &isnull);
		replace_column(dw->row, &dw->sources[i].column, value, isnull);
	}
	if (!dw->plain)
	{
		value = evaluate(dw, NULL, rel, dw->row, &isnull);
		replace_column(dw->row, &dw->target, value, isnull);
	}
	return form_tuple(dw->row, rel, tuple);
}

/* Do it; returns the tuple as it came if nothing is to be changed. */
static HeapTuple
carry_out(const PgxcDualWrite *dw, DualWriteAction action, Relation rel,
		  TupleTableSlot *row, HeapTuple tuple)
{
	Datum value;
	Datum current;
	bool isnull;
	bool current_null;

	if (action == ACTION_DOWN)
		return write_down(dw, rel, row, tuple);

	value = evaluate(dw, NULL, rel, row, &isnull);
	current = slot_getattr(row, dw->target.attnum, &current_null);
	if (same_value(&dw->target, value, isnull, current, current_null))
		return tuple;
	if (action == ACTION_CHECK)
		return write_down(dw, rel, row, tuple);
	return write_up(dw, rel, row, value, isnull, tuple);
}

/*
 * Is this a row of a chunk of our own?  Not what a user's trigger writes in
 * answer to it: that must be carried over like any other write.
 */
static inline bool
is_own_chunk(const PgxcDualWrite *dw)
{
	return unlikely(pgxc_own_chunk_migration != 0) &&
		   pgxc_own_chunk_migration == dw->migration &&
		   DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) == 1;
}

Datum
pgxc_dual_write(PG_FUNCTION_ARGS)
{
	TriggerData *data = check_protocol(fcinfo);
	bool update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	HeapTuple tuple = update ? data->tg_newtuple : data->tg_trigtuple;
	TupleTableSlot *row = update ? data->tg_newslot : data->tg_trigslot;
	PgxcDualWrite *dw = pgxc_dual_write_find(data, &fcinfo->flinfo->fn_extra);
	DualWriteAction action;

	if (is_own_chunk(dw))
		return PointerGetDatum(tuple);

	action = update ? action_for_update(dw, data->tg_trigslot, row)
					: action_for_insert(dw, row);
	if (action == ACTION_NONE)
		return PointerGetDatum(tuple);
	if (dw->copies_only)
		return PointerGetDatum(
			carry_out(dw, action, data->tg_relation, row, tuple));

	pgxc_dual_write_use(dw);
	tuple = carry_out(dw, action, data->tg_relation, row, tuple);
	pgxc_dual_write_unuse(dw);
	return PointerGetDatum(tuple);
}
