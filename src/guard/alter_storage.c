/*
 * alter_storage.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

bool
pgxc_alter_storage(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
				   AlterTableStmt *stmt, LOCKMODE lock)
{
	return false;
}
