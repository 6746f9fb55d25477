/*
 * retry.h
 *		What an error means for a migration.  Pure.
 */
#ifndef PGXC_RETRY_H
#define PGXC_RETRY_H

typedef enum PgxcErrorClass
{
	PGXC_ERROR_CONTENTION,  /* somebody else was first: smaller and later */
	PGXC_ERROR_ROW,         /* one row cannot be updated: find it */
	PGXC_ERROR_ENVIRONMENT, /* the server cannot just now: wait */
	PGXC_ERROR_DEFINITION,  /* can never work as written: fail */
	PGXC_ERROR_CORRUPTION,  /* do not touch anything more: fail */
	PGXC_ERROR_OPERATOR     /* somebody cancelled it: pause */
} PgxcErrorClass;

extern PgxcErrorClass pgxc_error_class(int sqlerrcode);
extern const char *pgxc_error_class_name(PgxcErrorClass error_class);
extern int64 pgxc_backoff_ms(int64 first_ms, int tries, int64 cap_ms);

#endif /* PGXC_RETRY_H */
