/*
 * drive_statement.c
 *		Long statements between two steps: index builds, validations.
 *
 * Such a statement runs without the locks that a step holds on the extension
 * and on the migration, so that nobody who wants to pause, cancel or drop
 * waits for its end.  What came of it is seen by the next step, in the
 * catalog: nothing here is remembered.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/pg_index.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "backfill/drive_error.h"
#include "backfill/drive_pace.h"
#include "backfill/drive_statement.h"
#include "core/compat.h"
#include "core/extension.h"
#include "core/own_statement.h"
#include "core/sql_runner.h"
#include "core/toplevel.h"

/* An object of ours, as the control lock is; see migration_row.c. */
#define BUILDER_SUBID 3

static void
builder_tag(LOCKTAG *tag, int64 migration_id)
{
	SET_LOCKTAG_OBJECT(*tag, MyDatabaseId, pgxc_catalog_table("migration"),
					   (Oid) migration_id, BUILDER_SUBID);
}

/*
 * Become the process that builds for the migration, until the end of the
 * transaction; false if another one is it.  pgxc_drive_statement_new() makes it
 * last until the statement's end.
 */
bool
pgxc_builder_lock(PgxcDrive *drive)
{
	LOCKTAG tag;

	builder_tag(&tag, drive->migration_id);
	return LockAcquire(&tag, ExclusiveLock, false, true) !=
		   LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Begin to describe the statement that is to run after this step, which must
 * return PGXC_STEP_STATEMENT.  The rest is for the caller to fill in, with
 * memory of ->context.  The caller holds the builder's lock.
 */
PgxcDriveStatement *
pgxc_drive_statement_new(PgxcDrive *drive, const char *purpose)
{
	MemoryContext context =
		AllocSetContextCreate(drive->context, "pgxc statement",
							  ALLOCSET_SMALL_SIZES);
	PgxcDriveStatement *statement =
		MemoryContextAllocZero(context, sizeof(PgxcDriveStatement));

	statement->context = context;
	statement->purpose = MemoryContextStrdup(context, purpose);
	drive->statement = statement;
	builder_tag(&drive->builder_tag, drive->migration_id);
	(void) LockAcquire(&drive->builder_tag, ExclusiveLock, true, true);
	return statement;
}

void
pgxc_drive_statement_forget(PgxcDrive *drive)
{
	if (drive->statement != NULL)
		MemoryContextDelete(drive->statement->context);
	drive->statement = NULL;
}

static void
report(PgxcDrive *drive, const PgxcDriveStatement *statement)
{
	drive->live.wait_reason[0] = '\0';
	drive->live.passes = 0;
	if (drive->slot)
		pgxc_slot_publish(drive->slot, &drive->live);
	if (!drive->foreground)
		pgstat_report_activity(STATE_RUNNING,
							   psprintf("migration \"%s\": %s", drive->name,
										statement->purpose));
}

/*
 * A statement that is one transaction, as the role that owns what it is about:
 * expressions of that role are evaluated.
 */
static PgxcError *
run_in_transaction(PgxcDrive *drive, const PgxcDriveStatement *statement)
{
	PgxcError *volatile error = NULL;

	PG_TRY();
	{
		PgxcIdentity saved;

		pgxc_tx_begin(drive->foreground);
		CHECK_FOR_INTERRUPTS();
		pgxc_set_local("lock_timeout", "0");
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed"); /* cannot happen */
		pgxc_identity_push(&saved, statement->role,
						   SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
		pgxc_set_saved("row_security", "off");
		pgxc_own_ddl_begin();
		(void) SPI_execute(statement->sql, false, 0);
		pgxc_own_ddl_end();
		pgxc_identity_pop(&saved);
		SPI_finish();
		pgxc_tx_commit(drive->foreground);
	}
	PG_CATCH();
	{
		error = pgxc_error_capture(drive->step_context);
		pgxc_tx_abort(drive->foreground);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drive->step_context);
	return error;
}

/*
 * The command that drops what a failed build has left, and the builder's lock,
 * which the error has released, again; NULL if there is nothing to drop, or
 * somebody else is at it already.
 */
static char *
leftover_drop(PgxcDrive *drive, const PgxcDriveStatement *statement)
{
	Oid schema;
	Oid index;
	HeapTuple tuple;
	bool invalid = false;

	/*
	 * Whoever interrupted us may be about to drop the column and all that
	 * stands on it: let them finish first.
	 */
	if (pgxc_slot_interrupted(drive->slot))
		pgxc_migration_control_lock(drive->migration_id, RowShareLock);

	schema = get_rel_namespace(statement->leftover_table);
	index = get_relname_relid(statement->leftover, schema);
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_index form = (Form_pg_index) GETSTRUCT(tuple);

		invalid =
			!form->indisvalid && form->indrelid == statement->leftover_table;
		ReleaseSysCache(tuple);
	}
	if (!invalid || LockAcquire(&drive->builder_tag, ExclusiveLock, true,
								true) == LOCKACQUIRE_NOT_AVAIL)
		return NULL;
	return MemoryContextStrdup(
		statement->context,
		psprintf("DROP INDEX CONCURRENTLY %s",
				 quote_qualified_identifier(get_namespace_name(schema),
											statement->leftover)));
}

/*
 * An index that could not be built is not used, but refuses and slows down
 * writes: it must go, and at once, whatever becomes of the migration.  If that
 * fails, the next one who builds sees it.
 */
static void
drop_leftover(PgxcDrive *drive, const PgxcDriveStatement *statement)
{
	PgxcError *volatile error = NULL;
	char *volatile sql = NULL;

	PG_TRY();
	{
		pgxc_tx_begin(drive->foreground);
		sql = leftover_drop(drive, statement);
		pgxc_tx_commit(drive->foreground);
	}
	PG_CATCH();
	{
		error = pgxc_error_capture(drive->step_context);
		pgxc_tx_abort(drive->foreground);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drive->step_context);

	if (error == NULL && sql != NULL)
	{
		if (!drive->foreground)
			pgstat_report_activity(STATE_RUNNING, sql);
		error =
			pgxc_run_toplevel(pgxc_parse_utility(sql), sql, drive->foreground);
		if (error == NULL)
			(void) LockRelease(&drive->builder_tag, ExclusiveLock, true);
	}
	if (error != NULL)
		ereport(LOG, (errmsg("pgxc could not drop the invalid index \"%s\": %s",
							 statement->leftover, error->message)));
}

/*
 * Run the statement that the last step left, outside of its transaction.
 *
 * Called, and returns, outside of a transaction (in the foreground: with
 * nothing done in it), in the step's memory context.  Never throws, but for a
 * termination of the process.  The builder's lock is released.
 */
PgxcStep
pgxc_drive_statement(PgxcDrive *drive, const PgxcMigration *migration)
{
	MemoryContext old = MemoryContextSwitchTo(drive->step_context);
	PgxcDriveStatement *statement = drive->statement;
	PgxcError *error;
	PgxcStep step = PGXC_STEP_AGAIN;
	bool interrupted;

	memset(&drive->work, 0, sizeof(drive->work));
	report(drive, statement);
	if (statement->tree != NULL)
		error = pgxc_run_toplevel(statement->tree, statement->sql,
								  drive->foreground);
	else
		error = run_in_transaction(drive, statement);

	if (error == NULL)
	{
		(void) LockRelease(&drive->builder_tag, ExclusiveLock, true);
		drive->contention = 0;
		drive->statement_succeeded = true;
	}
	else if (statement->leftover != NULL &&
			 !pgxc_slot_stop_requested(drive->slot))
		drop_leftover(drive, statement);

	drive->live.activity = PGXC_ACTIVITY_INITIALIZING;
	if (drive->slot)
		pgxc_slot_publish(drive->slot, &drive->live);
	interrupted = pgxc_slot_take_interrupt(drive->slot);

	/* Who interrupted it has changed the state: the next step will see. */
	if (error != NULL && !interrupted)
		step = pgxc_drive_error(drive, migration, error);

	pgxc_drive_statement_forget(drive);
	MemoryContextSwitchTo(old);
	if (!drive->foreground)
		(void) pgstat_report_stat(false);
	return step;
}
