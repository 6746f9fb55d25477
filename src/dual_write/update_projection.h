/*
 * update_projection.h
 *		Dual-write in an UPDATE, without its trigger.
 */
#ifndef PGXC_UPDATE_PROJECTION_H
#define PGXC_UPDATE_PROJECTION_H

extern void pgxc_update_projection_init(void);

#endif /* PGXC_UPDATE_PROJECTION_H */
