/*
 * column_traits.c
 *		What belongs to a column itself: settings, rights, comment, sequence.
 *
 * Where the server has a statement that says exactly what we mean, it is used.
 * Rights are copied as they are stored, because GRANT would change grantors
 * and order; an identity is moved with its sequence, because the server can
 * only make a new one.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_sequence.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "core/ddl.h"
#include "core/sql_runner.h"
#include "migration/column_traits.h"

/*
 * Give a column the statistics target, storage, compression and options of
 * another one.  Where the types differ, storage and compression are those of
 * the new type.  The caller holds ACCESS EXCLUSIVE on the table; partitions
 * are not touched.
 */
void
pgxc_column_copy_settings(Oid relid, const char *from, const char *to,
						  bool same_type)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT string_agg(action, ', ') FROM pg_attribute a JOIN pg_type y ON y.oid = a.atttypid,"
		" LATERAL (VALUES (CASE WHEN a.attstattarget >= 0 THEN format('ALTER COLUMN %I SET STATISTICS %s', $3, a.attstattarget) END),"
		" (CASE WHEN $4 AND a.attstorage <> y.typstorage THEN format('ALTER COLUMN %I SET STORAGE %s', $3,"
		" CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END) END),"
		" (CASE WHEN $4 AND a.attcompression <> '' THEN format('ALTER COLUMN %I SET COMPRESSION %s', $3,"
		" CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END) END),"
		" ((SELECT format('ALTER COLUMN %I SET (%s)', $3, string_agg(o, ', ')) FROM unnest(a.attoptions) o"
		" WHERE o LIKE 'n\\_distinct%' HAVING count(*) > 0))) v (action)"
		" WHERE a.attrelid = $1 AND a.attname = $2",
		OIDOID, TEXTOID, TEXTOID, BOOLOID);
	PgxcIdentity saved;
	MemoryContext caller = CurrentMemoryContext;
	Datum values[4];
	char *actions = NULL;
	bool isnull;
	Datum value;

	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(from);
	values[2] = CStringGetTextDatum(to);
	values[3] = BoolGetDatum(same_type);
	pgxc_sql_begin(&saved);
	(void) pgxc_sql_select_latest(&find, values, NULL);
	value = pgxc_sql_value(0, 1, &isnull);
	if (!isnull)
		actions = MemoryContextStrdup(caller, TextDatumGetCString(value));
	pgxc_sql_end(&saved);
	if (actions != NULL)
		pgxc_ddl(pgxc_relation_owner(relid), "ALTER TABLE ONLY %s %s",
				 pgxc_qualified_name(relid), actions);
}

/*
 * Give a column the rights of another one, grantors and order included.
 */
void
pgxc_column_copy_acl(Oid relid, const char *from, const char *to)
{
	Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple source = SearchSysCacheAttName(relid, from);
	HeapTuple target = SearchSysCacheCopyAttName(relid, to);
	Datum values[Natts_pg_attribute] = { 0 };
	bool nulls[Natts_pg_attribute] = { false };
	bool replaces[Natts_pg_attribute] = { false };
	Oid *old_members = NULL;
	Oid *new_members = NULL;
	int n_old = 0;
	int n_new = 0;
	Datum acl;
	bool isnull;

	if (!HeapTupleIsValid(source) || !HeapTupleIsValid(target))
		elog(ERROR, "a column is missing"); /* cannot happen */

	acl = SysCacheGetAttr(ATTNAME, target, Anum_pg_attribute_attacl, &isnull);
	if (!isnull)
		n_old = aclmembers(DatumGetAclPCopy(acl), &old_members);
	acl = SysCacheGetAttr(ATTNAME, source, Anum_pg_attribute_attacl, &isnull);
	if (!isnull)
		n_new = aclmembers(DatumGetAclPCopy(acl), &new_members);

	replaces[Anum_pg_attribute_attacl - 1] = true;
	values[Anum_pg_attribute_attacl - 1] = acl;
	nulls[Anum_pg_attribute_attacl - 1] = isnull;
	if (n_old > 0 || n_new > 0)
	{
		AttrNumber attnum = ((Form_pg_attribute) GETSTRUCT(target))->attnum;
		Oid owner = pgxc_relation_owner(relid);
		HeapTuple changed =
			heap_modify_tuple(target, RelationGetDescr(attributes), values,
							  nulls, replaces);

		CatalogTupleUpdate(attributes, &changed->t_self, changed);
		updateAclDependencies(RelationRelationId, relid, attnum, owner, n_old,
							  old_members, n_new, new_members);
		CommandCounterIncrement();
	}
	ReleaseSysCache(source);
	table_close(attributes, RowExclusiveLock);
}

/* Give a column the comment of another one, or none. */
void
pgxc_column_copy_comment(Oid relid, const char *from, const char *to)
{
	CreateComments(relid, RelationRelationId, get_attnum(relid, to),
				   GetComment(relid, RelationRelationId,
							  get_attnum(relid, from)));
	CommandCounterIncrement();
}

/* The sequences that a column owns, an identity's included: OIDs. */
List *
pgxc_column_sequences(Oid relid, const char *column)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT d.objid FROM pg_depend d JOIN pg_class c ON c.oid = d.objid AND c.relkind = 'S'"
		" JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid"
		" WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass"
		" AND d.refobjid = $1 AND a.attname = $2 AND d.deptype IN ('a', 'i') ORDER BY 1",
		OIDOID, TEXTOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum values[2];
	List *sequences = NIL;
	uint64 n;

	values[0] = ObjectIdGetDatum(relid);
	values[1] = CStringGetTextDatum(column);
	pgxc_sql_begin(&saved);
	n = pgxc_sql_select_latest(&find, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		bool isnull;
		MemoryContext old = MemoryContextSwitchTo(caller);

		sequences =
			lappend_oid(sequences,
						DatumGetObjectId(pgxc_sql_value(i, 1, &isnull)));
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return sequences;
}

static char
column_identity(Oid relid, const char *column)
{
	HeapTuple tuple = SearchSysCacheAttName(relid, column);
	char identity;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "a column is missing"); /* cannot happen */
	identity = ((Form_pg_attribute) GETSTRUCT(tuple))->attidentity;
	ReleaseSysCache(tuple);
	return identity;
}

/* Set attidentity of a column; returns what it was. */
static char
set_identity(Oid relid, const char *column, char identity)
{
	Relation attributes = table_open(AttributeRelationId, RowExclusiveLock);
	HeapTuple tuple = SearchSysCacheCopyAttName(relid, column);
	Form_pg_attribute att;
	char before;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "a column is missing"); /* cannot happen */
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	before = att->attidentity;
	att->attidentity = identity;
	CatalogTupleUpdate(attributes, &tuple->t_self, tuple);
	table_close(attributes, RowExclusiveLock);
	CommandCounterIncrement();
	return before;
}

/* Let the sequence of an identity belong to another column of the table. */
static void
move_dependency(Oid sequence, Oid relid, AttrNumber from, AttrNumber to)
{
	Relation depend = table_open(DependRelationId, RowExclusiveLock);
	ScanKeyData key[3];
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(sequence));
	ScanKeyInit(&key[2], Anum_pg_depend_objsubid, BTEqualStrategyNumber,
				F_INT4EQ, Int32GetDatum(0));
	scan =
		systable_beginscan(depend, DependDependerIndexId, true, NULL, 3, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);

		if (form->refclassid == RelationRelationId && form->refobjid == relid &&
			form->refobjsubid == from)
		{
			tuple = heap_copytuple(tuple);
			((Form_pg_depend) GETSTRUCT(tuple))->refobjsubid = to;
			CatalogTupleUpdate(depend, &tuple->t_self, tuple);
			break;
		}
	}
	systable_endscan(scan);
	table_close(depend, RowExclusiveLock);
	CommandCounterIncrement();
}

static Oid
sequence_type(Oid sequence)
{
	HeapTuple tuple = SearchSysCache1(SEQRELID, ObjectIdGetDatum(sequence));
	Oid type;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "no sequence with OID %u", sequence); /* cannot happen */
	type = ((Form_pg_sequence) GETSTRUCT(tuple))->seqtypid;
	ReleaseSysCache(tuple);
	return type;
}

/*
 * Let a sequence that belongs to one column belong to another one: an
 * identity's with all that it is, a serial's as its owner.  Where the sequence
 * had the first column's type, it gets the other's.  The caller holds ACCESS
 * EXCLUSIVE on table and sequence, and sets NOT NULL on the new column if the
 * old one is an identity.
 */
void
pgxc_column_move_sequence(Oid relid, Oid sequence, const char *from,
						  const char *to)
{
	Oid owner = pgxc_relation_owner(relid);
	AttrNumber from_attnum = get_attnum(relid, from);
	AttrNumber to_attnum = get_attnum(relid, to);
	Oid from_type = get_atttype(relid, from_attnum);
	Oid to_type = get_atttype(relid, to_attnum);
	char identity = column_identity(relid, from);

	if (identity != '\0')
	{
		ListCell *lc;

		/* Partitions have it, too, where the server's version does so. */
		foreach (lc, find_all_inheritors(relid, NoLock, NULL))
		{
			if (set_identity(lfirst_oid(lc), from, '\0') != '\0')
				(void) set_identity(lfirst_oid(lc), to, identity);
		}
		move_dependency(sequence, relid, from_attnum, to_attnum);
	}
	else
		pgxc_ddl(owner, "ALTER SEQUENCE %s OWNED BY %s.%s",
				 pgxc_qualified_name(sequence), pgxc_qualified_name(relid),
				 quote_identifier(to));

	if (from_type != to_type && sequence_type(sequence) == from_type &&
		(to_type == INT2OID || to_type == INT4OID || to_type == INT8OID))
		pgxc_ddl(owner, "ALTER SEQUENCE %s AS %s",
				 pgxc_qualified_name(sequence), format_type_be(to_type));
}
