/*
 * arbiters.h
 *		ON CONFLICT while two unique indexes hold the same values.
 */
#ifndef PGXC_ARBITERS_H
#define PGXC_ARBITERS_H

#include "nodes/execnodes.h"

extern void pgxc_arbiters_add(ModifyTableState *state);

#endif /* PGXC_ARBITERS_H */
