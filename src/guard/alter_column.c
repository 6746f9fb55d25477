/*
 * alter_column.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

bool
pgxc_alter_column(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				  AlterTableStmt *stmt, LOCKMODE lock)
{
	return false;
}
