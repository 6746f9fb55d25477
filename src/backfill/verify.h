/*
 * verify.h
 *		Reading every row before a migration is called done.
 */
#ifndef PGXC_VERIFY_H
#define PGXC_VERIFY_H

#include "backfill/drive.h"
#include "backfill/stripe.h"

extern PgxcStep pgxc_verify_begin(PgxcDrive *drive,
								  const PgxcMigration *migration);
extern void pgxc_verify_chunk(PgxcDrive *drive, const PgxcMigration *migration,
							  Relation leaf, PgxcStripe *stripe,
							  PgxcStripeProgress *progress);
extern PgxcStep pgxc_verify_end(PgxcDrive *drive,
								const PgxcMigration *migration);

#endif /* PGXC_VERIFY_H */
