/*
 * way_back.h
 *		Does the new column still hold all that the old one does?
 */
#ifndef PGXC_WAY_BACK_H
#define PGXC_WAY_BACK_H

#include "dual_write/config.h"

extern bool pgxc_way_back_matters(const PgxcDualWrite *dw, Relation rel,
								  const char *up);
extern void pgxc_way_back_check(const PgxcDualWrite *dw, Relation rel,
								TupleTableSlot *row);

#endif /* PGXC_WAY_BACK_H */
