/*
 * toplevel.c
 *		Utility statements of ours: outside of a transaction, or in one.
 *
 * CREATE INDEX CONCURRENTLY and its like commit several times.  SPI runs no
 * such statement; a portal of our own does, which is what the server itself
 * would make for it.
 */
#include "postgres.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parser.h"
#include "tcop/pquery.h"
#include "tcop/utility.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "core/compat.h"
#include "core/own_statement.h"
#include "core/toplevel.h"

/* What the statement must not take from a session that it runs in. */
static const char *const settings[][2] = {
	{ "lock_timeout", "0" },
	{ "search_path", "pg_catalog, pg_temp" },
};

typedef struct SavedSettings
{
	char *values[lengthof(settings)]; /* NULL: as it was at connect */
} SavedSettings;

/*
 * The parse tree of one utility statement, in the current memory context.
 * Throws what the parser throws.
 */
Node *
pgxc_parse_utility(const char *sql)
{
	List *parsed = raw_parser(sql, RAW_PARSE_DEFAULT);

	if (list_length(parsed) != 1)
		elog(ERROR, "not one statement: %s", sql); /* cannot happen */
	return linitial_node(RawStmt, parsed)->stmt;
}

static PlannedStmt *
wrap(Node *statement)
{
	PlannedStmt *planned = makeNode(PlannedStmt);

	planned->commandType = CMD_UTILITY;
	planned->canSetTag = false;
	planned->utilityStmt = copyObject(statement);
	planned->stmt_location = -1;
	return planned;
}

/*
 * Run a utility statement in the current transaction, as the current user.
 * sql is the text that it was parsed from.  Needs an active snapshot; throws
 * what the statement throws.
 */
void
pgxc_run_utility(Node *statement, const char *sql)
{
	pgxc_own_ddl_begin();
	ProcessUtility(wrap(statement), sql, false, PROCESS_UTILITY_QUERY, NULL,
				   NULL, None_Receiver, NULL);
	pgxc_own_ddl_end();
	CommandCounterIncrement();
}

/*
 * The portal, and all that hangs on it, outlives the transactions that the
 * statement ends.
 */
static void
run_portal(Node *statement, const char *sql)
{
	Portal portal = CreateNewPortal();
	MemoryContext old;

	portal->visible = false;
	old = MemoryContextSwitchTo(portal->portalContext);
	PortalDefineQuery(portal, NULL, pstrdup(sql), CreateCommandTag(statement),
					  list_make1(wrap(statement)), NULL);
	MemoryContextSwitchTo(old);

	PortalStart(portal, NULL, 0, InvalidSnapshot);
	pgxc_portal_run(portal, None_Receiver);
	PortalDrop(portal, false);
}

/*
 * Outside of a transaction a setting is changed for good; so it is put back
 * the same way.
 */
static void
pin_settings(SavedSettings *saved)
{
	for (int i = 0; i < lengthof(settings); i++)
	{
		const char *value = GetConfigOption(settings[i][0], false, false);
		const char *reset = GetConfigOptionResetString(settings[i][0]);

		saved->values[i] =
			strcmp(value, reset ? reset : "") == 0 ? NULL : pstrdup(value);
		SetConfigOption(settings[i][0], settings[i][1], PGC_USERSET,
						PGC_S_SESSION);
	}
}

static void
restore_settings(const SavedSettings *saved)
{
	for (int i = 0; i < lengthof(settings); i++)
		SetConfigOption(settings[i][0], saved->values[i], PGC_USERSET,
						PGC_S_SESSION);
}

/*
 * Run a utility statement outside of any transaction of ours, as the process's
 * own user.  sql is the text that it was parsed from.  Returns NULL, or the
 * error, in the current memory context, which must outlive transactions.
 *
 * A worker calls this outside of a transaction, and is there again afterwards.
 * In the foreground the caller is a procedure that CALL runs at the top level,
 * connected to SPI as nonatomic, with nothing done in its transaction; it
 * finds itself connected anew, in a new transaction, and what it had in SPI's
 * memory is gone.
 *
 * An error ends with the transaction all locks of the process, those of the
 * session included.
 */
PgxcError *
pgxc_run_toplevel(Node *statement, const char *sql, bool foreground)
{
	MemoryContext caller = CurrentMemoryContext;
	PgxcError *volatile error = NULL;
	SavedSettings saved;

	if (foreground)
	{
		SPI_finish();
		ForgetPortalSnapshots();
		CommitTransactionCommand();
		MemoryContextSwitchTo(caller);
		pin_settings(&saved);
	}

	PG_TRY();
	{
		if (!foreground)
			SetCurrentStatementStartTimestamp();
		StartTransactionCommand();
		CHECK_FOR_INTERRUPTS();
		pgxc_own_ddl_begin();
		run_portal(statement, sql);
		CommitTransactionCommand();
	}
	PG_CATCH();
	{
		error = pgxc_error_capture(caller);
		AbortCurrentTransaction();
	}
	PG_END_TRY();

	if (foreground)
	{
		restore_settings(&saved);
		StartTransactionCommand();
		/* SPI_finish() will return to the context that it finds here. */
		MemoryContextSwitchTo(PortalContext);
		if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed"); /* cannot happen */
	}
	MemoryContextSwitchTo(caller);
	return error;
}
