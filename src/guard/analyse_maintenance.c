/*
 * analyse_maintenance.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_maintenance(PgxcAnalysis *a, Node *stmt)
{
}
