/*
 * foreign_key.c
 *		Adding and validating a foreign key: two tables, and the partitions of
 *		both.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "partitioning/partdesc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"

#include "core/compat.h"
#include "guard/constraint.h"

/* One foreign key that is added. */
typedef struct ForeignKey
{
	const Constraint *constraint;
	Oid referenced;
	int nkeys;
	AttrNumber keys[INDEX_MAX_KEYS]; /* of the referenced table */
	LOCKMODE lock;                   /* on the referencing side */
	bool validate;
} ForeignKey;

static bool
is_partitioned(Oid relid)
{
	return get_rel_relkind(relid) == RELKIND_PARTITIONED_TABLE;
}

/* The referenced table and all of its partitions get this lock. */
static void
touch_referenced(PgxcAnalysis *a, Oid referenced, LOCKMODE lock)
{
	(void) pgxc_touch(a, referenced, lock);
	if (is_partitioned(referenced))
		pgxc_touch_descendants(a, referenced, lock);
}

/* Rows of this table are looked up, which also locks its indexes. */
static void
scan_referenced(PgxcAnalysis *a, Oid relid, bool rows, bool period)
{
	/* Period by period, a trigger's query locks rows, and indexes like it. */
	LOCKMODE lock = period ? RowShareLock : AccessShareLock;

	if (rows && get_rel_relkind(relid) == RELKIND_RELATION)
		pgxc_touch_scan(a, relid, lock, "the foreign key looks for its rows");
	else
		(void) pgxc_touch(a, relid, lock);
	pgxc_touch_planned_indexes(a, relid, lock);
}

/*
 * The rows of one table that has rows (a partition, perhaps) are compared with
 * those of the referenced table, under this lock.
 *
 * One query does it.  It is planned even where there are no rows, and its
 * locks stay, those of all indexes included.  Only with PERIOD (18) there is a
 * query for each row instead.
 */
void
pgxc_scan_foreign_key(PgxcAnalysis *a, Oid relid, Oid referenced, LOCKMODE lock,
					  bool period)
{
	bool rows = pgxc_is_populated(relid);
	ListCell *lc;

	pgxc_touch_scan(a, relid, lock,
					"every row is looked up by the foreign key");
	(void) pgxc_touch(a, referenced, RowShareLock);
	if (period && !rows)
		return;
	if (!period)
		pgxc_touch_planned_indexes(a, relid, AccessShareLock);
	scan_referenced(a, referenced, rows, period);
	if (!is_partitioned(referenced))
		return;
	foreach (lc, find_all_inheritors(referenced, AccessShareLock, NULL))
	{
		if (lfirst_oid(lc) != referenced)
			scan_referenced(a, lfirst_oid(lc), rows, period);
	}
}

/* The columns that are named on the referenced side. */
static void
find_named_columns(ForeignKey *fk)
{
	ListCell *lc;

	foreach (lc, fk->constraint->pk_attrs)
	{
		if (fk->nkeys == INDEX_MAX_KEYS)
			break;
		fk->keys[fk->nkeys++] = get_attnum(fk->referenced, strVal(lfirst(lc)));
	}
}

/* Does this unique index have just these columns? */
static bool
is_referenced_index(const ForeignKey *fk, Relation index)
{
	Form_pg_index form = index->rd_index;

	if (form->indnkeyatts != fk->nkeys || !form->indisvalid ||
		!form->indimmediate || RelationGetIndexPredicate(index) != NIL)
		return false;
	if (!form->indisunique &&
		!(pgxc_constraint_def_period(fk->constraint) && form->indisexclusion))
		return false;
	for (int i = 0; i < fk->nkeys; i++)
	{
		int k;

		for (k = 0; k < fk->nkeys; k++)
			if (form->indkey.values[k] == fk->keys[i])
				break;
		if (k == fk->nkeys)
			return false;
	}
	return true;
}

/*
 * The referenced columns, and the unique index over them: what the constraint
 * names, or else the primary key.
 */
static Oid
find_referenced_key(ForeignKey *fk)
{
	Relation rel = relation_open(fk->referenced, AccessShareLock);
	List *indexes = RelationGetIndexList(rel);
	Oid primary = rel->rd_pkindex;
	Oid found = InvalidOid;
	ListCell *lc;

	find_named_columns(fk);
	if (fk->nkeys == 0)
		indexes = OidIsValid(primary) ? list_make1_oid(primary) : NIL;
	foreach (lc, indexes)
	{
		Relation index = relation_open(lfirst_oid(lc), AccessShareLock);

		if (fk->nkeys == 0)
		{
			fk->nkeys = index->rd_index->indnkeyatts;
			memcpy(fk->keys, index->rd_index->indkey.values,
				   fk->nkeys * sizeof(AttrNumber));
		}
		if (is_referenced_index(fk, index))
			found = lfirst_oid(lc);
		relation_close(index, NoLock);
		if (OidIsValid(found))
			break;
	}
	relation_close(rel, NoLock);
	/* Those of a new column are not named: then nobody has such a key. */
	if (fk->nkeys != list_length(fk->constraint->fk_attrs))
		fk->nkeys = 0;
	return found;
}

/* Are the columns of a partition's foreign key those of the new one? */
static bool
has_same_columns(const ForeignKey *fk, Oid partition,
				 const ForeignKeyCacheInfo *other)
{
	if (fk->nkeys == 0 || other->nkeys != fk->nkeys ||
		other->confrelid != fk->referenced)
		return false;
	for (int i = 0; i < fk->nkeys; i++)
	{
		char *column = strVal(list_nth(fk->constraint->fk_attrs, i));

		if (other->conkey[i] != get_attnum(partition, column) ||
			other->confkey[i] != fk->keys[i])
			return false;
	}
	return true;
}

/* Can it serve as the partition's share of the new one? */
static bool
is_same_key(const ForeignKey *fk, Oid partition,
			const ForeignKeyCacheInfo *other)
{
	const Constraint *constraint = fk->constraint;
	Form_pg_constraint form;

	if (!has_same_columns(fk, partition, other))
		return false;
	form = pgxc_constraint_by_oid(other->conoid);
	if (form == NULL)
		return false;
#ifndef PGXC_HAVE_PARTITIONED_NOT_VALID
	if (!form->convalidated)
		return false;
#endif
	return !OidIsValid(form->conparentid) &&
		   form->condeferrable == constraint->deferrable &&
		   form->condeferred == constraint->initdeferred &&
		   form->confupdtype == constraint->fk_upd_action &&
		   form->confdeltype == constraint->fk_del_action &&
		   form->confmatchtype == constraint->fk_matchtype;
}

/*
 * If the partition has such a key already, that one becomes part of the new
 * one.  Then its triggers on the referenced side are dropped.
 */
static bool
attach_existing(PgxcAnalysis *a, const ForeignKey *fk, Relation partition)
{
	Oid relid = RelationGetRelid(partition);
	ListCell *lc;

	foreach (lc, RelationGetFKeyList(partition))
	{
		ForeignKeyCacheInfo *other = lfirst_node(ForeignKeyCacheInfo, lc);
		Form_pg_constraint form;

		if (!is_same_key(fk, relid, other))
			continue;
#ifdef PGXC_ATTACHED_KEY_LOSES_ALL_TRIGGERS
		touch_referenced(a, fk->referenced, AccessExclusiveLock);
#else
		(void) pgxc_touch(a, fk->referenced, AccessExclusiveLock);
#endif
		form = pgxc_constraint_by_oid(other->conoid);
		if (fk->validate && !form->convalidated && !is_partitioned(relid))
			pgxc_scan_foreign_key(a, relid, fk->referenced, fk->lock,
								  pgxc_constraint_period(form));
		return true;
	}
	return false;
}

/* The referencing side: this table, or all of its partitions. */
static void
add_referencing(PgxcAnalysis *a, const ForeignKey *fk, Relation rel)
{
	PartitionDesc partitions;

	if (rel->rd_rel->relkind == RELKIND_RELATION && fk->validate)
		pgxc_scan_foreign_key(a, RelationGetRelid(rel), fk->referenced,
							  fk->lock,
							  pgxc_constraint_def_period(fk->constraint));
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	partitions = RelationGetPartitionDesc(rel, true);
	for (int i = 0; i < partitions->nparts; i++)
	{
		Relation partition =
			relation_open(partitions->oids[i], AccessShareLock);

		(void) pgxc_touch(a, partitions->oids[i], fk->lock);
		if (!attach_existing(a, fk, partition))
			add_referencing(a, fk, partition);
		relation_close(partition, NoLock);
	}
}

/*
 * A foreign key comes.  rel is the referencing table, NULL if the statement
 * makes it, and lock what the statement takes on it and its partitions;
 * validate says whether its rows are checked.
 */
void
pgxc_add_foreign_key(PgxcAnalysis *a, Relation rel, Constraint *constraint,
					 LOCKMODE lock, bool validate)
{
	ForeignKey fk = { .constraint = constraint,
					  .lock = lock,
					  .validate = validate };
	Oid index;

	fk.referenced = pgxc_resolve(a, constraint->pktable);
	if (!OidIsValid(fk.referenced))
		return;
	/* Rows of it can no longer go as they like. */
	touch_referenced(a, fk.referenced, ShareRowExclusiveLock);
	(void) pgxc_change_column(a, PGXC_ACTION_ADD, fk.referenced, 0);
	index = find_referenced_key(&fk);
	if (OidIsValid(index))
	{
		(void) pgxc_touch(a, index, AccessShareLock);
		pgxc_touch_descendants(a, index, AccessShareLock);
	}
	if (rel == NULL)
		return;
	add_referencing(a, &fk, rel);
}
