#!/usr/bin/env bash
# In the install script every function written in SQL or PL/pgSQL fixes its
# search_path, and every function, procedure and view has a comment.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."

# Only whole install scripts, not the upgrades from one version to the next.
find . -maxdepth 1 -name 'pgxc--*.sql' ! -name 'pgxc--*--*.sql' | sort | perl -e '
	use strict;
	use warnings;

	my $wrong = 0;

	# Statements, each as [line, text with comments and bodies blanked, body].
	sub statements
	{
		my ($text) = @_;
		my (@found, $code, $body);
		my ($line, $start) = (1, 1);

		$code = $body = "";
		while ($text =~ /\G(
			  --[^\n]*
			| \/\*.*?\*\/
			| (?<dollar>\$\w*\$).*?\k{dollar}
			| \x27(?:[^\x27]|\x27\x27)*\x27
			| "(?:[^"]|"")*"
			| \bBEGIN\s+ATOMIC\b.*?\bEND\s*(?=;)
			| ^\\[^\n]*
			| \w+ | . )/gsxmi)
		{
			my $token = $1;
			if ($token =~ /^(?:--|\/\*|\\)/) { $code .= " "; }
			elsif ($token =~ /^(?:\$|BEGIN\s+ATOMIC)/i) { $body .= $token; $code .= " BODY "; }
			elsif ($token eq ";")
			{
				push @found, [ $start, $code, $body ];
				($code, $body) = ("", "");
			}
			else
			{
				$start = $line if $code =~ /^\s*$/ && $token =~ /\S/;
				$code .= $token;
			}
			$line += ($token =~ tr/\n//);
		}
		return @found;
	}

	while (my $file = <STDIN>)
	{
		chomp $file;
		$file =~ s{^\./}{};
		open(my $in, "<", $file) or die "$file: $!";
		my $text = do { local $/; <$in> } // "";
		close($in);

		my (%made, %line, %commented);
		foreach (statements($text))
		{
			my ($line, $code, $body) = @$_;
			if ($code =~ /^\s*CREATE\s+(?:OR\s+REPLACE\s+)?(FUNCTION|PROCEDURE|(?:MATERIALIZED\s+)?VIEW)\s+([\w."]+)/i)
			{
				my ($kind, $name) = (uc $1, $2);
				$made{$name}++;
				$line{$name} //= $line;
				if ($kind ne "VIEW" && $code =~ /\bLANGUAGE\s+\x27?(?:sql|plpgsql)\b/i
					|| $body =~ /^BEGIN\s+ATOMIC/i)
				{
					# SET forbids transaction control, so a procedure that
					# needs that can not have it.
					my $exempt = $kind eq "PROCEDURE" && $body =~ /\b(?:COMMIT|ROLLBACK)\b/i;
					if (!$exempt && $code !~ /\bSET\s+search_path\b/i)
					{
						print "$file:$line: $name does not SET search_path\n";
						$wrong = 1;
					}
				}
			}
			elsif ($code =~ /^\s*COMMENT\s+ON\s+(?:FUNCTION|PROCEDURE|ROUTINE|(?:MATERIALIZED\s+)?VIEW)\s+([\w."]+)/i)
			{
				$commented{$1}++;
			}
		}
		foreach my $name (sort keys %made)
		{
			next if ($commented{$name} // 0) >= $made{$name};
			print "$file:$line{$name}: $name has no COMMENT ON",
			  ($made{$name} > 1 ? " for each of its $made{$name} variants" : ""), "\n";
			$wrong = 1;
		}
		foreach my $name (sort grep { !$made{$_} } keys %commented)
		{
			print "$file: there is a comment on $name, which is not made here\n";
			$wrong = 1;
		}
	}
	exit $wrong;
'
