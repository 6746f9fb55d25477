/*
 * hook.h
 *		The guard's place among the server's hooks.
 */
#ifndef PGXC_HOOK_H
#define PGXC_HOOK_H

extern bool pgxc_guard_is_awake(void);
extern bool pgxc_guard_watches(void);
extern void pgxc_judge_again(void);
extern bool pgxc_statement_was_let_pass(void);
extern void pgxc_guard_hook_init(void);

#endif /* PGXC_HOOK_H */
