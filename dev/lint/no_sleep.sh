#!/usr/bin/env bash
# A test waits for what it needs, not for a while: a sleep is either too long
# or, on a loaded machine, too short.  Where the time itself is the subject the
# line ends in a comment "not a wait: reason".
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

# shellcheck disable=SC2016 # that is Perl
find t specs sql -type f \( -name '*.p[lm]' -o -name '*.spec' -o -name '*.sql' \) |
	sort | xargs -r perl -ne '
	if (!/^\s*(?:#|--)/
		&& /\bpg_sleep|\b(?:u|nano)?sleep\b\s*[(\d\$]|\bselect\s*\(\s*undef\s*,\s*undef\s*,\s*undef/
		&& !/(?:--|#) not a wait: \S/)
	{
		print "$ARGV:$.: $_";
		$wrong = 1;
	}
	close ARGV if eof;
	END { $? ||= $wrong // 0 }
'
