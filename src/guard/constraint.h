/*
 * constraint.h
 *		What the files that analyse constraints share.
 */
#ifndef PGXC_CONSTRAINT_H
#define PGXC_CONSTRAINT_H

#include "catalog/pg_constraint.h"

#include "guard/analysis.h"

/* constraint_catalog.c */
extern Form_pg_constraint pgxc_constraint_by_oid(Oid conoid);
extern Form_pg_constraint pgxc_constraint_by_name(Oid relid, const char *name);
extern List *pgxc_constraint_children(Oid conoid);
extern List *pgxc_constraint_columns(Oid conoid);
extern List *pgxc_constraint_trigger_tables(Oid conoid);
extern Oid pgxc_not_null_constraint(Oid relid, const char *column);
extern void pgxc_touch_planned_indexes(PgxcAnalysis *a, Oid relid,
									   LOCKMODE lock);
extern void pgxc_touch_descendants(PgxcAnalysis *a, Oid relid, LOCKMODE lock);
extern LOCKMODE pgxc_lock_held(Oid relid, LOCKMODE atleast);
extern void pgxc_touch_scan(PgxcAnalysis *a, Oid relid, LOCKMODE lock,
							const char *reason);

/* constraint_def.c */
extern void pgxc_add_not_null(PgxcAnalysis *a, Relation rel, const char *column,
							  LOCKMODE lock, bool inherit, bool validate);
extern List *pgxc_key_columns(Relation rel, const Constraint *constraint);
extern List *pgxc_constraint_def_columns(Relation rel,
										 const Constraint *constraint);

/* foreign_key.c */
extern void pgxc_add_foreign_key(PgxcAnalysis *a, Relation rel,
								 Constraint *constraint, LOCKMODE lock,
								 bool validate);
extern void pgxc_scan_foreign_key(PgxcAnalysis *a, Oid relid, Oid referenced,
								  LOCKMODE lock, bool period);

/* constraint_advice.c */
extern char *pgxc_constraint_advice(PgxcAnalysis *a, Relation rel,
									AlterTableStmt *stmt);

#endif /* PGXC_CONSTRAINT_H */
