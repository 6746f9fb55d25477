/*
 * analyse_drop.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_drop(PgxcAnalysis *a, Node *stmt)
{
}
