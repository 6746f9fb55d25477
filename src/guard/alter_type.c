/*
 * alter_type.c
 *		ALTER COLUMN ... TYPE, and SET EXPRESSION: are the rows written anew?
 *
 * All columns whose type a statement changes are looked at together, as what
 * depends on several of them is rebuilt once.
 */
#include "postgres.h"

#include "access/attmap.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parse_type.h"
#include "rewrite/rewriteHandler.h"
#include "rewrite/rewriteManip.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "guard/alter_table.h"
#include "guard/constraint.h"

/* The words for a change of type, when it rewrites. */
static char *
reason_of(Oid from, int32 from_typmod, Oid to, int32 to_typmod, bool has_using)
{
	if (has_using)
		return "every row is computed anew by the USING expression";
	if (DomainHasConstraints(to))
		return "the domain has constraints: every row is checked";
	return psprintf("%s to %s is stored otherwise",
					format_type_with_typemod(from, from_typmod),
					format_type_with_typemod(to, to_typmod));
}

/* Does this expression give something else than the column holds? */
static bool
changes_value(Node *expr, AttrNumber attnum)
{
	for (;;)
	{
		if (IsA(expr, Var) && ((Var *) expr)->varattno == attnum)
			return false;
		else if (IsA(expr, RelabelType))
			expr = (Node *) ((RelabelType *) expr)->arg;
		else if (IsA(expr, CoerceToDomain))
		{
			if (DomainHasConstraints(((CoerceToDomain *) expr)->resulttype))
				return true;
			expr = (Node *) ((CoerceToDomain *) expr)->arg;
		}
		else if (IsA(expr, FuncExpr) &&
				 (((FuncExpr *) expr)->funcid == F_TIMESTAMPTZ_TIMESTAMP ||
				  ((FuncExpr *) expr)->funcid == F_TIMESTAMP_TIMESTAMPTZ))
		{
			/* In UTC the two are the same. */
			if (TimestampTimestampTzRequiresRewrite())
				return true;
			expr = linitial(((FuncExpr *) expr)->args);
		}
		else
			return true;
	}
}

/* The USING expression over the relation's columns, or NULL. */
static Node *
transform_using(Relation rel, ColumnDef *def)
{
	ParseState *pstate;
	Node *expr;

	if (def->raw_default == NULL)
		return NULL;
	pstate = make_parsestate(NULL);
	addNSItemToQuery(pstate,
					 addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
												   NULL, false, true),
					 false, true, true);
	expr = transformExpr(pstate, copyObject(def->raw_default),
						 EXPR_KIND_ALTER_COL_TRANSFORM);
	free_parsestate(pstate);
	return expr;
}

/* The value of a column under its new type, planned. */
static Node *
new_value(Form_pg_attribute attr, Node *expr, const PgxcColumnChange *change)
{
	ParseState *pstate = make_parsestate(NULL);

	if (expr == NULL)
		expr = (Node *) makeVar(1, attr->attnum, attr->atttypid,
								attr->atttypmod, attr->attcollation, 0);
	expr = coerce_to_target_type(pstate, expr, exprType(expr), change->type,
								 change->typmod, COERCION_ASSIGNMENT,
								 COERCE_IMPLICIT_CAST, -1);
	if (expr == NULL)
		return NULL;
	assign_expr_collations(pstate, expr);
	free_parsestate(pstate);
	return (Node *) expression_planner((Expr *) expr);
}

/* The same expression for a child, whose columns have other numbers. */
static Node *
map_to_child(Node *expr, Relation child, Relation parent)
{
	bool whole_row;
	AttrMap *map;

	if (expr == NULL || RelationGetRelid(child) == RelationGetRelid(parent))
		return expr;
	map =
		pgxc_attrmap_by_name(RelationGetDescr(child), RelationGetDescr(parent));
	return map_variable_attnos(expr, 1, 0, map, InvalidOid, &whole_row);
}

/* What becomes of one column of one table; false: the server will refuse. */
static bool
change_column(PgxcAnalysis *a, PgxcChangedTable *table, Relation rel,
			  AlterTableCmd *cmd, Node *expr, char **reason)
{
	ColumnDef *def = castNode(ColumnDef, cmd->def);
	AttrNumber attnum = get_attnum(table->relid, cmd->name);
	PgxcColumnChange *change = palloc0(sizeof(PgxcColumnChange));
	Form_pg_attribute attr;
	Node *value;

	if (attnum <= 0)
		return false;
	attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	change->attnum = attnum;
	typenameTypeIdAndMod(NULL, def->typeName, &change->type, &change->typmod);
	change->collation = GetColumnDefCollation(NULL, def, change->type);
	table->columns = lappend(table->columns, change);
	pgxc_change_column(a, PGXC_ACTION_RETYPE, table->relid, attnum);
	/* The default is stored again. */
	if (attr->atthasdef)
		pgxc_touch_named(a, build_column_default(rel, attnum));

	if (pgxc_is_virtual_column(attr) ||
		!(RELKIND_HAS_TABLE_AM(rel->rd_rel->relkind) ||
		  RELKIND_HAS_PARTITIONS(rel->rd_rel->relkind)))
		return true;
	value = new_value(attr, expr, change);
	if (value == NULL)
		return false;
	if (changes_value(pgxc_expand_virtual_columns(value, rel), attnum))
	{
		table->rewrite = true;
		pgxc_touch_computed(a, table->relid, value);
		*reason = reason_of(attr->atttypid, attr->atttypmod, change->type,
							change->typmod, expr != NULL);
	}
	return true;
}

/* The sequence of an identity column changes with it. */
static void
alter_identity_sequence(PgxcAnalysis *a, Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);
	Oid sequence;

	if (attnum <= 0 ||
		!TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attidentity)
		return;
	sequence = pgxc_identity_sequence(rel, attnum);
	if (OidIsValid(sequence))
		pgxc_touch_work(a, sequence, ShareRowExclusiveLock, PGXC_WORK_REWRITE,
						"it counts in the type of its column");
}

/* One table of the tree: which columns change, and is it written anew? */
static PgxcChangedTable *
change_table(PgxcAnalysis *a, Oid relid, Relation parent, AlterTableStmt *stmt,
			 LOCKMODE lock)
{
	Relation rel = relation_open(relid, AccessShareLock);
	PgxcChangedTable *table = palloc0(sizeof(PgxcChangedTable));
	PgxcEffect *effect = pgxc_effect_find(a, relid);
	char *reason = NULL;
	ListCell *lc;

	table->relid = relid;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		Node *expr;

		if (cmd->subtype != AT_AlterColumnType)
			continue;
		expr = transform_using(parent, castNode(ColumnDef, cmd->def));
		if (!change_column(a, table, rel, cmd, map_to_child(expr, rel, parent),
						   &reason))
			ereport(ERROR, (errcode(ERRCODE_DATATYPE_MISMATCH),
							errmsg("column \"%s\" cannot be cast automatically",
								   cmd->name)));
	}
	if (table->rewrite)
		pgxc_rewrite_table(a, relid, lock, reason);
	/* SET LOGGED comes before. */
	else if (effect != NULL && (effect->work & PGXC_WORK_REWRITE))
		table->rewrite = true;
	relation_close(rel, NoLock);
	return table;
}

/*
 * pgxc.start_type_change() for one column; NULL where that is no way: it changes
 * a type, not a collation, and no column of an inheritance tree.
 */
static char *
advise_type_change(Relation rel, AlterTableCmd *cmd)
{
	ColumnDef *def = castNode(ColumnDef, cmd->def);
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), cmd->name);
	Form_pg_attribute attr = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	Node *expr = transform_using(rel, def);
	Oid type;
	int32 typmod;
	StringInfoData sql;

	typenameTypeIdAndMod(NULL, def->typeName, &type, &typmod);
	if ((type == attr->atttypid && typmod == attr->atttypmod) ||
		attr->attinhcount > 0 || attr->attgenerated ||
		(rel->rd_rel->relhassubclass &&
		 rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE))
		return NULL;
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT pgxc.start_type_change(%s, %s, %s",
					 quote_literal_cstr(pgxc_table_text(RelationGetRelid(rel))),
					 quote_literal_cstr(cmd->name),
					 quote_literal_cstr(
						 format_type_with_typemod(type, typmod)));
	if (expr != NULL)
		appendStringInfo(&sql, ", up => %s",
						 quote_literal_cstr(deparse_expression(
							 expr,
							 deparse_context_for(RelationGetRelationName(rel),
												 RelationGetRelid(rel)),
							 false, false)));
	appendStringInfoChar(&sql, ')');
	return sql.data;
}

/*
 * If nothing but valid checks of the column are in the way, they can be made
 * anew with the type, and verified afterwards.
 */
static char *
advise_checks(Relation rel, AlterTableCmd *cmd)
{
	const char *table = pgxc_table_text(RelationGetRelid(rel));
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), cmd->name);
	TupleConstr *constr = RelationGetDescr(rel)->constr;
	ColumnDef *def = castNode(ColumnDef, cmd->def);
	StringInfoData sql, drop, add, validate;
	Oid type;
	int32 typmod;

	if (constr == NULL || def->collClause != NULL || def->raw_default != NULL ||
		rel->rd_rel->relhassubclass || has_superclass(RelationGetRelid(rel)))
		return NULL;
	typenameTypeIdAndMod(NULL, def->typeName, &type, &typmod);
	initStringInfo(&sql);
	initStringInfo(&drop);
	initStringInfo(&add);
	initStringInfo(&validate);
	for (int i = 0; i < constr->num_check; i++)
	{
		const char *name = quote_identifier(constr->check[i].ccname);
		Oid oid = get_relation_constraint_oid(RelationGetRelid(rel),
											  constr->check[i].ccname, false);

		if (!constr->check[i].ccvalid ||
			!list_member_int(pgxc_constraint_columns(oid), attnum))
			continue;
		appendStringInfo(&drop, "DROP CONSTRAINT %s, ", name);
		appendStringInfo(&add, ", ADD CONSTRAINT %s %s NOT VALID", name,
						 TextDatumGetCString(
							 DirectFunctionCall1(pg_get_constraintdef,
												 ObjectIdGetDatum(oid))));
		appendStringInfo(&validate, "; ALTER TABLE %s VALIDATE CONSTRAINT %s",
						 table, name);
	}
	if (drop.len == 0)
		return NULL;
	appendStringInfo(&sql, "ALTER TABLE %s %sALTER COLUMN %s TYPE %s%s%s",
					 table, drop.data, quote_identifier(cmd->name),
					 format_type_with_typemod(type, typmod), add.data,
					 validate.data);
	return sql.data;
}

/* For each table that has to work, each of the columns. */
static void
suggest(PgxcAnalysis *a, Relation rel, List *tables, AlterTableStmt *stmt)
{
	PgxcEffect *effect = pgxc_effect_find(a, RelationGetRelid(rel));
	ListCell *lc;

	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return;
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);
		char *advice = NULL;
		ListCell *t;

		if (cmd->subtype != AT_AlterColumnType)
			continue;
		if (effect != NULL && effect->work == PGXC_WORK_SCAN &&
			list_length(stmt->cmds) == 1)
			advice = advise_checks(rel, cmd);
		if (advice == NULL)
			advice = advise_type_change(rel, cmd);
		foreach (t, tables)
			pgxc_suggest(a, ((PgxcChangedTable *) lfirst(t))->relid, advice);
	}
}

/*
 * All ALTER COLUMN ... TYPE of a statement, on a table and its children.
 */
void
pgxc_alter_types(PgxcAnalysis *a, Relation rel, AlterTableStmt *stmt,
				 LOCKMODE lock)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AlterColumnType)
			alter_identity_sequence(a, rel, cmd->name);
	}
	foreach (lc, pgxc_touch_tree(a, rel, stmt->relation->inh, lock))
		tables =
			lappend(tables, change_table(a, lfirst_oid(lc), rel, stmt, lock));
	foreach (lc, tables)
		pgxc_rebuild_dependents(a, lfirst(lc), tables, lock);
	suggest(a, rel, tables, stmt);
}

/*
 * ALTER COLUMN ... SET EXPRESSION of a generated column: what is stored is
 * computed anew, what is virtual only read if it must not be null.
 */
void
pgxc_alter_expression(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
					  bool recurse, LOCKMODE lock)
{
	List *tables = NIL;
	ListCell *lc;

	foreach (lc, pgxc_touch_tree(a, rel, recurse, lock))
	{
		Oid relid = lfirst_oid(lc);
		AttrNumber attnum = get_attnum(relid, cmd->name);
		PgxcChangedTable *table = palloc0(sizeof(PgxcChangedTable));
		PgxcColumnChange *change = palloc0(sizeof(PgxcColumnChange));
		Relation child = relation_open(relid, AccessShareLock);
		Form_pg_attribute attr;

		if (attnum <= 0)
			return;
		attr = TupleDescAttr(RelationGetDescr(child), attnum - 1);
		pgxc_change_column(a, PGXC_ACTION_REDEFINE, relid, attnum);
		if (!pgxc_is_virtual_column(attr))
		{
			pgxc_rewrite_table(a, relid, lock,
							   "the column is computed anew for every row");
			change->attnum = attnum;
			change->type = attr->atttypid;
			change->typmod = attr->atttypmod;
			change->collation = attr->attcollation;
			table->relid = relid;
			table->columns = list_make1(change);
			table->rewrite = true;
			tables = lappend(tables, table);
		}
		else if (attr->attnotnull &&
				 RELKIND_HAS_STORAGE(child->rd_rel->relkind))
			pgxc_touch_work(a, relid, lock, PGXC_WORK_SCAN,
							"the new expression must not be null");
		relation_close(child, NoLock);
	}
	foreach (lc, tables)
		pgxc_rebuild_dependents(a, lfirst(lc), tables, lock);
}
