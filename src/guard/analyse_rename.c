/*
 * analyse_rename.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_rename(PgxcAnalysis *a, Node *stmt)
{
}
