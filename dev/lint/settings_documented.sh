#!/usr/bin/env bash
# Every setting has a row in a table of README.md.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

# In settings.c any string that is nothing but pgxc.name is a setting (they may
# stand in an array); elsewhere it may be a table, so look at the definition.
settings=$({
	[ ! -e src/core/settings.c ] ||
		grep -oE '"pgxc\.[a-z_0-9]+"' src/core/settings.c || true
	find src -name '*.c' -exec perl -0777 -ne '
		print "$1\n" while /DefineCustom\w+Variable\s*\(\s*("pgxc\.\w+")/g' {} +
} | tr -d '"' | sort -u)

if [ -n "$settings" ] && [ ! -e README.md ]; then
	echo "there is no README.md"
	exit 1
fi
wrong=0
for setting in $settings; do
	grep -qE "^\|.*\`$setting\`" README.md || {
		echo "README.md has no table row for $setting"
		wrong=1
	}
done
exit "$wrong"
