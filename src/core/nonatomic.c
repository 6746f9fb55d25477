/*
 * nonatomic.c
 *		Procedures that end transactions.
 */
#include "postgres.h"

#include "nodes/parsenodes.h"

#include "core/nonatomic.h"

/*
 * Throw 25001 if a procedure is called where it cannot end the transaction.
 * In a transaction block it would wait for what starts at COMMIT, for ever.
 */
void
pgxc_require_nonatomic(FunctionCallInfo fcinfo, const char *what)
{
	if (fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic)
		return;
	ereport(
		ERROR,
		(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
		 errmsg("%s cannot run inside a transaction block", what),
		 errdetail(
			 "A migration starts when the transaction that started it commits."),
		 errhint(
			 "Put the CALL into a migration script of its own that runs without a transaction (Rails: disable_ddl_transaction!, Flyway: executeInTransaction=false, Alembic: autocommit_block(), Django: atomic = False, goose: -- +goose NO TRANSACTION).")));
}
