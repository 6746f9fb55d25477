/*
 * trigger.h
 *		pgxc.dual_write(), a BEFORE trigger FOR EACH ROW.
 */
#ifndef PGXC_DUAL_WRITE_TRIGGER_H
#define PGXC_DUAL_WRITE_TRIGGER_H

#include "dual_write/config.h"

extern PGDLLEXPORT Datum pgxc_dual_write(PG_FUNCTION_ARGS);
extern bool pgxc_dual_write_is_ours(const Trigger *trigger);
extern bool pgxc_dual_write_is_own_chunk(const PgxcDualWrite *dual_write,
										 int depth);

#endif /* PGXC_DUAL_WRITE_TRIGGER_H */
