# Logical replication: a subscriber whose migration the publisher knows nothing
# of, and a publisher whose subscriber has the new column already.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcDual;
use PgxcEnv;
use PgxcTest qw(new_node fails_with state_of wait_sql);
use PostgreSQL::Test::Utils;
use Test::More;

my %settings = (
	allows_streaming => 'logical',
	# A worker that has failed comes back soon.
	wal_retrieve_retry_interval => '200ms',
	max_logical_replication_workers => 10,
	max_worker_processes => 24,
	log_statement => 'none');
my $north = new_node('north', %settings);
my $south = new_node('south', %settings);

# subscribe($from, $to, $name, publication's tables)
sub subscribe
{
	my ($from, $to, $name, $tables) = @_;
	my $connection = $from->connstr . ' dbname=postgres';

	value($from, "CREATE PUBLICATION $name FOR TABLE $tables");
	value($to, "CREATE SUBSCRIPTION $name CONNECTION '$connection' PUBLICATION $name");
	$to->wait_for_subscription_sync($from, $name);
	return;
}

# the_same($from, $to, $name, $query, $other_query, test name): both sides have
# the same rows once all is applied; there are some.
sub the_same
{
	my ($from, $to, $name, $query, $other, $test_name) = @_;
	my $digest = 'SELECT count(*), md5(string_agg(q::text, E\'\n\' ORDER BY q::text COLLATE "C")) FROM (%s) q';

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$from->wait_for_catchup($name);
	my $expected = value($from, sprintf($digest, $query));
	isnt($expected, '0|', "$test_name: there are rows");
	is(value($to, sprintf($digest, $other)), $expected, $test_name);
	return;
}

# start_and_hear($node, $call): the id, and what was said.
sub start_and_hear
{
	my ($node, $call) = @_;
	my ($ret, $out, $err) = $node->psql('postgres', "SELECT pgxc.start_$call");

	die $err if $ret != 0;
	return ($out, $err);
}

sub zero
{
	my ($node, $query, $test_name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(value($node, "SELECT count(*) FROM $query"), '0', $test_name);
	return;
}

# ==== the subscriber migrates ================================================

my $tables = q{
	CREATE TABLE renamed (id int PRIMARY KEY, a text DEFAULT 'none', n int DEFAULT 0);
	CREATE TABLE typed (id int PRIMARY KEY, a int NOT NULL, n int DEFAULT 0);
	CREATE INDEX typed_a ON typed (a);
	CREATE TABLE composed (id int PRIMARY KEY, first text, last text);
	CREATE TABLE indexed (code int NOT NULL, v int);
	CREATE UNIQUE INDEX indexed_code ON indexed (code);
	ALTER TABLE indexed REPLICA IDENTITY USING INDEX indexed_code;
	CREATE TABLE whole (id int PRIMARY KEY, a int, n int DEFAULT 0);
	ALTER TABLE whole REPLICA IDENTITY FULL;
	CREATE TABLE keyless (id int, a int);
	ALTER TABLE keyless REPLICA IDENTITY FULL;
	CREATE TABLE stopped (id int PRIMARY KEY, a int);
};
value($_, $tables) for $north, $south;
value($north, q{
	INSERT INTO renamed SELECT i, 'a' || i FROM generate_series(1, 4000) i;
	INSERT INTO typed SELECT i, i FROM generate_series(1, 6000) i;
	INSERT INTO composed SELECT i, 'f' || i, 'l' || i FROM generate_series(1, 4000) i;
	INSERT INTO indexed SELECT i, i FROM generate_series(1, 6000) i;
	INSERT INTO whole SELECT i, i FROM generate_series(1, 4000) i;
	INSERT INTO keyless SELECT i, i FROM generate_series(1, 10) i;
	INSERT INTO stopped SELECT i, i FROM generate_series(1, 10) i;
});

# Open while the initial copy comes.
my %id;
$id{renamed} = start_dual($south, q{rename('renamed', 'a', 'b', name => 'renamed')});
wait_ready($south, $id{renamed});
is(value($south, q{SELECT tgenabled FROM pg_trigger WHERE tgrelid = 'renamed'::regclass}), 'A',
	'the trigger fires for whatever applies rows');
subscribe($north, $south, 'down', 'renamed, typed, composed, indexed, whole, keyless');
subscribe($north, $south, 'stop', 'stopped');
zero($south, 'renamed WHERE b IS DISTINCT FROM a', 'the initial copy fills the new column');
the_same($north, $south, 'down', 'SELECT id, a, n FROM renamed', 'SELECT id, b, n FROM renamed', 'renamed: initial copy');

# Without a key rows are found by comparing all columns, and a row with a new
# column is like none that is sent: changes would be lost, without a word.
for my $start (
	q{rename('keyless', 'a', 'b')},
	q{type_change('keyless', 'a', 'bigint')},
	q{transform('keyless', 'b', 'text', up => 'a::text', keep_old => true)})
{
	fails_with($south, "SELECT pgxc.start_$start", '55000',
		qr/cannot add a column to table "keyless", which subscription "down" replicates without a key.*HINT: .*REPLICA IDENTITY USING INDEX/s,
		"a subscriber's table without a key: $start");
}
# What is read below sees all of them in the middle of it.
$id{typed} = start_dual($south, q{type_change('typed', 'a', 'bigint', name => 'typed', max_rows_per_second => 300)});
$id{indexed} = start_dual($south, q{type_change('indexed', 'code', 'bigint', name => 'indexed', max_rows_per_second => 300)});
$id{composed} = start_dual($south, q{transform('composed', 'full_name', 'text', up => 'first || '' '' || last', keep_old => true, name => 'composed')});
$id{whole} = start_dual($south, q{rename('whole', 'a', 'b', name => 'whole')});
my $shadow = value($south, "SELECT new_column FROM pgxc.migration WHERE name = 'typed'");
my $code = value($south, "SELECT new_column FROM pgxc.migration WHERE name = 'indexed'");

# change($from, sign, number): rows from both ends of each table.
sub change_all
{
	my ($step) = @_;
	my $new = 10000 + 1000 * $step;

	value($north, qq{
		INSERT INTO renamed (id, a) SELECT i, 'new' || i FROM generate_series($new, $new + 99) i;
		INSERT INTO renamed (id) VALUES ($new + 100);
		UPDATE renamed SET a = a || '$step' WHERE id % 20 = $step;
		UPDATE renamed SET n = n + 1 WHERE id % 20 = $step + 1;
		DELETE FROM renamed WHERE id % 20 = $step + 2;
		INSERT INTO typed (id, a) SELECT i, i FROM generate_series($new, $new + 99) i;
		UPDATE typed SET a = -a WHERE id % 20 = $step;
		UPDATE typed SET n = n + 1 WHERE id % 20 = $step + 1;
		UPDATE typed SET id = -id, a = a + 1 WHERE id % 100 = 99;
		DELETE FROM typed WHERE id % 20 = $step + 2;
		INSERT INTO composed SELECT i, 'first', 'last' FROM generate_series($new, $new + 99) i;
		UPDATE composed SET first = 'g' || id WHERE id % 20 = $step;
		UPDATE composed SET last = NULL WHERE id % 20 = $step + 1;
		DELETE FROM composed WHERE id % 20 = $step + 2;
		INSERT INTO indexed SELECT i, i FROM generate_series($new, $new + 99) i;
		UPDATE indexed SET code = -code WHERE code > 0 AND code % 20 = $step;
		UPDATE indexed SET v = v + 1 WHERE code % 20 = $step + 1;
		DELETE FROM indexed WHERE code % 20 = $step + 2;
		INSERT INTO whole (id, a) SELECT i, i FROM generate_series($new, $new + 99) i;
		UPDATE whole SET a = -a WHERE id % 20 = $step;
		UPDATE whole SET n = n + 1 WHERE id % 20 = $step + 1;
		DELETE FROM whole WHERE id % 20 = $step + 2;
	});
	return;
}

sub all_the_same
{
	my ($when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	the_same($north, $south, 'down', "SELECT * FROM $_->[0]", "SELECT $_->[1] FROM $_->[0]", "$_->[0]: $when")
	  for [ 'renamed', 'id, a, n' ], [ 'typed', 'id, a, n' ], [ 'composed', 'id, first, last' ], [ 'indexed', 'code, v' ], [ 'whole', 'id, a, n' ];
	zero($south, 'renamed WHERE b IS DISTINCT FROM a', "renamed: the new column, $when");
	return;
}

wait_sql($south, "SELECT bool_and(rows_updated > 0) FROM pgxc.migrations WHERE name IN ('typed', 'indexed')", 'some rows to be filled');
change_all(1);
all_the_same('in the middle of the backfill');
is(join(' ', map { state_of($south, $id{$_}) } qw(typed indexed)), 'running running', 'and that was in the middle');
value($south, "SELECT pgxc.alter_migration('$_', max_rows_per_second => 0)") for qw(typed indexed);
value($north, 'TRUNCATE typed');
value($north, 'INSERT INTO typed (id, a) SELECT i, 2 * i FROM generate_series(1, 500) i; UPDATE typed SET a = a + 1 WHERE id <= 100');
wait_ready($south, $id{$_}) for qw(typed indexed composed whole);
all_the_same('after the backfill, and TRUNCATE');
change_all(4);
all_the_same('when it is ready');
zero($south, "typed WHERE $shadow IS DISTINCT FROM a", 'typed: the new column');
zero($south, "indexed WHERE $code IS DISTINCT FROM code", 'indexed: the new column');
zero($south, "composed WHERE full_name IS DISTINCT FROM first || ' ' || last", 'composed: the new column');
zero($south, 'whole WHERE b IS DISTINCT FROM a', 'whole: the new column');
is(value($south, "SELECT pgxc.retry('typed')"), 'queued', 'typed: verified once more');
wait_ready($south, $id{typed});

# A type change keeps the name, a transform its old columns: the publisher need
# not know.  A rename can be rolled back.
my $log = log_position($south);
is(value($south, "SELECT pgxc.contract('$_')"), 'finished', "$_: contract") for qw(typed indexed composed);
is(value($south, "SELECT pgxc.rollback('$_')"), 'finished', "$_: rollback") for qw(whole);
change_all(7);
all_the_same('after contract');
is( value($south, q{SELECT string_agg(format_type(atttypid, atttypmod), ' ' ORDER BY attrelid::regclass::text) FROM pg_attribute
		WHERE (attrelid, attname) IN (('typed'::regclass, 'a'), ('indexed'::regclass, 'code'))}),
	'bigint bigint', 'typed, indexed: the new type');
is(value($south, q{SELECT c.relreplident, i.indexrelid::regclass, i.indisreplident FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relname = 'indexed'}),
	'i|indexed_code|t', 'indexed: the replica identity');
is(value($south, 'SELECT count(*), count(full_name) FROM composed WHERE id >= 17000'), '95|0',
	'composed: the column that is kept is nobody\'s after contract');
is(join("\n", errors_since($south, $log)), '', 'and nothing failed');

# After the contract of a rename the publisher sends a column that is not there.
# Nothing is applied, and nothing is lost: it goes on as soon as there is one.
$id{stopped} = start_dual($south, q{rename('stopped', 'a', 'b', name => 'stopped')});
wait_ready($south, $id{stopped});
is(value($south, "SELECT pgxc.contract('stopped')"), 'finished', 'stopped: contract');
value($north, 'UPDATE stopped SET a = 100 * a WHERE id <= 5; INSERT INTO stopped VALUES (11, 11); DELETE FROM stopped WHERE id = 10');
$south->wait_for_log(qr/logical replication target relation "public\.stopped" is missing replicated column: "a"/, $log);
is(value($south, 'SELECT count(*), sum(b) FROM stopped'), '10|55', 'stopped: nothing is applied while the publisher sends a column that is gone');
value($south, 'ALTER TABLE stopped RENAME b TO a');
the_same($north, $south, 'stop', 'TABLE stopped', 'TABLE stopped', 'stopped: it goes on once there is one, and nothing was lost');

# ==== the publisher migrates =================================================

# The subscriber has the new column already: without or with a migration of its
# own.
value($_, q{
	CREATE TABLE plain (id int PRIMARY KEY, a text, n int DEFAULT 0);
	CREATE TABLE both_sides (id int PRIMARY KEY, a text NOT NULL DEFAULT 'none', n int DEFAULT 0);
	CREATE TABLE full_row (id int PRIMARY KEY, a int, n int DEFAULT 0);
	ALTER TABLE full_row REPLICA IDENTITY FULL;
	CREATE TABLE listed (id int PRIMARY KEY, a int NOT NULL, n int DEFAULT 0);
	CREATE TABLE key_index (code int NOT NULL, v int);
	CREATE UNIQUE INDEX key_index_code ON key_index (code);
	ALTER TABLE key_index REPLICA IDENTITY USING INDEX key_index_code;
	CREATE TABLE shadowed (id int PRIMARY KEY, a int);
}) for $north, $south;
value($north, q{
	INSERT INTO plain SELECT i, 'a' || i FROM generate_series(1, 3000) i;
	INSERT INTO both_sides SELECT i, 'a' || i FROM generate_series(1, 3000) i;
	INSERT INTO full_row SELECT i, i FROM generate_series(1, 3000) i;
	INSERT INTO listed SELECT i, i FROM generate_series(1, 3000) i;
	INSERT INTO key_index SELECT i, i FROM generate_series(1, 3000) i;
	INSERT INTO shadowed SELECT i, i FROM generate_series(1, 3000) i;
});
subscribe($north, $south, 'up', 'plain, both_sides, full_row, listed (id, a, n)');
subscribe($north, $south, 'key', 'key_index');
subscribe($north, $south, 'shadow', 'shadowed');
$log = log_position($south);
my $north_log = log_position($north);

# First the subscriber ...
value($south, 'ALTER TABLE plain ADD b text; ALTER TABLE full_row ADD b int');
$id{south} = start_dual($south, q{rename('both_sides', 'a', 'b', name => 'south')});
# ... then the publisher, while the subscriber is not done.
$id{plain} = start_dual($north, q{rename('plain', 'a', 'b', name => 'plain', max_rows_per_second => 300)});
$id{both_sides} = start_dual($north, q{rename('both_sides', 'a', 'b', name => 'both_sides')});
$id{full_row} = start_dual($north, q{rename('full_row', 'a', 'b', name => 'full_row', max_rows_per_second => 300)});
($id{listed}, my $silence) = start_and_hear($north, q{type_change('listed', 'a', 'bigint', name => 'listed')});
is($silence, '', 'listed: a column list publishes nothing new');

sub change_north
{
	my ($step, $column) = @_;
	my $new = 10000 + 1000 * $step;

	value($north, qq{
		INSERT INTO $_->[0] (id, $_->[1]) SELECT i, i FROM generate_series($new, $new + 99) i;
		INSERT INTO $_->[0] (id, $_->[1]) VALUES ($new + 100, 5);
		UPDATE $_->[0] SET $_->[1] = id + $step WHERE id % 20 = $step;
		UPDATE $_->[0] SET n = n + 1 WHERE id % 20 = $step + 1;
		DELETE FROM $_->[0] WHERE id % 20 = $step + 2;
	}) for [ 'plain', $column ], [ 'both_sides', $column ], [ 'full_row', $column ], [ 'listed', 'a' ];
	return;
}

sub north_the_same
{
	my ($columns, $when) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	the_same($north, $south, 'up', "SELECT $columns FROM $_", "SELECT $columns FROM $_", "$_: $when") for qw(plain both_sides full_row);
	the_same($north, $south, 'up', 'SELECT id, a, n FROM listed', 'SELECT id, a, n FROM listed', "listed: $when");
	return;
}

change_north(1, 'a');
change_north(4, 'b');
north_the_same('id, a, n', 'while the publisher fills the new column');
is(join(' ', map { state_of($north, $id{$_}) } qw(plain full_row)), 'running running', 'and it does');
value($north, "SELECT pgxc.alter_migration('$_', max_rows_per_second => 0)") for qw(plain full_row);
wait_ready($north, $id{$_}) for qw(plain both_sides full_row listed);
wait_ready($south, $id{south});
change_north(7, 'a');
change_north(10, 'b');
north_the_same('id, a, b, n', 'both columns, when it is ready');
zero($south, "$_ WHERE a IS DISTINCT FROM b", "$_: both are equal here as well") for qw(plain both_sides full_row);

# The publisher contracts first, so that it sends nothing that is not there.
is(value($north, "SELECT pgxc.contract('$_')"), 'finished', "$_: contract on the publisher") for qw(plain both_sides full_row);
# A column list keeps the new column back until then, and the checklist tells
# how to change it.
my $list = value($north, q{SELECT advice FROM pgxc.checklist('listed') WHERE NOT ok});
like($list, qr/^ALTER PUBLICATION up DROP TABLE ONLY public\.listed; ALTER PUBLICATION up ADD TABLE ONLY public\.listed \(id, _pgxc_\d+_a, n\)$/,
	'listed: the checklist tells of the column list');
value($north, "BEGIN; $list; SELECT pgxc.contract('listed'); COMMIT");
is(value($north, q{SELECT attnames FROM pg_publication_tables WHERE tablename = 'listed'}) =~ tr/{}//dr, 'id,n,a', 'listed: and follows it');
change_north(13, 'b');
north_the_same('id, b, n', 'after the contract on the publisher');
zero($south, 'both_sides WHERE a IS DISTINCT FROM b', 'both_sides: the old column follows the new one');
is(value($south, "SELECT pgxc.contract('south')"), 'finished', 'both_sides: contract on the subscriber');
value($south, 'ALTER TABLE plain DROP a; ALTER TABLE full_row DROP a; ALTER TABLE listed ALTER a TYPE bigint');
change_north(16, 'b');
value($north, 'UPDATE listed SET a = 3000000000 + id WHERE id < 100');
north_the_same('id, b, n', 'after the contract on the subscriber');
is(join("\n", errors_since($south, $log)), '', 'and nothing failed on the subscriber');

# The replica identity is an index of the migrated column, on both sides.
$id{south_key} = start_dual($south, q{rename('key_index', 'code', 'number', name => 'south_key')});
$id{key_index} = start_dual($north, q{rename('key_index', 'code', 'number', name => 'key_index')});
value($north, 'UPDATE key_index SET number = -number WHERE code <= 100; UPDATE key_index SET v = 0 WHERE number = 200; DELETE FROM key_index WHERE code = 300');
wait_ready($north, $id{key_index});
wait_ready($south, $id{south_key});
the_same($north, $south, 'key', 'SELECT code, number, v FROM key_index', 'SELECT code, number, v FROM key_index', 'key_index: while both are open');
is(value($north, "SELECT pgxc.contract('key_index')"), 'finished', 'key_index: contract on the publisher');
is(value($south, "SELECT pgxc.contract('south_key')"), 'finished', 'key_index: contract on the subscriber');
value($north, 'UPDATE key_index SET number = -number WHERE number BETWEEN 401 AND 500; UPDATE key_index SET v = 0 WHERE number = 600; DELETE FROM key_index WHERE number = 700; INSERT INTO key_index VALUES (-1000, 4000)');
the_same($north, $south, 'key', 'SELECT number, v FROM key_index', 'SELECT number, v FROM key_index', 'key_index: after contract');

# The shadow of a type change is sent, too, unless there is a column list.  It
# waits for the subscriber to have it.
($id{shadowed}, my $warning) = start_and_hear($north, q{type_change('shadowed', 'a', 'bigint', name => 'shadowed')});
$shadow = value($north, "SELECT new_column FROM pgxc.migration WHERE name = 'shadowed'");
like($warning, qr/WARNING:  column "$shadow" is published at once, by publication shadow\nDETAIL:  .*\nHINT:  .*subscribers first/,
	'shadowed: the start says so');
value($north, 'UPDATE shadowed SET a = -a WHERE id <= 10');
$south->wait_for_log(qr/logical replication target relation "public\.shadowed" is missing replicated column: "$shadow"/, $log);
value($south, "ALTER TABLE shadowed ADD $shadow bigint");
wait_ready($north, $id{shadowed});
the_same($north, $south, 'shadow', "SELECT id, a, $shadow FROM shadowed", "SELECT id, a, $shadow FROM shadowed", 'shadowed: once the subscriber has it');
is(value($north, "SELECT pgxc.contract('shadowed')"), 'finished', 'shadowed: contract');
value($north, 'DELETE FROM shadowed WHERE id > 2900; UPDATE shadowed SET a = a + 1 WHERE id < 20');
the_same($north, $south, 'shadow', 'SELECT id, a FROM shadowed', 'SELECT id, a FROM shadowed', 'shadowed: after contract');
is(join("\n", errors_since($north, $north_log)), '', 'no statement failed on the publisher');

$south->stop;
$north->stop;
done_testing();
