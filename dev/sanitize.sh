#!/usr/bin/env bash
# dev/sanitize.sh [regress|isolation]...
#
# Builds pgxc with AddressSanitizer and UndefinedBehaviorSanitizer, and runs
# the regression and isolation tests with it (by default both).  The server
# itself is the one that is installed, so AddressSanitizer sees overruns of
# stack, globals and malloc'd blocks, and what is wrong in our own code; it
# does not see inside the server's memory contexts.
#
# The last line is "N passed, N failed, N skipped": one for each kind of
# tests, and one for the reports of the sanitizers.
#
#   PGXC_TEST_TIMEOUT=1800   seconds for each kind of test
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

ROOT=$(pgxc_root)
TIMEOUT=${PGXC_TEST_TIMEOUT:-1800}
passed=0 failed=0 skipped=0

[ $# -gt 0 ] || set -- regress isolation
for kind in "$@"; do
	case $kind in
		regress | isolation) ;;
		*)
			echo "usage: dev/sanitize.sh [regress|isolation]..." >&2
			exit 2
			;;
	esac
done

pgxc_need_server
asan=$(gcc -print-file-name=libasan.so)
ubsan=$(gcc -print-file-name=libubsan.so)
if [ ! -e "$asan" ] || [ ! -e "$ubsan" ]; then
	pgxc_note "gcc has no libasan and libubsan here"
	echo "0 passed, 0 failed, $# skipped"
	exit 0
fi

pgxc_work
src=$PGXC_WORK/src dest=$PGXC_WORK/dest conf=$PGXC_WORK/pgxc.conf
reports=$PGXC_WORK/reports
mkdir "$reports"
chmod 1777 "$reports"
pgxc_copy_source "$src"
pgxc_build "$src" "$dest" "$PG_CONFIG" \
	"-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined"
{
	pgxc_conf "$dest" "$PG_CONFIG"
	[ ! -e "$ROOT/dev/test.conf" ] || cat "$ROOT/dev/test.conf"
} >"$conf"
chmod 644 "$conf"

# The server allocates once and for all, so leaks mean nothing.  Its check of
# the stack's depth must not be led astray.
run_driver()
{
	local kind=$1 driver=$2 dir=$3

	mkdir -p "$PGXC_WORK/$kind"
	chmod 777 "$PGXC_WORK/$kind"
	(
		cd "$src"
		LD_PRELOAD="$asan $ubsan" \
		ASAN_OPTIONS="detect_leaks=0:detect_stack_use_after_return=0:log_path=$reports/asan" \
		UBSAN_OPTIONS="print_stacktrace=1:log_path=$reports/ubsan" \
		PATH=$("$PG_CONFIG" --bindir):$PATH \
			pgxc_exec_as_user setsid timeout --kill-after=30 "$TIMEOUT" \
			"$driver" --bindir="$("$PG_CONFIG" --bindir)" \
			--inputdir=. --outputdir="$PGXC_WORK/$kind" \
			--temp-instance="$PGXC_WORK/$kind/instance" --temp-config="$conf" \
			--no-locale --encoding=UTF8 --dbname="pgxc_$kind" \
			--schedule="$dir/schedule"
	) </dev/null &
	PGXC_GROUPS=("$!")
	if wait "$!"; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		head -c 60000 "$PGXC_WORK/$kind/regression.diffs" 2>/dev/null ||
			tail -n 40 "$PGXC_WORK/$kind/log/postmaster.log" 2>/dev/null || true
	fi
	PGXC_GROUPS=()
}

pgxs=$(dirname -- "$("$PG_CONFIG" --pgxs)")/..
for kind in "$@"; do
	case $kind in
		regress) run_driver regress "$pgxs/test/regress/pg_regress" sql ;;
		isolation) run_driver isolation "$pgxs/test/isolation/pg_isolation_regress" specs ;;
	esac
done

# A crash under AddressSanitizer leaves a report, too.
if [ -n "$(ls -A "$reports")" ]; then
	failed=$((failed + 1))
	echo "reports of the sanitizers:"
	head -n 60 "$reports"/*
else
	passed=$((passed + 1))
	echo "no report of the sanitizers"
fi
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
