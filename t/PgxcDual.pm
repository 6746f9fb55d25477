# What the tests t/2*.pl have in common, beside PgxcTest and PgxcEnv: migrations
# with two shapes, an application made of pgbench, what the server's log says.
package PgxcDual;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use PgxcEnv;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  start_dual wait_ready schema_of log_position errors_since
  start_bench finish_bench longest_of
);

# start_dual($node, $call, $dbname): "rename('t', 'a', 'b')" and the like;
# returns the id.
sub start_dual
{
	my ($node, $call, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres', "SELECT pgxc.start_$call");
}

# wait_ready($node, $id, $dbname): poll until it can be contracted; dies if it
# never can.
sub wait_ready
{
	my ($node, $id, $dbname) = @_;

	wait_state($node, $id, 'ready', $dbname);
	return;
}

# schema_of($node, $dbname): pg_dump's definition of all that is not pgxc's.
sub schema_of
{
	my ($node, $dbname) = @_;
	my ($out, $err) =
	  run_command([ 'pg_dump', '-s', $node->connstr($dbname // 'postgres') ]);

	die $err if $out eq '';
	# A random word against what a restore might be made to run.
	$out =~ s/^\\(?:un)?restrict .*\n//mg;
	return $out;
}

sub log_position
{
	my ($node) = @_;

	return -s $node->logfile;
}

# errors_since($node, $position): the lines of the server's log that tell of a
# failed statement or worse.
sub errors_since
{
	my ($node, $position) = @_;

	return grep { /\b(?:ERROR|FATAL|PANIC):  / } split /\n/,
	  slurp_file($node->logfile, $position);
}

# start_bench($node, $name, $script, option, ...): pgbench in the background,
# with a log of its transactions, until finish_bench.
sub start_bench
{
	my ($node, $name, $script, @options) = @_;
	my $path = $node->basedir . "/$name";
	my %bench = (name => $name, log => $path, out => '', err => '');

	append_to_file("$path.sql", $script);
	local $ENV{PGAPPNAME} = $name;
	$bench{harness} = IPC::Run::start(
		[
			'pgbench', '-n', '-M', 'extended', '-T',
			3 * $PostgreSQL::Test::Utils::timeout_default,
			'-f', "$path.sql", '-l', "--log-prefix=$path", @options, '-h',
			$node->host, '-p', $node->port, 'postgres'
		],
		'<', \undef, '>', \$bench{out}, '2>', \$bench{err});
	return \%bench;
}

# finish_bench($bench): let it end, its transactions as well; two tests.
sub finish_bench
{
	my ($bench) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	ok($bench->{harness}->pumpable, "$bench->{name}: it was at work all the time");
	# The signal that ends a run after -T seconds.
	$bench->{harness}->signal('ALRM');
	subtest "$bench->{name}: no failed statement" => sub {
		ok($bench->{harness}->finish, 'pgbench succeeds');
		like($bench->{out}, qr/number of failed transactions: 0 /, 'transactions');
		unlike($bench->{err}, qr/ERROR|FATAL|PANIC|aborted/, 'messages');
	};
	return;
}

# longest_of($bench): the longest transaction in ms, and their number.
sub longest_of
{
	my ($bench) = @_;
	my ($longest, $n) = (0, 0);

	for my $file (glob "$bench->{log}.[0-9]*")
	{
		for my $line (split /\n/, slurp_file($file))
		{
			my $us = (split ' ', $line)[2];

			$longest = $us if $us > $longest;
			$n++;
		}
	}
	return ($longest / 1000, $n);
}

1;
