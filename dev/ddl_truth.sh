#!/usr/bin/env bash
# dev/ddl_truth.sh [FORM...]
# dev/ddl_truth.sh --json FILE
#
# What pgxc.check_ddl says of a statement, and what the server then does to the
# database of t/ddl/fixture.sql: locks, scans, rewrites, index builds.  A form
# is a line as in t/ddl/*.txt: the statement, with tags before it if need be.
# Without a form it reads them from standard input, one a line.
#
# With --json it tries the whole corpus and writes a line for each form.
set -euo pipefail

# shellcheck source=lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

json='' forms=''
if [ "${1:-}" = --json ]; then
	json=${2:?a file is needed}
elif [ $# -gt 0 ]; then
	forms=$(printf '%s\n' "$@")
else
	forms=$(cat)
fi
pgxc_need_server
pgxc_work
src=$PGXC_WORK/src dest=$PGXC_WORK/dest conf=$PGXC_WORK/pgxc.conf
pgxc_copy_source "$src"
pgxc_build "$src" "$dest" "$PG_CONFIG" >"$PGXC_WORK/build.log" 2>&1 || {
	cat "$PGXC_WORK/build.log" >&2
	exit 1
}
{
	pgxc_conf "$dest" "$PG_CONFIG"
	cat "$src/dev/test.conf"
} >"$conf"
chmod 644 "$conf"
mkdir -p "$PGXC_WORK/tap"
if pgxc_is_root; then
	chown "$(pgxc_user):" "$PGXC_WORK/tap"
fi
pgxs=$(dirname -- "$("$PG_CONFIG" --pgxs)")/..
cd "$src"
status=0
PGXC_CONF=$conf PATH=$("$PG_CONFIG" --bindir):$PATH \
	TESTDIR=$PGXC_WORK/tap TESTDATADIR=$PGXC_WORK/tap/tmp_check \
	TESTLOGDIR=$PGXC_WORK/tap/tmp_check/log \
	PG_REGRESS=$pgxs/test/regress/pg_regress \
	PERL5LIB=$pgxs/test/perl${PERL5LIB:+:$PERL5LIB} \
	PGXC_TRUTH_SQL=$forms PGXC_TRUTH_JSON=${json:+$PGXC_WORK/tap/truth.json} \
	pgxc_as_user perl t/410_ddl_truth.pl || status=$?
if [ -n "$json" ]; then
	cd "$OLDPWD"
	cp "$PGXC_WORK/tap/truth.json" "$json"
fi
exit "$status"
