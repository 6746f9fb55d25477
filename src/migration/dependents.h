/*
 * dependents.h
 *		What else depends on a column that contract takes away.
 */
#ifndef PGXC_DEPENDENTS_H
#define PGXC_DEPENDENTS_H

#include "nodes/pg_list.h"

typedef struct PgxcDependent
{
	Oid classid;
	Oid objid;
	int32 objsubid;
	char *kind;       /* in words: "view", "generated column" */
	char *identity;   /* its name in full */
	bool blocks;      /* the column cannot be dropped because of it */
	bool recreatable; /* contract(recreate_views => true) keeps it */
	char *statement;  /* what mends it while both columns exist, or NULL */
	char *note;       /* one sentence */
} PgxcDependent;

extern List *pgxc_dependents(Oid relid, List *old_columns,
							 const char *new_column, const char *final_name,
							 bool same_type);

#endif /* PGXC_DEPENDENTS_H */
