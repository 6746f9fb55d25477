#!/usr/bin/env bash
# Whoever gets an error can act on it: errors are reported by ereport with an
# error code.  elog is left for what can't happen, and says so in a comment.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

find src -name '*.[ch]' | sort | perl -e '
	use strict;
	use warnings;

	my $severe = qr/\b(?:ERROR|FATAL|PANIC)\b/;
	my $wrong = 0;

	while (my $file = <STDIN>)
	{
		chomp $file;
		open(my $in, "<", $file) or die "$file: $!";
		my $text = do { local $/; <$in> } // "";
		close($in);
		my @lines = split(/\n/, $text);

		# Blank comments and the insides of strings, keeping every offset, so
		# that the parentheses which remain are balanced.
		my $code = $text;
		$code =~ s{(/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\x27(?:[^\x27\\\n]|\\.)*\x27)}
			{ my $blank = $1; $blank =~ s/[^\n]/ /g; $blank }gse;

		while ($code =~ /\b(elog|ereport)\s*(\((?:[^()]++|(?2))*\))/g)
		{
			my ($call, $block) = ($1, $2);
			my $line = 1 + (substr($code, 0, $-[0]) =~ tr/\n//);
			my ($level) = $block =~ /^\(([^,]*)/;
			next unless $level =~ $severe;

			if ($call eq "elog")
			{
				my $near = join("\n", grep { defined }
					($line > 1 ? $lines[$line - 2] : undef), $lines[$line - 1]);
				next if $near =~ m{/\* cannot happen \*/};
				print "$file:$line: elog for an error without /* cannot happen */\n";
			}
			else
			{
				next if $block =~ /\berrcode(?:_\w+)?\s*\(/;
				print "$file:$line: ereport without an errcode\n";
			}
			$wrong = 1;
		}
	}
	exit $wrong;
'
