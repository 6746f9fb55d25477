/*
 * drive_error.h
 *		What to do after a step failed.
 */
#ifndef PGXC_DRIVE_ERROR_H
#define PGXC_DRIVE_ERROR_H

#include "backfill/drive.h"
#include "core/error_capture.h"

extern PgxcStep pgxc_drive_yield(PgxcDrive *drive, const char *reason);
extern PgxcStep pgxc_drive_error(PgxcDrive *drive,
								 const PgxcMigration *migration,
								 PgxcError *error);

#endif /* PGXC_DRIVE_ERROR_H */
