/*
 * sql_runner.c
 *		Running our own SQL, and being somebody for a while.
 *
 * Our statements run as the owner of the extension, with a search_path that
 * nobody else can write to.  What belongs to a table's owner (expressions,
 * triggers) runs as that owner, restricted so that it cannot become anybody
 * else.  Both identities end with the transaction at the latest, so an error
 * needs no clean-up.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "core/extension.h"
#include "core/sql_runner.h"

/*
 * Become userid, and pin search_path, until pgxc_identity_pop() or the end of
 * the (sub)transaction.  sec_flags: SECURITY_LOCAL_USERID_CHANGE for our own
 * SQL, plus SECURITY_RESTRICTED_OPERATION for what a user wrote.
 */
void
pgxc_identity_push(PgxcIdentity *saved, Oid userid, int sec_flags)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(userid, saved->sec_context | sec_flags);
	saved->guc_level = NewGUCNestLevel();
	pgxc_set_saved("search_path", "pg_catalog, pg_temp");
}

void
pgxc_identity_pop(const PgxcIdentity *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}

/*
 * Set a parameter until the end of the transaction.
 */
void
pgxc_set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_LOCAL, true, 0, false);
}

/*
 * Set a parameter until the identity is popped.
 */
void
pgxc_set_saved(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_SUSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/*
 * Open a bracket for our own SQL: SPI, as the extension's owner.  Results live
 * until pgxc_sql_end().  Needs a transaction.
 */
void
pgxc_sql_begin(PgxcIdentity *saved)
{
	Oid owner = pgxc_extension_owner();

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	pgxc_identity_push(saved, owner, SECURITY_LOCAL_USERID_CHANGE);
}

void
pgxc_sql_end(const PgxcIdentity *saved)
{
	pgxc_identity_pop(saved);
	SPI_finish();
}

static SPIPlanPtr
statement_plan(PgxcStatement *stmt)
{
	if (stmt->plan == NULL)
	{
		SPIPlanPtr plan = SPI_prepare(stmt->sql, stmt->nargs, stmt->argtypes);

		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", /* cannot happen */
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		stmt->plan = plan;
	}
	return stmt->plan;
}

static uint64
check_result(int rc, int expected)
{
	if (rc != expected)
		elog(ERROR, "unexpected SPI result %s", /* cannot happen */
			 SPI_result_code_string(rc));
	return SPI_processed;
}

/*
 * Run one of our statements inside the bracket and return how many rows it
 * processed.  "expected" is an SPI_OK_... code.
 */
uint64
pgxc_sql_execute(PgxcStatement *stmt, Datum *values, const char *nulls,
				 int expected)
{
	int rc = SPI_execute_plan(statement_plan(stmt), values, nulls, false, 0);

	return check_result(rc, expected);
}

/*
 * The same for a SELECT that must see everything committed by now, also if the
 * caller's transaction (REPEATABLE READ) has an older snapshot.
 */
uint64
pgxc_sql_select_latest(PgxcStatement *stmt, Datum *values, const char *nulls)
{
	int rc = SPI_execute_snapshot(statement_plan(stmt), values, nulls,
								  GetLatestSnapshot(), InvalidSnapshot, false,
								  false, 0);

	return check_result(rc, SPI_OK_SELECT);
}

/* A value of the last result; row and column count from 0 and from 1. */
Datum
pgxc_sql_value(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column,
						 isnull);
}

/* The same for a bigint; null is 0. */
int64
pgxc_sql_int64(int row, int column)
{
	bool isnull;
	Datum value = pgxc_sql_value(row, column, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

/* The same for a text[], as a List of char *; null is an empty one. */
List *
pgxc_sql_text_list(int row, int column)
{
	bool isnull;
	Datum value = pgxc_sql_value(row, column, &isnull);
	Datum *elements;
	int n;
	List *list = NIL;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		list = lappend(list, TextDatumGetCString(elements[i]));
	return list;
}

/* A List of char * as a text[]. */
Datum
pgxc_text_list_datum(List *list)
{
	Datum *elements = palloc(sizeof(Datum) * list_length(list));
	ListCell *lc;
	int n = 0;

	foreach (lc, list)
		elements[n++] = CStringGetTextDatum((char *) lfirst(lc));
	return PointerGetDatum(
		construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* A List of OIDs as an oid[]. */
Datum
pgxc_oid_list_datum(List *list)
{
	Datum *elements = palloc(sizeof(Datum) * list_length(list));
	ListCell *lc;
	int n = 0;

	foreach (lc, list)
		elements[n++] = ObjectIdGetDatum(lfirst_oid(lc));
	return PointerGetDatum(
		construct_array(elements, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT));
}

/* The caller's level, to which a subtransaction of ours returns. */
static int foreground_level = 1;

/*
 * Transactions of a worker, or of CALL pgxc.run() in the foreground, which
 * runs inside a procedure and so always is in a transaction already.
 *
 * There the work is done in a subtransaction: after an error only its rollback
 * takes back the SPI levels that the error left open (ours, and those of a
 * user's trigger), without which SPI_rollback() refuses.
 */
void
pgxc_tx_begin(bool foreground)
{
	if (foreground)
	{
		MemoryContext caller = CurrentMemoryContext;

		foreground_level = GetCurrentTransactionNestLevel();
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(caller);
	}
	else
	{
		SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
	}
	PushActiveSnapshot(GetTransactionSnapshot());
}

void
pgxc_tx_commit(bool foreground)
{
	PopActiveSnapshot();
	if (foreground)
	{
		MemoryContext caller = CurrentMemoryContext;

		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(caller);
		SPI_commit();
	}
	else
		CommitTransactionCommand();
}

void
pgxc_tx_abort(bool foreground)
{
	if (foreground)
	{
		/* The error may have come before the beginning, or at the commit. */
		pgxc_tx_leave();
		SPI_rollback();
	}
	else
		AbortCurrentTransaction();
}

/*
 * For a procedure that an error leaves: what pgxc_tx_begin(true) began must end
 * before the error reaches the caller's transaction, which would otherwise stay
 * in the subtransaction.
 */
void
pgxc_tx_leave(void)
{
	if (GetCurrentTransactionNestLevel() > foreground_level)
		RollbackAndReleaseCurrentSubTransaction();
}
