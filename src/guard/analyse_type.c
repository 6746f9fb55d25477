/*
 * analyse_type.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_type(PgxcAnalysis *a, Node *stmt)
{
}
