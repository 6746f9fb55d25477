# pg_dump and pg_restore carry migrations to another server: open ones arrive
# paused and begin anew, finished ones stay finished.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('dump');
my $dir = PostgreSQL::Test::Utils::tempdir();
my $restored_reason = qr/restored from a dump/;

sub one
{
	my ($dbname, $sql) = @_;

	return $node->safe_psql($dbname, $sql);
}

# ---- what is dumped ---------------------------------------------------------

# A finished one, a cancelled one, a finished one whose table is gone, one that
# failed because its table is gone, and one in the middle.
make_table($node, 'public."Odd ""name"" ä"', 1000);
my $done = start_backfill($node, 'public."Odd ""name"" ä"', name => 'done');
wait_state($node, $done, 'done');

make_table($node, $_, 1000) for qw(never dropped);
my $dropped = start_backfill($node, 'dropped', name => 'dropped');
wait_state($node, $dropped, 'done');
one('postgres', 'DROP TABLE dropped');
is( one('postgres', "SELECT relation, phase FROM pgxc.migrations WHERE id = $dropped"),
	'public.dropped|done',
	'a finished migration still knows the name of a dropped table');

my $cancelled = start_backfill($node, 'never', name => 'cancelled', max_rows_per_second => 1);
one('postgres', "SELECT pgxc.cancel($cancelled)");

make_table($node, 'failing', 20000);
my $failed = start_backfill($node, 'failing', name => 'failed', max_rows_per_second => 500);
wait_rows($node, 'failing', 1);
# What is here is the net behind the guard.
one('postgres', 'SET pgxc.guard = off; DROP TABLE failing');
wait_state($node, $failed, 'failed');

make_table($node, 't', 20000, count => 1);
my $open = start_backfill(
	$node, 't',
	name => 'open',
	max_rows_per_second => 1000,
	max_row_errors => 3);
wait_rows($node, 't', 500);

# Phases without data: of a table, a schema, the database.
one('postgres', 'CREATE SCHEMA "Green ä"; CREATE TABLE "Green ä".t (a integer)');
my $phase = one('postgres', q{SELECT pgxc.start_expand_only('schema', '"Green ä"', 'schema')});
one('postgres', q{SELECT pgxc.start_expand_only('table', '"Green ä".t', 'table')});
one('postgres', q{SELECT pgxc.start_expand_only('database', name => 'database')});

$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/dump.custom", $node->connstr('postgres') ],
	'pg_dump while the worker works');
$node->command_ok([ 'pg_dump', '-f', "$dir/dump.sql", $node->connstr('postgres') ],
	'pg_dump as text');
one('postgres', 'SELECT pgxc.pause(\'open\')');
is(rows_left($node, 't') > 0, 1, 'it was in the middle');

my %restore = (
	custom => [ 'pg_restore', '--exit-on-error', '-d' ],
	plain => [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/dump.sql", '-d' ]);

for my $format (sort keys %restore)
{
	my $db = "restored_$format";

	one('postgres', "CREATE DATABASE $db");
	$node->command_ok(
		[
			@{ $restore{$format} },
			$node->connstr($db),
			$format eq 'custom' ? "$dir/dump.custom" : ()
		],
		"$format: it can be restored");

	is( one($db, 'SELECT name, relation, phase, state FROM pgxc.migrations ORDER BY id'),
		join("\n",
			'done|public."Odd ""name"" ä"|done|finished',
			'dropped|public.dropped|done|finished',
			'cancelled|public.never|cancelled|finished',
			'failed|public.failing|migrate|failed',
			'open|t|migrate|paused',
			'schema|schema "Green ä"|expand|ready',
			'table|"Green ä".t|expand|ready',
			'database|database postgres|expand|ready'),
		"$format: finished ones stay finished, an open one is paused");
	like(
		one($db, "SELECT wait_reason FROM pgxc.migrations WHERE id = $open"),
		$restored_reason, "$format: and says why");
	is( one($db, 'SELECT count(*) FROM pgxc.leaf') . one($db, 'SELECT count(*) FROM pgxc.stripe'),
		'00', "$format: what names blocks was left behind");
	is( one($db, 'SELECT count(*) > 0 FROM pgxc.events WHERE migration = \'open\' AND event = \'created\''),
		't', "$format: its history came with it");

	my (undef, undef, $stderr) = $node->psql($db, "CALL pgxc.wait($open, '20 s')");
	like($stderr, qr/WARNING:  migration "open" is paused\nDETAIL:  .*restored from a dump.*\nHINT:  .*pgxc\.resume/s,
		"$format: wait does not wait for it");

	# A phase is this database's own once it is started here.
	is( one($db, q{SELECT pgxc.start_expand_only('schema', '"Green ä"', 'schema')}),
		$phase, "$format: a phase is known by its schema's name");
	is( one($db, q{SELECT pgxc.start_expand_only('table', '"Green ä".t', 'table') - pgxc.start_expand_only('database', name => 'database')}),
		'-1', "$format: and so are those of a table and of the database");
	is( one($db, "SELECT count(pgxc.finish_expand_only(id)) FROM pgxc.migrations WHERE kind = 'expand_only'"),
		'3', "$format: they can be finished");

	# Whatever makes a worker look: it must not run by itself.
	my $other = start_backfill($node, 'never', dbname => $db, name => 'other');
	cmp_ok($other, '>', $open, "$format: the numbers go on");
	is_done($node, 'never', $other, "$format: a new migration runs", $db);
	wait_no_worker($node, $db);
	is(state_of($node, $open, $db), 'paused', "$format: the restored one stays paused");
	is( one($db, "SELECT state FROM pgxc.migration WHERE id = $open"),
		'paused', "$format: its row says so by now");
	like(
		one($db, "SELECT wait_reason FROM pgxc.migrations WHERE id = $open"),
		$restored_reason, "$format: and still why");

	my $before = rows_left($node, 't', $db);
	is(one($db, "SELECT pgxc.resume('open')"), 'queued', "$format: resume");
	one($db, "SELECT pgxc.alter_migration('open', max_rows_per_second => 0)");
	is_done($node, 't', $open, "$format: it finishes", $db);
	is( one($db, 'SELECT count(*), max(n) FROM t WHERE n > 0'),
		'20000|1', "$format: no row was updated twice, here or there");
	is( one($db, "SELECT rows_updated FROM pgxc.migrations WHERE id = $open"),
		$before, "$format: it counted what it did here");

	is( one($db, "SELECT count(*) FROM pgxc.events WHERE migration_id = $open AND event = 'restored'"),
		'1', "$format: and wrote down that it began anew");

	# The dump names a dropped table by its OID.  Here that may be another one:
	# make it so.
	fails_with($node, "SELECT pgxc.retry('failed')", '55000',
		qr/table of restored migration "failed" is not here.*started on table public\.failing.*HINT:  .*pgxc\.cancel/s,
		"$format: one whose table is gone cannot be retried", $db);
	one($db, "UPDATE pgxc.migration SET relation = 'never' WHERE name IN ('failed', 'dropped')");
	is( one($db, "SELECT relation FROM pgxc.migrations WHERE name = 'dropped'"),
		'public.dropped', "$format: its name is not that of a table which got its OID");
	fails_with($node, "SELECT pgxc.retry('failed')", '55000',
		qr/its row names table public\.never/,
		"$format: and it does not run on a table which got its OID", $db);
	is(one($db, "SELECT pgxc.cancel('failed')"), 'finished', "$format: it can be cancelled");
}
is(state_of($node, $open), 'paused', 'the original is as it was');
is( one('postgres', "SELECT count(pgxc.finish_expand_only(id)) FROM pgxc.migrations WHERE kind = 'expand_only'"),
	'3', 'and its phases were open all the while');

# ---- without a worker having looked -----------------------------------------

# resume is the first who touches it: there is no launcher in this server.
{
	my $bare = new_node('bare', preload => 0, extension => 0);

	$bare->command_ok(
		[ 'pg_restore', '--exit-on-error', '-d', $bare->connstr('postgres'), "$dir/dump.custom" ],
		'restored on a server without preload');
	is( $bare->safe_psql('postgres', "SELECT state FROM pgxc.migrations WHERE id = $open"),
		'paused', 'it is paused there, too');
	fails_with($bare, "CALL pgxc.run($open)", '55000', qr/cannot run.*paused/,
		'it does not run unasked');
	is($bare->safe_psql('postgres', "SELECT pgxc.resume($open)"), 'queued', 'resume');
	$bare->safe_psql('postgres',
		"SELECT pgxc.alter_migration($open, max_rows_per_second => 0)");
	$bare->safe_psql('postgres', "CALL pgxc.run($open)");
	is_done($bare, 't', $open, 'run finishes it');

	# And once more: what has come home is dumped and restored like any other.
	# (The OIDs of the dropped tables may be those of anything here, also of what
	# the next restore does not know by that name.)
	$bare->safe_psql('postgres', "UPDATE pgxc.migration SET relation = 'never' WHERE name IN ('failed', 'dropped')");
	$bare->command_ok(
		[ 'pg_dump', '-Fc', '-f', "$dir/again.custom", $bare->connstr('postgres') ],
		'dump of the restored database');
	$bare->safe_psql('postgres', 'CREATE DATABASE again');
	$bare->command_ok(
		[ 'pg_restore', '--exit-on-error', '-d', $bare->connstr('again'), "$dir/again.custom" ],
		'restore of it');
	is( $bare->safe_psql('again', "SELECT phase, state FROM pgxc.migrations WHERE id = $open"),
		'done|finished', 'finished is finished');
	$bare->stop;
}

$node->stop;
done_testing();
