/*
 * own_statement.h
 *		What this process is doing by itself, for those who must step aside.
 */
#ifndef PGXC_OWN_STATEMENT_H
#define PGXC_OWN_STATEMENT_H

/* The migration whose chunk this process runs right now; 0: none. */
extern int64 pgxc_own_chunk_migration;

/* Is this process running DDL of ours? */
extern bool pgxc_own_ddl;

extern void pgxc_own_chunk_begin(int64 migration);
extern void pgxc_own_chunk_end(void);
extern void pgxc_own_ddl_begin(void);
extern void pgxc_own_ddl_end(void);
extern void pgxc_own_statement_init(void);

#endif /* PGXC_OWN_STATEMENT_H */
