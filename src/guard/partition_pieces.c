/*
 * partition_pieces.c
 *		What a table gets when it becomes a partition: an index for each index
 *		of the parent, and the parent's foreign keys.
 *
 * What it has already is taken, by the same rules as the server's.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/partition.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/partition.h"

/* The kind of the constraint of an index; 0: none. */
static char
index_constraint_type(Oid relid, Oid index)
{
	Oid constraint = get_relation_idx_constraint_oid(relid, index);
	HeapTuple tuple;
	char type;

	if (!OidIsValid(constraint))
		return 0;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		return 0;
	type = ((Form_pg_constraint) GETSTRUCT(tuple))->contype;
	ReleaseSysCache(tuple);
	return type;
}

static bool
index_matches(Relation index, Relation rel, Relation like, Relation like_table)
{
	char type = index_constraint_type(RelationGetRelid(like_table),
									  RelationGetRelid(like));
	AttrMap *map = pgxc_attrmap_by_name(RelationGetDescr(rel),
										RelationGetDescr(like_table));

	if (!CompareIndexInfo(BuildIndexInfo(index), BuildIndexInfo(like),
						  index->rd_indcollation, like->rd_indcollation,
						  index->rd_opfamily, like->rd_opfamily, map))
		return false;
	return type == 0 || index_constraint_type(RelationGetRelid(rel),
											  RelationGetRelid(index)) == type;
}

/*
 * The table's index that can be attached to an index of the parent;
 * InvalidOid: none.
 */
static Oid
matching_index(Relation rel, Relation like, Relation like_table)
{
	ListCell *lc;
	Oid found = InvalidOid;

	foreach (lc, RelationGetIndexList(rel))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (!index->rd_rel->relispartition && index->rd_index->indisvalid &&
			index_matches(index, rel, like, like_table))
			found = lfirst_oid(lc);
		index_close(index, NoLock);
		if (OidIsValid(found))
			break;
	}
	return found;
}

/*
 * The same by the oid of the parent's index.
 */
Oid
pgxc_partition_index(Relation partition, Relation parent, Oid index)
{
	Relation like = index_open(index, AccessShareLock);
	Oid found = matching_index(partition, like, parent);

	index_close(like, NoLock);
	return found;
}

/* An index of the parent is made on a table, and on its partitions. */
static void
build_index(PgxcAnalysis *a, Relation rel, Relation like, Relation like_table)
{
	ListCell *lc;

	if (rel->rd_rel->relkind == RELKIND_RELATION)
		pgxc_touch_work(a, RelationGetRelid(rel), AccessExclusiveLock,
						PGXC_WORK_SCAN | PGXC_WORK_INDEX_BUILD,
						"it lacks an index that the partitioned table has");
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach (lc, find_inheritance_children(RelationGetRelid(rel), NoLock))
	{
		Relation part = relation_open(lfirst_oid(lc), AccessShareLock);
		Oid index = InvalidOid;

		if (part->rd_rel->relkind != RELKIND_FOREIGN_TABLE)
			index = matching_index(part, like, like_table);
		if (OidIsValid(index))
			pgxc_touch(a, index, ShareLock);
		else
			build_index(a, part, like, like_table);
		relation_close(part, NoLock);
	}
}

/*
 * The indexes of a partitioned table that a table lacks; both must be locked.
 */
List *
pgxc_missing_indexes(Relation parent, Relation partition)
{
	List *missing = NIL;
	ListCell *lc;

	foreach (lc, RelationGetIndexList(parent))
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_rel->relkind == RELKIND_PARTITIONED_INDEX &&
			!OidIsValid(matching_index(partition, index, parent)))
			missing = lappend_oid(missing, lfirst_oid(lc));
		index_close(index, NoLock);
	}
	return missing;
}

/*
 * The indexes that a partition gets, and the locks on those of the parent.
 * partition: NULL for a table that is new and has neither rows nor indexes.
 */
void
pgxc_touch_partition_indexes(PgxcAnalysis *a, Relation parent,
							 Relation partition)
{
	ListCell *lc;

	if (partition && partition->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		return;
	foreach (lc, RelationGetIndexList(parent))
	{
		if (get_rel_relkind(lfirst_oid(lc)) == RELKIND_PARTITIONED_INDEX)
			pgxc_touch(a, lfirst_oid(lc), ShareUpdateExclusiveLock);
	}
	foreach (lc, partition ? pgxc_missing_indexes(parent, partition) : NIL)
	{
		Relation index = index_open(lfirst_oid(lc), AccessShareLock);

		build_index(a, partition, index, parent);
		index_close(index, NoLock);
	}
}

static HeapTuple
constraint_tuple(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no constraint %u", constraint); /* cannot happen */
	return tuple;
}

/* The index of the referenced table that a foreign key uses. */
static Oid
key_index(Oid constraint)
{
	HeapTuple tuple = constraint_tuple(constraint);
	Oid index = ((Form_pg_constraint) GETSTRUCT(tuple))->conindid;

	ReleaseSysCache(tuple);
	return index;
}

static bool
is_enforced(Oid constraint)
{
	HeapTuple tuple = constraint_tuple(constraint);
	bool enforced =
		pgxc_constraint_is_enforced((Form_pg_constraint) GETSTRUCT(tuple));

	ReleaseSysCache(tuple);
	return enforced;
}

/* Do the foreign keys agree but for the table that they are on? */
static bool
keys_agree(ForeignKeyCacheInfo *ours, ForeignKeyCacheInfo *theirs, AttrMap *map)
{
	if (ours->confrelid != theirs->confrelid || ours->nkeys != theirs->nkeys)
		return false;
	for (int i = 0; i < ours->nkeys; i++)
	{
		if (ours->conkey[i] != map->attnums[theirs->conkey[i] - 1] ||
			ours->confkey[i] != theirs->confkey[i] ||
			ours->conpfeqop[i] != theirs->conpfeqop[i])
			return false;
	}
	return true;
}

/*
 * The partition's own foreign key that can be attached to the parent's;
 * InvalidOid: none.  If it is attached without being valid, it is checked.
 */
static Oid
matching_key(Relation partition, ForeignKeyCacheInfo *key, AttrMap *map,
			 bool *check)
{
	HeapTuple tuple = constraint_tuple(key->conoid);
	Form_pg_constraint theirs = (Form_pg_constraint) GETSTRUCT(tuple);
	Oid found = InvalidOid;
	ListCell *lc;

	*check = false;
	foreach (lc, RelationGetFKeyList(partition))
	{
		ForeignKeyCacheInfo *own = lfirst_node(ForeignKeyCacheInfo, lc);
		HeapTuple own_tuple;
		Form_pg_constraint ours;

		if (!keys_agree(own, key, map))
			continue;
		own_tuple = constraint_tuple(own->conoid);
		ours = (Form_pg_constraint) GETSTRUCT(own_tuple);
		if (!OidIsValid(ours->conparentid) &&
			(ours->convalidated || PGXC_ATTACHES_UNVALIDATED_KEYS) &&
			ours->condeferrable == theirs->condeferrable &&
			ours->condeferred == theirs->condeferred &&
			ours->confupdtype == theirs->confupdtype &&
			ours->confdeltype == theirs->confdeltype &&
			ours->confmatchtype == theirs->confmatchtype)
		{
			found = own->conoid;
			*check = theirs->convalidated && !ours->convalidated;
		}
		ReleaseSysCache(own_tuple);
		if (OidIsValid(found))
			break;
	}
	ReleaseSysCache(tuple);
	return found;
}

/* The rows of a table, or of its partitions, are checked. */
static void
check_key(PgxcAnalysis *a, Relation rel, ForeignKeyCacheInfo *key)
{
	ListCell *lc;

	if (rel->rd_rel->relkind == RELKIND_RELATION)
		pgxc_touch_key_check(a, key->conoid, rel, key->confrelid, false);
	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach (lc, find_inheritance_children(RelationGetRelid(rel), NoLock))
	{
		Relation part = relation_open(lfirst_oid(lc), AccessShareLock);

		check_key(a, part, key);
		relation_close(part, NoLock);
	}
}

/* One foreign key of the parent. */
static void
touch_key(PgxcAnalysis *a, Relation parent, Relation partition,
		  ForeignKeyCacheInfo *key)
{
	AttrMap *map;
	bool check;
	ListCell *lc;

	if (partition == NULL)
	{
		pgxc_touch_referenced(a, key->confrelid, key_index(key->conoid));
		return;
	}
	map = pgxc_attrmap_by_name(RelationGetDescr(partition),
							   RelationGetDescr(parent));
	if (OidIsValid(matching_key(partition, key, map, &check)))
	{
		/* The action triggers of its own key are dropped. */
		foreach (lc, find_all_inheritors(key->confrelid, NoLock, NULL))
		{
			if (lfirst_oid(lc) == key->confrelid ||
				get_rel_relispartition(lfirst_oid(lc)))
				pgxc_touch(a, lfirst_oid(lc), AccessExclusiveLock);
		}
		if (check)
			check_key(a, partition, key);
		return;
	}
	pgxc_touch_referenced(a, key->confrelid, key_index(key->conoid));
	if (is_enforced(key->conoid))
		check_key(a, partition, key);
}

/* A foreign key to the parent ends at the partition, too. */
static void
touch_key_on_parent(PgxcAnalysis *a, Relation parent, Relation partition,
					Oid constraint)
{
	HeapTuple tuple = constraint_tuple(constraint);
	Form_pg_constraint form = (Form_pg_constraint) GETSTRUCT(tuple);

	pgxc_touch(a, form->conrelid, ShareRowExclusiveLock);
	if (partition && OidIsValid(form->conindid))
	{
		Relation index = index_open(form->conindid, AccessShareLock);
		Oid own = matching_index(partition, index, parent);

		if (OidIsValid(own))
			pgxc_touch(a, own, AccessShareLock);
		index_close(index, NoLock);
	}
	ReleaseSysCache(tuple);
}

/* Is the constraint one that only repeats another one of the list? */
static bool
repeats_another(Oid constraint, List *constraints)
{
	HeapTuple tuple = constraint_tuple(constraint);
	Oid parent = ((Form_pg_constraint) GETSTRUCT(tuple))->conparentid;

	ReleaseSysCache(tuple);
	return OidIsValid(parent) && list_member_oid(constraints, parent);
}

/* The foreign keys of a table, as ForeignKeyCacheInfo, without repetitions. */
static List *
keys_of(Relation rel)
{
	List *all = NIL;
	List *keys = NIL;
	ListCell *lc;

	foreach (lc, RelationGetFKeyList(rel))
		all = lappend_oid(all, lfirst_node(ForeignKeyCacheInfo, lc)->conoid);
	foreach (lc, RelationGetFKeyList(rel))
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, lc);

		if (!repeats_another(key->conoid, all))
			keys = lappend(keys, key);
	}
	return keys;
}

/*
 * The foreign keys of a partitioned table, as oids, of which a table has none
 * of its own that would do; both must be locked.
 */
List *
pgxc_missing_keys(Relation parent, Relation partition)
{
	AttrMap *map = pgxc_attrmap_by_name(RelationGetDescr(partition),
										RelationGetDescr(parent));
	List *missing = NIL;
	ListCell *lc;

	foreach (lc, keys_of(parent))
	{
		ForeignKeyCacheInfo *key = lfirst_node(ForeignKeyCacheInfo, lc);
		bool check;

		if (is_enforced(key->conoid) &&
			!OidIsValid(matching_key(partition, key, map, &check)))
			missing = lappend_oid(missing, key->conoid);
	}
	return missing;
}

/*
 * The foreign keys of the parent, and those that refer to it.  partition: NULL
 * for a table that is new.
 */
void
pgxc_touch_partition_keys(PgxcAnalysis *a, Relation parent, Relation partition)
{
	List *constraints = pgxc_constraints_on(RelationGetRelid(parent));
	ListCell *lc;

	foreach (lc, constraints)
	{
		if (!repeats_another(lfirst_oid(lc), constraints))
			touch_key_on_parent(a, parent, partition, lfirst_oid(lc));
	}
	foreach (lc, keys_of(parent))
		touch_key(a, parent, partition, lfirst_node(ForeignKeyCacheInfo, lc));
}
