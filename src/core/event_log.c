/*
 * event_log.c
 *		The audit trail, pgxc.event.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "core/event_log.h"
#include "core/sql_runner.h"

/*
 * Write an event in the current transaction, so that it is there exactly if
 * what it tells of is.  Any of from_state, to_state and detail may be NULL.
 * Who did it and from where is filled in by the table's defaults.
 */
void
pgxc_event(int64 migration_id, const char *event, const char *from_state,
		   const char *to_state, const char *detail)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.event (migration_id, event, from_state, to_state, detail)"
		" VALUES ($1, $2, $3, $4, $5)",
		INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID);
	PgxcIdentity saved;
	const char *texts[4] = { event, from_state, to_state, detail };
	Datum values[5];
	char nulls[6] = "     ";

	values[0] = Int64GetDatum(migration_id);
	for (int i = 0; i < 4; i++)
	{
		values[i + 1] = texts[i] ? CStringGetTextDatum(texts[i]) : (Datum) 0;
		if (texts[i] == NULL)
			nulls[i + 1] = 'n';
	}

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&insert, values, nulls, SPI_OK_INSERT);
	pgxc_sql_end(&saved);
}
