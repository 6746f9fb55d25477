/*
 * build.h
 *		Building, on a new column, what stands on the old one.
 */
#ifndef PGXC_BUILD_H
#define PGXC_BUILD_H

#include "backfill/drive.h"
#include "migration/piece.h"

extern void pgxc_build_init(void);

extern bool pgxc_index_is_built(const PgxcMigration *migration,
								const PgxcPiece *piece);
extern PgxcStep pgxc_index_build(PgxcDrive *drive,
								 const PgxcMigration *migration,
								 const PgxcPiece *piece);

extern bool pgxc_constraint_is_built(const PgxcPiece *piece);
extern PgxcStep pgxc_constraint_build(PgxcDrive *drive, const PgxcPiece *piece);

extern bool pgxc_statistics_are_built(const PgxcPiece *piece);
extern PgxcStep pgxc_statistics_build(PgxcDrive *drive, const PgxcPiece *piece);

#endif /* PGXC_BUILD_H */
