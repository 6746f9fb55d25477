/*
 * alter_constraint.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

bool
pgxc_alter_constraint(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
					  AlterTableStmt *stmt, LOCKMODE lock)
{
	return false;
}
