/*
 * row_errors.h
 *		Rows that cannot be updated: finding them, remembering them.
 */
#ifndef PGXC_ROW_ERRORS_H
#define PGXC_ROW_ERRORS_H

#include "backfill/drive.h"
#include "core/error_capture.h"

extern bool pgxc_range_split(const PgxcRange *range, PgxcRange *low,
							 PgxcRange *high);
extern PgxcStep pgxc_bisect_step(PgxcDrive *drive,
								 const PgxcMigration *migration);
extern PgxcStep pgxc_recheck_step(PgxcDrive *drive,
								  const PgxcMigration *migration);

extern ArrayType *pgxc_row_error_skip(const PgxcMigration *migration, Oid relid,
									  PgxcRange range);
extern void pgxc_row_error_store(const PgxcMigration *migration, Oid relid,
								 uint64 position, const PgxcError *error);
extern int64 pgxc_row_error_count(int64 migration_id);
extern void pgxc_row_error_recheck_all(int64 migration_id);
extern void pgxc_row_error_count_updates(int64 migration_id, Oid relid,
										 int64 rows);

#endif /* PGXC_ROW_ERRORS_H */
