/*
 * alter_rules.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

bool
pgxc_alter_rules(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				 AlterTableStmt *stmt, LOCKMODE lock)
{
	return false;
}
