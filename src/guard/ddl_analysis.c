/*
 * ddl_analysis.c
 *		What a DDL statement would lock, do and change.
 *
 * The analysis changes nothing.  It runs in a subtransaction that is rolled
 * back, which gives back its locks (ACCESS SHARE, on what it looks at) and
 * swallows its errors: what is wrong with a statement PostgreSQL says itself,
 * in its own words and at its own time.
 */
#include "postgres.h"

#include "access/xact.h"
#include "nodes/parsenodes.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "guard/ddl_analysis.h"

typedef enum Family
{
	FAMILY_NONE,
	FAMILY_ALTER_TABLE,
	FAMILY_CREATE_TABLE,
	FAMILY_INDEX,
	FAMILY_MAINTENANCE,
	FAMILY_DROP,
	FAMILY_RENAME,
	FAMILY_TYPE,
	FAMILY_OBJECT
} Family;

/* Which file knows the statement; nothing for what is no DDL. */
static Family
family_of(const Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterTableStmt:
			return FAMILY_ALTER_TABLE;
		case T_CreateStmt:
		case T_CreateForeignTableStmt:
		case T_CreateTableAsStmt:
			return FAMILY_CREATE_TABLE;
		case T_SelectStmt: /* as parsed, from check_ddl() */
			return pgxc_select_into((const SelectStmt *) stmt)
					   ? FAMILY_CREATE_TABLE
					   : FAMILY_NONE;
		case T_IndexStmt:
		case T_ReindexStmt:
			return FAMILY_INDEX;
		case T_ClusterStmt:
		case T_VacuumStmt:
		case T_RefreshMatViewStmt:
		case T_TruncateStmt:
		case T_LockStmt:
		case T_AlterTableMoveAllStmt:
			return FAMILY_MAINTENANCE;
		case T_DropStmt:
		case T_DropOwnedStmt:
		case T_DropRoleStmt:
			return FAMILY_DROP;
		case T_RenameStmt:
		case T_AlterObjectSchemaStmt:
		case T_AlterOwnerStmt:
		case T_ReassignOwnedStmt:
			return FAMILY_RENAME;
		case T_CreateDomainStmt:
		case T_AlterDomainStmt:
		case T_CreateEnumStmt:
		case T_AlterEnumStmt:
		case T_CreateRangeStmt:
		case T_CompositeTypeStmt:
		case T_AlterTypeStmt:
		case T_DefineStmt:
			return FAMILY_TYPE;
		case T_AlterCollationStmt:
		case T_AlterDefaultPrivilegesStmt:
		case T_AlterEventTrigStmt:
		case T_AlterExtensionContentsStmt:
		case T_AlterExtensionStmt:
		case T_AlterFunctionStmt:
		case T_AlterObjectDependsStmt:
		case T_AlterOperatorStmt:
		case T_AlterOpFamilyStmt:
		case T_AlterPolicyStmt:
		case T_AlterPublicationStmt:
		case T_AlterSeqStmt:
		case T_AlterStatsStmt:
		case T_AlterSubscriptionStmt:
		case T_AlterTSConfigurationStmt:
		case T_AlterTSDictionaryStmt:
		case T_CommentStmt:
		case T_CreateAmStmt:
		case T_CreateCastStmt:
		case T_CreateConversionStmt:
		case T_CreateEventTrigStmt:
		case T_CreateExtensionStmt:
		case T_CreateFdwStmt:
		case T_CreateForeignServerStmt:
		case T_CreateFunctionStmt:
		case T_CreateOpClassStmt:
		case T_CreateOpFamilyStmt:
		case T_CreatePLangStmt:
		case T_CreatePolicyStmt:
		case T_CreatePublicationStmt:
		case T_CreateSchemaStmt:
		case T_CreateSeqStmt:
		case T_CreateStatsStmt:
		case T_CreateSubscriptionStmt:
		case T_CreateTransformStmt:
		case T_CreateTrigStmt:
		case T_GrantStmt:
		case T_ImportForeignSchemaStmt:
		case T_RuleStmt:
		case T_SecLabelStmt:
		case T_ViewStmt:
			return FAMILY_OBJECT;
		default:
			return FAMILY_NONE;
	}
}

/* Is it a statement that the analysis knows?  Costs nothing. */
bool
pgxc_is_ddl(const Node *stmt)
{
	return family_of(stmt) != FAMILY_NONE;
}

/*
 * Add what a raw statement does, as part of the one under analysis.  Changes
 * the tree; throws what the analysis of it throws.
 */
void
pgxc_analyse_statement(PgxcAnalysis *a, Node *stmt)
{
	switch (family_of(stmt))
	{
		case FAMILY_ALTER_TABLE:
			pgxc_analyse_alter_table(a, castNode(AlterTableStmt, stmt));
			break;
		case FAMILY_CREATE_TABLE:
			pgxc_analyse_create_table(a, stmt);
			break;
		case FAMILY_INDEX:
			pgxc_analyse_index(a, stmt);
			break;
		case FAMILY_MAINTENANCE:
			pgxc_analyse_maintenance(a, stmt);
			break;
		case FAMILY_DROP:
			pgxc_analyse_drop(a, stmt);
			break;
		case FAMILY_RENAME:
			pgxc_analyse_rename(a, stmt);
			break;
		case FAMILY_TYPE:
			pgxc_analyse_type(a, stmt);
			break;
		case FAMILY_OBJECT:
			pgxc_analyse_object(a, stmt);
			break;
		case FAMILY_NONE:
			break;
	}
}

/* Those that say nothing about the statement. */
static bool
is_interruption(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case MAKE_SQLSTATE('5', '7', '0', '0', '0'): /* cancelled, shutdown */
		case MAKE_SQLSTATE('5', '3', '0', '0', '0'): /* out of memory */
			return true;
		default:
			return sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE ||
				   sqlerrcode == ERRCODE_T_R_DEADLOCK_DETECTED;
	}
}

/*
 * Analyse one statement; source is the text that its location counts in, and
 * pending what earlier statements of that text would have done (NULL: none).
 *
 * Needs a transaction.  Waits for ACCESS SHARE locks on what the statement
 * names (lock_timeout applies) and gives them back.  Returns effects and
 * changes in the current memory context, or, where PostgreSQL would refuse the
 * statement, none and its message in error.  Throws only what is no judgement
 * of the statement: a cancel, a lock timeout.
 */
PgxcAnalysis *
pgxc_analyse(const PlannedStmt *stmt, const char *source, PgxcPending *pending)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	PgxcAnalysis *a = palloc0(sizeof(PgxcAnalysis));
	ErrorData *volatile error = NULL;

	a->source = source;
	a->location = stmt->stmt_location;
	a->length = stmt->stmt_len;
	a->pending = pending;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		/* Transformations write into what they get. */
		pgxc_analyse_statement(a, copyObject(stmt->utilityStmt));
		pgxc_effects_finish(a);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;

	if (error != NULL)
	{
		if (is_interruption(error->sqlerrcode))
			ReThrowError(error);
		a->error = error->message;
		a->effects = NIL;
		a->changes = NIL;
	}
	return a;
}
