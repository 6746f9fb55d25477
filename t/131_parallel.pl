# Several workers on one table, several migrations at once, and what they wait
# for when there are not workers enough.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'parallel',
	'pgxc.max_workers' => 3,
	max_worker_processes => 12,
	autovacuum => 'off',
	checkpoint_timeout => '1h',
	max_wal_size => '4GB',
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0);

# Large enough for three stripes, and it counts how often a row was updated.
value($node, q{
	CREATE TABLE shared (id int, v int, n int NOT NULL DEFAULT 0, filler text) WITH (fillfactor = 10);
	INSERT INTO shared SELECT i, NULL, 0, repeat('x', 60) FROM generate_series(1, 120000) i;
	CREATE FUNCTION count_updates() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN NEW.n := OLD.n + 1; RETURN NEW; END';
	CREATE TRIGGER count_updates BEFORE UPDATE ON shared FOR EACH ROW EXECUTE FUNCTION count_updates();
	CREATE TABLE other (id int, v int, w int);
	INSERT INTO other SELECT i FROM generate_series(1, 20000) i;
	VACUUM ANALYZE;
});
cmp_ok(value($node, "SELECT pg_relation_size('shared') / 8192"),
	'>', 3 * 4096, 'the table is large enough for three workers');

my $workers = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'pgxc worker'";

# ---- three workers on one table ---------------------------------------------
my $id = backfill($node,
	"'shared', 'v = id', parallel_workers => 3, passes => 4, max_duty => 1, max_rows_per_second => 30000"
);
wait_until(
	$node,
	"SELECT count(DISTINCT pid) = 3 AND count(DISTINCT relid) = 1 FROM pgxc.progress_backfill WHERE migration_id = $id AND phase <> 'waiting'",
	'three workers are on it',
	$id);
wait_until(
	$node,
	"SELECT count(*) = 3 FROM pgxc.stripe WHERE migration_id = $id AND rows_updated > 0",
	'each with a stripe of its own',
	$id);

# ---- pgxc.max_workers -------------------------------------------------------
my $second = backfill($node, "'other', 'v = id', parallel_workers => 2, name => 'second'");
wait_until(
	$node,
	"SELECT state = 'queued' AND wait_reason = 'all workers are busy (pgxc.max_workers)' FROM pgxc.migrations WHERE id = $second",
	'a second migration waits, and says what for',
	$second);
is(value($node, $workers), 3, 'there are no more workers than pgxc.max_workers');
value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
wait_done($node, $id, 'the first one is done');
wait_done($node, $second, 'and then the second');
is( value(
		$node, "SELECT count(*) FROM shared WHERE v IS DISTINCT FROM id OR n <> 1"
	),
	0,
	'each row was updated exactly once');
is(value($node, "SELECT rows_updated FROM pgxc.migrations WHERE id = $id"),
	120000, 'and counted once');

# ---- two tables at once -----------------------------------------------------
$id = backfill($node,
	"'shared', 'v = -id', name => 'third', max_rows_per_second => 5000, target_chunk_ms => 10");
$second = backfill($node,
	"'other', 'v = -id', name => 'fourth', max_rows_per_second => 2000, target_chunk_ms => 10");
wait_until(
	$node,
	"SELECT count(DISTINCT pid) = 2 AND count(DISTINCT relid) = 2 FROM pgxc.progress_backfill WHERE migration_id IN ($id, $second) AND tuples_updated > 0",
	'two migrations run at once',
	$second);

# ---- two on one table -------------------------------------------------------
my $behind = backfill($node, "'other', 'w = id', name => 'fifth'");
wait_until(
	$node,
	"SELECT state = 'queued' AND wait_reason = 'waiting for migration \"fourth\" on the same table' FROM pgxc.migrations WHERE id = $behind",
	'a second one of the same table waits for the first by name',
	$behind);
is(value($node, 'SELECT count(*) FROM other WHERE w IS NOT NULL'),
	0, 'and does nothing meanwhile');
value($node, "SELECT pgxc.alter_migration($_, max_rows_per_second => 0)")
  for $id, $second;
wait_done($node, $_) for $second, $behind, $id;
is( value(
		$node,
		'SELECT count(*) FROM other WHERE v IS DISTINCT FROM -id OR w IS DISTINCT FROM id'
	),
	0,
	'both have done all');
is( value(
		$node,
		"SELECT (SELECT min(at) FROM pgxc.events WHERE migration_id = $behind AND to_state = 'running')"
		  . " >= (SELECT finished_at FROM pgxc.migrations WHERE id = $second)"),
	't',
	'one after the other');

# ---- max_worker_processes ---------------------------------------------------
# One slot beside those of the launchers; a parallel query has it.
$node->append_conf('postgresql.conf', "max_worker_processes = 3\n");
$node->restart;
my $query = session($node);
$query->query_safe($_)
  for 'SET max_parallel_workers_per_gather = 1',
  'SET min_parallel_table_scan_size = 0',
  'SET parallel_setup_cost = 0', 'SET parallel_tuple_cost = 0';
wait_until(
	$node,
	"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgxc worker'",
	'the look at each database after a start is over');
in_session($query,
	'SELECT count(*) FROM other WHERE pg_sleep(id) IS NULL');    # not a wait: a long parallel query
wait_until(
	$node,
	"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'parallel worker'",
	'the last slot is taken');
$id = backfill($node, "'other', 'v = 5', name => 'starved'");
wait_until(
	$node,
	"SELECT state = 'queued' AND wait_reason = 'no free background worker (max_worker_processes)' FROM pgxc.migrations WHERE id = $id",
	'a migration without a worker says why',
	$id);
value($node,
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE backend_type = 'client backend' AND query LIKE '%pg_sleep(id)%' AND pid <> pg_backend_pid()"    # not a wait: the long query
);
wait_done($node, $id, 'and goes on by itself when there is one');
$query->quit;

$node->stop;
done_testing();
