/*
 * check_ddl.c
 *		pgxc.check_ddl(): what the guard thinks of a text, without running it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "nodes/makefuncs.h"
#include "storage/lock.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "guard/ddl_analysis.h"
#include "guard/judge.h"
#include "guard/open_migrations.h"
#include "guard/pending.h"

enum
{
	COL_STATEMENT_NO,
	COL_RELATION,
	COL_LOCK_MODE,
	COL_WORK,
	COL_BLOCKS_READS,
	COL_BLOCKS_WRITES,
	COL_ESTIMATED_BYTES,
	COL_VERDICT,
	COL_REASON,
	COL_SAFE_ALTERNATIVE,
	NUM_COLUMNS
};

typedef struct Row
{
	int no;
	const char *relation;
	const PgxcEffect *effect; /* NULL: no relation is touched */
	bool takes_time;
	const char *verdict;
	const char *reason;
	const char *alternative;
} Row;

static void
put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
put_row(ReturnSetInfo *rsinfo, const Row *row)
{
	Datum values[NUM_COLUMNS] = { 0 };
	bool nulls[NUM_COLUMNS] = { 0 };
	const PgxcEffect *effect = row->effect;

	values[COL_STATEMENT_NO] = Int32GetDatum(row->no);
	put_text(values, nulls, COL_RELATION, row->relation);
	put_text(values, nulls, COL_LOCK_MODE,
			 effect && effect->lock != NoLock
				 ? GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lock)
				 : NULL);
	put_text(values, nulls, COL_WORK,
			 pgxc_work_text(effect ? effect->work : PGXC_WORK_NONE));
	values[COL_BLOCKS_READS] =
		BoolGetDatum(row->takes_time && effect->lock >= AccessExclusiveLock);
	values[COL_BLOCKS_WRITES] =
		BoolGetDatum(row->takes_time && effect->lock >= ShareLock);
	values[COL_ESTIMATED_BYTES] = Int64GetDatum(effect ? effect->bytes : 0);
	put_text(values, nulls, COL_VERDICT, row->verdict);
	put_text(values, nulls, COL_REASON, row->reason);
	put_text(values, nulls, COL_SAFE_ALTERNATIVE, row->alternative);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* What is to be said against a relation; what breaks comes first. */
static PgxcFinding *
take_finding(List **findings, Oid relid)
{
	ListCell *lc;

	foreach (lc, *findings)
	{
		PgxcFinding *finding = (PgxcFinding *) lfirst(lc);

		if (finding->relid == relid)
		{
			*findings = list_delete_ptr(*findings, finding);
			return finding;
		}
	}
	return NULL;
}

static Row
row_of(int no, const PgxcEffect *effect, const PgxcFinding *finding)
{
	Row row = { .no = no, .effect = effect, .verdict = "allow" };

	if (effect != NULL)
	{
		row.relation = effect->relation;
		row.reason = effect->reason;
		row.alternative = effect->alternative;
	}
	else
		row.relation = OidIsValid(finding->relid) ? get_rel_name(finding->relid)
												  : finding->relation;
	if (finding == NULL)
		return row;
	row.verdict = finding->breaks ? "would break" : "would block";
	if (finding->breaks)
	{
		row.reason = psprintf("%s (%s)", finding->message, finding->detail);
		row.alternative = NULL;
	}
	return row;
}

static void
put_statement(ReturnSetInfo *rsinfo, int no, PgxcAnalysis *a)
{
	List *findings = pgxc_judge(a, pgxc_open_migrations(), true);
	ListCell *lc;

	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);
		PgxcFinding *finding = take_finding(&findings, effect->relid);
		Row row = row_of(no, effect, finding);

		row.takes_time = pgxc_effect_takes_time(a, effect);
		/* One row for each relation: the rest is about the same one. */
		while (take_finding(&findings, effect->relid) != NULL)
			;
		put_row(rsinfo, &row);
	}
	foreach (lc, findings)
	{
		Row row = row_of(no, NULL, (PgxcFinding *) lfirst(lc));

		put_row(rsinfo, &row);
	}
}

static void
put_error(ReturnSetInfo *rsinfo, int no, const PgxcAnalysis *a,
		  const PgxcPending *pending)
{
	Row row = { .no = no, .verdict = "error", .reason = a->error };

	if (!pgxc_pending_is_empty(pending))
	{
		row.verdict = "unknown";
		row.reason =
			psprintf("%s (unless an earlier statement mends that)", a->error);
	}
	put_row(rsinfo, &row);
}

static void
check_statement(ReturnSetInfo *rsinfo, int no, const RawStmt *raw,
				const char *sql, PgxcPending *pending)
{
	PgxcAnalysis *a = NULL;

	if (pgxc_is_ddl(raw->stmt))
	{
		PlannedStmt *stmt = makeNode(PlannedStmt);

		stmt->commandType = CMD_UTILITY;
		stmt->utilityStmt = raw->stmt;
		stmt->stmt_location = raw->stmt_location;
		stmt->stmt_len = raw->stmt_len;
		a = pgxc_analyse(stmt, sql, pending);
		pgxc_pending_keep_locks(pending, no, a);
		if (a->error != NULL)
			put_error(rsinfo, no, a, pending);
		else
			put_statement(rsinfo, no, a);
	}
	pgxc_pending_note(pending, no, raw->stmt, a);
}

PG_FUNCTION_INFO_V1(pgxc_check_ddl);

/*
 * check_ddl(sql text) returns setof record
 *
 * Takes ACCESS SHARE on what the text names, for a moment.
 */
Datum
pgxc_check_ddl(PG_FUNCTION_ARGS)
{
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	PgxcPending *pending = pgxc_pending_create();
	ListCell *lc;
	int no = 0;

	InitMaterializedSRF(fcinfo, 0);
	foreach (lc, pg_parse_query(sql))
		check_statement(rsinfo, ++no, lfirst_node(RawStmt, lc), sql, pending);
	return (Datum) 0;
}
