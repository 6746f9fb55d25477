/*
 * registration.c
 *		What every start_... does to register a migration.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"

#include "backfill/preflight.h"
#include "backfill/registration.h"
#include "core/extension.h"
#include "core/shared_state.h"

/*
 * Settings that expressions depend on.  Those of the session that starts the
 * migration hold for its chunks, whichever process runs them.
 */
static const char *const recorded_settings[] = { "DateStyle",
												 "IntervalStyle",
												 "TimeZone",
												 "bytea_output",
												 "default_text_search_config",
												 "extra_float_digits",
												 "lc_monetary",
												 "lc_numeric",
												 "lc_time",
												 "xmlbinary",
												 "xmloption" };

/* The settings of this session that expressions depend on, "name=value". */
List *
pgxc_settings_list(void)
{
	List *list = NIL;

	for (int i = 0; i < lengthof(recorded_settings); i++)
		list = lappend(list, psprintf("%s=%s", recorded_settings[i],
									  GetConfigOption(recorded_settings[i],
													  false, false)));
	return list;
}

/*
 * Let starts on the same hierarchy come one after the other, so that two of
 * them cannot both find a column free.  A lock on an object of ours, until the
 * end of the transaction.
 *
 * The caller has no lock on the table: whoever goes first may be asking for a
 * heavy one, and would do so in vain for as long as we wait here.
 */
void
pgxc_lock_hierarchy(Oid relid)
{
	List *ancestors = pgxc_relation_ancestors(relid);
	Oid top = ancestors == NIL ? relid : llast_oid(ancestors);

	LockDatabaseObject(pgxc_catalog_table("migration"), top, 2, ExclusiveLock);
}

/*
 * The same for starts of one name, so that nobody waits for the other one's
 * row with a heavy lock on a table.  After the hierarchy's.
 */
void
pgxc_lock_name(const char *name)
{
	uint32 hash = string_hash(name, strlen(name) + 1);

	LockDatabaseObject(pgxc_catalog_table("migration"), (Oid) hash, 4,
					   ExclusiveLock);
}

/*
 * Tell the user if nobody will run the migration.
 */
void
pgxc_warn_without_workers(int64 id)
{
	if (pgxc_shared == NULL)
		ereport(
			WARNING,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no background worker will run migration %lld",
					(long long) id),
			 errdetail("pgxc is not in shared_preload_libraries."),
			 errhint(
				 "Run it in this session with CALL pgxc.run(%lld), or add pgxc to shared_preload_libraries and restart the server.",
				 (long long) id)));
}

/*
 * A migration of this name is there already.  The same one: the caller's work
 * was done before, a NOTICE says so.  Another one: throws 42710.
 */
void
pgxc_report_same_name(const char *name, int64 id, bool same, const char *state,
					  const char *phase)
{
	bool open = strcmp(phase, "migrate") == 0;

	if (!same)
		ereport(
			ERROR,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" already exists with another definition",
					name),
			 errhint(
				 "Choose another name, or compare it in the view pgxc.migrations (id %lld).",
				 (long long) id)));
	ereport(NOTICE,
			(errcode(ERRCODE_DUPLICATE_OBJECT),
			 errmsg("migration \"%s\" already exists, skipping", name),
			 strcmp(phase, "expand") == 0
				 ? errdetail("The phase is open.")
				 : errdetail("It is %s.", open ? state : phase),
			 open || strcmp(phase, "expand") == 0
				 ? 0
				 : errhint("To run it once more, give it another name.")));
}
