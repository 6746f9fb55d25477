# Tables of every shape: what they look like changes neither the result nor,
# beyond reason, what the backfill costs.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'shapes',
	autovacuum => 'off',
	checkpoint_timeout => '1h',
	max_wal_size => '4GB',
	shared_buffers => '256MB',
	allow_in_place_tablespaces => 'on',
	max_locks_per_transaction => 128,
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0);

# Seconds that a finished migration took.
sub seconds
{
	my ($id) = @_;
	return value($node,
		"SELECT extract(epoch FROM finished_at - started_at) FROM pgxc.migrations WHERE id = $id"
	);
}

# backfilled(table, assignment, condition that no row may meet any more)
sub backfilled
{
	my ($table, $assignment, $wrong, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $id = backfill($node, "'$table', '$assignment', max_duty => 1");

	wait_done($node, $id, "$name: done");
	is(value($node, "SELECT count(*) FROM $table WHERE $wrong"),
		0, "$name: no row is left");
	return $id;
}

my $id;

# ---- the simple ones --------------------------------------------------------
value($node, q{
	CREATE TABLE nothing (id int, v int);
	CREATE TABLE one_block AS SELECT i AS id, NULL::int AS v FROM generate_series(1, 3) i;
	CREATE TABLE no_key AS SELECT i % 10 AS id, NULL::int AS v FROM generate_series(1, 5000) i;
	CREATE UNLOGGED TABLE volatile_data AS SELECT i AS id, NULL::int AS v FROM generate_series(1, 5000) i;
	CREATE TABLESPACE elsewhere LOCATION '';
	CREATE TABLE moved (id int, v int) TABLESPACE elsewhere;
	INSERT INTO moved SELECT i FROM generate_series(1, 5000) i;
	CREATE TABLE half (id int, v int, f text) WITH (fillfactor = 50);
	INSERT INTO half SELECT i, NULL, repeat('x', 50) FROM generate_series(1, 5000) i;
	CREATE TABLE tenth (id int, v int, f text) WITH (fillfactor = 10);
	INSERT INTO tenth SELECT i, NULL, repeat('x', 50) FROM generate_series(1, 5000) i;
});
backfilled('nothing', 'v = id', 'true', 'an empty table');
for my $table (qw(one_block no_key volatile_data moved half tenth))
{
	my $before = value($node, "SELECT pg_relation_size('$table')");
	my $rows = value($node, "SELECT count(*) FROM $table");

	$id = backfilled($table, 'v = id', 'v IS DISTINCT FROM id', $table);
	is(value($node, "SELECT rows_updated FROM pgxc.migrations WHERE id = $id"),
		$rows, "$table: each row was updated once");
	# A row with a value instead of a null is a little larger.
	cmp_ok(value($node, "SELECT pg_relation_size('$table')") / $before,
		'<=', 1.1, "$table: grew next to nothing")
	  if $table eq 'half' || $table eq 'tenth';
}

# ---- 1600 columns -----------------------------------------------------------
value($node,
		'CREATE TABLE wide ('
	  . join(', ', map { "c$_ smallint" } 1 .. 1600)
	  . '); INSERT INTO wide (c1, c800) SELECT i, i FROM generate_series(1, 1000) i');
backfilled('wide', 'c1600 = c1 + c800, c2 = 2',
	'c1600 IS DISTINCT FROM c1 + c800 OR c2 IS DISTINCT FROM 2 OR c3 IS NOT NULL',
	'1600 columns');

# ---- rows of 1 MB -----------------------------------------------------------
value($node, q{
	CREATE TABLE huge (id int PRIMARY KEY, v int, body text, sum text);
	ALTER TABLE huge ALTER body SET STORAGE EXTERNAL;
	INSERT INTO huge (id, body) SELECT i, repeat(chr(64 + i), 1048576) FROM generate_series(1, 25) i;
	UPDATE huge SET sum = md5(body);
});
my $toast_size =
  "SELECT pg_relation_size(reltoastrelid) FROM pg_class WHERE oid = 'huge'::regclass";
my $before = value($node, $toast_size);
my $lsn = $node->lsn('insert');
backfilled('huge', 'v = length(body)', 'v IS DISTINCT FROM 1048576 OR sum <> md5(body)',
	'rows of 1 MB');
is(value($node, $toast_size), $before, 'rows of 1 MB: values that stay are not written again');
cmp_ok(
	value($node, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn')"),
	'<', 2 * 1024 * 1024, 'rows of 1 MB: nor logged');
backfilled('huge', 'body = lower(body)', 'body <> lower(body) OR length(body) <> 1048576',
	'rows of 1 MB, all of them written');

# ---- 1000 partitions --------------------------------------------------------
value($node, q{
	CREATE TABLE many (id int, v int) PARTITION BY RANGE (id);
	DO $$ BEGIN
		FOR i IN 0..999 LOOP
			EXECUTE format('CREATE TABLE many_%s PARTITION OF many FOR VALUES FROM (%s) TO (%s)', i, i * 10, i * 10 + 10);
		END LOOP;
	END $$;
	INSERT INTO many SELECT i FROM generate_series(0, 9999) i;
});
$id = backfilled('many', 'v = id', 'v IS DISTINCT FROM id', '1000 partitions');
cmp_ok(seconds($id), '<', 60, '1000 partitions: in reasonable time');

# ---- partitions that come and go --------------------------------------------
value($node, q{
	CREATE TABLE part (id int, v int) PARTITION BY RANGE (id);
	CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (10001);
	CREATE TABLE part_2 PARTITION OF part FOR VALUES FROM (10001) TO (20001);
	CREATE TABLE part_3 PARTITION OF part FOR VALUES FROM (20001) TO (30001);
	CREATE TABLE part_4 PARTITION OF part FOR VALUES FROM (30001) TO (40001);
	INSERT INTO part SELECT i FROM generate_series(1, 40000) i;
	CREATE TABLE part_5 AS SELECT i AS id, NULL::int AS v FROM generate_series(40001, 45000) i;
});
$id = backfill($node,
	"'part', 'v = id', max_rows_per_second => 4000, target_chunk_ms => 10");
wait_until(
	$node,
	'SELECT count(*) > 0 FROM part_1 WHERE v = id',
	'partitions: the first is being done',
	$id);
value($node, 'ALTER TABLE part DETACH PARTITION part_3');
value($node, 'DROP TABLE part_4');
value($node, 'ALTER TABLE part ATTACH PARTITION part_5 FOR VALUES FROM (40001) TO (50001)');
is(value($node, "SELECT rows_updated < 20000 FROM pgxc.migrations WHERE id = $id"),
	't', 'partitions: all of that while it ran');
value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
wait_done($node, $id, 'partitions: done');
is(value($node, 'SELECT count(*) FROM part WHERE v IS DISTINCT FROM id'),
	0, 'partitions: no row is left, those of the attached one included');
is(value($node, 'SELECT count(*) FROM part'), 25000, 'partitions: as many rows as there should be');
is(value($node, 'SELECT count(*) FROM part_3 WHERE v IS NOT NULL'),
	0, 'partitions: the detached one was left alone');
is( value(
		$node,
		"SELECT string_agg(event, ' ' ORDER BY event) FROM pgxc.events WHERE migration_id = $id AND event LIKE 'leaf%'"
	),
	'leaf_added leaf_gone leaf_gone',
	'partitions: and the audit trail knows');

# ---- growth: full pages, three indexes --------------------------------------
value($node, q{
	CREATE TABLE full_pages (id int PRIMARY KEY, k1 int, k2 int, v int, filler text);
	INSERT INTO full_pages SELECT i, i, i / 2, NULL, repeat('x', 60) FROM generate_series(1, 200000) i;
	CREATE INDEX k1 ON full_pages (k1);
	CREATE INDEX k2 ON full_pages (k2);
	VACUUM ANALYZE full_pages;
	CHECKPOINT;
});
my $sizes = "SELECT pg_relation_size('full_pages'), pg_indexes_size('full_pages')";
my ($heap, $indexes) = split /\|/, value($node, $sizes);
my $full = backfilled('full_pages', 'v = id + 1', 'v IS DISTINCT FROM id + 1', 'full pages');
my ($heap_after, $indexes_after) = split /\|/, value($node, $sizes);
cmp_ok($heap_after / $heap, '<=', 1.25, 'full pages: growth of the heap');
cmp_ok($indexes_after / $indexes, '<=', 1.05, 'full pages: growth of the indexes');
note sprintf 'heap %.3f, indexes %.3f', $heap_after / $heap, $indexes_after / $indexes;

# ---- few rows to do: what is done already is passed over ---------------------
value($node, 'UPDATE full_pages SET v = NULL WHERE id % 10000 = 77');
value($node, 'VACUUM ANALYZE full_pages');
$lsn = $node->lsn('insert');
my $sparse = backfill($node,
	"'full_pages', 'v = id + 1', name => 'sparse', max_duty => 1");
wait_done($node, $sparse, 'few rows: done');
is(value($node, 'SELECT count(*) FROM full_pages WHERE v IS DISTINCT FROM id + 1'),
	0, 'few rows: none is left');
is(value($node, "SELECT rows_updated FROM pgxc.migrations WHERE id = $sparse"),
	20, 'few rows: only those were updated');
cmp_ok(seconds($sparse), '<', seconds($full) / 2,
	'few rows: takes less than half of the time');
cmp_ok(
	value($node, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '$lsn')"),
	'<', 2 * 1024 * 1024, 'few rows: writes little WAL');

$node->stop;
done_testing();
