/*
 * revisit.h
 *		Ranges of blocks that a chunk could not finish.
 */
#ifndef PGXC_REVISIT_H
#define PGXC_REVISIT_H

#include "backfill/drive.h"

extern void pgxc_revisit_add(int64 migration_id, Oid relid, int64 first_block,
							 int64 end_block, const char *reason);
extern PgxcStep pgxc_revisit_step(PgxcDrive *drive,
								  const PgxcMigration *migration);
extern void pgxc_revisit_postpone(int64 id, int64 ms, const char *reason);
extern int pgxc_revisit_tries(int64 id);

#endif /* PGXC_REVISIT_H */
