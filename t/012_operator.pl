# What an administrator does to a worker: cancel and terminate mean pause, a
# shutdown does not, and a reload reaches a worker that is at work.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('operator');

make_table($node, 't', 20000, count => 1);

# Updated bit by bit for as long as it takes; full_speed() lets it finish.
sub start_slowly
{
	return start_backfill($node, 't', @_, max_rows_per_second => 2000);
}

sub full_speed
{
	my ($id) = @_;

	$node->safe_psql('postgres',
		"SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
	return;
}

sub reason_of
{
	my ($id) = @_;

	return $node->safe_psql('postgres',
		"SELECT wait_reason FROM pgxc.migrations WHERE id = $id");
}

my $id = start_slowly(name => 'operator');
wait_state($node, $id, 'running');
wait_rows($node, 't', 100);

# pg_cancel_backend
{
	my $pid = wait_worker($node);

	is($node->safe_psql('postgres', "SELECT pg_cancel_backend($pid)"),
		't', 'pg_cancel_backend of a worker');
	wait_state($node, $id, 'paused');
	like(reason_of($id), qr/cancelled by an administrator/, '... pauses, and says why');
	like(
		$node->safe_psql('postgres',
			"SELECT next_step FROM pgxc.migrations WHERE id = $id"),
		qr/pgxc\.resume\($id\)/,
		'... and says what to do');
	wait_no_worker($node);
	my $done = $node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE b = a + 1');
	cmp_ok($done, '<', 20000, 'it was stopped in the middle');

	# Something else that wakes the launcher must not start it again.
	make_table($node, 'other', 100);
	my $other = start_backfill($node, 'other');
	is_done($node, 'other', $other, 'another migration runs meanwhile');
	is(state_of($node, $id), 'paused', 'the cancelled one stays paused');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE b = a + 1'),
		$done, 'and not a row more is updated');
}

# pg_terminate_backend
{
	is($node->safe_psql('postgres', "SELECT pgxc.resume('operator')"),
		'queued', 'resume');
	wait_state($node, $id, 'running');
	my $pid = wait_worker($node);

	is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid, 10000)"),
		't', 'pg_terminate_backend of a worker');
	wait_state($node, $id, 'paused');
	like(reason_of($id), qr/terminated by an administrator/, '... pauses, and says why');
	wait_no_worker($node);
	is(state_of($node, $id), 'paused', '... and it is not started again');
}

# The server is stopped with a running migration: that is nobody's wish to
# pause it.
$node->safe_psql('postgres', "SELECT pgxc.resume($id)");
wait_state($node, $id, 'running');
wait_worker($node);
for my $mode (qw(fast immediate smart))
{
	$node->stop($mode);
	$node->start;
	is(state_of($node, $id), 'running', "still running after a $mode shutdown");
	wait_worker($node);
}

is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND to_state = 'paused'"),
	'2',
	'it was paused twice in all, once for each wish');

# SIGHUP
{
	my $pid = wait_worker($node);
	my $duty = "SELECT duty FROM pgxc.progress_backfill WHERE pid = $pid";

	wait_sql($node, "SELECT EXISTS ($duty)", 'the worker to be seen');
	$node->append_conf('postgresql.conf', "pgxc.max_duty = 0.03\n");
	$node->reload;
	$node->poll_query_until('postgres', "SELECT ($duty) <= 0.03");
	is( $node->safe_psql('postgres', "SELECT ($duty) <= 0.03"),
		't', 'a new pgxc.max_duty reaches the worker at work');

	$node->append_conf('postgresql.conf',
		"pgxc.disk_free_soft = 100\npgxc.disk_free_hard = 100\n");
	$node->reload;
	my $throttled = qq{SELECT phase = 'throttled' AND throttle_signal = 'disk_free'
			AND throttle_limit = 100 AND wait_reason LIKE '%disk_free%'
		FROM pgxc.progress_backfill WHERE pid = $pid};
	$node->poll_query_until('postgres', $throttled);
	is($node->safe_psql('postgres', $throttled),
		't', 'a new hard limit stops it, and the view says which');

	$node->append_conf('postgresql.conf',
		"pgxc.disk_free_soft = 0\npgxc.disk_free_hard = 0\npgxc.max_duty = 1\n");
	$node->reload;
	full_speed($id);
	is_done($node, 't', $id, 'without the limit it goes on and finishes');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', 'every row was updated once');
}

$node->stop;
done_testing();
