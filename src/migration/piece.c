/*
 * piece.c
 *		Rows of pgxc.piece.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_index.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_statistic_ext.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "core/ddl.h"
#include "core/sql_runner.h"
#include "migration/piece.h"

static const char *const kind_names[PGXC_NUM_PIECE_KINDS] = {
	"index", "unique",      "primary key", "not null",
	"check", "foreign key", "referencing", "statistics"
};

const char *
pgxc_piece_kind_name(PgxcPieceKind kind)
{
	return kind_names[kind];
}

/* Is it one that is built as an index? */
bool
pgxc_piece_is_index(PgxcPieceKind kind)
{
	return kind == PGXC_PIECE_INDEX || kind == PGXC_PIECE_UNIQUE ||
		   kind == PGXC_PIECE_PRIMARY_KEY;
}

static PgxcPieceKind
parse_kind(const char *name)
{
	for (int i = 0; i < PGXC_NUM_PIECE_KINDS; i++)
	{
		if (strcmp(name, kind_names[i]) == 0)
			return (PgxcPieceKind) i;
	}
	elog(ERROR, "unknown kind of piece \"%s\"", name); /* cannot happen */
}

/*
 * The pieces of a migration, as PgxcPiece *, in the order in which they are
 * built, but for those of tables that were dropped.  In the current memory
 * context.
 */
List *
pgxc_pieces_load(int64 migration_id)
{
	static PgxcStatement select_pieces = PGXC_SQL(
		"SELECT no, kind, relation::oid, old_name, new_name, definition, built"
		" FROM pgxc.piece WHERE migration_id = $1"
		" AND EXISTS (SELECT FROM pg_class c WHERE c.oid = relation) ORDER BY no",
		INT8OID);
	MemoryContext caller = CurrentMemoryContext;
	PgxcIdentity saved;
	Datum value = Int64GetDatum(migration_id);
	List *pieces = NIL;
	uint64 n;

	pgxc_sql_begin(&saved);
	n = pgxc_sql_execute(&select_pieces, &value, NULL, SPI_OK_SELECT);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(caller);
		PgxcPiece *piece = palloc0(sizeof(PgxcPiece));
		bool isnull;

		piece->no = DatumGetInt32(pgxc_sql_value(i, 1, &isnull));
		piece->kind =
			parse_kind(TextDatumGetCString(pgxc_sql_value(i, 2, &isnull)));
		piece->relid = DatumGetObjectId(pgxc_sql_value(i, 3, &isnull));
		piece->old_name = TextDatumGetCString(pgxc_sql_value(i, 4, &isnull));
		piece->new_name = TextDatumGetCString(pgxc_sql_value(i, 5, &isnull));
		piece->definition = TextDatumGetCString(pgxc_sql_value(i, 6, &isnull));
		piece->built = DatumGetBool(pgxc_sql_value(i, 7, &isnull));
		pieces = lappend(pieces, piece);
		MemoryContextSwitchTo(old);
	}
	pgxc_sql_end(&saved);
	return pieces;
}

/* Write the pieces of a new migration, numbering them in their order. */
void
pgxc_pieces_store(int64 migration_id, List *pieces)
{
	static PgxcStatement insert = PGXC_SQL(
		"INSERT INTO pgxc.piece (migration_id, no, kind, relation, old_name, new_name, definition)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7)",
		INT8OID, INT4OID, TEXTOID, REGCLASSOID, TEXTOID, TEXTOID, TEXTOID);
	PgxcIdentity saved;
	ListCell *lc;

	pgxc_sql_begin(&saved);
	foreach (lc, pieces)
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);
		Datum values[7];

		values[0] = Int64GetDatum(migration_id);
		values[1] = Int32GetDatum(piece->no);
		values[2] = CStringGetTextDatum(kind_names[piece->kind]);
		values[3] = ObjectIdGetDatum(piece->relid);
		values[4] = CStringGetTextDatum(piece->old_name);
		values[5] = CStringGetTextDatum(piece->new_name);
		values[6] = CStringGetTextDatum(piece->definition);
		(void) pgxc_sql_execute(&insert, values, NULL, SPI_OK_INSERT);
	}
	pgxc_sql_end(&saved);
}

/*
 * The name of a piece until contract; leaf is the partition whose index it is,
 * or InvalidOid.
 */
char *
pgxc_piece_name(int64 migration_id, int no, Oid leaf)
{
	if (OidIsValid(leaf))
		return psprintf("_pgxc_%lld_%d_%u", (long long) migration_id, no, leaf);
	return psprintf("_pgxc_%lld_%d", (long long) migration_id, no);
}

static Oid
find_statistics(Oid relid, const char *name)
{
	Relation rel = try_relation_open(relid, NoLock);
	Oid found = InvalidOid;
	ListCell *lc;

	if (rel == NULL)
		return InvalidOid;
	foreach (lc, RelationGetStatExtList(rel))
	{
		HeapTuple tuple =
			SearchSysCache1(STATEXTOID, ObjectIdGetDatum(lfirst_oid(lc)));

		if (!HeapTupleIsValid(tuple))
			continue;
		if (strcmp(NameStr(((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxname),
				   name) == 0)
			found = lfirst_oid(lc);
		ReleaseSysCache(tuple);
	}
	relation_close(rel, NoLock);
	return found;
}

/*
 * OID of the index, constraint or statistics object that has this name where
 * the piece stands; InvalidOid if there is none.  The caller holds a lock on the
 * table.
 */
Oid
pgxc_piece_object(const PgxcPiece *piece, const char *name)
{
	Oid namespace = get_rel_namespace(piece->relid);

	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			return get_relname_relid(name, namespace);
		case PGXC_PIECE_STATISTICS:
			return find_statistics(piece->relid, name);
		default:
			return get_relation_constraint_oid(piece->relid, name, true);
	}
}

static bool
index_is_valid(Oid index)
{
	HeapTuple tuple;
	bool valid;

	if (!OidIsValid(index))
		return false;
	tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(index));
	if (!HeapTupleIsValid(tuple))
		return false;
	valid = ((Form_pg_index) GETSTRUCT(tuple))->indisvalid;
	ReleaseSysCache(tuple);
	return valid;
}

static bool
constraint_is_valid(Oid constraint)
{
	HeapTuple tuple;
	bool valid;

	if (!OidIsValid(constraint))
		return false;
	tuple = SearchSysCache1(CONSTROID, ObjectIdGetDatum(constraint));
	if (!HeapTupleIsValid(tuple))
		return false;
	valid = ((Form_pg_constraint) GETSTRUCT(tuple))->convalidated;
	ReleaseSysCache(tuple);
	return valid;
}

/* Was the old one never validated, so that the new one need not be? */
bool
pgxc_piece_needs_no_validation(const PgxcPiece *piece)
{
	static const char suffix[] = " NOT VALID";
	size_t length = strlen(piece->definition);

	return length > strlen(suffix) &&
		   strcmp(piece->definition + length - strlen(suffix), suffix) == 0;
}

/*
 * Is what was to be built there, under its own name, and valid?  The caller
 * holds a lock on the table.
 */
bool
pgxc_piece_is_valid(int64 migration_id, const PgxcPiece *piece)
{
	Oid object;
	ListCell *lc;

	if ((piece->kind == PGXC_PIECE_UNIQUE ||
		 piece->kind == PGXC_PIECE_PRIMARY_KEY) &&
		get_rel_relkind(piece->relid) == RELKIND_PARTITIONED_TABLE)
	{
		/* The leaves' only: contract makes the constraint of them. */
		foreach (lc, find_all_inheritors(piece->relid, NoLock, NULL))
		{
			Oid leaf = lfirst_oid(lc);

			if (get_rel_relkind(leaf) != RELKIND_PARTITIONED_TABLE &&
				!index_is_valid(get_relname_relid(
					pgxc_piece_name(migration_id, piece->no, leaf),
					get_rel_namespace(leaf))))
				return false;
		}
		return true;
	}

	object = pgxc_piece_object(piece, piece->new_name);
	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			return index_is_valid(object);
		case PGXC_PIECE_STATISTICS:
			return OidIsValid(object);
		default:
			return constraint_is_valid(object) ||
				   (OidIsValid(object) &&
					pgxc_piece_needs_no_validation(piece));
	}
}

/* Schema and name of a statistics object, quoted. */
char *
pgxc_statistics_name(Oid statistics)
{
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	Form_pg_statistic_ext form;
	char *name;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("statistics object with OID %u does not exist",
							   statistics)));
	form = (Form_pg_statistic_ext) GETSTRUCT(tuple);
	name = quote_qualified_identifier(get_namespace_name(form->stxnamespace),
									  NameStr(form->stxname));
	ReleaseSysCache(tuple);
	return name;
}

Oid
pgxc_statistics_owner(Oid statistics)
{
	HeapTuple tuple = SearchSysCache1(STATEXTOID, ObjectIdGetDatum(statistics));
	Oid owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR, (errcode(ERRCODE_UNDEFINED_OBJECT),
						errmsg("statistics object with OID %u does not exist",
							   statistics)));
	owner = ((Form_pg_statistic_ext) GETSTRUCT(tuple))->stxowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Drop what was built, if it is there.  The caller holds ACCESS EXCLUSIVE on
 * the tables.
 */
void
pgxc_piece_drop(int64 migration_id, const PgxcPiece *piece)
{
	Oid owner = pgxc_relation_owner(piece->relid);
	Oid object = pgxc_piece_object(piece, piece->new_name);
	ListCell *lc;

	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			if (OidIsValid(object))
				pgxc_ddl(owner, "DROP INDEX %s", pgxc_qualified_name(object));
			CommandCounterIncrement();
			foreach (lc, find_all_inheritors(piece->relid, NoLock, NULL))
			{
				Oid leaf = lfirst_oid(lc);

				object = get_relname_relid(pgxc_piece_name(migration_id,
														   piece->no, leaf),
										   get_rel_namespace(leaf));
				if (OidIsValid(object))
					pgxc_ddl(owner, "DROP INDEX %s",
							 pgxc_qualified_name(object));
			}
			break;
		case PGXC_PIECE_STATISTICS:
			if (OidIsValid(object))
				pgxc_ddl(pgxc_statistics_owner(object), "DROP STATISTICS %s",
						 pgxc_statistics_name(object));
			break;
		default:
			if (OidIsValid(object))
				pgxc_ddl(owner, "ALTER TABLE %s DROP CONSTRAINT %s",
						 pgxc_qualified_name(piece->relid),
						 quote_identifier(piece->new_name));
	}
	CommandCounterIncrement();
}
