/*
 * signals.c
 *		What the server says about how it feels: which signals there are, and
 *		how often each is asked.
 */
#include "postgres.h"

#include <unistd.h>

#include "utils/timestamp.h"

#include "backfill/pacing.h"
#include "backfill/signals.h"

static const struct
{
	const char *name;
	const char *unit;
	bool lower_is_worse;
	int interval_ms;
	PgxcSampler sample;
} signal_table[] = {
	[PGXC_SIGNAL_ACTIVE_SESSIONS] = { "active_sessions", "per core", false, 250,
									  pgxc_sample_active_sessions },
	[PGXC_SIGNAL_ARCHIVE_BACKLOG] = { "archive_backlog", "segments", false,
									  2000, pgxc_sample_archive_backlog },
	[PGXC_SIGNAL_CPU_WAIT] = { "cpu_wait", "%", false, 250,
							   pgxc_sample_cpu_wait },
	[PGXC_SIGNAL_DEAD_TUPLES] = { "dead_tuples", "%", false, 1000,
								  pgxc_sample_dead_tuples },
	[PGXC_SIGNAL_DISK_FREE] = { "disk_free", "%", true, 2000,
								pgxc_sample_disk_free },
	[PGXC_SIGNAL_HORIZON_AGE] = { "horizon_age", "s", false, 2000,
								  pgxc_sample_horizon_age },
	[PGXC_SIGNAL_LOCK_WAITERS] = { "lock_waiters", "sessions", false, 250,
								   pgxc_sample_lock_waiters },
	[PGXC_SIGNAL_REPLAY_LAG] = { "replay_lag", "ms", false, 250,
								 pgxc_sample_replay_lag },
	[PGXC_SIGNAL_REPLAY_LAG_BYTES] = { "replay_lag_bytes", "MB", false, 250,
									   pgxc_sample_replay_lag_bytes },
	[PGXC_SIGNAL_REQUESTED_CHECKPOINTS] = { "requested_checkpoints", "in 5 min",
											false, 1000,
											pgxc_sample_requested_checkpoints },
	[PGXC_SIGNAL_SLOT_LAG] = { "slot_lag", "MB", false, 250,
							   pgxc_sample_slot_lag },
	[PGXC_SIGNAL_SLOT_WAL_LEFT] = { "slot_wal_left", "%", true, 250,
									pgxc_sample_slot_wal_left },
	[PGXC_SIGNAL_THROTTLE_FUNCTION] = { "throttle_function", "level", false,
										1000, pgxc_sample_throttle_function },
};

StaticAssertDecl(lengthof(signal_table) == PGXC_NUM_SIGNALS,
				 "every signal has its sampler");

void
pgxc_signals_init(PgxcSignals *signals, bool foreground)
{
	memset(signals, 0, sizeof(*signals));
	signals->foreground = foreground;
	signals->schedstat_fd = -1;
	signals->horizon = InvalidTransactionId;
}

void
pgxc_signals_end(PgxcSignals *signals)
{
	if (signals->schedstat_fd >= 0)
		close(signals->schedstat_fd);
	signals->schedstat_fd = -1;
}

const char *
pgxc_signal_name(PgxcSignal signal)
{
	return signal_table[signal].name;
}

const char *
pgxc_signal_unit(PgxcSignal signal)
{
	return signal_table[signal].unit;
}

/*
 * We have written so much that those who read our WAL are to be asked at once.
 */
void
pgxc_signals_wal_written(PgxcSignals *signals)
{
	signals->sampled_at[PGXC_SIGNAL_REPLAY_LAG_BYTES] = 0;
	signals->sampled_at[PGXC_SIGNAL_SLOT_LAG] = 0;
	signals->sampled_at[PGXC_SIGNAL_SLOT_WAL_LEFT] = 0;
}

/*
 * Ask the signals that are due, and return the worst level of all; the first
 * signal at that level goes to *worst_signal (-1 if all are green).
 *
 * Must be called outside of a transaction (in the foreground: with nothing
 * done in it yet); some samplers run a query in one of their own.  Does not
 * throw for what a sampler meets.
 */
PgxcLevel
pgxc_signals_sample(PgxcSignals *signals, const PgxcMigration *migration,
					int *worst_signal)
{
	TimestampTz now = GetCurrentTimestamp();
	MemoryContext context = CurrentMemoryContext;
	PgxcLevel worst = PGXC_LEVEL_GREEN;

	*worst_signal = -1;
	for (int i = 0; i < PGXC_NUM_SIGNALS; i++)
	{
		PgxcReading *reading = &signals->readings[i];
		double soft = pgxc_signal_soft[i];
		double hard = pgxc_signal_hard[i];

		/* Active sessions pace us even without a limit. */
		if (soft <= 0 && hard <= 0 && i != PGXC_SIGNAL_ACTIVE_SESSIONS)
		{
			reading->level = PGXC_LEVEL_OFF;
			continue;
		}
		if (TimestampDifferenceExceeds(signals->sampled_at[i], now,
									   signal_table[i].interval_ms))
		{
			signals->sampled_at[i] = now;
			reading->detail[0] = '\0';
			/* A sampler with a transaction of its own leaves another one. */
			MemoryContextSwitchTo(context);
			/* What a function says needs no smoothing. */
			if (i == PGXC_SIGNAL_THROTTLE_FUNCTION)
				reading->level = PGXC_LEVEL_GREEN;
			if (signal_table[i].sample(signals, migration, reading))
				reading->level =
					pgxc_signal_level(reading->level, reading->value, soft,
									  hard, signal_table[i].lower_is_worse);
			else
			{
				reading->level = PGXC_LEVEL_OFF;
				reading->value = 0;
			}
		}
		if (reading->level > worst)
		{
			worst = reading->level;
			*worst_signal = i;
		}
	}
	MemoryContextSwitchTo(context);
	return worst;
}
