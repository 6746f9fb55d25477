/*
 * ddl_analysis.h
 *		What a DDL statement would lock, do and change: pure.
 */
#ifndef PGXC_DDL_ANALYSIS_H
#define PGXC_DDL_ANALYSIS_H

#include "guard/analysis.h"

extern bool pgxc_is_ddl(const Node *stmt);
extern PgxcAnalysis *pgxc_analyse(const PlannedStmt *stmt, const char *source,
								  PgxcPending *pending);
extern void pgxc_analyse_statement(PgxcAnalysis *a, Node *stmt);

#endif /* PGXC_DDL_ANALYSIS_H */
