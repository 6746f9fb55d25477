#!/usr/bin/perl
# Turns apt's package records (deb822 paragraphs) on stdin into COPY text rows
# on stdout.  Only what perl-base brings, which every Debian has.
use strict;
use warnings;

binmode STDIN;
binmode STDOUT;
$/ = '';    # one paragraph a record

my @columns = qw(package version section priority maintainer homepage depends tags description installed_size);

# One valid UTF-8 character; NUL is left out, PostgreSQL stores none.
my $character = qr/
	  [\x01-\x7f]
	| [\xc2-\xdf] [\x80-\xbf]
	| \xe0 [\xa0-\xbf] [\x80-\xbf]
	| [\xe1-\xec\xee\xef] [\x80-\xbf]{2}
	| \xed [\x80-\x9f] [\x80-\xbf]
	| \xf0 [\x90-\xbf] [\x80-\xbf]{2}
	| [\xf1-\xf3] [\x80-\xbf]{3}
	| \xf4 [\x80-\x8f] [\x80-\xbf]{2}
/x;

my %escape = ("\\" => "\\\\", "\t" => "\\t", "\n" => "\\n", "\r" => "\\r");

sub copy_field {
	my ($value) = @_;
	return '\\N' unless defined $value && length $value;
	$value =~ s/($character)|(.)/defined $1 ? $1 : '?'/gesx if $value =~ /[\x00\x80-\xff]/;
	$value =~ s/([\\\t\n\r])/$escape{$1}/g;
	return $value;
}

while (my $record = <STDIN>) {
	my (%field, $key);
	for my $line (split /\n/, $record) {
		if ($line =~ /^[ \t](.*)/s && defined $key) {
			my $more = $1;
			$field{$key} .= "\n" . ($more eq '.' ? '' : $more);
		}
		elsif ($line =~ /^([^:\s]+):[ \t]*(.*)/s) {
			($key, my $value) = (lc $1, $2);

			# Description, Description-en, ...; the checksum is none of them.
			$key = 'description' if $key =~ /^description-(?!md5)/;
			$key = 'tags' if $key eq 'tag';
			$key =~ tr/-/_/;

			# A translation comes after the original: the first one stays.
			if (exists $field{$key}) { undef $key; next }
			$field{$key} = $value;
		}
	}
	next unless defined $field{package} && defined $field{version} && defined $field{maintainer};
	delete $field{installed_size} unless ($field{installed_size} // '') =~ /^\d{1,15}$/;
	print join("\t", map { copy_field($field{$_}) } @columns), "\n";
}
