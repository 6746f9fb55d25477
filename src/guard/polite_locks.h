/*
 * polite_locks.h
 *		The locks of a statement, before it queues for them.
 */
#ifndef PGXC_POLITE_LOCKS_H
#define PGXC_POLITE_LOCKS_H

#include "guard/analysis.h"

extern void pgxc_lock_before(PgxcAnalysis *a, Node *stmt, List *open,
							 bool every_table);

#endif /* PGXC_POLITE_LOCKS_H */
