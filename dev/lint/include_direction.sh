#!/usr/bin/env bash
# Includes go one way: a part of src/ knows only the parts below it.
# Every .c includes postgres.h before anything else, no .h includes it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

find src -name '*.[ch]' | sort | perl -e '
	use strict;
	use warnings;

	my %rank = (
		core => 0,
		dual_write => 1, backfill => 1, usage => 1,
		migration => 2,
		guard => 3,
		status => 4,
		"" => 5);    # the files in src/ itself
	my $wrong = 0;

	sub complain { print "@_\n"; $wrong = 1; }

	while (my $file = <STDIN>)
	{
		chomp $file;
		my ($part) = $file =~ m{^src/(?:([^/]+)/)?};
		$part //= "";
		if (!exists $rank{$part})
		{
			complain("$file: src/$part has no place in the order of the parts");
			next;
		}

		open(my $in, "<", $file) or die "$file: $!";
		my $first = 1;
		while (<$in>)
		{
			next unless /^\s*#\s*include\s*(["<])([^">]+)[">]/;
			my ($quote, $header) = ($1, $2);
			my $where = "$file:$.";

			if ($file =~ /\.c$/ && $first && $header ne "postgres.h")
			{
				complain("$where: postgres.h must come first, not $header");
			}
			$first = 0;
			if ($file =~ /\.h$/ && $header eq "postgres.h")
			{
				complain("$where: postgres.h is for .c files only");
			}
			next if $quote eq "<";

			if ($header =~ m{^\.\.?/})
			{
				complain("$where: write $header as seen from src/");
			}
			elsif ($header =~ m{^([^/]+)/} && -e "src/$header")
			{
				my $other = $1;
				if (!exists $rank{$other})
				{
					complain("$where: src/$other has no place in the order");
				}
				elsif ($other ne $part && $rank{$other} >= $rank{$part})
				{
					complain("$where: src/$part may not know src/$other");
				}
			}
			elsif ($header =~ m{^([^/]+)/} && $1 ne "" && exists $rank{$1})
			{
				complain("$where: there is no src/$header");
			}
			elsif ($part ne "" && -e "src/$part/$header")
			{
				complain("$where: write it as $part/$header");
			}
		}
		complain("$file: does not include postgres.h")
		  if $file =~ /\.c$/ && $first;
		close($in);
	}
	exit $wrong;
'
