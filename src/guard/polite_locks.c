/*
 * polite_locks.c
 *		The locks of a statement, before it queues for them.
 *
 * A short statement is harmless only if it gets its lock at once: while it
 * waits, everybody else waits behind it.  So where a table is guarded and the
 * session has no lock_timeout of its own, the statement's locks are taken for
 * it, a short wait at a time (core/lock_queue.c), in the order in which it would
 * take them itself.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "miscadmin.h"
#include "storage/proc.h"
#include "tcop/utility.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/lock_queue.h"
#include "guard/open_migrations.h"
#include "guard/polite_locks.h"

/* Those that commit in between, or are about nothing but the lock. */
static bool
takes_its_own_time(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_LockStmt:
		case T_VacuumStmt:
		case T_ClusterStmt:
		case T_ReindexStmt:
			return true;
		case T_IndexStmt:
			return ((IndexStmt *) stmt)->concurrent;
		case T_DropStmt:
			return ((DropStmt *) stmt)->concurrent;
		case T_AlterTableStmt:
		{
			ListCell *lc;

			foreach (lc, ((AlterTableStmt *) stmt)->cmds)
			{
				AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

				if (cmd->subtype == AT_DetachPartition &&
					((PartitionCmd *) cmd->def)->concurrent)
					return true;
			}
			return false;
		}
		default:
			return false;
	}
}

static bool
is_table(Oid relid)
{
	switch (get_rel_relkind(relid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_MATVIEW:
			return true;
		default:
			return false;
	}
}

static bool
is_guarded(Oid relid, List *open)
{
	ListCell *lc;

	foreach (lc, open)
	{
		if (list_member_oid(pgxc_open_tree((PgxcOpen *) lfirst(lc)), relid))
			return true;
	}
	return false;
}

/*
 * Take the locks of an analysed statement politely, if it needs one on a
 * guarded table that keeps writers out.  None of them if the caller does not
 * own all of the tables: who may not run it must not be able to lock them.
 * Throws 55P03.
 */
void
pgxc_lock_before(PgxcAnalysis *a, Node *stmt, List *open, bool every_table)
{
	List *locks = NIL;
	bool heavy = false;
	ListCell *lc;

	if (LockTimeout > 0 || takes_its_own_time(stmt))
		return;
	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);
		PgxcTableLock *lock;

		if (!OidIsValid(effect->relid) || !is_table(effect->relid))
			continue;
		if (!pgxc_relation_ownercheck(effect->relid, GetUserId()))
			return;
		lock = palloc(sizeof(PgxcTableLock));
		lock->relid = effect->relid;
		lock->mode = effect->lock;
		locks = lappend(locks, lock);
		heavy |= effect->lock >= ShareLock && !effect->new_here &&
				 (every_table || is_guarded(effect->relid, open));
	}
	if (heavy)
		pgxc_lock_politely(locks, psprintf("run %s", CreateCommandName(stmt)));
}
