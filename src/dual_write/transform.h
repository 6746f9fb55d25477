/*
 * transform.h
 *		How one column is computed from a row.
 */
#ifndef PGXC_TRANSFORM_H
#define PGXC_TRANSFORM_H

#include "access/attnum.h"
#include "executor/tuptable.h"
#include "nodes/execnodes.h"
#include "utils/relcache.h"

#include "dual_write/environment.h"
#include "dual_write/subquery.h"

typedef enum PgxcTransformKind
{
	PGXC_TRANSFORM_COPY,       /* another column, as it is */
	PGXC_TRANSFORM_EXPRESSION, /* an expression over the row alone */
	PGXC_TRANSFORM_QUERY       /* one that reads other tables */
} PgxcTransformKind;

typedef struct PgxcTransform
{
	PgxcTransformKind kind;
	AttrNumber copied;      /* COPY: which column */
	bool never_raises;      /* no value can make it fail */
	bool uses_settings;     /* its value may depend on settings */
	bool uses_names;        /* it runs somebody's function or query */
	bool fragile;           /* an error leaves the state unusable */
	bool broken;            /* and that has happened */
	ExprState *state;       /* EXPRESSION; QUERY: the cast, or NULL */
	ExprContext *econtext;  /* shared by the transforms of a row */
	PgxcSubquery *subquery; /* QUERY */
} PgxcTransform;

/* What the transforms of a table have in common while they are compiled. */
typedef struct PgxcTransformCompiler
{
	const char *migration; /* its name, for messages */
	Relation rel;
	MemoryContext keep;    /* where the results go */
	TupleDesc row;         /* the relation's, in there */
	ExprContext *econtext; /* in there, too, if one is needed */
	List *dependencies;    /* PlanInvalItems */
} PgxcTransformCompiler;

extern PgxcTransform *pgxc_transform_compile(PgxcTransformCompiler *compiler,
											 const char *text, AttrNumber from,
											 AttrNumber to);
extern Datum pgxc_transform_run(const PgxcTransform *transform,
								const PgxcEnvironment *environment, Oid owner,
								TupleTableSlot *row, bool *isnull);
extern Datum pgxc_transform_try(PgxcTransform *transform,
								const PgxcEnvironment *environment, Oid owner,
								TupleTableSlot *row, bool *isnull,
								int *sqlerrcode);

#endif /* PGXC_TRANSFORM_H */
