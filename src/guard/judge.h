/*
 * judge.h
 *		From what a statement would do to what is to be said against it.
 */
#ifndef PGXC_JUDGE_H
#define PGXC_JUDGE_H

#include "guard/analysis.h"
#include "guard/open_migrations.h"

/* One thing that is to be said against a statement. */
typedef struct PgxcFinding
{
	bool breaks;          /* a migration; otherwise it blocks a table's users */
	int work;             /* the hazards, for pgxc.allow */
	Oid relid;            /* the table that it is about; InvalidOid: none */
	ObjectAddress object; /* of a break: what is changed */
	LOCKMODE lock;
	int64 migration_id;   /* 0: none */
	const char *relation; /* its name, or of what is changed */
	char *message;
	char *detail;
	char *hint;
} PgxcFinding;

extern List *pgxc_judge(PgxcAnalysis *a, List *open, bool every_table);
extern bool pgxc_effect_takes_time(const PgxcAnalysis *a,
								   const PgxcEffect *effect);
extern bool pgxc_effect_blocks(const PgxcAnalysis *a, const PgxcEffect *effect);
extern char *pgxc_work_text(int work);

#endif /* PGXC_JUDGE_H */
