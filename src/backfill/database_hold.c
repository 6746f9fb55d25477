/*
 * database_hold.c
 *		Getting our workers out of a database's way.
 *
 * DROP DATABASE, CREATE DATABASE ... TEMPLATE, and ALTER DATABASE ... RENAME
 * and SET TABLESPACE fail while anybody is connected.  Our workers are asked
 * to stop (within a chunk), kept out while the statement runs, and come back
 * afterwards, if the database is still there.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/ipc.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "backfill/database_hold.h"
#include "core/compat.h"
#include "core/shared_state.h"

#define STOP_TIMEOUT_MS 10000

static ProcessUtility_hook_type prev_process_utility = NULL;

/* Holds of this process, released also if it dies. */
static List *held = NIL;

static void
change_hold(Oid database, int by)
{
	PgxcDatabase *entry;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	entry = pgxc_database_entry(database, true);
	if (entry)
	{
		entry->holds += by;
		if (entry->holds == 0)
			entry->wanted = true;
	}
	LWLockRelease(pgxc_shared->lock);
}

static void
release_holds(int code, Datum arg)
{
	ListCell *lc;

	foreach (lc, held)
		change_hold(lfirst_oid(lc), -1);
	held = NIL;
}

/* Ask the workers of a database to stop; returns how many are left. */
static int
request_stop(Oid database)
{
	int left = 0;

	LWLockAcquire(pgxc_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < pgxc_shared->nslots; i++)
	{
		PgxcSlot *slot = &pgxc_shared->slots[i];

		if (slot->in_use && slot->background && slot->database == database)
		{
			slot->stop_requested = true;
			pgxc_slot_interrupt_build(slot);
			SetLatch(&slot->proc->procLatch);
			left++;
		}
	}
	LWLockRelease(pgxc_shared->lock);
	return left;
}

/*
 * Keep workers out of a database, and wait until they are.  After ten seconds
 * the statement is let go: it will say itself who is connected.
 */
static void
hold_database(Oid database)
{
	static bool registered = false;
	TimestampTz start = GetCurrentTimestamp();
	MemoryContext old;

	if (!registered)
	{
		before_shmem_exit(release_holds, (Datum) 0);
		registered = true;
	}
	old = MemoryContextSwitchTo(TopMemoryContext);
	held = lappend_oid(held, database);
	MemoryContextSwitchTo(old);
	change_hold(database, 1);

	ConditionVariablePrepareToSleep(&pgxc_shared->changed);
	while (request_stop(database) > 0)
	{
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(),
									   STOP_TIMEOUT_MS))
			break;
		(void) ConditionVariableTimedSleep(&pgxc_shared->changed, 100,
										   pgxc_wait_event(
											   PGXC_WAIT_WORKER_STOP));
	}
	ConditionVariableCancelSleep();
}

/* The server's own function for this is not there in all minor versions. */
static bool
may_create_database(void)
{
	HeapTuple tuple;
	bool result;

	if (superuser())
		return true;
	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	if (!HeapTupleIsValid(tuple))
		return false;
	result = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
	ReleaseSysCache(tuple);
	return result;
}

/*
 * The database whose connections the statement cannot bear; InvalidOid if it
 * is none of those statements, or none of our business.
 */
static pg_noinline Oid
database_to_hold(Node *statement)
{
	const char *name = NULL;
	Oid database;
	ListCell *lc;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			name = ((DropdbStmt *) statement)->dbname;
			break;
		case T_CreatedbStmt:
			foreach (lc, ((CreatedbStmt *) statement)->options)
			{
				DefElem *option = lfirst_node(DefElem, lc);

				if (strcmp(option->defname, "template") == 0 && option->arg)
					name = defGetString(option);
			}
			break;
		case T_RenameStmt:
			if (((RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				name = ((RenameStmt *) statement)->subname;
			break;
		case T_AlterDatabaseStmt:
			name = ((AlterDatabaseStmt *) statement)->dbname;
			break;
		default:
			break;
	}
	if (name == NULL || RecoveryInProgress())
		return InvalidOid;

	database = get_database_oid(name, true);
	if (!OidIsValid(database) || database == MyDatabaseId)
		return InvalidOid;

	/* Who may not do this must not be able to stop workers by trying. */
	if (nodeTag(statement) == T_CreatedbStmt)
		return may_create_database() ? database : InvalidOid;
	return pgxc_database_ownercheck(database, GetUserId()) ? database
														   : InvalidOid;
}

static void
hold_process_utility(PlannedStmt *pstmt, const char *queryString,
					 bool readOnlyTree, ProcessUtilityContext context,
					 ParamListInfo params, QueryEnvironment *queryEnv,
					 DestReceiver *dest, QueryCompletion *qc)
{
	const Oid database =
		pgxc_shared != NULL && !IsAbortedTransactionBlockState()
			? database_to_hold(pstmt->utilityStmt)
			: InvalidOid;

	PG_TRY();
	{
		if (OidIsValid(database))
			hold_database(database);
		if (prev_process_utility)
			prev_process_utility(pstmt, queryString, readOnlyTree, context,
								 params, queryEnv, dest, qc);
		else
			standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
									params, queryEnv, dest, qc);
	}
	PG_FINALLY();
	{
		if (OidIsValid(database))
		{
			release_holds(0, (Datum) 0);
			pgxc_launcher_wake();
		}
	}
	PG_END_TRY();
}

void
pgxc_database_hold_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = hold_process_utility;
}
