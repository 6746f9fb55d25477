/*
 * leaf_tables.h
 *		The tables that hold a migration's rows.
 */
#ifndef PGXC_LEAF_TABLES_H
#define PGXC_LEAF_TABLES_H

#include "utils/relcache.h"

#include "core/migration_row.h"

typedef enum PgxcLeafStatus
{
	PGXC_LEAF_OK,
	PGXC_LEAF_GONE,     /* dropped, detached */
	PGXC_LEAF_REWRITTEN /* other file: its blocks mean something else */
} PgxcLeafStatus;

extern void pgxc_leaf_tables_init(void);
extern int pgxc_leaf_sync(const PgxcMigration *migration, bool restart);
extern PgxcLeafStatus pgxc_leaf_open(const PgxcMigration *migration, Oid relid,
									 Oid relfilenumber, LOCKMODE mode,
									 Relation *leaf);
extern void pgxc_leaf_gone(const PgxcMigration *migration, Oid relid);
extern void pgxc_leaf_rewritten(const PgxcMigration *migration, Relation leaf);
extern int64 pgxc_leaf_mismatches(int64 migration_id);

#endif /* PGXC_LEAF_TABLES_H */
