#!/usr/bin/env bash
# bench/run.sh [--quick] [NAME...]: runs the benchmarks (default: all of them)
# and prints their reports as markdown.  See README.md.
set -euo pipefail

BENCHES=(throughput latency lock_wait old_snapshot crash_restart pause_latency trigger_cost no_failures rename_by_hand pgroll)

usage()
{
	cat <<-USAGE
		usage: bench/run.sh [--quick] [NAME...]
		  NAME     ${BENCHES[*]} (default: all)
		  --quick  small tables and short runs: a smoke test of the scripts
		Environment: PGXC_BENCH_RESULTS, PGXC_BENCH_RUNS, PGXC_BENCH_ROWS, ... see bench/README.md
	USAGE
}

names=()
for arg in "$@"; do
	case $arg in
		--quick) export PGXC_BENCH_QUICK=1 ;;
		-h | --help)
			usage
			exit 0
			;;
		*)
			if [[ " ${BENCHES[*]} " != *" $arg "* ]]; then
				usage >&2
				exit 2
			fi
			names+=("$arg")
			;;
	esac
done
[ ${#names[@]} -gt 0 ] || names=("${BENCHES[@]}")

export PYTHONDONTWRITEBYTECODE=1
[ -n "${PGXC_BENCH_RESULTS:-}" ] || temporary=1

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
bench_build

failed=()
for name in "${names[@]}"; do
	bench_server "$name"
	echo
	if ! python3 "$BENCH_DIR/$name.py" | tee "$PGXC_BENCH_RESULTS/$name.md"; then
		failed+=("$name")
		echo "--- the end of the server's log ---" >&2
		tail -n 15 "$PGXC_BENCH_SERVER/server.log" >&2 || true
	fi
	bench_server_end "$name"
done

if [ -n "${temporary:-}" ]; then
	pgxc_note "PGXC_BENCH_RESULTS was not set: the raw data disappears with the work directory"
else
	pgxc_note "raw data: $PGXC_BENCH_RESULTS"
fi
if [ ${#failed[@]} -gt 0 ]; then
	pgxc_note "not measured: ${failed[*]}"
	exit 1
fi
