# A server that stops in the middle, in any way, goes on by itself where it
# was; what is lost is not more than about one chunk.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Who else writes WAL to the disk would hide whether the worker itself does.
my $node = new_node(
	'restart',
	'wal_buffers' => '64MB',
	'bgwriter_lru_maxpages' => 0,
	'autovacuum' => 'off',
	'checkpoint_timeout' => '1h',
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.active_sessions_soft' => 0);

# A row costs 2 ms at least, whatever the machine; so a chunk of 10 ms updates
# five rows at most.
my $TARGET_MS = 10;
my $ROW_MS = 2;

make_table($node, 't', 20000, count => 1);
$node->safe_psql(
	'postgres', qq{
	CREATE OR REPLACE FUNCTION pgxc_count_updates() RETURNS trigger LANGUAGE plpgsql AS \$\$
	DECLARE
		until timestamptz := clock_timestamp() + interval '$ROW_MS ms';
	BEGIN
		NEW.n := OLD.n + 1;
		WHILE clock_timestamp() < until LOOP END LOOP;
		RETURN NEW;
	END \$\$});

my $id = start_backfill(
	$node, 't',
	target_chunk_ms => $TARGET_MS,
	max_duty => 1);
wait_rows($node, 't', 50);

sub updated
{
	return $node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE b = a + 1');
}

# Rows that are updated, and rows that the cursor counted: from one snapshot,
# and while no chunk is in progress.
my $both = q{
	SELECT (SELECT count(*) FROM t WHERE b = a + 1),
		(SELECT coalesce(sum(rows_updated), 0) FROM pgxc.leaf)
		+ (SELECT coalesce(sum(rows_updated), 0) FROM pgxc.stripe)};

sub goes_on
{
	my ($how) = @_;
	my $start = time;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->start;
	is(state_of($node, $id), 'running', "$how: it is running still");
	wait_rows($node, 't', updated() + 1);
	cmp_ok(time - $start, '<', 10, "$how: the first new chunk comes within 10 s");
	return;
}

# A chunk commits without waiting for the disk, and the walwriter follows soon.
# Stop it, but not while it holds a lock.
sub stop_walwriter
{
	my $activity = "FROM pg_stat_activity WHERE backend_type = 'walwriter'";
	my $pid = $node->safe_psql('postgres', "SELECT pid $activity");

	for (1 .. 1000)
	{
		kill 'STOP', $pid;
		return $pid
		  if $node->safe_psql('postgres', "SELECT wait_event $activity") =~ /^WalWriterMain$/i;
		kill 'CONT', $pid;
	}
	die 'the walwriter never sleeps';
}

# ---- ordinary stops ---------------------------------------------------------

for my $mode (qw(fast immediate))
{
	my $before = updated();

	$node->stop($mode);
	goes_on($mode);
	cmp_ok(updated(), '>', $before, "$mode: it did not start anew");
}

# ---- kill -9 of the postmaster ----------------------------------------------

for my $round (1 .. 3)
{
	my $walwriter = stop_walwriter();
	wait_rows($node, 't', updated() + 50);

	# A lock that conflicts with the chunk's: there is none in progress, and
	# what is committed by then, in memory at least, can be counted.
	my $session = $node->background_psql('postgres');
	$session->query_safe('BEGIN; LOCK TABLE t IN SHARE MODE');
	my ($rows, $counted) = split /\|/, $session->query_safe($both);
	is($counted, $rows, "kill -9, round $round: the cursor counted what is updated");
	cmp_ok($rows, '<', 20000, '... which is not everything');

	kill_postmaster($node, $walwriter);
	eval { $session->quit };

	# Nobody goes on in this one.
	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
	$node->start;
	my ($rows_after, $counted_after) = split /\|/, $node->safe_psql('postgres', $both);
	is($counted_after, $rows_after, '... and so it did after the recovery');
	cmp_ok($rows - $rows_after, '<=', $TARGET_MS / $ROW_MS,
		"... at most one chunk is lost ($rows rows before, $rows_after after)");
	$node->stop;

	append_pgxc_conf($node);
	goes_on("kill -9, round $round");
}

# A worker that never rests must notice, too, that its postmaster is gone: for
# as long as it lives the server cannot be started.
{
	wait_rows($node, 't', updated() + 20);
	my $start = time;
	kill_postmaster($node);
	cmp_ok(time - $start, '<', 5, 'no worker outlives the postmaster');
	goes_on('kill -9 of a server without rest');
}

# ---- the end ----------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE OR REPLACE FUNCTION pgxc_count_updates() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END $$});
is_done($node, 't', $id, 'it finishes');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
	'0', 'every row was updated once');
is( $node->safe_psql('postgres',
		"SELECT string_agg(to_state, ' ' ORDER BY id) FROM pgxc.events WHERE migration_id = $id AND to_state IS NOT NULL"),
	'queued running finished',
	'it was never anything but running');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND event = 'planned'"),
	'1',
	'and it was planned once');

$node->stop;
done_testing();
