/*
 * mentions.c
 *		Functions whose text mentions a column.
 *
 * The server does not know what the text of a function means until it runs.
 * So this is a guess: a function in any language that names the column and the
 * table, or that is called by a trigger on the table and names the column.
 */
#include "postgres.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/sql_runner.h"
#include "migration/mentions.h"

static bool
is_word_char(char c)
{
	return IS_HIGHBIT_SET(c) || c == '_' || isalnum((unsigned char) c);
}

/* The name with its double quotes doubled, as inside of quotes. */
static char *
inner_quoted(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *c = name; *c != '\0'; c++)
	{
		if (*c == '"')
			appendStringInfoChar(&buf, '"');
		appendStringInfoChar(&buf, *c);
	}
	return buf.data;
}

/*
 * Is the name in the text, as a word?  Case is not looked at: an unquoted name
 * can be written in any.
 */
static bool
has_word(const char *text, const char *name)
{
	size_t length = strlen(name);

	for (const char *c = text; *c != '\0'; c++)
	{
		if (pg_strncasecmp(c, name, length) == 0 &&
			(c == text || !is_word_char(c[-1]) || !is_word_char(*name)) &&
			(!is_word_char(c[length]) || !is_word_char(name[length - 1])))
			return true;
	}
	return false;
}

static bool
mentions(const char *text, const char *name)
{
	return has_word(text, name) || has_word(text, inner_quoted(name));
}

/*
 * A list of PgxcMention, in CurrentMemoryContext.  Functions of extensions and
 * of the server are left out, and those that have no text or whose text the
 * server understands.
 */
List *
pgxc_mentions(Oid relid, const char *column)
{
	static PgxcStatement select = PGXC_SQL(
		"SELECT p.oid, p.prosrc, t.is_trigger FROM pg_catalog.pg_proc p"
		" JOIN pg_catalog.pg_language l ON l.oid = p.prolang"
		" CROSS JOIN LATERAL (SELECT EXISTS (SELECT FROM pg_catalog.pg_trigger t"
		" WHERE t.tgrelid = $1 AND t.tgfoid = p.oid AND NOT t.tgisinternal) AS is_trigger) t"
		" WHERE l.lanname NOT IN ('c', 'internal') AND p.prosqlbody IS NULL"
		" AND p.pronamespace NOT IN (SELECT n.oid FROM pg_catalog.pg_namespace n"
		" WHERE n.nspname IN ('pg_catalog', 'information_schema'))"
		" AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d"
		" WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = p.oid AND d.deptype = 'e')"
		" AND (pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower($2)) > 0"
		" OR pg_catalog.strpos(pg_catalog.lower(p.prosrc), pg_catalog.lower($3)) > 0)"
		" ORDER BY t.is_trigger, p.oid",
		OIDOID, TEXTOID, TEXTOID);
	MemoryContext caller = CurrentMemoryContext;
	Datum values[3] = { ObjectIdGetDatum(relid), CStringGetTextDatum(column),
						CStringGetTextDatum(inner_quoted(column)) };
	const char *table = get_rel_name(relid);
	List *found = NIL;
	PgxcIdentity saved;
	uint64 rows;

	pgxc_sql_begin(&saved);
	rows = pgxc_sql_execute(&select, values, NULL, SPI_OK_SELECT);
	for (uint64 row = 0; row < rows; row++)
	{
		bool isnull;
		char *source = TextDatumGetCString(pgxc_sql_value(row, 2, &isnull));
		bool is_trigger = DatumGetBool(pgxc_sql_value(row, 3, &isnull));
		MemoryContext ours;
		PgxcMention *mention;

		if (!mentions(source, column) ||
			(!is_trigger && !mentions(source, table)))
			continue;
		ours = MemoryContextSwitchTo(caller);
		mention = palloc(sizeof(PgxcMention));
		mention->function = DatumGetObjectId(pgxc_sql_value(row, 1, &isnull));
		mention->is_trigger = is_trigger;
		found = lappend(found, mention);
		MemoryContextSwitchTo(ours);
	}
	pgxc_sql_end(&saved);
	return found;
}
