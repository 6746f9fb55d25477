/*
 * alter_column.c
 *		ALTER TABLE: what concerns a column.  Adding one, its type and NOT NULL
 *		have files of their own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/heap.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "parser/parse_node.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/compat.h"
#include "guard/alter_table.h"

/* Does the child hold the column only because this parent has it? */
static bool
is_inherited_only(Oid relid, const char *column)
{
	HeapTuple tuple = SearchSysCacheAttName(relid, column);
	bool inherited = false;

	if (HeapTupleIsValid(tuple))
	{
		Form_pg_attribute attr = (Form_pg_attribute) GETSTRUCT(tuple);

		inherited = attr->attinhcount == 1 && !attr->attislocal;
		ReleaseSysCache(tuple);
	}
	return inherited;
}

/*
 * The column and those of children that go with it.  All direct children are
 * locked, also with ONLY.
 */
static List *
columns_to_drop(PgxcAnalysis *a, Oid relid, const char *column, bool recurse,
				LOCKMODE lock)
{
	ObjectAddress *address = palloc(sizeof(ObjectAddress));
	List *addresses = NIL;
	ListCell *lc;

	foreach (lc, find_inheritance_children(relid, AccessShareLock))
	{
		Oid child = lfirst_oid(lc);

		pgxc_touch(a, child, lock);
		if (recurse && is_inherited_only(child, column))
			addresses = list_concat(addresses, columns_to_drop(a, child, column,
															   recurse, lock));
	}
	ObjectAddressSubSet(*address, RelationRelationId, relid,
						get_attnum(relid, column));
	return lappend(addresses, address);
}

static void
drop_column(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd, bool recurse,
			LOCKMODE lock)
{
	Oid relid = RelationGetRelid(rel);

	if (get_attnum(relid, cmd->name) <= 0)
		return;
	pgxc_analyse_drop_objects(
		a, columns_to_drop(a, relid, cmd->name, recurse, lock), cmd->behavior);
}

/* A column of this table, and of its children if asked for, is redefined. */
static void
redefine(PgxcAnalysis *a, Relation rel, const char *column, bool recurse,
		 LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, pgxc_touch_tree(a, rel, recurse, lock))
	{
		AttrNumber attnum = get_attnum(lfirst_oid(lc), column);

		if (attnum > 0)
			pgxc_change_column(a, PGXC_ACTION_REDEFINE, lfirst_oid(lc), attnum);
	}
}

/* SET DEFAULT and DROP DEFAULT. */
static void
alter_default(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd, bool recurse,
			  LOCKMODE lock)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), cmd->name);

	redefine(a, rel, cmd->name, recurse, lock);
	if (cmd->def != NULL && attnum > 0)
	{
		Form_pg_attribute attr =
			TupleDescAttr(RelationGetDescr(rel), attnum - 1);

		pgxc_touch_named(a, cookDefault(make_parsestate(NULL), cmd->def,
										attr->atttypid, attr->atttypmod,
										cmd->name, '\0'));
	}
}

static bool
has_identity(Relation rel, const char *column)
{
	AttrNumber attnum = get_attnum(RelationGetRelid(rel), column);

	return attnum > 0 &&
		   TupleDescAttr(RelationGetDescr(rel), attnum - 1)->attidentity;
}

/*
 * Identity of a column; the sequence behind it is altered, even if by nothing,
 * or goes.
 */
static void
alter_identity(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd, bool recurse,
			   LOCKMODE lock)
{
	bool is_partitioned = rel->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
	bool generated = false;
	int work = PGXC_WORK_NONE;
	Oid sequence;
	ListCell *lc;

	if (cmd->subtype != AT_AddIdentity && !has_identity(rel, cmd->name))
		return;
	if (cmd->subtype == AT_SetIdentity)
	{
		foreach (lc, castNode(List, cmd->def))
		{
			if (strcmp(lfirst_node(DefElem, lc)->defname, "generated") == 0)
				generated = true;
			else
				work = PGXC_WORK_REWRITE;
		}
	}
	recurse = recurse && PGXC_IDENTITY_RECURSES && is_partitioned &&
			  (generated || cmd->subtype != AT_SetIdentity);
	redefine(a, rel, cmd->name, recurse, lock);
	if (cmd->subtype == AT_AddIdentity)
		return;
	sequence = pgxc_identity_sequence(rel, get_attnum(RelationGetRelid(rel),
													  cmd->name));
	if (!OidIsValid(sequence))
		return;
	if (cmd->subtype == AT_SetIdentity)
		pgxc_touch_work(a, sequence, ShareRowExclusiveLock, work,
						work ? "it is set anew" : NULL);
	else
	{
		pgxc_touch(a, sequence, AccessExclusiveLock);
		pgxc_change(a, PGXC_ACTION_DROP, RelationRelationId, sequence, 0)
			->cascade = true;
	}
}

/* The first one deals with all of them. */
static void
alter_type(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
		   AlterTableStmt *stmt, LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		if (lfirst_node(AlterTableCmd, lc)->subtype == AT_AlterColumnType)
		{
			if (lfirst(lc) == cmd)
				pgxc_alter_types(a, rel, stmt, lock);
			return;
		}
	}
}

/*
 * The subcommands about columns; false if it is another one.
 */
bool
pgxc_alter_column(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				  AlterTableStmt *stmt, LOCKMODE lock)
{
	bool recurse = stmt->relation->inh;

	switch (cmd->subtype)
	{
		case AT_AddColumn:
			pgxc_alter_add_column(a, rel, cmd, stmt, lock);
			return true;
		case AT_DropColumn:
			drop_column(a, rel, cmd, recurse, lock);
			return true;
		case AT_AlterColumnType:
			alter_type(a, rel, cmd, stmt, lock);
			return true;
		case AT_SetNotNull:
			pgxc_alter_set_not_null(a, rel, cmd->name, stmt, lock);
			return true;
		case AT_DropNotNull:
			pgxc_alter_drop_not_null(a, rel, cmd->name, recurse, lock);
			return true;
		case AT_AddIdentity:
		case AT_SetIdentity:
		case AT_DropIdentity:
			alter_identity(a, rel, cmd, recurse, lock);
			return true;
#ifdef PGXC_HAVE_SET_EXPRESSION
		case AT_SetExpression:
			pgxc_alter_expression(a, rel, cmd, recurse, lock);
			return true;
#endif
		case AT_ColumnDefault:
			alter_default(a, rel, cmd, recurse, lock);
			return true;
		case AT_DropExpression:
			redefine(a, rel, cmd->name, recurse, lock);
			return true;
		case AT_SetStatistics:
		case AT_SetStorage:
			/* Nothing that anybody would see in the values. */
			(void) pgxc_touch_tree(a, rel, recurse, lock);
			return true;
		case AT_SetCompression:
		case AT_SetOptions:
		case AT_ResetOptions:
		case AT_AlterColumnGenericOptions:
			return true;
		case AT_AddOf:
		case AT_DropOf:
			pgxc_change(a, PGXC_ACTION_REDEFINE, RelationRelationId,
						RelationGetRelid(rel), 0);
			return true;
		default:
			return false;
	}
}
