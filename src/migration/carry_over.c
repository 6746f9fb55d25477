/*
 * carry_over.c
 *		What stands on the old column and has to stand on the new one.
 *
 * Nobody describes an index or a constraint better than the server does.  So
 * the old column is renamed to what the new one is called, in a
 * subtransaction that is rolled back, and the server is asked for the
 * definitions meanwhile.  What cannot be carried over is refused by name.
 */
#include "postgres.h"

#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "nodes/value.h"
#include "parser/parse_oper.h"
#include "parser/parse_utilcmd.h"
#include "parser/parser.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "backfill/registration.h"
#include "core/compat.h"
#include "core/ddl.h"
#include "core/sql_runner.h"
#include "core/toplevel.h"
#include "migration/carry_over.h"
#include "migration/piece.h"

/*
 * What stands on column $2 of the tables $1, in the order in which it is
 * built: kind, table, name, definition, why it cannot be carried over.  A
 * partition's copy of what its parent has is not listed.
 */
#define STANDING_ON                                                                                                            \
	"WITH a AS (SELECT t.attrelid, t.attnum, t.attnotnull, c.relkind, c.relispartition"                                        \
	" FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid"                                                               \
	" WHERE t.attrelid = ANY ($1) AND t.attname = $2 AND NOT t.attisdropped)"                                                  \
	" SELECT kind, relid, name, definition, problem FROM ("                                                                    \
	"SELECT 1 AS step, CASE n.contype WHEN 'p' THEN 2 WHEN 'u' THEN 1 ELSE 0 END AS kind, i.indrelid AS relid,"                \
	" x.relname::text AS name, pg_get_indexdef(i.indexrelid) AS definition,"                                                   \
	" CASE WHEN i.indisexclusion THEN 'an exclusion constraint cannot be built without blocking writes'"                       \
	" WHEN n.condeferrable THEN 'a deferrable constraint would be checked at once on the new column'"                          \
	" WHEN NOT i.indisvalid THEN 'it is not valid, and would be dropped with the old column' END AS problem"                   \
	" FROM a JOIN pg_index i ON i.indrelid = a.attrelid JOIN pg_class x ON x.oid = i.indexrelid"                               \
	" LEFT JOIN pg_constraint n ON n.conindid = i.indexrelid AND n.contype IN ('p', 'u', 'x')"                                 \
	" WHERE NOT x.relispartition AND (a.attnum = ANY (i.indkey::int2[])"                                                       \
	" OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid"                    \
	" AND d.refclassid = 'pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum))"                      \
	" UNION ALL SELECT 2, 3, a.attrelid, coalesce(n.conname::text, ''), format('CHECK (%I IS NOT NULL)', $2), NULL"            \
	" FROM a LEFT JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'n' AND n.conkey[1] = a.attnum"              \
	" WHERE a.attnotnull AND NOT (a.relispartition AND EXISTS (SELECT FROM pg_inherits h"                                      \
	" JOIN a p ON p.attrelid = h.inhparent WHERE h.inhrelid = a.attrelid AND p.attnotnull))"                                   \
	" UNION ALL SELECT 3, 4, n.conrelid, n.conname::text, pg_get_constraintdef(n.oid),"                                        \
	" CASE WHEN pg_get_constraintdef(n.oid) LIKE '%NOT ENFORCED' THEN 'it is not enforced' END"                                \
	" FROM a JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'c' AND a.attnum = ANY (n.conkey)"                \
	" WHERE n.coninhcount = 0"                                                                                                 \
	" UNION ALL SELECT 4, 5, n.conrelid, n.conname::text, pg_get_constraintdef(n.oid),"                                        \
	" CASE WHEN a.relkind = 'p' THEN 'a foreign key of a partitioned table cannot be added without blocking writes' END"       \
	" FROM a JOIN pg_constraint n ON n.conrelid = a.attrelid AND n.contype = 'f' AND a.attnum = ANY (n.conkey)"                \
	" WHERE n.conparentid = 0"                                                                                                 \
	" UNION ALL SELECT 5, 6, n.conrelid, n.conname::text, pg_get_constraintdef(n.oid),"                                        \
	" CASE WHEN a.relkind = 'p' THEN 'it references a partitioned table, whose unique indexes cannot be exchanged one by one'" \
	" WHEN c.relkind = 'p' THEN 'a foreign key of a partitioned table cannot be added without blocking writes' END"            \
	" FROM a JOIN pg_constraint n ON n.confrelid = a.attrelid AND n.contype = 'f' AND a.attnum = ANY (n.confkey)"              \
	" JOIN pg_class c ON c.oid = n.conrelid WHERE n.conparentid = 0"                                                           \
	" AND NOT (n.conrelid = a.attrelid AND a.attnum = ANY (n.conkey))"                                                         \
	" UNION ALL SELECT 6, 7, s.stxrelid, s.stxname::text, pg_get_statisticsobjdef(s.oid), NULL"                                \
	" FROM a JOIN pg_statistic_ext s ON s.stxrelid = a.attrelid WHERE a.attnum = ANY (s.stxkeys::int2[])"                      \
	" OR EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_statistic_ext'::regclass AND d.objid = s.oid"                   \
	" AND d.refclassid = 'pg_class'::regclass AND d.refobjid = s.stxrelid AND d.refobjsubid = a.attnum)"                       \
	") q WHERE definition IS NOT NULL ORDER BY step, relid <> ($1)[1], name COLLATE \"C\", relid"

/* Who reads the objects, and what is found; see list_standing_on(). */
typedef struct Standing
{
	const PgxcShape *shape;
	List *tree;
	const char *column; /* as it is called at the time */
	const char *rename_to;
	MemoryContext context;
	List *pieces;   /* of PgxcPiece * */
	List *problems; /* of char *, NULL where there is none */
} Standing;

static void
list_standing_on(Standing *standing)
{
	static PgxcStatement find = PGXC_SQL(STANDING_ON, OIDARRAYOID, TEXTOID);
	PgxcIdentity saved;
	Datum values[2];
	uint64 n;

	values[0] = pgxc_oid_list_datum(standing->tree);
	values[1] = CStringGetTextDatum(standing->column);
	pgxc_sql_begin(&saved);
	n = pgxc_sql_select_latest(&find, values, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(standing->context);
		PgxcPiece *piece = palloc0(sizeof(PgxcPiece));
		bool isnull;
		Datum problem;

		piece->kind =
			(PgxcPieceKind) DatumGetInt32(pgxc_sql_value(i, 1, &isnull));
		piece->relid = DatumGetObjectId(pgxc_sql_value(i, 2, &isnull));
		piece->old_name = TextDatumGetCString(pgxc_sql_value(i, 3, &isnull));
		piece->definition = TextDatumGetCString(pgxc_sql_value(i, 4, &isnull));
		problem = pgxc_sql_value(i, 5, &isnull);
		standing->pieces = lappend(standing->pieces, piece);
		standing->problems =
			lappend(standing->problems,
					isnull ? NULL : TextDatumGetCString(problem));
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
}

static void
rename_and_list(void *arg)
{
	Standing *standing = (Standing *) arg;

	pgxc_ddl(pgxc_relation_owner(linitial_oid(standing->tree)),
			 "ALTER TABLE %s RENAME COLUMN %s TO %s",
			 pgxc_qualified_name(linitial_oid(standing->tree)),
			 quote_identifier((char *) linitial(standing->shape->old_columns)),
			 quote_identifier(standing->rename_to));
	CommandCounterIncrement();
	standing->column = standing->rename_to;
	list_standing_on(standing);
}

/*
 * What is to be carried over, as a list of PgxcPiece *, with definitions that
 * name the new column.  tree: OIDs of the table, first, and its partitions.
 * The caller holds ACCESS EXCLUSIVE on all of them; the new column is not
 * there yet.
 */
List *
pgxc_carry_capture(const PgxcShape *shape, List *tree, int64 migration_id)
{
	Standing standing = {
		shape, tree, NULL, shape->new_column, CurrentMemoryContext, NIL, NIL
	};
	ErrorData *error;
	ListCell *lc;
	int no = 0;

	if (!pgxc_shape_carries(shape))
		return NIL;
	error = pgxc_subxact(rename_and_list, &standing, false);
	if (error != NULL)
		ReThrowError(error);
	foreach (lc, standing.pieces)
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);

		piece->no = ++no;
		piece->new_name = pgxc_piece_name(migration_id, no, InvalidOid);
	}
	return standing.pieces;
}

static void
refuse_piece(const PgxcPiece *piece, const char *column, const char *why)
{
	ereport(
		ERROR,
		(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
		 errmsg(
			 "cannot carry over %s \"%s\" of table \"%s\", which is on column \"%s\"",
			 piece->kind == PGXC_PIECE_REFERENCING
				 ? "foreign key"
				 : pgxc_piece_kind_name(piece->kind),
			 piece->old_name, get_rel_name(piece->relid), column),
		 errdetail("Reason: %s.", why),
		 errhint("Drop it first, if you can do without it.")));
}

/* The owner of another table that references this one must be asked, too. */
static void
check_referencing_owner(const PgxcPiece *piece)
{
	if (!pgxc_relation_ownercheck(piece->relid, GetUserId()))
		ereport(
			ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of table \"%s\"",
					get_rel_name(piece->relid)),
			 errdetail(
				 "Its foreign key \"%s\" references the column and is built anew.",
				 piece->old_name)));
}

/*
 * An index on two columns, or a foreign key between two, can be exchanged by
 * one migration at a time.  Throws 55006.
 */
static void
check_carried_by_another(const PgxcPiece *piece)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT m.name FROM pgxc.piece p JOIN pgxc.migration m ON m.id = p.migration_id"
		" WHERE m.phase = 'migrate' AND p.relation = $1 AND p.old_name = $2 AND p.kind <> 'not null'"
		" ORDER BY m.id LIMIT 1",
		REGCLASSOID, TEXTOID);
	PgxcIdentity saved;
	Datum values[2];

	if (piece->kind == PGXC_PIECE_NOT_NULL)
		return;
	values[0] = ObjectIdGetDatum(piece->relid);
	values[1] = CStringGetTextDatum(piece->old_name);
	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, NULL) > 0)
	{
		bool isnull;

		ereport(
			ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg(
				 "\"%s\" of table \"%s\" is being carried over by migration \"%s\"",
				 piece->old_name, get_rel_name(piece->relid),
				 TextDatumGetCString(pgxc_sql_value(0, 1, &isnull))),
			 errhint("Contract that migration first, or roll it back.")));
	}
	pgxc_sql_end(&saved);
}

/*
 * BEFORE triggers fire in the order of their names; ours has to be the last.
 */
static void
check_trigger_order(Oid relid)
{
	Relation rel = relation_open(relid, NoLock);
	TriggerDesc *desc = rel->trigdesc;

	for (int i = 0; desc != NULL && i < desc->numtriggers; i++)
	{
		Trigger *trigger = &desc->triggers[i];

		if (TRIGGER_FOR_BEFORE(trigger->tgtype) &&
			TRIGGER_FOR_ROW(trigger->tgtype) &&
			(TRIGGER_FOR_INSERT(trigger->tgtype) ||
			 TRIGGER_FOR_UPDATE(trigger->tgtype)) &&
			strcmp(trigger->tgname, "~pgxc_") > 0 &&
			strncmp(trigger->tgname, "~pgxc_", 6) != 0)
			ereport(
				ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg(
					 "trigger \"%s\" of table \"%s\" would fire after the one that keeps the columns equal",
					 trigger->tgname, RelationGetRelationName(rel)),
				 errdetail(
					 "Triggers fire in the order of their names, and pgxc's begins with \"~pgxc_\"."),
				 errhint("Rename it with ALTER TRIGGER ... RENAME TO.")));
	}
	relation_close(rel, NoLock);
}

/*
 * Refuse by name what cannot be carried over.  Takes no lock; the caller holds
 * some lock on the tables of the tree, so that they stay.  Throws 0A000, and
 * 42501 for another owner's table.
 */
void
pgxc_carry_preflight(const PgxcShape *shape, List *tree)
{
	ListCell *column;
	ListCell *lc;
	ListCell *problem;

	foreach (lc, tree)
		check_trigger_order(lfirst_oid(lc));
	if (shape->keep_old)
		return;

	foreach (column, shape->old_columns)
	{
		Standing standing = {
			shape, tree, (char *) lfirst(column), NULL, CurrentMemoryContext,
			NIL,   NIL
		};

		list_standing_on(&standing);
		forboth (lc, standing.pieces, problem, standing.problems)
		{
			PgxcPiece *piece = (PgxcPiece *) lfirst(lc);

			if (lfirst(problem) != NULL)
				refuse_piece(piece, standing.column, (char *) lfirst(problem));
			if (!pgxc_shape_carries(shape) &&
				piece->kind != PGXC_PIECE_NOT_NULL)
				refuse_piece(
					piece, standing.column,
					"the new column is made from several columns; keep_old => true keeps these and what is on them");
			if (piece->kind == PGXC_PIECE_REFERENCING)
				check_referencing_owner(piece);
			check_carried_by_another(piece);
		}
	}
}

/*
 * What stands on a column now, with the definitions that it has; as PgxcPiece *
 * without new names.  The caller holds a lock on the tables.
 */
List *
pgxc_carry_list(List *tree, const char *column)
{
	Standing standing = { NULL, tree, column, NULL, CurrentMemoryContext,
						  NIL,  NIL };

	list_standing_on(&standing);
	return standing.pieces;
}

/* Tables other than the migration's own that its foreign keys concern. */
List *
pgxc_carry_related(List *pieces)
{
	static PgxcStatement find =
		PGXC_SQL("SELECT confrelid FROM pg_constraint WHERE conrelid = $1"
				 " AND conname = $2 AND contype = 'f'",
				 OIDOID, TEXTOID);
	List *related = NIL;
	ListCell *lc;

	foreach (lc, pieces)
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);
		PgxcIdentity saved;
		Datum values[2];
		bool isnull;
		Oid other = InvalidOid;

		if (piece->kind != PGXC_PIECE_FOREIGN_KEY &&
			piece->kind != PGXC_PIECE_REFERENCING)
			continue;
		related = list_append_unique_oid(related, piece->relid);
		values[0] = ObjectIdGetDatum(piece->relid);
		values[1] = CStringGetTextDatum(piece->old_name);
		pgxc_sql_begin(&saved);
		if (pgxc_sql_select_latest(&find, values, NULL) > 0)
			other = DatumGetObjectId(pgxc_sql_value(0, 1, &isnull));
		pgxc_sql_end(&saved);
		if (OidIsValid(other))
			related = list_append_unique_oid(related, other);
	}
	return related;
}

/* What pgxc_carry_try() tries. */
typedef struct Trial
{
	const PgxcShape *shape;
	PgxcPiece *piece;
} Trial;

static void
try_index(Trial *trial)
{
	RawStmt *raw = linitial_node(RawStmt, raw_parser(trial->piece->definition,
													 RAW_PARSE_DEFAULT));
	IndexStmt *stmt = castNode(IndexStmt, raw->stmt);

	stmt->idxname = trial->piece->new_name;
	stmt->relation->inh = false;
	stmt =
		transformIndexStmt(trial->piece->relid, stmt, trial->piece->definition);
	pgxc_define_index_without_build(trial->piece->relid, stmt);
}

/* What its expressions need, and whether it may be made where the old one is. */
static void
try_statistics(Trial *trial)
{
	CreateStatsStmt *stmt =
		castNode(CreateStatsStmt, pgxc_parse_utility(trial->piece->definition));
	PgxcIdentity saved;

	llast(stmt->defnames) = makeString(trial->piece->new_name);
	pgxc_identity_push(&saved, pgxc_relation_owner(trial->piece->relid),
					   SECURITY_LOCAL_USERID_CHANGE);
	pgxc_run_utility((Node *) stmt, trial->piece->definition);
	pgxc_identity_pop(&saved);
}

/*
 * The type of the column on the other side of a foreign key.
 */
static Oid
foreign_key_counterpart(const PgxcPiece *piece, const char *column)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT CASE WHEN $4 THEN k.atttypid ELSE f.atttypid END FROM pg_constraint n,"
		" generate_subscripts(n.conkey, 1) s, pg_attribute k, pg_attribute f"
		" WHERE n.conrelid = $1 AND n.conname = $2"
		" AND k.attrelid = n.conrelid AND k.attnum = n.conkey[s]"
		" AND f.attrelid = n.confrelid AND f.attnum = n.confkey[s]"
		" AND CASE WHEN $4 THEN f.attname ELSE k.attname END = $3",
		OIDOID, TEXTOID, TEXTOID, BOOLOID);
	PgxcIdentity saved;
	Datum values[4];
	bool isnull;
	Oid result = InvalidOid;

	values[0] = ObjectIdGetDatum(piece->relid);
	values[1] = CStringGetTextDatum(piece->old_name);
	values[2] = CStringGetTextDatum(column);
	values[3] = BoolGetDatum(piece->kind == PGXC_PIECE_REFERENCING);
	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, values, NULL) > 0)
		result = DatumGetObjectId(pgxc_sql_value(0, 1, &isnull));
	pgxc_sql_end(&saved);
	return result;
}

/* Equality with the other side is all that it needs; throws 42883. */
static void
try_foreign_key(Trial *trial)
{
	Oid other =
		foreign_key_counterpart(trial->piece,
								(char *) linitial(trial->shape->old_columns));

	if (OidIsValid(other))
		(void) compatible_oper_opid(list_make1(makeString("=")),
									trial->shape->typid, other, false);
}

static void
try_piece(void *arg)
{
	Trial *trial = (Trial *) arg;
	PgxcPiece *piece = trial->piece;

	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			try_index(trial);
			break;
		case PGXC_PIECE_CHECK:
			pgxc_ddl(pgxc_relation_owner(piece->relid),
					 "ALTER TABLE %s ADD CONSTRAINT %s %s%s",
					 pgxc_qualified_name(piece->relid),
					 quote_identifier(piece->new_name), piece->definition,
					 strstr(piece->definition, "NOT VALID") ? ""
															: " NOT VALID");
			break;
		case PGXC_PIECE_FOREIGN_KEY:
		case PGXC_PIECE_REFERENCING:
			try_foreign_key(trial);
			break;
		case PGXC_PIECE_STATISTICS:
			try_statistics(trial);
			break;
		case PGXC_PIECE_NOT_NULL:
		case PGXC_NUM_PIECE_KINDS:
			break;
	}
}

/*
 * Does all of it compile for the new column's type?  Each piece is made
 * without its contents, and undone.  The new column is there, and the caller
 * holds ACCESS EXCLUSIVE on the tables.  Throws 0A000 by name.
 */
void
pgxc_carry_try(const PgxcShape *shape, List *pieces)
{
	ListCell *lc;

	foreach (lc, pieces)
	{
		Trial trial = { shape, (PgxcPiece *) lfirst(lc) };
		ErrorData *error;

		/* The same type; but statistics may be where the owner has no rights. */
		if (shape->same_type && trial.piece->kind != PGXC_PIECE_STATISTICS)
			continue;
		error = pgxc_subxact(try_piece, &trial, false);
		if (error == NULL)
			continue;
		if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
			ReThrowError(error);
		refuse_piece(trial.piece, (char *) linitial(shape->old_columns),
					 psprintf("with type %s, %s", format_type_be(shape->typid),
							  error->message));
	}
}
