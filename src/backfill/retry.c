/*
 * retry.c
 *		What an error means for a migration.  Pure.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "backfill/retry.h"

/* Classes (the first two characters of an SQLSTATE), and what they mean. */
static const struct
{
	char code[3];
	PgxcErrorClass error_class;
} class_table[] = {
	{ "08", PGXC_ERROR_ENVIRONMENT }, /* connection, of a foreign server */
	{ "0A", PGXC_ERROR_DEFINITION },
	{ "25", PGXC_ERROR_ENVIRONMENT }, /* read-only transaction, and the like */
	{ "26", PGXC_ERROR_DEFINITION },
	{ "28", PGXC_ERROR_DEFINITION },
	{ "2B", PGXC_ERROR_DEFINITION },
	{ "34", PGXC_ERROR_DEFINITION },
	{ "3D", PGXC_ERROR_DEFINITION },
	{ "3F", PGXC_ERROR_DEFINITION },
	{ "40", PGXC_ERROR_CONTENTION },
	{ "42", PGXC_ERROR_DEFINITION },
	{ "53", PGXC_ERROR_ENVIRONMENT },
	{ "55", PGXC_ERROR_DEFINITION },
	{ "57", PGXC_ERROR_ENVIRONMENT },
	{ "58", PGXC_ERROR_ENVIRONMENT },
	{ "72", PGXC_ERROR_ENVIRONMENT },
	{ "F0", PGXC_ERROR_ENVIRONMENT },
	{ "HV", PGXC_ERROR_ENVIRONMENT },
	{ "XX", PGXC_ERROR_CORRUPTION },
};

static const char *const class_names[] = { "contention",  "row",
										   "environment", "definition",
										   "corruption",  "operator" };

/*
 * Everything that is not listed is taken for a matter of one row: the classes
 * of bad data (22, 23, 21, 44, 54 ...) and whatever a user's function or
 * trigger raises.  If it is not, every row fails, and the first one stops the
 * migration just as well.
 */
PgxcErrorClass
pgxc_error_class(int sqlerrcode)
{
	const char *state = unpack_sql_state(sqlerrcode);

	switch (sqlerrcode)
	{
		case ERRCODE_QUERY_CANCELED:
			return PGXC_ERROR_OPERATOR;
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_OBJECT_IN_USE:
			return PGXC_ERROR_CONTENTION;
		default:
			break;
	}

	for (int i = 0; i < lengthof(class_table); i++)
	{
		if (strncmp(state, class_table[i].code, 2) == 0)
			return class_table[i].error_class;
	}
	return PGXC_ERROR_ROW;
}

const char *
pgxc_error_class_name(PgxcErrorClass error_class)
{
	return class_names[error_class];
}

/*
 * Exponential backoff: first_ms * 2^tries, at most cap_ms.
 */
int64
pgxc_backoff_ms(int64 first_ms, int tries, int64 cap_ms)
{
	int64 ms = first_ms;

	for (int i = 0; i < tries && ms < cap_ms; i++)
		ms *= 2;
	return Min(ms, cap_ms);
}

PG_FUNCTION_INFO_V1(pgxc_test_error_class);
PG_FUNCTION_INFO_V1(pgxc_test_backoff);

/* pgxc_test_error_class(sqlstate text) returns text, for the regression test */
Datum
pgxc_test_error_class(PG_FUNCTION_ARGS)
{
	char *s = text_to_cstring(PG_GETARG_TEXT_PP(0));

	if (strlen(s) != 5)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pgxc_error_class_name(
		pgxc_error_class(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])))));
}

/* pgxc_test_backoff(first bigint, tries integer, cap bigint) returns bigint */
Datum
pgxc_test_backoff(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(pgxc_backoff_ms(PG_GETARG_INT64(0), PG_GETARG_INT32(1),
									PG_GETARG_INT64(2)));
}
