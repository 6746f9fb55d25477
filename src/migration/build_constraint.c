/*
 * build_constraint.c
 *		The checks, foreign keys and extended statistics of a new column.
 *
 * A constraint is added NOT VALID, under a heavy lock that is held for a
 * moment only, and validated afterwards, under one that disturbs nobody's
 * reads and writes.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "backfill/drive_error.h"
#include "backfill/drive_statement.h"
#include "core/ddl.h"
#include "core/extension.h"
#include "core/lock_queue.h"
#include "core/sql_runner.h"
#include "core/toplevel.h"
#include "migration/build.h"

#define NOT_VALID " NOT VALID"

/* Was the old one not validated?  Then the new one is not, either. */
static bool
stays_not_valid(const PgxcPiece *piece)
{
	size_t length = strlen(piece->definition);
	size_t suffix = strlen(NOT_VALID);

	return length > suffix &&
		   strcmp(piece->definition + length - suffix, NOT_VALID) == 0;
}

static bool
is_validated(Oid constraint)
{
	HeapTuple tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	bool result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
		ReleaseSysCache(tuple);
	}
	return result;
}

bool
pgxc_constraint_is_built(const PgxcPiece *piece)
{
	Oid constraint = pgxc_piece_object(piece, piece->new_name);

	return OidIsValid(constraint) &&
		   (stays_not_valid(piece) || is_validated(constraint));
}

/* A lock on a table and all below it, parents first. */
static List *
add_tree_locks(List *locks, Oid relid, LOCKMODE mode)
{
	ListCell *lc;

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		PgxcTableLock *lock = palloc(sizeof(PgxcTableLock));

		lock->relid = lfirst_oid(lc);
		lock->mode = mode;
		locks = lappend(locks, lock);
	}
	return locks;
}

/* The table that a foreign key references; InvalidOid if it is gone. */
static Oid
referenced_table(const char *alter)
{
	AlterTableStmt *stmt = castNode(AlterTableStmt, pgxc_parse_utility(alter));
	AlterTableCmd *cmd = linitial_node(AlterTableCmd, stmt->cmds);
	Constraint *constraint = castNode(Constraint, cmd->def);

	return RangeVarGetRelid(constraint->pktable, NoLock, true);
}

/*
 * The locks that ALTER TABLE will take.  Of two tables of a foreign key the
 * referenced one comes first: ours, mostly, and the busier one.
 */
static List *
locks_to_add(const PgxcPiece *piece, const char *alter)
{
	Oid referenced;

	if (piece->kind != PGXC_PIECE_FOREIGN_KEY &&
		piece->kind != PGXC_PIECE_REFERENCING)
		return add_tree_locks(NIL, piece->relid, AccessExclusiveLock);

	referenced = referenced_table(alter);
	return add_tree_locks(OidIsValid(referenced) && referenced != piece->relid
							  ? add_tree_locks(NIL, referenced,
											   ShareRowExclusiveLock)
							  : NIL,
						  piece->relid, ShareRowExclusiveLock);
}

static PgxcStep
add_constraint(PgxcDrive *drive, const PgxcPiece *piece)
{
	char *alter = psprintf("ALTER TABLE %s ADD CONSTRAINT %s %s%s",
						   pgxc_qualified_name(piece->relid),
						   quote_identifier(piece->new_name), piece->definition,
						   stays_not_valid(piece) ? "" : NOT_VALID);
	char *blockers;

	if (!pgxc_lock_try(locks_to_add(piece, alter), &blockers))
		return pgxc_drive_yield(drive, blockers);
	pgxc_ddl(pgxc_relation_owner(piece->relid), "%s", alter);
	return PGXC_STEP_AGAIN;
}

static PgxcStep
leave_validation(PgxcDrive *drive, const PgxcPiece *piece)
{
	bool nameless = piece->old_name[0] == '\0';
	PgxcDriveStatement *statement;
	MemoryContext old;

	statement = pgxc_drive_statement_new(
		drive,
		psprintf("validate %s%s%s%s on the new column",
				 piece->kind == PGXC_PIECE_NOT_NULL ? "NOT NULL" : "constraint",
				 nameless ? "" : " \"", piece->old_name, nameless ? "" : "\""));
	old = MemoryContextSwitchTo(statement->context);
	statement->sql = psprintf("ALTER TABLE %s VALIDATE CONSTRAINT %s",
							  pgxc_qualified_name(piece->relid),
							  quote_identifier(piece->new_name));
	MemoryContextSwitchTo(old);
	statement->role = pgxc_relation_owner(piece->relid);
	return PGXC_STEP_STATEMENT;
}

/*
 * Do the next thing about a constraint that is not built, in a step's
 * transaction.  The caller holds the builder's lock.
 */
PgxcStep
pgxc_constraint_build(PgxcDrive *drive, const PgxcPiece *piece)
{
	if (OidIsValid(pgxc_piece_object(piece, piece->new_name)))
		return leave_validation(drive, piece);
	return add_constraint(drive, piece);
}

bool
pgxc_statistics_are_built(const PgxcPiece *piece)
{
	LockRelationOid(piece->relid, AccessShareLock);
	return OidIsValid(pgxc_piece_object(piece, piece->new_name));
}

/* The new statistics object gets the owner and the target of the old one. */
static void
copy_statistics_properties(const PgxcPiece *piece, const char *name)
{
	static PgxcStatement select_old = PGXC_SQL(
		"SELECT quote_ident(pg_get_userbyid(stxowner)), stxowner <> $2, stxstattarget::integer"
		" FROM pg_catalog.pg_statistic_ext WHERE oid = $1",
		OIDOID, OIDOID);
	Oid superior = pgxc_extension_owner();
	PgxcIdentity saved;
	Datum values[2];
	char *owner = NULL;
	bool other = false;
	bool isnull = true;
	int target = -1;

	values[0] = ObjectIdGetDatum(pgxc_piece_object(piece, piece->old_name));
	values[1] = ObjectIdGetDatum(pgxc_relation_owner(piece->relid));
	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&select_old, values, NULL, SPI_OK_SELECT) == 1)
	{
		owner = TextDatumGetCString(pgxc_sql_value(0, 1, &isnull));
		other = DatumGetBool(pgxc_sql_value(0, 2, &isnull));
		target = DatumGetInt32(pgxc_sql_value(0, 3, &isnull));
		if (isnull)
			target = -1;
		if (target >= 0)
			pgxc_ddl(superior, "ALTER STATISTICS %s SET STATISTICS %d", name,
					 target);
		if (other)
			pgxc_ddl(superior, "ALTER STATISTICS %s OWNER TO %s", name, owner);
	}
	pgxc_sql_end(&saved);
}

/*
 * Make a statistics object in a step's transaction: it is empty until the next
 * ANALYZE.
 */
PgxcStep
pgxc_statistics_build(PgxcDrive *drive, const PgxcPiece *piece)
{
	CreateStatsStmt *stmt =
		castNode(CreateStatsStmt, pgxc_parse_utility(piece->definition));
	PgxcTableLock lock = { piece->relid, ShareUpdateExclusiveLock };
	PgxcIdentity saved;
	char *blockers;

	if (!pgxc_lock_try(list_make1(&lock), &blockers))
		return pgxc_drive_yield(drive, blockers);

	llast(stmt->defnames) = makeString(pstrdup(piece->new_name));
	pgxc_identity_push(&saved, pgxc_relation_owner(piece->relid),
					   SECURITY_LOCAL_USERID_CHANGE);
	pgxc_run_utility((Node *) stmt, piece->definition);
	pgxc_identity_pop(&saved);
	copy_statistics_properties(piece, NameListToQuotedString(stmt->defnames));
	return PGXC_STEP_AGAIN;
}
