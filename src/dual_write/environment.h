/*
 * environment.h
 *		Whose rights and which settings an expression is evaluated with.
 */
#ifndef PGXC_ENVIRONMENT_H
#define PGXC_ENVIRONMENT_H

#include "nodes/pg_list.h"

/* A setting, and the value that it is to have. */
typedef struct PgxcSetting
{
	const char *name;
	const char *value;
	struct config_generic *record; /* NULL: ask for it by name */
	union
	{
		bool as_bool;
		int as_int; /* an enum, too */
		double as_real;
	} wanted;
} PgxcSetting;

/* Those that a migration was started with. */
typedef struct PgxcEnvironment
{
	int nsettings;
	PgxcSetting *settings;
} PgxcEnvironment;

/* What pgxc_environment_enter() changed. */
typedef struct PgxcEnvironmentSaved
{
	Oid userid;
	int sec_context;
	int guc_level; /* 0: no setting was changed */
} PgxcEnvironmentSaved;

extern PgxcEnvironment *pgxc_environment_make(List *settings);
extern void pgxc_environment_enter(const PgxcEnvironment *environment,
								   Oid owner, bool uses_settings,
								   bool uses_names,
								   PgxcEnvironmentSaved *saved);
extern void pgxc_environment_leave(const PgxcEnvironmentSaved *saved);

#endif /* PGXC_ENVIRONMENT_H */
