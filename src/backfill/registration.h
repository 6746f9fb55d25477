/*
 * registration.h
 *		What every start_... does to register a migration.
 */
#ifndef PGXC_REGISTRATION_H
#define PGXC_REGISTRATION_H

#include "nodes/pg_list.h"

extern List *pgxc_settings_list(void);
extern void pgxc_lock_hierarchy(Oid relid);
extern void pgxc_lock_name(const char *name);
extern void pgxc_warn_without_workers(int64 id);
extern void pgxc_report_same_name(const char *name, int64 id, bool same,
								  const char *state, const char *phase);

#endif /* PGXC_REGISTRATION_H */
