/*
 * options.c
 *		The parameters that start_... and alter_migration have in common.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_proc.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "parser/parse_func.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"

#include "core/compat.h"
#include "core/options.h"

/* In the order of the SQL functions' arguments. */
enum
{
	TARGET_CHUNK_MS,
	MAX_DUTY,
	PARALLEL_WORKERS,
	MAX_ROWS_PER_SECOND,
	MAX_WAL_RATE,
	PASSES,
	MAX_ROW_ERRORS,
	THROTTLE_FUNCTION
};

static const struct
{
	const char *name;
	double min;
	double max;
	bool zero_resets; /* in alter_migration, and means none */
} option_table[PGXC_NUM_OPTIONS] = {
	{ "target_chunk_ms", 1, 2000, true },
	{ "max_duty", 0.02, 1, true },
	{ "parallel_workers", 1, 16, false },
	{ "max_rows_per_second", 1, 1e9, true },
	{ "max_wal_rate", 1, 1e9, true },
	{ "passes", 1, 64, true },
	{ "max_row_errors", 0, 1e15, false },
	{ "throttle_function", 0, 0, true },
};

static void
check_range(int option, double value, bool zero_allowed)
{
	if (zero_allowed && option_table[option].zero_resets && value == 0)
		return;
	if (isnan(value) || value < option_table[option].min ||
		value > option_table[option].max)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s %.15g is out of range", option_table[option].name,
						value),
				 errhint("It must be between %.15g and %.15g.",
						 option_table[option].min, option_table[option].max)));
}

/*
 * The function without arguments that the caller means, with its schema: it
 * is called with another search_path.  Throws 42883.
 */
static char *
find_function(const char *name)
{
	Oid oid = LookupFuncName(pgxc_split_qualified_name(name), 0, NULL, false);

	return quote_qualified_identifier(get_namespace_name(
										  get_func_namespace(oid)),
									  get_func_name(oid));
}

/*
 * Read and check the options, which begin at argument first_arg.  altering: 0
 * is allowed where it resets an option.  Throws 22023 and 42883.
 */
void
pgxc_options_read(FunctionCallInfo fcinfo, int first_arg, bool altering,
				  PgxcOptions *options)
{
	memset(options, 0, sizeof(*options));
	options->parallel_workers = 1;

	for (int i = 0; i < PGXC_NUM_OPTIONS; i++)
	{
		int arg = first_arg + i;
		bool caps = i == MAX_ROWS_PER_SECOND || i == MAX_WAL_RATE;

		if (PG_ARGISNULL(arg))
			continue;
		options->given[i] = true;
		switch (i)
		{
			case MAX_DUTY:
				options->max_duty = PG_GETARG_FLOAT8(arg);
				check_range(i, options->max_duty, altering);
				break;
			case MAX_ROW_ERRORS:
				options->max_row_errors = PG_GETARG_INT64(arg);
				check_range(i, options->max_row_errors, false);
				break;
			case THROTTLE_FUNCTION:
				options->throttle_function =
					text_to_cstring(PG_GETARG_TEXT_PP(arg));
				if (options->throttle_function[0] != '\0')
					options->throttle_function =
						find_function(options->throttle_function);
				break;
			default:
				check_range(i, PG_GETARG_INT32(arg), altering || caps);
				break;
		}
	}
	if (options->given[TARGET_CHUNK_MS])
		options->target_chunk_ms = PG_GETARG_INT32(first_arg + TARGET_CHUNK_MS);
	if (options->given[PARALLEL_WORKERS])
		options->parallel_workers =
			PG_GETARG_INT32(first_arg + PARALLEL_WORKERS);
	if (options->given[MAX_ROWS_PER_SECOND])
		options->max_rows_per_second =
			PG_GETARG_INT32(first_arg + MAX_ROWS_PER_SECOND);
	if (options->given[MAX_WAL_RATE])
		options->max_wal_rate = PG_GETARG_INT32(first_arg + MAX_WAL_RATE);
	if (options->given[PASSES])
		options->passes = PG_GETARG_INT32(first_arg + PASSES);
}

/*
 * The options as column values, in the order of the arguments: null where an
 * option has no value of its own.
 */
void
pgxc_options_datums(const PgxcOptions *options, Datum *values, char *nulls)
{
	const char *function = options->throttle_function;

	values[TARGET_CHUNK_MS] = Int32GetDatum(options->target_chunk_ms);
	values[MAX_DUTY] = Float8GetDatum(options->max_duty);
	values[PARALLEL_WORKERS] = Int32GetDatum(options->parallel_workers);
	values[MAX_ROWS_PER_SECOND] = Int32GetDatum(options->max_rows_per_second);
	values[MAX_WAL_RATE] = Int32GetDatum(options->max_wal_rate);
	values[PASSES] = Int32GetDatum(options->passes);
	values[MAX_ROW_ERRORS] = Int64GetDatum(options->max_row_errors);
	values[THROTTLE_FUNCTION] =
		function ? CStringGetTextDatum(function) : (Datum) 0;

	for (int i = 0; i < PGXC_NUM_OPTIONS; i++)
		nulls[i] = ' ';
	nulls[TARGET_CHUNK_MS] = options->target_chunk_ms == 0 ? 'n' : ' ';
	nulls[MAX_DUTY] = options->max_duty == 0 ? 'n' : ' ';
	nulls[MAX_ROWS_PER_SECOND] = options->max_rows_per_second == 0 ? 'n' : ' ';
	nulls[MAX_WAL_RATE] = options->max_wal_rate == 0 ? 'n' : ' ';
	nulls[PASSES] = options->passes == 0 ? 'n' : ' ';
	nulls[THROTTLE_FUNCTION] =
		function == NULL || function[0] == '\0' ? 'n' : ' ';
}

/*
 * "name = value" of each option that was given, for the audit trail.
 */
char *
pgxc_options_describe(const PgxcOptions *options)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < PGXC_NUM_OPTIONS; i++)
	{
		double number[] = {
			options->target_chunk_ms,  options->max_duty,
			options->parallel_workers, options->max_rows_per_second,
			options->max_wal_rate,     options->passes,
			options->max_row_errors,   0
		};

		if (!options->given[i])
			continue;
		appendStringInfo(&buf, "%s%s = ", buf.len > 0 ? ", " : "",
						 option_table[i].name);
		if (i == THROTTLE_FUNCTION)
			appendStringInfo(&buf, "\"%s\"", options->throttle_function);
		else
			appendStringInfo(&buf, "%g", number[i]);
	}
	return buf.data;
}
