/*
 * swap.c
 *		Contract's exchange of the old column for the new one.
 *
 * Everything that stands on the new column gets the name and the standing that
 * its counterpart on the old one has: first we look, then the old column goes
 * with all that is on it, then the names are free.  Nothing here reads or
 * writes rows.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/ddl.h"
#include "core/sql_runner.h"
#include "migration/column_traits.h"
#include "migration/not_null.h"
#include "migration/piece.h"
#include "migration/saved_objects.h"
#include "migration/shape.h"
#include "migration/swap.h"

/* An index of the old column, the piece's own or one of its partitions'. */
typedef struct OldIndex
{
	Oid heap;
	char *name;
	char *comment;
	bool clustered;
	bool replica_identity;
	List *targets; /* of char *: statistics of its columns, as SQL */
} OldIndex;

/* A piece, and what its counterpart is like. */
typedef struct SwapPiece
{
	PgxcPiece *piece;
	bool gone; /* the old one was dropped meanwhile */
	char *comment;
	char *constraint; /* definition, of a constraint on a partitioned table */
	List *not_null;   /* names, see pgxc_not_null_names() */
	List *indexes;    /* of OldIndex *, the piece's own first */
} SwapPiece;

typedef struct OldDefault
{
	Oid relid;
	char *expression;
} OldDefault;

struct PgxcSwap
{
	const PgxcMigration *migration;
	PgxcShape shape;
	List *tree;
	List *pieces;   /* of SwapPiece * */
	List *defaults; /* of OldDefault * */
	List *objects;  /* triggers and policies */
};

static OldIndex *
look_at_index(Oid index)
{
	static PgxcStatement find = PGXC_SQL(
		"SELECT i.indrelid, c.relname::text, obj_description(c.oid, 'pg_class'), i.indisclustered,"
		" i.indisreplident, (SELECT array_agg(format('ALTER COLUMN %s SET STATISTICS %s', a.attnum, a.attstattarget)"
		" ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attstattarget >= 0)"
		" FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indexrelid = $1",
		OIDOID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum value = ObjectIdGetDatum(index);
	OldIndex *result = palloc0(sizeof(OldIndex));
	MemoryContext old;
	bool isnull;

	pgxc_sql_begin(&saved);
	if (pgxc_sql_select_latest(&find, &value, NULL) == 1)
	{
		old = MemoryContextSwitchTo(caller);
		result->heap = DatumGetObjectId(pgxc_sql_value(0, 1, &isnull));
		result->name = TextDatumGetCString(pgxc_sql_value(0, 2, &isnull));
		value = pgxc_sql_value(0, 3, &isnull);
		result->comment = isnull ? NULL : TextDatumGetCString(value);
		result->clustered = DatumGetBool(pgxc_sql_value(0, 4, &isnull));
		result->replica_identity = DatumGetBool(pgxc_sql_value(0, 5, &isnull));
		result->targets = pgxc_sql_text_list(0, 6);
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return result;
}

static char *
constraint_definition(Oid constraint)
{
	PgxcIdentity saved;
	char *definition;

	pgxc_identity_push(&saved, GetUserId(), 0);
	definition =
		TextDatumGetCString(DirectFunctionCall1(pg_get_constraintdef,
												ObjectIdGetDatum(constraint)));
	pgxc_identity_pop(&saved);
	return definition;
}

/* The catalog that a piece's comment is filed under. */
static Oid
comment_class(const PgxcPiece *piece)
{
	if (pgxc_piece_is_index(piece->kind))
		return piece->kind == PGXC_PIECE_INDEX ? RelationRelationId
											   : ConstraintRelationId;
	return piece->kind == PGXC_PIECE_STATISTICS ? StatisticExtRelationId
												: ConstraintRelationId;
}

/* The object under the old or the new name that a comment belongs to. */
static Oid
comment_object(const PgxcPiece *piece, const char *name)
{
	if (piece->kind == PGXC_PIECE_UNIQUE ||
		piece->kind == PGXC_PIECE_PRIMARY_KEY)
		return get_relation_constraint_oid(piece->relid, name, true);
	return pgxc_piece_object(piece, name);
}

/* Is the old one still there?  If somebody dropped it, the new one goes, too. */
static bool
counterpart_exists(const PgxcPiece *piece, const char *old_column)
{
	HeapTuple tuple;
	bool not_null;

	if (piece->kind != PGXC_PIECE_NOT_NULL)
		return OidIsValid(pgxc_piece_object(piece, piece->old_name));
	tuple = SearchSysCacheAttName(piece->relid, old_column);
	if (!HeapTupleIsValid(tuple))
		return false;
	not_null = ((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;
	ReleaseSysCache(tuple);
	return not_null;
}

static SwapPiece *
look_at_piece(PgxcPiece *piece, const char *old_column)
{
	SwapPiece *swap = palloc0(sizeof(SwapPiece));
	Oid object = comment_object(piece, piece->old_name);
	ListCell *lc;

	swap->piece = piece;
	swap->gone = !counterpart_exists(piece, old_column);
	if (swap->gone)
		return swap;
	if (piece->kind == PGXC_PIECE_NOT_NULL)
		swap->not_null = pgxc_not_null_names(piece->relid, old_column);
	else if (OidIsValid(object))
		swap->comment = GetComment(object, comment_class(piece), 0);
	if (!pgxc_piece_is_index(piece->kind))
		return swap;

	foreach (lc, find_all_inheritors(pgxc_piece_object(piece, piece->old_name),
									 NoLock, NULL))
		swap->indexes = lappend(swap->indexes, look_at_index(lfirst_oid(lc)));
	return swap;
}

/*
 * What reads differently once the column has its final name: looked at while
 * the old column bears it.
 */
static void
look_at_names(void *arg)
{
	PgxcSwap *swap = (PgxcSwap *) arg;
	Oid relid = linitial_oid(swap->tree);
	char *old_column = (char *) linitial(swap->shape.old_columns);
	ListCell *lc;

	if (strcmp(old_column, swap->shape.final_column) != 0)
	{
		char *table = pgxc_qualified_name(relid);
		Oid owner = pgxc_relation_owner(relid);

		pgxc_ddl(owner, "ALTER TABLE %s RENAME COLUMN %s TO %s", table,
				 quote_identifier(swap->shape.new_column),
				 quote_identifier(
					 pgxc_piece_name(swap->migration->id, 0, InvalidOid)));
		pgxc_ddl(owner, "ALTER TABLE %s RENAME COLUMN %s TO %s", table,
				 quote_identifier(old_column),
				 quote_identifier(swap->shape.final_column));
		CommandCounterIncrement();
	}
	swap->objects = pgxc_saved_objects(swap->tree, swap->shape.final_column);
	foreach (lc, swap->pieces)
	{
		SwapPiece *piece = (SwapPiece *) lfirst(lc);

		if (!piece->gone && (piece->piece->kind == PGXC_PIECE_UNIQUE ||
							 piece->piece->kind == PGXC_PIECE_PRIMARY_KEY))
			piece->constraint = constraint_definition(
				get_relation_constraint_oid(piece->piece->relid,
											piece->piece->old_name, false));
	}
}

static List *
look_at_defaults(const PgxcSwap *swap)
{
	List *defaults = NIL;
	ListCell *lc;

	foreach (lc, swap->tree)
	{
		Relation rel = table_open(lfirst_oid(lc), NoLock);
		char *expression = pgxc_shape_default(&swap->shape, rel);

		if (expression != NULL)
		{
			OldDefault *old = palloc(sizeof(OldDefault));

			old->relid = lfirst_oid(lc);
			old->expression = expression;
			defaults = lappend(defaults, old);
		}
		table_close(rel, NoLock);
	}
	return defaults;
}

/*
 * Look at everything that the exchange has to hand on.  tree: OIDs of the
 * table, first, and its partitions; pieces: PgxcPiece *.  The caller holds
 * ACCESS EXCLUSIVE on all tables concerned, and the dual-write trigger is gone.
 */
PgxcSwap *
pgxc_swap_prepare(const PgxcMigration *migration, List *tree, List *pieces)
{
	PgxcSwap *swap = palloc0(sizeof(PgxcSwap));
	AttrNumber attnum = get_attnum(linitial_oid(tree), migration->new_column);
	ErrorData *error;
	ListCell *lc;

	swap->migration = migration;
	swap->tree = tree;
	swap->shape.kind = migration->kind;
	swap->shape.old_columns = migration->old_columns;
	swap->shape.new_column = migration->new_column;
	swap->shape.final_column = migration->final_column;
	swap->shape.up = migration->up;
	get_atttypetypmodcoll(linitial_oid(tree), attnum, &swap->shape.typid,
						  &swap->shape.typmod, &swap->shape.collation);

	foreach (lc, pieces)
		swap->pieces =
			lappend(swap->pieces,
					look_at_piece((PgxcPiece *) lfirst(lc),
								  (char *) linitial(migration->old_columns)));
	swap->defaults = look_at_defaults(swap);
	error = pgxc_subxact(look_at_names, swap, false);
	if (error != NULL)
		ReThrowError(error);
	return swap;
}

/* The sequences of a column in any table of the tree: OIDs. */
List *
pgxc_swap_sequences(List *tree, const char *column)
{
	List *sequences = NIL;
	ListCell *lc;

	foreach (lc, tree)
		sequences = list_concat(sequences,
								pgxc_column_sequences(lfirst_oid(lc), column));
	return sequences;
}

/* NOT NULL, proved by the check that was validated: no row is read. */
static void
set_not_null(const PgxcSwap *swap)
{
	ListCell *lc;

	foreach (lc, swap->pieces)
	{
		SwapPiece *swapped = (SwapPiece *) lfirst(lc);
		PgxcPiece *piece = swapped->piece;

		if (piece->kind != PGXC_PIECE_NOT_NULL || swapped->gone)
			continue;
		pgxc_not_null_set(piece->relid, swap->shape.final_column,
						  swapped->not_null);
		pgxc_ddl(pgxc_relation_owner(piece->relid),
				 "ALTER TABLE %s DROP CONSTRAINT %s",
				 pgxc_qualified_name(piece->relid),
				 quote_identifier(piece->new_name));
		CommandCounterIncrement();
	}
}

/* Rights, comment and sequences, before they are dropped with the column. */
static void
take_over_traits(const PgxcSwap *swap)
{
	char *old_column = (char *) linitial(swap->shape.old_columns);
	ListCell *lc;
	ListCell *seq;

	foreach (lc, swap->tree)
	{
		Oid relid = lfirst_oid(lc);

		pgxc_column_copy_acl(relid, old_column, swap->shape.new_column);
		pgxc_column_copy_comment(relid, old_column, swap->shape.new_column);
		foreach (seq, pgxc_column_sequences(relid, old_column))
			pgxc_column_move_sequence(relid, lfirst_oid(seq), old_column,
									  swap->shape.new_column);
	}
}

/* A foreign key of another table holds the old column fast. */
static void
drop_references(const PgxcSwap *swap)
{
	ListCell *lc;

	foreach (lc, swap->pieces)
	{
		SwapPiece *swapped = (SwapPiece *) lfirst(lc);
		PgxcPiece *piece = swapped->piece;

		if (piece->kind == PGXC_PIECE_REFERENCING && !swapped->gone)
			pgxc_ddl(pgxc_relation_owner(piece->relid),
					 "ALTER TABLE %s DROP CONSTRAINT %s",
					 pgxc_qualified_name(piece->relid),
					 quote_identifier(piece->old_name));
	}
}

static OldIndex *
old_index_of(const SwapPiece *swap, Oid heap)
{
	ListCell *lc;

	foreach (lc, swap->indexes)
	{
		OldIndex *old = (OldIndex *) lfirst(lc);

		if (old->heap == heap)
			return old;
	}
	return NULL;
}

/* Comment, statistics targets, and what a table says of its index. */
static void
finish_index(Oid index, const OldIndex *old)
{
	Oid owner = pgxc_relation_owner(old->heap);
	char *table = pgxc_qualified_name(old->heap);
	ListCell *lc;

	if (strcmp(get_rel_name(index), old->name) != 0)
		pgxc_ddl(owner, "ALTER INDEX %s RENAME TO %s",
				 pgxc_qualified_name(index), quote_identifier(old->name));
	CommandCounterIncrement();
	CreateComments(index, RelationRelationId, 0, old->comment);
	foreach (lc, old->targets)
		pgxc_ddl(owner, "ALTER INDEX %s %s", pgxc_qualified_name(index),
				 (char *) lfirst(lc));
	if (old->clustered)
		pgxc_ddl(owner, "ALTER TABLE %s CLUSTER ON %s", table,
				 quote_identifier(old->name));
	if (old->replica_identity)
		pgxc_ddl(owner, "ALTER TABLE %s REPLICA IDENTITY USING INDEX %s", table,
				 quote_identifier(old->name));
}

/*
 * A constraint over an index that is there: on the table, or on each leaf
 * first, so that the server finds them when it makes the parent's.
 */
static void
attach_constraint(const PgxcSwap *swap, const SwapPiece *piece)
{
	const char *kind =
		piece->piece->kind == PGXC_PIECE_PRIMARY_KEY ? "PRIMARY KEY" : "UNIQUE";
	Oid relid = piece->piece->relid;
	ListCell *lc;

	if (get_rel_relkind(relid) != RELKIND_PARTITIONED_TABLE)
	{
		pgxc_ddl(pgxc_relation_owner(relid),
				 "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s",
				 pgxc_qualified_name(relid),
				 quote_identifier(piece->piece->old_name), kind,
				 quote_identifier(piece->piece->new_name));
		return;
	}

	foreach (lc, find_all_inheritors(relid, NoLock, NULL))
	{
		Oid leaf = lfirst_oid(lc);
		char *index =
			pgxc_piece_name(swap->migration->id, piece->piece->no, leaf);
		OldIndex *old = old_index_of(piece, leaf);

		if (get_rel_relkind(leaf) != RELKIND_PARTITIONED_TABLE)
			pgxc_ddl(pgxc_relation_owner(leaf),
					 "ALTER TABLE %s ADD CONSTRAINT %s %s USING INDEX %s",
					 pgxc_qualified_name(leaf),
					 quote_identifier(old ? old->name : index), kind,
					 quote_identifier(index));
	}
	CommandCounterIncrement();
	pgxc_ddl(pgxc_relation_owner(relid), "ALTER TABLE %s ADD CONSTRAINT %s %s",
			 pgxc_qualified_name(relid),
			 quote_identifier(piece->piece->old_name), piece->constraint);
}

static void
finish_index_piece(const PgxcSwap *swap, const SwapPiece *piece)
{
	Oid index;
	ListCell *lc;

	if (piece->piece->kind != PGXC_PIECE_INDEX)
		attach_constraint(swap, piece);
	CommandCounterIncrement();
	index =
		pgxc_piece_object(piece->piece, piece->piece->kind == PGXC_PIECE_INDEX
											? piece->piece->new_name
											: piece->piece->old_name);
	foreach (lc, find_all_inheritors(index, NoLock, NULL))
	{
		OldIndex *old =
			old_index_of(piece, IndexGetRelation(lfirst_oid(lc), false));

		if (old != NULL)
			finish_index(lfirst_oid(lc), old);
	}
}

static void
finish_piece(const PgxcSwap *swap, const SwapPiece *swapped)
{
	PgxcPiece *piece = swapped->piece;
	Oid object;

	if (swapped->gone)
	{
		pgxc_piece_drop(swap->migration->id, piece);
		return;
	}
	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			finish_index_piece(swap, swapped);
			break;
		case PGXC_PIECE_NOT_NULL:
			return;
		case PGXC_PIECE_CHECK:
		case PGXC_PIECE_FOREIGN_KEY:
		case PGXC_PIECE_REFERENCING:
			pgxc_ddl(pgxc_relation_owner(piece->relid),
					 "ALTER TABLE %s RENAME CONSTRAINT %s TO %s",
					 pgxc_qualified_name(piece->relid),
					 quote_identifier(piece->new_name),
					 quote_identifier(piece->old_name));
			break;
		case PGXC_PIECE_STATISTICS:
			object = pgxc_piece_object(piece, piece->new_name);
			pgxc_ddl(pgxc_statistics_owner(object),
					 "ALTER STATISTICS %s RENAME TO %s",
					 pgxc_statistics_name(object),
					 quote_identifier(piece->old_name));
			break;
		case PGXC_NUM_PIECE_KINDS:
			break;
	}
	CommandCounterIncrement();
	object = comment_object(piece, piece->old_name);
	if (OidIsValid(object))
		CreateComments(object, comment_class(piece), 0, swapped->comment);
}

static void
set_defaults(const PgxcSwap *swap)
{
	ListCell *lc;

	foreach (lc, swap->defaults)
	{
		OldDefault *old = (OldDefault *) lfirst(lc);

		pgxc_ddl(pgxc_relation_owner(old->relid),
				 "ALTER TABLE ONLY %s ALTER COLUMN %s SET DEFAULT %s",
				 pgxc_qualified_name(old->relid),
				 quote_identifier(swap->shape.final_column), old->expression);
	}
}

/*
 * The exchange itself.  Views over the old column are gone already; whatever
 * else still needs it makes DROP COLUMN fail, and all of it is undone.
 */
void
pgxc_swap_execute(PgxcSwap *swap)
{
	Oid relid = linitial_oid(swap->tree);
	Oid owner = pgxc_relation_owner(relid);
	char *table = pgxc_qualified_name(relid);
	ListCell *lc;

	pgxc_saved_objects_drop(swap->objects);
	take_over_traits(swap);
	drop_references(swap);
	pgxc_ddl(owner, "ALTER TABLE %s DROP COLUMN %s", table,
			 quote_identifier((char *) linitial(swap->shape.old_columns)));
	CommandCounterIncrement();
	if (strcmp(swap->shape.new_column, swap->shape.final_column) != 0)
		pgxc_ddl(owner, "ALTER TABLE %s RENAME COLUMN %s TO %s", table,
				 quote_identifier(swap->shape.new_column),
				 quote_identifier(swap->shape.final_column));
	CommandCounterIncrement();
	set_not_null(swap);
	set_defaults(swap);
	foreach (lc, swap->pieces)
		finish_piece(swap, (SwapPiece *) lfirst(lc));
	pgxc_saved_objects_recreate(swap->objects);
}
