/*
 * never_raises.h
 *		Can an expression fail because of the value that it is given?
 */
#ifndef PGXC_NEVER_RAISES_H
#define PGXC_NEVER_RAISES_H

#include "nodes/nodes.h"

extern bool pgxc_never_raises(Node *expr);

#endif /* PGXC_NEVER_RAISES_H */
