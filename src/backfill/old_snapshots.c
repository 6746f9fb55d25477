/*
 * old_snapshots.c
 *		Waiting for those who still see rows as they were before.
 *
 * A snapshot from before a row was filled shows the version with a null in the
 * new column.  Whoever holds one and reads the table after contract would see
 * that null in the place of the old column, which is gone for every snapshot.
 * So a migration is not ready before these have ended.
 */
#include "postgres.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "backfill/old_snapshots.h"
#include "core/compat.h"
#include "core/sql_runner.h"

/* Those in this database, but for vacuum, which hold a snapshot so old. */
static VirtualTransactionId *
current_holders(TransactionId limit, int *n)
{
	return GetCurrentVirtualXIDs(limit, true, false,
								 PROC_IS_AUTOVACUUM | PROC_IN_VACUUM |
									 PROC_IN_SAFE_IC,
								 n);
}

/* Who had a snapshot at the first look, and may have it still. */
static void
look_again(PgxcDrive *drive)
{
	int n;
	VirtualTransactionId *now = current_holders(drive->snapshot_limit, &n);
	int left = 0;

	for (int i = 0; i < drive->nsnapshots; i++)
	{
		for (int j = 0; j < n; j++)
		{
			if (VirtualTransactionIdEquals(drive->snapshots[i], now[j]))
			{
				drive->snapshots[left++] = now[j];
				break;
			}
		}
	}
	drive->nsnapshots = left;
}

static void
look_first(PgxcDrive *drive)
{
	VirtualTransactionId *now;
	Size size;

	drive->snapshot_limit = GetLatestSnapshot()->xmin;
	now = current_holders(drive->snapshot_limit, &drive->nsnapshots);
	size = sizeof(VirtualTransactionId) * Max(drive->nsnapshots, 1);
	drive->snapshots = MemoryContextAlloc(drive->context, size);
	memcpy(drive->snapshots, now,
		   sizeof(VirtualTransactionId) * drive->nsnapshots);
}

/* Their processes, in words, in the current memory context. */
static char *
describe(PgxcDrive *drive)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT string_agg('process ' || pid, ', ' ORDER BY pid) FROM pg_catalog.pg_locks"
		" WHERE locktype = 'virtualxid' AND granted AND virtualxid = ANY ($1)",
		TEXTARRAYOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum *names = palloc(sizeof(Datum) * drive->nsnapshots);
	Datum value;
	bool isnull;
	char *result = NULL;

	for (int i = 0; i < drive->nsnapshots; i++)
		names[i] = CStringGetTextDatum(pgxc_vxid_text(drive->snapshots[i]));
	value = PointerGetDatum(construct_array(names, drive->nsnapshots, TEXTOID,
											-1, false, TYPALIGN_INT));
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&find, &value, NULL, SPI_OK_SELECT);
	value = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
		result = MemoryContextStrdup(caller, TextDatumGetCString(value));
	pgxc_sql_end(&saved);
	return result ? result : pstrdup("somebody");
}

/* Rows were changed again: what was seen of snapshots does not count. */
void
pgxc_old_snapshots_forget(PgxcDrive *drive)
{
	if (drive->snapshots != NULL)
		pfree(drive->snapshots);
	drive->snapshots = NULL;
	drive->snapshot_tries = 0;
}

/*
 * Who still holds a snapshot from before the first call since the last
 * pgxc_old_snapshots_forget(): processes, in words, in the current memory
 * context; NULL if nobody does.  In a step's transaction, which must not be
 * the same as the one that waits.
 */
char *
pgxc_old_snapshots_holders(PgxcDrive *drive)
{
	if (drive->snapshots == NULL)
		look_first(drive);
	else
		look_again(drive);
	if (drive->nsnapshots == 0)
		return NULL;
	drive->snapshot_tries++;
	return describe(drive);
}
