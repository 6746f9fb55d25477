/*
 * named_object.c
 *		Objects and relations that a DDL statement names in its own ways.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "guard/named_object.h"

/* The relation of this qualified name; InvalidOid if there is none. */
Oid
pgxc_resolve_names(PgxcAnalysis *a, List *names)
{
	if (names == NIL || list_length(names) > 3)
		return InvalidOid;
	return pgxc_resolve(a, makeRangeVarFromNameList(names));
}

/*
 * pgxc_touch(), but not of what is no relation to a user: a TOAST table, and
 * what does not exist.
 */
void
pgxc_touch_relation(PgxcAnalysis *a, Oid relid, LOCKMODE lock)
{
	if (!OidIsValid(relid) || get_rel_relkind(relid) == RELKIND_TOASTVALUE)
		return;
	pgxc_touch(a, relid, lock);
}

/*
 * The relation and, unless the statement says ONLY, everything that inherits
 * from it.  Returns all of them, the relation first.
 */
List *
pgxc_touch_inheritors(PgxcAnalysis *a, Oid relid, bool recurse, LOCKMODE lock)
{
	List *relids = recurse ? find_all_inheritors(relid, AccessShareLock, NULL)
						   : list_make1_oid(relid);
	ListCell *lc;

	foreach (lc, relids)
		pgxc_touch_relation(a, lfirst_oid(lc), lock);
	return relids;
}

/*
 * The relation that an object's address leads through, as the server locks it
 * to find the object: itself in that mode, or the one that a trigger, rule,
 * constraint or policy is on, in ACCESS SHARE.
 */
void
pgxc_touch_named_object(PgxcAnalysis *a, ObjectType type, Node *object,
						LOCKMODE lock)
{
	List *names = object && IsA(object, List) ? (List *) object : NIL;

	switch (type)
	{
		case OBJECT_TABLE:
		case OBJECT_INDEX:
		case OBJECT_SEQUENCE:
		case OBJECT_VIEW:
		case OBJECT_MATVIEW:
		case OBJECT_FOREIGN_TABLE:
			pgxc_touch_relation(a, pgxc_resolve_names(a, names), lock);
			break;
		case OBJECT_COLUMN:
		case OBJECT_ATTRIBUTE:
			if (list_length(names) > 1)
				pgxc_touch_relation(
					a,
					pgxc_resolve_names(a,
									   list_copy_head(names,
													  list_length(names) - 1)),
					lock);
			break;
		case OBJECT_RULE:
		case OBJECT_TRIGGER:
		case OBJECT_TABCONSTRAINT:
		case OBJECT_POLICY:
			if (list_length(names) > 1)
				pgxc_touch_relation(
					a,
					pgxc_resolve_names(a,
									   list_copy_head(names,
													  list_length(names) - 1)),
					AccessShareLock);
			break;
		default:
			break;
	}
}

/*
 * Something happens to an object that is no relation.  Takes ACCESS SHARE on
 * it; says nothing where there is none of that name.
 */
void
pgxc_change_named_object(PgxcAnalysis *a, PgxcAction action, ObjectType type,
						 Node *object)
{
	Relation rel = NULL;
	ObjectAddress address;

	if (object == NULL)
		return;
	address = get_object_address(type, object, &rel, AccessShareLock, true);
	if (rel != NULL)
		relation_close(rel, NoLock);
	if (OidIsValid(address.objectId))
		pgxc_change(a, action, address.classId, address.objectId,
					address.objectSubId);
}

/*
 * The type of this name, with a lock on the relation of a composite one.
 * Returns it; InvalidOid if there is none.
 */
Oid
pgxc_touch_type(PgxcAnalysis *a, List *names, LOCKMODE lock)
{
	Oid typid = LookupTypeNameOid(NULL, makeTypeNameFromNameList(names), true);

	if (OidIsValid(typid) && get_typtype(typid) == TYPTYPE_COMPOSITE)
		pgxc_touch_relation(a, get_typ_typrelid(typid), lock);
	return typid;
}
