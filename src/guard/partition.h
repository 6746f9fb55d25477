/*
 * partition.h
 *		What a new partition costs its parent, itself and the default partition.
 */
#ifndef PGXC_GUARD_PARTITION_H
#define PGXC_GUARD_PARTITION_H

#include "guard/analysis.h"

/* partition_scan.c */
extern List *pgxc_partition_bound_quals(Relation parent,
										PartitionBoundSpec *bound);
extern List *pgxc_attached_constraint(Relation parent, Relation partition,
									  List *quals);
extern List *pgxc_default_constraint(Relation parent, Relation partition,
									 List *quals);
extern Oid pgxc_default_partition(Relation parent);
extern void pgxc_touch_attached_scan(PgxcAnalysis *a, Relation parent,
									 Relation partition, List *quals);
extern void pgxc_touch_default_scan(PgxcAnalysis *a, Relation parent,
									List *quals, bool attach);
extern char *pgxc_partition_check(Relation rel, List *quals);

/* partition_pieces.c */
extern Oid pgxc_partition_index(Relation partition, Relation parent, Oid index);
extern List *pgxc_missing_indexes(Relation parent, Relation partition);
extern List *pgxc_missing_keys(Relation parent, Relation partition);
extern void pgxc_touch_partition_indexes(PgxcAnalysis *a, Relation parent,
										 Relation partition);
extern void pgxc_touch_partition_keys(PgxcAnalysis *a, Relation parent,
									  Relation partition);

/* referenced_table.c */
extern Oid pgxc_referenced_index(Oid relid, List *columns);
extern void pgxc_touch_referenced(PgxcAnalysis *a, Oid relid, Oid index);
extern void pgxc_touch_key_check(PgxcAnalysis *a, Oid constraint,
								 Relation referencing, Oid referenced,
								 bool removing);
extern List *pgxc_constraints_on(Oid referenced);

/* alter_partition.c */
extern void pgxc_touch_new_partition(PgxcAnalysis *a, Oid parent,
									 CreateStmt *stmt);

/* partition_advice.c */
extern void pgxc_advise_attach(PgxcAnalysis *a, Relation parent,
							   Relation partition, PartitionBoundSpec *bound,
							   List *quals);
extern void pgxc_advise_new_partition(PgxcAnalysis *a, Relation parent,
									  List *quals);
extern void pgxc_advise_detach(PgxcAnalysis *a, Relation parent,
							   Relation partition);

#endif /* PGXC_GUARD_PARTITION_H */
