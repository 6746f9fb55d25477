/*
 * expand.c
 *		The expand step: column and trigger, in one transaction.
 *
 * There is no moment at which another session could see the column without
 * the trigger that keeps it equal.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "rewrite/rewriteHandler.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"

#include "backfill/registration.h"
#include "core/ddl.h"
#include "core/fingerprint.h"
#include "core/lock_queue.h"
#include "core/sql_runner.h"
#include "migration/carry_over.h"
#include "migration/column_traits.h"
#include "migration/expand.h"

/* The table, first, and its partitions: OIDs.  Takes no lock. */
List *
pgxc_migration_tree(Oid relid)
{
	return find_all_inheritors(relid, NoLock, NULL);
}

/* Take all of a List of PgxcTableLock. */
typedef struct LockRequest
{
	List *locks;
	const char *what;
} LockRequest;

static void
lock_all(void *arg)
{
	LockRequest *request = (LockRequest *) arg;

	pgxc_lock_politely(request->locks, request->what);
}

/* Forget the tables that are not there any more; false: there was none. */
static bool
forget_dropped(LockRequest *request)
{
	int before = list_length(request->locks);
	ListCell *lc;

	foreach (lc, request->locks)
	{
		PgxcTableLock *lock = (PgxcTableLock *) lfirst(lc);

		if (get_rel_relkind(lock->relid) == '\0')
			request->locks = foreach_delete_current(request->locks, lc);
	}
	return list_length(request->locks) < before;
}

/*
 * ACCESS EXCLUSIVE on a table, its partitions and other relations, politely,
 * until the end of the transaction.  Throws 55P03.
 */
void
pgxc_lock_tree(List *tree, List *others, const char *what)
{
	List *locks = NIL;
	LockRequest request;
	ListCell *lc;

	foreach (lc, list_concat_unique_oid(list_copy(tree), others))
	{
		PgxcTableLock *lock = palloc(sizeof(PgxcTableLock));

		lock->relid = lfirst_oid(lc);
		lock->mode = AccessExclusiveLock;
		locks = lappend(locks, lock);
	}
	request.locks = locks;
	request.what = what;
	for (;;)
	{
		ErrorData *error = pgxc_subxact(lock_all, &request, true);

		if (error == NULL)
			return;
		/* A partition may be dropped while we wait; the table itself not. */
		if (error->sqlerrcode != ERRCODE_UNDEFINED_TABLE ||
			get_rel_relkind(linitial_oid(tree)) == '\0' ||
			!forget_dropped(&request))
			ReThrowError(error);
	}
}

/*
 * DROP of a column that the trigger needs must be refused even where our
 * library is not loaded.
 */
static void
depend_on_columns(Oid relid, const char *trigger, const char *new_column,
				  List *old_columns)
{
	ObjectAddress depender;
	ListCell *lc;

	ObjectAddressSet(depender, TriggerRelationId,
					 get_trigger_oid(relid, trigger, false));
	foreach (lc,
			 lappend(list_copy(old_columns), unconstify(char *, new_column)))
	{
		ObjectAddress column;

		ObjectAddressSubSet(column, RelationRelationId, relid,
							get_attnum(relid, (char *) lfirst(lc)));
		recordDependencyOn(&depender, &column, DEPENDENCY_NORMAL);
	}
	CommandCounterIncrement();
}

/* The same for what an expression calls, reads or is made of. */
static void
depend_on_expression(Oid relid, const char *trigger, const char *expression)
{
	ObjectAddress depender;
	char *sql;
	Query *query;

	if (strcmp(expression, PGXC_COPY) == 0 ||
		strcmp(expression, PGXC_NO_WAY) == 0)
		return;
	sql = psprintf("SELECT %s FROM ONLY %s AS t", expression,
				   pgxc_qualified_name(relid));
	query =
		parse_analyze_fixedparams(linitial_node(RawStmt, pg_parse_query(sql)),
								  sql, NULL, 0, NULL);
	ObjectAddressSet(depender, TriggerRelationId,
					 get_trigger_oid(relid, trigger, false));
	recordDependencyOnExpr(
		&depender, (Node *) linitial_node(TargetEntry, query->targetList)->expr,
		query->rtable, DEPENDENCY_NORMAL);
}

/*
 * Create the trigger that keeps the columns equal, on a table and (the server
 * does so) its partitions.  The caller holds ACCESS EXCLUSIVE on all of them.
 */
void
pgxc_create_trigger(Oid relid, int64 id, const char *name,
					const char *new_column, const char *prefer, const char *up,
					List *settings, List *old_columns, List *downs)
{
	char *trigger = pgxc_trigger_name(id);
	char *table = pgxc_qualified_name(relid);
	Oid owner = pgxc_relation_owner(relid);
	StringInfoData args;
	Datum array = pgxc_text_list_datum(settings);
	ListCell *column;
	ListCell *down;
	ListCell *lc;

	initStringInfo(&args);
	appendStringInfo(&args, "%s, %s, %s, %s, %s, %s",
					 quote_literal_cstr(psprintf("%lld", (long long) id)),
					 quote_literal_cstr(name), quote_literal_cstr(new_column),
					 quote_literal_cstr(prefer), quote_literal_cstr(up),
					 quote_literal_cstr(
						 OidOutputFunctionCall(F_ARRAY_OUT, array)));
	forboth (column, old_columns, down, downs)
		appendStringInfo(&args, ", %s, %s",
						 quote_literal_cstr((char *) lfirst(column)),
						 quote_literal_cstr((char *) lfirst(down)));

	pgxc_ddl(owner,
			 "CREATE TRIGGER %s BEFORE INSERT OR UPDATE ON %s"
			 " FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write(%s)",
			 quote_identifier(trigger), table, args.data);
	pgxc_ddl(owner, "ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", table,
			 quote_identifier(trigger));
	foreach (lc, pgxc_migration_tree(relid))
		depend_on_columns(lfirst_oid(lc), trigger, new_column, old_columns);
	depend_on_expression(relid, trigger, up);
	foreach (lc, downs)
		depend_on_expression(relid, trigger, (char *) lfirst(lc));
}

/* A column of the new type that is NULL in every row. */
static void
add_column(const PgxcShape *shape, Oid relid)
{
	char *collation = "";
	PgxcIdentity saved;

	pgxc_identity_push(&saved, GetUserId(), 0);
	if (OidIsValid(shape->collation) &&
		shape->collation != get_typcollation(shape->typid))
		collation =
			psprintf(" COLLATE %s", generate_collation_name(shape->collation));
	pgxc_identity_pop(&saved);
	pgxc_ddl(pgxc_relation_owner(relid), "ALTER TABLE %s ADD COLUMN %s %s%s",
			 pgxc_qualified_name(relid), quote_identifier(shape->new_column),
			 pgxc_shape_type_name(shape), collation);
	CommandCounterIncrement();
}

static void
copy_traits(const PgxcShape *shape, List *tree)
{
	char *old_column = (char *) linitial(shape->old_columns);
	ListCell *lc;

	foreach (lc, tree)
	{
		pgxc_column_copy_settings(lfirst_oid(lc), old_column, shape->new_column,
								  shape->same_type);
		pgxc_column_copy_acl(lfirst_oid(lc), old_column, shape->new_column);
		pgxc_column_copy_comment(lfirst_oid(lc), old_column, shape->new_column);
	}
}

/* A shape and its table, for what runs in a subtransaction. */
typedef struct Trial
{
	const PgxcShape *shape;
	Oid relid;
} Trial;

/*
 * A default that always is the same has to have a value, or each INSERT that
 * relies on it would fail after contract.
 */
static void
evaluate_default(const Trial *trial)
{
	Relation rel = table_open(trial->relid, NoLock);
	Node *expr =
		build_column_default(rel, get_attnum(trial->relid,
											 trial->shape->new_column));
	EState *estate = CreateExecutorState();
	PgxcIdentity saved;
	bool isnull;

	if (!contain_mutable_functions(expr))
	{
		pgxc_identity_push(&saved, rel->rd_rel->relowner,
						   SECURITY_LOCAL_USERID_CHANGE |
							   SECURITY_RESTRICTED_OPERATION);
		(void) ExecEvalExprSwitchContext(ExecPrepareExpr((Expr *) expr, estate),
										 GetPerTupleExprContext(estate),
										 &isnull);
		pgxc_identity_pop(&saved);
	}
	FreeExecutorState(estate);
	table_close(rel, NoLock);
}

/* Whether the old column's default makes sense in the new one. */
static void
try_default(void *arg)
{
	Trial *trial = (Trial *) arg;
	Relation rel = table_open(trial->relid, NoLock);
	char *expression = pgxc_shape_default(trial->shape, rel);

	table_close(rel, NoLock);
	if (expression == NULL)
		return;
	pgxc_ddl(pgxc_relation_owner(trial->relid),
			 "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s",
			 pgxc_qualified_name(trial->relid),
			 quote_identifier(trial->shape->new_column), expression);
	CommandCounterIncrement();
	evaluate_default(trial);
}

static void
check_default(const PgxcShape *shape, Oid relid)
{
	Trial trial = { shape, relid };
	ErrorData *error = pgxc_subxact(try_default, &trial, false);

	if (error == NULL)
		return;
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		ReThrowError(error);
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg("cannot carry over the default of column \"%s\"",
				(char *) linitial(shape->old_columns)),
		 errdetail("Reason: %s.", error->message),
		 errhint(
			 "Drop the default first, and set one on the new column after contract.")));
}

/*
 * Expand: add the column, give it what the old one has, create the trigger.
 * Returns the pieces that are to be built later.  shape is complete but for
 * downs.  The caller holds ACCESS EXCLUSIVE on all tables of the tree, and has
 * none of them open.  Throws 0A000 by name for what cannot be carried over.
 */
List *
pgxc_expand(PgxcShape *shape, List *tree, int64 id, const char *name,
			List *settings)
{
	Oid relid = linitial_oid(tree);
	List *pieces = pgxc_carry_capture(shape, tree, id);
	Relation rel;

	add_column(shape, relid);
	rel = table_open(relid, NoLock);
	pgxc_shape_down(shape, rel, true);
	table_close(rel, NoLock);
	if (pgxc_shape_carries(shape))
	{
		copy_traits(shape, tree);
		pgxc_carry_try(shape, pieces);
		check_default(shape, relid);
	}
	pgxc_create_trigger(relid, id, name, shape->new_column, "old", shape->up,
						settings, shape->old_columns, shape->downs);
	return pieces;
}
