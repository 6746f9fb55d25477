#!/usr/bin/env bash
# A file does one job; one that has grown beyond this does several.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

find src -name '*.[ch]' -exec awk -v most=700 '
	FNR == 1 && file { lines[file] = last }
	{ file = FILENAME; last = FNR }
	END {
		if (file)
			lines[file] = last
		for (file in lines)
			if (lines[file] > most) {
				print file ": " lines[file] " lines, at most " most " are allowed"
				wrong = 1
			}
		exit wrong
	}' {} +
