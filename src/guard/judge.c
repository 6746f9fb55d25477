/*
 * judge.c
 *		From what a statement would do to what is to be said against it.
 *
 * Two things: it breaks a migration, or it blocks a table's users for as long
 * as the table is large.  A lock alone blocks nobody for long; bounding the
 * wait for it is somebody else's task (polite_locks.c).
 */
#include "postgres.h"

#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "common/string.h"
#include "storage/lock.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "backfill/preflight.h"
#include "core/settings.h"
#include "guard/breaks.h"
#include "guard/judge.h"

/* A list of the works, as check_ddl() shows it. */
char *
pgxc_work_text(int work)
{
	static const struct
	{
		int bit;
		const char *name;
	} names[] = { { PGXC_WORK_SCAN, "scan" },
				  { PGXC_WORK_REWRITE, "rewrite" },
				  { PGXC_WORK_INDEX_BUILD, "index build" } };
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < lengthof(names); i++)
	{
		if (work & names[i].bit)
			appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "",
							 names[i].name);
	}
	return text.len > 0 ? text.data : pstrdup("none");
}

static Oid
table_of(Oid relid)
{
	ObjectAddress object;

	ObjectAddressSet(object, RelationRelationId, relid);
	return pgxc_table_of(&object);
}

/* Emptying a table gives it a new file, but that is no work. */
static bool
is_truncated(const PgxcAnalysis *a, Oid relid)
{
	ListCell *lc;

	foreach (lc, a->changes)
	{
		PgxcChange *change = (PgxcChange *) lfirst(lc);

		if (change->action == PGXC_ACTION_TRUNCATE &&
			change->object.objectId == relid)
			return true;
	}
	return false;
}

/*
 * Is there work that others can feel?  Not where nobody else can see the
 * relation yet, or where there is nothing to work on.
 */
bool
pgxc_effect_takes_time(const PgxcAnalysis *a, const PgxcEffect *effect)
{
	return effect->work != PGXC_WORK_NONE && effect->bytes > 0 &&
		   !effect->new_here &&
		   !isTempOrTempToastNamespace(get_rel_namespace(effect->relid)) &&
		   !is_truncated(a, table_of(effect->relid));
}

/*
 * Does it keep writers of a table (or readers of a materialized view) waiting
 * while it does work that grows with it?  Not where the table is smaller than
 * pgxc.guard_min_table_size.
 */
bool
pgxc_effect_blocks(const PgxcAnalysis *a, const PgxcEffect *effect)
{
	switch (get_rel_relkind(effect->relid))
	{
		case RELKIND_RELATION:
		case RELKIND_PARTITIONED_TABLE:
		case RELKIND_MATVIEW:
		/* Whoever plans a query of the table opens its indexes. */
		case RELKIND_INDEX:
			break;
		default:
			return false;
	}
	return effect->lock >= ShareLock && pgxc_effect_takes_time(a, effect) &&
		   effect->bytes >= (int64) pgxc_guard_min_table_size * 1024;
}

/* The migration whose tree the relation is in, or NULL. */
static PgxcOpen *
migration_on(Oid relid, List *open, List *trees)
{
	ListCell *lc;
	ListCell *tree;

	forboth (lc, open, tree, trees)
	{
		if (list_member_oid((List *) lfirst(tree), relid))
			return (PgxcOpen *) lfirst(lc);
	}
	return NULL;
}

static const char *
kind_name(Oid relid)
{
	switch (get_rel_relkind(relid))
	{
		case RELKIND_MATVIEW:
			return "materialized view";
		case RELKIND_INDEX:
			return "index";
		default:
			return "table";
	}
}

static PgxcFinding *
blocking_finding(const PgxcEffect *effect, const PgxcOpen *migration)
{
	PgxcFinding *finding = palloc0(sizeof(PgxcFinding));
	const char *lock = GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lock);
	char *size = TextDatumGetCString(
		DirectFunctionCall1(pg_size_pretty, Int64GetDatum(effect->bytes)));
	StringInfoData detail;

	finding->work = effect->work;
	finding->relid = effect->relid;
	finding->relation = effect->relation;
	finding->lock = effect->lock;
	finding->migration_id = migration ? migration->id : 0;
	finding->message =
		psprintf("this statement would block %s %s %s",
				 effect->lock >= AccessExclusiveLock ? "reads and writes of"
													 : "writes to",
				 kind_name(effect->relid), effect->relation);
	initStringInfo(&detail);
	appendStringInfo(&detail,
					 "It holds %s during work that takes time: %s (%s).", lock,
					 pgxc_work_text(effect->work), size);
	if (effect->reason)
		appendStringInfo(&detail, " The reason: %s.", effect->reason);
	if (migration)
		appendStringInfo(&detail, " %s \"%s\" is open on it.",
						 migration->expand_only ? "Expand-only phase"
												: "Migration",
						 migration->name);
	finding->detail = detail.data;
	if (effect->alternative)
		finding->hint =
			psprintf("Run instead: %s%s", effect->alternative,
					 pg_str_endswith(effect->alternative, ";") ? "" : ";");
	return finding;
}

static char *
describe_object(const PgxcChange *change)
{
	char *description;

	if (change->what)
		return change->what;
	description = getObjectDescription(&change->object, true);
	return description ? description : pstrdup("an object");
}

static PgxcFinding *
breaking_finding(const PgxcChange *change, const PgxcOpen *migration,
				 const char *reason)
{
	PgxcFinding *finding = palloc0(sizeof(PgxcFinding));
	char *what = describe_object(change);

	finding->breaks = true;
	finding->object = change->object;
	finding->migration_id = migration->id;
	finding->relid = change->object.classId == RelationRelationId
						 ? change->object.objectId
						 : migration->relid;
	finding->relation = what;
	finding->message =
		psprintf("cannot %s %s while %s \"%s\" is open",
				 pgxc_change_verb(change), what,
				 migration->expand_only ? "expand-only phase" : "migration",
				 migration->name);
	finding->detail =
		psprintf("Reason: %s.%s", reason,
				 change->cascade ? " It is reached through a dependency." : "");
	if (migration->expand_only)
		finding->hint =
			psprintf("End the phase with SELECT pgxc.finish_expand_only(%lld).",
					 (long long) migration->id);
	else if (migration->dual_write)
		finding->hint = psprintf(
			"End the migration first, with SELECT pgxc.contract(%lld) or SELECT pgxc.rollback(%lld).",
			(long long) migration->id, (long long) migration->id);
	else
		finding->hint = psprintf(
			"Let the migration finish, or end it with SELECT pgxc.cancel(%lld).",
			(long long) migration->id);
	return finding;
}

/* The tables that the statement drops. */
static List *
dropped_tables(const PgxcAnalysis *a)
{
	List *dropped = NIL;
	ListCell *lc;

	foreach (lc, a->changes)
	{
		PgxcChange *change = (PgxcChange *) lfirst(lc);

		if (change->action == PGXC_ACTION_DROP &&
			change->object.classId == RelationRelationId &&
			change->object.objectSubId == 0)
			dropped = lappend_oid(dropped, change->object.objectId);
	}
	return dropped;
}

/* What goes with its table, other than the migration's own one. */
static bool
goes_with_table(const PgxcChange *change, const PgxcOpen *migration,
				List *dropped)
{
	Oid table;

	if (dropped == NIL || change->action != PGXC_ACTION_DROP)
		return false;
	table = pgxc_table_of(&change->object);
	return table != migration->relid && table != change->object.objectId &&
		   list_member_oid(dropped, table);
}

/* What the changes break: for each migration the first one. */
static List *
judge_changes(List *findings, PgxcAnalysis *a, List *open, List *trees)
{
	List *dropped = dropped_tables(a);
	ListCell *lc;
	ListCell *tree;
	ListCell *c;

	forboth (lc, open, tree, trees)
	{
		PgxcOpen *migration = (PgxcOpen *) lfirst(lc);

		foreach (c, a->changes)
		{
			PgxcChange *change = (PgxcChange *) lfirst(c);
			char *reason;

			if (goes_with_table(change, migration, dropped))
				continue;
			if (!migration->expand_only)
				reason = pgxc_change_breaks(change, migration,
											(List *) lfirst(tree));
			else
				reason = pgxc_change_is_destructive(change, migration,
													(List *) lfirst(tree))
							 ? "old code may still need what it takes away"
							 : NULL;
			if (reason == NULL)
				continue;
			findings =
				lappend(findings, breaking_finding(change, migration, reason));
			break;
		}
	}
	return findings;
}

/*
 * What is to be said against an analysed statement (a List of PgxcFinding *),
 * what breaks a migration first.  open: the open migrations.  every_table: also
 * for blocked tables without one.
 */
List *
pgxc_judge(PgxcAnalysis *a, List *open, bool every_table)
{
	List *findings = NIL;
	List *trees = NIL;
	ListCell *lc;

	foreach (lc, open)
		trees = lappend(trees, pgxc_open_tree((PgxcOpen *) lfirst(lc)));
	findings = judge_changes(findings, a, open, trees);

	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);
		PgxcOpen *migration =
			migration_on(table_of(effect->relid), open, trees);

		if ((migration != NULL || every_table) && pgxc_effect_blocks(a, effect))
			findings = lappend(findings, blocking_finding(effect, migration));
	}
	return findings;
}
