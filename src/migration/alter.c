/*
 * alter.c
 *		pgxc.alter_migration(): live tuning.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "core/event_log.h"
#include "core/extension.h"
#include "core/migration_row.h"
#include "core/options.h"
#include "core/sql_runner.h"
#include "core/wakeup.h"

PG_FUNCTION_INFO_V1(pgxc_alter_migration);

/*
 * alter_migration(migration, target_chunk_ms, ...) returns void
 *
 * Each chunk reads the row, so a change holds from the next one on.
 */
Datum
pgxc_alter_migration(PG_FUNCTION_ARGS)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET"
		" target_chunk_ms = CASE WHEN $10 THEN $2 ELSE target_chunk_ms END,"
		" max_duty = CASE WHEN $11 THEN $3 ELSE max_duty END,"
		" parallel_workers = CASE WHEN $12 THEN $4 ELSE parallel_workers END,"
		" max_rows_per_second = CASE WHEN $13 THEN $5 ELSE max_rows_per_second END,"
		" max_wal_rate = CASE WHEN $14 THEN $6 ELSE max_wal_rate END,"
		" passes = CASE WHEN $15 THEN $7 ELSE passes END,"
		" max_row_errors = CASE WHEN $16 THEN $8 ELSE max_row_errors END,"
		" throttle_function = CASE WHEN $17 THEN $9 ELSE throttle_function END"
		" WHERE id = $1 AND phase = 'migrate'",
		INT8OID, INT4OID, FLOAT8OID, INT4OID, INT4OID, INT4OID, INT4OID,
		INT8OID, TEXTOID, BOOLOID, BOOLOID, BOOLOID, BOOLOID, BOOLOID, BOOLOID,
		BOOLOID, BOOLOID);
	PgxcMigration *migration;
	PgxcOptions options;
	PgxcIdentity saved;
	Datum values[17];
	char nulls[18] = "                 ";
	bool changed;

	pgxc_require_primary("pgxc.alter_migration()");
	migration = pgxc_migration_argument(fcinfo, 0);
	pgxc_migration_check_owner(migration);
	pgxc_migration_require_data(migration, "alter");
	pgxc_options_read(fcinfo, 1, true, &options);

	values[0] = Int64GetDatum(migration->id);
	pgxc_options_datums(&options, &values[1], &nulls[1]);
	for (int i = 0; i < PGXC_NUM_OPTIONS; i++)
		values[9 + i] = BoolGetDatum(options.given[i]);

	pgxc_sql_begin(&saved);
	changed = pgxc_sql_execute(&update, values, nulls, SPI_OK_UPDATE) == 1;
	if (changed)
		pgxc_event(migration->id, "parameter", NULL, NULL,
				   pgxc_options_describe(&options));
	pgxc_sql_end(&saved);

	if (!changed)
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("migration \"%s\" is already %s",
							   migration->name, migration->phase)));

	/* More workers may be wanted now. */
	pgxc_wakeup_at_commit();
	PG_RETURN_VOID();
}
