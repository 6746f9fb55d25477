/*
 * settings.c
 *		The pgxc.* settings.
 *
 * Most of them are server settings, not session settings: the work is done by
 * background workers, and what a session wants to choose for one migration is
 * an argument of start_... and alter_migration.  The exception is how a session
 * waits for locks.
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "core/settings.h"

double pgxc_signal_soft[PGXC_NUM_SIGNALS];
double pgxc_signal_hard[PGXC_NUM_SIGNALS];

char *pgxc_allow = NULL;
int pgxc_cores = 0;
int pgxc_ddl_lock_retries = 30;
int pgxc_ddl_lock_timeout = 100;
int pgxc_guard = PGXC_GUARD_ENFORCE;
int pgxc_guard_min_table_size = 1024;
int pgxc_guard_scope = PGXC_SCOPE_OPEN_MIGRATIONS;
double pgxc_max_duty = 0.8;
int pgxc_max_wal_rate = 0;
int pgxc_max_workers = 2;
int pgxc_target_chunk_ms = 100;
char *pgxc_throttle_function = NULL;
int pgxc_worker_nice = 10;

static const struct config_enum_entry guard_options[] = {
	{ "enforce", PGXC_GUARD_ENFORCE, false },
	{ "warn", PGXC_GUARD_WARN, false },
	{ "off", PGXC_GUARD_OFF, false },
	{ NULL, 0, false }
};

static const struct config_enum_entry scope_options[] = {
	{ "open_migrations", PGXC_SCOPE_OPEN_MIGRATIONS, false },
	{ "all_tables", PGXC_SCOPE_ALL_TABLES, false },
	{ NULL, 0, false }
};

typedef struct SignalSetting
{
	PgxcSignal signal;
	const char *soft_name;
	const char *hard_name;
	double soft;
	double hard;
	const char *what;
} SignalSetting;

static const SignalSetting signal_settings[] = {
	{ PGXC_SIGNAL_ACTIVE_SESSIONS, "pgxc.active_sessions_soft",
	  "pgxc.active_sessions_hard", 1.5, 0,
	  "active client sessions for each core" },
	{ PGXC_SIGNAL_ARCHIVE_BACKLOG, "pgxc.archive_backlog_soft",
	  "pgxc.archive_backlog_hard", 16, 42,
	  "WAL segments waiting to be archived" },
	{ PGXC_SIGNAL_CPU_WAIT, "pgxc.cpu_wait_soft", "pgxc.cpu_wait_hard", 60, 0,
	  "percent of its working time that a worker waited for a CPU" },
	{ PGXC_SIGNAL_DEAD_TUPLES, "pgxc.dead_tuples_soft", "pgxc.dead_tuples_hard",
	  40, 0, "dead tuples that vacuum could remove, percent of the live ones" },
	{ PGXC_SIGNAL_DISK_FREE, "pgxc.disk_free_soft", "pgxc.disk_free_hard", 10,
	  5, "percent of the disk that is free" },
	{ PGXC_SIGNAL_HORIZON_AGE, "pgxc.horizon_age_soft", "pgxc.horizon_age_hard",
	  300, 0, "seconds that an old snapshot has held back vacuum" },
	{ PGXC_SIGNAL_LOCK_WAITERS, "pgxc.lock_waiters_soft",
	  "pgxc.lock_waiters_hard", 2, 8,
	  "sessions waiting for a lock of the worker" },
	{ PGXC_SIGNAL_REPLAY_LAG, "pgxc.replay_lag_soft", "pgxc.replay_lag_hard",
	  1000, 5000, "milliseconds of replay lag of the slowest standby" },
	{ PGXC_SIGNAL_REPLAY_LAG_BYTES, "pgxc.replay_lag_bytes_soft",
	  "pgxc.replay_lag_bytes_hard", 64, 512,
	  "megabytes of WAL that the slowest standby has yet to replay" },
	{ PGXC_SIGNAL_REQUESTED_CHECKPOINTS, "pgxc.requested_checkpoints_soft",
	  "pgxc.requested_checkpoints_hard", 2, 0,
	  "requested checkpoints in the last five minutes" },
	{ PGXC_SIGNAL_SLOT_LAG, "pgxc.slot_lag_soft", "pgxc.slot_lag_hard", 256,
	  1024, "megabytes of WAL that the furthest replication slot is behind" },
	{ PGXC_SIGNAL_SLOT_WAL_LEFT, "pgxc.slot_wal_left_soft",
	  "pgxc.slot_wal_left_hard", 40, 25,
	  "percent of max_slot_wal_keep_size that is left to the furthest slot" },
	{ PGXC_SIGNAL_THROTTLE_FUNCTION, "pgxc.throttle_function_soft",
	  "pgxc.throttle_function_hard", 1, 2,
	  "level that the throttle function returns" },
};

StaticAssertDecl(lengthof(signal_settings) == PGXC_NUM_SIGNALS,
				 "every signal has its settings");

static void
define_signal_settings(void)
{
	/* The descriptions are kept by pointer, and must outlive the postmaster's
	 * own context. */
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	for (int i = 0; i < lengthof(signal_settings); i++)
	{
		const SignalSetting *s = &signal_settings[i];

		DefineCustomRealVariable(
			s->soft_name,
			psprintf("Soft limit: slow down (%s; 0 is off).", s->what), NULL,
			&pgxc_signal_soft[s->signal], s->soft, 0, 1e9, PGC_SIGHUP, 0, NULL,
			NULL, NULL);
		DefineCustomRealVariable(s->hard_name,
								 psprintf("Hard limit: stop (%s; 0 is off).",
										  s->what),
								 NULL, &pgxc_signal_hard[s->signal], s->hard, 0,
								 1e9, PGC_SIGHUP, 0, NULL, NULL, NULL);
	}
	MemoryContextSwitchTo(old);
}

/* The words that pgxc.allow may have. */
static const struct
{
	const char *word;
	int hazard;
} hazards[] = { { "break", PGXC_ALLOW_BREAK },
				{ "index_build", PGXC_ALLOW_INDEX_BUILD },
				{ "rewrite", PGXC_ALLOW_REWRITE },
				{ "scan", PGXC_ALLOW_SCAN } };

/*
 * The hazards that a list allows, as bits; -1 if one of its words is none.
 * Splits the text that it is given.
 */
static int
parse_allow(char *text)
{
	List *words;
	ListCell *lc;
	int allowed = 0;

	if (!SplitIdentifierString(text, ',', &words))
		return -1;
	foreach (lc, words)
	{
		int i = 0;

		while (i < lengthof(hazards) &&
			   strcmp((char *) lfirst(lc), hazards[i].word) != 0)
			i++;
		if (i == lengthof(hazards))
			return -1;
		allowed |= hazards[i].hazard;
	}
	list_free(words);
	return allowed;
}

static bool
check_allow(char **value, void **extra, GucSource source)
{
	char *copy = pstrdup(*value);
	int allowed = parse_allow(copy);

	pfree(copy);
	if (allowed < 0)
	{
		GUC_check_errdetail(
			"It is a list of \"break\", \"index_build\", \"rewrite\" and \"scan\".");
		return false;
	}
	return true;
}

/* The hazards that pgxc.allow lets pass, as bits. */
int
pgxc_allowed_hazards(void)
{
	if (pgxc_allow == NULL || pgxc_allow[0] == '\0')
		return 0;
	return Max(parse_allow(pstrdup(pgxc_allow)), 0);
}

static void
define_guard_settings(void)
{
	DefineCustomStringVariable(
		"pgxc.allow", "Hazards that the guard lets pass, and records.",
		"A list of break, index_build, rewrite and scan; best with SET LOCAL.",
		&pgxc_allow, "", PGC_SUSET, GUC_LIST_INPUT, check_allow, NULL, NULL);
	DefineCustomEnumVariable(
		"pgxc.guard",
		"What is done about DDL that would block or break an open migration.",
		NULL, &pgxc_guard, PGXC_GUARD_ENFORCE, guard_options, PGC_SUSET, 0,
		NULL, NULL, NULL);
	DefineCustomIntVariable(
		"pgxc.guard_min_table_size",
		"Smaller tables may be blocked, as that does not take long.", NULL,
		&pgxc_guard_min_table_size, 1024, 0, INT_MAX, PGC_SUSET, GUC_UNIT_KB,
		NULL, NULL, NULL);
	DefineCustomEnumVariable("pgxc.guard_scope",
							 "Which tables the guard keeps from being blocked.",
							 NULL, &pgxc_guard_scope,
							 PGXC_SCOPE_OPEN_MIGRATIONS, scope_options,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

/*
 * Define every setting.  Called from _PG_init only; pgxc.max_workers can be
 * defined only while shared_preload_libraries is processed, as it sizes
 * shared memory.
 */
void
pgxc_settings_init(void)
{
	define_signal_settings();
	define_guard_settings();

	DefineCustomIntVariable(
		"pgxc.cores",
		"Processors that this server may use (0: ask the operating system).",
		NULL, &pgxc_cores, 0, 0, 4096, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"pgxc.ddl_lock_retries",
		"How often a heavy lock on a table that could not be had is asked for again.",
		NULL, &pgxc_ddl_lock_retries, 30, 0, 10000, PGC_USERSET, 0, NULL, NULL,
		NULL);
	DefineCustomIntVariable(
		"pgxc.ddl_lock_timeout",
		"How long a request for a heavy lock on a table may wait.",
		"Everybody else who wants the table queues behind it.",
		&pgxc_ddl_lock_timeout, 100, 1, 60000, PGC_USERSET, GUC_UNIT_MS, NULL,
		NULL, NULL);
	DefineCustomRealVariable("pgxc.max_duty",
							 "Share of the time that a worker may work.", NULL,
							 &pgxc_max_duty, 0.8, 0.02, 1.0, PGC_SIGHUP, 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable(
		"pgxc.max_wal_rate",
		"WAL that one migration may write each second (0: no cap).", NULL,
		&pgxc_max_wal_rate, 0, 0, INT_MAX / 2, PGC_SIGHUP, GUC_UNIT_KB, NULL,
		NULL, NULL);
	if (process_shared_preload_libraries_in_progress)
		DefineCustomIntVariable(
			"pgxc.max_workers",
			"Background workers of pgxc that may run at once in the cluster.",
			NULL, &pgxc_max_workers, 2, 1, 64, PGC_POSTMASTER, 0, NULL, NULL,
			NULL);
	DefineCustomIntVariable("pgxc.target_chunk_ms",
							"How long a chunk may hold its row locks.", NULL,
							&pgxc_target_chunk_ms, 100, 1, 2000, PGC_SIGHUP,
							GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable(
		"pgxc.throttle_function",
		"Function () returning (level integer, reason text) that is asked once a second.",
		NULL, &pgxc_throttle_function, "", PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable(
		"pgxc.worker_nice",
		"How much a worker lowers its priority at the operating system.", NULL,
		&pgxc_worker_nice, 10, 0, 19, PGC_SIGHUP, 0, NULL, NULL, NULL);

	MarkGUCPrefixReserved("pgxc");
}
