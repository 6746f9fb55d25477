/*
 * migration_row.h
 *		A row of pgxc.migration.
 */
#ifndef PGXC_MIGRATION_ROW_H
#define PGXC_MIGRATION_ROW_H

#include "datatype/timestamp.h"
#include "fmgr.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"

#include "core/state_machine.h"

typedef struct PgxcMigration
{
	int64 id;
	char *name;
	Oid relid; /* InvalidOid: a schema or database, of expand_only */
	char *relation_name;
	char *owner;
	char *home;
	List *columns;       /* of char *, what is assigned */
	List *expressions;   /* of char *, in the same order */
	char *predicate;     /* NULL: the assignments would change the row */
	List *settings;      /* of char *, "name=value" */
	int target_chunk_ms; /* the setting, if the row says nothing */
	double max_duty;     /* the same */
	int parallel_workers;
	int max_rows_per_second; /* 0: no cap */
	int max_wal_rate;        /* kB/s, 0: no cap */
	int passes;              /* 0: choose */
	int64 max_row_errors;
	char *throttle_function; /* NULL: none */
	char *kind;
	bool expand_only;   /* it has no data, and runs nothing */
	char *scope;        /* of expand_only: table, schema or database */
	char *scope_schema; /* of that scope */
	bool dual_write;    /* a kind with two shapes; the rest is empty else */
	List *old_columns;  /* of char * */
	char *new_column;   /* as it is called until contract */
	char *final_column; /* and after it */
	char *up;           /* "=" for a copy or cast, or an expression over t */
	List *downs;        /* of char *, for each old column; "!": no way back */
	List *uses;         /* of char *: columns that it reads or writes */
	List *fingerprint;  /* of char *: what it rests on */
	char *prefer;       /* "old" or "new" */
	bool keep_old;      /* contract keeps the old columns */
	bool fire_triggers; /* chunks fire the table's own triggers */
	char *phase;
	PgxcState state;
	bool verifying;
	bool planned;
	int round;
	int blocked_tries;
	bool has_row_errors;
	int starts; /* of workers, since a chunk succeeded */
} PgxcMigration;

extern PgxcMigration *pgxc_migration_load(int64 id);
extern PgxcMigration *pgxc_migration_argument(FunctionCallInfo fcinfo,
											  int argno);
extern bool pgxc_migration_is_owner(const PgxcMigration *migration);
extern void pgxc_migration_check_owner(const PgxcMigration *migration);
extern void pgxc_migration_require_data(const PgxcMigration *migration,
										const char *verb);
extern void pgxc_migration_control_lock(int64 id, LOCKMODE mode);
extern bool pgxc_migration_is_home(const PgxcMigration *migration);

#endif /* PGXC_MIGRATION_ROW_H */
