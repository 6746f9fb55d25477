/*
 * control.h
 *		What all verbs have in common.
 */
#ifndef PGXC_CONTROL_H
#define PGXC_CONTROL_H

#include "fmgr.h"

#include "core/migration_row.h"

extern PgxcMigration *pgxc_take_control(FunctionCallInfo fcinfo,
										const char *verb);
extern void pgxc_refuse_verb(const PgxcMigration *migration, const char *verb,
							 const char *hint);
extern void pgxc_require_same_table(const PgxcMigration *migration);
extern void pgxc_forget_work(int64 id);
extern Datum pgxc_state_result(PgxcState state);

#endif /* PGXC_CONTROL_H */
