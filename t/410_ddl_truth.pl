# check_ddl says of each form of the corpus (t/ddl/*.txt) exactly what the server
# then does: locks, rewrites, scans, index builds.  See PgxcTruth.pm.
#
#   PGXC_TRUTH_SQL=forms    these instead, with what was said and done; a line each
#   PGXC_TRUTH_FILES=a,b    only the forms of t/ddl/a.txt and b.txt
#   PGXC_TRUTH_JSON=path    every result goes there too, a line each
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use JSON::PP;
use PgxcTest;
use PgxcTruth;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ddl = "$FindBin::RealBin/ddl";
my $node = truth_node('truth');
my $sessions = truth_sessions($node);
my $json = JSON::PP->new->canonical;

sub show
{
	my ($result) = @_;

	for my $what ('said', 'was')
	{
		my $rows = $result->{$what} // [];

		$rows = [ { rel => "$rows->{error}: $rows->{message}", lock => '', work => 0 } ]
		  if ref $rows eq 'HASH';
		diag("$what:");
		diag(sprintf '    %-32s %s', $_->{rel}, row_text($_)) for @$rows;
	}
	return;
}

sub try_form
{
	my ($form) = @_;
	my $result = run_form($sessions, $form);
	my @lines = disagreements($form, $result);
	my $name = ($form->{file} ? "$form->{file} $form->{line}: " : '') . $form->{sql};

	ok(!@lines, $name) or diag(join "\n", map { "$name; $_" } @lines);
	show($result) unless $form->{file};
	append_to_file($ENV{PGXC_TRUTH_JSON}, $json->encode({ form => $form, %$result }) . "\n")
	  if $ENV{PGXC_TRUTH_JSON};
	return;
}

if ($ENV{PGXC_TRUTH_SQL})
{
	try_form($_) for grep { $_ } map { parse_form($_) } split /\n/, $ENV{PGXC_TRUTH_SQL};
	stop_sessions($sessions);
	$node->stop;
	done_testing();
	exit;
}

my @forms = read_forms($ddl);

cmp_ok(scalar @forms, '>=', 250, 'the corpus is large') unless $ENV{PGXC_TRUTH_FILES};
if ($ENV{PGXC_TRUTH_FILES})
{
	my %wanted = map { $_ => 1 } split /,/, $ENV{PGXC_TRUTH_FILES};

	@forms = grep { $wanted{ $_->{file} } } @forms;
}
@forms = grep {
	     $sessions->{major} >= ($_->{min} // 0)
	  && $sessions->{major} <= ($_->{max} // 99)
} @forms;
try_form($_) for grep { !$_->{alone} && !$_->{after} } @forms;
try_form($_) for grep { !$_->{alone} && $_->{after} } @forms;
# Those that leave everything in its place share a copy of the database.
@forms = sort { ($a->{sql} =~ /^[ACD]/) <=> ($b->{sql} =~ /^[ACD]/) } grep { $_->{alone} } @forms;
try_form($_) for @forms;

stop_sessions($sessions);
$node->stop;
done_testing();
