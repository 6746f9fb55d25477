/*
 * not_null.h
 *		NOT NULL of a column, and what it is called.
 */
#ifndef PGXC_NOT_NULL_H
#define PGXC_NOT_NULL_H

#include "nodes/pg_list.h"

extern List *pgxc_not_null_names(Oid relid, const char *column);
extern void pgxc_not_null_set(Oid relid, const char *column, List *names);

#endif /* PGXC_NOT_NULL_H */
