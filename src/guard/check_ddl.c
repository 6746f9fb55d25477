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
#include "utils/array.h"
#include "utils/builtins.h"

#include "guard/ddl_analysis.h"

PG_FUNCTION_INFO_V1(pgxc_check_ddl);

static Datum
work_text(int work)
{
	StringInfoData text;

	if (work == PGXC_WORK_NONE)
		return CStringGetTextDatum("none");
	initStringInfo(&text);
	if (work & PGXC_WORK_SCAN)
		appendStringInfoString(&text, "scan");
	if (work & PGXC_WORK_REWRITE)
		appendStringInfo(&text, "%srewrite", text.len ? ", " : "");
	if (work & PGXC_WORK_INDEX_BUILD)
		appendStringInfo(&text, "%sindex build", text.len ? ", " : "");
	return CStringGetTextDatum(text.data);
}

static void
put_effect(ReturnSetInfo *rsinfo, int no, const PgxcEffect *effect)
{
	Datum values[10] = { 0 };
	bool nulls[10] = { 0 };

	values[0] = Int32GetDatum(no);
	values[1] = CStringGetTextDatum(effect->relation ? effect->relation : "?");
	values[2] =
		CStringGetTextDatum(GetLockmodeName(DEFAULT_LOCKMETHOD, effect->lock));
	values[3] = work_text(effect->work);
	values[4] =
		BoolGetDatum(effect->work != 0 && effect->lock >= AccessExclusiveLock);
	values[5] = BoolGetDatum(effect->work != 0 && effect->lock >= ShareLock);
	values[6] = Int64GetDatum(effect->bytes);
	nulls[7] = true;
	if (effect->reason)
		values[8] = CStringGetTextDatum(effect->reason);
	else
		nulls[8] = true;
	nulls[9] = true;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * check_ddl(sql text)
 */
Datum
pgxc_check_ddl(PG_FUNCTION_ARGS)
{
	char *sql = text_to_cstring(PG_GETARG_TEXT_PP(0));
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	ListCell *lc;
	int no = 0;

	InitMaterializedSRF(fcinfo, 0);
	foreach (lc, pg_parse_query(sql))
	{
		RawStmt *raw = lfirst_node(RawStmt, lc);
		PlannedStmt *stmt = makeNode(PlannedStmt);
		PgxcAnalysis *a;
		ListCell *e;

		no++;
		if (!pgxc_is_ddl(raw->stmt))
			continue;
		stmt->commandType = CMD_UTILITY;
		stmt->utilityStmt = raw->stmt;
		stmt->stmt_location = raw->stmt_location;
		stmt->stmt_len = raw->stmt_len;
		a = pgxc_analyse(stmt, sql, NULL);
		foreach (e, a->effects)
			put_effect(rsinfo, no, (PgxcEffect *) lfirst(e));
	}
	return (Datum) 0;
}
