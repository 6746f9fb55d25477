/*
 * drive_pace.c
 *		The rest between two steps: sample the signals, move the duty cycle,
 *		sleep, and tell everybody why.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "postmaster/interrupt.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "backfill/drive_pace.h"
#include "core/error_capture.h"
#include "core/event_log.h"
#include "core/settings.h"
#include "core/sql_runner.h"

#define SAMPLE_MS 250
#define SAMPLE_WAL (1024 * 1024) /* bytes */
#define STALLED_S (15 * 60)
#define RATE_MEMORY_S 10.0

/*
 * Sleep, but wake for a latch: a signal, a pause, a stop.
 */
void
pgxc_drive_sleep(PgxcDrive *drive, int64 ms, PgxcWait wait)
{
	TimestampTz start = GetCurrentTimestamp();

	if (ms <= 0)
		return;
	if (!drive->foreground)
		pgstat_report_activity(STATE_IDLE, NULL);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 ms, pgxc_wait_event(wait));
	ResetLatch(MyLatch);
	drive->live.delay_ms += (GetCurrentTimestamp() - start) / 1000.0;
}

/*
 * Publish what this process is doing, in shared memory and in
 * pg_stat_activity.
 */
void
pgxc_drive_report(PgxcDrive *drive)
{
	static const char *const activities[] = {
		"initializing",   "updating rows",          "revisiting locked rows",
		"verifying rows", "rechecking failed rows", "building",
		"waiting"
	};

	if (drive->slot)
		pgxc_slot_publish(drive->slot, &drive->live);
	if (!drive->foreground)
	{
		char text[256];
		const PgxcLive *live = &drive->live;

		if (live->activity == PGXC_ACTIVITY_WAITING || live->passes == 0)
			snprintf(text, sizeof(text), "migration \"%s\": %s",
					 drive->name ? drive->name : "",
					 activities[live->activity]);
		else
			snprintf(text, sizeof(text),
					 "migration \"%s\": %s, %lld blocks, pass %d of %d",
					 drive->name ? drive->name : "", activities[live->activity],
					 (long long) live->chunk_blocks, live->pass, live->passes);
		pgstat_report_activity(STATE_RUNNING, text);
	}
}

static void
update_rates(PgxcDrive *drive, double elapsed_s)
{
	double keep = exp(-elapsed_s / RATE_MEMORY_S);

	drive->rate_seconds = drive->rate_seconds * keep + elapsed_s;
	drive->rate_rows = drive->rate_rows * keep + drive->result.rows;
	drive->rate_blocks =
		drive->rate_blocks * keep +
		(double) drive->result.blocks / Max(drive->live.passes, 1);
	if (drive->rate_seconds > 0)
	{
		drive->live.rows_per_second = drive->rate_rows / drive->rate_seconds;
		drive->live.blocks_per_second =
			drive->rate_blocks / drive->rate_seconds;
	}
}

/* Write an event in a transaction of its own; it is no matter if it fails. */
static void
log_throttle(PgxcDrive *drive, const char *event, const char *detail)
{
	PG_TRY();
	{
		pgxc_tx_begin(drive->foreground);
		pgxc_event(drive->migration_id, event, NULL, NULL, detail);
		pgxc_set_local("synchronous_commit", "off");
		pgxc_tx_commit(drive->foreground);
	}
	PG_CATCH();
	{
		pgxc_error_ignore(drive->step_context);
		pgxc_tx_abort(drive->foreground);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drive->step_context);
}

/*
 * Tell which signal holds us back: in shared memory always, as an event once
 * a minute, and in the server's log if it has lasted for long.
 */
static void
explain_signal(PgxcDrive *drive, int signal)
{
	PgxcReading *reading;
	TimestampTz now = GetCurrentTimestamp();
	bool hard;

	drive->live.throttle_signal = signal;
	if (signal < 0)
		return;

	reading = &drive->signals.readings[signal];
	hard = reading->level == PGXC_LEVEL_RED;
	drive->live.throttle_value = reading->value;
	drive->live.throttle_limit =
		hard ? pgxc_signal_hard[signal] : pgxc_signal_soft[signal];
	snprintf(drive->live.wait_reason, PGXC_REASON_LEN,
			 "%s by %s: %.1f %s (%s limit %g)%s%s",
			 hard ? "stopped" : "slowed down", pgxc_signal_name(signal),
			 reading->value, pgxc_signal_unit(signal), hard ? "hard" : "soft",
			 drive->live.throttle_limit, reading->detail[0] ? ", " : "",
			 reading->detail);

	if (TimestampDifferenceExceeds(drive->signal_logged_at[signal], now, 60000))
	{
		drive->signal_logged_at[signal] = now;
		log_throttle(drive, "throttle", drive->live.wait_reason);
	}
	if (drive->duty.red_s > STALLED_S && !drive->stall_logged)
	{
		drive->stall_logged = true;
		log_throttle(drive, "stalled", drive->live.wait_reason);
		ereport(LOG, (errmsg("pgxc migration " INT64_FORMAT
							 " has been stopped for 15 minutes",
							 drive->migration_id),
					  errdetail("It is %s.", drive->live.wait_reason)));
	}
}

static double
active_per_core(const PgxcDrive *drive)
{
	return drive->signals.readings[PGXC_SIGNAL_ACTIVE_SESSIONS].value;
}

static void
sample(PgxcDrive *drive, const PgxcMigration *migration)
{
	TimestampTz now = GetCurrentTimestamp();
	double elapsed_s = Min((now - drive->sampled_at) / 1000000.0, 1.0);
	PgxcLevel worst;
	int signal;

	/* Much WAL is as good a reason to look as much time: a lag may have grown. */
	if (drive->unsampled_wal >= SAMPLE_WAL)
		pgxc_signals_wal_written(&drive->signals);
	else if (drive->sampled_at != 0 && elapsed_s * 1000 < SAMPLE_MS)
		return;
	if (drive->sampled_at == 0)
		elapsed_s = 0;
	drive->sampled_at = now;
	drive->unsampled_wal = 0;

	worst = pgxc_signals_sample(&drive->signals, migration, &signal);
	memcpy(drive->live.readings, drive->signals.readings,
		   sizeof(drive->live.readings));
	pgxc_duty_update(&drive->duty, worst, elapsed_s, migration->max_duty);
	if (drive->duty.level != PGXC_LEVEL_RED)
		drive->stall_logged = false;
	drive->live.duty =
		Min(drive->duty.duty,
			pgxc_duty_ceiling(migration->max_duty, active_per_core(drive),
							  pgxc_signal_soft[PGXC_SIGNAL_ACTIVE_SESSIONS] >
								  0));
	if (signal >= 0 || drive->duty.level != PGXC_LEVEL_RED)
	{
		drive->live.wait_reason[0] = '\0';
		explain_signal(drive, signal);
	}
}

/*
 * How long the caps of the migration want this worker to rest after a chunk
 * that began awake_ms ago, at the end of the last rest.
 */
static double
cap_delay_ms(PgxcDrive *drive, const PgxcMigration *migration, double awake_ms)
{
	double share = 1.0 / migration->parallel_workers;
	double rows =
		pgxc_rate_delay_ms(drive->result.rows,
						   migration->max_rows_per_second * share, awake_ms);
	double wal = pgxc_rate_delay_ms(drive->result.wal_bytes / 1024.0,
									migration->max_wal_rate * share, awake_ms);

	if (rows <= 0 && wal <= 0)
		return 0;
	snprintf(drive->live.wait_reason, PGXC_REASON_LEN,
			 "held to its cap: %s %d%s",
			 wal > rows ? "max_wal_rate" : "max_rows_per_second",
			 wal > rows ? migration->max_wal_rate
						: migration->max_rows_per_second,
			 wal > rows ? " kB/s" : "");
	return Max(rows, wal);
}

/* Is the migration as it was when its rest began? */
static bool
unchanged(PgxcDrive *drive, const PgxcMigration *before)
{
	volatile bool same = false;

	PG_TRY();
	{
		PgxcMigration *now;

		pgxc_tx_begin(drive->foreground);
		now = pgxc_migration_load(drive->migration_id);
		same = now != NULL && now->state == before->state &&
			   now->max_duty == before->max_duty &&
			   now->parallel_workers == before->parallel_workers &&
			   now->max_rows_per_second == before->max_rows_per_second &&
			   now->max_wal_rate == before->max_wal_rate;
		pgxc_tx_commit(drive->foreground);
	}
	PG_CATCH();
	{
		pgxc_error_ignore(drive->step_context);
		pgxc_tx_abort(drive->foreground);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(drive->step_context);
	return same;
}

/*
 * Rest for as long as is owed.  Whoever changes any migration of the database
 * wakes all of its workers: that alone does not end a rest, or a cap would not
 * hold.  A change of this migration does, and so does an interrupt.
 */
static void
take_rest(PgxcDrive *drive, const PgxcMigration *migration)
{
	TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												  (int64) drive->rest_owed_ms);
	long left;

	while ((left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
												   end)) > 0)
	{
		pgxc_drive_sleep(drive, left, PGXC_WAIT_DUTY);
		if (GetCurrentTimestamp() >= end || InterruptPending ||
			ConfigReloadPending || pgxc_slot_stop_requested(drive->slot) ||
			!unchanged(drive, migration))
			break;
	}
}

/*
 * How many rows a chunk may have: under a cap no more than a quarter of a
 * second's worth, or the rests between chunks would be long.
 */
static double
chunk_rows(const PgxcMigration *migration)
{
	if (migration->max_rows_per_second == 0)
		return PGXC_MAX_CHUNK_ROWS;
	return Max(1,
			   Min(PGXC_MAX_CHUNK_ROWS, migration->max_rows_per_second / 4.0 /
											migration->parallel_workers));
}

/*
 * After a chunk, or a step that had to wait: account for it, and rest.
 */
void
pgxc_drive_pace(PgxcDrive *drive, const PgxcMigration *migration, PgxcStep step)
{
	MemoryContext old = MemoryContextSwitchTo(drive->step_context);
	TimestampTz now = GetCurrentTimestamp();
	double elapsed_ms = drive->paced_at == 0 ? drive->busy_ms
											 : (now - drive->paced_at) / 1000.0;
	double awake_ms = drive->rested_at == 0 ? drive->busy_ms
											: (now - drive->rested_at) / 1000.0;
	double rest;

	drive->paced_at = now;
	update_rates(drive, elapsed_ms / 1000);

	if (step == PGXC_STEP_CHUNK)
		drive->unsampled_wal += drive->result.wal_bytes;
	if (migration)
	{
		sample(drive, migration);
		if (step == PGXC_STEP_WAIT && drive->wait_for[0] != '\0')
			strlcpy(drive->live.wait_reason, drive->wait_for, PGXC_REASON_LEN);
		/* Whoever complains is company, too: no large chunk may follow. */
		drive->target_ms =
			pgxc_chunk_target_ms(migration->target_chunk_ms,
								 drive->duty.level == PGXC_LEVEL_GREEN
									 ? active_per_core(drive)
									 : 1);
	}

	if (step == PGXC_STEP_CHUNK)
	{
		if (drive->sizer && drive->result.blocks > 0 && migration)
			drive->sizer->max_rows = chunk_rows(migration);
		if (drive->sizer && drive->result.blocks > 0)
			pgxc_sizer_update(drive->sizer, &drive->result, drive->target_ms);
		drive->live.chunks++;
		drive->live.rows_updated += drive->result.rows;
		drive->live.wal_bytes += drive->result.wal_bytes;
		drive->live.busy_ms += drive->busy_ms;
		drive->live.chunk_ms =
			drive->live.chunks == 1
				? drive->busy_ms
				: 0.9 * drive->live.chunk_ms + 0.1 * drive->busy_ms;
	}

	if (step == PGXC_STEP_WAIT || drive->duty.level == PGXC_LEVEL_RED)
	{
		drive->live.activity = PGXC_ACTIVITY_WAITING;
		pgxc_drive_report(drive);
		pgxc_drive_sleep(drive,
						 Max(drive->wait_ms, drive->duty.level == PGXC_LEVEL_RED
												 ? SAMPLE_MS
												 : 1),
						 drive->duty.level == PGXC_LEVEL_RED
							 ? PGXC_WAIT_THROTTLE
							 : PGXC_WAIT_RETRY);
	}
	else if (migration)
	{
		rest = cap_delay_ms(drive, migration, awake_ms);
		rest = Max(rest, pgxc_rest_ms(drive->busy_ms, drive->live.duty));
		/* A chunk of a millisecond earns a rest too short to take. */
		drive->rest_owed_ms += rest;
		if (drive->rest_owed_ms >= 1)
		{
			pgxc_drive_report(drive);
			take_rest(drive, migration);
			drive->rest_owed_ms = 0;
		}
	}
	drive->rested_at = GetCurrentTimestamp();
	MemoryContextSwitchTo(old);
}
