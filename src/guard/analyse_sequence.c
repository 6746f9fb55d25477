/*
 * analyse_sequence.c
 *		CREATE and ALTER SEQUENCE, CREATE STATISTICS.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "commands/defrem.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"
#include "guard/raw_relations.h"

/* OWNED BY a column looks at its table. */
static void
touch_owner(PgxcAnalysis *a, List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		DefElem *option = lfirst_node(DefElem, lc);
		List *names;

		if (strcmp(option->defname, "owned_by") != 0)
			continue;
		names = defGetQualifiedName(option);
		if (list_length(names) > 1)
			pgxc_touch_relation(
				a,
				pgxc_resolve_names(a, list_copy_head(names,
													 list_length(names) - 1)),
				AccessShareLock);
	}
}

/* Anything but OWNED BY writes the sequence to another file. */
static bool
writes_file(List *options)
{
	ListCell *lc;

	foreach (lc, options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "owned_by") != 0)
			return true;
	}
	return false;
}

static void
create_sequence(PgxcAnalysis *a, CreateSeqStmt *stmt)
{
	if (OidIsValid(pgxc_resolve(a, stmt->sequence)))
		return;
	touch_owner(a, stmt->options);
}

static void
alter_sequence(PgxcAnalysis *a, AlterSeqStmt *stmt)
{
	Oid relid = pgxc_resolve(a, stmt->sequence);

	if (!OidIsValid(relid) || get_rel_relkind(relid) != RELKIND_SEQUENCE)
		return;
	pgxc_touch(a, relid, ShareRowExclusiveLock);
	if (writes_file(stmt->options))
		pgxc_touch_work(a, relid, ShareRowExclusiveLock, PGXC_WORK_REWRITE,
						"the sequence's one row is written to a new file");
	pgxc_change(a, PGXC_ACTION_REDEFINE, RelationRelationId, relid, 0);
	touch_owner(a, stmt->options);
}

/* Locked before anybody looks whether the name is taken. */
static void
create_statistics(PgxcAnalysis *a, CreateStatsStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->relations)
	{
		if (IsA(lfirst(lc), RangeVar))
			pgxc_touch_relation(a, pgxc_resolve(a, lfirst_node(RangeVar, lc)),
								ShareUpdateExclusiveLock);
	}
	foreach (lc, stmt->exprs)
		pgxc_touch_raw_expression(a, lfirst_node(StatsElem, lc)->expr);
}

/*
 * What CREATE SEQUENCE, ALTER SEQUENCE or CREATE STATISTICS does.
 */
void
pgxc_analyse_sequence(PgxcAnalysis *a, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_CreateSeqStmt:
			create_sequence(a, (CreateSeqStmt *) stmt);
			break;
		case T_AlterSeqStmt:
			alter_sequence(a, (AlterSeqStmt *) stmt);
			break;
		case T_CreateStatsStmt:
			create_statistics(a, (CreateStatsStmt *) stmt);
			break;
		default:
			break;
	}
}
