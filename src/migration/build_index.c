/*
 * build_index.c
 *		The indexes of a new column.
 *
 * The definition is the server's own, of the old index: only its name, its
 * table and its tablespace are changed, in the parse tree.
 *
 * A partitioned index cannot be built concurrently as a whole.  Its parts on
 * the leaf tables are; then the index of each partitioned table is made
 * without them, and each index is attached to its parent, from the leaves up.
 * That of the root becomes valid with the last one.  For a unique or primary
 * key only the leaves' indexes are made: contract makes the constraint.
 */
#include "postgres.h"

#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_tablespace.h"
#include "commands/tablespace.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/parsenodes.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "backfill/drive_error.h"
#include "backfill/drive_statement.h"
#include "core/ddl.h"
#include "core/lock_queue.h"
#include "core/sql_runner.h"
#include "core/toplevel.h"
#include "migration/build.h"

typedef enum TaskKind
{
	TASK_NONE,
	TASK_CREATE,
	TASK_DROP,        /* what a failed build has left */
	TASK_CREATE_ONLY, /* of a partitioned table, without its partitions' */
	TASK_ATTACH
} TaskKind;

/* The next thing to do about an index. */
typedef struct Task
{
	TaskKind kind;
	Oid relid;  /* the table of the index */
	char *name; /* of the index */
	Oid index;  /* ATTACH: itself ... */
	Oid parent; /* ... and what it is attached to */
} Task;

/*
 * The index of this name on the table; InvalidOid if there is none.  Throws
 * 42P07 if the name belongs to something else.
 */
static Oid
find_index(Oid relid, const char *name)
{
	Oid found = get_relname_relid(name, get_rel_namespace(relid));

	if (OidIsValid(found) && IndexGetRelation(found, true) != relid)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", name),
				 errdetail("An index of table \"%s\" is to have that name.",
						   get_rel_name(relid)),
				 errhint("Rename or drop it, and use pgxc.retry().")));
	return found;
}

static char *
index_name(const PgxcMigration *migration, const PgxcPiece *piece, Oid relid)
{
	if (relid == piece->relid)
		return piece->new_name;
	return pgxc_piece_name(migration->id, piece->no, relid);
}

/* An index of a table that has rows: there, to be built, or to be dropped. */
static void
look_at_index(Oid relid, char *name, Task *task)
{
	Oid index = find_index(relid, name);

	task->relid = relid;
	task->name = name;
	if (!OidIsValid(index))
		task->kind = TASK_CREATE;
	else if (!get_index_isvalid(index))
		task->kind = TASK_DROP;
}

/* The partition of an index that belongs to this table, or InvalidOid. */
static Oid
attached_index(Oid parent, Oid relid)
{
	ListCell *lc;

	if (!OidIsValid(parent))
		return InvalidOid;
	foreach (lc, find_inheritance_children(parent, NoLock))
	{
		if (IndexGetRelation(lfirst_oid(lc), true) == relid)
			return lfirst_oid(lc);
	}
	return InvalidOid;
}

/*
 * The index of a table below the piece's: by attachment (a partition that came
 * later got one from the server, with a name of its own) or by name.
 */
static Oid
index_of(const PgxcMigration *migration, const PgxcPiece *piece, Oid relid,
		 bool *attached)
{
	Oid parent;
	Oid index;
	bool dummy;

	*attached = true;
	if (relid == piece->relid)
		return find_index(relid, piece->new_name);
	parent =
		index_of(migration, piece, get_partition_parent(relid, false), &dummy);
	index = attached_index(parent, relid);
	if (OidIsValid(index))
		return index;
	*attached = false;
	return find_index(relid, index_name(migration, piece, relid));
}

/* First the leaves; their indexes take long, and nothing uses them yet. */
static void
look_at_leaves(const PgxcMigration *migration, const PgxcPiece *piece,
			   List *tables, Task *task)
{
	ListCell *lc;

	foreach (lc, tables)
	{
		Oid relid = lfirst_oid(lc);
		bool attached;

		if (get_rel_relkind(relid) != RELKIND_RELATION)
			continue;
		(void) index_of(migration, piece, relid, &attached);
		if (!attached)
			look_at_index(relid, index_name(migration, piece, relid), task);
		if (task->kind != TASK_NONE)
			return;
	}
}

/* Parents come before their partitions in the list. */
static void
look_at_parents(const PgxcMigration *migration, const PgxcPiece *piece,
				List *tables, Task *task)
{
	ListCell *lc;
	bool attached;

	foreach (lc, tables)
	{
		Oid relid = lfirst_oid(lc);

		if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE ||
			OidIsValid(index_of(migration, piece, relid, &attached)))
			continue;
		task->kind = TASK_CREATE_ONLY;
		task->relid = relid;
		task->name = index_name(migration, piece, relid);
		return;
	}

	for (int i = list_length(tables) - 1; i > 0; i--)
	{
		Oid relid = list_nth_oid(tables, i);
		Oid index = index_of(migration, piece, relid, &attached);

		if (attached || !OidIsValid(index))
			continue;
		task->kind = TASK_ATTACH;
		task->relid = relid;
		task->index = index;
		task->parent = index_of(migration, piece,
								get_partition_parent(relid, false), &attached);
		return;
	}
}

static Task
next_task(const PgxcMigration *migration, const PgxcPiece *piece)
{
	Task task = { .kind = TASK_NONE };
	List *tables;

	if (get_rel_relkind(piece->relid) != RELKIND_PARTITIONED_TABLE)
	{
		look_at_index(piece->relid, piece->new_name, &task);
		return task;
	}

	tables = find_all_inheritors(piece->relid, NoLock, NULL);
	look_at_leaves(migration, piece, tables, &task);
	if (task.kind == TASK_NONE && piece->kind == PGXC_PIECE_INDEX)
		look_at_parents(migration, piece, tables, &task);
	return task;
}

/*
 * Is nothing left to do about an index?  Throws 42P07 if its name is taken.
 */
bool
pgxc_index_is_built(const PgxcMigration *migration, const PgxcPiece *piece)
{
	return next_task(migration, piece).kind == TASK_NONE;
}

/*
 * Where the old index is: that of the same table.  An index of rows names the
 * database's own tablespace, too, or default_tablespace would decide; that of
 * a partitioned table may not.
 */
static char *
tablespace_name(const PgxcPiece *piece, Oid relid, bool partitioned)
{
	Oid old =
		get_relname_relid(piece->old_name, get_rel_namespace(piece->relid));
	Oid tablespace = InvalidOid;
	ListCell *lc;

	if (OidIsValid(old))
	{
		foreach (lc, find_all_inheritors(old, NoLock, NULL))
		{
			if (IndexGetRelation(lfirst_oid(lc), true) == relid)
				tablespace = get_rel_tablespace(lfirst_oid(lc));
		}
	}
	if (!OidIsValid(tablespace))
		tablespace = partitioned ? InvalidOid : MyDatabaseTableSpace;
	return OidIsValid(tablespace) ? get_tablespace_name(tablespace) : NULL;
}

static IndexStmt *
index_statement(const PgxcPiece *piece, const Task *task)
{
	bool partitioned = task->kind == TASK_CREATE_ONLY;
	IndexStmt *stmt =
		castNode(IndexStmt, pgxc_parse_utility(piece->definition));

	stmt->relation =
		makeRangeVar(get_namespace_name(get_rel_namespace(task->relid)),
					 get_rel_name(task->relid), -1);
	stmt->relation->inh = !partitioned;
	stmt->idxname = task->name;
	stmt->concurrent = !partitioned;
	stmt->tableSpace = tablespace_name(piece, task->relid, partitioned);
	return stmt;
}

/* CREATE or DROP INDEX CONCURRENTLY: after this step. */
static PgxcStep
leave_statement(PgxcDrive *drive, const PgxcPiece *piece, const Task *task)
{
	bool create = task->kind == TASK_CREATE;
	IndexStmt *stmt = index_statement(piece, task);
	PgxcDriveStatement *statement;
	MemoryContext old;

	statement = pgxc_drive_statement_new(
		drive,
		psprintf("%s %s \"%s\" on the new column",
				 create ? "build" : "drop the unfinished",
				 stmt->unique ? "unique index" : "index", piece->old_name));
	old = MemoryContextSwitchTo(statement->context);
	if (create)
	{
		statement->sql = pstrdup(piece->definition);
		statement->tree = (Node *) copyObject(stmt);
		statement->leftover_table = task->relid;
		statement->leftover = pstrdup(task->name);
	}
	else
	{
		statement->sql =
			psprintf("DROP INDEX CONCURRENTLY %s",
					 quote_qualified_identifier(
						 get_namespace_name(get_rel_namespace(task->relid)),
						 task->name));
		statement->tree = pgxc_parse_utility(statement->sql);
	}
	MemoryContextSwitchTo(old);
	return PGXC_STEP_STATEMENT;
}

static List *
add_lock(List *locks, Oid relid, LOCKMODE mode)
{
	PgxcTableLock *lock = palloc(sizeof(PgxcTableLock));

	lock->relid = relid;
	lock->mode = mode;
	return lappend(locks, lock);
}

/* CREATE INDEX ON ONLY: an entry in the catalog, but writers must be out. */
static PgxcStep
create_only(PgxcDrive *drive, const PgxcPiece *piece, const Task *task)
{
	PgxcIdentity saved;
	char *blockers;

	if (!pgxc_lock_try(add_lock(NIL, task->relid, ShareLock), &blockers))
		return pgxc_drive_yield(drive, blockers);
	pgxc_identity_push(&saved, pgxc_relation_owner(piece->relid),
					   SECURITY_LOCAL_USERID_CHANGE);
	pgxc_set_saved("default_tablespace", "");
	pgxc_run_utility((Node *) index_statement(piece, task), piece->definition);
	pgxc_identity_pop(&saved);
	return PGXC_STEP_AGAIN;
}

static PgxcStep
attach(PgxcDrive *drive, const PgxcPiece *piece, const Task *task)
{
	List *locks = NIL;
	char *blockers;

	locks = add_lock(locks, task->parent, ShareUpdateExclusiveLock);
	locks = add_lock(locks, task->index, AccessExclusiveLock);
	if (!pgxc_lock_try(locks, &blockers))
		return pgxc_drive_yield(drive, blockers);
	pgxc_ddl(pgxc_relation_owner(piece->relid),
			 "ALTER INDEX %s ATTACH PARTITION %s",
			 pgxc_qualified_name(task->parent),
			 pgxc_qualified_name(task->index));
	return PGXC_STEP_AGAIN;
}

/*
 * Do the next thing about an index that is not built, in a step's transaction.
 * The caller holds the builder's lock.
 */
PgxcStep
pgxc_index_build(PgxcDrive *drive, const PgxcMigration *migration,
				 const PgxcPiece *piece)
{
	Task task = next_task(migration, piece);

	switch (task.kind)
	{
		case TASK_CREATE:
		case TASK_DROP:
			return leave_statement(drive, piece, &task);
		case TASK_CREATE_ONLY:
			return create_only(drive, piece, &task);
		case TASK_ATTACH:
			return attach(drive, piece, &task);
		case TASK_NONE:
			break;
	}
	return PGXC_STEP_AGAIN;
}
