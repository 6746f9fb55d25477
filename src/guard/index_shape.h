/*
 * index_shape.h
 *		What an index, that does not exist yet, would be like.
 */
#ifndef PGXC_INDEX_SHAPE_H
#define PGXC_INDEX_SHAPE_H

#include "nodes/bitmapset.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "utils/relcache.h"

/* As CompareIndexInfo() needs it. */
typedef struct PgxcIndexShape
{
	IndexInfo *info;
	Oid collations[INDEX_MAX_KEYS];
	Oid opfamilies[INDEX_MAX_KEYS];
} PgxcIndexShape;

extern PgxcIndexShape *pgxc_index_shape(Relation rel, IndexStmt *stmt,
										const char *source);
extern Bitmapset *pgxc_index_key_columns(const PgxcIndexShape *shape);
extern Oid pgxc_find_matching_index(Relation partition, Relation parent,
									PgxcIndexShape *shape);

#endif /* PGXC_INDEX_SHAPE_H */
