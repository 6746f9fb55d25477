/*
 * fingerprint.c
 *		What a migration rests on, in words: its columns and their types, its
 *		trigger and when it fires, the function behind it.
 *
 * The guard refuses statements that change any of this.  What slips past it (an
 * UPDATE of the catalog, a session without our library) is found by comparing
 * the words with those that were written down when the migration began.  They
 * name no OID, so they are the same in a restored database and on a partition.
 */
#include "postgres.h"

#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "core/fingerprint.h"
#include "core/sql_runner.h"

/* Sorts behind any name that does not begin with a tilde or beyond ASCII. */
char *
pgxc_trigger_name(int64 id)
{
	return psprintf("~pgxc_%lld", (long long) id);
}

/* The row-level trigger of a migration on one table, or NULL. */
const Trigger *
pgxc_find_trigger(Relation rel, int64 id)
{
	const char *name = pgxc_trigger_name(id);

	for (int i = 0; rel->trigdesc && i < rel->trigdesc->numtriggers; i++)
	{
		if (strcmp(rel->trigdesc->triggers[i].tgname, name) == 0)
			return &rel->trigdesc->triggers[i];
	}
	return NULL;
}

static char *
describe_column(Relation rel, const char *name)
{
	TupleDesc desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return psprintf(
				"column \"%s\" of type %s", name,
				format_type_extended(att->atttypid, att->atttypmod,
									 FORMAT_TYPE_TYPEMOD_GIVEN |
										 FORMAT_TYPE_FORCE_QUALIFY));
	}
	return psprintf("no column \"%s\"", name);
}

static const char *
describe_firing(char enabled)
{
	switch (enabled)
	{
		case TRIGGER_FIRES_ALWAYS:
			return "fires always";
		case TRIGGER_FIRES_ON_ORIGIN:
			return "fires for what is not replicated";
		case TRIGGER_FIRES_ON_REPLICA:
			return "fires for what is replicated";
		default:
			return "is disabled";
	}
}

/* The C function behind a trigger, or whatever stands in its place. */
static char *
describe_function(Oid function)
{
	HeapTuple tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Datum source;
	char *words;
	bool isnull;

	if (!HeapTupleIsValid(tuple))
		return pstrdup("nothing");
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &isnull);
	words = isnull ? pstrdup("?") : TextDatumGetCString(source);
	ReleaseSysCache(tuple);
	return words;
}

/* The trigger, when it fires, and what it runs. */
static char *
describe_trigger(Relation rel, int64 id)
{
	const Trigger *trigger = pgxc_find_trigger(rel, id);
	char *words;

	if (trigger == NULL)
		return psprintf("no trigger of migration %lld", (long long) id);
	/* Before the look-up, which may have the relation's triggers read anew. */
	words = psprintf("trigger \"%s\" (%d) that %s", trigger->tgname,
					 trigger->tgtype, describe_firing(trigger->tgenabled));
	return psprintf("%s and runs %s", words,
					describe_function(trigger->tgfoid));
}

/*
 * The words (a List of char *) for one table of a migration, which the caller
 * has open with any lock.
 */
List *
pgxc_fingerprint(Relation rel, int64 id, List *columns, bool with_trigger)
{
	List *words = NIL;
	ListCell *lc;

	foreach (lc, columns)
		words = lappend(words, describe_column(rel, (char *) lfirst(lc)));
	if (with_trigger)
		words = lappend(words, describe_trigger(rel, id));
	return words;
}

/* The first difference in words, or NULL. */
char *
pgxc_fingerprint_difference(List *was, List *is)
{
	ListCell *a;
	ListCell *b;

	forboth (a, was, b, is)
	{
		if (strcmp((char *) lfirst(a), (char *) lfirst(b)) != 0)
			return psprintf("it was: %s; it is: %s", (char *) lfirst(a),
							(char *) lfirst(b));
	}
	return NULL;
}

/*
 * Write down what a migration rests on, when it begins.  columns: those that it
 * writes; uses: those, and the ones that it reads.
 */
void
pgxc_fingerprint_store(int64 id, Relation rel, List *columns, List *uses,
					   bool with_trigger)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.migration SET uses = $2, fingerprint = $3 WHERE id = $1",
		INT8OID, TEXTARRAYOID, TEXTARRAYOID);
	PgxcIdentity saved;
	Datum values[3];

	values[0] = Int64GetDatum(id);
	values[1] = pgxc_text_list_datum(uses);
	values[2] =
		pgxc_text_list_datum(pgxc_fingerprint(rel, id, columns, with_trigger));
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_sql_end(&saved);
}

/* The words for a table as it is now. */
List *
pgxc_migration_fingerprint(const PgxcMigration *migration, Relation rel)
{
	return pgxc_fingerprint(rel, migration->id,
							migration->dual_write ? migration->uses
												  : migration->columns,
							migration->dual_write);
}

/*
 * Throw 42P17 if one of the migration's tables, which the caller has open, is
 * not what it was.
 */
void
pgxc_fingerprint_check(const PgxcMigration *migration, Relation rel)
{
	char *difference =
		pgxc_fingerprint_difference(migration->fingerprint,
									pgxc_migration_fingerprint(migration, rel));

	if (difference != NULL)
		ereport(
			ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("a piece of migration \"%s\" was changed on table \"%s\"",
					migration->name, RelationGetRelationName(rel)),
			 errdetail("%s.", difference),
			 errhint(
				 "Undo that, then SELECT pgxc.retry(%lld) reads every row again.",
				 (long long) migration->id)));
}
