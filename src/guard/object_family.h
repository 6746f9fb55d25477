/*
 * object_family.h
 *		What analyse_rename.c, analyse_type.c and analyse_object.c share out.
 */
#ifndef PGXC_OBJECT_FAMILY_H
#define PGXC_OBJECT_FAMILY_H

#include "guard/analysis.h"

extern void pgxc_analyse_set_schema(PgxcAnalysis *a,
									AlterObjectSchemaStmt *stmt);
extern void pgxc_analyse_owner(PgxcAnalysis *a, AlterOwnerStmt *stmt);
extern void pgxc_analyse_reassign_owned(PgxcAnalysis *a,
										ReassignOwnedStmt *stmt);
extern void pgxc_touch_row_type(PgxcAnalysis *a, Oid typid);
extern void pgxc_analyse_trigger(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_sequence(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_publication(PgxcAnalysis *a, Node *stmt);
extern void pgxc_analyse_function(PgxcAnalysis *a, Node *stmt);

#endif /* PGXC_OBJECT_FAMILY_H */
