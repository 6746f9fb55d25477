/*
 * not_null.c
 *		NOT NULL of a column, and what it is called.
 *
 * From PostgreSQL 18 on it is a constraint with a name, on each table of a
 * partition tree.  An inherited one cannot be renamed.  So those of the
 * partitions are made first, under their names, and the parent's is merged with
 * them.
 */
#include "postgres.h"

#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "backfill/registration.h"
#include "core/ddl.h"
#include "core/sql_runner.h"
#include "migration/not_null.h"

typedef struct NotNullName
{
	Oid relid;
	char *name;
} NotNullName;

/*
 * The constraints of a column on a table and its partitions, parents last; NIL where the server has none.  In the current memory context.
 */
List *
pgxc_not_null_names(Oid relid, const char *column)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT n.conrelid, n.conname::text FROM unnest($1) WITH ORDINALITY t (oid, depth)"
		" JOIN pg_constraint n ON n.conrelid = t.oid AND n.contype = 'n'"
		" JOIN pg_attribute a ON a.attrelid = n.conrelid AND a.attnum = n.conkey[1]"
		" WHERE a.attname = $2 ORDER BY t.depth DESC",
		OIDARRAYOID, TEXTOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum values[2];
	List *names = NIL;
	uint64 n;

	values[0] = pgxc_oid_list_datum(find_all_inheritors(relid, NoLock, NULL));
	values[1] = CStringGetTextDatum(column);
	pgxc_sql_begin(&saved);
	n = pgxc_sql_select_latest(&find, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		NotNullName *name = palloc(sizeof(NotNullName));
		bool isnull;

		name->relid = DatumGetObjectId(pgxc_sql_value(i, 1, &isnull));
		name->name = TextDatumGetCString(pgxc_sql_value(i, 2, &isnull));
		names = lappend(names, name);
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return names;
}

/*
 * Set NOT NULL on a table and its partitions, with the names that another
 * column had.  A validated CHECK proves it, so that no row is read.  The caller
 * holds ACCESS EXCLUSIVE on all of them.
 */
void
pgxc_not_null_set(Oid relid, const char *column, List *names)
{
	ListCell *lc;

	foreach (lc, names)
	{
		NotNullName *name = (NotNullName *) lfirst(lc);

		pgxc_ddl(pgxc_relation_owner(name->relid),
				 "ALTER TABLE %s ADD CONSTRAINT %s NOT NULL %s",
				 pgxc_qualified_name(name->relid), quote_identifier(name->name),
				 quote_identifier(column));
		CommandCounterIncrement();
	}
	pgxc_ddl(pgxc_relation_owner(relid),
			 "ALTER TABLE %s ALTER COLUMN %s SET NOT NULL",
			 pgxc_qualified_name(relid), quote_identifier(column));
	CommandCounterIncrement();
}
