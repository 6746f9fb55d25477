/*
 * unconverted.c
 *		Writes of the application that the new column could not hold.
 *
 * Such a write succeeds, and leaves the new column null.  If that happens
 * after the row was verified, contract would lose the value.  So the write
 * leaves a note in its own transaction, which contract finds.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/elog.h"

#include "core/event_log.h"
#include "dual_write/unconverted.h"

/*
 * Note that a value could not be converted: once for each migration and
 * (sub)transaction, since a bulk load may have many.  No row data: monitors
 * read events.
 */
void
pgxc_note_unconverted(int64 migration, const char *column, int sqlerrcode)
{
	static TransactionId noted_xid = InvalidTransactionId;
	static int64 noted_migration = 0;
	TransactionId xid = GetCurrentTransactionId();

	if (xid == noted_xid && migration == noted_migration)
		return;
	pgxc_event(
		migration, "unconverted", NULL, NULL,
		psprintf(
			"a value written to the table cannot be converted for column \"%s\" (SQLSTATE %s)",
			column, unpack_sql_state(sqlerrcode)));
	noted_xid = xid;
	noted_migration = migration;
}
