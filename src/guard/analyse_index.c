/*
 * analyse_index.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_index(PgxcAnalysis *a, Node *stmt)
{
}
