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
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/elog.h"

#include "core/sql_runner.h"
#include "dual_write/unconverted.h"

/*
 * Note that a value could not be converted: not twice in a (sub)transaction,
 * since a bulk load may have many.  But in each: that others have left notes
 * says nothing of ours, since a verification may come between their commit and
 * ours.  No row data: monitors read events.  A trigger whose migration is not
 * here (a table was restored without it) has nobody to tell.
 */
void
pgxc_note_unconverted(int64 migration, const char *column, int sqlerrcode)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.event (migration_id, event, detail)"
		" SELECT id, 'unconverted', $2 FROM pgxc.migration WHERE id = $1",
		INT8OID, TEXTOID);
	static TransactionId noted_xid = InvalidTransactionId;
	static int64 noted_migration = 0;
	TransactionId xid = GetCurrentTransactionId();
	PgxcIdentity saved;
	Datum values[2];

	if (xid == noted_xid && migration == noted_migration)
		return;
	values[0] = Int64GetDatum(migration);
	values[1] = CStringGetTextDatum(psprintf(
		"a value written to the table cannot be converted for column \"%s\" (SQLSTATE %s)",
		column, unpack_sql_state(sqlerrcode)));
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&insert, values, NULL, SPI_OK_INSERT);
	pgxc_sql_end(&saved);
	noted_xid = xid;
	noted_migration = migration;
}
