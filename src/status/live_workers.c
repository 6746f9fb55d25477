/*
 * live_workers.c
 *		The functions behind the views that show what is alive.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "backfill/signals.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/shared_state.h"

static const char *const activity_names[] = {
	"initializing",   "updating rows",          "revisiting locked rows",
	"verifying rows", "rechecking failed rows", "building",
	"waiting"
};

static const char *const level_names[] = { "off", "green", "yellow", "red" };

/*
 * May the caller see this worker?  Members of pg_monitor see all, owners those
 * on their own tables.
 */
static bool
may_see(const PgxcSlot *slot)
{
	if (has_privs_of_role(GetUserId(), ROLE_PG_MONITOR))
		return true;
	return slot->database == MyDatabaseId &&
		   OidIsValid(slot->live.root_relid) &&
		   get_rel_name(slot->live.root_relid) != NULL &&
		   pgxc_relation_ownercheck(slot->live.root_relid, GetUserId());
}

PG_FUNCTION_INFO_V1(pgxc_live_workers);
PG_FUNCTION_INFO_V1(pgxc_live_signals);
PG_FUNCTION_INFO_V1(pgxc_cluster_status);

/* live_workers() returns setof record */
Datum
pgxc_live_workers(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgxcSlot *slots;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	n = pgxc_slots_copy(&slots);
	for (int i = 0; i < n; i++)
	{
		PgxcLive *live = &slots[i].live;
		Datum values[25];
		bool nulls[25] = { false };
		int c = 0;

		if (live->migration_id == 0 || !may_see(&slots[i]))
			continue;
		values[c++] = Int32GetDatum(slots[i].pid);
		values[c++] = ObjectIdGetDatum(slots[i].database);
		values[c++] = Int64GetDatum(live->migration_id);
		values[c++] = ObjectIdGetDatum(live->relid);
		values[c++] = CStringGetTextDatum(activity_names[live->activity]);
		nulls[c] = live->wait_reason[0] == '\0';
		values[c++] = CStringGetTextDatum(live->wait_reason);
		for (int j = 0; j < 4; j++)
			nulls[c + j] = live->throttle_signal < 0;
		values[c++] =
			live->throttle_signal < 0
				? (Datum) 0
				: CStringGetTextDatum(pgxc_signal_name(live->throttle_signal));
		values[c++] = Float8GetDatum(live->throttle_value);
		values[c++] = Float8GetDatum(live->throttle_limit);
		values[c++] =
			live->throttle_signal < 0
				? (Datum) 0
				: CStringGetTextDatum(pgxc_signal_unit(live->throttle_signal));
		values[c++] = Int32GetDatum(live->passes);
		values[c++] = Int32GetDatum(live->pass);
		values[c++] = Int64GetDatum(live->chunk_blocks);
		values[c++] = Float8GetDatum(live->chunk_ms);
		values[c++] = Float8GetDatum(live->duty);
		values[c++] = Float8GetDatum(live->rows_per_second);
		values[c++] = Float8GetDatum(live->blocks_per_second);
		values[c++] = Int64GetDatum(live->chunks);
		values[c++] = Int64GetDatum(live->rows_updated);
		values[c++] = Int64GetDatum(live->wal_bytes);
		values[c++] = Float8GetDatum(live->busy_ms);
		values[c++] = Float8GetDatum(live->delay_ms);
		values[c++] = Int64GetDatum(live->retries);
		values[c++] = Int64GetDatum(live->lock_yields);
		nulls[c] = live->started_at == 0;
		values[c++] = TimestampTzGetDatum(live->started_at);
		Assert(c == lengthof(values));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* live_signals() returns setof record */
Datum
pgxc_live_signals(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgxcSlot *slots;
	int n;

	InitMaterializedSRF(fcinfo, 0);
	n = pgxc_slots_copy(&slots);
	for (int i = 0; i < n; i++)
	{
		if (slots[i].live.migration_id == 0 || !may_see(&slots[i]))
			continue;
		for (int s = 0; s < PGXC_NUM_SIGNALS; s++)
		{
			PgxcReading *reading = &slots[i].live.readings[s];
			Datum values[10];
			bool nulls[10] = { false };

			values[0] = Int32GetDatum(slots[i].pid);
			values[1] = ObjectIdGetDatum(slots[i].database);
			values[2] = Int64GetDatum(slots[i].live.migration_id);
			values[3] = CStringGetTextDatum(pgxc_signal_name(s));
			values[4] = CStringGetTextDatum(pgxc_signal_unit(s));
			values[5] = Float8GetDatum(reading->value);
			nulls[5] = reading->level == PGXC_LEVEL_OFF;
			values[6] = Float8GetDatum(pgxc_signal_soft[s]);
			nulls[6] = pgxc_signal_soft[s] <= 0;
			values[7] = Float8GetDatum(pgxc_signal_hard[s]);
			nulls[7] = pgxc_signal_hard[s] <= 0;
			values[8] = CStringGetTextDatum(level_names[reading->level]);
			values[9] = CStringGetTextDatum(reading->detail);
			nulls[9] = reading->detail[0] == '\0';
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values,
								 nulls);
		}
	}
	return (Datum) 0;
}

/* cluster_status() returns record */
Datum
pgxc_cluster_status(PG_FUNCTION_ARGS)
{
	TupleDesc tupdesc;
	Datum values[5] = { 0 };
	bool nulls[5] = { false };
	int free_workers = 0;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type"); /* cannot happen */

	values[0] = BoolGetDatum(pgxc_shared != NULL);
	nulls[1] = true;
	if (pgxc_shared != NULL)
	{
		LWLockAcquire(pgxc_shared->lock, LW_SHARED);
		nulls[1] = pgxc_shared->launcher_pid == 0;
		values[1] = Int32GetDatum(pgxc_shared->launcher_pid);
		for (int i = 0; i < pgxc_max_workers; i++)
			free_workers += !pgxc_shared->slots[i].in_use;
		values[3] = BoolGetDatum(pgxc_shared->registration_failed);
		LWLockRelease(pgxc_shared->lock);
	}
	values[2] = Int32GetDatum(free_workers);
	values[4] = CStringGetTextDatum(pgxc_home());
	PG_RETURN_DATUM(HeapTupleGetDatum(
		heap_form_tuple(BlessTupleDesc(tupdesc), values, nulls)));
}
