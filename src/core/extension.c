/*
 * extension.c
 *		Is the extension here, and who owns it?
 *
 * Nothing is cached across transactions: a look-up costs one probe of a
 * catalog cache, and a cached "not installed" could be wrong a moment later.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/extension.h"

/*
 * Is the extension in this database, completely?  False while CREATE or ALTER
 * EXTENSION pgxc runs in this backend.  Needs a transaction; takes no lock
 * that outlives the call.
 */
bool
pgxc_extension_exists(void)
{
	Oid oid = get_extension_oid("pgxc", true);

	if (!OidIsValid(oid))
		return false;
	return !(creating_extension && CurrentExtensionObject == oid);
}

/*
 * Lock the extension against DROP until the end of the transaction, and check
 * that it is still the one that was locked first.
 *
 * *locked_oid is InvalidOid before the first call and remembers the extension
 * for later ones.  Returns false if the extension is gone or was replaced.
 * Lock: ACCESS SHARE on the extension object (DROP EXTENSION takes ACCESS
 * EXCLUSIVE and so waits for one chunk), bounded by lock_timeout.
 */
bool
pgxc_extension_lock(Oid *locked_oid)
{
	Oid oid = get_extension_oid("pgxc", true);

	if (!OidIsValid(oid))
		return false;
	if (OidIsValid(*locked_oid) && *locked_oid != oid)
		return false;

	LockDatabaseObject(ExtensionRelationId, oid, 0, AccessShareLock);

	/* It may have been dropped while we waited for the lock. */
	if (get_extension_oid("pgxc", true) != oid)
		return false;

	*locked_oid = oid;
	return true;
}

/*
 * The schema that CREATE EXTENSION made.  Throws 55000 if it is not there.
 */
Oid
pgxc_schema_oid(void)
{
	Oid oid = get_namespace_oid("pgxc", true);

	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("extension \"pgxc\" is not installed in this database"),
				 errhint("Run CREATE EXTENSION pgxc.")));
	return oid;
}

/*
 * OID of one of our tables.  Throws 55000 if it is not there.
 */
Oid
pgxc_catalog_table(const char *name)
{
	Oid oid = get_relname_relid(name, pgxc_schema_oid());

	if (!OidIsValid(oid))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("table \"pgxc.%s\" does not exist", name),
						errhint("Run ALTER EXTENSION pgxc UPDATE.")));
	return oid;
}

/*
 * The role that owns our tables.  Our own SQL runs with its rights, so that a
 * table's owner needs none on them.
 */
Oid
pgxc_extension_owner(void)
{
	HeapTuple tuple;
	Oid owner;

	tuple = SearchSysCache1(RELOID,
							ObjectIdGetDatum(pgxc_catalog_table("migration")));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no pgxc.migration"); /* cannot happen */
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Identity of this server, database and extension, palloc'd.  A row of
 * pgxc.migration with another home came here by pg_restore, by CREATE
 * DATABASE ... TEMPLATE or by pg_upgrade: its blocks mean nothing here.
 */
const char *
pgxc_home(void)
{
	return psprintf(UINT64_FORMAT "/%u/%u", GetSystemIdentifier(), MyDatabaseId,
					get_extension_oid("pgxc", true));
}

/*
 * Throw 25006 on a standby.  "what" is the SQL function's name.
 */
void
pgxc_require_primary(const char *what)
{
	if (RecoveryInProgress())
		ereport(ERROR, (errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
						errmsg("cannot execute %s during recovery", what),
						errhint("Run it on the primary server.")));
}
