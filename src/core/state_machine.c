/*
 * state_machine.c
 *		The states of a migration and the edges between them.  Pure.
 *
 * src/README.md draws this table; sql/state_machine.sql walks all of it.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/state_machine.h"

static const char *const state_names[PGXC_NUM_STATES] = {
	"queued",    "running", "paused", "blocked",
	"attention", "failed",  "ready",  "finished"
};

/* edges[from][to], in the order of PgxcState */
static const bool edges[PGXC_NUM_STATES][PGXC_NUM_STATES] = {
	/* queued    */ { false, true, true, true, true, true, false, true },
	/* running   */ { false, false, true, true, true, true, true, true },
	/* paused    */ { true, false, false, false, false, false, false, true },
	/* blocked   */ { true, true, true, false, false, true, false, true },
	/* attention */ { true, false, true, false, false, false, false, true },
	/* failed    */ { true, false, false, false, false, false, false, true },
	/* ready     */ { true, false, true, false, false, false, false, true },
	/* finished  */ { false, false, false, false, false, false, false, false },
};

const char *
pgxc_state_name(PgxcState state)
{
	return state_names[state];
}

/* Returns false if there is no state of that name. */
bool
pgxc_state_parse(const char *name, PgxcState *state)
{
	for (int i = 0; i < PGXC_NUM_STATES; i++)
	{
		if (strcmp(name, state_names[i]) == 0)
		{
			*state = (PgxcState) i;
			return true;
		}
	}
	return false;
}

bool
pgxc_edge_exists(PgxcState from, PgxcState to)
{
	return edges[from][to];
}

PG_FUNCTION_INFO_V1(pgxc_test_edge);

/*
 * pgxc_test_edge(from text, to text) returns boolean
 *
 * For the regression test, which declares it; NULL for an unknown state.
 */
Datum
pgxc_test_edge(PG_FUNCTION_ARGS)
{
	PgxcState from;
	PgxcState to;

	if (!pgxc_state_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)), &from) ||
		!pgxc_state_parse(text_to_cstring(PG_GETARG_TEXT_PP(1)), &to))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(pgxc_edge_exists(from, to));
}
