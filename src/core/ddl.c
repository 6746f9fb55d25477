/*
 * ddl.c
 *		DDL that pgxc itself runs on users' tables.
 *
 * A statement runs as the owner of what it changes, through SPI, so that all
 * of the server's own checks and side effects happen.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/resowner.h"
#include "utils/syscache.h"

#include "core/ddl.h"
#include "core/own_statement.h"
#include "core/sql_runner.h"

/*
 * Run one utility statement in the current transaction, as the given role and
 * with a search_path that nobody else can write to.  The caller holds the
 * locks that the statement needs, or lets lock_timeout bound it.  Notices that
 * the statement raises about its own doing are for nobody.  Throws what the
 * statement throws.
 */
void
pgxc_ddl(Oid as_role, const char *format, ...)
{
	StringInfoData buf;
	PgxcIdentity saved;
	bool outer = pgxc_own_ddl;
	int rc;

	initStringInfo(&buf);
	for (;;)
	{
		va_list args;
		int needed;

		va_start(args, format);
		needed = appendStringInfoVA(&buf, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	pgxc_identity_push(&saved, as_role, SECURITY_LOCAL_USERID_CHANGE);
	pgxc_set_saved("client_min_messages", "warning");
	pgxc_set_saved("check_function_bodies", "off");
	PG_TRY();
	{
		pgxc_own_ddl = true;
		rc = SPI_execute(buf.data, false, 0);
	}
	PG_FINALLY();
	{
		pgxc_own_ddl = outer;
	}
	PG_END_TRY();
	if (rc < 0)
		elog(ERROR, "SPI_execute failed: %s", /* cannot happen */
			 SPI_result_code_string(rc));
	pgxc_identity_pop(&saved);
	SPI_finish();
	pfree(buf.data);
}

/* Schema and name of a relation, quoted. */
char *
pgxc_qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(
										  get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* The owner of a relation, which must be there. */
Oid
pgxc_relation_owner(Oid relid)
{
	HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
						errmsg("relation with OID %u does not exist", relid)));
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Do something in a subtransaction: keep what it did, or only look at what
 * comes of it and undo everything.  Returns NULL, or the error that it threw
 * (then all of it is undone), in the caller's memory context.
 *
 * An error must not leave through our own subtransaction: whoever catches it
 * would roll back ours and believe it was theirs.
 */
ErrorData *
pgxc_subxact(void (*body)(void *arg), void *arg, bool keep)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		body(arg);
		MemoryContextSwitchTo(context);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}
