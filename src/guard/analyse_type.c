/*
 * analyse_type.c
 *		CREATE and ALTER of types and domains.
 *
 * A domain's new constraint is checked against every table that has a column
 * of the domain, under SHARE: also by VALIDATE, which NOT VALID only puts off.
 * Where a column has the domain inside of something (an array, a composite
 * type, a range), PostgreSQL refuses, except with NOT VALID.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_type.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "guard/named_object.h"
#include "guard/object_family.h"
#include "guard/raw_relations.h"

/* A column that a type reaches. */
typedef struct ReachedColumn
{
	Oid relid;
	AttrNumber attnum;
	bool inside; /* its type contains the type, rather than being it */
} ReachedColumn;

typedef struct TypeReach
{
	List *seen;    /* types that have been looked at */
	List *columns; /* of ReachedColumn */
} TypeReach;

static void reach_from(TypeReach *reach, Oid typid, bool inside);

/* Something depends on the type. */
static void
reach_object(TypeReach *reach, Form_pg_depend form, bool inside)
{
	ReachedColumn *column;
	char relkind;

	if (form->classid == TypeRelationId)
	{
		reach_from(reach, form->objid,
				   inside || get_typtype(form->objid) != TYPTYPE_DOMAIN);
		return;
	}
	if (form->classid != RelationRelationId || form->objsubid <= 0)
		return;
	relkind = get_rel_relkind(form->objid);
	if (relkind != RELKIND_COMPOSITE_TYPE)
	{
		column = palloc(sizeof(ReachedColumn));
		column->relid = form->objid;
		column->attnum = form->objsubid;
		column->inside = inside;
		reach->columns = lappend(reach->columns, column);
	}
	if (OidIsValid(get_rel_type_id(form->objid)))
		reach_from(reach, get_rel_type_id(form->objid), true);
}

static void
reach_from(TypeReach *reach, Oid typid, bool inside)
{
	Relation depend;
	ScanKeyData key[2];
	SysScanDesc scan;
	HeapTuple tuple;

	check_stack_depth();
	if (list_member_oid(reach->seen, typid))
		return;
	reach->seen = lappend_oid(reach->seen, typid);
	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&key[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(TypeRelationId));
	ScanKeyInit(&key[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber,
				F_OIDEQ, ObjectIdGetDatum(typid));
	scan =
		systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		reach_object(reach, (Form_pg_depend) GETSTRUCT(tuple), inside);
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
}

/* Every column that has the type, or something that contains it. */
static List *
reached_columns(Oid typid)
{
	TypeReach reach = { 0 };

	reach_from(&reach, typid, false);
	return reach.columns;
}

/* PostgreSQL reads every table that has a column of the domain. */
static void
scan_tables(PgxcAnalysis *a, List *columns)
{
	ListCell *lc;

	foreach (lc, columns)
	{
		ReachedColumn *column = (ReachedColumn *) lfirst(lc);
		char relkind = get_rel_relkind(column->relid);

		if (!column->inside &&
			(relkind == RELKIND_RELATION || relkind == RELKIND_MATVIEW))
			pgxc_touch_work(a, column->relid, ShareLock, PGXC_WORK_SCAN,
							"every row is checked against the domain, also "
							"when a constraint added NOT VALID is validated");
	}
}

/* Values that were welcome may be refused from now on. */
static void
constrain_columns(PgxcAnalysis *a, Oid domain, List *columns)
{
	ListCell *lc;

	pgxc_change(a, PGXC_ACTION_CONSTRAIN, TypeRelationId, domain, 0);
	foreach (lc, columns)
	{
		ReachedColumn *column = (ReachedColumn *) lfirst(lc);
		char relkind = get_rel_relkind(column->relid);

		if (relkind != RELKIND_VIEW && relkind != RELKIND_INDEX)
			pgxc_change_column(a, PGXC_ACTION_CONSTRAIN, column->relid,
							   column->attnum)
				->cascade = true;
	}
}

/* The default of a column that has none of its own. */
static void
redefine_defaults(PgxcAnalysis *a, Oid domain)
{
	ListCell *lc;

	pgxc_change(a, PGXC_ACTION_REDEFINE, TypeRelationId, domain, 0);
	foreach (lc, reached_columns(domain))
	{
		ReachedColumn *column = (ReachedColumn *) lfirst(lc);
		HeapTuple tuple;

		if (column->inside)
			continue;
		tuple = SearchSysCache2(ATTNUM, ObjectIdGetDatum(column->relid),
								Int16GetDatum(column->attnum));
		if (!HeapTupleIsValid(tuple))
			continue;
		if (!((Form_pg_attribute) GETSTRUCT(tuple))->atthasdef)
			pgxc_change_column(a, PGXC_ACTION_REDEFINE, column->relid,
							   column->attnum)
				->cascade = true;
		ReleaseSysCache(tuple);
	}
}

static bool
is_not_null(Oid domain)
{
	HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(domain));
	bool not_null;

	if (!HeapTupleIsValid(tuple))
		return false;
	not_null = ((Form_pg_type) GETSTRUCT(tuple))->typnotnull;
	ReleaseSysCache(tuple);
	return not_null;
}

static void
add_domain_constraint(PgxcAnalysis *a, Oid domain, Constraint *constraint)
{
	List *columns;

	if (constraint->contype == CONSTR_NOTNULL && is_not_null(domain))
		return;
	columns = reached_columns(domain);
	if (!constraint->skip_validation)
		scan_tables(a, columns);
	pgxc_touch_domain_expression(a, constraint->raw_expr, domain);
	constrain_columns(a, domain, columns);
}

static void
alter_domain(PgxcAnalysis *a, AlterDomainStmt *stmt)
{
	TypeName *name = makeTypeNameFromNameList(stmt->typeName);
	Oid domain = LookupTypeNameOid(NULL, name, true);

	if (!OidIsValid(domain) || get_typtype(domain) != TYPTYPE_DOMAIN)
		return;
	switch (stmt->subtype)
	{
		case 'T': /* SET DEFAULT, DROP DEFAULT */
			pgxc_touch_raw_expression(a, stmt->def);
			redefine_defaults(a, domain);
			break;
		case 'O': /* SET NOT NULL */
			if (is_not_null(domain))
				break;
			scan_tables(a, reached_columns(domain));
			constrain_columns(a, domain, reached_columns(domain));
			break;
		case 'C': /* ADD CONSTRAINT */
			add_domain_constraint(a, domain, castNode(Constraint, stmt->def));
			break;
		case 'V': /* VALIDATE CONSTRAINT */
			if (OidIsValid(get_domain_constraint_oid(domain, stmt->name, true)))
				scan_tables(a, reached_columns(domain));
			break;
		case 'N': /* DROP NOT NULL */
		case 'X': /* DROP CONSTRAINT */
			pgxc_change(a, PGXC_ACTION_REDEFINE, TypeRelationId, domain, 0);
			break;
		default:
			break;
	}
}

/* A new label changes nothing that is there; a renamed one does. */
static void
alter_enum(PgxcAnalysis *a, AlterEnumStmt *stmt)
{
	TypeName *name = makeTypeNameFromNameList(stmt->typeName);
	Oid typid = LookupTypeNameOid(NULL, name, true);

	if (!OidIsValid(typid) || stmt->oldVal == NULL)
		return;
	pgxc_change(a, PGXC_ACTION_RENAME, TypeRelationId, typid, 0)->what =
		psprintf("label \"%s\" of type %s", stmt->oldVal,
				 TypeNameToString(name));
}

static void
create_domain(PgxcAnalysis *a, CreateDomainStmt *stmt)
{
	Oid base = LookupTypeNameOid(NULL, stmt->typeName, true);
	ListCell *lc;

	foreach (lc, stmt->constraints)
		pgxc_touch_domain_expression(a, lfirst_node(Constraint, lc)->raw_expr,
									 base);
}

/*
 * The tables whose row a new column of this type contains: some versions of
 * PostgreSQL keep the lock under which they look at it.  Takes ACCESS SHARE.
 */
void
pgxc_touch_row_type(PgxcAnalysis *a, Oid typid)
{
	Oid relid;
	Relation rel;

	if (!PGXC_KEEPS_ROW_TYPE_LOCKS)
		return;
	check_stack_depth();
	typid = getBaseType(typid);
	if (OidIsValid(get_element_type(typid)))
	{
		pgxc_touch_row_type(a, get_element_type(typid));
		return;
	}
	relid = get_typ_typrelid(typid);
	if (!OidIsValid(relid))
		return;
	pgxc_touch_relation(a, relid, AccessShareLock);
	rel = relation_open(relid, AccessShareLock);
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
	{
		Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), i);

		if (!attr->attisdropped)
			pgxc_touch_row_type(a, attr->atttypid);
	}
	relation_close(rel, NoLock);
}

static void
create_composite(PgxcAnalysis *a, CompositeTypeStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->coldeflist)
	{
		Oid typid =
			LookupTypeNameOid(NULL, lfirst_node(ColumnDef, lc)->typeName, true);

		if (OidIsValid(typid))
			pgxc_touch_row_type(a, typid);
	}
}

/*
 * What a statement about types does.  Throws what the catalog look-ups throw.
 */
void
pgxc_analyse_type(PgxcAnalysis *a, Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_AlterDomainStmt:
			alter_domain(a, (AlterDomainStmt *) stmt);
			break;
		case T_AlterEnumStmt:
			alter_enum(a, (AlterEnumStmt *) stmt);
			break;
		case T_AlterTypeStmt:
			pgxc_change_named_object(a, PGXC_ACTION_REDEFINE, OBJECT_TYPE,
									 (Node *) makeTypeNameFromNameList(
										 ((AlterTypeStmt *) stmt)->typeName));
			break;
		case T_CreateDomainStmt:
			create_domain(a, (CreateDomainStmt *) stmt);
			break;
		case T_CompositeTypeStmt:
			create_composite(a, (CompositeTypeStmt *) stmt);
			break;
		default:
			/* What is new is on no table. */
			break;
	}
}
