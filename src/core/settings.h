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

extern int pgxc_cores;
extern int pgxc_ddl_lock_retries;
extern int pgxc_ddl_lock_timeout;
extern double pgxc_max_duty;
extern int pgxc_max_wal_rate;
extern int pgxc_max_workers;
extern int pgxc_target_chunk_ms;
extern char *pgxc_throttle_function;
extern int pgxc_worker_nice;

extern void pgxc_settings_init(void);

#endif /* PGXC_SETTINGS_H */
