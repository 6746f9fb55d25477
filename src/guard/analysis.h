/*
 * analysis.h
 *		From a parse tree and the catalog to the effects of a statement.
 *
 * This is for the files that analyse; everybody else includes ddl_analysis.h.
 */
#ifndef PGXC_ANALYSIS_H
#define PGXC_ANALYSIS_H

#include "nodes/parsenodes.h"
#include "nodes/plannodes.h"
#include "utils/relcache.h"

#include "guard/effect.h"

typedef struct PgxcPending PgxcPending;

/* One statement under analysis. */
typedef struct PgxcAnalysis
{
	const char *source; /* the text that stmt_location counts in, or NULL */
	int location;       /* where the statement begins in it; -1 unknown */
	int length;         /* 0: until the end */
	PgxcPending
		*pending;  /* what earlier statements of the text did; NULL: none */
	List *effects; /* of PgxcEffect, in the order of the first lock */
	List *changes; /* of PgxcChange */
	char *error;   /* why there is no analysis: PostgreSQL's own message */
} PgxcAnalysis;

/* effect.c */
extern PgxcEffect *pgxc_touch(PgxcAnalysis *a, Oid relid, LOCKMODE lock);
extern PgxcEffect *pgxc_touch_work(PgxcAnalysis *a, Oid relid, LOCKMODE lock,
								   int work, const char *reason);
extern PgxcEffect *pgxc_effect_find(PgxcAnalysis *a, Oid relid);
extern PgxcChange *pgxc_change(PgxcAnalysis *a, PgxcAction action, Oid classid,
							   Oid objid, int subid);
extern PgxcChange *pgxc_change_column(PgxcAnalysis *a, PgxcAction action,
									  Oid relid, AttrNumber attnum);
extern bool pgxc_is_populated(Oid relid);
extern Oid pgxc_resolve(PgxcAnalysis *a, const RangeVar *name);
extern void pgxc_effects_finish(PgxcAnalysis *a);

/* One file each; ddl_analysis.c says which statements go where. */
extern void pgxc_analyse_alter_table(PgxcAnalysis *a, AlterTableStmt *stmt);
extern void pgxc_analyse_create_table(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_index(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_maintenance(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_drop(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_rename(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_type(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_object(PgxcAnalysis *a, Node *stmt);

/* The subcommands of ALTER TABLE, after the lock that all of them share. */
extern bool pgxc_alter_column(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
							  AlterTableStmt *stmt, LOCKMODE lock);
extern bool pgxc_alter_constraint(PgxcAnalysis *a, Relation rel,
								  AlterTableCmd *cmd, AlterTableStmt *stmt,
								  LOCKMODE lock);
extern bool pgxc_alter_partition(PgxcAnalysis *a, Relation rel,
								 AlterTableCmd *cmd, AlterTableStmt *stmt,
								 LOCKMODE lock);
extern bool pgxc_alter_storage(PgxcAnalysis *a, Relation rel,
							   AlterTableCmd *cmd, AlterTableStmt *stmt,
							   LOCKMODE lock);
extern bool pgxc_alter_rules(PgxcAnalysis *a, Relation rel, AlterTableCmd *cmd,
							 AlterTableStmt *stmt, LOCKMODE lock);

/* Used by more than one of them. */
extern void pgxc_analyse_drop_objects(PgxcAnalysis *a, List *addresses,
									  DropBehavior behavior);
extern void pgxc_analyse_constraint_def(PgxcAnalysis *a, Relation rel,
										Constraint *constraint,
										AlterTableStmt *stmt, bool new_column);
extern bool pgxc_not_null_is_proved(PgxcAnalysis *a, Relation rel,
									AttrNumber attnum);
extern void pgxc_touch_query_relations(PgxcAnalysis *a, Node *raw_query,
									   bool executed);
extern IntoClause *pgxc_select_into(const SelectStmt *stmt);

#endif /* PGXC_ANALYSIS_H */
