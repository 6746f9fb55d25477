# shellcheck shell=bash
# bench/lib.sh: a private server for one benchmark.  Source it.

BENCH_DIR=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source-path=SCRIPTDIR source=../dev/lib.sh
. "$BENCH_DIR/../dev/lib.sh"

# bench_build: makes the work directory and builds pgxc in it.
bench_build()
{
	command -v python3 >/dev/null || pgxc_need python3
	pgxc_need_server
	pgxc_work
	mkdir "$PGXC_WORK/bench"
	if [ -z "${PGXC_BENCH_BASELINE_ONLY:-}" ]; then
		pgxc_copy_source "$PGXC_WORK/src"
		pgxc_build "$PGXC_WORK/src" "$PGXC_WORK/install" "$PG_CONFIG" >&2
	fi
	PGXC_BENCH_BINDIR=$("$PG_CONFIG" --bindir)
	export PGXC_WORK PGXC_BENCH_BINDIR
	export PGXC_BENCH_WORK=$PGXC_WORK/bench
	export PGXC_BENCH_RESULTS=${PGXC_BENCH_RESULTS:-$PGXC_WORK/results}
	mkdir -p "$PGXC_BENCH_RESULTS"
	PGXC_BENCH_RESULTS=$(cd -P -- "$PGXC_BENCH_RESULTS" && pwd -P)
}

# The server's settings; everything that is not here has its default.  The
# disk signals are off because how full the disk is says nothing about pgxc.
bench_conf()
{
	cat <<-'CONF'
		shared_buffers = '1GB'
		max_wal_size = '8GB'
		checkpoint_timeout = '15min'
	CONF
	if [ -z "${PGXC_BENCH_BASELINE_ONLY:-}" ]; then
		pgxc_conf "$PGXC_WORK/install" "$PG_CONFIG" || return 1
		echo "pgxc.disk_free_soft = 0"
		echo "pgxc.disk_free_hard = 0"
	fi
}

# bench_server NAME: a new cluster with database "bench", for one benchmark.
bench_server()
{
	local dir=$PGXC_WORK/$1

	bench_conf >"$PGXC_WORK/bench/conf"
	pgxc_server_start "$dir" <"$PGXC_WORK/bench/conf"
	export PGXC_BENCH_SOCKET_DIR=$PGHOST PGXC_BENCH_PORT=$PGPORT PGXC_BENCH_USER=$PGUSER
	export PGXC_BENCH_SERVER=$dir
	"$PGXC_BENCH_BINDIR/psql" -X -q -v ON_ERROR_STOP=1 -d postgres -c 'CREATE DATABASE bench'
	if [ -z "${PGXC_BENCH_BASELINE_ONLY:-}" ]; then
		"$PGXC_BENCH_BINDIR/psql" -X -q -v ON_ERROR_STOP=1 -d bench -c 'CREATE EXTENSION pgxc'
	fi
}

# bench_server_end NAME: stops it and frees its disk space.
bench_server_end()
{
	pgxc_server_stop "$PGXC_WORK/$1" fast
	if [ -z "${PGXC_KEEP:-}" ]; then
		rm -rf "${PGXC_WORK:?}/$1"
	fi
}

# bench_start_again: starts the server of the running benchmark, and returns
# without waiting for it.  For a benchmark that has killed it.
bench_start_again()
{
	(cd / && pgxc_as_user "$PGXC_BENCH_BINDIR/pg_ctl" -D "$PGXC_BENCH_SERVER/data" \
		-l "$PGXC_BENCH_SERVER/server.log" -W start >/dev/null </dev/null)
}
