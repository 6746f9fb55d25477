/*
 * drop_closure.h
 *		Which objects go together with those that are dropped.
 */
#ifndef PGXC_DROP_CLOSURE_H
#define PGXC_DROP_CLOSURE_H

#include "catalog/objectaddress.h"
#include "nodes/parsenodes.h"

/* One object that goes. */
typedef struct PgxcDropped
{
	ObjectAddress object;
	bool named; /* else reached through a dependency */
} PgxcDropped;

/* drop_closure.c */
extern List *pgxc_drop_closure(List *addresses, DropBehavior behavior);

#endif /* PGXC_DROP_CLOSURE_H */
