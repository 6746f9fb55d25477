/*
 * pacing.c
 *		How large the next chunk is, and how long to rest before it.  Pure.
 *
 * Nothing here reads a clock, a setting or shared memory, so that
 * sql/pacing.sql can try every law with numbers.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "funcapi.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "backfill/pacing.h"

#define FIRST_CHUNK 8                /* blocks */
#define MAX_WAL (8 * 1024 * 1024)    /* bytes a chunk */
#define MAX_CHUNK (MAX_WAL / BLCKSZ) /* blocks: a read prunes them, too */
#define WAL_ROW 150       /* bytes beside the row: headers, an index */
#define MEMORY 0.75       /* of the estimate, from chunk to chunk */
#define CUT_INTERVAL 1.0  /* s between two halvings */
#define GROWTH 0.05       /* of duty, per second of green */
#define SOFT_DWELL 3.0    /* s of quiet before the duty grows again */
#define HARD_DWELL 10.0   /* s of quiet before work resumes after red */
#define COMPANY 0.1       /* active sessions a core that halve the duty */
#define ALONE 0.02        /* and up to which chunks may be long */
#define MIN_TARGET_MS 1.0 /* of a chunk, with somebody to disturb */

void
pgxc_sizer_init(PgxcSizer *sizer)
{
	sizer->blocks = 0;
	sizer->ms = 0;
	sizer->next = FIRST_CHUNK;
	sizer->max_rows = PGXC_MAX_CHUNK_ROWS;
}

/*
 * Choose the size of the next chunk from what the last one took.
 *
 * The estimate is a ratio of two decaying sums, so that a long chunk weighs
 * more than a short one.  A chunk grows by a quarter at most and shrinks by
 * half at most; but one that took three times the target (or whose target was
 * lowered since) cuts it at once, and nothing older is believed.  An empty
 * range is free: the next may be four times as long.
 */
void
pgxc_sizer_update(PgxcSizer *sizer, const PgxcChunkResult *chunk,
				  double target_ms)
{
	double before = Max(chunk->blocks, 1);
	double next;

	if (chunk->rows == 0 && chunk->ms * 4 <= target_ms &&
		chunk->wal_bytes * 4 <= MAX_WAL)
	{
		sizer->next = Min(before * 4, MAX_CHUNK);
		return;
	}

	if (chunk->ms > 3 * target_ms)
	{
		sizer->blocks = chunk->blocks;
		sizer->ms = chunk->ms;
		next = Min(before / 2, target_ms * before / chunk->ms);
	}
	else
	{
		sizer->blocks = MEMORY * sizer->blocks + chunk->blocks;
		sizer->ms = MEMORY * sizer->ms + Max(chunk->ms, 0.001);
		next = target_ms * sizer->blocks / sizer->ms;
		next = Max(next, before * 0.5);
		/* A chunk may have been cut short by the end of its window. */
		next = Min(next, Max(before, sizer->next) * 1.25 + 1);
	}

	if (chunk->rows > sizer->max_rows)
		next = Min(next, before * sizer->max_rows / chunk->rows);
	if (chunk->wal_bytes > MAX_WAL)
		next = Min(next, before * MAX_WAL / chunk->wal_bytes);
	if (chunk->waiters)
		next = Min(next, before * 0.5);

	sizer->next = Max(1, Min(next, MAX_CHUNK));
}

/*
 * How many blocks an update may take on, whatever the chunks before it cost.
 * They may have been of a part of the table that is almost empty, of a later
 * pass, or of pages that WAL has already; what is next may be dense, and each
 * of its pages may go to WAL as a whole.  A row counts twice: it may move to
 * another page, which goes there, too.
 */
double
pgxc_most_blocks(double rows_per_block, double row_bytes)
{
	double rows = Max(rows_per_block, 1);
	double wal = BLCKSZ + rows * (2 * row_bytes + WAL_ROW);

	return Max(1, Min(MAX_WAL / wal, PGXC_MAX_CHUNK_ROWS / rows));
}

void
pgxc_duty_init(PgxcDuty *duty, double max_duty)
{
	memset(duty, 0, sizeof(*duty));
	duty->duty = Min(0.5, max_duty);
	duty->slow_start = true;
	duty->level = PGXC_LEVEL_GREEN;
	duty->since_cut_s = CUT_INTERVAL;
}

/*
 * Move the duty cycle, given the worst level of all signals and the seconds
 * since the last call.
 *
 * Until the first signal complains the duty doubles with every sample, so that
 * a migration on an idle server is at full speed at once.  After that it grows
 * slowly and is cut by half.
 */
void
pgxc_duty_update(PgxcDuty *duty, PgxcLevel worst, double elapsed_s,
				 double max_duty)
{
	duty->since_cut_s += elapsed_s;
	if (worst >= PGXC_LEVEL_YELLOW)
	{
		duty->slow_start = false;
		duty->quiet_s = 0;
	}
	else
		duty->quiet_s += elapsed_s;

	if (worst == PGXC_LEVEL_RED)
	{
		duty->level = PGXC_LEVEL_RED;
		duty->red_s += elapsed_s;
		duty->no_red_s = 0;
		duty->duty = 0;
		return;
	}

	if (duty->level == PGXC_LEVEL_RED)
	{
		duty->red_s += elapsed_s;
		duty->no_red_s += elapsed_s;
		if (duty->no_red_s < HARD_DWELL)
			return;
		duty->level = worst;
		duty->red_s = 0;
		duty->duty = Min(PGXC_RESUME_DUTY, max_duty);
		duty->since_cut_s = 0;
		return;
	}

	if (worst == PGXC_LEVEL_YELLOW)
	{
		duty->level = PGXC_LEVEL_YELLOW;
		if (duty->since_cut_s >= CUT_INTERVAL)
		{
			duty->duty = duty->duty / 2;
			duty->since_cut_s = 0;
		}
	}
	else
	{
		duty->level = PGXC_LEVEL_GREEN;
		if (duty->slow_start)
			duty->duty *= 2;
		else if (duty->quiet_s >= SOFT_DWELL)
			duty->duty += GROWTH * elapsed_s;
	}
	duty->duty = Max(PGXC_MIN_DUTY, Min(duty->duty, max_duty));
}

/*
 * The share of the time that is left to us when so many sessions are active.
 * It falls steeply at first: what a session feels does not depend on how many
 * others there are.  follow = false: somebody switched that signal off.
 */
double
pgxc_duty_ceiling(double max_duty, double active_per_core, bool follow)
{
	if (!follow)
		return max_duty;
	return Max(PGXC_MIN_DUTY, max_duty / (1 + active_per_core / COMPANY));
}

/*
 * How long a chunk should take.  What the application feels of a chunk is
 * mostly its WAL, which the next COMMIT of anybody must wait for: many small
 * chunks at the same duty disturb less than few large ones (bench/RESULTS.md).
 * Large ones are cheaper; so they are for when nobody is there.
 */
double
pgxc_chunk_target_ms(double target_ms, double active_per_core)
{
	return Max(Min(target_ms, MIN_TARGET_MS),
			   target_ms * (1 - active_per_core / ALONE));
}

/* How long to rest after busy_ms of work, at most 5 s. */
double
pgxc_rest_ms(double busy_ms, double duty)
{
	if (duty >= 1)
		return 0;
	return Min(busy_ms * (1 / Max(duty, PGXC_MIN_DUTY) - 1), 5000);
}

/*
 * How long to rest so that "amount", done in elapsed_ms, keeps to a rate;
 * per_second = 0 is no cap.
 */
double
pgxc_rate_delay_ms(double amount, double per_second, double elapsed_ms)
{
	if (per_second <= 0)
		return 0;
	return Max(0, amount / per_second * 1000 - elapsed_ms);
}

/*
 * The level of a signal, with hysteresis: soft is left at half its limit, hard
 * at the soft one (or half the hard one, without a soft limit).  Where less is
 * worse, soft is left at 1.25 times its limit.  A limit of 0 is off.
 */
PgxcLevel
pgxc_signal_level(PgxcLevel before, double value, double soft, double hard,
				  bool lower_is_worse)
{
	double sign = lower_is_worse ? -1 : 1;
	double leave = lower_is_worse ? 1.25 : 0.5;
	double hard_exit = soft > 0 ? soft : hard * leave;

	if (soft <= 0 && hard <= 0)
		return PGXC_LEVEL_OFF;
	if (hard > 0 &&
		(sign * value >= sign * hard ||
		 (before == PGXC_LEVEL_RED && sign * value >= sign * hard_exit)))
		return PGXC_LEVEL_RED;
	if (soft > 0 &&
		(sign * value >= sign * soft ||
		 (before >= PGXC_LEVEL_YELLOW && sign * value >= sign * soft * leave)))
		return PGXC_LEVEL_YELLOW;
	return PGXC_LEVEL_GREEN;
}

/*
 * How many striped passes over a window.  One is enough where a second would
 * find no room that the first one left: an index on an assigned column rules
 * HOT out, a held horizon rules pruning out, and half-empty pages have the
 * room already.
 */
int
pgxc_choose_passes(int wanted, bool indexed, bool horizon_held, int fillfactor,
				   double rows_per_block)
{
	if (wanted > 0)
		return wanted;
	if (indexed || horizon_held || fillfactor <= 50)
		return 1;
	return Max(1, Min(PGXC_DEFAULT_PASSES, (int) rint(rows_per_block)));
}

/*
 * How many blocks a window of striped passes has, or 0 if no window would do.
 *
 * A pass can use the room that the pass before left only when no snapshot is
 * left that still needs the old versions.  So one pass must last longer than
 * the horizon lags behind.  "cap" bounds the window, to keep it cached and
 * within one checkpoint.
 */
int64
pgxc_choose_window(double chunk_blocks, double blocks_per_ms,
				   double horizon_lag_ms, int64 cap)
{
	double needed = blocks_per_ms * horizon_lag_ms * 1.5;

	if (needed > cap)
		return 0;
	return (int64) Min(cap, Max(PGXC_MIN_WINDOW, Max(needed, chunk_blocks)));
}

PG_FUNCTION_INFO_V1(pgxc_test_sizer);
PG_FUNCTION_INFO_V1(pgxc_test_most_blocks);
PG_FUNCTION_INFO_V1(pgxc_test_duty);
PG_FUNCTION_INFO_V1(pgxc_test_level);
PG_FUNCTION_INFO_V1(pgxc_test_passes);
PG_FUNCTION_INFO_V1(pgxc_test_window);
PG_FUNCTION_INFO_V1(pgxc_test_delay);
PG_FUNCTION_INFO_V1(pgxc_test_ceiling);
PG_FUNCTION_INFO_V1(pgxc_test_target);

/*
 * pgxc_test_sizer(ms float8[], rows bigint[], wal bigint[], waiters boolean,
 *				   target float8) returns float8[]
 *
 * Feeds chunks of the size that the sizer asked for, and returns the sizes.
 */
Datum
pgxc_test_sizer(PG_FUNCTION_ARGS)
{
	Datum *ms;
	Datum *rows;
	Datum *wal;
	Datum *out;
	int n;
	PgxcSizer sizer;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), FLOAT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &ms, NULL, &n);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), INT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &rows, NULL, &n);
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(2), INT8OID, 8, FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &wal, NULL, &n);
	out = palloc(sizeof(Datum) * (n + 1));

	pgxc_sizer_init(&sizer);
	out[0] = Float8GetDatum(sizer.next);
	for (int i = 0; i < n; i++)
	{
		PgxcChunkResult chunk;

		chunk.ms = DatumGetFloat8(ms[i]);
		chunk.blocks = (int64) sizer.next;
		chunk.rows = DatumGetInt64(rows[i]);
		chunk.wal_bytes = DatumGetInt64(wal[i]);
		chunk.waiters = PG_GETARG_BOOL(3);
		pgxc_sizer_update(&sizer, &chunk, PG_GETARG_FLOAT8(4));
		out[i + 1] = Float8GetDatum(sizer.next);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(out, n + 1, FLOAT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* pgxc_test_most_blocks(rows_per_block, row_bytes float8) */
Datum
pgxc_test_most_blocks(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(
		pgxc_most_blocks(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1)));
}

/*
 * pgxc_test_duty(levels integer[], elapsed float8, max float8)
 *		returns float8[]
 *
 * Feeds samples (1 green, 2 yellow, 3 red) and returns the duty after each.
 */
Datum
pgxc_test_duty(PG_FUNCTION_ARGS)
{
	Datum *levels;
	Datum *out;
	int n;
	PgxcDuty duty;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(0), INT4OID, 4, true, TYPALIGN_INT,
					  &levels, NULL, &n);
	out = palloc(sizeof(Datum) * (n + 1));
	pgxc_duty_init(&duty, PG_GETARG_FLOAT8(2));
	out[0] = Float8GetDatum(duty.duty);
	for (int i = 0; i < n; i++)
	{
		pgxc_duty_update(&duty, (PgxcLevel) DatumGetInt32(levels[i]),
						 PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2));
		out[i + 1] = Float8GetDatum(duty.duty);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(out, n + 1, FLOAT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* pgxc_test_level(before int, value, soft, hard float8, lower boolean) */
Datum
pgxc_test_level(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pgxc_signal_level((PgxcLevel) PG_GETARG_INT32(0),
									  PG_GETARG_FLOAT8(1), PG_GETARG_FLOAT8(2),
									  PG_GETARG_FLOAT8(3), PG_GETARG_BOOL(4)));
}

/* pgxc_test_passes(wanted int, indexed, held boolean, fillfactor int, rows float8) */
Datum
pgxc_test_passes(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(pgxc_choose_passes(PG_GETARG_INT32(0), PG_GETARG_BOOL(1),
									   PG_GETARG_BOOL(2), PG_GETARG_INT32(3),
									   PG_GETARG_FLOAT8(4)));
}

/* pgxc_test_window(chunk, blocks_per_ms, lag_ms float8, cap bigint) */
Datum
pgxc_test_window(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(pgxc_choose_window(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1),
									   PG_GETARG_FLOAT8(2),
									   PG_GETARG_INT64(3)));
}

/* pgxc_test_delay(busy_ms, duty, amount, per_second, elapsed_ms) */
Datum
pgxc_test_delay(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(
		Max(pgxc_rest_ms(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1)),
			pgxc_rate_delay_ms(PG_GETARG_FLOAT8(2), PG_GETARG_FLOAT8(3),
							   PG_GETARG_FLOAT8(4))));
}

/* pgxc_test_ceiling(max_duty, active_per_core float8, follow boolean) */
Datum
pgxc_test_ceiling(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(pgxc_duty_ceiling(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1),
									   PG_GETARG_BOOL(2)));
}

/* pgxc_test_target(target_ms, active_per_core float8) */
Datum
pgxc_test_target(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(
		pgxc_chunk_target_ms(PG_GETARG_FLOAT8(0), PG_GETARG_FLOAT8(1)));
}
