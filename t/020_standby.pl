# A standby shows everything and does nothing, until it is promoted: then it
# goes on where the primary was.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# The lag of a standby on a loaded machine is not the subject here.
my $primary = new_node(
	'primary',
	allows_streaming => 1,
	map { ("pgxc.$_" => 0) }
	  qw(replay_lag_soft replay_lag_hard replay_lag_bytes_soft replay_lag_bytes_hard));

$primary->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'backup', has_streaming => 1);
$standby->start;

sub no_process
{
	my ($test_name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($standby->safe_psql('postgres',
			"SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'pgxc%'"),
		'0', $test_name);
	return;
}

make_table($primary, 'small', 500);
make_table($primary, 't', 20000, count => 1);
my $small = start_backfill($primary, 'small', name => 'small');
wait_state($primary, $small, 'done');
my $id = start_backfill($primary, 't', name => 'large', max_rows_per_second => 1000);
wait_rows($primary, 't', 1000);
$primary->wait_for_catchup($standby);

# ---- while it is a standby --------------------------------------------------

is($standby->safe_psql('postgres', 'SELECT pg_is_in_recovery()'), 't', 'it is a standby');
cmp_ok($standby->safe_psql('postgres', 'SELECT count(*) FROM t WHERE b = a + 1'),
	'>=', 1000, 'it sees the work of the primary');
no_process('neither launcher nor worker');
is( $standby->safe_psql('postgres', 'SELECT name, phase, state FROM pgxc.migrations ORDER BY id'),
	"small|done|finished\nlarge|migrate|running",
	'view migrations can be read');
is( $standby->safe_psql('postgres',
		"SELECT percent BETWEEN 0 AND 100 AND rows_updated >= 1000 FROM pgxc.migrations WHERE id = $id"),
	't',
	'... and shows the progress that came with the WAL');
is( $standby->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM pgxc.progress_backfill), (SELECT count(*) FROM pgxc.signals),
			(SELECT count(*) FROM pgxc.row_errors), (SELECT count(*) > 3 FROM pgxc.events),
			(SELECT preloaded AND launcher_pid IS NULL FROM pgxc.cluster_status())}),
	'0|0|0|t|t',
	'the other views can be read');
like($standby->safe_psql('postgres', "SELECT string_agg(action, ', ') FROM pgxc.plan($id)"),
	qr/update rows/, 'the plan can be read');

for my $call (
	[ 'start_backfill', q{SELECT pgxc.start_backfill('small', 'app = 1')} ],
	[ 'pause', "SELECT pgxc.pause($id)" ],
	[ 'resume', "SELECT pgxc.resume('large')" ],
	[ 'retry', "SELECT pgxc.retry($id)" ],
	[ 'cancel', "SELECT pgxc.cancel($id)" ],
	[ 'alter_migration', "SELECT pgxc.alter_migration($id, max_duty => 1)" ],
	[ 'run', "CALL pgxc.run($id)" ])
{
	my ($name, $sql) = @$call;

	fails_with($standby, $sql, '25006',
		qr/cannot execute pgxc\.$name\(\) during recovery\nHINT:  Run it on the primary server/,
		"$name is refused");
}
$standby->safe_psql('postgres', "CALL pgxc.wait('small'); SELECT pgxc.assert_done('small')");
ok(1, 'wait and assert_done answer for what is done');
fails_with($standby, 'SELECT pgxc.assert_done(\'large\')', '55000', qr/not done/,
	'assert_done of what is not done');
fails_with($standby, "CALL pgxc.wait('large', '100 ms')", '57014', qr/not done after/,
	'wait waits for what the primary does');

is(state_of($primary, $id), 'running', 'the primary is still at it');

# A standby that is restarted is a standby still.
$standby->restart;
no_process('neither launcher nor worker after a restart');

# ---- promotion --------------------------------------------------------------

wait_rows($primary, 't', 3000);
$primary->wait_for_catchup($standby);
$primary->stop('immediate');
my $copied = $standby->safe_psql('postgres', 'SELECT count(*) FROM t WHERE b = a + 1');
cmp_ok($copied, '<', 20000, 'the primary is lost in the middle');
no_process('still nothing runs');

$standby->promote;
wait_worker($standby);
wait_rows($standby, 't', $copied + 1);
ok(1, 'after the promotion it goes on by itself');
is( $standby->safe_psql('postgres',
		"SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND event = 'transition' AND to_state <> 'running'"),
	'0',
	'... without having been paused');
is( $standby->safe_psql('postgres',
		"SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND event = 'planned'"),
	'1', '... and without starting anew');
$standby->safe_psql('postgres',
	"SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
is_done($standby, 't', $id, 'it finishes');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
	'0', 'every row was updated once');

my $new = start_backfill($standby, 'small', name => 'new', assignments => 'app = 2');
wait_state($standby, $new, 'done');
is($standby->safe_psql('postgres', 'SELECT count(*) FROM small WHERE app <> 2'),
	'0', 'the new primary runs new migrations');

$standby->stop;
done_testing();
