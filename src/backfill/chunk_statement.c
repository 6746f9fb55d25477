/*
 * chunk_statement.c
 *		The statements that a chunk runs on a leaf table.
 *
 * They run as the table's owner, with the settings that the migration was
 * started with, and always as a scan of a range of blocks: a planner hook
 * leaves the chunk's own relation no other path, so that neither an index on
 * the predicate nor stale statistics can turn a chunk into something else.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/sysattr.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_operator_d.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "nodes/params.h"
#include "optimizer/pathnode.h"
#include "optimizer/paths.h"
#include "tcop/dest.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "backfill/chunk_statement.h"
#include "core/compat.h"
#include "core/own_statement.h"
#include "core/sql_runner.h"

#define NUM_PARAMS 6

/* The plans for one leaf of one migration; a process works on one at a time. */
static struct
{
	int64 migration_id;
	Oid relid;
	SPIPlanPtr plans[PGXC_NUM_CHUNK_KINDS];
} cache;

/* The relation whose paths are restricted, while a chunk is being planned. */
static Oid planning_relid = InvalidOid;
static bool planning_found_path;

static set_rel_pathlist_hook_type prev_set_rel_pathlist_hook = NULL;

/* Is this the row's own ctid? */
static bool
is_ctid_of(Node *node, RelOptInfo *rel)
{
	return node != NULL && IsA(node, Var) &&
		   ((Var *) node)->varattno == SelfItemPointerAttributeNumber &&
		   ((Var *) node)->varno == rel->relid &&
		   ((Var *) node)->varlevelsup == 0;
}

/*
 * The path over ctids that a chunk's relation is to have; NULL if no condition
 * asks for it.
 *
 * It is made here: the planner has dropped its own, if it was, on a table of
 * few blocks, dearer than reading all of them.
 */
static Path *
ctid_path(PlannerInfo *root, RelOptInfo *rel)
{
	List *ranges = NIL;
	List *tids = NIL;
	ListCell *lc;

	foreach (lc, rel->baserestrictinfo)
	{
		RestrictInfo *info = lfirst_node(RestrictInfo, lc);

		if (is_opclause(info->clause))
		{
			OpExpr *op = (OpExpr *) info->clause;

			if ((op->opno == TIDGreaterEqOperator ||
				 op->opno == TIDLessOperator) &&
				is_ctid_of(linitial(op->args), rel))
				ranges = lappend(ranges, info);
		}
		else if (IsA(info->clause, ScalarArrayOpExpr))
		{
			ScalarArrayOpExpr *op = (ScalarArrayOpExpr *) info->clause;

			if (op->opno == TIDEqualOperator && op->useOr &&
				is_ctid_of(linitial(op->args), rel))
				tids = lappend(tids, info);
		}
	}
	if (ranges != NIL && (rel->amflags & AMFLAG_HAS_TID_RANGE) != 0)
		return (Path *) create_tidrangescan_path(root, rel, ranges,
												 rel->lateral_relids);
	if (list_length(tids) == 1)
		return (Path *) create_tidscan_path(root, rel, tids,
											rel->lateral_relids);
	return NULL;
}

static void
restrict_paths(PlannerInfo *root, RelOptInfo *rel, Index rti,
			   RangeTblEntry *rte)
{
	Path *path;

	if (prev_set_rel_pathlist_hook)
		prev_set_rel_pathlist_hook(root, rel, rti, rte);

	if (!OidIsValid(planning_relid) || rte->rtekind != RTE_RELATION ||
		rte->relid != planning_relid)
		return;

	path = ctid_path(root, rel);
	if (path != NULL)
	{
		rel->pathlist = list_make1(path);
		rel->partial_pathlist = NIL;
		planning_found_path = true;
	}
}

void
pgxc_chunk_statement_init(void)
{
	prev_set_rel_pathlist_hook = set_rel_pathlist_hook;
	set_rel_pathlist_hook = restrict_paths;
}

/*
 * Drop the cached plans, when a process turns to another leaf or migration.
 */
void
pgxc_chunk_statement_forget(void)
{
	for (int i = 0; i < PGXC_NUM_CHUNK_KINDS; i++)
	{
		if (cache.plans[i] != NULL)
			SPI_freeplan(cache.plans[i]);
	}
	memset(&cache, 0, sizeof(cache));
}

/* "Does row t need the update?" */
static char *
todo_condition(const PgxcMigration *migration, Relation leaf)
{
	StringInfoData buf;
	ListCell *column;
	ListCell *expression;

	if (migration->predicate != NULL)
		return migration->predicate;

	initStringInfo(&buf);
	forboth (column, migration->columns, expression, migration->expressions)
	{
		char *name = (char *) lfirst(column);
		AttrNumber attnum = get_attnum(RelationGetRelid(leaf), name);
		Form_pg_attribute att;

		if (attnum == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of relation \"%s\" does not exist",
							name, RelationGetRelationName(leaf))));
		att = TupleDescAttr(RelationGetDescr(leaf), attnum - 1);
		appendStringInfo(&buf, "%spgxc.differs(t.%s, (%s)::%s)",
						 buf.len > 0 ? " OR " : "", quote_identifier(name),
						 (char *) lfirst(expression),
						 format_type_with_typemod(att->atttypid,
												  att->atttypmod));
	}
	return buf.data;
}

static char *
set_list(const PgxcMigration *migration)
{
	StringInfoData buf;
	ListCell *column;
	ListCell *expression;

	initStringInfo(&buf);
	forboth (column, migration->columns, expression, migration->expressions)
		appendStringInfo(&buf, "%s%s = %s", buf.len > 0 ? ", " : "",
						 quote_identifier((char *) lfirst(column)),
						 (char *) lfirst(expression));
	return buf.data;
}

/*
 * "Or would the old columns' values not come back out of the new one?"  Asked
 * only where a row is done; the answer is an error, which is recorded for the
 * row.  Empty where there is no way back, or the old value is copied.
 */
static char *
lost_condition(const PgxcMigration *migration, Relation leaf)
{
	StringInfoData buf;
	ListCell *column;
	ListCell *down;

	initStringInfo(&buf);
	if (!migration->dual_write || strcmp(migration->kind, "rename") == 0)
		return buf.data;
	forboth (column, migration->old_columns, down, migration->downs)
	{
		char *name = (char *) lfirst(column);
		char *back = (char *) lfirst(down);
		AttrNumber attnum = get_attnum(RelationGetRelid(leaf), name);
		Form_pg_attribute att;

		if (strcmp(back, "!") == 0 || attnum == InvalidAttrNumber)
			continue;
		if (strcmp(back, "=") == 0)
			back = psprintf("t.%s", quote_identifier(migration->new_column));
		att = TupleDescAttr(RelationGetDescr(leaf), attnum - 1);
		appendStringInfo(&buf, " OR pgxc.lost(t.%s, (%s)::%s)",
						 quote_identifier(name), back,
						 format_type_with_typemod(att->atttypid,
												  att->atttypmod));
	}
	return buf.data;
}

/*
 * The row lock that the update will take: one that lets foreign key checks
 * pass, unless a column is assigned that a foreign key could refer to.
 */
static const char *
row_lock_clause(const PgxcMigration *migration, Relation leaf)
{
	Bitmapset *keys = RelationGetIndexAttrBitmap(leaf, INDEX_ATTR_BITMAP_KEY);
	ListCell *lc;

	foreach (lc, migration->columns)
	{
		AttrNumber attnum =
			get_attnum(RelationGetRelid(leaf), (char *) lfirst(lc));

		if (bms_is_member(attnum - FirstLowInvalidHeapAttributeNumber, keys))
			return "FOR UPDATE";
	}
	return "FOR NO KEY UPDATE";
}

/*
 * The text of a statement.  Parameters: $1 and $2 the range, $3 passes, $4 and
 * $5 the passes wanted, $6 rows to leave out.
 *
 * CASE keeps the expressions away from rows that are left out: they may raise
 * errors.
 */
static char *
statement_text(const PgxcMigration *migration, Relation leaf,
			   PgxcChunkKind kind)
{
	char *table = quote_qualified_identifier(get_namespace_name(
												 RelationGetNamespace(leaf)),
											 RelationGetRelationName(leaf));
	char *todo = todo_condition(migration, leaf);
	char *where = psprintf(
		"t.ctid >= $1 AND t.ctid < $2 AND"
		" CASE WHEN pgxc.in_pass(t.ctid, $3, $4, $5, $6) THEN (%s) ELSE false END",
		todo);

	switch (kind)
	{
		case PGXC_CHUNK_UPDATE:
			return psprintf(
				"UPDATE ONLY %s AS t SET %s WHERE %s RETURNING (%s)", table,
				set_list(migration), where, todo);
		case PGXC_CHUNK_UPDATE_UNLOCKED:
			return psprintf(
				"UPDATE ONLY %s AS t SET %s WHERE t.ctid = ANY (ARRAY("
				"SELECT t.ctid FROM ONLY %s AS t WHERE %s"
				" %s SKIP LOCKED)) AND (%s) RETURNING (%s)",
				table, set_list(migration), table, where,
				row_lock_clause(migration, leaf), todo, todo);
		case PGXC_CHUNK_SEEK:
			return psprintf("SELECT t.ctid FROM ONLY %s AS t WHERE %s LIMIT 1",
							table, where);
		case PGXC_CHUNK_VERIFY:
			return psprintf(
				"SELECT count(*), count(*) FILTER (WHERE q.todo),"
				" min(q.at) FILTER (WHERE q.todo), max(q.at) FILTER (WHERE q.todo)"
				" FROM (SELECT t.ctid AS at, (%s)%s AS todo FROM ONLY %s AS t"
				" WHERE t.ctid >= $1 AND t.ctid < $2"
				" AND pgxc.in_pass(t.ctid, $3, $4, $5, $6) OFFSET 0) q",
				todo, lost_condition(migration, leaf), table);
		default:
			elog(ERROR, "unknown kind of chunk %d", kind); /* cannot happen */
	}
	return NULL;
}

static SPIPlanPtr
chunk_plan(const PgxcMigration *migration, Relation leaf, PgxcChunkKind kind)
{
	static Oid argtypes[NUM_PARAMS] = { TIDOID,  TIDOID,  INT4OID,
										INT4OID, INT4OID, TIDARRAYOID };

	if (cache.migration_id != migration->id ||
		cache.relid != RelationGetRelid(leaf))
	{
		pgxc_chunk_statement_forget();
		cache.migration_id = migration->id;
		cache.relid = RelationGetRelid(leaf);
	}

	if (cache.plans[kind] == NULL)
	{
		SPIPlanPtr plan = SPI_prepare(statement_text(migration, leaf, kind),
									  NUM_PARAMS, argtypes);

		if (plan == NULL)
			elog(ERROR, "SPI_prepare failed: %s", /* cannot happen */
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		cache.plans[kind] = plan;
	}
	return cache.plans[kind];
}

/* Receives the rows of RETURNING, and counts those that need the update. */
typedef struct CountReceiver
{
	DestReceiver pub;
	int64 unchanged;
} CountReceiver;

static bool
count_receive(TupleTableSlot *slot, DestReceiver *self)
{
	bool isnull;
	Datum value = slot_getattr(slot, 1, &isnull);

	if (!isnull && DatumGetBool(value))
		((CountReceiver *) self)->unchanged++;
	return true;
}

static void
count_startup(DestReceiver *self, int operation, TupleDesc typeinfo)
{
}

static void
count_nothing(DestReceiver *self)
{
}

static ParamListInfo
chunk_params(const PgxcChunkArgs *args)
{
	static const Oid types[NUM_PARAMS] = { TIDOID,  TIDOID,  INT4OID,
										   INT4OID, INT4OID, TIDARRAYOID };
	ParamListInfo params = makeParamList(NUM_PARAMS);
	ItemPointer first = palloc(sizeof(ItemPointerData));
	ItemPointer end = palloc(sizeof(ItemPointerData));
	ArrayType *skip = args->skip ? args->skip : construct_empty_array(TIDOID);
	Datum values[NUM_PARAMS];

	ItemPointerSet(first, (BlockNumber) (args->range.first >> 16),
				   (OffsetNumber) (args->range.first & 0xFFFF));
	ItemPointerSet(end, (BlockNumber) (args->range.end >> 16),
				   (OffsetNumber) (args->range.end & 0xFFFF));
	values[0] = PointerGetDatum(first);
	values[1] = PointerGetDatum(end);
	values[2] = Int32GetDatum(args->passes);
	values[3] = Int32GetDatum(args->pass_from);
	values[4] = Int32GetDatum(args->pass_to);
	values[5] = PointerGetDatum(skip);
	for (int i = 0; i < NUM_PARAMS; i++)
	{
		params->params[i].value = values[i];
		params->params[i].isnull = false;
		params->params[i].pflags = PARAM_FLAG_CONST;
		params->params[i].ptype = types[i];
	}
	return params;
}

static void
read_result(PgxcChunkKind kind, PgxcChunkOutcome *outcome)
{
	bool isnull;
	Datum value;

	if (kind == PGXC_CHUNK_SEEK)
	{
		outcome->needing = SPI_processed;
		if (SPI_processed > 0)
		{
			value = pgxc_sql_value(0, 1, &isnull);
			outcome->first = PGXC_TID_KEY((ItemPointer) DatumGetPointer(value));
		}
	}
	else if (kind == PGXC_CHUNK_VERIFY)
	{
		outcome->rows = pgxc_sql_int64(0, 1);
		outcome->needing = pgxc_sql_int64(0, 2);
		value = pgxc_sql_value(0, 3, &isnull);
		if (!isnull)
			outcome->first = PGXC_TID_KEY((ItemPointer) DatumGetPointer(value));
		value = pgxc_sql_value(0, 4, &isnull);
		if (!isnull)
			outcome->last = PGXC_TID_KEY((ItemPointer) DatumGetPointer(value));
	}
}

/*
 * A deferred trigger would fire at COMMIT, when we are nobody's owner any
 * more, and so is forbidden in a restricted operation: have it fire at the end
 * of the statement.  It may belong to another table, which a foreign key's
 * action or a user's trigger changes.
 */
static void
make_triggers_immediate(void)
{
	AfterTriggerSetState(makeNode(ConstraintsSetStmt));
}

/* Is this a foreign key on the column, or one that references it? */
static bool
foreign_key_has(Oid constraint, AttrNumber attnum, bool referenced)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	AttrNumber conkey[INDEX_MAX_KEYS];
	AttrNumber confkey[INDEX_MAX_KEYS];
	bool found = false;
	int n;

	if (!HeapTupleIsValid(tuple))
		return false;
	DeconstructFkConstraintRow(tuple, &n, conkey, confkey, NULL, NULL, NULL,
							   NULL, NULL);
	for (int i = 0; i < n; i++)
		found |= (referenced ? confkey[i] : conkey[i]) == attnum;
	ReleaseSysCache(tuple);
	return found;
}

/*
 * Does a foreign key hold for the new column by now?  Its triggers are users'
 * triggers to the server, but must fire.
 */
static bool
new_column_has_foreign_key(const PgxcMigration *migration, Relation leaf)
{
	AttrNumber attnum =
		get_attnum(RelationGetRelid(leaf), migration->new_column);

	for (int i = 0; leaf->trigdesc && i < leaf->trigdesc->numtriggers; i++)
	{
		Trigger *trigger = &leaf->trigdesc->triggers[i];
		int type = RI_FKey_trigger_type(trigger->tgfoid);

		if (type != RI_TRIGGER_NONE && OidIsValid(trigger->tgconstraint) &&
			foreign_key_has(trigger->tgconstraint, attnum,
							type == RI_TRIGGER_PK))
			return true;
	}
	return false;
}

/*
 * The table's own triggers fire for a backfill, which changes the column that
 * the application knows.  When a second column is filled, nothing changes for
 * the application, and they do not, unless asked for.
 *
 * A change of this setting voids all plans.  So a worker has the right one
 * already: see pgxc_chunk_role().
 */
static void
set_replication_role(const PgxcMigration *migration, Relation leaf)
{
	const char *role = pgxc_chunk_role(migration);

	if (strcmp(role, "replica") == 0 &&
		new_column_has_foreign_key(migration, leaf))
		role = "origin";
	if (strcmp(role,
			   GetConfigOption("session_replication_role", false, false)) != 0)
		pgxc_set_saved("session_replication_role", role);
}

/*
 * The session_replication_role in which the chunks of a migration run, but for
 * those that foreign keys must see.
 */
const char *
pgxc_chunk_role(const PgxcMigration *migration)
{
	return migration->dual_write && !migration->fire_triggers ? "replica"
															  : "origin";
}

/*
 * Become the table's owner, in the settings of the migration.
 */
static void
become_owner(const PgxcMigration *migration, Relation leaf, PgxcIdentity *saved)
{
	ListCell *lc;

	pgxc_identity_push(saved, leaf->rd_rel->relowner,
					   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);

	foreach (lc, migration->settings)
	{
		char *name = pstrdup((char *) lfirst(lc));
		char *equals = strchr(name, '=');

		*equals = '\0';
		pgxc_set_saved(name, equals + 1);
	}
	pgxc_set_saved("row_security", "off");
	set_replication_role(migration, leaf);
	pgxc_set_saved("jit", "off");
	pgxc_set_saved("enable_tidscan", "on");
	pgxc_set_saved("plan_cache_mode", "force_generic_plan");
}

/*
 * Run one statement of a chunk on a leaf table.
 *
 * The caller holds ROW EXCLUSIVE on the leaf (ACCESS SHARE for SEEK and
 * VERIFY), is in a transaction with an active snapshot, and has set
 * lock_timeout.  Throws whatever the expressions, triggers and constraints of
 * the table throw; 55P03 for a row lock.
 */
void
pgxc_chunk_execute(const PgxcMigration *migration, Relation leaf,
				   PgxcChunkKind kind, const PgxcChunkArgs *args,
				   PgxcChunkOutcome *outcome)
{
	PgxcIdentity saved;
	SPIExecuteOptions options = { 0 };
	CountReceiver receiver = { { count_receive, count_startup, count_nothing,
								 count_nothing, DestNone },
							   0 };
	bool returning =
		kind == PGXC_CHUNK_UPDATE || kind == PGXC_CHUNK_UPDATE_UNLOCKED;
	SPIPlanPtr plan;

	memset(outcome, 0, sizeof(*outcome));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	make_triggers_immediate();
	become_owner(migration, leaf, &saved);

	options.params = chunk_params(args);
	if (returning)
		options.dest = &receiver.pub;

	/*
	 * Reset in case an error left it set; a plan that is made outside of this
	 * bracket must not be restricted.
	 */
	planning_relid = RelationGetRelid(leaf);
	planning_found_path = false;
	PG_TRY();
	{
		bool fresh = cache.migration_id != migration->id ||
					 cache.relid != RelationGetRelid(leaf) ||
					 cache.plans[kind] == NULL;

		if (migration->dual_write)
			pgxc_own_chunk_begin(migration->id);
		plan = chunk_plan(migration, leaf, kind);
		(void) SPI_execute_plan_extended(plan, &options);
		if (fresh && !planning_found_path)
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot scan table \"%s\" by ranges of blocks",
						RelationGetRelationName(leaf)),
				 errhint(
					 "Another extension may replace the planner's paths.")));
	}
	PG_FINALLY();
	{
		planning_relid = InvalidOid;
		pgxc_own_chunk_end();
	}
	PG_END_TRY();

	if (returning)
	{
		outcome->rows = SPI_processed;
		outcome->unchanged = receiver.unchanged;
	}
	else
		read_result(kind, outcome);

	pgxc_identity_pop(&saved);
	SPI_finish();
}

/*
 * The primary key of a row as JSON, palloc'd in the caller's context; NULL if
 * the table has none, or the row is gone.
 */
char *
pgxc_row_key(Relation leaf, uint64 position)
{
	MemoryContext caller = CurrentMemoryContext;
	Bitmapset *attrs =
		RelationGetIndexAttrBitmap(leaf, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	StringInfoData buf;
	ItemPointerData tid;
	Oid argtype = TIDOID;
	Datum value;
	PgxcIdentity saved;
	int member = -1;
	char *key = NULL;

	if (bms_is_empty(attrs))
		return NULL;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT pg_catalog.jsonb_build_object(");
	while ((member = bms_next_member(attrs, member)) >= 0)
	{
		char *name =
			get_attname(RelationGetRelid(leaf),
						member + FirstLowInvalidHeapAttributeNumber, false);

		appendStringInfo(&buf, "%s%s, t.%s",
						 buf.data[buf.len - 1] == '(' ? "" : ", ",
						 quote_literal_cstr(name), quote_identifier(name));
	}
	appendStringInfo(&buf, ")::text FROM ONLY %s AS t WHERE t.ctid = $1",
					 quote_qualified_identifier(get_namespace_name(
													RelationGetNamespace(leaf)),
												RelationGetRelationName(leaf)));

	ItemPointerSet(&tid, (BlockNumber) (position >> 16),
				   (OffsetNumber) (position & 0xFFFF));
	value = PointerGetDatum(&tid);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed"); /* cannot happen */
	pgxc_identity_push(&saved, leaf->rd_rel->relowner,
					   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	pgxc_set_saved("row_security", "off");
	if (SPI_execute_with_args(buf.data, 1, &argtype, &value, NULL, true, 1) ==
			SPI_OK_SELECT &&
		SPI_processed == 1)
	{
		char *text =
			SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);

		if (text != NULL)
			key = MemoryContextStrdup(caller, text);
	}
	pgxc_identity_pop(&saved);
	SPI_finish();
	return key;
}
