/*
 * swap.h
 *		Contract's exchange of the old column for the new one.
 */
#ifndef PGXC_SWAP_H
#define PGXC_SWAP_H

#include "core/migration_row.h"
#include "utils/relcache.h"

typedef struct PgxcSwap PgxcSwap;

extern PgxcSwap *pgxc_swap_prepare(const PgxcMigration *migration, List *tree,
								   List *pieces);
extern void pgxc_swap_execute(PgxcSwap *swap);
extern List *pgxc_swap_sequences(List *tree, const char *column);

#endif /* PGXC_SWAP_H */
