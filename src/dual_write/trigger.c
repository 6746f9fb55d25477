/*
 * trigger.c
 *		pgxc.dual_write(), a BEFORE trigger FOR EACH ROW.
 *
 * What it does is in carry.c.  An ordinary UPDATE does not get here: see
 * update_projection.c.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "utils/fmgrprotos.h"
#include "utils/rel.h"

#include "core/own_statement.h"
#include "dual_write/carry.h"
#include "dual_write/config_cache.h"
#include "dual_write/trigger.h"

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

/* Make a tuple of a row, with the identity of the one that it replaces. */
static HeapTuple
form_tuple(Relation rel, TupleTableSlot *row, HeapTuple replaced)
{
	HeapTuple tuple = heap_form_tuple(RelationGetDescr(rel), row->tts_values,
									  row->tts_isnull);

	tuple->t_data->t_ctid = replaced->t_data->t_ctid;
	tuple->t_self = replaced->t_self;
	tuple->t_tableOid = replaced->t_tableOid;
	return tuple;
}

/*
 * Is this a row of a chunk of our own?  Not what a user's trigger writes in
 * answer to it: that must be carried over like any other write.  depth: of
 * triggers, in a chunk.
 */
bool
pgxc_dual_write_is_own_chunk(const PgxcDualWrite *dw, int depth)
{
	return pgxc_own_chunk_migration == dw->migration &&
		   DatumGetInt32(DirectFunctionCall1(pg_trigger_depth, (Datum) 0)) ==
			   depth;
}

Datum
pgxc_dual_write(PG_FUNCTION_ARGS)
{
	TriggerData *data = check_protocol(fcinfo);
	bool update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	HeapTuple tuple = update ? data->tg_newtuple : data->tg_trigtuple;
	TupleTableSlot *row = update ? data->tg_newslot : data->tg_trigslot;
	PgxcDualWrite *dw =
		pgxc_dual_write_find(data->tg_trigger, data->tg_relation,
							 &fcinfo->flinfo->fn_extra);

	if (unlikely(pgxc_own_chunk_migration != 0) &&
		pgxc_dual_write_is_own_chunk(dw, 1))
		return PointerGetDatum(tuple);
	if (pgxc_dual_write_carry(dw, data->tg_relation,
							  update ? data->tg_trigslot : NULL, row))
		tuple = form_tuple(data->tg_relation, dw->row, tuple);
	return PointerGetDatum(tuple);
}

/* Is this a trigger of ours, ready to fire whatever the session says? */
bool
pgxc_dual_write_is_ours(const Trigger *trigger)
{
	FmgrInfo function;

	/* Few other triggers have as many arguments: saves the look-up. */
	if (trigger->tgnargs < 8 || trigger->tgenabled != TRIGGER_FIRES_ALWAYS ||
		trigger->tgqual != NULL || trigger->tgnattr > 0)
		return false;
	fmgr_info(trigger->tgfoid, &function);
	return function.fn_addr == pgxc_dual_write;
}
