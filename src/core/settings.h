/*
 * settings.h
 *		The pgxc.* settings.
 */
#ifndef PGXC_SETTINGS_H
#define PGXC_SETTINGS_H

/* Each signal has a soft limit (slow down) and a hard one (stop); 0 is off. */
typedef enum PgxcSignal
{
	PGXC_SIGNAL_ACTIVE_SESSIONS,
	PGXC_SIGNAL_ARCHIVE_BACKLOG,
	PGXC_SIGNAL_CPU_WAIT,
	PGXC_SIGNAL_DEAD_TUPLES,
	PGXC_SIGNAL_DISK_FREE,
	PGXC_SIGNAL_HORIZON_AGE,
	PGXC_SIGNAL_LOCK_WAITERS,
	PGXC_SIGNAL_REPLAY_LAG,
	PGXC_SIGNAL_REPLAY_LAG_BYTES,
	PGXC_SIGNAL_REQUESTED_CHECKPOINTS,
	PGXC_SIGNAL_SLOT_LAG,
	PGXC_SIGNAL_SLOT_WAL_LEFT,
	PGXC_SIGNAL_THROTTLE_FUNCTION,
	PGXC_NUM_SIGNALS
} PgxcSignal;

extern double pgxc_signal_soft[PGXC_NUM_SIGNALS];
extern double pgxc_signal_hard[PGXC_NUM_SIGNALS];

/* pgxc.guard */
typedef enum PgxcGuard
{
	PGXC_GUARD_ENFORCE,
	PGXC_GUARD_WARN,
	PGXC_GUARD_OFF
} PgxcGuard;

/* pgxc.guard_scope */
typedef enum PgxcScope
{
	PGXC_SCOPE_OPEN_MIGRATIONS,
	PGXC_SCOPE_ALL_TABLES
} PgxcScope;

/* pgxc.allow, as bits; those of work are those of effect.h */
#define PGXC_ALLOW_SCAN (1 << 0)
#define PGXC_ALLOW_REWRITE (1 << 1)
#define PGXC_ALLOW_INDEX_BUILD (1 << 2)
#define PGXC_ALLOW_BREAK (1 << 3)

extern char *pgxc_allow;
extern int pgxc_cores;
extern int pgxc_ddl_lock_retries;
extern int pgxc_ddl_lock_timeout;
extern int pgxc_guard;                /* PgxcGuard */
extern int pgxc_guard_min_table_size; /* kB */
extern int pgxc_guard_scope;          /* PgxcScope */
extern double pgxc_max_duty;
extern int pgxc_max_wal_rate;
extern int pgxc_max_workers;
extern int pgxc_target_chunk_ms;
extern char *pgxc_throttle_function;
extern int pgxc_worker_nice;

extern void pgxc_settings_init(void);
extern int pgxc_allowed_hazards(void);

#endif /* PGXC_SETTINGS_H */
