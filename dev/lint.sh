#!/usr/bin/env bash
# dev/lint.sh [NAME...]: runs the checks in dev/lint/, all of them by default.
# The last line is "N passed, N failed, N skipped".
set -euo pipefail

lint=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/lint" && pwd -P)
[ $# -gt 0 ] || set -- "$lint"/*.sh

passed=0 failed=0 skipped=0
for check in "$@"; do
	name=$(basename "$check" .sh)
	status=0
	output=$("$lint/$name.sh" 2>&1) || status=$?
	case $status in
		0)
			passed=$((passed + 1))
			echo "ok    $name"
			;;
		77)
			skipped=$((skipped + 1))
			echo "skip  $name: $output"
			;;
		*)
			failed=$((failed + 1))
			echo "FAIL  $name"
			printf '%s\n' "$output" | sed 's/^/      /'
			;;
	esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
