/*
 * alter_names.c
 *		What an ALTER TABLE statement names, and what must be there.
 *
 * Where it is not, PostgreSQL refuses the statement, and is to say so itself:
 * the analysis ends as PostgreSQL would, and there is nothing to judge.
 */
#include "postgres.h"

#include "catalog/pg_constraint.h"
#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/alter_table.h"
#include "guard/pending.h"

/* Does the subcommand name a column that must exist? */
static bool
names_column(const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_AddIdentity:
		case AT_AlterColumnType:
		case AT_ColumnDefault:
		case AT_DropColumn:
		case AT_DropExpression:
		case AT_DropIdentity:
		case AT_DropNotNull:
		case AT_ResetOptions:
		case AT_SetCompression:
		case AT_SetIdentity:
		case AT_SetNotNull:
		case AT_SetOptions:
		case AT_SetStatistics:
		case AT_SetStorage:
			return cmd->name != NULL && !cmd->missing_ok;
		default:
			return false;
	}
}

/* Does another subcommand add this column? */
static bool
is_added(const AlterTableStmt *stmt, const char *column)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_AddColumn &&
			strcmp(castNode(ColumnDef, cmd->def)->colname, column) == 0)
			return true;
	}
	return false;
}

static bool
is_dropped(const AlterTableStmt *stmt, const char *column)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (cmd->subtype == AT_DropColumn && strcmp(cmd->name, column) == 0)
			return true;
	}
	return false;
}

static void
check_column(PgxcAnalysis *a, Relation rel, const AlterTableStmt *stmt,
			 const AlterTableCmd *cmd)
{
	if (get_attnum(RelationGetRelid(rel), cmd->name) != InvalidAttrNumber ||
		is_added(stmt, cmd->name) ||
		pgxc_pending_has(a->pending, RelationGetRelid(rel), cmd->name))
		return;
	ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
					errmsg("column \"%s\" of relation \"%s\" does not exist",
						   cmd->name, RelationGetRelationName(rel))));
}

static void
check_new_column(Relation rel, const AlterTableStmt *stmt,
				 const AlterTableCmd *cmd)
{
	const char *name = castNode(ColumnDef, cmd->def)->colname;

	if (cmd->missing_ok || is_dropped(stmt, name) ||
		get_attnum(RelationGetRelid(rel), name) == InvalidAttrNumber)
		return;
	ereport(ERROR, (errcode(ERRCODE_DUPLICATE_COLUMN),
					errmsg("column \"%s\" of relation \"%s\" already exists",
						   name, RelationGetRelationName(rel))));
}

static void
check_constraint(PgxcAnalysis *a, Relation rel, const AlterTableStmt *stmt,
				 const AlterTableCmd *cmd)
{
	ListCell *lc;

	if (cmd->missing_ok ||
		OidIsValid(get_relation_constraint_oid(RelationGetRelid(rel), cmd->name,
											   true)) ||
		pgxc_pending_has(a->pending, RelationGetRelid(rel), cmd->name))
		return;
	foreach (lc, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AddConstraint)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("constraint \"%s\" of relation \"%s\" does not exist",
					cmd->name, RelationGetRelationName(rel))));
}

/*
 * Throw 42703, 42701 or 42704, as PostgreSQL would, for what is not there, or
 * is already.  What an earlier statement of the text has added is there.
 */
void
pgxc_check_alter_names(PgxcAnalysis *a, Relation rel,
					   const AlterTableStmt *stmt)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		if (names_column(cmd))
			check_column(a, rel, stmt, cmd);
		else if (cmd->subtype == AT_AddColumn)
			check_new_column(rel, stmt, cmd);
		else if (cmd->subtype == AT_DropConstraint ||
				 cmd->subtype == AT_ValidateConstraint)
			check_constraint(a, rel, stmt, cmd);
		else if ((cmd->subtype == AT_EnableTrig ||
				  cmd->subtype == AT_EnableAlwaysTrig ||
				  cmd->subtype == AT_EnableReplicaTrig ||
				  cmd->subtype == AT_DisableTrig))
			(void) get_trigger_oid(RelationGetRelid(rel), cmd->name, false);
	}
}
