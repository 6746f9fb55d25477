/*
 * old_snapshots.h
 *		Waiting for those who still see rows as they were before.
 */
#ifndef PGXC_OLD_SNAPSHOTS_H
#define PGXC_OLD_SNAPSHOTS_H

#include "backfill/drive.h"

extern void pgxc_old_snapshots_forget(PgxcDrive *drive);
extern char *pgxc_old_snapshots_holders(PgxcDrive *drive);

#endif /* PGXC_OLD_SNAPSHOTS_H */
