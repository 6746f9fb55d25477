#!/usr/bin/env bash
# bench/guard_cost.sh [--quick]: what the guard costs where no migration is open.
#
# Two servers, alike but for the library: one has pgxc in
# shared_preload_libraries and the extension in its database, one has neither.
# The same statements run on both in turns.
set -euo pipefail

[ "${1:-}" != --quick ] || export PGXC_BENCH_QUICK=1
export PYTHONDONTWRITEBYTECODE=1

# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
bench_build

bench_server with
export PGXC_WITH=$PGXC_BENCH_SOCKET_DIR
PGXC_BENCH_BASELINE_ONLY=1 bench_server without
export PGXC_WITHOUT=$PGXC_BENCH_SOCKET_DIR
python3 "$BENCH_DIR/guard_cost.py"
bench_server_end with
bench_server_end without
