/*
 * preflight.h
 *		May this table be backfilled at all?
 */
#ifndef PGXC_PREFLIGHT_H
#define PGXC_PREFLIGHT_H

#include "nodes/bitmapset.h"
#include "nodes/pg_list.h"
#include "utils/relcache.h"

extern void pgxc_preflight_relation(Relation rel, bool is_root);
extern void pgxc_preflight_columns(Relation root, List *columns, Oid relid);
extern void pgxc_preflight_subscribed(List *tables);
extern List *pgxc_relation_family(Oid relid);
extern List *pgxc_relation_ancestors(Oid relid);

#endif /* PGXC_PREFLIGHT_H */
