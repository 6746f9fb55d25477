/*
 * ddl.h
 *		DDL that pgxc itself runs on users' tables.
 */
#ifndef PGXC_DDL_H
#define PGXC_DDL_H

#include "core/compat.h"

extern void pgxc_ddl(Oid as_role, const char *format, ...) PGXC_PRINTF(2, 3);
extern char *pgxc_qualified_name(Oid relid);
extern Oid pgxc_relation_owner(Oid relid);
extern ErrorData *pgxc_subxact(void (*body)(void *arg), void *arg, bool keep);

#endif /* PGXC_DDL_H */
