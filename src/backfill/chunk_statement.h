/*
 * chunk_statement.h
 *		The statements that a chunk runs on a leaf table.
 */
#ifndef PGXC_CHUNK_STATEMENT_H
#define PGXC_CHUNK_STATEMENT_H

#include "storage/block.h"
#include "storage/itemptr.h"
#include "utils/array.h"
#include "utils/relcache.h"

#include "core/migration_row.h"

typedef enum PgxcChunkKind
{
	PGXC_CHUNK_UPDATE,          /* waits for row locks up to lock_timeout */
	PGXC_CHUNK_UPDATE_UNLOCKED, /* passes locked rows by */
	PGXC_CHUNK_SEEK,            /* finds the first row that needs work */
	PGXC_CHUNK_VERIFY,          /* counts rows, and those that need work */
	PGXC_NUM_CHUNK_KINDS
} PgxcChunkKind;

/*
 * A range of rows, by position: block number * 65536 + offset.  The end is
 * exclusive.
 */
typedef struct PgxcRange
{
	uint64 first;
	uint64 end;
} PgxcRange;

#define PGXC_BLOCK_KEY(block) (((uint64) (block)) << 16)
#define PGXC_KEY_BLOCK(key) ((int64) ((key) >> 16))
#define PGXC_TID_KEY(tid)                                    \
	(PGXC_BLOCK_KEY(ItemPointerGetBlockNumberNoCheck(tid)) + \
	 ItemPointerGetOffsetNumberNoCheck(tid))

typedef struct PgxcChunkArgs
{
	PgxcRange range;
	int passes;
	int pass_from;
	int pass_to;
	ArrayType *skip; /* of tid, or NULL */
} PgxcChunkArgs;

typedef struct PgxcChunkOutcome
{
	int64 rows;      /* updated, or read by VERIFY */
	int64 unchanged; /* updated rows that still need the update */
	int64 needing;   /* VERIFY: rows that need the update; SEEK: 0 or 1 */
	uint64 first;    /* SEEK, VERIFY: position of the first of them */
	uint64 last;     /* VERIFY: of the last */
} PgxcChunkOutcome;

extern void pgxc_chunk_statement_init(void);
extern void pgxc_chunk_statement_forget(void);
extern const char *pgxc_chunk_role(const PgxcMigration *migration);
extern void pgxc_chunk_execute(const PgxcMigration *migration, Relation leaf,
							   PgxcChunkKind kind, const PgxcChunkArgs *args,
							   PgxcChunkOutcome *outcome);
extern char *pgxc_row_key(Relation leaf, uint64 position);

#endif /* PGXC_CHUNK_STATEMENT_H */
