/*
 * analyse_alter_table.c
 *		ALTER TABLE, and whatever else is an AlterTableStmt: ALTER INDEX, VIEW,
 *		MATERIALIZED VIEW, SEQUENCE, FOREIGN TABLE, TYPE.
 *
 * All subcommands share one lock, the strongest that one of them needs.  The
 * server runs them in passes, drops first, and so does the analysis: what one
 * subcommand drops the others need not rebuild.  Each is known to one of the
 * alter_... files.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "catalog/pg_class.h"
#include "commands/tablecmds.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "core/compat.h"
#include "guard/alter_table.h"
#include "guard/pending.h"

typedef bool (*SubcommandAnalyser)(PgxcAnalysis *a, Relation rel,
								   AlterTableCmd *cmd, AlterTableStmt *stmt,
								   LOCKMODE lock);

/* Each is asked until one knows the subcommand. */
static const SubcommandAnalyser analysers[] = {
	pgxc_alter_column, pgxc_alter_constraint, pgxc_alter_partition,
	pgxc_alter_storage, pgxc_alter_rules
};

/* In the order of their passes, as far as it matters. */
enum
{
	PASS_PERSISTENCE, /* is decided before all passes */
	PASS_DROP,
	PASS_ALTER_TYPE,
	PASS_ADD_COLUMN,
	PASS_SET_EXPRESSION,
	PASS_COLUMN,
	PASS_CONSTRAINT,
	PASS_REST
};

static int
pass_of(const AlterTableCmd *cmd)
{
	switch (cmd->subtype)
	{
		case AT_SetLogged:
		case AT_SetUnLogged:
			return PASS_PERSISTENCE;
		case AT_DropColumn:
		case AT_DropConstraint:
		case AT_DropNotNull:
		case AT_DropIdentity:
		case AT_DropExpression:
			return PASS_DROP;
		case AT_ColumnDefault:
			return cmd->def ? PASS_CONSTRAINT : PASS_DROP;
		case AT_AlterColumnType:
			return PASS_ALTER_TYPE;
		case AT_AddColumn:
			return PASS_ADD_COLUMN;
#ifdef PGXC_HAVE_SET_EXPRESSION
		case AT_SetExpression:
			return PASS_SET_EXPRESSION;
#endif
		case AT_SetNotNull:
			return PASS_COLUMN;
		case AT_AddConstraint:
		case AT_AddIdentity:
			return PASS_CONSTRAINT;
		default:
			return PASS_REST;
	}
}

/* Sorted by pass; within one, in the order of the text. */
static List *
in_passes(List *cmds)
{
	List *sorted = NIL;

	for (int pass = PASS_PERSISTENCE; pass <= PASS_REST; pass++)
	{
		ListCell *lc;

		foreach (lc, cmds)
		{
			if (pass_of(lfirst_node(AlterTableCmd, lc)) == pass)
				sorted = lappend(sorted, lfirst(lc));
		}
	}
	return sorted;
}

static void
analyse_subcommands(PgxcAnalysis *a, Relation rel, AlterTableStmt *stmt,
					LOCKMODE lock)
{
	ListCell *lc;

	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		pgxc_pending_alter(a, rel, cmd, lock);
		for (int i = 0; i < lengthof(analysers); i++)
		{
			if (analysers[i](a, rel, cmd, stmt, lock))
				break;
		}
	}
}

/* The tables of a composite type. */
static List *
typed_tables(Oid type)
{
	Relation classes = table_open(RelationRelationId, AccessShareLock);
	List *tables = NIL;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple tuple;

	ScanKeyInit(&key, Anum_pg_class_reloftype, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(type));
	scan = systable_beginscan(classes, InvalidOid, false, NULL, 1, &key);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		tables = lappend_oid(tables, ((Form_pg_class) GETSTRUCT(tuple))->oid);
	systable_endscan(scan);
	table_close(classes, AccessShareLock);
	return tables;
}

/* ALTER TYPE ... CASCADE does the same to the tables of the type. */
static void
analyse_typed_tables(PgxcAnalysis *a, Relation type, AlterTableStmt *stmt,
					 LOCKMODE lock)
{
	AlterTableStmt *recursive = copyObject(stmt);
	ListCell *lc;

	recursive->relation->inh = true;
	foreach (lc, typed_tables(type->rd_rel->reltype))
	{
		Relation rel = relation_open(lfirst_oid(lc), AccessShareLock);

		pgxc_touch(a, RelationGetRelid(rel), lock);
		analyse_subcommands(a, rel, recursive, lock);
		relation_close(rel, NoLock);
	}
}

void
pgxc_analyse_alter_table(PgxcAnalysis *a, AlterTableStmt *stmt)
{
	LOCKMODE lock = AlterTableGetLockLevel(stmt->cmds);
	Oid relid = pgxc_resolve(a, stmt->relation);
	Relation rel;

	if (!OidIsValid(relid))
	{
		if (!stmt->missing_ok && a->effects == NIL)
			ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
							errmsg("relation \"%s\" does not exist",
								   stmt->relation->relname)));
		return;
	}
	stmt->cmds = in_passes(stmt->cmds);
	rel = relation_open(relid, AccessShareLock);
	pgxc_check_alter_names(a, rel, stmt);
	pgxc_touch(a, relid, lock);
	analyse_subcommands(a, rel, stmt, lock);
	if (rel->rd_rel->relkind == RELKIND_COMPOSITE_TYPE)
		analyse_typed_tables(a, rel, stmt, lock);
	relation_close(rel, NoLock);
}
