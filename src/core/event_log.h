/*
 * event_log.h
 *		The audit trail.
 */
#ifndef PGXC_EVENT_LOG_H
#define PGXC_EVENT_LOG_H

extern void pgxc_event(int64 migration_id, const char *event,
					   const char *from_state, const char *to_state,
					   const char *detail);

#endif /* PGXC_EVENT_LOG_H */
