/*
 * contract.h
 *		contract, rollback and prefer.
 */
#ifndef PGXC_CONTRACT_H
#define PGXC_CONTRACT_H

#include "core/migration_row.h"

extern void pgxc_rollback_table(const PgxcMigration *migration);

#endif /* PGXC_CONTRACT_H */
