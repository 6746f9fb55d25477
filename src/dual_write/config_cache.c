/*
 * config_cache.c
 *		The triggers that this process has compiled.
 *
 * One entry for each trigger; a partition's trigger is one of its own.  An
 * entry is never removed, so a pointer to it stays good; what is compiled is
 * freed when it is stale and nobody is using it.
 *
 * Stale is what an invalidation message hits: of the table (its columns,
 * defaults, owner, the trigger itself), or of a function or type in one of the
 * expressions.
 *
 * An expression may run a user's function, and that may write to the same
 * table.  Then the compiled expression is in the middle of an evaluation, and
 * the inner statement gets a second one.  What an error leaves in the middle is
 * not used again.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "dual_write/config_cache.h"

typedef struct CacheEntry
{
	Oid trigger;             /* the key */
	PgxcDualWrite *compiled; /* the list; one, but for recursion */
} CacheEntry;

static HTAB *cache = NULL;

/* How many invalidation messages there have been. */
static uint64 invalidations = 0;

/* Those that are being used, the innermost first. */
static PgxcDualWrite *innermost = NULL;

static void
create_cache(void)
{
	HASHCTL control = { 0 };

	control.keysize = sizeof(Oid);
	control.entrysize = sizeof(CacheEntry);
	control.hcxt = CacheMemoryContext;
	cache = hash_create("pgxc dual writes", 16, &control,
						HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/* Free what is stale, of all triggers: some of them may be gone. */
static void
sweep(void)
{
	HASH_SEQ_STATUS scan;
	CacheEntry *entry;

	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
	{
		PgxcDualWrite **link = &entry->compiled;

		while (*link != NULL)
		{
			PgxcDualWrite *dw = *link;

			if (dw->stale && !dw->in_use)
			{
				*link = dw->next;
				pgxc_dual_write_free(dw);
			}
			else
				link = &dw->next;
		}
	}
}

/* The first use, a use inside of a use, or the first after an invalidation. */
static PgxcDualWrite *
find_or_build(CacheEntry *entry, const Trigger *trigger, Relation rel)
{
	Oid relid = RelationGetRelid(rel);
	uint64 before;
	PgxcDualWrite *dw;

	for (dw = entry->compiled; dw != NULL; dw = dw->next)
		if (!dw->stale && !dw->in_use && dw->relid == relid)
			return dw;

	sweep();
	before = invalidations;
	dw = pgxc_dual_write_build(trigger, rel);
	/* What came meanwhile did not find it in the list. */
	dw->stale = invalidations != before;
	dw->next = entry->compiled;
	entry->compiled = dw;
	return dw;
}

/*
 * What a trigger is to do on its table.  "remembered" is where the caller keeps
 * a pointer for us from row to row; NULL at first.  The result is good until
 * something is evaluated, or longer between pgxc_dual_write_use() and _unuse().
 * Throws what pgxc_dual_write_build() does.
 */
PgxcDualWrite *
pgxc_dual_write_find(const Trigger *trigger, Relation rel, void **remembered)
{
	CacheEntry *entry = (CacheEntry *) *remembered;
	PgxcDualWrite *dw;

	if (unlikely(entry == NULL || entry->trigger != trigger->tgoid))
	{
		bool found;

		if (cache == NULL)
			create_cache();
		entry = hash_search(cache, &trigger->tgoid, HASH_ENTER, &found);
		if (!found)
			entry->compiled = NULL;
		*remembered = entry;
	}
	dw = entry->compiled;
	if (unlikely(dw == NULL || dw->stale || dw->in_use ||
				 dw->relid != RelationGetRelid(rel)))
		dw = find_or_build(entry, trigger, rel);
	return dw;
}

/*
 * From here to pgxc_dual_write_unuse(), or to the end of the (sub)transaction,
 * it is neither freed nor given to anybody else.
 */
void
pgxc_dual_write_use(PgxcDualWrite *dw)
{
	dw->in_use = true;
	dw->use_level = GetCurrentTransactionNestLevel();
	dw->below = innermost;
	innermost = dw;
}

void
pgxc_dual_write_unuse(PgxcDualWrite *dw)
{
	Assert(innermost == dw);
	innermost = dw->below;
	dw->in_use = false;
	if (unlikely(dw->up->broken))
		dw->stale = true;
}

/* An error has left what was used at this level or deeper. */
static void
abandon_from_level(int level)
{
	while (innermost != NULL && innermost->use_level >= level)
	{
		innermost->in_use = false;
		innermost->stale = true;
		innermost = innermost->below;
	}
}

static void
at_transaction(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		abandon_from_level(0);
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId mine,
				  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		abandon_from_level(GetCurrentTransactionNestLevel());
}

static void
relation_changed(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS scan;
	CacheEntry *entry;

	invalidations++;
	if (cache == NULL)
		return;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
		for (PgxcDualWrite *dw = entry->compiled; dw != NULL; dw = dw->next)
			if (!OidIsValid(relid) || dw->relid == relid ||
				list_member_oid(dw->ancestors, relid))
				dw->stale = true;
}

static void
object_changed(Datum arg, int cacheid, uint32 hashvalue)
{
	uint64 changed = ((uint64) cacheid << 32) | hashvalue;
	HASH_SEQ_STATUS scan;
	CacheEntry *entry;

	invalidations++;
	if (cache == NULL)
		return;
	hash_seq_init(&scan, cache);
	while ((entry = hash_seq_search(&scan)) != NULL)
		for (PgxcDualWrite *dw = entry->compiled; dw != NULL; dw = dw->next)
			for (int i = 0; i < dw->ndependencies; i++)
				if (dw->dependencies[i] == changed ||
					(hashvalue == 0 &&
					 dw->dependencies[i] >> 32 == (uint64) cacheid))
					dw->stale = true;
}

/*
 * Once in a process, when the library is loaded.
 */
void
pgxc_dual_write_init(void)
{
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
	CacheRegisterRelcacheCallback(relation_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, object_changed, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, object_changed, (Datum) 0);
}
