/*
 * relation_list.c
 *		The relations of this database that a statement without names means.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"

#include "guard/relation_list.h"

/*
 * Those of users that pass the test: no catalogs, TOAST, tables of pgxc, or what
 * is temporary in another session.  Locks none of them.  Allocates in the current memory
 * context.
 */
List *
pgxc_list_relations(PgxcRelationTest test, void *arg)
{
	Relation pg_class = table_open(RelationRelationId, AccessShareLock);
	SysScanDesc scan =
		systable_beginscan(pg_class, InvalidOid, false, NULL, 0, NULL);
	List *relations = NIL;
	Oid own = get_namespace_oid("pgxc", true);
	HeapTuple tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_class form = (Form_pg_class) GETSTRUCT(tuple);

		if (form->oid < FirstNormalObjectId || form->relnamespace == own ||
			IsToastNamespace(form->relnamespace) ||
			(form->relpersistence == RELPERSISTENCE_TEMP &&
			 !isTempNamespace(form->relnamespace)))
			continue;
		if (test(form, arg))
			relations = lappend_oid(relations, form->oid);
	}
	systable_endscan(scan);
	table_close(pg_class, AccessShareLock);
	return relations;
}
