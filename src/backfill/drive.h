/*
 * drive.h
 *		Driving one migration: the loop around chunks, in a worker or in
 *		CALL pgxc.run().
 */
#ifndef PGXC_DRIVE_H
#define PGXC_DRIVE_H

#include "access/xlogdefs.h"
#include "nodes/pg_list.h"
#include "storage/lock.h"

#include "backfill/chunk_statement.h"
#include "backfill/pacing.h"
#include "backfill/signals.h"
#include "core/migration_row.h"
#include "core/shared_state.h"

/* What one step (one transaction) came to. */
typedef enum PgxcStep
{
	PGXC_STEP_CHUNK,     /* worked on rows: pace it */
	PGXC_STEP_AGAIN,     /* bookkeeping: go on at once */
	PGXC_STEP_WAIT,      /* nothing to do for a moment */
	PGXC_STEP_STATEMENT, /* run drive->statement, then go on */
	PGXC_STEP_DONE,      /* verified; the migration is finished, or ready */
	PGXC_STEP_STOPPED,   /* somebody changed the state */
	PGXC_STEP_BLOCKED,   /* the environment; see retry_ms */
	PGXC_STEP_GONE       /* the extension or the migration is gone */
} PgxcStep;

typedef enum PgxcWorkKind
{
	PGXC_WORK_OTHER, /* no rows are touched */
	PGXC_WORK_CHUNK,
	PGXC_WORK_BISECT,
	PGXC_WORK_REVISIT,     /* passes locked rows by */
	PGXC_WORK_REVISIT_ROW, /* waits for one row */
	PGXC_WORK_RECHECK,     /* a row of pgxc.row_error */
	PGXC_WORK_VERIFY
} PgxcWorkKind;

/* What a step was about when it failed. */
typedef struct PgxcWork
{
	PgxcWorkKind kind;
	Oid relid;
	int64 stripe_id;
	int64 revisit_id;
	int attempts; /* of the stripe */
	PgxcRange range;
	bool verify; /* BISECT: of a verification */
} PgxcWork;

typedef struct PgxcDrive
{
	bool foreground;
	int64 migration_id;
	char *name;           /* of the migration, once it was seen */
	int parallel_workers; /* as seen last */
	Oid extension;
	PgxcSlot *slot; /* NULL without preload */
	PgxcLive live;
	MemoryContext context;      /* lives as long as the drive */
	MemoryContext step_context; /* reset before each step */

	PgxcSizer update_sizer;
	PgxcSizer verify_sizer;
	PgxcDuty duty;
	PgxcSignals signals;
	double target_ms;       /* of a chunk, for the company that we are in */
	PgxcSizer *sizer;       /* the one that the last chunk used */
	PgxcChunkResult result; /* of the last chunk, for its sizer */
	double busy_ms;         /* of the last step, seeking included */
	PgxcWork work;
	int64 wait_ms;                  /* with STEP_WAIT and STEP_BLOCKED */
	char wait_for[PGXC_REASON_LEN]; /* with STEP_WAIT: whom; or empty */

	/* a long statement between two steps; see drive_statement.h */
	struct PgxcDriveStatement *statement;
	bool statement_succeeded; /* since failures were forgotten last */
	LOCKTAG builder_tag;

	/* whose end is waited for; see old_snapshots.c */
	VirtualTransactionId *snapshots; /* NULL: not looked yet */
	int nsnapshots;
	TransactionId snapshot_limit;
	int snapshot_tries;

	/* how to try again after an error */
	bool pass_locked_by; /* the next chunk does not wait for rows */
	bool put_off;        /* the next chunk goes to the revisit list */
	int contention;      /* errors of that class in a row */
	int64 limit_blocks;  /* of the next chunk, 0: none */
	List *bisect;        /* of PgxcRange *, the next one first */
	Oid bisect_relid;
	bool bisect_verify;

	/* the window in progress */
	int64 window_rows;           /* updated in its first pass, -1: not known */
	TimestampTz pass_started_at; /* 0: not by this process */
	bool sparse;                 /* the last one had little to do: seek */
	double row_bytes;            /* of its leaf, 0: not known */

	/* rates, over about the last 10 s */
	double rate_seconds;
	double rate_rows;
	double rate_blocks;
	double rest_owed_ms;
	TimestampTz paced_at;
	TimestampTz rested_at; /* end of the last rest */
	TimestampTz sampled_at;
	int64 unsampled_wal; /* bytes written since then */
	TimestampTz signal_logged_at[PGXC_NUM_SIGNALS];
	bool stall_logged;

	/* durability: no more than a chunk's worth of commits may be lost */
	double unflushed_ms;
} PgxcDrive;

/*
 * What a migration that writes two columns does between the update of all rows
 * and the verification; set by the part that knows.  Called in a step; returns
 * PGXC_STEP_DONE when nothing is left to do, and otherwise what run_step()
 * understands.
 */
typedef PgxcStep (*PgxcStage)(PgxcDrive *drive, const PgxcMigration *migration);
extern PgxcStage pgxc_build_stage;

extern void pgxc_drive_init(PgxcDrive *drive, int64 migration_id,
							PgxcSlot *slot, bool foreground);
extern PgxcStep pgxc_drive_run(PgxcDrive *drive);
extern void pgxc_drive_end(PgxcDrive *drive);

#endif /* PGXC_DRIVE_H */
