/*
 * hook.c
 *		The ProcessUtility hook: judge a DDL statement before it queues for a
 *		lock, take its locks politely, and look once more when it has run.
 *
 * It sees DDL from everywhere: psql, the extended protocol, DO blocks,
 * functions, extension scripts, superusers.  What does not come by here is
 * caught by the net behind it (access_hook.c), which also sees what a statement
 * did to objects that nobody named.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "commands/tablecmds.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/compat.h"
#include "core/event_log.h"
#include "core/own_statement.h"
#include "core/settings.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "guard/access_hook.h"
#include "guard/ddl_analysis.h"
#include "guard/hook.h"
#include "guard/judge.h"
#include "guard/polite_locks.h"
#include "guard/rejections.h"
#include "guard/statement_text.h"

static ProcessUtility_hook_type prev_process_utility = NULL;

/* The statement that runs breaks something, and was let pass. */
static bool let_pass = false;

/* How many DDL statements run, one within the other. */
static int watched = 0;

/* The innermost, and what was open when it was judged. */
static const PlannedStmt *running = NULL;
static const char *running_source = NULL;
static const char *running_path = NULL;
static uint64 judged_at = 0;

bool
pgxc_statement_was_let_pass(void)
{
	return let_pass;
}

/* Did the statement that runs come by here? */
bool
pgxc_guard_watches(void)
{
	return watched > 0;
}

/* CREATE EXTENSION pgxc and its like run our own script. */
static bool
in_own_script(void)
{
	return creating_extension &&
		   CurrentExtensionObject == get_extension_oid("pgxc", true);
}

/* Is this a session of somebody else, on a server that takes writes? */
static bool
can_watch(void)
{
	return !pgxc_own_ddl && !pgxc_am_worker && !IsBinaryUpgrade &&
		   IsNormalProcessingMode() && OidIsValid(MyDatabaseId) &&
		   !RecoveryInProgress();
}

/*
 * Is there anything to watch over, and are we the ones to do it?  Needs a
 * transaction.  Cheap as long as no migration is open.
 */
bool
pgxc_guard_is_awake(void)
{
	if (!can_watch())
		return false;
	if (!pgxc_any_open_migration() &&
		(pgxc_guard_scope != PGXC_SCOPE_ALL_TABLES ||
		 pgxc_guard == PGXC_GUARD_OFF || !pgxc_is_installed()))
		return false;
	return !in_own_script();
}

/*
 * Would PostgreSQL let the caller do it?  If not, it is to say so itself.
 * Whom we wrongly think to have no right meets the net behind.
 */
static bool
may_do(const PgxcFinding *finding)
{
	Oid user = GetUserId();

	if (superuser())
		return true;
	if (finding->breaks && finding->object.classId != RelationRelationId &&
		finding->object.classId != TriggerRelationId)
		return pgxc_object_ownercheck(&finding->object, user);
	return pgxc_relation_ownercheck(finding->relid, user) ||
		   pgxc_may_maintain(finding->relid, user);
}

static bool
is_allowed(const PgxcFinding *finding)
{
	int hazards = finding->breaks ? PGXC_ALLOW_BREAK : finding->work;

	return pgxc_guard == PGXC_GUARD_OFF ||
		   (hazards & ~pgxc_allowed_hazards()) == 0;
}

/* The fields that drivers show; returns 0. */
static int
name_table(Oid relid)
{
	char *name = OidIsValid(relid) ? get_rel_name(relid) : NULL;

	if (name == NULL)
		return 0;
	err_generic_string(PG_DIAG_SCHEMA_NAME,
					   get_namespace_name(get_rel_namespace(relid)));
	return err_generic_string(PG_DIAG_TABLE_NAME, name);
}

static void
report(const PgxcFinding *finding, int level)
{
	ereport(level,
			(errcode(finding->breaks
						 ? ERRCODE_OBJECT_IN_USE
						 : ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s", finding->message), errdetail("%s", finding->detail),
			 finding->hint ? errhint("%s", finding->hint) : 0,
			 name_table(finding->relid)));
}

/* Refuse, warn, or write down that it was let pass. */
static void
act_on(const PgxcFinding *finding, PgxcAnalysis *a)
{
	const char *text = pgxc_statement_text(a);
	const char *outcome = "refused";

	if (text == NULL)
		text = "";
	if (is_allowed(finding))
		outcome = "overridden";
	else if (pgxc_guard == PGXC_GUARD_WARN)
		outcome = "warned";
	pgxc_note_rejection(finding, outcome, text, strlen(text));

	if (strcmp(outcome, "refused") == 0)
		report(finding, ERROR);
	let_pass |= finding->breaks;
	if (strcmp(outcome, "warned") == 0)
		report(finding, WARNING);
	else if (finding->migration_id != 0)
		pgxc_event(finding->migration_id, "overridden", NULL, NULL,
				   psprintf("%s: %s", finding->message,
							pgxc_guard == PGXC_GUARD_OFF
								? "pgxc.guard is off"
								: psprintf("pgxc.allow is %s", pgxc_allow)));
}

/*
 * Throws 55006 or 55000 to refuse the statement, and 55P03 if its locks cannot
 * be had.  again: it has its locks.
 */
static void
judge_statement(const PlannedStmt *stmt, const char *source, bool again)
{
	MemoryContext context =
		AllocSetContextCreate(CurrentMemoryContext, "pgxc guard",
							  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	bool every_table = pgxc_guard_scope == PGXC_SCOPE_ALL_TABLES;

	do
	{
		PgxcAnalysis *a;
		List *open;
		ListCell *lc;

		judged_at = pgxc_open_migrations_generation();
		a = pgxc_analyse(stmt, source, NULL);
		open = pgxc_open_migrations();
		foreach (lc, pgxc_judge(a, open, every_table))
		{
			PgxcFinding *finding = (PgxcFinding *) lfirst(lc);

			if (may_do(finding))
				act_on(finding, a);
		}
		if (pgxc_guard != PGXC_GUARD_OFF && !again)
			pgxc_lock_before(a, stmt->utilityStmt, open, every_table);
		/* Who was in our way may have opened a migration. */
	} while (!let_pass && !again &&
			 judged_at != pgxc_open_migrations_generation());

	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
}

/*
 * The statement has got its lock, and is about to change something.  While it
 * waited a migration may have begun: then judge it again.  Throws 55006 or
 * 55000.
 */
void
pgxc_judge_again(void)
{
	if (running == NULL || let_pass || !can_watch() ||
		judged_at == pgxc_open_migrations_generation())
		return;
	judged_at = pgxc_open_migrations_generation();
	if (pgxc_guard_is_awake())
	{
		/* What maintains a table does so without the session's search_path. */
		int level = NewGUCNestLevel();

		pgxc_set_saved("search_path", running_path);
		judge_statement(running, running_source, true);
		AtEOXact_GUC(true, level);
	}
}

static void
run(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
	ProcessUtilityContext context, ParamListInfo params,
	QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	if (prev_process_utility)
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params,
							 queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context,
								params, queryEnv, dest, qc);
}

/* Row security: not every version of the server calls a hook for it. */
static bool
calls_no_hook(const Node *stmt)
{
	ListCell *lc;

	if (!IsA(stmt, AlterTableStmt))
		return false;
	foreach (lc, ((const AlterTableStmt *) stmt)->cmds)
	{
		switch (lfirst_node(AlterTableCmd, lc)->subtype)
		{
			case AT_EnableRowSecurity:
			case AT_ForceRowSecurity:
				return true;
			default:
				break;
		}
	}
	return false;
}

/* So the moment under the lock, but before the change, has to be made. */
static void
lock_and_judge_again(const AlterTableStmt *stmt)
{
	(void) RangeVarGetRelidExtended(stmt->relation, AccessExclusiveLock,
									RVR_MISSING_OK,
									RangeVarCallbackOwnsRelation, NULL);
	pgxc_judge_again();
}

/* In a transaction block PostgreSQL refuses these, and is to say so itself. */
static bool
fails_in_block(const Node *stmt, ProcessUtilityContext context)
{
	bool alone = IsA(stmt, VacuumStmt) ||
				 (IsA(stmt, ClusterStmt) &&
				  ((const ClusterStmt *) stmt)->relation == NULL);

	return alone && IsInTransactionBlock(context == PROCESS_UTILITY_TOPLEVEL);
}

static void
guard_process_utility(PlannedStmt *pstmt, const char *queryString,
					  bool readOnlyTree, ProcessUtilityContext context,
					  ParamListInfo params, QueryEnvironment *queryEnv,
					  DestReceiver *dest, QueryCompletion *qc)
{
	bool outer_let_pass = let_pass;
	const PlannedStmt *outer = running;
	const char *outer_source = running_source;
	const char *outer_path = running_path;
	uint64 outer_judged_at = judged_at;

	/* A subcommand was judged with the statement that it is a part of. */
	if (!pgxc_is_ddl(pstmt->utilityStmt) ||
		context == PROCESS_UTILITY_SUBCOMMAND ||
		IsAbortedTransactionBlockState() || !IsTransactionState())
	{
		run(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
			qc);
		return;
	}

	let_pass = false;
	watched++;
	PG_TRY();
	{
		if (pgxc_guard_is_awake() &&
			!fails_in_block(pstmt->utilityStmt, context))
			judge_statement(pstmt, queryString, false);
		else if (can_watch())
			judged_at = pgxc_open_migrations_generation();
		running = pstmt;
		running_source = queryString;
		running_path = pstrdup(namespace_search_path);
		if (calls_no_hook(pstmt->utilityStmt) && can_watch() &&
			pgxc_is_installed())
			lock_and_judge_again((AlterTableStmt *) pstmt->utilityStmt);
		run(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest,
			qc);
		if (let_pass)
			pgxc_forget_touched();
		else
			pgxc_check_touched();
	}
	PG_FINALLY();
	{
		let_pass = outer_let_pass;
		running = outer;
		running_source = outer_source;
		running_path = outer_path;
		judged_at = outer_judged_at;
		watched--;
	}
	PG_END_TRY();
}

/*
 * Once in a process, after the hooks of other parts: we are to judge before
 * they act.
 */
void
pgxc_guard_hook_init(void)
{
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = guard_process_utility;
}
