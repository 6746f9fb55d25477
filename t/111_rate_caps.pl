# max_rows_per_second and max_wal_rate hold, for all workers together, and a
# change takes effect while the migration runs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'rates',
	checkpoint_timeout => '1h',
	max_wal_size => '4GB',
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.dead_tuples_soft' => 0);

value($node, q{
	CREATE TABLE capped (id int, v int, filler text) WITH (fillfactor = 20, autovacuum_enabled = off);
	INSERT INTO capped SELECT i, 0, repeat('x', 60) FROM generate_series(1, 300000) i;
	VACUUM ANALYZE capped;
	CHECKPOINT;
});
my $id = backfill($node,
	"'capped', 'v = 1', max_duty => 1, target_chunk_ms => 2, passes => 1, max_rows_per_second => 4000"
);

# rate(column): what the view counts in five seconds of the server's clock,
# per second, after two seconds for the change to arrive.
sub rate
{
	my ($column) = @_;
	my @at;

	my $from = value($node, 'SELECT clock_timestamp()');
	for my $seconds (2, 7)
	{
		$node->poll_query_until('postgres',
			"SELECT clock_timestamp() > timestamptz '$from' + interval '$seconds s'")
		  or die 'the clock stands still';
		push @at,
		  [
			split /\|/,
			value(
				$node,
				"SELECT extract(epoch FROM clock_timestamp()), max($column) FROM pgxc.progress_backfill WHERE migration_id = $id"
			)
		  ];
	}
	return ($at[1][1] - $at[0][1]) / ($at[1][0] - $at[0][0]);
}

sub about
{
	my ($measured, $cap, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	cmp_ok($measured, '<', $cap * 1.25, "$name: not more ($measured)");
	cmp_ok($measured, '>', $cap * 0.75, "$name: not much less ($measured)");
}

wait_until(
	$node,
	"SELECT wait_reason = 'held to its cap: max_rows_per_second 4000' FROM pgxc.migrations WHERE id = $id",
	'the cap is the reason to wait',
	$id);
about(rate('tuples_updated'), 4000, 'max_rows_per_second');

value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 12000)");
about(rate('tuples_updated'), 12000, 'max_rows_per_second, raised meanwhile');

value($node,
	"SELECT pgxc.alter_migration($id, max_rows_per_second => 5000, parallel_workers => 2)"
);
wait_until(
	$node,
	"SELECT count(*) = 2 FROM pgxc.progress_backfill WHERE migration_id = $id",
	'two workers',
	$id);
about(rate('tuples_updated'), 5000, 'max_rows_per_second of two workers');

value($node,
	"SELECT pgxc.alter_migration($id, max_rows_per_second => 0, parallel_workers => 1, max_wal_rate => 500)"
);
wait_until(
	$node,
	"SELECT wait_reason = 'held to its cap: max_wal_rate 500 kB/s' FROM pgxc.migrations WHERE id = $id",
	'the other cap is the reason to wait',
	$id);
my $lsn = $node->lsn('insert');
my $start = value($node, 'SELECT clock_timestamp()');
about(rate('bytes_wal') / 1024, 500, 'max_wal_rate');
cmp_ok(
	value(
		$node,
		"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn') / 1024 / extract(epoch FROM clock_timestamp() - timestamptz '$start')"
	),
	'<',
	500 * 1.5,
	'max_wal_rate: the server says so, too (its own records included)');

value($node, "SELECT pgxc.alter_migration($id, max_wal_rate => 0)");
wait_done($node, $id, 'without a cap it soon is done');
is(value($node, 'SELECT count(*) FROM capped WHERE v <> 1'), 0, 'nothing is left');

$node->stop;
done_testing();
