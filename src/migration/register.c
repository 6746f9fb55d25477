/*
 * register.c
 *		The row of a migration with two shapes.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/ddl.h"
#include "core/event_log.h"
#include "core/extension.h"
#include "core/fingerprint.h"
#include "core/sql_runner.h"
#include "migration/piece.h"
#include "migration/register.h"

/* A migration that was rolled back keeps its name with its number behind it. */
static void
free_name(const char *name)
{
	static PgxcStatement update =
		PGXC_SQL("UPDATE pgxc.migration SET name = format('%s #%s', name, id)"
				 " WHERE name = $1 AND phase = 'rolled_back'",
				 TEXTOID);
	PgxcIdentity saved;
	Datum value = CStringGetTextDatum(name);

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, &value, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/* The id of the next migration. */
int64
pgxc_next_id(void)
{
	static PgxcStatement next =
		PGXC_SQL("SELECT nextval('pgxc.migration_id_seq')");
	PgxcIdentity saved;
	int64 id;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&next, NULL, NULL, SPI_OK_SELECT);
	id = pgxc_sql_int64(0, 1);
	pgxc_sql_end(&saved);
	return id;
}

/* For the shadow column of a type change: _pgxc_12_column, cut to 63 bytes. */
char *
pgxc_shadow_name(int64 id, const char *column)
{
	char *name = psprintf("_pgxc_%lld_%s", (long long) id, column);

	truncate_identifier(name, strlen(name), false);
	return name;
}

/* Insert the row; false if the name was taken meanwhile. */
static bool
insert_migration(const PgxcRequest *request, const PgxcShape *shape, int64 id,
				 List *settings)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.migration (id, name, kind, relation, relation_name, owner, home,"
		" columns, expressions, assignments_given, settings, old_columns, new_column, final_column,"
		" new_type, up, downs, given_up, given_down, keep_old, fire_triggers,"
		" target_chunk_ms, max_duty, parallel_workers, max_rows_per_second, max_wal_rate,"
		" passes, max_row_errors, throttle_function, phase, state)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, ARRAY[$10], ARRAY[$8], $8, $9, $11, $10, $12, $13, $14, $15,"
		" $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, 'migrate', 'queued')"
		" ON CONFLICT (name) DO NOTHING",
		INT8OID, TEXTOID, TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTOID, TEXTARRAYOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID,
		TEXTARRAYOID, TEXTOID, TEXTOID, BOOLOID, BOOLOID, INT4OID, FLOAT8OID,
		INT4OID, INT4OID, INT4OID, INT4OID, INT8OID, TEXTOID);
	PgxcIdentity saved;
	Datum values[27] = { 0 };
	char nulls[28] = "                           ";
	uint64 inserted;

	values[0] = Int64GetDatum(id);
	values[1] = CStringGetTextDatum(request->name);
	values[2] = CStringGetTextDatum(request->kind);
	values[3] = ObjectIdGetDatum(request->relid);
	values[4] = CStringGetTextDatum(pgxc_qualified_name(request->relid));
	values[5] = CStringGetTextDatum(
		GetUserNameFromId(pgxc_relation_owner(request->relid), false));
	values[6] = CStringGetTextDatum(pgxc_home());
	values[7] = CStringGetTextDatum(pgxc_shape_assignment(shape));
	values[8] = pgxc_text_list_datum(settings);
	values[9] = CStringGetTextDatum(shape->new_column);
	values[10] = pgxc_text_list_datum(shape->old_columns);
	values[11] = CStringGetTextDatum(shape->final_column);
	values[12] = CStringGetTextDatum(pgxc_shape_type_name(shape));
	values[13] = CStringGetTextDatum(shape->up);
	values[14] = pgxc_text_list_datum(shape->downs);
	nulls[15] = request->up ? ' ' : 'n';
	values[15] = request->up ? CStringGetTextDatum(request->up) : (Datum) 0;
	nulls[16] = request->down ? ' ' : 'n';
	values[16] = request->down ? CStringGetTextDatum(request->down) : (Datum) 0;
	values[17] = BoolGetDatum(request->keep_old);
	values[18] = BoolGetDatum(request->fire_triggers);
	pgxc_options_datums(&request->options, &values[19], &nulls[19]);

	pgxc_sql_begin(&saved);
	inserted = pgxc_sql_execute(&insert, values, nulls, SPI_OK_INSERT);
	if (inserted == 1)
		pgxc_event(id, "created", NULL, "queued",
				   psprintf("%s of %s: column \"%s\" %s", request->kind,
							get_rel_name(request->relid), shape->new_column,
							pgxc_shape_type_name(shape)));
	pgxc_sql_end(&saved);
	return inserted == 1;
}

/*
 * A subscriber that has not got the new column cannot apply the rows that come
 * from now on.
 */
void
pgxc_warn_if_published(const PgxcShape *shape, List *tree)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT string_agg(DISTINCT quote_ident(p.pubname), ', ') FROM pg_publication p"
		" CROSS JOIN unnest($1) r JOIN LATERAL pg_get_publication_tables(p.pubname::text) t ON t.relid = r"
		" WHERE NOT EXISTS (SELECT FROM pg_publication_rel l WHERE l.prpubid = p.oid"
		" AND l.prrelid = r AND l.prattrs IS NOT NULL)",
		OIDARRAYOID);
	PgxcIdentity saved;
	Datum value = pgxc_oid_list_datum(tree);
	bool isnull;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_select_latest(&find, &value, NULL);
	value = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
		ereport(
			WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("column \"%s\" is published at once, by publication %s",
					shape->new_column, TextDatumGetCString(value)),
			 errdetail(
				 "A subscriber without that column stops applying changes until it has it."),
			 errhint(
				 "Add the column on the subscribers first, or roll back this transaction.")));
	pgxc_sql_end(&saved);
}

static void
store_fingerprint(Oid relid, const PgxcShape *shape, int64 id)
{
	Relation rel = table_open(relid, NoLock);
	List *columns = lappend(list_copy(shape->old_columns), shape->new_column);

	pgxc_fingerprint_store(id, rel, columns, columns, true);
	table_close(rel, NoLock);
}

/*
 * Write the row, its pieces, and what it rests on.  The caller holds the locks
 * of hierarchy and name; throws 42710 if the name was taken all the same.
 */
void
pgxc_register(const PgxcRequest *request, const PgxcShape *shape, List *pieces,
			  int64 id, List *settings)
{
	free_name(request->name);
	if (!insert_migration(request, shape, id, settings))
		ereport(
			ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" already exists with another definition",
					request->name),
			 errhint("Choose another name.")));
	pgxc_pieces_store(id, pieces);
	store_fingerprint(request->relid, shape, id);
}
