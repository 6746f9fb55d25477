/*
 * analyse_object.c
 *		Under construction.
 */
#include "postgres.h"

#include "guard/analysis.h"

void
pgxc_analyse_object(PgxcAnalysis *a, Node *stmt)
{
}
