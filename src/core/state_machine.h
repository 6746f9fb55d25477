/*
 * state_machine.h
 *		The states of a migration and the edges between them.  Pure.
 */
#ifndef PGXC_STATE_MACHINE_H
#define PGXC_STATE_MACHINE_H

typedef enum PgxcState
{
	PGXC_STATE_QUEUED,    /* waits for a worker */
	PGXC_STATE_RUNNING,   /* workers run it, or will after a restart */
	PGXC_STATE_PAUSED,    /* somebody stopped it; resume() */
	PGXC_STATE_BLOCKED,   /* the environment stops it; goes on by itself */
	PGXC_STATE_ATTENTION, /* a person must decide; retry() */
	PGXC_STATE_FAILED,    /* cannot go on as defined; retry() or cancel() */
	PGXC_STATE_READY,     /* verified; contract() or rollback() */
	PGXC_STATE_FINISHED,  /* done, cancelled, rolled back: see the phase */
	PGXC_NUM_STATES
} PgxcState;

extern const char *pgxc_state_name(PgxcState state);
extern bool pgxc_state_parse(const char *name, PgxcState *state);
extern bool pgxc_edge_exists(PgxcState from, PgxcState to);

#endif /* PGXC_STATE_MACHINE_H */
