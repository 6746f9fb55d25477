/*
 * register.h
 *		The row of a migration with two shapes, and what start_... was given.
 */
#ifndef PGXC_REGISTER_H
#define PGXC_REGISTER_H

#include "core/options.h"
#include "migration/shape.h"

/* What the caller gave, whichever of the functions it was. */
typedef struct PgxcRequest
{
	const char *function;
	const char *kind;
	Oid relid;
	char *old_column; /* NULL for a transform */
	char *final_column;
	char *type_name; /* NULL for a rename */
	char *up;
	char *down;
	char *name;
	bool keep_old;
	bool fire_triggers;
	bool dry_run;
	PgxcOptions options;
} PgxcRequest;

extern int64 pgxc_next_id(void);
extern char *pgxc_shadow_name(int64 id, const char *column);
extern void pgxc_register(const PgxcRequest *request, const PgxcShape *shape,
						  List *pieces, int64 id, List *settings);
extern void pgxc_warn_if_published(const PgxcShape *shape, List *tree);

#endif /* PGXC_REGISTER_H */
