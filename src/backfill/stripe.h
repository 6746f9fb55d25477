/*
 * stripe.h
 *		Which blocks a worker works on, and how far it is: the durable cursor.
 */
#ifndef PGXC_STRIPE_H
#define PGXC_STRIPE_H

#include "core/migration_row.h"

typedef struct PgxcStripe
{
	int64 id;
	Oid relid;
	Oid relfilenumber; /* of the leaf */
	int64 first_block;
	int64 end_block;
	int64 window_start;  /* all blocks before it are done */
	int64 window_blocks; /* 0: no window is open */
	int passes;
	int pass; /* passes pass..pass_to of the window ... */
	int pass_to;
	int64 next_block; /* ... have come as far as this block */
	int attempts;     /* taken up again without a chunk since */
} PgxcStripe;

typedef struct PgxcStripeProgress
{
	int64 rows_updated;
	int64 rows_verified;
	int64 mismatches;
	int64 wal_bytes;
} PgxcStripeProgress;

/* What is left to do in a step, when there is no stripe to take. */
typedef enum PgxcStripeRest
{
	PGXC_STRIPES_NONE, /* nothing: the step is complete */
	PGXC_STRIPES_TAKEN /* others work on the rest */
} PgxcStripeRest;

extern bool pgxc_stripe_lock(int64 id, PgxcStripe *stripe);
extern bool pgxc_stripe_adopt(int64 migration_id, PgxcStripe *stripe);
extern bool pgxc_stripe_carve(int64 migration_id, int64 *id);
extern PgxcStripeRest pgxc_stripe_rest(int64 migration_id);
extern void pgxc_stripe_save(const PgxcStripe *stripe,
							 const PgxcStripeProgress *progress);
extern void pgxc_stripe_finish(int64 migration_id, const PgxcStripe *stripe);

#endif /* PGXC_STRIPE_H */
