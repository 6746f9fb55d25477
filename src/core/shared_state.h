/*
 * shared_state.h
 *		Who is alive and what it is doing this second.
 */
#ifndef PGXC_SHARED_STATE_H
#define PGXC_SHARED_STATE_H

#include "datatype/timestamp.h"
#include "storage/condition_variable.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#include "core/settings.h"

#define PGXC_FOREGROUND_SLOTS 8 /* for CALL pgxc.run() */
#define PGXC_MAX_DATABASES 128
#define PGXC_REASON_LEN 192
#define PGXC_DETAIL_LEN 64

typedef enum PgxcLevel
{
	PGXC_LEVEL_OFF, /* no limit set, or nothing to measure */
	PGXC_LEVEL_GREEN,
	PGXC_LEVEL_YELLOW,
	PGXC_LEVEL_RED
} PgxcLevel;

typedef enum PgxcActivity
{
	PGXC_ACTIVITY_INITIALIZING,
	PGXC_ACTIVITY_UPDATING,
	PGXC_ACTIVITY_REVISITING,
	PGXC_ACTIVITY_VERIFYING,
	PGXC_ACTIVITY_RECHECKING,
	PGXC_ACTIVITY_BUILDING, /* a long statement, without the control lock */
	PGXC_ACTIVITY_WAITING
} PgxcActivity;

typedef struct PgxcReading
{
	double value;
	PgxcLevel level;
	char detail[PGXC_DETAIL_LEN];
} PgxcReading;

/* What a worker publishes after every chunk; copied as a whole. */
typedef struct PgxcLive
{
	int64 migration_id;
	Oid root_relid;
	Oid relid;
	int64 stripe_id;
	PgxcActivity activity;
	char wait_reason[PGXC_REASON_LEN]; /* empty: does not wait */
	int throttle_signal;               /* PgxcSignal, or -1 */
	double throttle_value;
	double throttle_limit;
	int passes;
	int pass;
	int64 chunk_blocks;
	double chunk_ms;
	double duty;
	double rows_per_second;
	double blocks_per_second;
	int64 chunks;
	int64 rows_updated;
	int64 wal_bytes;
	double busy_ms;
	double delay_ms;
	int64 retries;
	int64 lock_yields;
	TimestampTz started_at;
	PgxcReading readings[PGXC_NUM_SIGNALS];
} PgxcLive;

typedef struct PgxcSlot
{
	bool in_use;
	bool background;
	bool stop_requested;
	bool interrupted;  /* its long statement was cancelled, by one of us */
	uint64 generation; /* a slot is used again; its generation is not */
	int pid;
	PGPROC *proc;
	Oid database;
	PgxcLive live;
} PgxcSlot;

typedef struct PgxcDatabase
{
	Oid database;        /* InvalidOid: free entry */
	bool wanted;         /* somebody wants a worker there */
	int holds;           /* DROP DATABASE and the like keep workers out */
	TimestampTz wake_at; /* 0: never */
	int64 terminated;    /* migration whose worker an administrator ended */
	int failures;        /* starts since a worker ended well */
} PgxcDatabase;

typedef struct PgxcShared
{
	LWLock *lock;
	ConditionVariable changed; /* a migration changed state, or a slot ended */
	int launcher_pid;
	PGPROC *launcher_proc;
	bool registration_failed;
	bool probe_all;
	uint64 next_generation;
	PgxcDatabase databases[PGXC_MAX_DATABASES];
	int nslots;
	PgxcSlot slots[FLEXIBLE_ARRAY_MEMBER];
} PgxcShared;

extern PgxcShared *pgxc_shared; /* NULL if not preloaded */
extern bool pgxc_am_worker;     /* this process is one of our workers */

extern void pgxc_shared_state_init(void);

extern PgxcSlot *pgxc_slot_attach(bool background);
extern void pgxc_slot_detach(PgxcSlot *slot);
extern void pgxc_slot_publish(PgxcSlot *slot, const PgxcLive *live);
extern bool pgxc_slot_stop_requested(PgxcSlot *slot);
extern void pgxc_slot_interrupt_build(PgxcSlot *slot);
extern bool pgxc_slot_interrupted(PgxcSlot *slot);
extern bool pgxc_slot_take_interrupt(PgxcSlot *slot);
extern void pgxc_interrupt_build(int64 migration_id);
extern int pgxc_slots_copy(PgxcSlot **slots);
extern void pgxc_wake_workers(Oid database);

extern void pgxc_launcher_wake(void);
extern bool pgxc_database_want(Oid database, TimestampTz at);
extern PgxcDatabase *pgxc_database_entry(Oid database, bool create);

#endif /* PGXC_SHARED_STATE_H */
