/*
 * expand_only.h
 *		A declared expand phase: no data, only what the guard refuses.
 */
#ifndef PGXC_EXPAND_ONLY_H
#define PGXC_EXPAND_ONLY_H

#include "core/migration_row.h"

extern List *pgxc_plan_expand_only(const PgxcMigration *migration);

#endif /* PGXC_EXPAND_ONLY_H */
