/*
 * transition.c
 *		Changing a migration's state: the one way to do it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/event_log.h"
#include "core/sql_runner.h"
#include "core/transition.h"
#include "core/wakeup.h"

/*
 * Move a migration to another state: lock its row, check the edge, write the
 * row and the event, and wake everybody concerned at COMMIT.
 *
 * phase: the new phase, or NULL to leave it.  reason: why, in words, or NULL.
 * Returns false, and changes nothing, if there is no such edge from the state
 * that the row has by now.
 */
bool
pgxc_transition(int64 id, PgxcState to, const char *phase, const char *reason)
{
	static PgxcStatement lock_row = PGXC_SQL(
		"SELECT state FROM pgxc.migration WHERE id = $1 FOR NO KEY UPDATE",
		INT8OID);
	static PgxcStatement update_row = PGXC_SQL(
		"UPDATE pgxc.migration SET state = $2, phase = coalesce($3, phase),"
		" state_reason = $4, state_since = clock_timestamp(),"
		" started_at = CASE WHEN $2 = 'running' THEN coalesce(started_at, clock_timestamp()) ELSE started_at END,"
		" finished_at = CASE WHEN $2 = 'finished' THEN clock_timestamp() END,"
		" retry_at = CASE WHEN $2 = 'blocked' THEN retry_at END"
		" WHERE id = $1",
		INT8OID, TEXTOID, TEXTOID, TEXTOID);
	PgxcIdentity saved;
	PgxcState from;
	Datum values[4];
	char nulls[5] = "    ";
	bool isnull;
	char *from_name;

	values[0] = Int64GetDatum(id);
	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&lock_row, values, NULL, SPI_OK_SELECT) != 1)
	{
		pgxc_sql_end(&saved);
		return false;
	}
	from_name = TextDatumGetCString(pgxc_sql_value(0, 1, &isnull));
	if (!pgxc_state_parse(from_name, &from) || !pgxc_edge_exists(from, to))
	{
		pgxc_sql_end(&saved);
		return false;
	}

	values[1] = CStringGetTextDatum(pgxc_state_name(to));
	values[2] = phase ? CStringGetTextDatum(phase) : (Datum) 0;
	values[3] = reason ? CStringGetTextDatum(reason) : (Datum) 0;
	nulls[2] = phase ? ' ' : 'n';
	nulls[3] = reason ? ' ' : 'n';
	(void) pgxc_sql_execute(&update_row, values, nulls, SPI_OK_UPDATE);
	pgxc_event(id, "transition", from_name, pgxc_state_name(to), reason);
	pgxc_sql_end(&saved);

	pgxc_wakeup_at_commit();
	return true;
}

/*
 * Note the last error on the migration's row; retry_at (0: none) tells when a
 * blocked migration is tried again, and counts as a try.
 */
void
pgxc_record_error(int64 id, const PgxcError *error, TimestampTz retry_at)
{
	static PgxcStatement update_row = PGXC_SQL(
		"UPDATE pgxc.migration SET last_error_code = $2, last_error = $3,"
		" last_error_at = clock_timestamp(), retry_at = $4,"
		" blocked_tries = blocked_tries + CASE WHEN $4 IS NULL THEN 0 ELSE 1 END"
		" WHERE id = $1",
		INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID);
	PgxcIdentity saved;
	Datum values[4];
	char nulls[5] = "    ";

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(error->sqlstate);
	values[2] = CStringGetTextDatum(error->message);
	values[3] = TimestampTzGetDatum(retry_at);
	nulls[3] = retry_at == 0 ? 'n' : ' ';

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update_row, values, nulls, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}
