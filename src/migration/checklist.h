/*
 * checklist.h
 *		The conditions for contract.
 */
#ifndef PGXC_CHECKLIST_H
#define PGXC_CHECKLIST_H

#include "core/migration_row.h"

typedef struct PgxcCheck
{
	const char *item;
	bool ok;
	bool firm; /* force does not override it */
	char *evidence;
	char *advice; /* NULL where it is ok */
} PgxcCheck;

extern List *pgxc_checklist_items(const PgxcMigration *migration,
								  bool recreate_views);

#endif /* PGXC_CHECKLIST_H */
