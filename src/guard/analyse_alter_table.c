/*
 * analyse_alter_table.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_alter_table(PgxcAnalysis *a, AlterTableStmt *stmt)
{
}
