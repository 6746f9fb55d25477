/*
 * analyse_alter_table.c
 *		ALTER TABLE, and whatever else is an AlterTableStmt: ALTER INDEX, VIEW,
 *		MATERIALIZED VIEW, SEQUENCE, FOREIGN TABLE, TYPE.
 *
 * All subcommands share one lock, the strongest that one of them needs.  Each
 * subcommand is known to one of the alter_... files.
 */
#include "postgres.h"

#include "access/relation.h"
#include "commands/tablecmds.h"
#include "utils/rel.h"

#include "guard/analysis.h"

typedef bool (*SubcommandAnalyser)(PgxcAnalysis *a, Relation rel,
								   AlterTableCmd *cmd, AlterTableStmt *stmt,
								   LOCKMODE lock);

/* Each is asked until one knows the subcommand. */
static const SubcommandAnalyser analysers[] = {
	pgxc_alter_column, pgxc_alter_constraint, pgxc_alter_partition,
	pgxc_alter_storage, pgxc_alter_rules
};

void
pgxc_analyse_alter_table(PgxcAnalysis *a, AlterTableStmt *stmt)
{
	LOCKMODE lock = AlterTableGetLockLevel(stmt->cmds);
	Oid relid = pgxc_resolve(a, stmt->relation);
	Relation rel;
	ListCell *lc;

	if (!OidIsValid(relid))
		return;
	rel = relation_open(relid, AccessShareLock);
	pgxc_touch(a, relid, lock);
	foreach (lc, stmt->cmds)
	{
		AlterTableCmd *cmd = lfirst_node(AlterTableCmd, lc);

		for (int i = 0; i < lengthof(analysers); i++)
		{
			if (analysers[i](a, rel, cmd, stmt, lock))
				break;
		}
	}
	relation_close(rel, NoLock);
}
