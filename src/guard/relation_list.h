/*
 * relation_list.h
 *		The relations of this database that a statement without names means.
 */
#ifndef PGXC_RELATION_LIST_H
#define PGXC_RELATION_LIST_H

#include "catalog/pg_class.h"
#include "nodes/pg_list.h"

typedef bool (*PgxcRelationTest)(Form_pg_class form, void *arg);

extern List *pgxc_list_relations(PgxcRelationTest test, void *arg);

#endif /* PGXC_RELATION_LIST_H */
