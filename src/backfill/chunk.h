/*
 * chunk.h
 *		One chunk of a stripe.
 */
#ifndef PGXC_CHUNK_H
#define PGXC_CHUNK_H

#include "backfill/drive.h"

extern PgxcStep pgxc_chunk_step(PgxcDrive *drive,
								const PgxcMigration *migration);
extern void pgxc_chunk_measured(PgxcDrive *drive,
								const PgxcMigration *migration, Relation leaf,
								PgxcChunkKind kind, const PgxcChunkArgs *args,
								PgxcChunkOutcome *outcome);
extern double pgxc_chunk_row_bytes(Relation leaf);
extern int64 pgxc_chunk_most_blocks(Relation leaf, double row_bytes,
									int passes_now, int passes);
extern void pgxc_require_convergence(const PgxcChunkOutcome *outcome);

#endif /* PGXC_CHUNK_H */
