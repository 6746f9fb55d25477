/*
 * analyse_object.c
 *		Everything that is neither a table, an index nor a type: views,
 *		schemas, grants, comments, extensions and the like.
 *
 * Most of it touches no relation, or only for a moment.  What is not listed
 * here (operators, casts, text search, servers, subscriptions, event triggers,
 * default privileges) has nothing to do with any.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "nodes/makefuncs.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "guard/ddl_analysis.h"
#include "guard/named_object.h"
#include "guard/object_family.h"
#include "guard/raw_relations.h"

/*
 * The query is only parsed and kept: nothing behind a view is locked.  A view
 * that is replaced waits for its readers.
 */
static void
create_view(PgxcAnalysis *a, ViewStmt *stmt)
{
	Oid view = pgxc_resolve(a, stmt->view);
	Node *query = copyObject(stmt->query);

	if (stmt->replace && OidIsValid(view) &&
		get_rel_relkind(view) == RELKIND_VIEW)
	{
		pgxc_touch(a, view, AccessExclusiveLock);
		pgxc_change(a, PGXC_ACTION_REDEFINE, RelationRelationId, view, 0);
	}
	pgxc_touch_raw_query(a, query, false, true);
}

/* Since 18 GRANT keeps a lock on each relation that it names. */
static void
grant(PgxcAnalysis *a, GrantStmt *stmt)
{
	ListCell *lc;

	if (!PGXC_GRANT_KEEPS_LOCKS || stmt->targtype != ACL_TARGET_OBJECT ||
		(stmt->objtype != OBJECT_TABLE && stmt->objtype != OBJECT_SEQUENCE))
		return;
	foreach (lc, stmt->objects)
		pgxc_touch_relation(a, pgxc_resolve(a, lfirst_node(RangeVar, lc)),
							AccessShareLock);
}

/* The object becomes part of the extension, or is no longer. */
static void
alter_extension_contents(PgxcAnalysis *a, AlterExtensionContentsStmt *stmt)
{
	pgxc_touch_named_object(a, stmt->objtype, stmt->object,
							ShareUpdateExclusiveLock);
	pgxc_change_named_object(a, PGXC_ACTION_REDEFINE, stmt->objtype,
							 stmt->object);
}

static void
depends_on_extension(PgxcAnalysis *a, AlterObjectDependsStmt *stmt)
{
	if (stmt->relation == NULL)
		return;
	pgxc_touch_relation(a, pgxc_resolve(a, stmt->relation),
						stmt->objectType == OBJECT_TRIGGER
							? AccessShareLock
							: AccessExclusiveLock);
}

/* What the elements of CREATE SCHEMA make is in the new schema. */
static void
put_into_schema(RangeVar *name, char *schema)
{
	if (name && name->schemaname == NULL)
		name->schemaname = schema;
}

static void
create_schema(PgxcAnalysis *a, CreateSchemaStmt *stmt)
{
	ListCell *lc;

	if (stmt->schemaname &&
		OidIsValid(get_namespace_oid(stmt->schemaname, true)))
		return;
	foreach (lc, stmt->schemaElts)
	{
		Node *element = (Node *) lfirst(lc);

		switch (nodeTag(element))
		{
			case T_CreateStmt:
				put_into_schema(((CreateStmt *) element)->relation,
								stmt->schemaname);
				break;
			case T_ViewStmt:
				put_into_schema(((ViewStmt *) element)->view, stmt->schemaname);
				break;
			case T_CreateSeqStmt:
				put_into_schema(((CreateSeqStmt *) element)->sequence,
								stmt->schemaname);
				break;
			case T_IndexStmt:
				put_into_schema(((IndexStmt *) element)->relation,
								stmt->schemaname);
				break;
			case T_CreateTrigStmt:
				put_into_schema(((CreateTrigStmt *) element)->relation,
								stmt->schemaname);
				break;
			default:
				break;
		}
		pgxc_analyse_statement(a, element);
	}
}

/*
 * What a statement about one of these objects does.  Throws what the catalog
 * look-ups throw.
 */
void
pgxc_analyse_object(PgxcAnalysis *a, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_ViewStmt:
			create_view(a, (ViewStmt *) stmt);
			break;
		case T_CreateTrigStmt:
		case T_RuleStmt:
		case T_CreatePolicyStmt:
		case T_AlterPolicyStmt:
			pgxc_analyse_trigger(a, stmt);
			break;
		case T_CreateSeqStmt:
		case T_AlterSeqStmt:
		case T_CreateStatsStmt:
			pgxc_analyse_sequence(a, stmt);
			break;
		case T_CreatePublicationStmt:
		case T_AlterPublicationStmt:
			pgxc_analyse_publication(a, stmt);
			break;
		case T_CreateFunctionStmt:
		case T_AlterFunctionStmt:
			pgxc_analyse_function(a, stmt);
			break;
		case T_CreateSchemaStmt:
			create_schema(a, (CreateSchemaStmt *) stmt);
			break;
		case T_CommentStmt:
			pgxc_touch_named_object(a, ((CommentStmt *) stmt)->objtype,
									((CommentStmt *) stmt)->object,
									ShareUpdateExclusiveLock);
			break;
		case T_SecLabelStmt:
			pgxc_touch_named_object(a, ((SecLabelStmt *) stmt)->objtype,
									((SecLabelStmt *) stmt)->object,
									ShareUpdateExclusiveLock);
			break;
		case T_GrantStmt:
			grant(a, (GrantStmt *) stmt);
			break;
		case T_AlterExtensionContentsStmt:
			alter_extension_contents(a, (AlterExtensionContentsStmt *) stmt);
			break;
		case T_AlterObjectDependsStmt:
			depends_on_extension(a, (AlterObjectDependsStmt *) stmt);
			break;
		default:
			break;
	}
}
