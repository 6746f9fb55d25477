/*
 * alter_storage.c
 *		Subcommands about a relation as a whole: where and how it is stored, its
 *		options, its owner.
 *
 * What is so already costs no work, and what has no file of its own is a row
 * of the catalog.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/tableam.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/maintenance.h"

/* SET TABLESPACE copies the file, not those of the indexes. */
static void
set_tablespace(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd, LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);
	Oid space = get_tablespace_oid(cmd->name, true);

	if (!OidIsValid(space))
		return;
	if (space == MyDatabaseTableSpace)
		space = InvalidOid;
	if (space == rel->rd_rel->reltablespace)
		return;
	if (!RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
		return;
	pgxc_touch_work(a, relid, lock, PGXC_WORK_REWRITE,
					"its file is copied to another tablespace");
	pgxc_change(a, PGXC_ACTION_MOVE, RelationRelationId, relid, 0);
}

/* SET LOGGED and UNLOGGED; its own sequences follow the table. */
static void
set_persistence(PgxcAnalysis *a, Relation rel, char persistence)
{
	Oid relid = RelationGetRelid(rel);
	const char *reason = "it is written anew, with another persistence";
	ListCell *lc;

	if (rel->rd_rel->relpersistence == persistence)
		return;
	if (rel->rd_rel->relkind == RELKIND_SEQUENCE)
		pgxc_touch_work(a, relid, AccessExclusiveLock, PGXC_WORK_REWRITE,
						reason);
	else if (rel->rd_rel->relkind == RELKIND_RELATION)
	{
		pgxc_touch_rewritten(a, relid, PGXC_WORK_SCAN, reason);
		foreach (lc, getOwnedSequences(relid))
			pgxc_touch_work(a, lfirst_oid(lc), AccessExclusiveLock,
							PGXC_WORK_REWRITE, reason);
	}
	else
		return;
	pgxc_change(a, PGXC_ACTION_MOVE, RelationRelationId, relid, 0);
}

/* SET ACCESS METHOD */
static void
set_access_method(PgxcAnalysis *a, Relation rel, const char *name)
{
	Oid am = get_table_am_oid(name ? name : default_table_access_method, true);

	if (!OidIsValid(am) || rel->rd_rel->relam == am ||
		!RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind))
		return;
	pgxc_touch_rewritten(a, RelationGetRelid(rel), PGXC_WORK_SCAN,
						 "it is written anew, by another access method");
	pgxc_change(a, PGXC_ACTION_MOVE, RelationRelationId, RelationGetRelid(rel),
				0);
}

/* CLUSTER ON and REPLICA IDENTITY USING INDEX lock the index. */
static void
touch_named_index(PgxcAnalysis *a, Relation rel, const char *name,
				  LOCKMODE lock)
{
	Oid index = get_relname_relid(name, RelationGetNamespace(rel));

	if (OidIsValid(index))
		pgxc_touch(a, index, lock);
}

/* OWNER TO reaches indexes and the table's own sequences. */
static void
change_owner(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd, LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);
	Oid owner = get_rolespec_oid(cmd->newowner, true);
	ListCell *lc;

	if (!OidIsValid(owner) || owner == rel->rd_rel->relowner ||
		rel->rd_rel->relkind == RELKIND_INDEX ||
		rel->rd_rel->relkind == RELKIND_PARTITIONED_INDEX)
		return;
	if (rel->rd_rel->relhasindex)
	{
		foreach (lc, RelationGetIndexList(rel))
			pgxc_touch(a, lfirst_oid(lc), lock);
	}
	foreach (lc, getOwnedSequences(relid))
		pgxc_touch(a, lfirst_oid(lc), lock);
	pgxc_change(a, PGXC_ACTION_REDEFINE, RelationRelationId, relid, 0);
}

static void
replica_identity(PgxcAnalysis *a, Relation rel, ReplicaIdentityStmt *stmt)
{
	if (stmt->identity_type == REPLICA_IDENTITY_INDEX)
		touch_named_index(a, rel, stmt->name, ShareLock);
}

/*
 * One subcommand of the family; false: it is of another one.  Relation options
 * cost no more than the lock that the server says they need.
 */
bool
pgxc_alter_storage(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				   AlterTableStmt *stmt, LOCKMODE lock)
{
	switch (cmd->subtype)
	{
		case AT_SetTableSpace:
			set_tablespace(a, rel, cmd, lock);
			return true;
		case AT_SetLogged:
			set_persistence(a, rel, RELPERSISTENCE_PERMANENT);
			return true;
		case AT_SetUnLogged:
			set_persistence(a, rel, RELPERSISTENCE_UNLOGGED);
			return true;
		case AT_SetAccessMethod:
			set_access_method(a, rel, cmd->name);
			return true;
		case AT_ClusterOn:
			touch_named_index(a, rel, cmd->name, lock);
			return true;
		case AT_ReplicaIdentity:
			replica_identity(a, rel, (ReplicaIdentityStmt *) cmd->def);
			return true;
		case AT_ChangeOwner:
			change_owner(a, rel, cmd, lock);
			return true;
		case AT_AddOf:
		case AT_DropOf:
		case AT_DropCluster:
		case AT_DropOids:
		case AT_SetRelOptions:
		case AT_ResetRelOptions:
		case AT_ReplaceRelOptions:
		case AT_GenericOptions:
			return true;
		default:
			return false;
	}
}
