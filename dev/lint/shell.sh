#!/usr/bin/env bash
# The shell scripts pass shellcheck.  SC2317 (unreachable) is wrong about
# functions that a trap or another file calls.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

if ! command -v shellcheck >/dev/null; then
	echo "skipped: no shellcheck"
	exit 77
fi
{
	find dev bench -name '*.sh' -print0 2>/dev/null || true
	[ ! -e .ci/run ] || printf '.ci/run\0'
} | sort -z | xargs -0 -r shellcheck --exclude=SC2317 --external-sources --source-path=SCRIPTDIR
