/*
 * piece.h
 *		What stands on an old column and is built anew on the new one.
 */
#ifndef PGXC_PIECE_H
#define PGXC_PIECE_H

#include "nodes/pg_list.h"

typedef enum PgxcPieceKind
{
	PGXC_PIECE_INDEX,
	PGXC_PIECE_UNIQUE,      /* the index of a unique constraint */
	PGXC_PIECE_PRIMARY_KEY, /* the same of a primary key */
	PGXC_PIECE_NOT_NULL,    /* a check that proves it */
	PGXC_PIECE_CHECK,
	PGXC_PIECE_FOREIGN_KEY,
	PGXC_PIECE_REFERENCING, /* a foreign key that references the column */
	PGXC_PIECE_STATISTICS,
	PGXC_NUM_PIECE_KINDS
} PgxcPieceKind;

/* A row of pgxc.piece. */
typedef struct PgxcPiece
{
	int no;
	PgxcPieceKind kind;
	Oid relid;        /* the table it stands on */
	char *old_name;   /* of the index or constraint; "" for a nameless one */
	char *new_name;   /* until contract */
	char *definition; /* of the old one, with the new column's name in it */
	bool built;
} PgxcPiece;

extern const char *pgxc_piece_kind_name(PgxcPieceKind kind);
extern bool pgxc_piece_is_index(PgxcPieceKind kind);
extern List *pgxc_pieces_load(int64 migration_id);
extern void pgxc_pieces_store(int64 migration_id, List *pieces);
extern char *pgxc_piece_name(int64 migration_id, int no, Oid leaf);
extern bool pgxc_piece_needs_no_validation(const PgxcPiece *piece);
extern bool pgxc_piece_is_valid(int64 migration_id, const PgxcPiece *piece);
extern Oid pgxc_piece_object(const PgxcPiece *piece, const char *name);
extern void pgxc_piece_drop(int64 migration_id, const PgxcPiece *piece);
extern char *pgxc_statistics_name(Oid statistics);
extern Oid pgxc_statistics_owner(Oid statistics);

#endif /* PGXC_PIECE_H */
