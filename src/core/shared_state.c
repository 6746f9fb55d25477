/*
 * shared_state.c
 *		Who is alive and what it is doing this second.
 *
 * Nothing here is ever the truth about a migration: that is a row.  Losing
 * all of it in a crash costs a probe of each database.
 *
 * One lock protects everything; it is held for a copy of a few hundred bytes
 * at most, and never while anything can throw.
 */
#include "postgres.h"

#include <signal.h>

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/shmem.h"
#include "utils/timestamp.h"

#include "core/shared_state.h"

PgxcShared *pgxc_shared = NULL;
bool pgxc_am_worker = false;

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static int
slot_count(void)
{
	return pgxc_max_workers + PGXC_FOREGROUND_SLOTS;
}

static Size
shared_size(void)
{
	return add_size(offsetof(PgxcShared, slots),
					mul_size(sizeof(PgxcSlot), slot_count()));
}

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(shared_size());
	RequestNamedLWLockTranche("pgxc", 1);
}

static void
shmem_startup(void)
{
	bool found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	pgxc_shared = ShmemInitStruct("pgxc", shared_size(), &found);
	if (!found)
	{
		memset(pgxc_shared, 0, shared_size());
		pgxc_shared->lock = &(GetNamedLWLockTranche("pgxc"))->lock;
		pgxc_shared->nslots = slot_count();
		ConditionVariableInit(&pgxc_shared->changed);
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * Ask for shared memory.  Does nothing unless shared_preload_libraries is
 * being processed; pgxc_shared then stays NULL and everything that needs it
 * must do without.
 */
void
pgxc_shared_state_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

/*
 * Take a free slot for this process and this database.  Returns NULL if there
 * is none.  Background workers can take the first pgxc.max_workers slots only,
 * and CALL pgxc.run() only the others.
 */
PgxcSlot *
pgxc_slot_attach(bool background)
{
	int first = background ? 0 : pgxc_max_workers;
	int last = background ? pgxc_max_workers : pgxc_shared->nslots;
	PgxcSlot *slot = NULL;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	for (int i = first; i < last && slot == NULL; i++)
	{
		if (!pgxc_shared->slots[i].in_use)
			slot = &pgxc_shared->slots[i];
	}
	if (slot)
	{
		memset(slot, 0, sizeof(*slot));
		slot->in_use = true;
		slot->background = background;
		slot->generation = ++pgxc_shared->next_generation;
		slot->pid = MyProcPid;
		slot->proc = MyProc;
		slot->database = MyDatabaseId;
		slot->live.throttle_signal = -1;
	}
	LWLockRelease(pgxc_shared->lock);
	return slot;
}

/*
 * Give the slot back and tell those who wait for that.  Safe in an exit
 * callback.
 */
void
pgxc_slot_detach(PgxcSlot *slot)
{
	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	if (slot->in_use && slot->pid == MyProcPid)
	{
		slot->in_use = false;
		slot->proc = NULL;
	}
	LWLockRelease(pgxc_shared->lock);
	ConditionVariableBroadcast(&pgxc_shared->changed);
}

void
pgxc_slot_publish(PgxcSlot *slot, const PgxcLive *live)
{
	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	memcpy(&slot->live, live, sizeof(PgxcLive));
	LWLockRelease(pgxc_shared->lock);
}

/* A single byte that only ever goes from false to true: no lock. */
bool
pgxc_slot_stop_requested(PgxcSlot *slot)
{
	return slot != NULL && *(volatile bool *) &slot->stop_requested;
}

/*
 * If the slot's process runs a long statement (an index build, say), cancel
 * that.  The caller holds the lock, exclusive.
 */
void
pgxc_slot_interrupt_build(PgxcSlot *slot)
{
	if (slot->live.activity != PGXC_ACTIVITY_BUILDING)
		return;
	slot->interrupted = true;
	(void) kill(slot->pid, SIGINT);
}

/* For the process of the slot: did one of us cancel its long statement? */
bool
pgxc_slot_interrupted(PgxcSlot *slot)
{
	return slot != NULL && *(volatile bool *) &slot->interrupted;
}

/*
 * For the process of the slot, after its long statement, when it has published
 * that it is no longer at it: was that cancelled by one of us?  (Otherwise an
 * administrator did it, and wants the migration to stop.)  A cancellation that
 * came too late for the statement must not hit what comes next.
 */
bool
pgxc_slot_take_interrupt(PgxcSlot *slot)
{
	bool interrupted;

	if (slot == NULL)
		return false;
	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	interrupted = slot->interrupted;
	slot->interrupted = false;
	LWLockRelease(pgxc_shared->lock);
	if (interrupted)
	{
		/* A signal that was sent arrives with any system call. */
		pg_usleep(1000);
		QueryCancelPending = false;
	}
	return interrupted;
}

/*
 * Cancel the long statement that somebody runs for a migration of this
 * database.  For whoever changes its state, with the control lock held: no
 * such statement begins before it is released.  Without preload nobody is
 * known, and the statement goes on to its end.
 */
void
pgxc_interrupt_build(int64 migration_id)
{
	if (pgxc_shared == NULL)
		return;
	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < pgxc_shared->nslots; i++)
	{
		PgxcSlot *slot = &pgxc_shared->slots[i];

		if (slot->in_use && slot->database == MyDatabaseId &&
			slot->live.migration_id == migration_id)
			pgxc_slot_interrupt_build(slot);
	}
	LWLockRelease(pgxc_shared->lock);
}

/*
 * Copy the slots in use into a palloc'd array; returns how many there are.
 */
int
pgxc_slots_copy(PgxcSlot **slots)
{
	int n = 0;

	if (pgxc_shared == NULL)
	{
		*slots = NULL;
		return 0;
	}

	*slots = palloc(sizeof(PgxcSlot) * pgxc_shared->nslots);
	LWLockAcquire(pgxc_shared->lock, LW_SHARED);
	for (int i = 0; i < pgxc_shared->nslots; i++)
	{
		if (pgxc_shared->slots[i].in_use)
			memcpy(&(*slots)[n++], &pgxc_shared->slots[i], sizeof(PgxcSlot));
	}
	LWLockRelease(pgxc_shared->lock);
	return n;
}

/*
 * Set the latch of every worker of a database, so that a sleeping one looks at
 * its migration again.
 */
void
pgxc_wake_workers(Oid database)
{
	LWLockAcquire(pgxc_shared->lock, LW_SHARED);
	for (int i = 0; i < pgxc_shared->nslots; i++)
	{
		PgxcSlot *slot = &pgxc_shared->slots[i];

		if (slot->in_use && slot->database == database)
			SetLatch(&slot->proc->procLatch);
	}
	LWLockRelease(pgxc_shared->lock);
}

void
pgxc_launcher_wake(void)
{
	LWLockAcquire(pgxc_shared->lock, LW_SHARED);
	if (pgxc_shared->launcher_proc)
		SetLatch(&pgxc_shared->launcher_proc->procLatch);
	LWLockRelease(pgxc_shared->lock);
}

/*
 * Find a database's entry, or make one.  The caller holds the lock, exclusive
 * if create.  Returns NULL if there is none and none is free.
 */
PgxcDatabase *
pgxc_database_entry(Oid database, bool create)
{
	PgxcDatabase *unused = NULL;

	for (int i = 0; i < PGXC_MAX_DATABASES; i++)
	{
		PgxcDatabase *entry = &pgxc_shared->databases[i];

		if (entry->database == database)
			return entry;
		if (unused == NULL && (!OidIsValid(entry->database) ||
							   (!entry->wanted && entry->holds == 0 &&
								entry->wake_at == 0 && entry->terminated == 0)))
			unused = entry;
	}
	if (create && unused)
	{
		memset(unused, 0, sizeof(*unused));
		unused->database = database;
		return unused;
	}
	return NULL;
}

/*
 * Ask the launcher for a worker in a database, now (at = 0) or later.  Where
 * there is no room to note it, every database will be probed.  Returns false
 * if there is no launcher to ask.
 */
bool
pgxc_database_want(Oid database, TimestampTz at)
{
	PgxcDatabase *entry;

	if (pgxc_shared == NULL)
		return false;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	entry = pgxc_database_entry(database, true);
	if (entry == NULL)
		pgxc_shared->probe_all = true;
	else if (at == 0)
		entry->wanted = true;
	else if (entry->wake_at == 0 || entry->wake_at > at)
		entry->wake_at = at;
	LWLockRelease(pgxc_shared->lock);
	pgxc_launcher_wake();
	return true;
}
