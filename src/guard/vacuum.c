/*
 * vacuum.c
 *		VACUUM and ANALYZE.
 *
 * They pass over what they cannot or may not work on, and count nothing of
 * what they read; only VACUUM FULL writes a relation anew.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "commands/defrem.h"
#include "foreign/fdwapi.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/maintenance.h"
#include "guard/reindex.h"
#include "guard/relation_list.h"

typedef struct VacuumWork
{
	bool vacuum;
	bool analyze;
	bool full;
	bool main;       /* the relation, not only what belongs to it */
	bool statistics; /* only those of the database: no relation */
} VacuumWork;

/* The options, of which only some matter here. */
static VacuumWork
vacuum_work(VacuumStmt *stmt)
{
	VacuumWork work = { .vacuum = stmt->is_vacuumcmd,
						.analyze = !stmt->is_vacuumcmd,
						.main = true };
	const struct
	{
		const char *name;
		bool *value;
	} options[] = {
		{ "analyze", &work.analyze },
		{ "full", &work.full },
		{ "process_main", &work.main },
		{ "only_database_stats", &work.statistics },
	};
	ListCell *lc;

	foreach (lc, stmt->options)
	{
		DefElem *option = lfirst_node(DefElem, lc);

		for (int i = 0; i < lengthof(options); i++)
		{
			if (strcmp(option->defname, options[i].name) == 0)
				*options[i].value = defGetBoolean(option);
		}
	}
	return work;
}

/* May the user, as owner of the relation or of the database? */
static bool
is_permitted(Relation rel)
{
	return pgxc_may_maintain(RelationGetRelid(rel), GetUserId()) ||
		   (pgxc_database_ownercheck(MyDatabaseId, GetUserId()) &&
			!rel->rd_rel->relisshared);
}

static void
vacuum_relation(PgxcAnalysis *a, Relation rel, const VacuumWork *work)
{
	Oid relid = RelationGetRelid(rel);

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_MATVIEW)
		return;
	if (!work->full)
	{
		pgxc_touch(a, relid, ShareUpdateExclusiveLock);
		if (work->main)
			(void) pgxc_touch_indexes(a, relid, RowExclusiveLock,
									  PGXC_WORK_NONE, NULL);
		return;
	}
	pgxc_touch(a, relid, AccessExclusiveLock);
	/* A materialized view that was never filled is passed over. */
	if (!work->main || !RelationIsPopulated(rel))
		return;
	pgxc_touch_remade(a, rel, PGXC_WORK_SCAN,
					  "it is written anew, without its dead rows");
	pgxc_change(a, PGXC_ACTION_MOVE, RelationRelationId, relid, 0);
}

/* Does its server let itself be sampled? */
static bool
is_sampled(Relation rel)
{
	switch (rel->rd_rel->relkind)
	{
		case RELKIND_RELATION:
		case RELKIND_MATVIEW:
		case RELKIND_PARTITIONED_TABLE:
			return true;
		case RELKIND_FOREIGN_TABLE:
			return GetFdwRoutineForRelation(rel, false)->AnalyzeForeignTable !=
				   NULL;
		default:
			return false;
	}
}

/* The rows of its children count among its own. */
static void
touch_sampled_children(PgxcAnalysis *a, Oid parent)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(parent, AccessShareLock, NULL))
	{
		Oid relid = lfirst_oid(lc);
		Relation rel;

		if (relid == parent)
			continue;
		rel = relation_open(relid, AccessShareLock);
		if (is_sampled(rel) &&
			rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
			pgxc_touch(a, relid, AccessShareLock);
		relation_close(rel, NoLock);
	}
}

static void
analyze_relation(PgxcAnalysis *a, Relation rel)
{
	Oid relid = RelationGetRelid(rel);

	if (!is_sampled(rel))
		return;
	pgxc_touch(a, relid, ShareUpdateExclusiveLock);
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		(void) pgxc_touch_indexes(a, relid, AccessShareLock, PGXC_WORK_NONE,
								  NULL);
	if (rel->rd_rel->relhassubclass)
		touch_sampled_children(a, relid);
}

static void
vacuum_one(PgxcAnalysis *a, Oid relid, const VacuumWork *work)
{
	Relation rel = try_relation_open(relid, AccessShareLock);

	if (rel == NULL)
		return;
	if (is_permitted(rel) && !RELATION_IS_OTHER_TEMP(rel))
	{
		if (work->vacuum)
			vacuum_relation(a, rel, work);
		if (work->analyze)
			analyze_relation(a, rel);
	}
	relation_close(rel, NoLock);
}

static bool
takes_children(RangeVar *name, Oid relid)
{
#ifdef PGXC_VACUUM_TAKES_CHILDREN
	return name->inh;
#else
	return get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
#endif
}

static bool
is_any_table(Form_pg_class form, void *arg)
{
	return form->relkind == RELKIND_RELATION ||
		   form->relkind == RELKIND_MATVIEW ||
		   form->relkind == RELKIND_PARTITIONED_TABLE;
}

/*
 * VACUUM, ANALYZE
 */
void
pgxc_analyse_vacuum(PgxcAnalysis *a, VacuumStmt *stmt)
{
	VacuumWork work = vacuum_work(stmt);
	List *relations = NIL;
	ListCell *lc;

	if (work.statistics)
		return;
	foreach (lc, stmt->rels)
	{
		VacuumRelation *vacrel = lfirst_node(VacuumRelation, lc);
		Oid relid = OidIsValid(vacrel->oid) ? vacrel->oid
											: pgxc_resolve(a, vacrel->relation);

		if (!OidIsValid(relid))
			continue;
		relations = list_append_unique_oid(relations, relid);
		if (takes_children(vacrel->relation, relid))
			relations = list_concat_unique_oid(
				relations, find_all_inheritors(relid, AccessShareLock, NULL));
	}
	if (stmt->rels == NIL)
		relations = pgxc_list_relations(is_any_table, NULL);
	foreach (lc, relations)
		vacuum_one(a, lfirst_oid(lc), &work);
}
