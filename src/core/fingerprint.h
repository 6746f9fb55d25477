/*
 * fingerprint.h
 *		What a migration rests on, in words, to see whether it is still there.
 */
#ifndef PGXC_FINGERPRINT_H
#define PGXC_FINGERPRINT_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

#include "core/migration_row.h"

extern char *pgxc_trigger_name(int64 id);
extern const Trigger *pgxc_find_trigger(Relation rel, int64 id);
extern List *pgxc_fingerprint(Relation rel, int64 id, List *columns,
							  bool with_trigger);
extern char *pgxc_fingerprint_difference(List *was, List *is);
extern void pgxc_fingerprint_store(int64 id, Relation rel, List *columns,
								   List *uses, bool with_trigger);
extern List *pgxc_migration_fingerprint(const PgxcMigration *migration,
										Relation rel);
extern void pgxc_fingerprint_check(const PgxcMigration *migration,
								   Relation rel);

#endif /* PGXC_FINGERPRINT_H */
