/*
 * carry.h
 *		Keeps an old column and its new one in step, row by row.
 */
#ifndef PGXC_CARRY_H
#define PGXC_CARRY_H

#include "dual_write/config.h"

extern bool pgxc_dual_write_carry(PgxcDualWrite *dual_write, Relation rel,
								  TupleTableSlot *before, TupleTableSlot *row);

#endif /* PGXC_CARRY_H */
