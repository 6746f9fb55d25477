/*
 * own_statement.c
 *		What this process is doing by itself, for those who must step aside.
 *
 * Static flags, not settings: no session can set them.  Read the variables,
 * but set them through the functions, which remember the (sub)transaction that
 * set them: when that ends, by an error or otherwise, they are reset.  So an
 * error needs no clean-up by the caller, and a user's trigger that catches its
 * own errors inside our statement does not end what the flags say.
 */
#include "postgres.h"

#include "access/xact.h"

#include "core/own_statement.h"

int64 pgxc_own_chunk_migration = 0;
bool pgxc_own_ddl = false;

/* The nesting levels at which they were set; 0: not set. */
static int chunk_level = 0;
static int ddl_level = 0;

/*
 * The statement that comes is a chunk of this migration: its dual-write
 * trigger returns every row as it is.  Needs a transaction.  Ends with
 * pgxc_own_chunk_end() or with the current (sub)transaction.
 */
void
pgxc_own_chunk_begin(int64 migration)
{
	pgxc_own_chunk_migration = migration;
	chunk_level = GetCurrentTransactionNestLevel();
}

void
pgxc_own_chunk_end(void)
{
	pgxc_own_chunk_migration = 0;
	chunk_level = 0;
}

/*
 * The DDL that comes is ours.  Needs a transaction.  Ends with
 * pgxc_own_ddl_end() or with the current (sub)transaction.  Does not nest.
 */
void
pgxc_own_ddl_begin(void)
{
	pgxc_own_ddl = true;
	ddl_level = GetCurrentTransactionNestLevel();
}

void
pgxc_own_ddl_end(void)
{
	pgxc_own_ddl = false;
	ddl_level = 0;
}

/* Reset what was set at this level or deeper. */
static void
reset_from_level(int level)
{
	if (chunk_level >= level)
		pgxc_own_chunk_end();
	if (ddl_level >= level)
		pgxc_own_ddl_end();
}

static void
at_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			reset_from_level(0);
			break;
		default:
			break;
	}
}

static void
at_subtransaction(SubXactEvent event, SubTransactionId mine,
				  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB || event == SUBXACT_EVENT_COMMIT_SUB)
		reset_from_level(GetCurrentTransactionNestLevel());
}

/*
 * Once in a process, when the library is loaded.
 */
void
pgxc_own_statement_init(void)
{
	RegisterXactCallback(at_transaction, NULL);
	RegisterSubXactCallback(at_subtransaction, NULL);
}
