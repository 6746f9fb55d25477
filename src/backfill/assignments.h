/*
 * assignments.h
 *		What the user wrote, analysed.
 */
#ifndef PGXC_ASSIGNMENTS_H
#define PGXC_ASSIGNMENTS_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

typedef struct PgxcAssignments
{
	List *columns;      /* of char * */
	List *expressions;  /* of char *, over the alias t, fully qualified */
	char *predicate;    /* the same, or NULL */
	List *uses;         /* of char *: columns that it reads or assigns */
	Bitmapset *attnums; /* offset by FirstLowInvalidHeapAttributeNumber */
} PgxcAssignments;

extern PgxcAssignments *pgxc_assignments_analyze(Relation rel, List *family,
												 const char *assignments,
												 const char *predicate);

#endif /* PGXC_ASSIGNMENTS_H */
