/*
 * alter_partition.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

bool
pgxc_alter_partition(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
					 AlterTableStmt *stmt, LOCKMODE lock)
{
	return false;
}
