/*
 * stripe.c
 *		Which blocks a worker works on, and how far it is: the durable cursor.
 *
 * A stripe is a run of blocks of one leaf.  Workers carve stripes off a leaf
 * as they need them, so that their number may change at any time.  A chunk
 * locks its stripe's row: a lease that dies with the transaction.  Between two
 * chunks shared memory tells the other workers to keep off; if it should not
 * know (without preload), two of them would take turns, and nothing worse.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"

#include "backfill/stripe.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"

#define MIN_STRIPE 4096 /* blocks */
#define MAX_STRIPE (1024 * 1024)
#define STRIPES_PER_LEAF 32

static void
read_stripe(PgxcStripe *stripe)
{
	bool isnull;

	stripe->id = pgxc_sql_int64(0, 1);
	stripe->relid = DatumGetObjectId(pgxc_sql_value(0, 2, &isnull));
	stripe->relfilenumber = DatumGetObjectId(pgxc_sql_value(0, 3, &isnull));
	stripe->first_block = pgxc_sql_int64(0, 4);
	stripe->end_block = pgxc_sql_int64(0, 5);
	stripe->window_start = pgxc_sql_int64(0, 6);
	stripe->window_blocks = pgxc_sql_int64(0, 7);
	stripe->passes = DatumGetInt32(pgxc_sql_value(0, 8, &isnull));
	stripe->pass = DatumGetInt32(pgxc_sql_value(0, 9, &isnull));
	stripe->pass_to = DatumGetInt32(pgxc_sql_value(0, 10, &isnull));
	stripe->next_block = pgxc_sql_int64(0, 11);
	stripe->attempts = DatumGetInt32(pgxc_sql_value(0, 12, &isnull));
}

#define STRIPE_QUERY                                                     \
	"SELECT s.id, s.relid, l.relfilenumber, s.first_block, s.end_block," \
	" s.window_start, s.window_blocks, s.passes, s.pass, s.pass_to,"     \
	" s.next_block, s.attempts"                                          \
	" FROM pgxc.stripe s JOIN pgxc.leaf l USING (migration_id, relid) "

/*
 * Lock a stripe for one chunk and read it.  Returns false if it is gone, or
 * somebody else has it.
 */
bool
pgxc_stripe_lock(int64 id, PgxcStripe *stripe)
{
	static PgxcStatement lock_stripe =
		PGXC_SQL(STRIPE_QUERY
				 "WHERE s.id = $1 FOR NO KEY UPDATE OF s SKIP LOCKED",
				 INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(id);
	bool found;

	pgxc_sql_begin(&saved);
	found = pgxc_sql_execute(&lock_stripe, &value, NULL, SPI_OK_SELECT) == 1;
	if (found)
		read_stripe(stripe);
	pgxc_sql_end(&saved);
	return found;
}

/* The stripes that live workers of this database hold. */
static ArrayType *
held_stripes(void)
{
	PgxcSlot *slots;
	int n = pgxc_slots_copy(&slots);
	Datum *ids = palloc(sizeof(Datum) * (n + 1));
	int count = 0;

	for (int i = 0; i < n; i++)
	{
		if (slots[i].database == MyDatabaseId && slots[i].pid != MyProcPid &&
			slots[i].live.stripe_id != 0)
			ids[count++] = Int64GetDatum(slots[i].live.stripe_id);
	}
	return construct_array(ids, count, INT8OID, 8, FLOAT8PASSBYVAL,
						   TYPALIGN_DOUBLE);
}

/*
 * Take up a stripe that nobody works on, and count the attempt: a stripe that
 * is taken up again and again without a chunk in between is one that crashes
 * its worker.  Returns false if there is none.
 */
bool
pgxc_stripe_adopt(int64 migration_id, PgxcStripe *stripe)
{
	static PgxcStatement find =
		PGXC_SQL(STRIPE_QUERY
				 "WHERE s.migration_id = $1 AND s.id <> ALL ($2)"
				 " ORDER BY s.id LIMIT 1 FOR NO KEY UPDATE OF s SKIP LOCKED",
				 INT8OID, INT8ARRAYOID);
	static PgxcStatement count_attempt =
		PGXC_SQL("UPDATE pgxc.stripe SET attempts = attempts + 1 WHERE id = $1",
				 INT8OID);
	PgxcIdentity saved;
	Datum values[2];
	bool found;

	values[0] = Int64GetDatum(migration_id);
	values[1] = PointerGetDatum(held_stripes());
	pgxc_sql_begin(&saved);
	found = pgxc_sql_execute(&find, values, NULL, SPI_OK_SELECT) == 1;
	if (found)
	{
		read_stripe(stripe);
		values[0] = Int64GetDatum(stripe->id);
		(void) pgxc_sql_execute(&count_attempt, values, NULL, SPI_OK_UPDATE);
		stripe->attempts++;
	}
	pgxc_sql_end(&saved);
	return found;
}

/*
 * Carve the next stripe off the first leaf that has blocks left.  Returns
 * false if there is none, or another worker is just carving.
 */
bool
pgxc_stripe_carve(int64 migration_id, int64 *id)
{
	static PgxcStatement find_leaf = PGXC_SQL(
		"SELECT relid, next_block, end_block FROM pgxc.leaf"
		" WHERE migration_id = $1 AND NOT gone AND next_block < end_block"
		" ORDER BY relid LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED",
		INT8OID);
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.stripe (migration_id, relid, first_block, end_block, window_start, next_block)"
		" VALUES ($1, $2, $3, $4, $3, $3) RETURNING id",
		INT8OID, OIDOID, INT8OID, INT8OID);
	static PgxcStatement advance = PGXC_SQL(
		"UPDATE pgxc.leaf SET next_block = $3 WHERE migration_id = $1 AND relid = $2",
		INT8OID, OIDOID, INT8OID);
	PgxcIdentity saved;
	Datum values[4];
	bool found;

	values[0] = Int64GetDatum(migration_id);
	pgxc_sql_begin(&saved);
	found = pgxc_sql_execute(&find_leaf, values, NULL, SPI_OK_SELECT) == 1;
	if (found)
	{
		bool isnull;
		int64 next = pgxc_sql_int64(0, 2);
		int64 end = pgxc_sql_int64(0, 3);
		int64 blocks = Min(Max(end / STRIPES_PER_LEAF, MIN_STRIPE), MAX_STRIPE);

		values[1] = pgxc_sql_value(0, 1, &isnull);
		values[2] = Int64GetDatum(next);
		values[3] = Int64GetDatum(Min(next + blocks, end));
		(void) pgxc_sql_execute(&insert, values, NULL, SPI_OK_INSERT_RETURNING);
		*id = pgxc_sql_int64(0, 1);
		values[2] = values[3];
		(void) pgxc_sql_execute(&advance, values, NULL, SPI_OK_UPDATE);
	}
	pgxc_sql_end(&saved);
	return found;
}

/*
 * There is no stripe to take: are others still at work, or is the step
 * complete?
 */
PgxcStripeRest
pgxc_stripe_rest(int64 migration_id)
{
	static PgxcStatement any_left = PGXC_SQL(
		"SELECT count(*) FROM (SELECT FROM pgxc.stripe WHERE migration_id = $1"
		" UNION ALL SELECT FROM pgxc.leaf WHERE migration_id = $1 AND NOT gone"
		" AND next_block < end_block LIMIT 1) q",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration_id);
	int64 left;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&any_left, &value, NULL, SPI_OK_SELECT);
	left = pgxc_sql_int64(0, 1);
	pgxc_sql_end(&saved);
	return left > 0 ? PGXC_STRIPES_TAKEN : PGXC_STRIPES_NONE;
}

/*
 * Store how far the chunk of this transaction has come.
 */
void
pgxc_stripe_save(const PgxcStripe *stripe, const PgxcStripeProgress *progress)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.stripe SET window_start = $2, window_blocks = $3, passes = $4,"
		" pass = $5, pass_to = $6, next_block = $7, attempts = 0,"
		" rows_updated = rows_updated + $8, rows_verified = rows_verified + $9,"
		" mismatches = mismatches + $10, wal_bytes = wal_bytes + $11, chunks = chunks + 1"
		" WHERE id = $1",
		INT8OID, INT8OID, INT8OID, INT4OID, INT4OID, INT4OID, INT8OID, INT8OID,
		INT8OID, INT8OID, INT8OID);
	PgxcIdentity saved;
	Datum values[11];

	values[0] = Int64GetDatum(stripe->id);
	values[1] = Int64GetDatum(stripe->window_start);
	values[2] = Int64GetDatum(stripe->window_blocks);
	values[3] = Int32GetDatum(stripe->passes);
	values[4] = Int32GetDatum(stripe->pass);
	values[5] = Int32GetDatum(stripe->pass_to);
	values[6] = Int64GetDatum(stripe->next_block);
	values[7] = Int64GetDatum(progress->rows_updated);
	values[8] = Int64GetDatum(progress->rows_verified);
	values[9] = Int64GetDatum(progress->mismatches);
	values[10] = Int64GetDatum(progress->wal_bytes);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/*
 * A stripe is complete: add its counts to those of its leaf.
 */
void
pgxc_stripe_finish(int64 migration_id, const PgxcStripe *stripe)
{
	static PgxcStatement finish = PGXC_SQL(
		"WITH s AS (DELETE FROM pgxc.stripe WHERE id = $1 RETURNING *)"
		" UPDATE pgxc.leaf l SET blocks_done = l.blocks_done + (s.end_block - s.first_block),"
		" rows_updated = l.rows_updated + s.rows_updated,"
		" rows_verified = l.rows_verified + s.rows_verified,"
		" mismatches = l.mismatches + s.mismatches,"
		" wal_bytes = l.wal_bytes + s.wal_bytes, chunks = l.chunks + s.chunks"
		" FROM s WHERE l.migration_id = s.migration_id AND l.relid = s.relid",
		INT8OID);
	PgxcIdentity saved;
	Datum value = Int64GetDatum(stripe->id);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&finish, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}
