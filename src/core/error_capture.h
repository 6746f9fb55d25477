/*
 * error_capture.h
 *		Keeping an error beyond the transaction that it aborts.
 */
#ifndef PGXC_ERROR_CAPTURE_H
#define PGXC_ERROR_CAPTURE_H

typedef struct PgxcError
{
	int sqlerrcode;
	char sqlstate[6];
	char *message; /* with the detail, if there is one */
} PgxcError;

extern PgxcError *pgxc_error_capture(MemoryContext context);
extern void pgxc_error_ignore(MemoryContext context);

#endif /* PGXC_ERROR_CAPTURE_H */
