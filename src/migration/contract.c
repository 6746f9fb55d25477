/*
 * contract.c
 *		contract, rollback and prefer.
 *
 * Each is one short transaction: heavy locks, asked for politely, and changes
 * of the catalog alone.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/ddl.h"
#include "core/event_log.h"
#include "core/fingerprint.h"
#include "core/lock_queue.h"
#include "core/shared_state.h"
#include "core/sql_runner.h"
#include "core/transition.h"
#include "migration/carry_over.h"
#include "migration/checklist.h"
#include "migration/contract.h"
#include "migration/control.h"
#include "migration/expand.h"
#include "migration/piece.h"
#include "migration/shape.h"
#include "migration/swap.h"
#include "migration/views.h"

static void
require_dual_write(const PgxcMigration *migration, const char *verb)
{
	if (!migration->dual_write)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot %s migration \"%s\", which is a backfill", verb,
						migration->name),
				 errdetail("A backfill has no second shape."),
				 errhint("Use pgxc.cancel() to end it.")));
	if (strcmp(migration->phase, "migrate") != 0)
		pgxc_refuse_verb(migration, verb, NULL);
}

static void
require_table(const PgxcMigration *migration)
{
	if (get_rel_relkind(migration->relid) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s does not exist any more",
						migration->relation_name),
				 errhint("End the migration with SELECT pgxc.cancel(%lld).",
						 (long long) migration->id)));
}

/*
 * Throw 42P17 if a column or a trigger is not what it was: the columns may be
 * equal no more.  The caller holds locks on all tables.
 */
static void
require_pieces(const PgxcMigration *migration, List *tree)
{
	ListCell *lc;

	foreach (lc, tree)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);

		pgxc_fingerprint_check(migration, rel);
		table_close(rel, NoLock);
	}
}

/*
 * What the checklist finds open, in words; NULL if nothing is.  That every row
 * was read cannot be overridden: throws 55000 unless the migration is ready.
 */
static char *
open_items(const PgxcMigration *migration, bool recreate_views, bool *firm)
{
	StringInfoData open;
	ListCell *lc;

	if (migration->state != PGXC_STATE_READY)
		pgxc_refuse_verb(
			migration, "contract",
			psprintf("It has to be ready first: CALL pgxc.wait(%lld).",
					 (long long) migration->id));
	initStringInfo(&open);
	foreach (lc, pgxc_checklist_items(migration, recreate_views))
	{
		PgxcCheck *check = (PgxcCheck *) lfirst(lc);

		if (check->ok)
			continue;
		appendStringInfo(&open, "%s%s: %s", open.len > 0 ? "; " : "",
						 check->item, check->evidence);
		*firm |= check->firm;
	}
	return open.len > 0 ? open.data : NULL;
}

/* Throw 55000 unless everything is green, or the caller overrides it. */
static char *
require_green(const PgxcMigration *migration, bool force, bool recreate_views)
{
	bool firm = false;
	char *open = open_items(migration, recreate_views, &firm);

	if (open != NULL && (!force || firm))
		ereport(ERROR, (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
						errmsg("cannot contract migration \"%s\" yet",
							   migration->name),
						errdetail("Open items: %s.", open),
						errhint("See SELECT * FROM pgxc.checklist(%lld).",
								(long long) migration->id)));
	return open;
}

static void
drop_trigger(const PgxcMigration *migration)
{
	pgxc_ddl(pgxc_relation_owner(migration->relid),
			 "DROP TRIGGER IF EXISTS %s ON %s",
			 quote_identifier(pgxc_trigger_name(migration->id)),
			 pgxc_qualified_name(migration->relid));
	CommandCounterIncrement();
}

static void
contract_table(const PgxcMigration *migration, List *tree, List *pieces,
			   bool recreate_views)
{
	bool same_type = strcmp(migration->kind, "rename") == 0;
	List *views = NIL;
	ListCell *lc;

	drop_trigger(migration);
	if (migration->keep_old)
		return;
	if (recreate_views)
	{
		views = pgxc_views_capture(migration->relid, migration->old_columns,
								   migration->new_column,
								   migration->final_column, same_type);
		pgxc_views_drop(views);
	}
	if (list_length(migration->old_columns) == 1)
		pgxc_swap_execute(pgxc_swap_prepare(migration, tree, pieces));
	else
	{
		foreach (lc, migration->old_columns)
			pgxc_ddl(pgxc_relation_owner(migration->relid),
					 "ALTER TABLE %s DROP COLUMN %s",
					 pgxc_qualified_name(migration->relid),
					 quote_identifier((char *) lfirst(lc)));
	}
	CommandCounterIncrement();
	pgxc_views_recreate(views);
}

/* The views that will be recreated: OIDs. */
static List *
affected_views(const PgxcMigration *migration)
{
	List *views = NIL;
	ListCell *lc;

	foreach (lc,
			 pgxc_views_locks(migration->relid, migration->old_columns,
							  migration->new_column, migration->final_column,
							  strcmp(migration->kind, "rename") == 0))
		views = lappend_oid(views, ((PgxcTableLock *) lfirst(lc))->relid);
	return views;
}

PG_FUNCTION_INFO_V1(pgxc_contract);
PG_FUNCTION_INFO_V1(pgxc_rollback);
PG_FUNCTION_INFO_V1(pgxc_prefer);

/*
 * contract(migration, force boolean, recreate_views boolean) returns text
 *
 * Takes ACCESS EXCLUSIVE, until the end of the transaction, on the table, its
 * partitions, the tables at the other end of foreign keys of the column, and
 * its sequences.
 */
Datum
pgxc_contract(PG_FUNCTION_ARGS)
{
	bool force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	bool recreate_views = !PG_ARGISNULL(2) && PG_GETARG_BOOL(2);
	PgxcMigration *migration = pgxc_take_control(fcinfo, "contract");
	List *pieces;
	List *tree;
	List *others = NIL;
	char *open;

	require_dual_write(migration, "contract");
	require_table(migration);
	(void) require_green(migration, force, recreate_views);

	pieces = pgxc_pieces_load(migration->id);
	tree = pgxc_migration_tree(migration->relid);
	if (!migration->keep_old && list_length(migration->old_columns) == 1)
		others = list_concat_unique_oid(
			pgxc_carry_related(pieces),
			pgxc_swap_sequences(tree,
								(char *) linitial(migration->old_columns)));
	if (recreate_views && !migration->keep_old)
		others = list_concat_unique_oid(others, affected_views(migration));
	pgxc_lock_tree(tree, others,
				   psprintf("contract migration \"%s\"", migration->name));

	/* Under the lock nothing can change any more: ask again. */
	tree = pgxc_migration_tree(migration->relid);
	require_pieces(migration, tree);
	open = require_green(migration, force, recreate_views);
	if (open != NULL)
		pgxc_event(migration->id, "forced", NULL, NULL,
				   psprintf("contract in spite of: %s", open));
	contract_table(migration, tree, pieces, recreate_views);
	(void) pgxc_transition(migration->id, PGXC_STATE_FINISHED, "done",
						   "contracted by pgxc.contract()");
	pgxc_forget_work(migration->id);
	return pgxc_state_result(PGXC_STATE_FINISHED);
}

/*
 * Is it our table that the row names?  In a restored row it may be another one,
 * which here has the OID of a table that was dropped there.  Ours has the
 * trigger.
 */
static bool
is_own_table(const PgxcMigration *migration)
{
	if (get_rel_relkind(migration->relid) == '\0')
		return false;
	return pgxc_migration_is_home(migration) ||
		   OidIsValid(get_trigger_oid(migration->relid,
									  pgxc_trigger_name(migration->id), true));
}

/*
 * Take the new shape off the table, as it was before the start.  Takes ACCESS
 * EXCLUSIVE on the table, its partitions and the tables that reference the new
 * column.  The caller has the control lock.
 */
void
pgxc_rollback_table(const PgxcMigration *migration)
{
	List *pieces;
	ListCell *lc;

	if (!is_own_table(migration))
		return;
	pgxc_interrupt_build(migration->id);
	pieces = pgxc_pieces_load(migration->id);
	pgxc_lock_tree(pgxc_migration_tree(migration->relid),
				   pgxc_carry_related(pieces),
				   psprintf("roll back migration \"%s\"", migration->name));
	drop_trigger(migration);
	foreach (lc, pieces)
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);

		if (piece->kind == PGXC_PIECE_REFERENCING)
			pgxc_piece_drop(migration->id, piece);
	}
	pgxc_ddl(pgxc_relation_owner(migration->relid),
			 "ALTER TABLE %s DROP COLUMN IF EXISTS %s",
			 pgxc_qualified_name(migration->relid),
			 quote_identifier(migration->new_column));
}

/* rollback(migration) returns text */
Datum
pgxc_rollback(PG_FUNCTION_ARGS)
{
	PgxcMigration *migration = pgxc_take_control(fcinfo, "roll back");

	require_dual_write(migration, "roll back");
	pgxc_rollback_table(migration);
	if (!pgxc_transition(migration->id, PGXC_STATE_FINISHED, "rolled_back",
						 "rolled back by pgxc.rollback()"))
		pgxc_refuse_verb(migration, "roll back", NULL);
	pgxc_forget_work(migration->id);
	return pgxc_state_result(PGXC_STATE_FINISHED);
}

/*
 * prefer(migration, side text) returns void
 *
 * Takes ACCESS EXCLUSIVE on the table and its partitions, to exchange the
 * trigger.
 */
Datum
pgxc_prefer(PG_FUNCTION_ARGS)
{
	static PgxcStatement update =
		PGXC_SQL("UPDATE pgxc.migration SET prefer = $2 WHERE id = $1", INT8OID,
				 TEXTOID);
	char *side = text_to_cstring(PG_GETARG_TEXT_PP(1));
	PgxcMigration *migration;
	PgxcIdentity saved;
	Datum values[2];
	ListCell *lc;

	if (strcmp(side, "old") != 0 && strcmp(side, "new") != 0)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("unknown side \"%s\"", side),
						errhint("It is 'old' or 'new'.")));
	migration = pgxc_take_control(fcinfo, "change the preferred side of");
	require_dual_write(migration, "change the preferred side of");
	require_table(migration);
	pgxc_require_same_table(migration);
	if (strcmp(migration->prefer, side) == 0)
		PG_RETURN_VOID();
	foreach (lc, migration->downs)
	{
		if (strcmp(side, "new") == 0 &&
			strcmp((char *) lfirst(lc), PGXC_NO_WAY) == 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg(
					 "the new column of migration \"%s\" cannot be preferred",
					 migration->name),
				 errdetail(
					 "It has no expression down, so that the old column could not follow."),
				 errhint("Roll it back, and start it with down.")));
	}

	/* An index build would keep the lock from us; it starts over. */
	pgxc_interrupt_build(migration->id);
	pgxc_lock_tree(pgxc_migration_tree(migration->relid), NIL,
				   psprintf("change migration \"%s\"", migration->name));
	drop_trigger(migration);
	pgxc_create_trigger(migration->relid, migration->id, migration->name,
						migration->new_column, side, migration->up,
						migration->settings, migration->old_columns,
						migration->downs);
	values[0] = Int64GetDatum(migration->id);
	values[1] = CStringGetTextDatum(side);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE);
	pgxc_event(migration->id, "altered", NULL, NULL,
			   psprintf("the %s column is preferred", side));
	pgxc_sql_end(&saved);
	PG_RETURN_VOID();
}
