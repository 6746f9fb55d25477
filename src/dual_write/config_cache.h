/*
 * config_cache.h
 *		The triggers that this process has compiled.
 */
#ifndef PGXC_CONFIG_CACHE_H
#define PGXC_CONFIG_CACHE_H

#include "dual_write/config.h"

extern PgxcDualWrite *pgxc_dual_write_find(const Trigger *trigger, Relation rel,
										   void **remembered);
extern void pgxc_dual_write_use(PgxcDualWrite *dual_write);
extern void pgxc_dual_write_unuse(PgxcDualWrite *dual_write);
extern void pgxc_dual_write_init(void);

#endif /* PGXC_CONFIG_CACHE_H */
