/*
 * toplevel.h
 *		Utility statements of ours: outside of a transaction, or in one.
 */
#ifndef PGXC_TOPLEVEL_H
#define PGXC_TOPLEVEL_H

#include "nodes/nodes.h"

#include "core/error_capture.h"

extern Node *pgxc_parse_utility(const char *sql);
extern void pgxc_run_utility(Node *statement, const char *sql);
extern PgxcError *pgxc_run_toplevel(Node *statement, const char *sql,
									bool foreground);

#endif /* PGXC_TOPLEVEL_H */
