#!/usr/bin/env bash
# The demo: a column renamed under old and new code, and two backfills, on real
# data, in a server of its own, with an application writing all the while; then
# the proof, by plain SQL.
#
# Usage: bash dev/demo.sh        (about two minutes; needs 3 GB of disk for a while)
#   PG_CONFIG=...  the server to build for; default: the newest that is installed
set -euo pipefail
export LC_ALL=C # numbers with a dot, and sort as bytes

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=lib.sh
source "$here/lib.sh"
# shellcheck source=demo/screen.sh
source "$here/demo/screen.sh"

readonly scale=10             # 1,000,000 rows in pgbench_accounts
readonly clients=4            # of the application
readonly round_s=5            # length of one pgbench run
readonly baseline_rounds=2    # without any migration
readonly code_s=2             # length of one run of old or new code
readonly rename_limit_s=40
readonly migrations_limit_s=90
readonly twin_latest_s=85     # after that there is no time for the comparison
readonly twin_s=15

demo_started=$SECONDS
failures=0
# What was measured: cell[PHASE.WHAT]; the phases are baseline, backfill, twin.
declare -A cell=()

die()
{
	printf 'demo: %s\n' "$*" >&2
	exit 1
}

sql()
{
	psql -XqAt -F $'\x1f' -v ON_ERROR_STOP=1 "$@"
}

# ---------------------------------------------------------------- the server

build_and_start()
{
	local settings

	pgxc_need_server
	demo_started=$SECONDS # a download is no part of the two minutes
	PATH=$("$PG_CONFIG" --bindir):$PATH
	pgxc_work
	trap leave EXIT
	work=$PGXC_WORK/demo
	mkdir -p "$work/app"
	step "Building pgxc for $(postgres --version), and starting a server of its own"
	pgxc_copy_source "$PGXC_WORK/src"
	pgxc_build "$PGXC_WORK/src" "$PGXC_WORK/dest" "$PG_CONFIG" >"$work/build.log" 2>&1 || {
		tail -n 40 "$work/build.log" >&2
		die 'the build failed'
	}
	settings=$(pgxc_conf "$PGXC_WORK/dest" "$PG_CONFIG")
	# The disk limits are off: they are for tables that could fill a disk.
	pgxc_server_start "$PGXC_WORK/server" <<-EOF
		$settings
		shared_buffers = 256MB
		max_wal_size = 2GB
		pgxc.disk_free_soft = 0
		pgxc.disk_free_hard = 0
	EOF
	export PGCLIENTENCODING=UTF8
	# An ordinary role owns the data and calls pgxc; nothing below needs more,
	# except that the measurements want a checkpoint now and then.
	sql -c 'CREATE ROLE shop LOGIN' -c 'GRANT pg_checkpoint TO shop' -c 'CREATE DATABASE shop OWNER shop'
	PGDATABASE=shop sql -c 'CREATE EXTENSION pgxc'
	PGDATABASE=shop PGUSER=shop
	say "         socket only, in $PGXC_WORK, as user $(pgxc_user)"
}

# What a failed demo leaves behind is deleted, so say first what is known.
leave()
{
	local status=$?

	set +e
	case $status in
		0 | 129 | 130 | 143) ;;
		*) last_words "$PGXC_WORK/server/server.log" >&2 ;;
	esac
	(exit "$status")
	pgxc_cleanup
}

last_words()
{
	[[ -s $1 ]] || return
	printf '\nThe last words of the server:\n'
	grep -E 'WARNING|ERROR|FATAL|PANIC|pgxc|signal' "$1" | grep -vE 'listening on|not yet accepting|recovery mode|shutting down' | tail -n 20
}

# In a process group of its own, which pgxc_cleanup ends with us.
in_background()
{
	set -m
	"$@" </dev/null &
	set +m
	PGXC_GROUPS+=("$!")
}

# ------------------------------------------------------------- the real input

# Real text from the machine's own package index, as COPY rows in FILE.
collect_packages()
{
	local file=$1 records=$work/records

	apt_records "$records"
	if (($(grep -c '^Package:' "$records") < 5000)) && pgxc_is_root && command -v apt-get >/dev/null; then
		# No lists yet, as in a fresh container.
		apt-get -qq update </dev/null >/dev/null 2>&1 || true
		apt_records "$records"
	fi
	# dpkg knows at least what is installed.
	[[ -s $records ]] || cat /var/lib/dpkg/status >"$records"
	perl "$here/demo/packages.pl" <"$records" >"$file"
	rm "$records"
	[[ -s $file ]] || die "no package records, neither apt's nor dpkg's"
}

apt_records()
{
	apt-cache dumpavail >"$1" 2>/dev/null || true
}

# ------------------------------------------------------------ the application

# app_run PHASE RUN SECONDS [RATE]: one pgbench run.  Its report, its messages and
# its transaction log are kept under $work/app.
app_run()
{
	local phase=$1 run=$2 seconds=$3 rate=${4:-}
	local base="$work/app/$phase.$run" script="$here/demo/app_accounts.pgbench" status=0
	[[ $phase != twin ]] || script="$work/app/twin.pgbench"
	pgbench -n -M extended -c "$clients" -j 2 -s "$scale" -T "$seconds" -P 1 ${rate:+-R "$rate"} \
		-D packages="$packages" -f "$script@9" -f "$here/demo/app_packages.pgbench@1" \
		-l --log-prefix "$base.log" >"$base.out" 2>"$base.err" || status=$?
	echo "$status" >"$base.status"
}

# app_rounds PHASE [COUNT]: runs on until $work/stop is there, or COUNT rounds are done.
app_rounds()
{
	local phase=$1 count=${2:-1000} run
	for ((run = 100; run < 100 + count; run++)); do
		[[ ! -e $work/stop ]] || break
		app_run "$phase" "$run" "$round_s" "$rate"
		# A failure is the demo's end; app_failed finds it.
		[[ $(<"$work/app/$phase.$run.status") == 0 ]] || break
	done
}

# What pgbench said last: "812.1 tps, lat 1.2 ms stddev 0.5, 0 failed, ...".
app_now()
{
	local newest
	newest=$(find "$work/app" -name "$1.*.err" -size +0 | sort | tail -n 1)
	[[ -n $newest ]] || return 0
	sed -n 's/^progress: [0-9.]* s, //p' "$newest" | tail -n 1 | sed 's/, lag .*//'
}

# code_rounds WHICH: runs the old or the new code until $work/stop.WHICH is there.
code_rounds()
{
	local which=$1 run base status
	for ((run = 100; run < 200; run++)); do
		[[ ! -e $work/stop.$which ]] || break
		base="$work/app/rename.$which$run"
		status=0
		pgbench -n -M extended -c 2 -R 100 -T "$code_s" -D packages="$packages" \
			-f "$here/demo/app_${which}_code.pgbench" >"$base.out" 2>"$base.err" || status=$?
		echo "$status" >"$base.status"
		((status == 0)) || break
	done
}

# code_done WHICH: its transactions.
code_done()
{
	awk '/^number of transactions actually processed:/ { n += $6 } END { print n + 0 }' "$work/app/rename.$1"*.out
}

# app_failed PHASE: failed transactions, and runs that did not end well.
app_failed()
{
	local file failed=0 n
	for file in "$work/app/$1".*.status; do
		[[ $(<"$file") == 0 ]] || failed=$((failed + 1))
		# PostgreSQL 15 and later count; before, any failure ends the run with an error.
		n=$(sed -n 's/^number of failed transactions: \([0-9]*\).*/\1/p' "${file%.status}.out")
		failed=$((failed + ${n:-0}))
		n=$(grep -cE 'ERROR|FATAL|PANIC|aborted' "${file%.status}.err" || true)
		failed=$((failed + n))
	done
	echo "$failed"
}

# Loads a phase's transaction log, to be read by latency.sql.
app_log_load()
{
	local phase=$1 file run
	for file in "$work/app/$phase".*.log.*; do
		run=${file##*/"$phase".}
		run=${run%%.*}
		awk -v OFS='\t' -v phase="$phase" -v run="$run" \
			'$3 ~ /^[0-9]+$/ { print phase, run, $3, $5 "." sprintf("%06d", $6) }' "$file"
	done | sql -c 'COPY demo.tx FROM STDIN'
}

# ---------------------------------------------------------------- measurements

# size_before PHASE TABLE, size_after PHASE TABLE
size_before()
{
	read -r "cell[$1.heap_before]" "cell[$1.index_before]" < <(sizes "$2")
}

size_after()
{
	local heap index

	read -r heap index < <(sizes "$2")
	cell[$1.heap]=$(times "${cell[$1.heap_before]}" "$heap")
	cell[$1.index]=$(times "${cell[$1.index_before]}" "$index")
}

sizes()
{
	sql -F ' ' -c "SELECT pg_relation_size('$1'), pg_indexes_size('$1')"
}

now()
{
	sql -c 'SELECT extract(epoch FROM clock_timestamp())'
}

# window PHASE SINCE UNTIL
window()
{
	sql -c "INSERT INTO demo.time_window VALUES ('$1', $2, $3)"
}

# times BEFORE AFTER: "1.21x"
times()
{
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.2fx", b / a }'
}

# proof TEXT GOT WANTED
proof()
{
	local verdict=ok
	if [[ $2 != "$3" ]]; then
		verdict=FAILED
		failures=$((failures + 1))
	fi
	printf '  %-62s %14s  %s\n' "$1" "$2" "$verdict"
}

# ------------------------------------------------------------------ the phases

load()
{
	step "Loading the package index of this machine, and pgbench at scale $scale"
	sql -f "$here/demo/schema.sql" -c 'CREATE SCHEMA demo' \
		-c 'CREATE TABLE demo.tx (phase text, run integer, latency_us bigint, at float8)' \
		-c 'CREATE TABLE demo.time_window (phase text, since float8, until float8)'
	collect_packages "$work/packages.copy"
	sql -c 'COPY packages (package, version, section, priority, maintainer, homepage, depends, tags, description, installed_size) FROM STDIN' \
		<"$work/packages.copy"
	pgbench -i -q -s "$scale" >/dev/null 2>"$work/pgbench-init.err" || die "pgbench -i: $(<"$work/pgbench-init.err")"
	sql -c 'CREATE INDEX ON pgbench_accounts (bid)' -c 'CREATE INDEX ON pgbench_accounts (bid, aid)' \
		-f "$here/demo/expand.sql" -c 'VACUUM ANALYZE packages' -c 'ANALYZE pgbench_accounts'
	packages=$(sql -c 'SELECT count(*) FROM packages')
	say "         packages: $packages rows of real text; pgbench_accounts: $((scale * 100000)) rows, 3 indexes"
}

baseline()
{
	local since tps
	app_run warm 100 4
	tps=$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$work/app/warm.100.out" | tail -n 1)
	[[ -n $tps ]] || die "pgbench: $(<"$work/app/warm.100.err")"
	rate=$((tps / 2 > 10 ? tps / 2 : 10))
	step "The application alone: $rate transactions/s, half of the $tps that this machine can do"
	sql -c CHECKPOINT
	size_before baseline pgbench_accounts
	since=$(now)
	app_rounds baseline "$baseline_rounds"
	window baseline "$since" "$(now)"
	size_after baseline pgbench_accounts
}

# Old code from before the start until just before contract, new code from just
# after the start until after contract.
rename_column()
{
	local since=$SECONDS state=queued
	step 'Old and new code side by side, and pgxc.start_rename() renames a column'
	sed 's/^/         /' "$here/demo/rename.sql"
	in_background code_rounds old
	sleep 1
	sql -f "$here/demo/rename.sql" >/dev/null
	in_background code_rounds new
	while [[ $state == queued || $state == running ]] && ((SECONDS - since < rename_limit_s)); do
		sleep 0.5
		state=$(sql -c "SELECT state FROM pgxc.migrations WHERE name = 'rename'")
	done
	say "         $state; $(sql -c "SELECT string_agg(item || ' ' || CASE WHEN ok THEN 'ok' ELSE 'OPEN' END, ', ') FROM pgxc.checklist('rename')" | fold -s -w 90 | sed -e '2,$s/^/         /' -e 's/ *$//')"
	sleep 1
	# One statement, one snapshot: both columns of every row at the same moment.
	cell[rename.differ]=$(sql -c 'SELECT count(*) FROM packages WHERE package IS DISTINCT FROM package_name')
	touch "$work/stop.old"
	wait "${PGXC_GROUPS[0]}"
	sed 's/^/         /' "$here/demo/contract.sql"
	sql -f "$here/demo/contract.sql" >/dev/null || true # the proof will tell
	sleep 1
	touch "$work/stop.new"
	wait "${PGXC_GROUPS[1]}"
	PGXC_GROUPS=()
	cell[rename.failed]=$(app_failed rename)
	say "         transactions meanwhile: $(code_done old) by old code, $(code_done new) by new code; failed: ${cell[rename.failed]}"
}

migrate()
{
	local since until pause=0.5 status migration state open
	step 'The application goes on, and pgxc.start_backfill() fills four columns of two tables'
	sed 's/^/         /' "$here/demo/backfill.sql"
	sql -c CHECKPOINT
	size_before backfill pgbench_accounts
	[[ $screen_live == yes ]] || pause=2
	in_background app_rounds backfill
	sleep 1
	since=$(now)
	local shown=$SECONDS
	sql -f "$here/demo/backfill.sql" >/dev/null
	say ''
	while :; do
		mapfile -t status < <(sql -f "$here/demo/status.sql")
		screen_progress "$(app_now backfill)" "$(awk -v a="$since" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')" "${status[@]}"
		open=0
		for migration in "${status[@]}"; do
			IFS=$'\x1f' read -r _ state _ <<<"$migration"
			case $state in
			queued | running | blocked) open=$((open + 1)) ;;
			esac
		done
		((${#status[@]} == 2 && open > 0)) || break
		if ((SECONDS - shown > migrations_limit_s)); then
			say "         not done after $migrations_limit_s s"
			break
		fi
		sleep "$pause"
	done
	until=$(sql -c 'SELECT extract(epoch FROM coalesce(max(finished_at), clock_timestamp())) FROM pgxc.migrations')
	touch "$work/stop"
	wait "${PGXC_GROUPS[0]}"
	PGXC_GROUPS=()
	rm "$work/stop"
	size_after backfill pgbench_accounts
	window backfill "$since" "$until"
}

single_update()
{
	local since

	twin=no
	if ((SECONDS - demo_started > twin_latest_s)); then
		step 'No time left for the comparison with one single UPDATE'
		return
	fi
	step 'For comparison: the same application, and one single UPDATE on a copy of the table'
	sql -f "$here/demo/twin.sql" -c CHECKPOINT
	sed 's/pgbench_accounts/accounts_twin/' "$here/demo/app_accounts.pgbench" >"$work/app/twin.pgbench"
	size_before twin accounts_twin
	in_background app_run twin 100 "$twin_s" "$rate"
	sleep 1
	since=$(now)
	sql -c 'UPDATE accounts_twin SET balance_cents = abalance::bigint * 100'
	window twin "$since" "$(now)"
	size_after twin accounts_twin
	wait "${PGXC_GROUPS[0]}"
	PGXC_GROUPS=()
	twin=yes
}

# ----------------------------------------------------------------- the summary

summary()
{
	local phase seconds count quantiles pause heads=('no migration' 'pgxc backfill')

	phases=(baseline backfill)
	if [[ $twin == yes ]]; then
		phases+=(twin)
		heads+=('single UPDATE')
	fi
	for phase in "${phases[@]}"; do
		app_log_load "$phase"
		cell[$phase.failed]=$(app_failed "$phase")
	done
	while IFS=$'\x1f' read -r phase seconds count quantiles pause; do
		cell[$phase.seconds]=$seconds
		cell[$phase.count]=$count
		cell[$phase.rate]=$(awk -v n="$count" -v s="$seconds" 'BEGIN { printf "%.0f", n / s }')
		read -r "cell[$phase.p50]" "cell[$phase.p95]" "cell[$phase.p99]" "cell[$phase.max]" <<<"$quantiles"
		cell[$phase.pause]=$pause
	done < <(sql -f "$here/demo/latency.sql")
	if [[ $twin == yes ]] && ((${cell[twin.seconds]%.*} > twin_s - 3)); then
		# pgbench ended before the UPDATE, and reports nothing of the
		# transactions that it had not begun: the percentiles would flatter.
		unset "cell[twin.p50]" "cell[twin.p95]" "cell[twin.p99]"
	fi

	step "Measured, while the application is offered $rate transactions/s"
	table_row '' "${heads[@]}"
	measured 'length of the measurement, s' seconds
	measured "application's transactions" count
	measured '  each second' rate
	measured '  failed' failed
	measured '  latency p50, ms' p50
	measured '  latency p95, ms' p95
	measured '  latency p99, ms' p99
	measured '  latency max, ms' max
	measured '  longest standstill, ms' pause
	measured 'heap, after / before' heap
	measured 'its 3 indexes, after / before' index
	say '  Latency counts from when a transaction was due, so waiting in line counts; a standstill
  is a time in which no transaction was finished.'
}

# measured LABEL WHAT: a row of the table
measured()
{
	local phase row=()

	for phase in "${phases[@]}"; do
		row+=("${cell[$phase.$2]:--}")
	done
	table_row "$1" "${row[@]}"
}

proofs()
{
	local name rows left state
	local -A states=() total=() open=()

	while IFS=$'\x1f' read -r name rows left; do
		total[$name]=$rows
		open[$name]=$left
	done <"$work/left"
	while IFS=$'\x1f' read -r name state _; do
		states[$name]=$state
	done < <(sql -f "$here/demo/status.sql")

	step 'Proof, by plain SQL and by what pgbench reported'
	proof 'rename: phase of the migration' "$(sql -c "SELECT phase FROM pgxc.migrations WHERE name = 'rename'")" 'done'
	proof 'rename: rows whose two columns differed, before contract' "${cell[rename.differ]}" 0
	proof 'failed transactions of old and new code, start to contract' "${cell[rename.failed]}" 0
	for name in packages accounts; do
		proof "$name: state of the migration" "${states[$name]:-missing}" finished
		proof "$name: rows left, of ${total[$name]:-none}" "${open[$name]:-unknown}" 0
	done
	proof 'balances of accounts, tellers, branches, history' "$(<"$work/balance")" equal
	proof 'failed transactions, without a migration' "${cell[baseline.failed]}" 0
	proof 'failed transactions, with the backfill' "${cell[backfill.failed]}" 0
	((failures == 0)) || trouble
}

# What pgxc itself says, for whoever looks into a failed demo.
trouble()
{
	printf '\nNot proved. What pgxc says:\n'
	psql -X -P pager=off -c 'SELECT name, phase, state, wait_reason, last_error, next_step FROM pgxc.migrations ORDER BY id' \
		-c 'SELECT at, migration, event, to_state, detail FROM (SELECT * FROM pgxc.events ORDER BY id DESC LIMIT 20) e ORDER BY id'
	grep -hE 'ERROR|FATAL|PANIC|aborted' "$work"/app/*.err | sort | uniq -c | head -n 10
} >&2

main()
{
	build_and_start
	load
	rename_column
	baseline
	migrate
	# Before the next phase, which changes tellers and branches but no account.
	sql -f "$here/demo/left.sql" >"$work/left"
	sql -f "$here/demo/balance.sql" >"$work/balance"
	single_update
	summary
	proofs
	printf '\n[%3d s] ' "$((SECONDS - demo_started))"
	if ((failures > 0)); then
		printf '%d of the proofs FAILED\n' "$failures"
		exit 1
	fi
	printf 'All proved. The server and its directory go with this script.\n'
}

main "$@"
