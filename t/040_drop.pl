# What an administrator does to a database, to the extension and to a table
# while workers are at work there.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Without our help PostgreSQL itself waits 5 s for others to leave a database.
my $LIMIT_S = 5;

# The signals of a loaded machine must not stop the workers that these tests
# want to be busy.
my $node = new_node(
	'drop',
	'pgxc.max_workers' => 4,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.active_sessions_soft' => 0,
	'pgxc.max_duty' => 1);

# A database with a migration at work; it lasts for as long as it is let.
sub busy_database
{
	my ($dbname) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $dbname");
	$node->safe_psql($dbname, 'CREATE EXTENSION pgxc');
	make_table($node, 't', 20000, dbname => $dbname, count => 1);
	my $id = start_backfill($node, 't', dbname => $dbname,
		parallel_workers => 2, max_rows_per_second => 500);
	is_busy($dbname, 1);
	return $id;
}

# Some rows were updated, and some more are, now.
sub is_busy
{
	my ($dbname, $least) = @_;

	wait_worker($node, $dbname);
	wait_rows($node, 't', $least, $dbname);
	return;
}

sub updated
{
	my ($dbname) = @_;

	return $node->safe_psql($dbname, 'SELECT count(*) FROM t WHERE b = a + 1');
}

# The statement succeeds in time.
sub timely
{
	my ($sql, $test_name, $dbname) = @_;
	my $start = time;
	my ($ret, undef, $err) = $node->psql($dbname // 'postgres', $sql);
	my $took = time - $start;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($ret, 0, "$test_name works") or diag($err);
	cmp_ok($took, '<', $LIMIT_S, "... within $LIMIT_S s");
	return;
}

sub untimely
{
	my ($sql, $pattern, $test_name) = @_;
	my $start = time;
	my ($ret, undef, $err) = $node->psql('postgres', $sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	isnt($ret, 0, "$test_name fails");
	like($err, $pattern, '... for its own reason');
	return;
}

sub finish
{
	my ($dbname, $id, $test_name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$node->safe_psql($dbname,
		"SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
	is_done($node, 't', $id, $test_name, $dbname);
	return;
}

# ---- databases --------------------------------------------------------------

{
	my $id = busy_database('busy');

	timely('CREATE DATABASE copy TEMPLATE busy', 'CREATE DATABASE ... TEMPLATE');
	is_busy('busy', updated('busy') + 1);
	ok(1, '... and the workers come back');
	is(state_of($node, $id, 'copy'), 'paused', 'the copy is paused');
	wait_no_worker($node, 'copy');

	timely('ALTER DATABASE busy RENAME TO busy2', 'ALTER DATABASE ... RENAME');
	is_busy('busy2', updated('busy2') + 1);
	ok(1, '... and the workers come back');

	my $dir = PostgreSQL::Test::Utils::tempdir();
	$node->safe_psql('postgres', "CREATE TABLESPACE elsewhere LOCATION '$dir'");
	timely('ALTER DATABASE busy2 SET TABLESPACE elsewhere',
		'ALTER DATABASE ... SET TABLESPACE');
	is_busy('busy2', updated('busy2') + 1);
	ok(1, '... and the workers come back');

	untimely('CREATE DATABASE postgres TEMPLATE busy2',
		qr/already exists/, 'CREATE DATABASE of a name in use');
	is_busy('busy2', updated('busy2') + 1);
	ok(1, '... and the workers come back');

	untimely('ALTER DATABASE busy2 RENAME TO postgres',
		qr/already exists/, 'RENAME to a name in use');
	is_busy('busy2', updated('busy2') + 1);
	ok(1, '... and the workers come back');

	# Somebody else is there, so the server itself refuses after its 5 s.
	my $session = $node->background_psql('busy2');
	untimely('DROP DATABASE busy2', qr/being accessed by other users/,
		'DROP DATABASE with a session in it');
	$session->quit;
	is_busy('busy2', updated('busy2') + 1);
	ok(1, '... and the workers come back');

	# Who may not do it cannot stop workers by trying.
	$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
	my $before = join ' ', sort { $a <=> $b } worker_pids($node, 'busy2');
	my ($ret, undef, $err) =
	  $node->psql('postgres', 'SET ROLE nobody; DROP DATABASE busy2');
	like($err, qr/must be owner/, 'DROP DATABASE by a stranger fails');
	is(join(' ', sort { $a <=> $b } worker_pids($node, 'busy2')),
		$before, '... and no worker was stopped for it');

	# ProcSignalBarrier: every process of the server has to answer, workers at
	# work in other databases and the launcher too.
	$node->safe_psql('postgres', 'CREATE DATABASE unrelated');
	timely('DROP DATABASE unrelated', 'DROP DATABASE of another database');

	finish('busy2', $id, 'in the end it is done');
	is($node->safe_psql('busy2', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', 'and every row was updated once');

	my $copied = updated('copy');
	cmp_ok($copied, '<', 20000, 'nothing was done in the copy');
	my $came_with_it = $node->safe_psql('copy', 'SELECT max(id) FROM pgxc.stripe');
	cmp_ok($came_with_it, '>', 0, 'a cursor came with the copy');
	is($node->safe_psql('copy', "SELECT pgxc.resume($id)"), 'queued', 'resume in the copy');
	wait_sql(
		$node,
		"SELECT EXISTS (SELECT FROM pgxc.stripe WHERE first_block = 0 AND id > $came_with_it)",
		'a new cursor in the copy', 'copy');
	is( $node->safe_psql('copy', "SELECT count(*) FROM pgxc.stripe WHERE id <= $came_with_it"),
		'0', '... which is forgotten: it starts at block 0');
	finish('copy', $id, 'the copy is done, too');
	is($node->safe_psql('copy', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', 'and every row was updated once');

	$id = busy_database('busy3');
	timely('DROP DATABASE busy3', 'DROP DATABASE');
	is($node->safe_psql('postgres', "SELECT count(*) FROM pg_database WHERE datname = 'busy3'"),
		'0', '... and it is gone');
	timely('DROP DATABASE copy', 'DROP DATABASE of an idle one');
}

# ---- the extension ----------------------------------------------------------

{
	my $id = busy_database('ext');

	timely('SET pgxc.guard = off; DROP EXTENSION pgxc', 'DROP EXTENSION', 'ext');
	wait_no_worker($node, 'ext');
	my $updated = updated('ext');
	cmp_ok($updated, '<', 20000, 'the workers left in the middle');

	$node->safe_psql('ext', 'CREATE EXTENSION pgxc');
	is($node->safe_psql('ext', 'SELECT count(*) FROM pgxc.migrations'),
		'0', 'a new extension knows nothing of it');
	$id = start_backfill($node, 't', dbname => 'ext', max_rows_per_second => 500);
	is_busy('ext', $updated + 1);

	# Old and new at once: the workers still hold plans of the old tables.
	timely('SET pgxc.guard = off; BEGIN; DROP EXTENSION pgxc; CREATE EXTENSION pgxc; COMMIT',
		'DROP and CREATE EXTENSION in one transaction', 'ext');
	$id = start_backfill($node, 't', dbname => 'ext', max_rows_per_second => 500);
	finish('ext', $id, 'a migration of the new extension is done');
	is($node->safe_psql('ext', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', 'and every row was updated once, whoever did it');
	$node->safe_psql('postgres', 'DROP DATABASE ext');
}

# ---- the table --------------------------------------------------------------

sub layout_changes
{
	my ($id) = @_;

	return $node->safe_psql('work',
		"SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND event = 'layout_changed'");
}

sub wait_layout_change
{
	my ($id, $before) = @_;

	wait_sql($node,
		"SELECT count(*) = $before + 1 FROM pgxc.events WHERE migration_id = $id AND event = 'layout_changed'",
		'event layout_changed', 'work');
	return;
}

{
	my $id = busy_database('work');

	# The guard would refuse these: what is here is the net behind it.
	timely('SET pgxc.guard = off; VACUUM FULL t', 'VACUUM FULL', 'work');
	wait_layout_change($id, 0);
	ok(1, '... is noticed');

	timely('SET pgxc.guard = off; ALTER TABLE t ALTER app TYPE bigint', 'ALTER TABLE with a rewrite', 'work');
	wait_layout_change($id, 1);
	ok(1, '... is noticed');

	timely('SET pgxc.guard = off; CLUSTER t USING t_pkey', 'CLUSTER', 'work');
	wait_layout_change($id, 2);
	ok(1, '... is noticed');
	is_busy('work', updated('work') + 1);
	is($node->safe_psql('work', 'SELECT count(*) FROM t WHERE n > 1'),
		'0', 'what was updated before is not updated again');

	timely('TRUNCATE t; INSERT INTO t (id, a) SELECT i, i FROM generate_series(1, 3000) i',
		'TRUNCATE', 'work');
	wait_layout_change($id, 3);
	ok(1, '... is noticed');
	finish('work', $id, 'the rows that came after it are done');
	is($node->safe_psql('work', 'SELECT count(*) = 3000 AND min(n) = 1 AND max(n) = 1 FROM t'),
		't', '... each of them once');
	is(layout_changes($id), '4', 'four changes of the layout, four events');

	# In the verification every block was counted already.
	$node->safe_psql('work', 'UPDATE t SET b = NULL, n = 0');
	$id = start_backfill($node, 't', dbname => 'work', name => 'dropped',
		max_rows_per_second => 500);
	is_busy('work', 1);
	timely('SET pgxc.guard = off; DROP TABLE t', 'DROP TABLE', 'work');
	wait_state($node, $id, 'failed', 'work');
	like(
		$node->safe_psql('work',
			"SELECT last_error FROM pgxc.migrations WHERE id = $id"),
		qr/^42P01: .*\bt\b.*does not exist/,
		'the migration fails, and says why');
	is( $node->safe_psql('work',
			"SELECT relation FROM pgxc.migrations WHERE id = $id"),
		'public.t',
		'... and still knows which table it was');
	is($node->safe_psql('work', "SELECT pgxc.cancel('dropped')"),
		'finished', '... and can be cancelled');
}

$node->stop;
done_testing();
