/*
 * reindex.h
 *		REINDEX, and what rebuilds the indexes of a relation.
 */
#ifndef PGXC_REINDEX_H
#define PGXC_REINDEX_H

#include "guard/analysis.h"

extern void pgxc_analyse_reindex(PgxcAnalysis *a, ReindexStmt *stmt);
extern bool pgxc_touch_indexes(PgxcAnalysis *a, Oid relid, LOCKMODE lock,
							   int work, const char *reason);

#endif /* PGXC_REINDEX_H */
