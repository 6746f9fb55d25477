/*
 * rewrite_net.c
 *		The event trigger on table_rewrite, for sessions in which the hooks came
 *		too late: pgxc is not in shared_preload_libraries, and the call of this
 *		function is what loaded it.
 */
#include "postgres.h"

#include "backfill/preflight.h"
#include "catalog/namespace.h"
#include "commands/event_trigger.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"

#include "core/settings.h"
#include "guard/hook.h"
#include "guard/open_migrations.h"

PG_FUNCTION_INFO_V1(pgxc_guard_rewrite);

/* Throws 55006 for a table with an open migration, unless the hook saw it. */
Datum
pgxc_guard_rewrite(PG_FUNCTION_ARGS)
{
	Oid relid;
	ListCell *lc;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(
			ERROR,
			(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
			 errmsg(
				 "pgxc.guard_rewrite() must be called as an event trigger")));
	if (pgxc_guard_watches() || pgxc_guard == PGXC_GUARD_OFF ||
		!pgxc_guard_is_awake())
		PG_RETURN_NULL();

	relid = DatumGetObjectId(
		DirectFunctionCall1(pg_event_trigger_table_rewrite_oid, (Datum) 0));
	foreach (lc, pgxc_open_migrations())
	{
		PgxcOpen *migration = (PgxcOpen *) lfirst(lc);

		if (!list_member_oid(pgxc_open_tree(migration), relid))
			continue;
		ereport(
			pgxc_guard == PGXC_GUARD_WARN ? WARNING : ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg(
				 "cannot rewrite table \"%s\" while migration \"%s\" is open",
				 get_rel_name(relid), migration->name),
			 errhint(
				 "SELECT * FROM pgxc.check_ddl('...') tells a safer way.")));
	}
	PG_RETURN_NULL();
}
