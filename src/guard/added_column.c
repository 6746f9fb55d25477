/*
 * added_column.c
 *		ALTER TABLE ... ADD COLUMN: is the value of all rows that are there one
 *		that the catalog can hold, or must the table be rewritten?
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/heap.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/ruleutils.h"
#include "utils/typcache.h"

#include "core/compat.h"
#include "guard/alter_table.h"

typedef struct AddedColumn
{
	ColumnDef *def;
	Oid type;
	int32 typmod;
	Node *default_value; /* planned, or NULL: there is none */
	char *default_text;
	bool has_default; /* the text says DEFAULT or GENERATED */
	bool counts;      /* serial or identity */
	bool is_virtual;  /* GENERATED ... VIRTUAL */
	bool is_stored;   /* GENERATED ... STORED */
	bool is_not_null;
	const char *reason; /* why it needs a rewrite, or NULL */
} AddedColumn;

/* serial and its brothers: the type that they mean, InvalidOid for others. */
static Oid
serial_type(const TypeName *name)
{
	static const struct
	{
		const char *name;
		Oid type;
	} types[] = { { "smallserial", INT2OID }, { "serial2", INT2OID },
				  { "serial", INT4OID },      { "serial4", INT4OID },
				  { "bigserial", INT8OID },   { "serial8", INT8OID } };

	if (list_length(name->names) != 1 || name->pct_type)
		return InvalidOid;
	for (int i = 0; i < lengthof(types); i++)
	{
		if (strcmp(strVal(linitial(name->names)), types[i].name) == 0)
			return types[i].type;
	}
	return InvalidOid;
}

/* The default, as the server would compute it for the rows that are there. */
static void
plan_default(AddedColumn *column, Node *raw)
{
	Node *value;

	if (raw == NULL)
		value = get_typdefault(column->type);
	else
	{
		ParseState *pstate = make_parsestate(NULL);

		value = cookDefault(pstate, raw, column->type, column->typmod,
							column->def->colname, '\0');
		column->default_text = deparse_expression(value, NIL, false, false);
		free_parsestate(pstate);
	}
	if (value == NULL)
		return;
	value = (Node *) expression_planner((Expr *) value);
	if (!IsA(value, Const) || !castNode(Const, value)->constisnull)
		column->default_value = value;
}

/* What the constraints of the column say about its value. */
static Node *
read_constraints(AddedColumn *column)
{
	Node *raw = NULL;
	ListCell *lc;

	foreach (lc, column->def->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		switch (constraint->contype)
		{
			case CONSTR_DEFAULT:
				raw = constraint->raw_expr;
				column->has_default = true;
				break;
			case CONSTR_IDENTITY:
				column->counts = true;
				break;
			case CONSTR_GENERATED:
				column->has_default = true;
				column->is_virtual = pgxc_constraint_is_virtual(constraint);
				column->is_stored = !column->is_virtual;
				break;
			case CONSTR_NOTNULL:
			case CONSTR_PRIMARY:
				column->is_not_null = true;
				break;
			default:
				break;
		}
	}
	return raw;
}

/*
 * Decide as ATExecAddColumn() does.  Only a value that is the same for all rows
 * and cannot fail goes into the catalog.
 */
static AddedColumn *
examine(ColumnDef *def)
{
	AddedColumn *column = palloc0(sizeof(AddedColumn));
	Node *raw;

	column->def = def;
	column->typmod = -1;
	column->type = serial_type(def->typeName);
	if (OidIsValid(column->type))
		column->counts = true;
	else
		typenameTypeIdAndMod(NULL, def->typeName, &column->type,
							 &column->typmod);
	raw = read_constraints(column);
	column->is_not_null |= column->counts;
	if (column->is_virtual)
		return column;
	if (column->counts)
		column->reason = "every row gets a number of its own";
	else if (column->is_stored)
		column->reason = "the column is computed for every row";
	else
	{
		plan_default(column, raw);
		if (DomainHasConstraints(column->type))
			column->reason = "the domain has constraints: every row is checked";
		else if (contain_volatile_functions(column->default_value))
			column->reason =
				"the default is volatile: every row gets another value";
	}
	return column;
}

/* Is a column that a statement adds NOT NULL, said so or not? */
bool
pgxc_added_column_is_not_null(ColumnDef *def)
{
	return examine(def)->is_not_null;
}

/* The column comes to this table and, if they lack it, to its children. */
static void
add_to(PgxcAnalysis *a, Relation rel, const AddedColumn *column,
	   const char *advice, LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);
	PgxcChange *change =
		pgxc_change(a, PGXC_ACTION_ADD, RelationRelationId, relid, 0);
	ListCell *lc;

	change->what =
		psprintf("column %s of %s", quote_identifier(column->def->colname),
				 pgxc_table_text(relid));
	if (column->has_default)
		pgxc_touch_named(a, column->default_value);
	if (RELKIND_HAS_STORAGE(rel->rd_rel->relkind))
	{
		if (column->reason != NULL)
		{
			pgxc_rewrite_table(a, relid, lock, column->reason);
			pgxc_touch_computed(a, relid, column->default_value);
		}
		else if (column->is_not_null && column->default_value == NULL)
			pgxc_touch_work(a, relid, lock, PGXC_WORK_SCAN,
							"the column is not null and has no default");
		pgxc_suggest(a, relid, advice);
	}
	foreach (lc, find_inheritance_children(relid, AccessShareLock))
	{
		Relation child = relation_open(lfirst_oid(lc), AccessShareLock);

		pgxc_touch(a, RelationGetRelid(child), lock);
		/* A column of that name is merged with the new one. */
		if (get_attnum(RelationGetRelid(child), column->def->colname) ==
			InvalidAttrNumber)
			add_to(a, child, column, advice, lock);
		relation_close(child, NoLock);
	}
}

/* CHECK, UNIQUE and so on that stand behind the column. */
static void
add_constraints(PgxcAnalysis *a, Relation rel, AddedColumn *column,
				AlterTableStmt *stmt)
{
	List *names = list_make1(makeString(column->def->colname));
	ListCell *lc;

	foreach (lc, column->def->constraints)
	{
		Constraint *constraint = lfirst_node(Constraint, lc);

		switch (constraint->contype)
		{
			case CONSTR_CHECK:
				break;
			case CONSTR_PRIMARY:
			case CONSTR_UNIQUE:
				if (constraint->keys == NIL)
					constraint->keys = names;
				break;
			case CONSTR_FOREIGN:
				constraint->fk_attrs = names;
				/* Nulls need no check. */
				constraint->skip_validation = !column->has_default;
				constraint->initially_valid = true;
				break;
			default:
				continue;
		}
		pgxc_analyse_constraint_def(a, rel, constraint, stmt, true);
	}
}

/*
 * The same in steps that hold no lock while they work: the column without a
 * value, then its default for new rows, then the old rows in the background.
 */
static char *
advise(Relation rel, const AddedColumn *column)
{
	const char *table = pgxc_table_text(RelationGetRelid(rel));
	const char *name = quote_identifier(column->def->colname);
	const char *value = column->default_text;
	const char *type = format_type_with_typemod(column->type, column->typmod);
	StringInfoData sql;

	if (column->reason == NULL || column->is_stored ||
		DomainHasConstraints(column->type))
		return NULL;
	initStringInfo(&sql);
	appendStringInfo(&sql, "ALTER TABLE %s ADD COLUMN %s %s; ", table, name,
					 type);
	if (column->counts)
	{
		char *sequence = ChooseRelationName(RelationGetRelationName(rel),
											column->def->colname, "seq",
											RelationGetNamespace(rel), false);

		sequence = quote_qualified_identifier(get_namespace_name(
												  RelationGetNamespace(rel)),
											  sequence);
		appendStringInfo(&sql, "CREATE SEQUENCE %s AS %s OWNED BY %s.%s; ",
						 sequence, type, table, name);
		value = psprintf("nextval(%s)", quote_literal_cstr(sequence));
	}
	if (value == NULL)
		return NULL;
	appendStringInfo(&sql, "ALTER TABLE %s ALTER COLUMN %s SET DEFAULT %s; ",
					 table, name, value);
	appendStringInfo(&sql, "SELECT pgxc.start_backfill(%s, %s, %s)",
					 quote_literal_cstr(table),
					 quote_literal_cstr(psprintf("%s = %s", name, value)),
					 quote_literal_cstr(psprintf("%s IS NULL", name)));
	return sql.data;
}

/* Will the table have a column of this name when this one is to be added? */
static bool
exists_already(Relation rel, const char *name, AlterTableCmd *cmd,
			   AlterTableStmt *stmt)
{
	bool exists = get_attnum(RelationGetRelid(rel), name) != InvalidAttrNumber;
	ListCell *lc;

	/* In the order of passes: drops come first. */
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *other = lfirst_node(AlterTableCmd, lc);

		if (other == cmd)
			break;
		if (other->subtype == AT_DropColumn && strcmp(other->name, name) == 0)
			exists = false;
		else if (other->subtype == AT_AddColumn &&
				 strcmp(castNode(ColumnDef, other->def)->colname, name) == 0)
			exists = true;
	}
	return exists;
}

/*
 * ADD COLUMN to a table and its children.
 */
void
pgxc_alter_add_column(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
					  AlterTableStmt *stmt, LOCKMODE lock)
{
	ColumnDef *def = castNode(ColumnDef, cmd->def);
	AddedColumn *column;

	/* Then IF NOT EXISTS does nothing, not even to children. */
	if (exists_already(rel, def->colname, cmd, stmt))
		return;
	column = examine(def);
	add_to(a, rel, column, advise(rel, column), lock);
	if (column->is_not_null && !column->counts && !column->has_default &&
		column->default_value == NULL)
		pgxc_change(a, PGXC_ACTION_CONSTRAIN, RelationRelationId,
					RelationGetRelid(rel), 0)
			->what = psprintf("new column %s, not null and without a default",
							  quote_identifier(def->colname));
	add_constraints(a, rel, column, stmt);
}
