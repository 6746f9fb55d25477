/*
 * signals.h
 *		What the server says about how it feels.
 */
#ifndef PGXC_SIGNALS_H
#define PGXC_SIGNALS_H

#include "access/transam.h"
#include "access/xlogdefs.h"
#include "utils/relcache.h"

#include "core/migration_row.h"
#include "core/shared_state.h"

#define PGXC_COMMIT_RING 1024
#define PGXC_XID_RING 64
#define PGXC_CHECKPOINT_RING 31 /* samples, 10 s apart: five minutes */

typedef struct PgxcSignals
{
	bool foreground;
	Oid leaf;        /* the table worked on last */
	Oid tablespace;  /* where it is */
	bool autovacuum; /* whether vacuum will come to it */
	PgxcReading readings[PGXC_NUM_SIGNALS];
	TimestampTz sampled_at[PGXC_NUM_SIGNALS];

	int64 active_samples;

	/* cpu_wait: sums over the last chunks */
	int schedstat_fd;      /* -1: not there */
	double chunk_delay_ms; /* at the beginning of the chunk */
	double cpu_busy_ms;
	double cpu_delay_ms;

	/* lock_waiters */
	int waiters;
	TimestampTz waiters_at;

	/* replay_lag: own commits, and when they were */
	struct
	{
		XLogRecPtr lsn;
		TimestampTz at;
	} commits[PGXC_COMMIT_RING];
	int64 ncommits;

	/* horizon: own transactions, some 100 ms apart, and when they were */
	struct
	{
		TransactionId xid;
		TimestampTz at;
	} xids[PGXC_XID_RING];
	int64 nxids;
	TransactionId horizon;
	TimestampTz horizon_since;

	struct
	{
		TimestampTz at;
		int64 requested;
	} checkpoints[PGXC_CHECKPOINT_RING];
	int ncheckpoints;

	int function_errors; /* in a row */
} PgxcSignals;

extern void pgxc_signals_init(PgxcSignals *signals, bool foreground);
extern void pgxc_signals_end(PgxcSignals *signals);
extern const char *pgxc_signal_name(PgxcSignal signal);
extern const char *pgxc_signal_unit(PgxcSignal signal);
extern PgxcLevel pgxc_signals_sample(PgxcSignals *signals,
									 const PgxcMigration *migration,
									 int *worst_signal);

/* what the chunks tell */
extern void pgxc_signals_chunk_begin(PgxcSignals *signals);
extern void pgxc_signals_chunk_end(PgxcSignals *signals, double ms);
extern void pgxc_signals_wal_written(PgxcSignals *signals);
extern int pgxc_signals_lock_waiters(PgxcSignals *signals);
extern void pgxc_signals_committed(PgxcSignals *signals, TransactionId xid,
								   XLogRecPtr lsn);
extern double pgxc_horizon_lag_ms(PgxcSignals *signals, Relation leaf);

/* one sampler a signal; false if there is nothing to measure */
typedef bool (*PgxcSampler)(PgxcSignals *signals,
							const PgxcMigration *migration,
							PgxcReading *reading);

extern bool pgxc_sample_active_sessions(PgxcSignals *signals,
										const PgxcMigration *migration,
										PgxcReading *reading);
extern bool pgxc_sample_archive_backlog(PgxcSignals *signals,
										const PgxcMigration *migration,
										PgxcReading *reading);
extern bool pgxc_sample_cpu_wait(PgxcSignals *signals,
								 const PgxcMigration *migration,
								 PgxcReading *reading);
extern bool pgxc_sample_dead_tuples(PgxcSignals *signals,
									const PgxcMigration *migration,
									PgxcReading *reading);
extern bool pgxc_sample_disk_free(PgxcSignals *signals,
								  const PgxcMigration *migration,
								  PgxcReading *reading);
extern bool pgxc_sample_horizon_age(PgxcSignals *signals,
									const PgxcMigration *migration,
									PgxcReading *reading);
extern bool pgxc_sample_lock_waiters(PgxcSignals *signals,
									 const PgxcMigration *migration,
									 PgxcReading *reading);
extern bool pgxc_sample_replay_lag(PgxcSignals *signals,
								   const PgxcMigration *migration,
								   PgxcReading *reading);
extern bool pgxc_sample_replay_lag_bytes(PgxcSignals *signals,
										 const PgxcMigration *migration,
										 PgxcReading *reading);
extern bool pgxc_sample_requested_checkpoints(PgxcSignals *signals,
											  const PgxcMigration *migration,
											  PgxcReading *reading);
extern bool pgxc_sample_slot_lag(PgxcSignals *signals,
								 const PgxcMigration *migration,
								 PgxcReading *reading);
extern bool pgxc_sample_slot_wal_left(PgxcSignals *signals,
									  const PgxcMigration *migration,
									  PgxcReading *reading);
extern bool pgxc_sample_throttle_function(PgxcSignals *signals,
										  const PgxcMigration *migration,
										  PgxcReading *reading);

#endif /* PGXC_SIGNALS_H */
