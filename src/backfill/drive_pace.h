/*
 * drive_pace.h
 *		The rest between two steps.
 */
#ifndef PGXC_DRIVE_PACE_H
#define PGXC_DRIVE_PACE_H

#include "backfill/drive.h"
#include "core/compat.h"

extern void pgxc_drive_pace(PgxcDrive *drive, const PgxcMigration *migration,
							PgxcStep step);
extern void pgxc_drive_report(PgxcDrive *drive);
extern void pgxc_drive_sleep(PgxcDrive *drive, int64 ms, PgxcWait wait);

#endif /* PGXC_DRIVE_PACE_H */
