/*
 * config.h
 *		What a dual-write trigger is to do on its table.
 */
#ifndef PGXC_DUAL_WRITE_CONFIG_H
#define PGXC_DUAL_WRITE_CONFIG_H

#include "commands/trigger.h"
#include "fmgr.h"

#include "dual_write/transform.h"

typedef struct PgxcColumn
{
	AttrNumber attnum;
	bool byval;
	int16 len;
	const char *name;
} PgxcColumn;

/* A column that the new one is computed from. */
typedef struct PgxcSource
{
	PgxcColumn column;
	PgxcTransform *down;  /* NULL: there is no way back */
	bool default_unknown; /* another one each time: a sequence, now() */
	int ndefaults;        /* constant ones, of the table and its ancestors */
	Datum *defaults;
} PgxcSource;

/* The arguments of a trigger, compiled for the table that it is on. */
typedef struct PgxcDualWrite
{
	int64 migration;
	const char *name;
	bool prefer_new;
	PgxcColumn target; /* the new column */
	PgxcTransform *up;
	int nsources;
	PgxcSource *sources;
	bool one_way;     /* some source has no way back */
	bool plain;       /* both columns hold the same value, always */
	bool copies_only; /* nothing is evaluated */
	bool may_lose;    /* a value may not come back from the new column */
	PgxcEnvironment *environment;
	TupleTableSlot *row; /* for the row as it is going to be */

	/* Of the cache. */
	Oid trigger;
	Oid relid;
	List *ancestors; /* whose defaults matter, too; OIDs */
	bool stale;
	bool in_use;
	int use_level;               /* nesting level of transactions */
	struct PgxcDualWrite *below; /* in use, too */
	struct PgxcDualWrite *next;  /* of the same trigger */
	MemoryContext context;
	int ndependencies;
	uint64 *dependencies; /* cache and hash value of functions and types */
} PgxcDualWrite;

extern PgxcDualWrite *pgxc_dual_write_build(const Trigger *trigger,
											Relation rel);
extern void pgxc_dual_write_free(PgxcDualWrite *dual_write);

#endif /* PGXC_DUAL_WRITE_CONFIG_H */
