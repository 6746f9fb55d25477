/*
 * named_object.h
 *		Objects and relations that a DDL statement names in its own ways.
 */
#ifndef PGXC_NAMED_OBJECT_H
#define PGXC_NAMED_OBJECT_H

#include "guard/analysis.h"

extern Oid pgxc_resolve_names(PgxcAnalysis *a, List *names);
extern void pgxc_touch_relation(PgxcAnalysis *a, Oid relid, LOCKMODE lock);
extern List *pgxc_touch_inheritors(PgxcAnalysis *a, Oid relid, bool recurse,
								   LOCKMODE lock);
extern void pgxc_touch_named_object(PgxcAnalysis *a, ObjectType type,
									Node *object, LOCKMODE lock);
extern void pgxc_change_named_object(PgxcAnalysis *a, PgxcAction action,
									 ObjectType type, Node *object);
extern Oid pgxc_touch_type(PgxcAnalysis *a, List *names, LOCKMODE lock);

#endif /* PGXC_NAMED_OBJECT_H */
