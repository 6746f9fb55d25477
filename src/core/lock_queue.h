/*
 * lock_queue.h
 *		Heavy locks on users' tables, politely.
 */
#ifndef PGXC_LOCK_QUEUE_H
#define PGXC_LOCK_QUEUE_H

#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

typedef struct PgxcTableLock
{
	Oid relid;
	LOCKMODE mode;
} PgxcTableLock;

extern void pgxc_lock_politely(List *locks, const char *what);
extern bool pgxc_lock_try(List *locks, char **blockers);

#endif /* PGXC_LOCK_QUEUE_H */
