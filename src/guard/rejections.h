/*
 * rejections.h
 *		What the guard refused lately.
 */
#ifndef PGXC_REJECTIONS_H
#define PGXC_REJECTIONS_H

#include "guard/judge.h"

extern void pgxc_rejections_init(void);
extern void pgxc_note_rejection(const PgxcFinding *finding, const char *outcome,
								const char *statement, int length);

#endif /* PGXC_REJECTIONS_H */
