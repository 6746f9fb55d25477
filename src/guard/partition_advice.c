/*
 * partition_advice.c
 *		How to do without work under a strong lock what ATTACH, DETACH and
 *		CREATE TABLE PARTITION OF do with it.
 */
#include "postgres.h"

#include "guard/partition.h"

void
pgxc_advise_attach(PgxcAnalysis *a, Relation parent, Relation partition,
				   PartitionBoundSpec *bound, List *quals)
{
}

void
pgxc_advise_new_partition(PgxcAnalysis *a, Relation parent, CreateStmt *stmt)
{
}

void
pgxc_advise_detach(PgxcAnalysis *a, Relation parent, Relation partition,
				   bool has_default)
{
}
