/*
 * error_capture.c
 *		Keeping an error beyond the transaction that it aborts.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/elog.h"
#include "utils/memutils.h"

#include "core/error_capture.h"

/*
 * To be called in PG_CATCH: copies the error into context, which must outlive
 * the transaction, and clears the error state.  The caller aborts.
 */
PgxcError *
pgxc_error_capture(MemoryContext context)
{
	ErrorData *edata;
	PgxcError *error;

	MemoryContextSwitchTo(context);
	edata = CopyErrorData();
	FlushErrorState();

	error = palloc0(sizeof(PgxcError));
	error->sqlerrcode = edata->sqlerrcode;
	strlcpy(error->sqlstate, unpack_sql_state(edata->sqlerrcode), 6);
	if (edata->detail)
		error->message = psprintf("%s (%s)", edata->message, edata->detail);
	else
		error->message = pstrdup(edata->message);
	FreeErrorData(edata);
	return error;
}

/*
 * To be called in PG_CATCH where an error does not matter.  But somebody's
 * wish to cancel does: it is kept for the next CHECK_FOR_INTERRUPTS().
 */
void
pgxc_error_ignore(MemoryContext context)
{
	PgxcError *error = pgxc_error_capture(context);

	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
	{
		QueryCancelPending = true;
		InterruptPending = true;
	}
}
