/*
 * truncate.c
 *		TRUNCATE: which tables it reaches, and what else of them.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "foreign/fdwapi.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "guard/maintenance.h"

/*
 * The tables that are named and, without ONLY, what is below them.  False if
 * PostgreSQL refuses one of the names.
 */
static bool
list_named(PgxcAnalysis *a, List *names, List **tables)
{
	ListCell *lc;

	foreach (lc, names)
	{
		RangeVar *name = lfirst_node(RangeVar, lc);
		Oid relid = pgxc_resolve(a, name);

		if (!OidIsValid(relid))
			continue;
		if (name->inh)
			*tables = list_concat_unique_oid(
				*tables, find_all_inheritors(relid, AccessShareLock, NULL));
		else if (get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE)
			return false;
		else
			*tables = list_append_unique_oid(*tables, relid);
	}
	return true;
}

/* Can it be truncated at all? */
static bool
is_truncatable(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	bool truncatable;

	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
			truncatable = true;
			break;
		case RELKIND_FOREIGN_TABLE:
			truncatable =
				GetFdwRoutineForRelation(rel, false)->ExecForeignTruncate !=
				NULL;
			break;
		default:
			truncatable = false;
			break;
	}
	table_close(rel, NoLock);
	return truncatable;
}

/* Sequences that columns of the table own start again, with new files. */
static void
restart_sequences(PgxcAnalysis *a, Oid relid)
{
	ListCell *lc;

	foreach (lc, getOwnedSequences(relid))
		pgxc_touch_work(a, lfirst_oid(lc), AccessExclusiveLock,
						PGXC_WORK_REWRITE, "it starts again, in a new file");
}

static void
truncate_relation(PgxcAnalysis *a, Oid relid, bool cascade)
{
	/* Partitions are in the list by themselves, a server has its own files. */
	if (get_rel_relkind(relid) == RELKIND_RELATION)
		pgxc_touch_rewritten(a, relid, PGXC_WORK_NONE,
							 "it gets a new, empty file");
	pgxc_touch(a, relid, AccessExclusiveLock);
	pgxc_change(a, PGXC_ACTION_TRUNCATE, RelationRelationId, relid, 0)
		->cascade = cascade;
}

/*
 * TRUNCATE
 */
void
pgxc_analyse_truncate(PgxcAnalysis *a, TruncateStmt *stmt)
{
	List *tables = NIL;
	List *referencing;
	int named;
	ListCell *lc;

	if (!list_named(a, stmt->relations, &tables) || tables == NIL)
		return;
	named = list_length(tables);
	/* The tables with foreign keys to these, then those with keys to them. */
	while ((referencing = heap_truncate_find_FKs(tables)) != NIL)
	{
		if (stmt->behavior == DROP_RESTRICT)
			return;
		tables = list_concat(tables, referencing);
	}
	foreach (lc, tables)
	{
		if (!is_truncatable(lfirst_oid(lc)))
			return;
	}
	foreach (lc, tables)
	{
		truncate_relation(a, lfirst_oid(lc),
						  foreach_current_index(lc) >= named);
		if (stmt->restart_seqs)
			restart_sequences(a, lfirst_oid(lc));
	}
}
