/*
 * access_hook.h
 *		After a statement: are the pieces of the open migrations still there?
 */
#ifndef PGXC_ACCESS_HOOK_H
#define PGXC_ACCESS_HOOK_H

extern void pgxc_check_touched(void);
extern void pgxc_forget_touched(void);
extern void pgxc_access_hook_init(void);

#endif /* PGXC_ACCESS_HOOK_H */
