/*
 * rejections.c
 *		What the guard refused lately, across sessions: a ring in shared memory.
 *
 * A refused statement takes its transaction with it, so nothing of it could be
 * written to a table.  What was let pass by an override is in pgxc.event, too.
 */
#include "postgres.h"

#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "core/compat.h"
#include "guard/rejections.h"

#define MAX_REJECTIONS 128
#define STATEMENT_LEN 1024
#define MESSAGE_LEN 256

typedef struct Rejection
{
	TimestampTz at; /* 0: free entry */
	Oid database;
	Oid role;
	int pid;
	Oid relid;
	int64 migration_id;
	bool breaks;
	int work;
	LOCKMODE lock;
	char outcome[16]; /* refused, warned, overridden */
	char application[NAMEDATALEN];
	char message[MESSAGE_LEN];
	char statement[STATEMENT_LEN];
} Rejection;

typedef struct Ring
{
	LWLock *lock;
	uint64 next;
	Rejection entries[MAX_REJECTIONS];
} Ring;

static Ring *ring = NULL; /* NULL if not preloaded */

static shmem_request_hook_type prev_shmem_request_hook = NULL;
static shmem_startup_hook_type prev_shmem_startup_hook = NULL;

static void
shmem_request(void)
{
	if (prev_shmem_request_hook)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(sizeof(Ring));
	RequestNamedLWLockTranche("pgxc_guard", 1);
}

static void
shmem_startup(void)
{
	bool found;

	if (prev_shmem_startup_hook)
		prev_shmem_startup_hook();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	ring = ShmemInitStruct("pgxc guard", sizeof(Ring), &found);
	if (!found)
	{
		memset(ring, 0, sizeof(Ring));
		ring->lock = &GetNamedLWLockTranche("pgxc_guard")->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

void
pgxc_rejections_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = shmem_request;
	prev_shmem_startup_hook = shmem_startup_hook;
	shmem_startup_hook = shmem_startup;
}

/* Copy what fits, and no half character. */
static void
copy_clipped(char *to, const char *from, int length, int size)
{
	int n = pg_mbcliplen(from, length, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

/*
 * Remember a finding and what came of it.  Outlives the transaction; does not
 * throw.
 */
void
pgxc_note_rejection(const PgxcFinding *finding, const char *outcome,
					const char *statement, int length)
{
	Rejection *entry;

	if (ring == NULL)
		return;
	LWLockAcquire(ring->lock, LW_EXCLUSIVE);
	entry = &ring->entries[ring->next++ % MAX_REJECTIONS];
	entry->at = GetCurrentTimestamp();
	entry->database = MyDatabaseId;
	entry->role = GetSessionUserId();
	entry->pid = MyProcPid;
	entry->relid = finding->relid;
	entry->migration_id = finding->migration_id;
	entry->breaks = finding->breaks;
	entry->work = finding->work;
	entry->lock = finding->lock;
	strlcpy(entry->outcome, outcome, sizeof(entry->outcome));
	strlcpy(entry->application, application_name ? application_name : "",
			sizeof(entry->application));
	copy_clipped(entry->message, finding->message, strlen(finding->message),
				 MESSAGE_LEN);
	copy_clipped(entry->statement, statement, length, STATEMENT_LEN);
	LWLockRelease(ring->lock);
}

/* A copy of the ring, so that nothing is built under its lock. */
static Rejection *
copy_ring(uint64 *next)
{
	Rejection *copy = palloc(sizeof(ring->entries));

	LWLockAcquire(ring->lock, LW_SHARED);
	memcpy(copy, ring->entries, sizeof(ring->entries));
	*next = ring->next;
	LWLockRelease(ring->lock);
	return copy;
}

/* One's own, those on one's own tables, and all for pg_monitor. */
static bool
may_see(const Rejection *entry)
{
	Oid user = GetUserId();

	return has_privs_of_role(user, entry->role) ||
		   has_privs_of_role(user, ROLE_PG_MONITOR) ||
		   (get_rel_relkind(entry->relid) != '\0' &&
			pgxc_relation_ownercheck(entry->relid, user));
}

static void
put_rejection(ReturnSetInfo *rsinfo, const Rejection *entry)
{
	Datum values[12] = { 0 };
	bool nulls[12] = { 0 };
	char *role = GetUserNameFromId(entry->role, true);

	values[0] = TimestampTzGetDatum(entry->at);
	values[1] = Int32GetDatum(entry->pid);
	nulls[2] = role == NULL;
	values[2] = role ? CStringGetTextDatum(role) : (Datum) 0;
	values[3] = CStringGetTextDatum(entry->application);
	nulls[4] = !OidIsValid(entry->relid);
	values[4] = ObjectIdGetDatum(entry->relid);
	nulls[5] = entry->migration_id == 0;
	values[5] = Int64GetDatum(entry->migration_id);
	values[6] = CStringGetTextDatum(entry->outcome);
	values[7] = CStringGetTextDatum(entry->breaks ? "55006" : "55000");
	nulls[8] = entry->lock == NoLock;
	if (entry->lock != NoLock)
		values[8] = CStringGetTextDatum(
			GetLockmodeName(DEFAULT_LOCKMETHOD, entry->lock));
	values[9] = CStringGetTextDatum(pgxc_work_text(entry->work));
	values[10] = CStringGetTextDatum(entry->message);
	values[11] = CStringGetTextDatum(entry->statement);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

PG_FUNCTION_INFO_V1(pgxc_rejections);

/* rejections() returns setof record: those of this database, oldest first */
Datum
pgxc_rejections(PG_FUNCTION_ARGS)
{
	Rejection *copy;
	uint64 next;

	InitMaterializedSRF(fcinfo, 0);
	if (ring == NULL)
		return (Datum) 0;
	copy = copy_ring(&next);
	for (int i = 0; i < MAX_REJECTIONS; i++)
	{
		const Rejection *entry = &copy[(next + i) % MAX_REJECTIONS];

		if (entry->at != 0 && entry->database == MyDatabaseId && may_see(entry))
			put_rejection((ReturnSetInfo *) fcinfo->resultinfo, entry);
	}
	return (Datum) 0;
}
