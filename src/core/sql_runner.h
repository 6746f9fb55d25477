/*
 * sql_runner.h
 *		Running our own SQL, and being somebody for a while.
 */
#ifndef PGXC_SQL_RUNNER_H
#define PGXC_SQL_RUNNER_H

#include "executor/spi.h"

#define PGXC_MAX_ARGS 32

/* One of our statements, planned once in a process. */
typedef struct PgxcStatement
{
	const char *sql;
	int nargs;
	Oid argtypes[PGXC_MAX_ARGS];
	SPIPlanPtr plan;
} PgxcStatement;

/* PGXC_SQL(text, types of the parameters ...): initializes one. */
#define PGXC_SQL(text, ...)                                                  \
	{                                                                        \
		.sql = (text), .nargs = lengthof(((Oid[]){ 0, ##__VA_ARGS__ })) - 1, \
		.argtypes = {                                                        \
			__VA_ARGS__                                                      \
		}                                                                    \
	}

/* What pgxc_identity_push() changed. */
typedef struct PgxcIdentity
{
	Oid userid;
	int sec_context;
	int guc_level;
} PgxcIdentity;

extern void pgxc_identity_push(PgxcIdentity *saved, Oid userid, int sec_flags);
extern void pgxc_identity_pop(const PgxcIdentity *saved);
extern void pgxc_set_local(const char *name, const char *value);
extern void pgxc_set_saved(const char *name, const char *value);

extern void pgxc_sql_begin(PgxcIdentity *saved);
extern void pgxc_sql_end(const PgxcIdentity *saved);
extern uint64 pgxc_sql_execute(PgxcStatement *stmt, Datum *values,
							   const char *nulls, int expected);
extern uint64 pgxc_sql_select_latest(PgxcStatement *stmt, Datum *values,
									 const char *nulls);
extern Datum pgxc_sql_value(int row, int column, bool *isnull);
extern int64 pgxc_sql_int64(int row, int column);
extern List *pgxc_sql_text_list(int row, int column);
extern Datum pgxc_text_list_datum(List *list);
extern Datum pgxc_oid_list_datum(List *list);

extern void pgxc_tx_begin(bool foreground);
extern void pgxc_tx_commit(bool foreground);
extern void pgxc_tx_abort(bool foreground);
extern void pgxc_tx_leave(void);

#endif /* PGXC_SQL_RUNNER_H */
