/*
 * effect.h
 *		What a statement would do, as the analysis of DDL says it.
 */
#ifndef PGXC_EFFECT_H
#define PGXC_EFFECT_H

#include "catalog/objectaddress.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

/* Work that grows with the relation, while its lock is held: bits. */
#define PGXC_WORK_NONE 0
#define PGXC_WORK_SCAN (1 << 0)    /* every row is read */
#define PGXC_WORK_REWRITE (1 << 1) /* a new file is written */
#define PGXC_WORK_INDEX_BUILD \
	(1 << 2) /* its indexes, or a new one, are built */

/* What happens to an object, besides locks and work. */
typedef enum PgxcAction
{
	PGXC_ACTION_ADD,    /* something new on a relation */
	PGXC_ACTION_DROP,   /* named, or reached through a dependency */
	PGXC_ACTION_RENAME, /* another name or another schema */
	PGXC_ACTION_RETYPE, /* a column's or domain's values are of another type */
	PGXC_ACTION_REDEFINE,  /* default, identity, expression, body, owner */
	PGXC_ACTION_CONSTRAIN, /* rows that were welcome may now be refused */
	PGXC_ACTION_DISABLE, /* a trigger or rule fires no more, or at other times */
	PGXC_ACTION_BYPASS,  /* writes or reads go by: rule, row security */
	PGXC_ACTION_ATTACH,  /* a partition or child comes */
	PGXC_ACTION_DETACH,  /* it goes */
	PGXC_ACTION_MOVE, /* same rows in another file: CLUSTER, SET TABLESPACE */
	PGXC_ACTION_TRUNCATE
} PgxcAction;

/* One relation that is touched. */
typedef struct PgxcEffect
{
	Oid relid;      /* InvalidOid: the same text makes it */
	char *relation; /* as ::regclass::text shows it */
	LOCKMODE lock;  /* the strongest that the statement holds at its end */
	int work;
	char *reason; /* of the work, else of the lock: a phrase, or NULL */
	char *
		alternative; /* SQL that is safe, statements separated by "; ", or NULL */
	int64 bytes;     /* that the work reads or writes */
	bool new_here;   /* made, or its file made, in this transaction or text */
} PgxcEffect;

/* One object that is changed. */
typedef struct PgxcChange
{
	PgxcAction action;
	ObjectAddress
		object;   /* of what is added, the relation and the column, if any */
	char *what;   /* the words for it, or NULL: getObjectDescription() */
	bool cascade; /* reached through a dependency, not named */
} PgxcChange;

#endif /* PGXC_EFFECT_H */
