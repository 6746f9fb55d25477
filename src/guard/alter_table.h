/*
 * alter_table.h
 *		What the files about columns in ALTER TABLE share.
 */
#ifndef PGXC_ALTER_TABLE_H
#define PGXC_ALTER_TABLE_H

#include "guard/analysis.h"

/* A column's values change: another type, or another expression. */
typedef struct PgxcColumnChange
{
	AttrNumber attnum;
	Oid type; /* the new ones */
	int32 typmod;
	Oid collation;
} PgxcColumnChange;

/* One table with such columns. */
typedef struct PgxcChangedTable
{
	Oid relid;
	List *columns; /* of PgxcColumnChange */
	bool rewrite;  /* decided before anything that depends is rebuilt */
} PgxcChangedTable;

/* alter_rewrite.c */
extern void pgxc_rewrite_table(PgxcAnalysis *a, Oid relid, LOCKMODE lock,
							   const char *reason);
extern bool pgxc_drops(PgxcAnalysis *a, Oid classid, Oid objid);
extern List *pgxc_touch_tree(PgxcAnalysis *a, Relation rel, bool recurse,
							 LOCKMODE lock);
extern void pgxc_touch_named(PgxcAnalysis *a, Node *expr);
extern void pgxc_touch_computed(PgxcAnalysis *a, Oid relid, Node *expr);
extern void pgxc_suggest(PgxcAnalysis *a, Oid relid, const char *sql);
extern char *pgxc_table_text(Oid relid);

/* added_column.c */
extern void pgxc_alter_add_column(PgxcAnalysis *a, Relation rel,
								  AlterTableCmd *cmd, AlterTableStmt *stmt,
								  LOCKMODE lock);
extern bool pgxc_added_column_is_not_null(ColumnDef *def);

/* alter_type.c */
extern void pgxc_alter_types(PgxcAnalysis *a, Relation rel,
							 AlterTableStmt *stmt, LOCKMODE lock);
extern void pgxc_alter_expression(PgxcAnalysis *a, Relation rel,
								  AlterTableCmd *cmd, bool recurse,
								  LOCKMODE lock);

/* column_dependents.c */
extern void pgxc_rebuild_dependents(PgxcAnalysis *a, PgxcChangedTable *table,
									List *tables, LOCKMODE lock);

extern Oid pgxc_index_opclass(Relation index, int key);

/* fk_recheck.c */
extern void pgxc_rebuild_foreign_key(PgxcAnalysis *a, Oid constraint,
									 List *tables);

/* alter_not_null.c */
extern void pgxc_alter_set_not_null(PgxcAnalysis *a, Relation rel,
									const char *column, AlterTableStmt *stmt,
									LOCKMODE lock);
extern void pgxc_alter_drop_not_null(PgxcAnalysis *a, Relation rel,
									 const char *column, bool recurse,
									 LOCKMODE lock);

/* alter_names.c */
extern void pgxc_check_alter_names(PgxcAnalysis *a, Relation rel,
								   const AlterTableStmt *stmt);

#endif /* PGXC_ALTER_TABLE_H */
