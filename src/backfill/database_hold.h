/*
 * database_hold.h
 *		Getting our workers out of a database's way.
 */
#ifndef PGXC_DATABASE_HOLD_H
#define PGXC_DATABASE_HOLD_H

extern void pgxc_database_hold_init(void);

#endif /* PGXC_DATABASE_HOLD_H */
