#!/usr/bin/env bash
# dev/test.sh [lint|build|regress|isolation|tap|all]...
#
# Builds pgxc in a private directory, without installing it, and tests it
# against servers of its own (see dev/lib.sh for how to choose the version).
# As root it does all of that as an unprivileged user.
#
# The last line is "N passed, N failed, N skipped": lint checks, builds and
# single tests.  What could not run is skipped, never passed.
#
#   PGXC_TEST_TIMEOUT=1200   seconds for each kind of test
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

ROOT=$(pgxc_root)
TIMEOUT=${PGXC_TEST_TIMEOUT:-1200}
# Errors here only: a user's newer compiler must not fail to build pgxc.
WARNINGS='-Wall -Wextra -Werror -Wno-unused-parameter -Wno-sign-compare'

passed=0 failed=0 skipped=0

# add PASSED FAILED SKIPPED
add()
{
	passed=$((passed + $1))
	failed=$((failed + $2))
	skipped=$((skipped + $3))
}

heading()
{
	printf '\n== %s\n' "$*"
}

finish()
{
	printf '\n%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	[ "$failed" -eq 0 ]
	exit
}

# ---- lint -------------------------------------------------------------------

run_lint()
{
	local check checks=() counts log

	heading "lint"
	# Helpful if they are there; the checks that need them skip themselves.
	command -v clang-format-14 >/dev/null ||
		pgxc_want clang-format-14 || true
	command -v shellcheck >/dev/null || pgxc_want shellcheck || true

	for check in "$ROOT"/dev/lint/*.sh; do
		# This one waits for the library, see run_build.
		[ "$(basename "$check")" = exported_names.sh ] && wants build && continue
		checks+=("$check")
	done
	log=$("$ROOT/dev/lint.sh" "${checks[@]}" || true)
	printf '%s\n' "$log" | sed '$d'
	counts=$(printf '%s\n' "$log" | sed -n '$s/[^0-9]\{1,\}/ /gp')
	# shellcheck disable=SC2086 # three numbers
	add $counts
}

# ---- build ------------------------------------------------------------------

# The server's headers are not ours to correct.
system_headers()
{
	local dir

	dir=$("$PG_CONFIG" --includedir-server)
	printf -- '-isystem %s ' "$dir"
	dir=$("$PG_CONFIG" --includedir)/internal
	[ ! -d "$dir" ] || printf -- '-isystem %s' "$dir"
}

# The build that the tests use.  Says so if it fails, and fails.
prepare()
{
	pgxc_work
	SRC=$PGXC_WORK/src DEST=$PGXC_WORK/dest CONF=$PGXC_WORK/pgxc.conf
	pgxc_copy_source "$SRC"
	built=no
	if pgxc_build "$SRC" "$DEST" "$PG_CONFIG" \
		"$WARNINGS $(system_headers)" >"$PGXC_WORK/gcc.log" 2>&1; then
		built=clean
	elif pgxc_build "$SRC" "$DEST" "$PG_CONFIG" >"$PGXC_WORK/lax.log" 2>&1; then
		# With warnings it is a failed build, but the tests can still tell more.
		built=warnings
	fi
	if [ "$built" != no ]; then
		{
			pgxc_conf "$DEST" "$PG_CONFIG" && {
				[ ! -e "$ROOT/dev/test.conf" ] || cat "$ROOT/dev/test.conf"
			}
		} >"$CONF" || built=no
		chmod 644 "$CONF"
	fi
}

run_build()
{
	local status

	heading "build"
	if [ "$built" = clean ]; then
		add 1 0 0
		echo "ok    gcc, without warnings"
	else
		add 0 1 0
		echo "FAIL  gcc"
		cat "$PGXC_WORK/gcc.log"
	fi

	if ! command -v clang >/dev/null && ! pgxc_want clang; then
		add 0 0 1
		echo "skip  clang: not here"
	else
		pgxc_copy_source "$PGXC_WORK/clang"
		# The server's own flags are gcc's, and clang does not know them all.
		if pgxc_make "$PGXC_WORK/clang" "$PG_CONFIG" \
			"$WARNINGS -Wno-unknown-warning-option -Wno-ignored-optimization-argument -Wno-unused-command-line-argument $(system_headers)" \
			clang >"$PGXC_WORK/clang.log" 2>&1; then
			add 1 0 0
			echo "ok    clang, without warnings"
		else
			add 0 1 0
			echo "FAIL  clang"
			cat "$PGXC_WORK/clang.log"
		fi
	fi

	if [ "$built" = no ]; then
		add 0 0 1
		echo "skip  exported_names: nothing was built"
	else
		status=0
		PGXC_SO=$SRC/pgxc.so "$ROOT/dev/lint/exported_names.sh" \
			>"$PGXC_WORK/exported_names.log" 2>&1 || status=$?
		case $status in
			0) add 1 0 0 && echo "ok    exported_names" ;;
			77) add 0 0 1 && echo "skip  exported_names" ;;
			*) add 0 1 0 && echo "FAIL  exported_names" ;;
		esac
		cat "$PGXC_WORK/exported_names.log"
	fi
}

# ---- regress and isolation --------------------------------------------------

scheduled()
{
	[ ! -e "$ROOT/$1/schedule" ] ||
		sed -n 's/^test:[[:space:]]*//p' "$ROOT/$1/schedule" |
		tr -s '[:space:]' '\n' | sed '/^$/d'
}

# start KIND COMMAND...: in the background, with its output in a log.  Being
# the leader of a process group it can be stopped together with its children.
start()
{
	local kind=$1
	shift
	(
		cd "$SRC"
		PGXC_CONF=$CONF \
		PATH=$("$PG_CONFIG" --bindir):$PATH \
			pgxc_exec_as_user setsid timeout --kill-after=30 "$TIMEOUT" "$@"
	) >"$PGXC_WORK/$kind.log" 2>&1 </dev/null &
	job[$kind]=$!
	PGXC_GROUPS+=("$!")
}

# start_driver KIND DRIVER DIRECTORY
start_driver()
{
	local kind=$1 driver=$2 dir=$3

	[ -n "$(scheduled "$dir")" ] || return 0
	mkdir -p "$PGXC_WORK/$kind"
	chmod 777 "$PGXC_WORK/$kind"
	start "$kind" "$driver" --bindir="$("$PG_CONFIG" --bindir)" \
		--inputdir=. --outputdir="$PGXC_WORK/$kind" \
		--temp-instance="$PGXC_WORK/$kind/instance" --temp-config="$CONF" \
		--no-locale --encoding=UTF8 --dbname="pgxc_$kind" \
		--schedule="$dir/schedule"
}

# report_driver KIND DIRECTORY
#
# Two forms of output: "test a ... ok 3 ms", in groups "     a ... FAILED",
# and since 16 "ok 1 - a 3 ms", "not ok 2 + b".
report_driver()
{
	local kind=$1 dir=$2 good bad rest total status

	heading "$kind"
	total=$(scheduled "$dir" | wc -l)
	if [ "$total" -eq 0 ]; then
		echo "no tests"
		return
	fi
	if [ "$built" = no ]; then
		echo "skip  all $total tests: nothing was built"
		add 0 0 "$total"
		return
	fi
	cat "$PGXC_WORK/$kind.log"
	good=$(grep -cE '^ok +[0-9]|^(test)? +[^ ]+ +\.\.\. ok' "$PGXC_WORK/$kind.log" || true)
	bad=$(grep -cE '^not ok +[0-9]|^(test)? +[^ ]+ +\.\.\. (FAILED|failed)' "$PGXC_WORK/$kind.log" || true)
	status=${job_status[$kind]}
	rest=$((total - good - bad))
	[ "$rest" -ge 0 ] || rest=0
	# The driver itself may fail, for example because its server does not
	# start.  That is a failure, and the tests after it did not run.
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
		[ "$rest" -eq 0 ] || rest=$((rest - 1))
		echo "FAIL  $kind: exit status $status"
		tail -n 40 "$PGXC_WORK/$kind/log/postmaster.log" 2>/dev/null || true
	fi
	[ ! -s "$PGXC_WORK/$kind/regression.diffs" ] ||
		head -c 60000 "$PGXC_WORK/$kind/regression.diffs"
	add "$good" "$bad" "$rest"
}

# ---- TAP --------------------------------------------------------------------

tap_files()
{
	(cd "$SRC" && for file in t/*.pl; do
		[ ! -e "$file" ] || printf '%s\n' "$file"
	done)
}

# Not prove: it would show either one line for a file or, with several files at
# a time, an unreadable mixture; here each keeps its own TAP.
start_tap()
{
	local files pgxs

	files=$(tap_files)
	[ -n "$files" ] || return 0
	mkdir -p "$PGXC_WORK/tap/tmp_check/log"
	if pgxc_is_root; then
		chown -R "$(pgxc_user):" "$PGXC_WORK/tap"
	fi
	pgxs=$(dirname -- "$("$PG_CONFIG" --pgxs)")/..
	# shellcheck disable=SC2016,SC2086 # the inner shell expands it; a list of files
	TESTDIR=$PGXC_WORK/tap \
	TESTDATADIR=$PGXC_WORK/tap/tmp_check \
	TESTLOGDIR=$PGXC_WORK/tap/tmp_check/log \
	PG_REGRESS=$pgxs/test/regress/pg_regress \
	PERL5LIB=$pgxs/test/perl${PERL5LIB:+:$PERL5LIB} \
	TAP_OUTPUT=$PGXC_WORK/tap \
		start tap bash -c '
			printf "%s\n" "$@" | xargs -P 2 -I{} bash -c "
				name=\$(basename \"\$1\" .pl)
				status=0
				perl \"\$1\" >\"\$TAP_OUTPUT/\$name.tap\" 2>\"\$TAP_OUTPUT/\$name.err\" || status=\$?
				echo \$status >\"\$TAP_OUTPUT/\$name.status\"
			" tap {}
		' tap $files
}

# count_tap NAME: prints "passed failed skipped".
count_tap()
{
	awk -v status="$(cat "$PGXC_WORK/tap/$1.status" 2>/dev/null || echo none)" '
		/^1\.\.0/ { skipped = 1; plan = 0; seen = 1; next }
		/^1\.\.[0-9]+/ { plan = substr($0, 4) + 0; seen = 1; next }
		/^(not )?ok( |$)/ {
			run++
			if (/# *([Ss][Kk][Ii][Pp]|TODO)/) skipped++
			else if (/^not/) failed++
			else passed++
		}
		END {
			# A script that died half way is a failure whatever it said.
			if (!failed && (status != "0" || !seen || (plan && plan != run)))
				failed = 1
			print passed + 0, failed + 0, skipped + 0
		}' "$PGXC_WORK/tap/$1.tap"
}

report_tap()
{
	local files file name good bad skip

	heading "tap"
	files=$(tap_files)
	if [ -z "$files" ]; then
		echo "no tests"
		return
	fi
	for file in $files; do
		name=$(basename "$file" .pl)
		if [ "$built" = no ]; then
			echo "skip  $file: nothing was built"
			add 0 0 1
			continue
		fi
		if [ ! -e "$PGXC_WORK/tap/$name.tap" ]; then
			echo "FAIL  $file: did not start in $TIMEOUT s"
			add 0 1 0
			continue
		fi
		read -r good bad skip < <(count_tap "$name")
		add "$good" "$bad" "$skip"
		if [ "$bad" -eq 0 ]; then
			echo "ok    $file: $good passed, $skip skipped"
			continue
		fi
		echo "FAIL  $file: $good passed, $bad failed, $skip skipped," \
			"exit status $(cat "$PGXC_WORK/tap/$name.status" 2>/dev/null || echo "none, it did not finish")"
		grep -E '^not ok' "$PGXC_WORK/tap/$name.tap" || true
		tail -n 40 "$PGXC_WORK/tap/$name.err"
		find "$PGXC_WORK/tap/tmp_check/log" -name "${name}_*.log" |
			sort | while IFS= read -r log; do
				echo "---- the end of $(basename "$log")"
				tail -n 25 "$log"
			done
	done
}

# ---- main -------------------------------------------------------------------

[ $# -gt 0 ] || set -- all
for kind in "$@"; do
	case $kind in
		lint | build | regress | isolation | tap | all) ;;
		*)
			echo "usage: dev/test.sh [lint|build|regress|isolation|tap|all]..." >&2
			exit 2
			;;
	esac
done
asked=" $* "

wants()
{
	case $asked in
		*" $1 "* | *" all "*) return 0 ;;
		*) return 1 ;;
	esac
}

declare -A job=() job_status=()
if wants lint; then
	run_lint
fi
if wants build || wants regress || wants isolation || wants tap; then
	pgxc_need_server
	heading "$("$PG_CONFIG" --version)"
	prepare
	if [ "$built" = no ] && ! wants build; then
		heading "build"
		cat "$PGXC_WORK/lax.log"
		add 0 1 0
	fi
	if [ "$built" != no ]; then
		pgxs=$(dirname -- "$("$PG_CONFIG" --pgxs)")/..
		# TAP takes longest, so it starts first, and beside the others.
		if wants tap; then
			start_tap
		fi
		if wants regress; then
			start_driver regress "$pgxs/test/regress/pg_regress" sql
		fi
		if wants isolation; then
			start_driver isolation "$pgxs/test/isolation/pg_isolation_regress" specs
		fi
	fi
	if wants build; then
		run_build
	fi
	for kind in "${!job[@]}"; do
		job_status[$kind]=0
		wait "${job[$kind]}" || job_status[$kind]=$?
	done
	# Their process groups have ended, and the numbers may be used again.
	PGXC_GROUPS=()
	if wants regress; then
		report_driver regress sql
	fi
	if wants isolation; then
		report_driver isolation specs
	fi
	if wants tap; then
		report_tap
	fi
fi
finish
