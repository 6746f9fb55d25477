#!/usr/bin/env bash
# bench/squawk.sh [FILE]: pgxc.check_ddl and squawk on the corpus of t/ddl.
#
# Runs the truth test for what the statements really do (or takes what
# dev/ddl_truth.sh --json has written to FILE), installs squawk from npm in a
# private directory, and prints a report.
set -euo pipefail

# shellcheck source=SCRIPTDIR/../dev/lib.sh source-path=SCRIPTDIR
. "$(dirname -- "${BASH_SOURCE[0]}")/../dev/lib.sh"

VERSION=${PGXC_SQUAWK_VERSION:-2.66.0}
ROOT=$(pgxc_root)

command -v npm >/dev/null || {
	pgxc_note "npm is needed for squawk"
	exit 1
}
pgxc_need_server
pgxc_work
truth=${1:-}
if [ -z "$truth" ]; then
	truth=$PGXC_WORK/truth.json
	# Its tests may fail; the report counts that.
	"$ROOT/dev/ddl_truth.sh" --json "$truth" >/dev/null 2>&1 || [ -s "$truth" ]
fi
npm install --silent --prefix "$PGXC_WORK/npm" "squawk-cli@$VERSION" >&2
python3 "$ROOT/bench/squawk.py" --squawk "$PGXC_WORK/npm/node_modules/.bin/squawk" \
	--pg-version "$("$PG_CONFIG" --version | sed 's/^[^0-9]*\([0-9]*\).*/\1/')" "$truth"
