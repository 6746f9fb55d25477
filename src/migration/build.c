/*
 * build.c
 *		The stage between the update of all rows and their verification: what
 *		stands on the old column is built on the new one.
 *
 * An index before the rows are filled would cost an entry for each update.
 * So it is built afterwards, CONCURRENTLY, and a constraint is added NOT VALID
 * and then validated.
 *
 * The catalog says what is left to do: each look finds the first piece that is
 * not there or not valid, and does the next thing about it.  So it does not
 * matter when a process dies, nor whether somebody else has built something.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "backfill/drive_statement.h"
#include "core/event_log.h"
#include "core/sql_runner.h"
#include "migration/build.h"

#define OTHER_BUILDER_MS 250

static bool
is_built(const PgxcMigration *migration, const PgxcPiece *piece)
{
	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			return pgxc_index_is_built(migration, piece);
		case PGXC_PIECE_STATISTICS:
			return pgxc_statistics_are_built(piece);
		default:
			return pgxc_constraint_is_built(piece);
	}
}

static PgxcStep
build(PgxcDrive *drive, const PgxcMigration *migration, const PgxcPiece *piece)
{
	switch (piece->kind)
	{
		case PGXC_PIECE_INDEX:
		case PGXC_PIECE_UNIQUE:
		case PGXC_PIECE_PRIMARY_KEY:
			return pgxc_index_build(drive, migration, piece);
		case PGXC_PIECE_STATISTICS:
			return pgxc_statistics_build(drive, piece);
		default:
			return pgxc_constraint_build(drive, piece);
	}
}

/* Note, once, that a piece is there. */
static void
mark_built(const PgxcMigration *migration, const PgxcPiece *piece)
{
	static PgxcStatement update = PGXC_SQL(
		"UPDATE pgxc.piece SET built = true WHERE migration_id = $1 AND no = $2 AND NOT built",
		INT8OID, INT4OID);
	PgxcIdentity saved;
	Datum values[2];

	values[0] = Int64GetDatum(migration->id);
	values[1] = Int32GetDatum(piece->no);
	pgxc_sql_begin(&saved);
	if (pgxc_sql_execute(&update, values, NULL, SPI_OK_UPDATE) == 1)
		pgxc_event(migration->id, "built", NULL, NULL,
				   psprintf("%s \"%s\"", pgxc_piece_kind_name(piece->kind),
							piece->new_name));
	pgxc_sql_end(&saved);
}

/*
 * See that all pieces are there, or do the next thing about the first that is
 * not.  In a step's transaction; see PgxcStage.
 */
static PgxcStep
build_pieces(PgxcDrive *drive, const PgxcMigration *migration)
{
	bool alone = false;
	ListCell *lc;

	foreach (lc, pgxc_pieces_load(migration->id))
	{
		PgxcPiece *piece = (PgxcPiece *) lfirst(lc);

		/* The table that referenced the column was dropped. */
		if (get_rel_relkind(piece->relid) == '\0')
			continue;

		if (!alone && !is_built(migration, piece))
		{
			if (!pgxc_builder_lock(drive))
			{
				drive->wait_ms = OTHER_BUILDER_MS;
				return PGXC_STEP_WAIT;
			}
			/* Who built before may just have finished. */
			AcceptInvalidationMessages();
			alone = true;
		}
		if (alone && !is_built(migration, piece))
			return build(drive, migration, piece);
		if (!piece->built)
			mark_built(migration, piece);
	}
	return PGXC_STEP_DONE;
}

void
pgxc_build_init(void)
{
	pgxc_build_stage = build_pieces;
}
