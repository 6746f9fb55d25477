/*
 * maintenance.h
 *		The statements that analyse_maintenance.c hands on.
 */
#ifndef PGXC_MAINTENANCE_H
#define PGXC_MAINTENANCE_H

#include "guard/analysis.h"

extern void pgxc_analyse_lock(PgxcAnalysis *a, LockStmt *stmt);
extern void pgxc_analyse_refresh(PgxcAnalysis *a, RefreshMatViewStmt *stmt);
extern void pgxc_analyse_truncate(PgxcAnalysis *a, TruncateStmt *stmt);
extern void pgxc_analyse_vacuum(PgxcAnalysis *a, VacuumStmt *stmt);
extern void pgxc_touch_rewritten(PgxcAnalysis *a, Oid relid, int work,
								 const char *reason);
extern void pgxc_touch_remade(PgxcAnalysis *a, Relation rel, int work,
							  const char *reason);

#endif /* PGXC_MAINTENANCE_H */
