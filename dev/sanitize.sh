#!/usr/bin/env bash
# dev/sanitize.sh [ubsan|valgrind]...
#
#   ubsan      builds pgxc with UndefinedBehaviorSanitizer, and runs the
#              regression and isolation tests with it
#   valgrind   runs a server below memcheck, and in it a script that touches
#              most of pgxc: workers and foreground, row errors, partitions,
#              pause and resume, parameters, waiting, views, DROP EXTENSION
#
# By default both.  The server is the one that is installed.  It was not built
# for valgrind, which therefore sees overruns of the stack's and of malloc's
# blocks, but not inside the server's own memory contexts.  (AddressSanitizer
# sees no more than that, and Debian's server hangs below it.)
#
# The last line is "N passed, N failed, N skipped".
#
#   PGXC_TEST_TIMEOUT=1800   seconds for each kind of tests
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

TIMEOUT=${PGXC_TEST_TIMEOUT:-1800}
passed=0 failed=0 skipped=0

# result STATUS WHAT
result()
{
	if [ "$1" -eq 0 ]; then
		passed=$((passed + 1))
		echo "ok    $2"
	else
		failed=$((failed + 1))
		echo "FAIL  $2"
	fi
}

# prepare NAME CFLAGS: builds in a directory of its own, and sets src, dest,
# conf and reports.
prepare()
{
	src=$PGXC_WORK/$1/src dest=$PGXC_WORK/$1/dest
	conf=$PGXC_WORK/$1/pgxc.conf reports=$PGXC_WORK/$1/reports
	mkdir -p "$PGXC_WORK/$1" "$reports"
	chmod 755 "$PGXC_WORK/$1"
	chmod 1777 "$reports"
	pgxc_copy_source "$src"
	if pgxc_is_root; then
		chown "$(pgxc_user):" "$PGXC_WORK/$1"
	fi
	pgxc_build "$src" "$dest" "$PG_CONFIG" "$2"
	{
		pgxc_conf "$dest" "$PG_CONFIG"
		[ ! -e "$src/dev/test.conf" ] || cat "$src/dev/test.conf"
	} >"$conf"
	chmod 644 "$conf"
}

# report WHAT PATTERN: a report that names our code is a failure.
report()
{
	local wrong

	wrong=$(grep -lE "$2" "$reports"/* 2>/dev/null || true)
	if [ -n "$wrong" ]; then
		# shellcheck disable=SC2086 # a list of files
		head -n 80 $wrong
		result 1 "$1"
	else
		result 0 "$1"
	fi
}

# run_in_group COMMAND...: as the unprivileged user, with the time limited.
run_in_group()
{
	local status=0

	(pgxc_exec_as_user setsid timeout --kill-after=30 "$TIMEOUT" "$@") </dev/null &
	PGXC_GROUPS=("$!")
	wait "$!" || status=$?
	PGXC_GROUPS=()
	return "$status"
}

# ---- UndefinedBehaviorSanitizer ---------------------------------------------

# driver KIND PROGRAM DIRECTORY
driver()
{
	local status=0

	mkdir -p "$PGXC_WORK/ubsan/$1"
	chmod 777 "$PGXC_WORK/ubsan/$1"
	(
		cd "$src"
		PATH=$("$PG_CONFIG" --bindir):$PATH \
			run_in_group "$2" --bindir="$("$PG_CONFIG" --bindir)" \
			--inputdir=. --outputdir="$PGXC_WORK/ubsan/$1" \
			--temp-instance="$PGXC_WORK/ubsan/$1/instance" \
			--temp-config="$conf" --no-locale --encoding=UTF8 \
			--dbname="pgxc_$1" --schedule="$3/schedule"
	) || status=$?
	[ "$status" -eq 0 ] ||
		head -c 60000 "$PGXC_WORK/ubsan/$1/regression.diffs" 2>/dev/null || true
	result "$status" "$1 tests, built with UndefinedBehaviorSanitizer"
}

run_ubsan()
{
	local pgxs kind

	prepare ubsan "-g -O1 -fno-omit-frame-pointer -fsanitize=undefined"
	pgxs=$(dirname -- "$("$PG_CONFIG" --pgxs)")/..
	driver regress "$pgxs/test/regress/pg_regress" sql
	driver isolation "$pgxs/test/isolation/pg_isolation_regress" specs
	# The server overwrites the environment that would hold UBSAN_OPTIONS, so
	# the reports stand in its log.
	for kind in regress isolation; do
		grep -F 'runtime error: ' "$PGXC_WORK/ubsan/$kind/log/postmaster.log" |
			sort | uniq -c >"$reports/$kind" || true
	done
	report "UndefinedBehaviorSanitizer reports nothing" .
}

# ---- valgrind ---------------------------------------------------------------

script()
{
	cat <<-'SQL'
		\set ON_ERROR_STOP on
		\set QUIET on
		CREATE EXTENSION pgxc;

		-- a worker, with triggers, TOAST, and rows that fail
		CREATE TABLE a (id int PRIMARY KEY, x int, y int, long text);
		INSERT INTO a SELECT i, i, NULL, repeat(md5(i::text), i % 100) FROM generate_series(1, 20000) i;
		CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER nothing BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION nothing();
		SELECT pgxc.start_backfill('a', 'y = 100 / (x - 77), long = upper(long)', name => 'a', max_row_errors => 5, dry_run => true);
		SELECT pgxc.start_backfill('a', 'y = 100 / (x - 77), long = upper(long)', name => 'a', max_row_errors => 5);
		SELECT pgxc.alter_migration('a', target_chunk_ms => 50, max_duty => 1.0, parallel_workers => 2);
		SELECT pgxc.pause('a');
		SELECT * FROM pgxc.migrations;
		SELECT * FROM pgxc.plan('a');
		SELECT pgxc.resume('a');
		SELECT * FROM pgxc.progress_backfill;
		SELECT * FROM pgxc.signals;
		CALL pgxc.wait('a', '20 min');
		SELECT * FROM pgxc.row_errors;
		SELECT count(*) FROM a WHERE y IS NULL;

		-- partitions, in the foreground
		CREATE TABLE p (id int, x int, PRIMARY KEY (id)) PARTITION BY RANGE (id);
		CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (1000);
		CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (1000) TO (9999);
		INSERT INTO p SELECT i, NULL FROM generate_series(1, 2000) i;
		BEGIN;
		SELECT pgxc.start_backfill('p', 'x = id', 'x IS NULL', name => 'p', passes => 3);
		SELECT pgxc.pause('p');
		COMMIT;
		TRUNCATE p2;
		SELECT pgxc.resume('p');
		\set ON_ERROR_STOP off
		CALL pgxc.run('p');
		CALL pgxc.wait('p', '20 min');

		-- mistakes
		SELECT pgxc.start_backfill('a', 'nonsense = 1');
		SELECT pgxc.start_backfill('a', 'y = = 1');
		SELECT pgxc.start_backfill('a', 'y = y * 2 + 1', name => 'diverges');
		CALL pgxc.wait('diverges', '20 min');
		SELECT pgxc.retry('diverges');
		CALL pgxc.wait('diverges', '20 min');
		SELECT pgxc.cancel('diverges');
		SELECT pgxc.assert_done('a');
		SELECT * FROM pgxc.events;

		-- dropped under a worker
		SELECT pgxc.start_backfill('a', 'x = id + 1', name => 'dropped', max_rows_per_second => 1000);
		DROP TABLE a;
		DROP EXTENSION pgxc;
	SQL
}

run_valgrind()
{
	local dir=$PGXC_WORK/valgrind/server status=0 bindir pid ours

	if ! command -v valgrind >/dev/null && ! pgxc_want valgrind; then
		skipped=$((skipped + 1))
		echo "skip  valgrind: not here"
		return
	fi
	prepare valgrind "-g -O1"
	bindir=$("$PG_CONFIG" --bindir)
	pgxc_server_start "$dir" <"$conf"
	pgxc_server_stop "$dir"
	(
		cd "$dir"
		pgxc_exec_as_user setsid timeout --kill-after=30 "$TIMEOUT" \
			valgrind --tool=memcheck --trace-children=yes --quiet \
			--undef-value-errors=no --leak-check=no --num-callers=25 \
			--log-file="$reports/memcheck.%p" "$bindir/postgres" -D "$dir/data"
	) >"$dir/valgrind.log" 2>&1 </dev/null &
	pid=$!
	PGXC_GROUPS=("$pid")
	for _ in $(seq 300); do
		"$bindir/pg_isready" --quiet && break
		kill -0 "$pid" 2>/dev/null || break
		sleep 0.2
	done
	script | "$bindir/psql" -X -f - >"$dir/script.log" 2>&1 || status=$?
	grep -qF 'server closed the connection' "$dir/script.log" && status=1
	if [ "$status" -ne 0 ]; then
		tail -n 20 "$dir/script.log"
	fi
	pgxc_server_stop "$dir"
	wait "$pid" || true
	PGXC_GROUPS=()
	[ "$status" -ne 0 ] && tail -n 20 "$dir/valgrind.log"
	result "$status" "the script, below valgrind"
	# What the server does by itself is not ours to judge.  A frame of ours is
	# shown with its file, as the server has no symbols of its own.
	ours=$(find "$src/src" -name '*.c' -printf '%f|' | sed 's/|$//; s/\./\\./g')
	report "valgrind reports nothing that passes through pgxc" \
		"pgxc\.so|\(($ours):[0-9]+\)"
}

# ---- main -------------------------------------------------------------------

[ $# -gt 0 ] || set -- ubsan valgrind
for kind in "$@"; do
	case $kind in
		ubsan | valgrind) ;;
		*)
			echo "usage: dev/sanitize.sh [ubsan|valgrind]..." >&2
			exit 2
			;;
	esac
done

pgxc_need_server
pgxc_work
for kind in "$@"; do
	"run_$kind"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
