#!/usr/bin/env bash
# Everything the library exports begins with pgxc_ (or is what the server
# expects to find), so that it can't clash with another extension.
#
# PGXC_SO=path of a built pgxc.so; dev/test.sh sets it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

if [ -z "${PGXC_SO:-}" ]; then
	echo "skipped: no built library (PGXC_SO)"
	exit 77
fi
if ! command -v nm >/dev/null; then
	echo "skipped: no nm"
	exit 77
fi
symbols=$(nm -D --defined-only "$PGXC_SO" | awk '{ print $NF }')
if [ -z "$symbols" ]; then
	echo "$PGXC_SO exports nothing at all"
	exit 1
fi
# The last five are the linker's own, on some systems.
wrong=$(printf '%s\n' "$symbols" | grep -vE \
	'^(pgxc_|Pgxc|pg_finfo_pgxc_|(_PG_init|Pg_magic_func|_init|_fini|_edata|_end|__bss_start)$)' || true)
if [ -n "$wrong" ]; then
	printf '%s\n' "$wrong" | sed "s/^/exported without pgxc_: /"
	exit 1
fi
