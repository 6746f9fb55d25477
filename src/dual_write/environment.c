/*
 * environment.c
 *		Whose rights and which settings an expression is evaluated with.
 *
 * The table's owner wrote the expression, so it runs with the owner's rights,
 * restricted so that it cannot become anybody else, whoever the statement
 * belongs to.  And it must give the same value in any session, so what can
 * depend on settings sees those of the session that started the migration.
 *
 * This runs for every row.  Nearly always the session has these settings
 * already, and to see that must cost next to nothing: the settings are looked
 * up once, and then compared where they are stored.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"

#include "core/compat.h"
#include "dual_write/environment.h"

/*
 * What functions find by name must not depend on the session either: whoever
 * could choose search_path would choose what the owner runs.  As in a chunk of
 * the backfill, a policy is an error, never a filter.
 */
static const char *const pinned[][2] = {
	{ "search_path", "pg_catalog, pg_temp" }, { "row_security", "off" }
};

static PgxcSetting pinned_settings[lengthof(pinned)];

/* Find where the setting is stored, and how its value looks there. */
static void
resolve(PgxcSetting *setting)
{
	struct config_generic *record = pgxc_find_setting(setting->name);

	setting->record = NULL;
	/* A placeholder goes away when the setting's owner is loaded. */
	if (record == NULL || (record->flags & GUC_CUSTOM_PLACEHOLDER) != 0)
		return;
	switch (record->vartype)
	{
		case PGC_BOOL:
			if (!parse_bool(setting->value, &setting->wanted.as_bool))
				return;
			break;
		case PGC_INT:
			if (!parse_int(setting->value, &setting->wanted.as_int,
						   record->flags, NULL))
				return;
			break;
		case PGC_REAL:
			if (!parse_real(setting->value, &setting->wanted.as_real,
							record->flags, NULL))
				return;
			break;
		case PGC_ENUM:
			if (!config_enum_lookup_by_name((struct config_enum *) record,
											setting->value,
											&setting->wanted.as_int))
				return;
			break;
		case PGC_STRING:
			break;
	}
	setting->record = record;
}

/*
 * Prepare settings ("name=value") for comparison.  The result is in the
 * current memory context and points to these strings, which it changes.
 * Throws 22023 if a string is none.
 */
PgxcEnvironment *
pgxc_environment_make(List *settings)
{
	PgxcEnvironment *environment = palloc0(sizeof(PgxcEnvironment));
	ListCell *lc;

	environment->settings =
		palloc0(sizeof(PgxcSetting) * Max(list_length(settings), 1));
	foreach (lc, settings)
	{
		PgxcSetting *setting = &environment->settings[environment->nsettings];
		char *text = (char *) lfirst(lc);
		char *equals = strchr(text, '=');

		if (equals == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("\"%s\" is not a setting and its value", text),
					 errdetail("It must look like \"name=value\".")));
		*equals = '\0';
		setting->name = text;
		setting->value = equals + 1;
		resolve(setting);
		environment->nsettings++;
	}
	return environment;
}

/* Does the session have this value? */
static inline bool
has_value(const PgxcSetting *setting)
{
	const char *value;

	if (setting->record != NULL)
		switch (setting->record->vartype)
		{
			case PGC_BOOL:
				return *((struct config_bool *) setting->record)->variable ==
					   setting->wanted.as_bool;
			case PGC_INT:
				return *((struct config_int *) setting->record)->variable ==
					   setting->wanted.as_int;
			case PGC_REAL:
				return *((struct config_real *) setting->record)->variable ==
					   setting->wanted.as_real;
			case PGC_ENUM:
				return *((struct config_enum *) setting->record)->variable ==
					   setting->wanted.as_int;
			case PGC_STRING:
				value = *((struct config_string *) setting->record)->variable;
				return value != NULL && strcmp(value, setting->value) == 0;
		}

	value = GetConfigOption(setting->name, true, false);
	return value != NULL && strcmp(value, setting->value) == 0;
}

/*
 * Give the session what it lacks.  With the rights of an ordinary user: the
 * settings come from the arguments of a trigger, which its owner may write.
 */
static void
give_values(const PgxcSetting *settings, int nsettings,
			PgxcEnvironmentSaved *saved)
{
	for (int i = 0; i < nsettings; i++)
	{
		if (likely(has_value(&settings[i])))
			continue;
		if (saved->guc_level == 0)
			saved->guc_level = NewGUCNestLevel();
		(void) set_config_option(settings[i].name, settings[i].value,
								 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
								 true, 0, false);
	}
}

/*
 * Become the owner, restricted, in the settings of the migration if the
 * expression can depend on them, and with pinned names if it runs somebody's
 * function or query.  Until pgxc_environment_leave() or, after an error, the
 * end of the (sub)transaction.
 */
void
pgxc_environment_enter(const PgxcEnvironment *environment, Oid owner,
					   bool uses_settings, bool uses_names,
					   PgxcEnvironmentSaved *saved)
{
	GetUserIdAndSecContext(&saved->userid, &saved->sec_context);
	SetUserIdAndSecContext(owner, saved->sec_context |
									  SECURITY_LOCAL_USERID_CHANGE |
									  SECURITY_RESTRICTED_OPERATION);
	saved->guc_level = 0;
	if (uses_settings)
		give_values(environment->settings, environment->nsettings, saved);
	if (uses_names)
	{
		if (pinned_settings[0].name == NULL)
			for (int i = lengthof(pinned) - 1; i >= 0; i--)
			{
				pinned_settings[i].value = pinned[i][1];
				pinned_settings[i].name = pinned[i][0];
				resolve(&pinned_settings[i]);
			}
		give_values(pinned_settings, lengthof(pinned), saved);
	}
}

void
pgxc_environment_leave(const PgxcEnvironmentSaved *saved)
{
	if (saved->guc_level != 0)
		AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->sec_context);
}
