/*
 * pacing.h
 *		How large the next chunk is, and how long to rest before it.  Pure.
 */
#ifndef PGXC_PACING_H
#define PGXC_PACING_H

#include "core/shared_state.h"

#define PGXC_MIN_DUTY 0.02
#define PGXC_RESUME_DUTY 0.1 /* after red */
#define PGXC_MAX_CHUNK_ROWS 10000
#define PGXC_DEFAULT_PASSES 20
#define PGXC_MIN_WINDOW 512 /* blocks */

/* What one chunk did. */
typedef struct PgxcChunkResult
{
	double ms; /* execution, without the commit */
	int64 blocks;
	int64 rows;
	int64 wal_bytes;
	bool waiters; /* somebody waited for a lock of the chunk */
} PgxcChunkResult;

/* The chunk size: a smoothed estimate of blocks per millisecond. */
typedef struct PgxcSizer
{
	double blocks; /* smoothed sums; their ratio is the estimate */
	double ms;
	double next;     /* blocks of the next chunk */
	double max_rows; /* of a chunk */
} PgxcSizer;

/* The duty cycle. */
typedef struct PgxcDuty
{
	double duty;
	bool slow_start;    /* nothing but green was seen so far */
	PgxcLevel level;    /* after dwell times */
	double since_cut_s; /* since the duty was last halved */
	double quiet_s;     /* since the last yellow or red sample */
	double no_red_s;    /* since the last red sample */
	double red_s;       /* for how long it has been red */
} PgxcDuty;

extern void pgxc_sizer_init(PgxcSizer *sizer);
extern void pgxc_sizer_update(PgxcSizer *sizer, const PgxcChunkResult *chunk,
							  double target_ms);
extern double pgxc_most_blocks(double rows_per_block, double row_bytes);
extern void pgxc_duty_init(PgxcDuty *duty, double max_duty);
extern void pgxc_duty_update(PgxcDuty *duty, PgxcLevel worst, double elapsed_s,
							 double max_duty);
extern double pgxc_duty_ceiling(double max_duty, double active_per_core,
								bool follow);
extern double pgxc_chunk_target_ms(double target_ms, double active_per_core);
extern double pgxc_rest_ms(double busy_ms, double duty);
extern double pgxc_rate_delay_ms(double amount, double per_second,
								 double elapsed_ms);
extern PgxcLevel pgxc_signal_level(PgxcLevel before, double value, double soft,
								   double hard, bool lower_is_worse);
extern int pgxc_choose_passes(int wanted, bool indexed, bool horizon_held,
							  int fillfactor, double rows_per_block);
extern int64 pgxc_choose_window(double chunk_blocks, double blocks_per_ms,
								double horizon_lag_ms, int64 cap);

#endif /* PGXC_PACING_H */
