/*
 * analyse_create_table.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_create_table(PgxcAnalysis *a, Node *stmt)
{
}
