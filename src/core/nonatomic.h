/*
 * nonatomic.h
 *		Procedures that end transactions.
 */
#ifndef PGXC_NONATOMIC_H
#define PGXC_NONATOMIC_H

#include "fmgr.h"

extern void pgxc_require_nonatomic(FunctionCallInfo fcinfo, const char *what);

#endif /* PGXC_NONATOMIC_H */
