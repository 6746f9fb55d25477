/*
 * worker.h
 *		The background worker of a database.
 */
#ifndef PGXC_WORKER_H
#define PGXC_WORKER_H

extern PGDLLEXPORT void pgxc_worker_main(Datum main_arg);

#endif /* PGXC_WORKER_H */
