/*
 * drive_statement.h
 *		Long statements between two steps.
 */
#ifndef PGXC_DRIVE_STATEMENT_H
#define PGXC_DRIVE_STATEMENT_H

#include "nodes/nodes.h"

#include "backfill/drive.h"

/* What a step wants run after it, outside of its transaction. */
typedef struct PgxcDriveStatement
{
	MemoryContext context; /* it, and all that it names */
	char *purpose;         /* "build index ..." */
	char *sql;
	Node *tree;         /* of sql: runs outside of any transaction; or NULL */
	Oid role;           /* whom it runs as, if tree is NULL */
	Oid leftover_table; /* an index that failed there ... */
	char *leftover;     /* ... with this name is dropped; or NULL */
} PgxcDriveStatement;

extern bool pgxc_builder_lock(PgxcDrive *drive);
extern PgxcDriveStatement *pgxc_drive_statement_new(PgxcDrive *drive,
													const char *purpose);
extern void pgxc_drive_statement_forget(PgxcDrive *drive);
extern PgxcStep pgxc_drive_statement(PgxcDrive *drive,
									 const PgxcMigration *migration);

#endif /* PGXC_DRIVE_STATEMENT_H */
