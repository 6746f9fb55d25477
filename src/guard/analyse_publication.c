/*
 * analyse_publication.c
 *		CREATE and ALTER PUBLICATION.
 *
 * Tables that are named are locked with their heirs (of a partitioned table
 * only itself); those that a schema or FOR ALL TABLES brings are not.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_publication.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"
#include "guard/raw_relations.h"

static void
touch_tables(PgxcAnalysis *a, List *objects)
{
	ListCell *lc;

	foreach (lc, objects)
	{
		PublicationObjSpec *object = lfirst_node(PublicationObjSpec, lc);
		Oid relid;

		if (object->pubobjtype != PUBLICATIONOBJ_TABLE)
			continue;
		relid = pgxc_resolve(a, object->pubtable->relation);
		if (!OidIsValid(relid))
			continue;
		(void) pgxc_touch_inheritors(a, relid,
									 object->pubtable->relation->inh &&
										 get_rel_relkind(relid) !=
											 RELKIND_PARTITIONED_TABLE,
									 ShareUpdateExclusiveLock);
		pgxc_touch_raw_expression(a, object->pubtable->whereClause);
	}
}

static void
alter_publication(PgxcAnalysis *a, AlterPublicationStmt *stmt)
{
	Oid publication = get_publication_oid(stmt->pubname, true);
	ListCell *lc;

	if (!OidIsValid(publication))
		return;
	pgxc_change(a, PGXC_ACTION_REDEFINE, PublicationRelationId, publication, 0);
	if (stmt->options != NIL)
		return;
	touch_tables(a, stmt->pubobjects);
	if (stmt->action != AP_SetObjects)
		return;
	/* Those that it had before go, or come again. */
	foreach (lc, GetPublicationRelations(publication, PUBLICATION_PART_ROOT))
		pgxc_touch_relation(a, lfirst_oid(lc), ShareUpdateExclusiveLock);
}

/*
 * What CREATE PUBLICATION or ALTER PUBLICATION does.
 */
void
pgxc_analyse_publication(PgxcAnalysis *a, Node *stmt)
{
	if (IsA(stmt, CreatePublicationStmt))
		touch_tables(a, ((CreatePublicationStmt *) stmt)->pubobjects);
	else if (IsA(stmt, AlterPublicationStmt))
		alter_publication(a, (AlterPublicationStmt *) stmt);
}
