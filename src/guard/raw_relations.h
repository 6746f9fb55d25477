/*
 * raw_relations.h
 *		The relations that a query's text names, without analysing it.
 */
#ifndef PGXC_RAW_RELATIONS_H
#define PGXC_RAW_RELATIONS_H

#include "guard/analysis.h"

extern void pgxc_touch_raw_query(PgxcAnalysis *a, Node *raw, bool rewritten,
								 bool stored);
extern void pgxc_touch_raw_expression(PgxcAnalysis *a, Node *expr);
extern void pgxc_touch_domain_expression(PgxcAnalysis *a, Node *expr,
										 Oid value_type);

#endif /* PGXC_RAW_RELATIONS_H */
