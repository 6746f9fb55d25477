#!/usr/bin/env bash
# The C code is formatted as .clang-format says.
#
# Each major version of clang-format decides some cases differently, so one
# version is pinned: the one in Debian 12.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

pinned=14

for candidate in "clang-format-$pinned" clang-format; do
	if "$candidate" --version 2>/dev/null | grep -q "version $pinned\."; then
		wrong=0
		while IFS= read -r file; do
			places=$("$candidate" --dry-run "$file" 2>&1 | grep -c 'warning:' || true)
			[ "$places" -eq 0 ] || {
				echo "$file: $places places; $candidate -i $file corrects them"
				wrong=1
			}
		done < <(find src -name '*.[ch]' | sort)
		exit "$wrong"
	fi
done
echo "skipped: no clang-format $pinned"
exit 77
