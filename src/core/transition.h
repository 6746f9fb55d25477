/*
 * transition.h
 *		Changing a migration's state: the one way to do it.
 */
#ifndef PGXC_TRANSITION_H
#define PGXC_TRANSITION_H

#include "datatype/timestamp.h"

#include "core/error_capture.h"
#include "core/state_machine.h"

extern bool pgxc_transition(int64 id, PgxcState to, const char *phase,
							const char *reason);
extern void pgxc_record_error(int64 id, const PgxcError *error,
							  TimestampTz retry_at);

#endif /* PGXC_TRANSITION_H */
