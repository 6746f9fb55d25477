/*
 * options.h
 *		The parameters that start_... and alter_migration have in common.
 */
#ifndef PGXC_OPTIONS_H
#define PGXC_OPTIONS_H

#include "fmgr.h"

#define PGXC_NUM_OPTIONS 8

/* Nullable ones are 0 (or NULL) if not given; see pgxc_options_datums(). */
typedef struct PgxcOptions
{
	bool given[PGXC_NUM_OPTIONS];
	int target_chunk_ms;
	double max_duty;
	int parallel_workers;
	int max_rows_per_second;
	int max_wal_rate;
	int passes;
	int64 max_row_errors;
	char *throttle_function;
} PgxcOptions;

extern void pgxc_options_read(FunctionCallInfo fcinfo, int first_arg,
							  bool altering, PgxcOptions *options);
extern void pgxc_options_datums(const PgxcOptions *options, Datum *values,
								char *nulls);
extern char *pgxc_options_describe(const PgxcOptions *options);

#endif /* PGXC_OPTIONS_H */
