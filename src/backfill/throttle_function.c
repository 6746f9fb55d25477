/*
 * throttle_function.c
 *		The user's own signal.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timeout.h"

#include "backfill/signals.h"
#include "core/compat.h"
#include "core/error_capture.h"
#include "core/sql_runner.h"

#define TIMEOUT_MS 200
#define PATIENCE 3 /* errors in a row that are overlooked */

static void
call_function(const char *name, Oid owner, PgxcReading *reading)
{
	List *names = pgxc_split_qualified_name(name);
	PgxcIdentity saved;
	char *reason;
	bool isnull;
	Datum level;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	pgxc_identity_push(&saved, owner,
					   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	if (SPI_execute(
			psprintf("SELECT level, reason FROM %s() AS f(level, reason)",
					 NameListToQuotedString(names)),
			false, 1) != SPI_OK_SELECT ||
		SPI_processed != 1 ||
		SPI_gettypeid(SPI_tuptable->tupdesc, 1) != INT4OID)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_FUNCTION_DEFINITION),
			 errmsg(
				 "throttle function %s must return (level integer, reason text)",
				 name)));
	level = pgxc_sql_value(0, 1, &isnull);
	reading->value = isnull ? 0 : DatumGetInt32(level);
	reason = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2);
	strlcpy(reading->detail, reason ? reason : "", PGXC_DETAIL_LEN);
	pgxc_identity_pop(&saved);
	SPI_finish();
}

static Oid
relation_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner = InvalidOid;

	if (HeapTupleIsValid(tuple))
	{
		owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
		ReleaseSysCache(tuple);
	}
	return owner;
}

/* The migration's function, or else that of the setting; NULL if none. */
static const char *
function_name(const PgxcMigration *migration)
{
	const char *name = migration->throttle_function
						   ? migration->throttle_function
						   : pgxc_throttle_function;

	return name == NULL || name[0] == '\0' ? NULL : name;
}

/*
 * Call the migration's throttle function, or else that of the setting, as the
 * table's owner, in a transaction of its own and for 200 ms at most.  If it
 * fails three times in a row it counts as level 1: somebody wanted to be
 * asked.
 */
bool
pgxc_sample_throttle_function(PgxcSignals *signals,
							  const PgxcMigration *migration,
							  PgxcReading *reading)
{
	MemoryContext caller = CurrentMemoryContext;

	if (function_name(migration) == NULL)
		return false;

	pgxc_tx_begin(signals->foreground);
	PG_TRY();
	{
		Oid owner = relation_owner(migration->relid);

		/* Nothing arms it in a worker; a session has its own. */
		if (!signals->foreground)
			enable_timeout_after(STATEMENT_TIMEOUT, TIMEOUT_MS);
		if (OidIsValid(owner))
			call_function(function_name(migration), owner, reading);
		if (!signals->foreground)
			disable_timeout(STATEMENT_TIMEOUT, false);
		pgxc_tx_commit(signals->foreground);
		signals->function_errors = 0;
	}
	PG_CATCH();
	{
		PgxcError *error;

		if (!signals->foreground)
			disable_timeout(STATEMENT_TIMEOUT, false);
		error = pgxc_error_capture(caller);
		pgxc_tx_abort(signals->foreground);
		MemoryContextSwitchTo(caller);
		if (++signals->function_errors >= PATIENCE)
		{
			reading->value = 1;
			snprintf(reading->detail, PGXC_DETAIL_LEN, "it fails: %s",
					 error->message);
		}
	}
	PG_END_TRY();
	return true;
}
