/*
 * run.c
 *		CALL pgxc.run(): the same chunks in the caller's session.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "backfill/drive.h"
#include "core/extension.h"
#include "core/migration_row.h"
#include "core/nonatomic.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "core/transition.h"

static PgxcSlot *foreground_slot = NULL;

static void
release_slot(int code, Datum arg)
{
	if (foreground_slot == NULL)
		return;
	pgxc_slot_detach(foreground_slot);
	foreground_slot = NULL;

	/* If it was left running, a worker takes over. */
	(void) pgxc_database_want(MyDatabaseId, 0);
}

/* Throw 55006 if a worker, or another session, has the migration. */
static void
require_unattended(const PgxcMigration *migration)
{
	PgxcSlot *slots;
	int n = pgxc_slots_copy(&slots);

	for (int i = 0; i < n; i++)
	{
		if (slots[i].database == MyDatabaseId &&
			slots[i].live.migration_id == migration->id)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_IN_USE),
					 errmsg("migration \"%s\" is being run by another process",
							migration->name),
					 errdetail("It is process %d.", slots[i].pid),
					 errhint("Wait for it with CALL pgxc.wait(%lld).",
							 (long long) migration->id)));
	}
}

/*
 * Make the migration ours: queued or blocked becomes running.
 */
static void
begin_run(int64 id)
{
	PgxcMigration *migration;

	pgxc_tx_begin(true);
	pgxc_migration_control_lock(id, ExclusiveLock);
	migration = pgxc_migration_load(id);
	if (migration == NULL || migration->state == PGXC_STATE_FINISHED ||
		!pgxc_migration_is_home(migration) ||
		(migration->state != PGXC_STATE_RUNNING &&
		 !pgxc_transition(id, PGXC_STATE_RUNNING, NULL, "run by pgxc.run()")))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot run migration \"%s\", which is %s",
							   migration ? migration->name : "",
							   migration == NULL ? "gone"
							   : strcmp(migration->phase, "migrate") != 0
								   ? migration->phase
								   : pgxc_state_name(migration->state)),
						errhint("See next_step in the view pgxc.migrations.")));
	pgxc_tx_commit(true);
}

/* Has it come as far as it comes by itself? */
static bool
is_at_its_end(const PgxcMigration *migration)
{
	return strcmp(migration->phase, "done") == 0 ||
		   migration->state == PGXC_STATE_READY;
}

/*
 * Throw 0A000 if an index build of this migration could not end the
 * transaction: a procedure's own SPI connection does not survive that.
 */
static void
require_top_level(const PgxcMigration *migration)
{
	if (!migration->dual_write || !SPI_inside_nonatomic_context())
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("cannot run migration \"%s\" from inside another procedure",
					migration->name),
			 errdetail("It builds indexes concurrently."),
			 errhint("CALL pgxc.run(%lld) as a statement of its own.",
					 (long long) migration->id)));
}

static void
report_end(int64 id)
{
	PgxcMigration *migration;

	pgxc_tx_begin(true);
	migration = pgxc_migration_load(id);
	pgxc_tx_commit(true);
	if (migration == NULL)
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("the migration was removed concurrently")));
	if (is_at_its_end(migration))
		return;
	ereport(ERROR,
			(errcode(migration->state == PGXC_STATE_PAUSED
						 ? ERRCODE_QUERY_CANCELED
						 : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("migration \"%s\" stopped: it is %s", migration->name,
					strcmp(migration->phase, "migrate") == 0
						? pgxc_state_name(migration->state)
						: migration->phase),
			 errhint("The view pgxc.migrations tells why, and what to do.")));
}

PG_FUNCTION_INFO_V1(pgxc_run);

/* run(migration) */
Datum
pgxc_run(PG_FUNCTION_ARGS)
{
	static bool registered = false;
	PgxcMigration *migration;
	PgxcDrive *drive;
	MemoryContext entry = CurrentMemoryContext;
	MemoryContext context;
	int64 id;

	pgxc_require_nonatomic(fcinfo, "pgxc.run()");
	pgxc_require_primary("pgxc.run()");
	migration = pgxc_migration_argument(fcinfo, 0);
	pgxc_migration_check_owner(migration);
	pgxc_migration_require_data(migration, "run");
	require_unattended(migration);
	id = migration->id;

	if (is_at_its_end(migration))
		PG_RETURN_VOID();
	require_top_level(migration);

	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	if (pgxc_shared != NULL)
	{
		if (!registered)
			before_shmem_exit(release_slot, (Datum) 0);
		registered = true;
		foreground_slot = pgxc_slot_attach(false);
	}

	/* Not in SPI's memory: an index build leaves and comes back. */
	context = AllocSetContextCreate(PortalContext, "pgxc drive",
									ALLOCSET_DEFAULT_SIZES);
	PG_TRY();
	{
		begin_run(id);
		MemoryContextSwitchTo(context);
		drive = palloc(sizeof(PgxcDrive));
		pgxc_drive_init(drive, id, foreground_slot, true);
		(void) pgxc_drive_run(drive);
		pgxc_drive_end(drive);
		report_end(id);
	}
	PG_FINALLY();
	{
		pgxc_tx_leave();
		release_slot(0, (Datum) 0);
	}
	PG_END_TRY();

	SPI_finish();
	MemoryContextSwitchTo(entry);
	MemoryContextDelete(context);
	PG_RETURN_VOID();
}
