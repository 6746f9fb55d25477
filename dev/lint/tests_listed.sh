#!/usr/bin/env bash
# A test that is in no schedule never runs, and nobody would notice.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

wrong=0
complain()
{
	echo "$*"
	wrong=1
}

# check DIRECTORY SUFFIX
check()
{
	local dir=$1 suffix=$2 file name listed

	listed=
	if [ -e "$dir/schedule" ]; then
		listed=$(sed -n 's/^test:[[:space:]]*//p' "$dir/schedule" |
			tr -s '[:space:]' '\n')
	fi
	for file in "$dir"/*"$suffix"; do
		[ -e "$file" ] || continue
		name=$(basename "$file" "$suffix")
		printf '%s\n' "$listed" | grep -qxF -- "$name" ||
			complain "$file is not in $dir/schedule"
		[ -e "expected/$name.out" ] ||
			complain "$file has no expected/$name.out"
	done
	for name in $listed; do
		[ -e "$dir/$name$suffix" ] ||
			complain "$dir/schedule names $name, which does not exist"
	done
	printf '%s\n' "$listed" | sed '/^$/d' | sort | uniq -d |
		sed "s|^|$dir/schedule names twice: |" | grep . && wrong=1
	return 0
}

check sql .sql
check specs .spec
for file in expected/*.out; do
	[ -e "$file" ] || continue
	name=$(basename "$file" .out)
	# name_1.out is another answer to the test of that name.
	[ -e "sql/$name.sql" ] || [ -e "specs/$name.spec" ] ||
		[ -e "sql/${name%_[0-9]}.sql" ] || [ -e "specs/${name%_[0-9]}.spec" ] ||
		complain "$file is the output of no test"
done
exit "$wrong"
