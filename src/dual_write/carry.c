/*
 * carry.c
 *		Keeps an old column and its new one in step, row by row.
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
 * has a default that nobody can know, such as a sequence.  The defaults are
 * those of the table and of all that it is a partition of.
 *
 * A value that up fails on is stored as null: the application's statement must
 * not fail, and the backfill finds the row and says what is wrong with it.  A
 * value that down fails on is the statement's error.
 */
#include "postgres.h"

#include "executor/tuptable.h"
#include "utils/datum.h"
#include "utils/rel.h"

#include "dual_write/carry.h"
#include "dual_write/config_cache.h"
#include "dual_write/unconverted.h"
#include "dual_write/way_back.h"

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
	if (source->default_unknown)
		return false;
	for (int i = 0; i < source->ndefaults; i++)
	{
		if (same_value(&source->column, value, false, source->defaults[i],
					   false))
			return false;
	}
	return true;
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
	int sqlerrcode = 0;

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
									  isnull, &sqlerrcode);
	if (sqlerrcode != 0)
		pgxc_note_unconverted(dw->migration, dw->target.name, sqlerrcode);

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

/* S = down(N), N = up(S) */
static void
write_down(const PgxcDualWrite *dw, Relation rel, TupleTableSlot *row)
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
}

/* Would all old values come back from a row with this new one? */
static void
check_way_back(const PgxcDualWrite *dw, Relation rel, TupleTableSlot *row,
			   Datum value)
{
	load_row(dw->row, row);
	replace_column(dw->row, &dw->target, value, false);
	pgxc_way_back_check(dw, rel, dw->row);
}

/* Returns false if nothing is to be changed. */
static bool
carry_out(const PgxcDualWrite *dw, DualWriteAction action, Relation rel,
		  TupleTableSlot *row)
{
	Datum value;
	Datum current;
	bool isnull;
	bool current_null;

	if (action == ACTION_DOWN)
	{
		write_down(dw, rel, row);
		return true;
	}

	value = evaluate(dw, NULL, rel, row, &isnull);
	if (dw->may_lose && action == ACTION_UP && !isnull)
		check_way_back(dw, rel, row, value);
	current = slot_getattr(row, dw->target.attnum, &current_null);
	if (same_value(&dw->target, value, isnull, current, current_null))
		return false;
	if (action == ACTION_CHECK)
		write_down(dw, rel, row);
	else
	{
		load_row(dw->row, row);
		replace_column(dw->row, &dw->target, value, isnull);
	}
	return true;
}

/*
 * Look at a row that is being written; before: as it was, NULL for an INSERT.
 * Returns true if it must be changed; dw->row then is what it must be, until
 * the next call.
 *
 * Values are computed in the current memory context, which the caller resets
 * from row to row.  Throws 55000 if the new column was written and there is no
 * way back, and what a down throws.
 */
bool
pgxc_dual_write_carry(PgxcDualWrite *dw, Relation rel, TupleTableSlot *before,
					  TupleTableSlot *row)
{
	DualWriteAction action = before ? action_for_update(dw, before, row)
									: action_for_insert(dw, row);
	bool changed;

	if (action == ACTION_NONE)
		return false;
	if (dw->copies_only)
		return carry_out(dw, action, rel, row);

	pgxc_dual_write_use(dw);
	changed = carry_out(dw, action, rel, row);
	pgxc_dual_write_unuse(dw);
	return changed;
}
