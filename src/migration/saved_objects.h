/*
 * saved_objects.h
 *		Triggers and policies that name the old column: taken off the table and
 *		put back for the new one.
 */
#ifndef PGXC_SAVED_OBJECTS_H
#define PGXC_SAVED_OBJECTS_H

#include "nodes/pg_list.h"

extern List *pgxc_saved_objects(List *tree, const char *column);
extern void pgxc_saved_objects_drop(List *saved);
extern void pgxc_saved_objects_recreate(List *saved);

#endif /* PGXC_SAVED_OBJECTS_H */
