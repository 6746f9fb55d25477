#!/usr/bin/env bash
# What differs between server versions is dealt with in core/compat.h alone.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

if grep -rnE --include='*.[ch]' 'PG_(VERSION|MAJORVERSION)(_NUM|_STR)?\b' src |
	grep -v '^src/core/compat\.h:'; then
	echo "these belong into src/core/compat.h"
	exit 1
fi
