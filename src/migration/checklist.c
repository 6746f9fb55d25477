/*
 * checklist.c
 *		The conditions for contract, each with its evidence.
 *
 * Everything is looked up in the catalog at the moment of the question.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/preflight.h"
#include "backfill/registration.h"
#include "core/fingerprint.h"
#include "core/sql_runner.h"
#include "migration/carry_over.h"
#include "migration/checklist.h"
#include "migration/dependents.h"
#include "migration/expand.h"
#include "migration/piece.h"

static List *
add_check(List *checks, const char *item, bool ok, char *evidence, char *advice)
{
	PgxcCheck *check = palloc(sizeof(PgxcCheck));

	check->item = item;
	check->ok = ok;
	check->firm = false;
	check->evidence = evidence;
	check->advice = ok ? NULL : advice;
	return lappend(checks, check);
}

/* Backfill, verification and bad rows, from the migration's own tables. */
static List *
check_data(List *checks, const PgxcMigration *m)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT coalesce((SELECT sum(l.rows_updated) FROM pgxc.leaf l WHERE l.migration_id = m.id), 0)::bigint,"
		" coalesce(m.verified_rows, 0), (SELECT count(*) FROM pgxc.row_error e WHERE e.migration_id = m.id),"
		" to_char(m.verified_at, 'YYYY-MM-DD HH24:MI:SS TZ'), (SELECT count(*) FROM pgxc.event v"
		" WHERE v.migration_id = m.id AND v.event = 'unconverted') - m.unconverted_seen FROM pgxc.migration m WHERE m.id = $1",
		INT8OID);
	PgxcIdentity saved;
	MemoryContext caller = CurrentMemoryContext;
	Datum value = Int64GetDatum(m->id);
	bool ready = m->state == PGXC_STATE_READY;
	int64 updated;
	int64 verified;
	int64 errors;
	int64 unconverted;
	char *at = NULL;
	bool isnull;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_select_latest(&find, &value, NULL);
	updated = pgxc_sql_int64(0, 1);
	verified = pgxc_sql_int64(0, 2);
	errors = pgxc_sql_int64(0, 3);
	value = pgxc_sql_value(0, 4, &isnull);
	if (!isnull)
		at = MemoryContextStrdup(caller, TextDatumGetCString(value));
	unconverted = pgxc_sql_int64(0, 5);
	pgxc_sql_end(&saved);

	checks = add_check(checks, "backfill", ready,
					   psprintf("%lld rows were filled; the migration is %s",
								(long long) updated, pgxc_state_name(m->state)),
					   psprintf("wait for it with CALL pgxc.wait(%lld)",
								(long long) m->id));
	checks = add_check(
		checks, "verification", ready && at != NULL,
		at ? psprintf("%lld rows were read until %s, and none differed",
					  (long long) verified, at)
		   : pstrdup("not verified yet"),
		psprintf("wait for it with CALL pgxc.wait(%lld)", (long long) m->id));
	checks = add_check(
		checks, "rows that cannot be converted", errors == 0,
		psprintf("%lld rows", (long long) errors),
		psprintf(
			"mend the rows in pgxc.row_errors, then SELECT pgxc.retry(%lld)",
			(long long) m->id));
	return add_check(
		checks, "every write since then was converted", unconverted == 0,
		psprintf(
			"%lld times a transaction wrote a value that cannot be converted, or not back",
			(long long) unconverted),
		psprintf("SELECT pgxc.retry(%lld) reads every row again and finds it",
				 (long long) m->id));
}

/*
 * A trigger that was disabled, or is missing on a partition, lets the columns
 * drift apart unseen.
 */
static List *
check_trigger(List *checks, const PgxcMigration *m)
{
	StringInfoData missing;
	ListCell *lc;

	initStringInfo(&missing);
	foreach (lc, pgxc_migration_tree(m->relid))
	{
		Relation rel = table_open(lfirst_oid(lc), AccessShareLock);
		const Trigger *trigger = pgxc_find_trigger(rel, m->id);

		if (trigger == NULL || trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
			appendStringInfo(&missing, "%s%s", missing.len > 0 ? ", " : "",
							 RelationGetRelationName(rel));
		table_close(rel, NoLock);
	}
	return add_check(
		checks, "the trigger keeps both columns equal", missing.len == 0,
		missing.len == 0 ? pstrdup("it is enabled on every table")
						 : psprintf("missing or disabled on: %s", missing.data),
		psprintf(
			"SELECT pgxc.rollback(%lld), and start again: writes were missed",
			(long long) m->id));
}

/* A partition that came after the verification has rows that nobody read. */
static List *
check_leaves(List *checks, const PgxcMigration *m)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT string_agg(c.relname, ', ' ORDER BY c.relname COLLATE \"C\") FROM pg_class c"
		" WHERE c.oid = ANY ($2) AND c.relkind = 'r' AND NOT EXISTS (SELECT FROM pgxc.leaf l"
		" WHERE l.migration_id = $1 AND l.relid = c.oid AND NOT l.gone)",
		INT8OID, OIDARRAYOID);
	PgxcIdentity saved;
	MemoryContext caller = CurrentMemoryContext;
	Datum values[2];
	char *unknown = NULL;
	bool isnull;
	Datum value;

	values[0] = Int64GetDatum(m->id);
	values[1] = pgxc_oid_list_datum(pgxc_migration_tree(m->relid));
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_select_latest(&find, values, NULL);
	value = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
		unknown = MemoryContextStrdup(caller, TextDatumGetCString(value));
	pgxc_sql_end(&saved);
	checks = add_check(checks, "every table was read", unknown == NULL,
					   unknown ? psprintf("not since it became a partition: %s",
										  unknown)
							   : pstrdup("no partition came later"),
					   psprintf("SELECT pgxc.retry(%lld) fills and reads them",
								(long long) m->id));
	((PgxcCheck *) llast(checks))->firm = true;
	return checks;
}

/* Indexes and constraints on the new column. */
static List *
check_pieces(List *checks, const PgxcMigration *m, List *pieces, bool indexes)
{
	StringInfoData missing;
	ListCell *lc;
	int wanted = 0;
	int valid = 0;

	initStringInfo(&missing);
	foreach (lc, pieces)
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);

		if (pgxc_piece_is_index(piece->kind) != indexes)
			continue;
		wanted++;
		if (pgxc_piece_is_valid(m->id, piece))
			valid++;
		else
			appendStringInfo(&missing, "%s%s %s", missing.len > 0 ? ", " : "",
							 pgxc_piece_kind_name(piece->kind),
							 piece->old_name[0] ? piece->old_name
												: get_rel_name(piece->relid));
	}
	return add_check(checks, indexes ? "indexes" : "constraints",
					 valid == wanted,
					 missing.len > 0
						 ? psprintf("%d of %d valid; missing: %s", valid,
									wanted, missing.data)
						 : psprintf("%d of %d valid", valid, wanted),
					 psprintf("SELECT pgxc.retry(%lld) builds what is missing",
							  (long long) m->id));
}

/* What was put on the old column after the start has no counterpart. */
static List *
check_latecomers(List *checks, const PgxcMigration *m, List *pieces)
{
	List *now = m->keep_old
					? NIL
					: pgxc_carry_list(pgxc_migration_tree(m->relid),
									  (char *) linitial(m->old_columns));
	StringInfoData late;
	ListCell *lc;
	ListCell *known;

	initStringInfo(&late);
	foreach (lc, now)
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);
		bool found = false;

		foreach (known, pieces)
		{
			PgxcPiece *other = (PgxcPiece *) lfirst(known);

			found |= other->kind == piece->kind &&
					 other->relid == piece->relid &&
					 strcmp(other->old_name, piece->old_name) == 0;
		}
		if (!found && list_length(m->old_columns) == 1)
			appendStringInfo(&late, "%s%s %s", late.len > 0 ? ", " : "",
							 pgxc_piece_kind_name(piece->kind),
							 piece->old_name);
	}
	return add_check(
		checks, "everything is carried over", late.len == 0,
		late.len == 0
			? pstrdup("nothing was added to the old column since the start")
			: psprintf("added since the start: %s", late.data),
		pstrdup("drop it from the old column, and create it on the new one"));
}

/* Views, functions and the like. */
static List *
check_dependents(List *checks, const PgxcMigration *m, bool recreate_views)
{
	StringInfoData names;
	StringInfoData advice;
	ListCell *lc;
	int blocking = 0;

	initStringInfo(&names);
	initStringInfo(&advice);
	foreach (lc, m->keep_old ? NIL
							 : pgxc_dependents(m->relid, m->old_columns,
											   m->new_column, m->final_column,
											   strcmp(m->kind, "rename") == 0))
	{
		PgxcDependent *dependent = (PgxcDependent *) lfirst(lc);

		if (recreate_views && dependent->recreatable)
			continue;
		appendStringInfo(&names, "%s%s%s", names.len > 0 ? ", " : "",
						 dependent->identity,
						 dependent->blocks ? "" : " (mentions it)");
		if (dependent->blocks)
			blocking++;
		if (dependent->blocks)
			appendStringInfo(&advice, "%s%s", advice.len > 0 ? "\n" : "",
							 dependent->statement ? dependent->statement
							 : dependent->note    ? dependent->note
												  : dependent->identity);
	}
	return add_check(checks, "nothing depends on the old column", blocking == 0,
					 names.len == 0 ? pstrdup("nothing") : names.data,
					 advice.data);
}

/*
 * Contract drops what an expand-only phase promises to keep.  An item only
 * where there is such a phase.
 */
static List *
check_phases(List *checks, const PgxcMigration *m)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT string_agg(format('\"%s\" on %s', p.name, p.relation_name), ', ' ORDER BY p.id),"
		" string_agg(format('SELECT pgxc.finish_expand_only(%s)', p.id), ', ' ORDER BY p.id)"
		" FROM pgxc.migration p WHERE p.kind = 'expand_only' AND p.phase = 'expand'"
		" AND (p.scope = 'database' OR p.relation::oid = ANY ($1) OR p.scope_schema IN"
		" (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY ($1)))",
		OIDARRAYOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum value = pgxc_oid_list_datum(pgxc_relation_family(m->relid));
	char *names = NULL;
	char *advice = NULL;
	bool isnull;

	pgxc_sql_begin(&saved);
	(void) pgxc_sql_select_latest(&find, &value, NULL);
	value = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
	{
		names = MemoryContextStrdup(caller, TextDatumGetCString(value));
		value = pgxc_sql_value(0, 2, &isnull);
		advice = MemoryContextStrdup(caller, TextDatumGetCString(value));
	}
	pgxc_sql_end(&saved);
	if (names == NULL || m->keep_old)
		return checks;
	return add_check(checks, "no expand-only phase covers the table", false,
					 names, advice);
}

/*
 * The conditions for contract, as PgxcCheck *.  Takes ACCESS SHARE on the
 * table until the end of the transaction.
 */
List *
pgxc_checklist_items(const PgxcMigration *m, bool recreate_views)
{
	Relation rel = table_open(m->relid, AccessShareLock);
	List *pieces = pgxc_pieces_load(m->id);
	List *checks = NIL;

	checks = check_data(checks, m);
	checks = check_leaves(checks, m);
	checks = check_trigger(checks, m);
	checks = check_pieces(checks, m, pieces, true);
	checks = check_pieces(checks, m, pieces, false);
	checks = check_latecomers(checks, m, pieces);
	checks = check_dependents(checks, m, recreate_views);
	checks = check_phases(checks, m);
	table_close(rel, NoLock);
	return checks;
}

PG_FUNCTION_INFO_V1(pgxc_checklist);

/* checklist(migration) returns setof (item, ok, evidence, advice) */
Datum
pgxc_checklist(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgxcMigration *migration = pgxc_migration_argument(fcinfo, 0);
	ListCell *lc;

	pgxc_migration_check_owner(migration);
	pgxc_migration_require_data(migration, "contract");
	if (!migration->dual_write || strcmp(migration->phase, "migrate") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("migration \"%s\" has nothing to contract",
						migration->name),
				 errdetail("It is %s %s, and %s.",
						   migration->expand_only ? "an" : "a", migration->kind,
						   strcmp(migration->phase, "migrate") == 0
							   ? pgxc_state_name(migration->state)
							   : migration->phase)));
	InitMaterializedSRF(fcinfo, 0);
	foreach (lc, pgxc_checklist_items(migration, false))
	{
		PgxcCheck *check = (PgxcCheck *) lfirst(lc);
		Datum values[4];
		bool nulls[4] = { false };

		values[0] = CStringGetTextDatum(check->item);
		values[1] = BoolGetDatum(check->ok);
		values[2] = CStringGetTextDatum(check->evidence);
		values[3] =
			check->advice ? CStringGetTextDatum(check->advice) : (Datum) 0;
		nulls[3] = check->advice == NULL;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
