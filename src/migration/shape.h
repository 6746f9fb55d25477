/*
 * shape.h
 *		The two shapes of a migration that writes both: which columns, and how
 *		one is made from the other.
 */
#ifndef PGXC_SHAPE_H
#define PGXC_SHAPE_H

#include "nodes/pg_list.h"
#include "utils/relcache.h"

#define PGXC_COPY "="   /* up or down: a copy, or the cast of an assignment */
#define PGXC_NO_WAY "!" /* down: the old column cannot be had back */

typedef struct PgxcShape
{
	const char *kind;
	List *old_columns;  /* of char *, the first is the one that is carried */
	char *new_column;   /* physical name until contract; may be NULL so far */
	char *final_column; /* after it */
	Oid typid;          /* of the new column */
	int32 typmod;
	Oid collation;
	bool same_type; /* as the only old column */
	bool keep_old;
	char *given_up; /* or NULL */
	char *given_down;
	char *up;    /* see PGXC_COPY; expressions are over the alias t */
	List *downs; /* of char *, for each old column */
} PgxcShape;

extern void pgxc_shape_type(PgxcShape *shape, Relation rel,
							const char *type_name);
extern void pgxc_shape_check_type(const PgxcShape *shape, Relation rel);
extern void pgxc_shape_up(PgxcShape *shape, Relation rel);
extern void pgxc_shape_down(PgxcShape *shape, Relation rel, bool column_exists);
extern bool pgxc_shape_carries(const PgxcShape *shape);
extern char *pgxc_shape_type_name(const PgxcShape *shape);
extern char *pgxc_shape_assignment(const PgxcShape *shape);
extern char *pgxc_shape_default(const PgxcShape *shape, Relation rel);

#endif /* PGXC_SHAPE_H */
