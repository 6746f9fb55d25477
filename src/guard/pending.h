/*
 * pending.h
 *		What earlier statements of the same text would have done.
 */
#ifndef PGXC_PENDING_H
#define PGXC_PENDING_H

#include "guard/analysis.h"

extern PgxcPending *pgxc_pending_create(void);
extern void pgxc_pending_note(PgxcPending *pending, int no, Node *stmt,
							  PgxcAnalysis *a);
extern bool pgxc_pending_has(const PgxcPending *pending, Oid relid,
							 const char *part);
extern bool pgxc_pending_is_empty(const PgxcPending *pending);
extern Oid pgxc_pending_resolve(PgxcAnalysis *a, const RangeVar *name);
extern void pgxc_pending_alter(PgxcAnalysis *a, Relation rel,
							   AlterTableCmd *cmd, LOCKMODE lock);
extern List *pgxc_pending_checks(PgxcAnalysis *a, Relation rel);
extern void pgxc_pending_keep_locks(PgxcPending *pending, int no,
									PgxcAnalysis *a);

#endif /* PGXC_PENDING_H */
