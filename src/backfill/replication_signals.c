/*
 * replication_signals.c
 *		Signals of those who read our WAL: standbys, slots, the archiver.
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "replication/slot.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/fd.h"
#include "utils/timestamp.h"

#include "backfill/signals.h"
#include "core/compat.h"

#define MEGABYTE (1024.0 * 1024.0)

/*
 * Where the slowest receiver has come to; false if there is none that applies
 * WAL (pg_receivewal, for one, does not).
 */
static bool
slowest_apply(XLogRecPtr *apply, int *pid)
{
	bool found = false;

	for (int i = 0; i < max_wal_senders; i++)
	{
		WalSnd *walsnd = &WalSndCtl->walsnds[i];
		int walsnd_pid;
		WalSndState state;
		XLogRecPtr walsnd_apply;

		SpinLockAcquire(&walsnd->mutex);
		walsnd_pid = walsnd->pid;
		state = walsnd->state;
		walsnd_apply = walsnd->apply;
		SpinLockRelease(&walsnd->mutex);

		if (walsnd_pid == 0 || XLogRecPtrIsInvalid(walsnd_apply) ||
			(state != WALSNDSTATE_STREAMING && state != WALSNDSTATE_CATCHUP))
			continue;
		if (!found || walsnd_apply < *apply)
		{
			*apply = walsnd_apply;
			*pid = walsnd_pid;
			found = true;
		}
	}
	return found;
}

/*
 * Milliseconds since the oldest of our own commits that the slowest standby
 * has not replayed.  (The lag that the server computes goes stale when a
 * standby stops replaying, which is when it matters.)
 */
bool
pgxc_sample_replay_lag(PgxcSignals *signals, const PgxcMigration *migration,
					   PgxcReading *reading)
{
	XLogRecPtr apply;
	int pid;
	int64 first = Max(0, signals->ncommits - PGXC_COMMIT_RING);

	if (!slowest_apply(&apply, &pid))
		return false;

	reading->value = 0;
	for (int64 i = first; i < signals->ncommits; i++)
	{
		if (signals->commits[i % PGXC_COMMIT_RING].lsn > apply)
		{
			reading->value = (GetCurrentTimestamp() -
							  signals->commits[i % PGXC_COMMIT_RING].at) /
							 1000.0;
			break;
		}
	}
	snprintf(reading->detail, PGXC_DETAIL_LEN, "standby of walsender %d", pid);
	return true;
}

bool
pgxc_sample_replay_lag_bytes(PgxcSignals *signals,
							 const PgxcMigration *migration,
							 PgxcReading *reading)
{
	XLogRecPtr apply;
	XLogRecPtr now = GetXLogInsertRecPtr();
	int pid;

	if (!slowest_apply(&apply, &pid))
		return false;
	reading->value = now > apply ? (now - apply) / MEGABYTE : 0;
	snprintf(reading->detail, PGXC_DETAIL_LEN, "standby of walsender %d", pid);
	return true;
}

/*
 * How far the furthest replication slot is behind, in bytes.  An active
 * logical slot is measured by what its consumer confirmed, any other by the
 * WAL that it keeps.  (kept_only: always by that.)
 */
static bool
furthest_slot(bool kept_only, double *behind, PgxcReading *reading)
{
	XLogRecPtr now = GetXLogInsertRecPtr();
	bool found = false;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots; i++)
	{
		ReplicationSlot *slot = &ReplicationSlotCtl->replication_slots[i];
		XLogRecPtr position;
		bool usable;

		if (!slot->in_use)
			continue;
		SpinLockAcquire(&slot->mutex);
		usable = !pgxc_slot_invalidated(slot) &&
				 slot->data.persistency != RS_TEMPORARY;
		position = slot->data.restart_lsn;
		if (!kept_only && slot->active_pid != 0 && SlotIsLogical(slot) &&
			!XLogRecPtrIsInvalid(slot->data.confirmed_flush))
			position = slot->data.confirmed_flush;
		SpinLockRelease(&slot->mutex);

		if (!usable || XLogRecPtrIsInvalid(position) || position > now)
			continue;
		if (!found || now - position > *behind)
		{
			*behind = now - position;
			snprintf(reading->detail, PGXC_DETAIL_LEN, "slot \"%.45s\"%s",
					 NameStr(slot->data.name),
					 slot->active_pid ? "" : ", inactive");
			found = true;
		}
	}
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

bool
pgxc_sample_slot_lag(PgxcSignals *signals, const PgxcMigration *migration,
					 PgxcReading *reading)
{
	double behind = 0;

	if (!furthest_slot(false, &behind, reading))
		return false;
	reading->value = behind / MEGABYTE;
	return true;
}

bool
pgxc_sample_slot_wal_left(PgxcSignals *signals, const PgxcMigration *migration,
						  PgxcReading *reading)
{
	double behind = 0;

	if (max_slot_wal_keep_size_mb <= 0 ||
		!furthest_slot(true, &behind, reading))
		return false;
	reading->value =
		Max(0, 100 * (1 - behind / MEGABYTE / max_slot_wal_keep_size_mb));
	return true;
}

/* WAL segments that wait for archive_command. */
bool
pgxc_sample_archive_backlog(PgxcSignals *signals,
							const PgxcMigration *migration,
							PgxcReading *reading)
{
	DIR *dir;
	struct dirent *entry;
	int ready = 0;

	if (!XLogArchivingActive())
		return false;

	dir = AllocateDir(XLOGDIR "/archive_status");
	if (dir == NULL)
		return false;
	while ((entry = ReadDirExtended(dir, XLOGDIR "/archive_status", LOG)) !=
		   NULL)
	{
		size_t len = strlen(entry->d_name);

		if (len > 6 && strcmp(entry->d_name + len - 6, ".ready") == 0)
			ready++;
	}
	FreeDir(dir);
	reading->value = ready;
	return true;
}
