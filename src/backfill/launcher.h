/*
 * launcher.h
 *		The one process that starts workers.
 */
#ifndef PGXC_LAUNCHER_H
#define PGXC_LAUNCHER_H

extern PGDLLEXPORT void pgxc_launcher_main(Datum main_arg);
extern void pgxc_launcher_init(void);

#endif /* PGXC_LAUNCHER_H */
