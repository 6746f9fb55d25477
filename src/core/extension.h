/*
 * extension.h
 *		Is the extension here, and who owns it?
 */
#ifndef PGXC_EXTENSION_H
#define PGXC_EXTENSION_H

#include "nodes/pg_list.h"

extern bool pgxc_extension_exists(void);
extern bool pgxc_extension_lock(Oid *locked_oid);
extern Oid pgxc_extension_owner(void);
extern Oid pgxc_schema_oid(void);
extern Oid pgxc_catalog_table(const char *name);
extern const char *pgxc_home(void);
extern void pgxc_require_primary(const char *what);

#endif /* PGXC_EXTENSION_H */
