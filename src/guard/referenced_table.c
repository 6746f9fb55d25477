/*
 * referenced_table.c
 *		The other table of a foreign key: its locks, and the query by which the
 *		server checks the rows that are there.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "guard/partition.h"

/* Has the index exactly these columns, in any order? */
static bool
index_covers(Relation index, Oid relid, List *columns)
{
	ListCell *lc;

	if (index->rd_index->indnkeyatts != list_length(columns))
		return false;
	foreach (lc, columns)
	{
		AttrNumber attnum = get_attnum(relid, strVal(lfirst(lc)));
		bool found = false;

		for (int i = 0; i < index->rd_index->indnkeyatts; i++)
			found |= index->rd_index->indkey.values[i] == attnum;
		if (!found)
			return false;
	}
	return true;
}

/*
 * The unique index that a foreign key to these columns (NIL: to the primary
 * key) would use; InvalidOid: none.
 */
Oid
pgxc_referenced_index(Oid relid, List *columns)
{
	Relation rel = relation_open(relid, AccessShareLock);
	Oid found = InvalidOid;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool matches = form->indisunique && form->indisvalid &&
					   form->indimmediate &&
					   (columns == NIL ? form->indisprimary
									   : index_covers(index, relid, columns));

		index_close(index, NoLock);
		if (!matches)
			continue;
		found = lfirst_oid(lc);
		break;
	}
	relation_close(rel, NoLock);
	return found;
}

/*
 * A foreign key to this table is made: action triggers on it and on all its
 * partitions, and a dependency on the index of each.
 */
void
pgxc_touch_referenced(PgxcAnalysis *a, Oid relid, Oid index)
{
	ListCell *lc;

	pgxc_touch(a, relid, ShareRowExclusiveLock);
	if (OidIsValid(index))
		pgxc_touch(a, index, AccessShareLock);
	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
		return;
	foreach (lc, find_inheritance_children(relid, NoLock))
	{
		Relation part = relation_open(lfirst_oid(lc), AccessShareLock);

		pgxc_touch_referenced(a, lfirst_oid(lc),
							  OidIsValid(index)
								  ? index_get_partition(part, index)
								  : InvalidOid);
		relation_close(part, NoLock);
	}
}

/* All foreign keys to this table, as oids. */
List *
pgxc_constraints_on(Oid referenced)
{
	Relation catalog = table_open(ConstraintRelationId, AccessShareLock);
	List *constraints = NIL;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key[0], Anum_pg_constraint_confrelid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(referenced));
	ScanKeyInit(&key[1], Anum_pg_constraint_contype, BTEqualStrategyNumber,
				F_CHAREQ, CharGetDatum(CONSTRAINT_FOREIGN));
	/* There is no index for this. */
	scan = systable_beginscan(catalog, InvalidOid, false, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		constraints = lappend_oid(constraints,
								  ((Form_pg_constraint) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return constraints;
}

static char *
qualified_name(Oid relid)
{
	return quote_qualified_identifier(get_namespace_name(
										  get_rel_namespace(relid)),
									  get_rel_name(relid));
}

/* ON and WHERE of the query of a check. */
static void
append_conditions(StringInfo sql, HeapTuple tuple, bool removing)
{
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);
	StringInfoData filter;
	AttrNumber conkey[INDEX_MAX_KEYS];
	AttrNumber confkey[INDEX_MAX_KEYS];
	AttrNumber set_columns[INDEX_MAX_KEYS];
	Oid pf[INDEX_MAX_KEYS];
	Oid pp[INDEX_MAX_KEYS];
	Oid ff[INDEX_MAX_KEYS];
	int n;
	int nset;

	DeconstructFkConstraintRow(tuple, &n, conkey, confkey, pf, pp, ff, &nset,
							   set_columns);
	initStringInfo(&filter);
	for (int i = 0; i < n; i++)
	{
		const char *ours =
			quote_identifier(get_attname(form->conrelid, conkey[i], false));
		const char *theirs =
			quote_identifier(get_attname(form->confrelid, confkey[i], false));

		appendStringInfo(sql, "%s pk.%s OPERATOR(pg_catalog.%s) fk.%s",
						 i ? " AND" : " ON", theirs, get_opname(pf[i]), ours);
		if (!removing && i == 0)
			appendStringInfo(&filter, " WHERE pk.%s IS NULL", theirs);
		appendStringInfo(&filter, " %s fk.%s IS NOT NULL",
						 removing && i == 0 ? "WHERE" : "AND", ours);
	}
	appendStringInfoString(sql, filter.data);
}

/* Neither side reads the other when there is nothing on it. */
static void
judge_read(PgxcAnalysis *a, Oid relid, int work_before, bool reads,
		   const char *reason)
{
	PgxcEffect *effect = pgxc_effect_find(a, relid);

	if (effect == NULL)
		return;
	if (!reads)
		effect->work = (effect->work & ~PGXC_WORK_SCAN) | work_before;
	if (effect->work != 0 && work_before == 0)
		effect->reason = unconstify(char *, reason);
}

/*
 * The server checks the rows of one table against a foreign key, as it does
 * for a partition that comes (constraint: the one of its parent) or goes
 * (removing; constraint: the one that ends at this partition).
 *
 * The query is planned, not run; throws what planning throws.
 */
void
pgxc_touch_key_check(PgxcAnalysis *a, Oid constraint, Relation referencing,
					 Oid referenced, bool removing)
{
	Oid fk = RelationGetRelid(referencing);
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	PgxcEffect *fk_effect = pgxc_effect_find(a, fk);
	PgxcEffect *pk_effect = pgxc_effect_find(a, referenced);
	int fk_work = fk_effect ? fk_effect->work : 0;
	int pk_work = pk_effect ? pk_effect->work : 0;
	const char *reason = removing ? "rows that refer to it are looked for"
								  : "a foreign key is checked";
	StringInfoData sql;

	if (!HeapTupleIsValid(tuple))
		return;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT fk.* FROM ONLY %s fk %s %s%s pk",
					 qualified_name(fk), removing ? "JOIN" : "LEFT OUTER JOIN",
					 get_rel_relkind(referenced) == RELKIND_PARTITIONED_TABLE
						 ? ""
						 : "ONLY ",
					 qualified_name(referenced));
	append_conditions(&sql, tuple, removing);
	ReleaseSysCache(tuple);
	pgxc_touch_query_relations(
		a, linitial(raw_parser(sql.data, RAW_PARSE_DEFAULT)), true);
	judge_read(a, fk, fk_work, !removing || pgxc_is_populated(referenced),
			   reason);
	judge_read(a, referenced, pk_work, pgxc_is_populated(fk), reason);
}
