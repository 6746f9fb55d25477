/*
 * effect.c
 *		Collects what a statement would do: one effect for each relation, one
 *		change for each object.
 *
 * Everything here runs under the locks of the analysis (ACCESS SHARE at most,
 * given back at its end) and allocates in the current memory context.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/analysis.h"
#include "guard/pending.h"

/* The effect on this relation, or NULL if there is none yet. */
PgxcEffect *
pgxc_effect_find(PgxcAnalysis *a, Oid relid)
{
	ListCell *lc;

	foreach (lc, a->effects)
	{
		PgxcEffect *effect = (PgxcEffect *) lfirst(lc);

		if (effect->relid == relid)
			return effect;
	}
	return NULL;
}

/*
 * The statement takes this lock on the relation, and holds it.  The strongest
 * one counts.
 */
PgxcEffect *
pgxc_touch(PgxcAnalysis *a, Oid relid, LOCKMODE lock)
{
	PgxcEffect *effect = pgxc_effect_find(a, relid);

	if (effect == NULL)
	{
		effect = palloc0(sizeof(PgxcEffect));
		effect->relid = relid;
		a->effects = lappend(a->effects, effect);
	}
	effect->lock = Max(effect->lock, lock);
	return effect;
}

/*
 * The same, and while it holds the lock it does some work.  The reason of the
 * greatest work counts, of equals the first; it is not copied.  Where there is
 * nothing to read, there is no scan.
 */
PgxcEffect *
pgxc_touch_work(PgxcAnalysis *a, Oid relid, LOCKMODE lock, int work,
				const char *reason)
{
	PgxcEffect *effect = pgxc_touch(a, relid, lock);

	if (!pgxc_is_populated(relid))
		work &= ~PGXC_WORK_SCAN;
	if (effect->reason == NULL || work > effect->work)
		effect->reason = unconstify(char *, reason);
	effect->work |= work;
	return effect;
}

/* Something happens to an object. */
PgxcChange *
pgxc_change(PgxcAnalysis *a, PgxcAction action, Oid classid, Oid objid,
			int subid)
{
	PgxcChange *change = palloc0(sizeof(PgxcChange));

	change->action = action;
	ObjectAddressSubSet(change->object, classid, objid, subid);
	a->changes = lappend(a->changes, change);
	return change;
}

PgxcChange *
pgxc_change_column(PgxcAnalysis *a, PgxcAction action, Oid relid,
				   AttrNumber attnum)
{
	return pgxc_change(a, action, RelationRelationId, relid, attnum);
}

/* Has it a block? */
bool
pgxc_is_populated(Oid relid)
{
	Relation rel = try_relation_open(relid, AccessShareLock);
	bool populated;

	if (rel == NULL)
		return false;
	populated = RELKIND_HAS_STORAGE(rel->rd_rel->relkind) &&
				RelationGetNumberOfBlocks(rel) > 0;
	relation_close(rel, NoLock);
	return populated;
}

/*
 * The relation of this name; InvalidOid if there is none (yet: where the text
 * makes it, that is noted as an effect).
 */
Oid
pgxc_resolve(PgxcAnalysis *a, const RangeVar *name)
{
	Oid relid = RangeVarGetRelid(name, AccessShareLock, true);

	return OidIsValid(relid) ? relid : pgxc_pending_resolve(a, name);
}

static int64
size_of(Oid relid, PGFunction size)
{
	return DatumGetInt64(DirectFunctionCall1(size, ObjectIdGetDatum(relid)));
}

/* Name, size and age of one relation. */
static void
describe(PgxcEffect *effect)
{
	Relation rel;

	if (!OidIsValid(effect->relid))
		return;
	rel = try_relation_open(effect->relid, AccessShareLock);
	if (rel == NULL)
		return;
	effect->relation = DatumGetCString(
		DirectFunctionCall1(regclassout, ObjectIdGetDatum(effect->relid)));
	effect->new_here = rel->rd_createSubid != InvalidSubTransactionId ||
					   pgxc_first_file_subid(rel) != InvalidSubTransactionId;
	if (effect->work != 0 && RELKIND_HAS_STORAGE(rel->rd_rel->relkind) &&
		RelationGetNumberOfBlocks(rel) > 0)
		effect->bytes = size_of(effect->relid, effect->work & PGXC_WORK_REWRITE
												   ? pg_total_relation_size
												   : pg_table_size);
	relation_close(rel, NoLock);
}

/* Fill in what all effects have in common. */
void
pgxc_effects_finish(PgxcAnalysis *a)
{
	ListCell *lc;

	foreach (lc, a->effects)
		describe((PgxcEffect *) lfirst(lc));
}
