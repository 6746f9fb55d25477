/*
 * access_hook.c
 *		The net behind the ProcessUtility hook: what happens to objects, named by
 *		a statement or not, through a statement or not.
 *
 * A drop is judged when it happens.  Of any other change it is only known that
 * there will be one, as it is not visible yet: the table is remembered, and
 * compared with what the migration rests on when the statement is over, or
 * before the transaction commits.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_trigger.h"
#include "utils/memutils.h"

#include "backfill/preflight.h"
#include "core/fingerprint.h"
#include "core/settings.h"
#include "guard/access_hook.h"
#include "guard/breaks.h"
#include "guard/hook.h"

/* An open migration that something was done to. */
typedef struct Touched
{
	int64 migration_id;
	bool was_broken; /* before, so it is not this statement's fault */
} Touched;

static object_access_hook_type prev_object_access = NULL;

/* In TopTransactionContext. */
static List *touched = NIL;
static bool at_work = false;

void
pgxc_forget_touched(void)
{
	touched = NIL;
}

static bool
is_in_tree(Oid relid, const PgxcOpen *migration)
{
	return relid == migration->relid ||
		   list_member_oid(pgxc_relation_ancestors(relid), migration->relid);
}

static void
remember(const PgxcOpen *migration)
{
	MemoryContext old;
	Touched *entry;
	ListCell *lc;

	foreach (lc, touched)
	{
		if (((Touched *) lfirst(lc))->migration_id == migration->id)
			return;
	}
	old = MemoryContextSwitchTo(TopTransactionContext);
	entry = palloc(sizeof(Touched));
	entry->migration_id = migration->id;
	/* What is being done cannot be seen yet. */
	entry->was_broken = pgxc_open_difference(migration) != NULL;
	touched = lappend(touched, entry);
	MemoryContextSwitchTo(old);
}

static void
refuse(const PgxcOpen *migration, const char *message, const char *detail)
{
	ereport(pgxc_guard == PGXC_GUARD_WARN ? WARNING : ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE), errmsg("%s", message),
			 errdetail("%s.", detail),
			 errhint("End the migration first, with SELECT pgxc.%s(%lld).",
					 migration->dual_write ? "rollback" : "cancel",
					 (long long) migration->id)));
}

/*
 * Refuse a drop that breaks a migration.  The trigger of a leaf goes before
 * the leaf itself, so it can only be judged afterwards.
 */
static void
judge_drop(const PgxcOpen *migration, Oid classid, Oid objid, int subid)
{
	PgxcChange change = { 0 };
	char *reason;

	change.action = PGXC_ACTION_DROP;
	ObjectAddressSubSet(change.object, classid, objid, subid);
	if (classid != ExtensionRelationId &&
		(classid != RelationRelationId ||
		 (subid == 0 && objid != migration->relid &&
		  !pgxc_is_part_of_pgxc(&change.object))))
		return;
	reason = pgxc_change_breaks(&change, migration, pgxc_open_tree(migration));
	if (reason != NULL)
		refuse(migration,
			   psprintf("cannot drop %s while migration \"%s\" is open",
						getObjectDescription(&change.object, true),
						migration->name),
			   psprintf("Reason: %s", reason));
}

static void
look_at(ObjectAccessType access, Oid classid, Oid objid, int subid)
{
	ObjectAddress object;
	Oid relid;
	ListCell *lc;

	if (classid != RelationRelationId && classid != TriggerRelationId &&
		classid != ProcedureRelationId && classid != ExtensionRelationId)
		return;
	ObjectAddressSubSet(object, classid, objid, subid);
	relid = pgxc_table_of(&object);
	foreach (lc, pgxc_open_migrations())
	{
		PgxcOpen *migration = (PgxcOpen *) lfirst(lc);

		if (migration->expand_only)
			continue;
		if (access == OAT_DROP)
			judge_drop(migration, classid, objid, subid);
		if (classid == ProcedureRelationId ? migration->dual_write
										   : is_in_tree(relid, migration))
			remember(migration);
	}
}

static bool
is_to_be_looked_at(void)
{
	return pgxc_guard != PGXC_GUARD_OFF &&
		   !(pgxc_allowed_hazards() & PGXC_ALLOW_BREAK) &&
		   !pgxc_statement_was_let_pass() && pgxc_guard_is_awake() &&
		   pgxc_any_open_migration();
}

static void
guard_object_access(ObjectAccessType access, Oid classid, Oid objid, int subid,
					void *arg)
{
	if (prev_object_access)
		prev_object_access(access, classid, objid, subid, arg);
	if ((access != OAT_DROP && access != OAT_POST_ALTER &&
		 access != OAT_POST_CREATE) ||
		at_work || !IsTransactionState())
		return;

	/* Looking is done with the server's own functions. */
	at_work = true;
	PG_TRY();
	{
		pgxc_judge_again();
		if ((access != OAT_POST_CREATE || classid == ProcedureRelationId) &&
			is_to_be_looked_at())
			look_at(access, classid, objid, subid);
	}
	PG_FINALLY();
	{
		at_work = false;
	}
	PG_END_TRY();
}

/*
 * Throw 55006 if something was done to an open migration that breaks it.  Call
 * it when a statement is over.
 */
void
pgxc_check_touched(void)
{
	List *list = touched;
	ListCell *lc;

	if (list == NIL)
		return;
	touched = NIL;
	CommandCounterIncrement();
	foreach (lc, pgxc_open_migrations())
	{
		PgxcOpen *migration = (PgxcOpen *) lfirst(lc);
		char *difference;
		ListCell *t;

		foreach (t, list)
		{
			Touched *entry = (Touched *) lfirst(t);

			if (entry->migration_id != migration->id || entry->was_broken)
				continue;
			difference = pgxc_open_difference(migration);
			if (difference != NULL)
				refuse(
					migration,
					psprintf(
						"cannot change a piece of migration \"%s\" while it is open",
						migration->name),
					psprintf("On one of its tables %s", difference));
		}
	}
}

static void
at_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
		case XACT_EVENT_PRE_PREPARE:
			pgxc_check_touched();
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			pgxc_forget_touched();
			break;
		default:
			break;
	}
}

/* Once in a process. */
void
pgxc_access_hook_init(void)
{
	prev_object_access = object_access_hook;
	object_access_hook = guard_object_access;
	RegisterXactCallback(at_transaction, NULL);
}
