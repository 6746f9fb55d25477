/*
 * breaks.c
 *		Does a change break an open migration, or an expand-only phase?
 *
 * A migration needs: its table where and whose it is, its columns by name and
 * type, its trigger on each table of the tree as it was made, what the trigger
 * depends on, what was built on the new column, the owner's name, and the
 * extension.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/index.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_database.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/fingerprint.h"
#include "guard/breaks.h"

/* For messages: cannot ... */
const char *
pgxc_change_verb(const PgxcChange *change)
{
	switch (change->action)
	{
		case PGXC_ACTION_ADD:
			return "create";
		case PGXC_ACTION_DROP:
			return "drop";
		case PGXC_ACTION_RENAME:
			return change->object.objectSubId != 0 ||
						   change->object.classId == AuthIdRelationId
					   ? "rename"
					   : "rename or move";
		case PGXC_ACTION_RETYPE:
			return "change the type of";
		case PGXC_ACTION_REDEFINE:
			return "change";
		case PGXC_ACTION_CONSTRAIN:
			return "constrain";
		case PGXC_ACTION_DISABLE:
			return "change the firing of";
		case PGXC_ACTION_BYPASS:
			return "create or enable";
		case PGXC_ACTION_ATTACH:
			return "attach a child to";
		case PGXC_ACTION_DETACH:
			return "detach";
		case PGXC_ACTION_MOVE:
			return "rewrite";
		case PGXC_ACTION_TRUNCATE:
			return "truncate";
	}
	return "change";
}

static bool
has_text(List *texts, const char *text)
{
	ListCell *lc;

	foreach (lc, texts)
	{
		if (strcmp((char *) lfirst(lc), text) == 0)
			return true;
	}
	return false;
}

/* Does one object depend on another one, in any way?  refsubid -1: on any part. */
static bool
depends_on(Oid classid, Oid objid, Oid refclassid, Oid refobjid, int refsubid)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(classid));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(objid));
	scan =
		systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);

		found = row->refclassid == refclassid && row->refobjid == refobjid &&
				(refsubid < 0 || row->refobjsubid == refsubid);
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* One column of an object's row in its catalog. */
static Oid
oid_in_row(const ObjectAddress *object, Oid index, AttrNumber oid_column,
		   AttrNumber column)
{
	Relation catalog = table_open(object->classId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;
	Oid table = InvalidOid;

	ScanKeyInit(&key, oid_column, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object->objectId));
	scan = systable_beginscan(catalog, index, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		bool isnull;

		table = DatumGetObjectId(
			heap_getattr(tuple, column, RelationGetDescr(catalog), &isnull));
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return table;
}

/*
 * The table that an object is, or belongs to: an index, a trigger, a
 * constraint; InvalidOid for what belongs to none.
 */
Oid
pgxc_table_of(const ObjectAddress *object)
{
	switch (object->classId)
	{
		case RelationRelationId:
		{
			Oid table = IndexGetRelation(object->objectId, true);

			return OidIsValid(table) ? table : object->objectId;
		}
		case TriggerRelationId:
			return oid_in_row(object, TriggerOidIndexId, Anum_pg_trigger_oid,
							  Anum_pg_trigger_tgrelid);
		case ConstraintRelationId:
			return oid_in_row(object, ConstraintOidIndexId,
							  Anum_pg_constraint_oid,
							  Anum_pg_constraint_conrelid);
		case StatisticExtRelationId:
			return oid_in_row(object, StatisticExtOidIndexId,
							  Anum_pg_statistic_ext_oid,
							  Anum_pg_statistic_ext_stxrelid);
		default:
			return InvalidOid;
	}
}

/* Is it a trigger of pgxc, of whatever migration? */
bool
pgxc_is_own_trigger(const ObjectAddress *object)
{
	Oid function;
	char *name;
	char *schema;

	if (object->classId != TriggerRelationId)
		return false;
	function = oid_in_row(object, TriggerOidIndexId, Anum_pg_trigger_oid,
						  Anum_pg_trigger_tgfoid);
	name = get_func_name(function);
	schema = get_namespace_name(get_func_namespace(function));
	return name != NULL && schema != NULL && strcmp(name, "dual_write") == 0 &&
		   strcmp(schema, "pgxc") == 0;
}

static Oid
trigger_of(const PgxcOpen *migration, Oid relid)
{
	return get_trigger_oid(relid, pgxc_trigger_name(migration->id), true);
}

/* A new BEFORE trigger that sorts behind ours would have the last word. */
static bool
fires_later(const PgxcChange *change, const PgxcOpen *migration)
{
	const char *before = "trigger \"";

	return migration->dual_write && change->what != NULL &&
		   strncmp(change->what, before, strlen(before)) == 0 &&
		   strcmp(change->what + strlen(before),
				  pgxc_trigger_name(migration->id)) > 0;
}

/* The migration's table or one of its leaves, as a whole. */
static char *
breaks_table(const PgxcChange *change, const PgxcOpen *migration)
{
	bool root = change->object.objectId == migration->relid;

	switch (change->action)
	{
		case PGXC_ACTION_ADD:
			return fires_later(change, migration)
					   ? "it would fire after the trigger that keeps both columns equal"
					   : NULL;
		case PGXC_ACTION_DROP:
			/* A leaf that goes leaves nothing to do. */
			return root ? "its table would be gone" : NULL;
		case PGXC_ACTION_RENAME:
			return root && migration->dual_write
					   ? "old and new code know it by that name"
					   : NULL;
		case PGXC_ACTION_REDEFINE:
			/* Of one that has failed it may be the cure. */
			if (strcmp(migration->state, "failed") == 0)
				return NULL;
			return "its expressions run with the rights of the table's owner";
		case PGXC_ACTION_BYPASS:
			return "updates of the migration would not reach all rows";
		case PGXC_ACTION_ATTACH:
			/* To a partitioned table the server gives the trigger itself. */
			return migration->dual_write &&
						   get_rel_relkind(change->object.objectId) ==
							   RELKIND_RELATION
					   ? "the child would not have its trigger"
					   : NULL;
		case PGXC_ACTION_DETACH:
			if (!migration->dual_write)
				return NULL;
			return "rows would leave half migrated, and may come back unseen";
		case PGXC_ACTION_MOVE:
			return "it would begin again at the first row";
		default:
			return NULL;
	}
}

static char *
breaks_column(const PgxcChange *change, const PgxcOpen *migration)
{
	char *name =
		get_attname(change->object.objectId, change->object.objectSubId, true);
	bool is_new;

	if (name == NULL || !has_text(migration->uses, name))
		return NULL;
	is_new = migration->dual_write && strcmp(name, migration->new_column) == 0;
	switch (change->action)
	{
		case PGXC_ACTION_DROP:
		case PGXC_ACTION_RENAME:
		case PGXC_ACTION_RETYPE:
			return is_new ? "it is the new column"
						  : "the migration reads or writes it";
		case PGXC_ACTION_REDEFINE:
			return is_new
					   ? "what a write that does not name it means would change"
					   : NULL;
		case PGXC_ACTION_CONSTRAIN:
			return is_new
					   ? "rows that are not filled, or cannot be converted, would be refused"
					   : NULL;
		default:
			return NULL;
	}
}

/* One of the things that the migration has built, by its name until contract. */
static bool
is_piece(const PgxcChange *change, const PgxcOpen *migration)
{
	char *prefix = psprintf("_pgxc_%lld_", (long long) migration->id);
	char *name = NULL;

	if (!migration->dual_write || (change->action != PGXC_ACTION_DROP &&
								   change->action != PGXC_ACTION_RENAME))
		return false;
	if (change->object.classId == RelationRelationId &&
		change->object.objectSubId == 0)
		name = get_rel_name(change->object.objectId);
	else if (change->object.classId == ConstraintRelationId)
		name = get_constraint_name(change->object.objectId);
	return name != NULL && strncmp(name, prefix, strlen(prefix)) == 0;
}

/* The schema that an object is in; InvalidOid for one that is in none. */
static Oid
schema_of(const ObjectAddress *object)
{
	Oid table = pgxc_table_of(object);

	if (OidIsValid(table))
		return get_rel_namespace(table);
	if (object->classId == NamespaceRelationId)
		return object->objectId;
	if (!is_objectclass_supported(object->classId) ||
		get_object_attnum_namespace(object->classId) == InvalidAttrNumber)
		return InvalidOid;
	return get_object_namespace(object);
}

/* Does the trigger depend on anything in a schema?  It names it in full. */
static bool
depends_on_schema(Oid trigger, Oid schema)
{
	Relation depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;
	bool found = false;

	ScanKeyInit(&key[0], Anum_pg_depend_classid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(TriggerRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_objid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger));
	scan =
		systable_beginscan(depend, DependDependerIndexId, true, NULL, 2, key);
	while (!found && HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend row = (Form_pg_depend) GETSTRUCT(tuple);
		ObjectAddress object;

		ObjectAddressSet(object, row->refclassid, row->refobjid);
		found = schema_of(&object) == schema;
	}
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

/* Is it the trigger itself, or something that it cannot do without? */
static bool
trigger_needs(Oid trigger, const PgxcChange *change)
{
	const ObjectAddress *object = &change->object;

	switch (object->classId)
	{
		case TriggerRelationId:
			return object->objectId == trigger;
		case NamespaceRelationId:
			return change->action == PGXC_ACTION_RENAME &&
				   depends_on_schema(trigger, object->objectId);
		case RelationRelationId:
			/* One that the expressions read. */
			return (change->action == PGXC_ACTION_DROP ||
					change->action == PGXC_ACTION_RENAME ||
					change->action == PGXC_ACTION_RETYPE) &&
				   depends_on(TriggerRelationId, trigger, RelationRelationId,
							  object->objectId,
							  object->objectSubId ? object->objectSubId : -1);
		default:
			return depends_on(TriggerRelationId, trigger, object->classId,
							  object->objectId, 0);
	}
}

static char *
breaks_trigger(const PgxcChange *change, const PgxcOpen *migration, List *tree)
{
	ListCell *lc;

	if (!migration->dual_write || change->action == PGXC_ACTION_ADD)
		return NULL;
	foreach (lc, tree)
	{
		Oid trigger = trigger_of(migration, lfirst_oid(lc));

		if (!OidIsValid(trigger) || !trigger_needs(trigger, change))
			continue;
		return change->object.classId == TriggerRelationId
				   ? "it keeps both columns equal"
				   : "the trigger that keeps both columns equal needs it";
	}
	return NULL;
}

/* Is it the extension, or something that it is made of? */
bool
pgxc_is_part_of_pgxc(const ObjectAddress *object)
{
	Oid extension = get_extension_oid("pgxc", true);
	Oid table = pgxc_table_of(object);

	if (!OidIsValid(extension) || object->classId == ExtensionRelationId)
		return OidIsValid(extension) && object->objectId == extension;
	return getExtensionOfObject(OidIsValid(table) ? RelationRelationId
												  : object->classId,
								OidIsValid(table) ? table : object->objectId) ==
		   extension;
}

static bool
takes_apart(PgxcAction action)
{
	return action != PGXC_ACTION_ADD && action != PGXC_ACTION_ATTACH &&
		   action != PGXC_ACTION_MOVE;
}

static char *
breaks_surroundings(const PgxcChange *change, const PgxcOpen *migration)
{
	const ObjectAddress *object = &change->object;

	if (takes_apart(change->action) && pgxc_is_part_of_pgxc(object))
		return "the migration is its work";
	if (object->classId == NamespaceRelationId)
	{
		if (change->action != PGXC_ACTION_DROP &&
			change->action != PGXC_ACTION_RENAME)
			return NULL;
		if (object->objectId == get_namespace_oid("pgxc", true))
			return "the migration is written there";
		return object->objectId == get_rel_namespace(migration->relid)
				   ? "its table is in it"
				   : NULL;
	}
	if (object->classId == AuthIdRelationId)
	{
		char *name = GetUserNameFromId(object->objectId, true);

		return change->action == PGXC_ACTION_RENAME && name != NULL &&
					   migration->owner != NULL &&
					   strcmp(name, migration->owner) == 0
				   ? "the migration runs with the rights of that role"
				   : NULL;
	}
	return NULL;
}

/*
 * Why the change breaks the migration: a clause, or NULL if it does not.
 * tree: OIDs of the migration's tables.
 */
char *
pgxc_change_breaks(const PgxcChange *change, const PgxcOpen *migration,
				   List *tree)
{
	const ObjectAddress *object = &change->object;
	char *reason;

	if (object->classId == RelationRelationId &&
		list_member_oid(tree, object->objectId))
		return object->objectSubId == 0 ? breaks_table(change, migration)
										: breaks_column(change, migration);
	if (is_piece(change, migration))
		return "it was built for the new column";
	reason = breaks_trigger(change, migration, tree);
	return reason != NULL ? reason : breaks_surroundings(change, migration);
}

/*
 * May the change break old code within the scope of an expand-only phase?
 * What comes may; what goes, is called otherwise, or holds less may not.
 */
bool
pgxc_change_is_destructive(const PgxcChange *change, const PgxcOpen *phase,
						   List *tree)
{
	const ObjectAddress *object = &change->object;
	ListCell *lc;

	switch (change->action)
	{
		case PGXC_ACTION_DROP:
		case PGXC_ACTION_RENAME:
		case PGXC_ACTION_RETYPE:
		case PGXC_ACTION_CONSTRAIN:
		case PGXC_ACTION_DETACH:
		case PGXC_ACTION_BYPASS:
			break;
		default:
			return false;
	}
	if (strcmp(phase->scope, "database") == 0)
		return true;
	if (strcmp(phase->scope, "schema") == 0)
		return schema_of(object) == phase->schema;
	foreach (lc, tree)
	{
		Oid relid = lfirst_oid(lc);

		if (object->classId == RelationRelationId && object->objectId == relid)
			return true;
		if (object->classId == NamespaceRelationId &&
			object->objectId == get_rel_namespace(relid))
			return true;
		if (depends_on(object->classId, object->objectId, RelationRelationId,
					   relid, -1))
			return true;
	}
	return false;
}
