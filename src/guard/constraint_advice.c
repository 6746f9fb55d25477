#include "postgres.h"

#include "guard/constraint.h"

char *
pgxc_constraint_advice(PgxcAnalysis *a, Relation rel, AlterTableStmt *stmt)
{
	return NULL;
}
