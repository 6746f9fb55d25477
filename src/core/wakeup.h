/*
 * wakeup.h
 *		Telling the workers at COMMIT.
 */
#ifndef PGXC_WAKEUP_H
#define PGXC_WAKEUP_H

extern void pgxc_wakeup_init(void);
extern void pgxc_wakeup_at_commit(void);

#endif /* PGXC_WAKEUP_H */
