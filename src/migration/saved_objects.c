/*
 * saved_objects.c
 *		Triggers and policies that name the old column: taken off the table and
 *		put back for the new one.
 *
 * Both exist by their definition alone, so that between the two nothing is
 * lost; and both happen in one transaction, under the heaviest lock.
 */
#include "postgres.h"

#include "catalog/pg_policy.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/policy.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "backfill/registration.h"
#include "core/ddl.h"
#include "core/sql_runner.h"
#include "migration/saved_objects.h"

typedef struct SavedObject
{
	bool is_policy;
	Oid relid;
	char *name;
	char *definition; /* NULL: a partition's copy of its parent's trigger */
	char enabled;
	char *comment;
} SavedObject;

/*
 * Triggers and policies on the tables $1 that depend on the column $2: is it a
 * policy, table, name, definition, state, comment.  The server makes a
 * partition's copy of a trigger, but its state and comment are its own.
 */
#define SAVED_OBJECTS                                                                                                            \
	"SELECT * FROM (SELECT false AS is_policy, t.tgrelid AS relid, t.tgname::text AS name,"                                      \
	" CASE t.tgparentid WHEN 0 THEN pg_get_triggerdef(t.oid) END AS definition, t.tgenabled,"                                    \
	" obj_description(t.oid, 'pg_trigger')"                                                                                      \
	" FROM pg_trigger t WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal"                                                       \
	" AND left(t.tgname, 6) <> '~pgxc_' AND EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a"                                 \
	" ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_trigger'::regclass"                          \
	" AND d.objid = t.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.tgrelid AND a.attname = $2)"                \
	" UNION ALL SELECT true, p.polrelid, p.polname::text,"                                                                       \
	" format('CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, p.polrelid::regclass,"                                  \
	" CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,"                                                       \
	" CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END," \
	" (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ' ORDER BY o)"                 \
	" FROM unnest(p.polroles) WITH ORDINALITY u (r, o)),"                                                                        \
	" coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', ''),"                                                    \
	" coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')), 'O',"                                    \
	" obj_description(p.oid, 'pg_policy')"                                                                                       \
	" FROM pg_policy p WHERE p.polrelid = ANY ($1) AND EXISTS (SELECT FROM pg_depend d JOIN pg_attribute a"                      \
	" ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid WHERE d.classid = 'pg_policy'::regclass"                           \
	" AND d.objid = p.oid AND d.refclassid = 'pg_class'::regclass AND d.refobjid = p.polrelid AND a.attname = $2)"               \
	") q ORDER BY definition IS NULL, relid, is_policy, name"

/*
 * The triggers and policies of these tables that name a column, with their
 * definitions as they read now.  In the current memory context.
 */
List *
pgxc_saved_objects(List *tree, const char *column)
{
	static PgxcStatement find = PGXC_SQL(SAVED_OBJECTS, OIDARRAYOID, TEXTOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum values[2];
	List *result = NIL;
	uint64 n;

	values[0] = pgxc_oid_list_datum(tree);
	values[1] = CStringGetTextDatum(column);
	pgxc_sql_begin(&saved);
	n = pgxc_sql_select_latest(&find, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		SavedObject *object = palloc0(sizeof(SavedObject));
		bool isnull;
		Datum definition;
		Datum comment;

		object->is_policy = DatumGetBool(pgxc_sql_value(i, 1, &isnull));
		object->relid = DatumGetObjectId(pgxc_sql_value(i, 2, &isnull));
		object->name = TextDatumGetCString(pgxc_sql_value(i, 3, &isnull));
		definition = pgxc_sql_value(i, 4, &isnull);
		object->definition = isnull ? NULL : TextDatumGetCString(definition);
		object->enabled = DatumGetChar(pgxc_sql_value(i, 5, &isnull));
		comment = pgxc_sql_value(i, 6, &isnull);
		object->comment = isnull ? NULL : TextDatumGetCString(comment);
		result = lappend(result, object);
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return result;
}

/* Take them off.  The caller holds ACCESS EXCLUSIVE on the tables. */
void
pgxc_saved_objects_drop(List *saved)
{
	ListCell *lc;

	foreach (lc, saved)
	{
		SavedObject *object = (SavedObject *) lfirst(lc);

		if (object->definition == NULL)
			continue;
		pgxc_ddl(pgxc_relation_owner(object->relid), "DROP %s %s ON %s",
				 object->is_policy ? "POLICY" : "TRIGGER",
				 quote_identifier(object->name),
				 pgxc_qualified_name(object->relid));
	}
}

static void
restore_trigger_state(const SavedObject *object)
{
	const char *verb;

	switch (object->enabled)
	{
		case TRIGGER_FIRES_ALWAYS:
			verb = "ENABLE ALWAYS";
			break;
		case TRIGGER_FIRES_ON_REPLICA:
			verb = "ENABLE REPLICA";
			break;
		case TRIGGER_DISABLED:
			verb = "DISABLE";
			break;
		default:
			verb = "ENABLE";
	}
	pgxc_ddl(pgxc_relation_owner(object->relid),
			 "ALTER TABLE ONLY %s %s TRIGGER %s",
			 pgxc_qualified_name(object->relid), verb,
			 quote_identifier(object->name));
}

/* Put them back, with state and comment. */
void
pgxc_saved_objects_recreate(List *saved)
{
	ListCell *lc;

	foreach (lc, saved)
	{
		SavedObject *object = (SavedObject *) lfirst(lc);

		if (object->definition != NULL)
			pgxc_ddl(pgxc_relation_owner(object->relid), "%s",
					 object->definition);
		CommandCounterIncrement();
		if (object->is_policy)
			CreateComments(get_relation_policy_oid(object->relid, object->name,
												   false),
						   PolicyRelationId, 0, object->comment);
		else
		{
			restore_trigger_state(object);
			CreateComments(get_trigger_oid(object->relid, object->name, false),
						   TriggerRelationId, 0, object->comment);
		}
	}
}
