/*
 * breaks.h
 *		Does a change break an open migration?
 */
#ifndef PGXC_BREAKS_H
#define PGXC_BREAKS_H

#include "guard/effect.h"
#include "guard/open_migrations.h"

extern bool pgxc_is_part_of_pgxc(const ObjectAddress *object);
extern bool pgxc_is_own_trigger(const ObjectAddress *object);
extern Oid pgxc_table_of(const ObjectAddress *object);
extern const char *pgxc_change_verb(const PgxcChange *change);
extern char *pgxc_change_breaks(const PgxcChange *change,
								const PgxcOpen *migration, List *tree);
extern bool pgxc_change_is_destructive(const PgxcChange *change,
									   const PgxcOpen *phase, List *tree);

#endif /* PGXC_BREAKS_H */
