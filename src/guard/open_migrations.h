/*
 * open_migrations.h
 *		The migrations of this database that are not over.
 */
#ifndef PGXC_OPEN_MIGRATIONS_H
#define PGXC_OPEN_MIGRATIONS_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

typedef struct PgxcOpen
{
	int64 id;
	char *name;
	char *kind;
	char *owner;
	char *state;
	bool dual_write;
	bool expand_only;
	char *scope;       /* of expand_only: table, schema, database */
	char *schema_name; /* of that scope */
	Oid schema;        /* the same, InvalidOid if it is gone */
	Oid relid;         /* InvalidOid for a schema or database */
	char *relation;    /* its name when the migration began */
	char *new_column;  /* of dual_write, else NULL */
	List *columns;     /* of char *: that it writes */
	List *uses;        /* of char *: those, and what it reads */
	List *fingerprint; /* of char * */
} PgxcOpen;

extern void pgxc_open_migrations_init(void);
extern bool pgxc_is_installed(void);
extern bool pgxc_any_open_migration(void);
extern List *pgxc_open_migrations(void);
extern uint64 pgxc_open_migrations_generation(void);
extern List *pgxc_open_tree(const PgxcOpen *migration);
extern char *pgxc_open_difference(const PgxcOpen *migration);

#endif /* PGXC_OPEN_MIGRATIONS_H */
