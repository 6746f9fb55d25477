/*
 * drop_closure.c
 *		Which objects go together with those that are dropped.
 *
 * The server walks pg_depend from each object that is named: down to all that
 * depend on it, and, where one of these is only a part of something else, up
 * to that and down again.  It notes on which ways it came to an object, for
 * without CASCADE each needs one that is no ordinary dependency.  This is the
 * same walk, read only.
 *
 * The order of the result is one in which the server could delete them.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/catalog.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/hsearch.h"

#include "guard/breaks.h"
#include "guard/drop_closure.h"

/* How an object was reached, and what it is: bits. */
#define WAY_NAMED (1 << 0)
#define WAY_NORMAL (1 << 1) /* only CASCADE takes it */
#define WAY_FREE (1 << 2)   /* goes without CASCADE */
#define WAY_PARENT (1 << 3) /* from a parent that it is a partition's part of */
#define IS_PARTITION (1 << 4) /* may only go by WAY_PARENT */
#define IS_COLUMN_OF_TARGET (1 << 5)

/* An object whose dependents are being visited. */
typedef struct Frame
{
	const ObjectAddress *object;
	int ways;
	struct Frame *outer;
} Frame;

typedef struct Target
{
	PgxcDropped dropped; /* first: the result points here */
	int ways;
	ObjectAddress because; /* depends on this */
} Target;

/* All targets that are the same object or a column of it. */
typedef struct TargetsKey
{
	Oid classid;
	Oid objid;
} TargetsKey;

typedef struct TargetsEntry
{
	TargetsKey key;
	List *targets;
} TargetsEntry;

typedef struct Walk
{
	Relation depend;
	List *named;   /* of ObjectAddress */
	List *targets; /* of Target, in the order of deletion */
	HTAB *by_object;
} Walk;

/* What is to happen with an object, as what it depends on says. */
typedef enum Upward
{
	UPWARD_NOTHING, /* go on with it */
	UPWARD_LATER,   /* its owner is named as well, and takes it along */
	UPWARD_OWNER    /* the owner goes instead, and takes it along */
} Upward;

typedef struct Dependent
{
	ObjectAddress object;
	int way;
} Dependent;

static void visit(Walk *walk, const ObjectAddress *object, int ways,
				  Frame *outer);

static bool
is_same_object(const ObjectAddress *a, const ObjectAddress *b)
{
	return a->classId == b->classId && a->objectId == b->objectId;
}

/* Is a the same as b, or a column of it? */
static bool
is_within(const ObjectAddress *a, const ObjectAddress *b)
{
	return is_same_object(a, b) &&
		   (b->objectSubId == a->objectSubId || b->objectSubId == 0);
}

/*
 * One more way to an object, where others to *known, the same object or a part
 * of it or what it is part of, are in *ways.  Returns whether the object is
 * thereby taken care of.
 */
static bool
add_ways(const ObjectAddress *object, int more, const ObjectAddress *known,
		 int *ways)
{
	if (object->objectSubId == known->objectSubId)
	{
		*ways |= more;
		return true;
	}
	if (known->objectSubId == 0)
		return true;
	if (object->objectSubId == 0 && more != 0)
		*ways |= more | IS_COLUMN_OF_TARGET;
	return false;
}

static bool
is_being_visited(const ObjectAddress *object, int ways, Frame *frame)
{
	bool found = false;

	for (; frame != NULL; frame = frame->outer)
	{
		if (is_same_object(object, frame->object) &&
			add_ways(object, ways, frame->object, &frame->ways))
			found = true;
	}
	return found;
}

static TargetsEntry *
targets_of(Walk *walk, const ObjectAddress *object, HASHACTION action)
{
	TargetsKey key = { object->classId, object->objectId };
	TargetsEntry *entry;
	bool found;

	entry = hash_search(walk->by_object, &key, action, &found);
	if (entry != NULL && !found)
		entry->targets = NIL;
	return entry;
}

static bool
is_target(Walk *walk, const ObjectAddress *object, int ways)
{
	TargetsEntry *entry = targets_of(walk, object, HASH_FIND);
	ListCell *lc;
	bool found = false;

	if (entry == NULL)
		return false;
	foreach (lc, entry->targets)
	{
		Target *target = (Target *) lfirst(lc);

		if (add_ways(object, ways, &target->dropped.object, &target->ways))
			found = true;
	}
	return found;
}

static void
add_target(Walk *walk, const ObjectAddress *object, int ways,
		   const ObjectAddress *because)
{
	Target *target = palloc0(sizeof(Target));
	TargetsEntry *entry = targets_of(walk, object, HASH_ENTER);

	target->dropped.object = *object;
	target->ways = ways;
	if (because != NULL)
		target->because = *because;
	entry->targets = lappend(entry->targets, target);
	walk->targets = lappend(walk->targets, target);
}

/* PostgreSQL's own words: the caller shows them as such. */
static void
refuse_part(const ObjectAddress *object, const ObjectAddress *owner)
{
	ereport(ERROR, errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			errmsg("cannot drop %s because %s requires it",
				   getObjectDescription(object, false),
				   getObjectDescription(owner, false)),
			errhint("You can drop %s instead.",
					getObjectDescription(owner, false)));
}

/*
 * Scan pg_depend from one side: what object, or, if it is a whole one, it or
 * any column of it, depends on, or what depends on these.
 */
static SysScanDesc
scan_depend(Walk *walk, const ObjectAddress *object, bool upward)
{
	ScanKeyData key[3];

	ScanKeyInit(&key[0],
				upward ? Anum_pg_depend_classid : Anum_pg_depend_refclassid,
				BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->classId));
	ScanKeyInit(&key[1],
				upward ? Anum_pg_depend_objid : Anum_pg_depend_refobjid,
				BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->objectId));
	ScanKeyInit(&key[2],
				upward ? Anum_pg_depend_objsubid : Anum_pg_depend_refobjsubid,
				BTEqualStrategyNumber, F_INT4EQ,
				Int32GetDatum(object->objectSubId));
	return systable_beginscan(walk->depend,
							  upward ? DependDependerIndexId
									 : DependReferenceIndexId,
							  true, NULL, object->objectSubId != 0 ? 3 : 2,
							  key);
}

/* A script of an extension may drop what belongs to it. */
static bool
is_own_extension(const ObjectAddress *owner)
{
	return creating_extension && owner->classId == ExtensionRelationId &&
		   owner->objectId == CurrentExtensionObject;
}

/* Is the object, or what it is a column of, named by the statement? */
static bool
is_named(Walk *walk, const ObjectAddress *object)
{
	ListCell *lc;

	foreach (lc, walk->named)
	{
		if (is_within(object, (ObjectAddress *) lfirst(lc)))
			return true;
	}
	return false;
}

/*
 * One thing that an object depends on.  Sets *owner if that is what has to go
 * in its place, or, for a named object, what forbids to drop it.
 */
static Upward
look_at_owner(Walk *walk, Form_pg_depend row, const ObjectAddress *other,
			  Frame *outer, ObjectAddress *owner)
{
	if (row->deptype != DEPENDENCY_INTERNAL &&
		(row->deptype != DEPENDENCY_EXTENSION || is_own_extension(other)))
		return UPWARD_NOTHING;
	if (outer == NULL)
	{
		if (is_named(walk, other))
			return UPWARD_LATER;
		if (!OidIsValid(owner->classId) || row->deptype == DEPENDENCY_EXTENSION)
			*owner = *other;
		return UPWARD_NOTHING;
	}
	if (is_being_visited(other, 0, outer))
		return UPWARD_NOTHING;
	*owner = *other;
	return UPWARD_OWNER;
}

/*
 * Is the object a part of something, which has to be asked first?  *ways gets
 * IS_PARTITION, *parent the one that it is a partition of.  Throws 2BP01 if the
 * object is named, and its owner is not.
 */
static Upward
look_upward(Walk *walk, const ObjectAddress *object, Frame *outer, int *ways,
			ObjectAddress *parent, ObjectAddress *owner)
{
	SysScanDesc scan = scan_depend(walk, object, true);
	Upward upward = UPWARD_NOTHING;
	HeapTuple tuple;

	while (upward == UPWARD_NOTHING &&
		   HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress other;

		ObjectAddressSubSet(other, row->refclassid, row->refobjid,
							row->refobjsubid);
		/* A column that depends on its own table. */
		if (object->objectSubId == 0 && is_same_object(object, &other))
			continue;
		if (row->deptype == DEPENDENCY_PARTITION_PRI ||
			(row->deptype == DEPENDENCY_PARTITION_SEC &&
			 (*ways & IS_PARTITION) == 0))
			*parent = other;
		if (row->deptype == DEPENDENCY_PARTITION_PRI ||
			row->deptype == DEPENDENCY_PARTITION_SEC)
			*ways |= IS_PARTITION;
		else
			upward = look_at_owner(walk, row, &other, outer, owner);
	}
	systable_endscan(scan);
	if (upward == UPWARD_NOTHING && OidIsValid(owner->classId))
		refuse_part(object, OidIsValid(parent->classId) ? parent : owner);
	return upward;
}

static int
way_of(char deptype)
{
	switch (deptype)
	{
		case DEPENDENCY_NORMAL:
			return WAY_NORMAL;
		case DEPENDENCY_PARTITION_PRI:
		case DEPENDENCY_PARTITION_SEC:
			return WAY_FREE | WAY_PARENT;
		default:
			return WAY_FREE;
	}
}

static int
newest_first(const ListCell *a, const ListCell *b)
{
	const ObjectAddress *x = &((Dependent *) lfirst(a))->object;
	const ObjectAddress *y = &((Dependent *) lfirst(b))->object;

	if (x->objectId != y->objectId)
		return x->objectId > y->objectId ? -1 : 1;
	if (x->classId != y->classId)
		return x->classId < y->classId ? -1 : 1;
	if (x->objectSubId != y->objectSubId)
		return (uint32) x->objectSubId < (uint32) y->objectSubId ? -1 : 1;
	return 0;
}

/*
 * What depends on the object, in the order in which the server visits it: it
 * decides whether a column is dropped before its table is.
 */
static List *
dependents_of(Walk *walk, const ObjectAddress *object)
{
	SysScanDesc scan = scan_depend(walk, object, false);
	List *dependents = NIL;
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		Dependent *dependent = palloc0(sizeof(Dependent));

		ObjectAddressSubSet(dependent->object, row->classid, row->objid,
							row->objsubid);
		dependent->way = way_of(row->deptype);
		/*
		 * That our trigger depends on its columns is a net of ours: the guard
		 * says better than "use CASCADE" what is wrong with the statement.
		 */
		if (row->deptype == DEPENDENCY_NORMAL &&
			pgxc_is_own_trigger(&dependent->object))
			dependent->way = WAY_FREE;
		if (object->objectSubId != 0 ||
			!is_same_object(object, &dependent->object))
			dependents = lappend(dependents, dependent);
	}
	systable_endscan(scan);
	list_sort(dependents, newest_first);
	return dependents;
}

/* The object and all that goes with it become targets. */
static void
visit(Walk *walk, const ObjectAddress *object, int ways, Frame *outer)
{
	ObjectAddress parent = InvalidObjectAddress;
	ObjectAddress owner = InvalidObjectAddress;
	Frame frame;
	ListCell *lc;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (is_being_visited(object, ways, outer) || is_target(walk, object, ways))
		return;
	if (IsPinnedObject(object->classId, object->objectId))
		ereport(
			ERROR, errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			errmsg(
				"cannot drop %s because it is required by the database system",
				getObjectDescription(object, false)));
	switch (look_upward(walk, object, outer, &ways, &parent, &owner))
	{
		case UPWARD_NOTHING:
			break;
		case UPWARD_LATER:
			return;
		case UPWARD_OWNER:
			visit(walk, &owner, WAY_NORMAL, outer);
			(void) is_target(walk, object, ways);
			return;
	}

	frame.object = object;
	frame.ways = ways;
	frame.outer = outer;
	foreach (lc, dependents_of(walk, object))
	{
		Dependent *dependent = (Dependent *) lfirst(lc);

		visit(walk, &dependent->object, dependent->way, &frame);
	}
	add_target(walk, object, frame.ways,
			   frame.ways & IS_PARTITION ? &parent
										 : (outer ? outer->object : NULL));
}

/* May all of them go?  Throws 2BP01 if not. */
static void
check_targets(Walk *walk, DropBehavior behavior)
{
	ListCell *lc;

	foreach (lc, walk->targets)
	{
		Target *target = (Target *) lfirst(lc);

		if ((target->ways & (IS_PARTITION | WAY_PARENT)) == IS_PARTITION)
			refuse_part(&target->dropped.object, &target->because);
	}
	if (behavior == DROP_CASCADE)
		return;
	foreach (lc, walk->targets)
	{
		Target *target = (Target *) lfirst(lc);

		if (target->ways & (WAY_NAMED | WAY_FREE | IS_COLUMN_OF_TARGET))
			continue;
		if (list_length(walk->named) == 1)
			ereport(ERROR, errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					errmsg("cannot drop %s because other objects depend on it",
						   getObjectDescription(linitial(walk->named), false)));
		ereport(
			ERROR, errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			errmsg(
				"cannot drop desired object(s) because other objects depend on them"));
	}
}

/*
 * All that goes if these objects (a list of ObjectAddress) are dropped in one
 * statement, as a list of PgxcDropped, dependents first.
 *
 * Takes ACCESS SHARE on pg_depend only.  Result in the current memory context.
 * Throws 2BP01, with PostgreSQL's own message, where it would refuse: without
 * CASCADE something else depends on them, one of them is a part of something
 * else, or belongs to the system.
 */
List *
pgxc_drop_closure(List *addresses, DropBehavior behavior)
{
	Walk walk = { 0 };
	HASHCTL control = { 0 };
	ListCell *lc;

	control.keysize = sizeof(TargetsKey);
	control.entrysize = sizeof(TargetsEntry);
	control.hcxt = CurrentMemoryContext;
	walk.by_object = hash_create("pgxc dropped objects", 64, &control,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	walk.named = addresses;
	walk.depend = table_open(DependRelationId, AccessShareLock);
	foreach (lc, addresses)
		visit(&walk, (ObjectAddress *) lfirst(lc), WAY_NAMED, NULL);
	table_close(walk.depend, AccessShareLock);
	check_targets(&walk, behavior);

	foreach (lc, walk.targets)
	{
		Target *target = (Target *) lfirst(lc);

		target->dropped.named = (target->ways & WAY_NAMED) != 0;
	}
	hash_destroy(walk.by_object);
	return walk.targets;
}
