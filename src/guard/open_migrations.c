/*
 * open_migrations.c
 *		The migrations of this database that are not over, as every DDL statement
 *		asks for them.
 *
 * They are read when they are asked for, and again after an invalidation of
 * pgxc.migration, which its trigger sends with every change.  The table is read
 * with a catalog snapshot: a transaction's own one must not be taken before its
 * first statement takes its locks.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "core/extension.h"
#include "core/fingerprint.h"
#include "guard/open_migrations.h"

static MemoryContext cache_context = NULL;
static List *cached = NIL;
static Oid cached_table = InvalidOid;
static bool valid = false;
static uint64 invalidations = 0;
static uint64 generation = 0;

static void
forget(Datum arg, Oid relid)
{
	if (relid == InvalidOid || relid == cached_table)
	{
		valid = false;
		invalidations++;
	}
}

void
pgxc_open_migrations_init(void)
{
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
}

/* pgxc.migration, if it is there; cheap, as every DDL statement asks. */
static Oid
migration_table(void)
{
	Oid schema = get_namespace_oid("pgxc", true);

	return OidIsValid(schema) ? get_relname_relid("migration", schema)
							  : InvalidOid;
}

/* A schema of that name may be anybody's. */
static bool
is_ours(Oid relid)
{
	Oid extension = getExtensionOfObject(RelationRelationId, relid);

	return OidIsValid(extension) &&
		   extension == get_extension_oid("pgxc", true);
}

static Datum
column(HeapTuple tuple, TupleDesc desc, const char *name, bool *isnull)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return heap_getattr(tuple, i + 1, desc, isnull);
	}
	*isnull = true;
	return (Datum) 0;
}

static char *
text_of(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool isnull;
	Datum value = column(tuple, desc, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Oid
oid_of(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool isnull;
	Datum value = column(tuple, desc, name, &isnull);

	return isnull ? InvalidOid : DatumGetObjectId(value);
}

static List *
texts_of(HeapTuple tuple, TupleDesc desc, const char *name)
{
	bool isnull;
	Datum value = column(tuple, desc, name, &isnull);
	Datum *elements;
	List *list = NIL;
	int n;

	if (isnull)
		return NIL;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &n);
	for (int i = 0; i < n; i++)
		list = lappend(list, TextDatumGetCString(elements[i]));
	return list;
}

/*
 * One row; NULL if that migration is over, or sleeps: what came with a dump or
 * a copy is not at work here before somebody resumes it, and pg_restore makes
 * constraints and indexes after it has loaded our rows.
 */
static PgxcOpen *
read_migration(HeapTuple tuple, TupleDesc desc)
{
	char *phase = text_of(tuple, desc, "phase");
	char *home = text_of(tuple, desc, "home");
	PgxcOpen *open;
	bool isnull;

	if (phase == NULL || home == NULL || strcmp(home, pgxc_home()) != 0 ||
		(strcmp(phase, "migrate") != 0 && strcmp(phase, "expand") != 0))
		return NULL;
	open = palloc0(sizeof(PgxcOpen));
	open->id = DatumGetInt64(column(tuple, desc, "id", &isnull));
	open->name = text_of(tuple, desc, "name");
	open->kind = text_of(tuple, desc, "kind");
	open->owner = text_of(tuple, desc, "owner");
	open->state = text_of(tuple, desc, "state");
	open->expand_only = strcmp(open->kind, "expand_only") == 0;
	open->dual_write =
		!open->expand_only && strcmp(open->kind, "backfill") != 0;
	open->scope = text_of(tuple, desc, "scope");
	open->schema_name = text_of(tuple, desc, "scope_schema");
	open->relid = oid_of(tuple, desc, "relation");
	open->relation = text_of(tuple, desc, "relation_name");
	open->new_column = text_of(tuple, desc, "new_column");
	open->columns = texts_of(tuple, desc, "columns");
	open->uses = texts_of(tuple, desc, "uses");
	open->fingerprint = texts_of(tuple, desc, "fingerprint");
	return open;
}

static int
by_id(const ListCell *a, const ListCell *b)
{
	int64 left = ((const PgxcOpen *) lfirst(a))->id;
	int64 right = ((const PgxcOpen *) lfirst(b))->id;

	return left < right ? -1 : left > right;
}

/* In the order of their ids: the same statement gets the same answer. */
static List *
read_table(Oid relid)
{
	Relation rel = table_open(relid, AccessShareLock);
	SysScanDesc scan =
		systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	List *list = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		PgxcOpen *open = read_migration(tuple, RelationGetDescr(rel));

		if (open != NULL)
			list = lappend(list, open);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	list_sort(list, by_id);
	return list;
}

/* In both lists, in the order of their ids. */
static bool
same_migrations(List *was, List *is)
{
	ListCell *a;
	ListCell *b;

	if (list_length(was) != list_length(is))
		return false;
	forboth (a, was, b, is)
	{
		if (((PgxcOpen *) lfirst(a))->id != ((PgxcOpen *) lfirst(b))->id)
			return false;
	}
	return true;
}

static void
refresh(void)
{
	Oid relid = migration_table();
	MemoryContext context;
	MemoryContext old;
	List *list = NIL;
	uint64 before;

	if (valid && relid == cached_table)
		return;
	context = AllocSetContextCreate(CacheMemoryContext, "pgxc open migrations",
									ALLOCSET_SMALL_SIZES);
	do
	{
		before = invalidations;
		MemoryContextReset(context);
		old = MemoryContextSwitchTo(context);
		list = OidIsValid(relid) && is_ours(relid) ? read_table(relid) : NIL;
		MemoryContextSwitchTo(old);
	} while (invalidations != before);

	if (!same_migrations(cached, list))
		generation++;
	if (cache_context)
		MemoryContextDelete(cache_context);
	cache_context = context;
	cached = list;
	cached_table = relid;
	valid = true;
}

/*
 * Another number whenever other migrations are open than before.  As cheap as
 * pgxc_any_open_migration(), which see.
 */
uint64
pgxc_open_migrations_generation(void)
{
	refresh();
	return generation;
}

/*
 * Is there any?  Needs a transaction; takes no lock that outlives the call.
 * Costs two probes of catalog caches as long as nothing has changed.
 */
bool
pgxc_any_open_migration(void)
{
	refresh();
	return cached != NIL;
}

/* Is the extension in this database?  As cheap. */
bool
pgxc_is_installed(void)
{
	refresh();
	return OidIsValid(cached_table);
}

static List *
copy_texts(List *texts)
{
	List *copy = NIL;
	ListCell *lc;

	foreach (lc, texts)
		copy = lappend(copy, pstrdup((char *) lfirst(lc)));
	return copy;
}

static char *
copy_text(const char *text)
{
	return text ? pstrdup(text) : NULL;
}

/* All of them (a List of PgxcOpen *), in the current memory context. */
List *
pgxc_open_migrations(void)
{
	List *copy = NIL;
	ListCell *lc;

	refresh();
	foreach (lc, cached)
	{
		PgxcOpen *from = (PgxcOpen *) lfirst(lc);
		PgxcOpen *to = palloc(sizeof(PgxcOpen));

		*to = *from;
		to->name = pstrdup(from->name);
		to->kind = pstrdup(from->kind);
		to->owner = copy_text(from->owner);
		to->state = copy_text(from->state);
		to->scope = copy_text(from->scope);
		to->schema_name = copy_text(from->schema_name);
		if (to->schema_name != NULL)
			to->schema = get_namespace_oid(to->schema_name, true);
		to->relation = copy_text(from->relation);
		to->new_column = copy_text(from->new_column);
		to->columns = copy_texts(from->columns);
		to->uses = copy_texts(from->uses);
		to->fingerprint = copy_texts(from->fingerprint);
		copy = lappend(copy, to);
	}
	return copy;
}

/* The OIDs of its tables; NIL if there is none, or not any more. */
List *
pgxc_open_tree(const PgxcOpen *migration)
{
	if (!OidIsValid(migration->relid) ||
		get_rel_relkind(migration->relid) == '\0')
		return NIL;
	return find_all_inheritors(migration->relid, NoLock, NULL);
}

/*
 * What a migration rests on and is not there any more, in words; NULL if all
 * is as it was.  Opens its tables with ACCESS SHARE, which is given back.
 */
char *
pgxc_open_difference(const PgxcOpen *migration)
{
	ListCell *lc;
	List *tree;

	if (migration->expand_only || migration->fingerprint == NIL)
		return NULL;
	tree = pgxc_open_tree(migration);
	if (tree == NIL)
		return psprintf("it was: table %s; it is: no table",
						migration->relation);
	foreach (lc, tree)
	{
		Relation rel = try_relation_open(lfirst_oid(lc), AccessShareLock);
		char *difference;

		if (rel == NULL)
			continue;
		difference = pgxc_fingerprint_difference(
			migration->fingerprint,
			pgxc_fingerprint(rel, migration->id,
							 migration->dual_write ? migration->uses
												   : migration->columns,
							 migration->dual_write));
		relation_close(rel, AccessShareLock);
		if (difference != NULL)
			return difference;
	}
	return NULL;
}

PG_FUNCTION_INFO_V1(pgxc_migration_changed);

/* Statement trigger on pgxc.migration: what is open may have changed. */
Datum
pgxc_migration_changed(PG_FUNCTION_ARGS)
{
	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg(
					 "pgxc.migration_changed() must be called as a trigger")));
	CacheInvalidateRelcache(((TriggerData *) fcinfo->context)->tg_relation);
	return PointerGetDatum(NULL);
}
