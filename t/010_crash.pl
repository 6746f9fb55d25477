# kill -9 of a worker and of the postmaster, twenty times at random moments,
# while an application writes to the same table.  Nobody helps; in the end every
# row was updated, and none twice.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use IPC::Run;
use List::Util qw(shuffle);
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

my $CRASHES = 20;
my $ROWS = 40000;

my $seed = $ENV{PGXC_TEST_SEED} // int(rand(2**31));
srand($seed);
note("PGXC_TEST_SEED=$seed repeats these moments");
diag("seed $seed");

my $node = new_node(
	'crash',
	'restart_after_crash' => 'on',
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.active_sessions_soft' => 0);

make_table($node, 't', $ROWS, count => 1);

# The backfill's own rows cost something, so that it is inside of a chunk for
# half of the time, and lasts.
$node->safe_psql(
	'postgres', q{
	CREATE OR REPLACE FUNCTION pgxc_count_updates() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE
		until timestamptz := clock_timestamp() + interval '0.5 ms';
	BEGIN
		NEW.n := OLD.n + 1;
		WHILE clock_timestamp() < until LOOP END LOOP;
		RETURN NEW;
	END $$;
	CREATE SEQUENCE new_id START 1000001;
});

# The application knows the new column, but leaves the old rows' to the
# backfill.  Each transaction adds 1 to one row, and one row.
my $script = $node->basedir . '/app.sql';
append_to_file(
	$script, qq{\\set id random(1, $ROWS)
BEGIN;
UPDATE t SET app = app + 1 WHERE id = :id;
INSERT INTO t (id, a, b) VALUES (nextval('new_id'), :id % 1000, :id % 1000 + 1);
COMMIT;
});

my $app;
my $app_log = '';

sub start_app
{
	$app = IPC::Run::start(
		[
			'pgbench', '-n', '-M', 'extended', '-c', '2', '-R', '100', '-T', '3600',
			'-h', $node->host, '-p', $node->port, '-f', $script, 'postgres'
		],
		'<', \undef, '>', \$app_log, '2>', \$app_log);
	return;
}

# It ends by itself when its connections are lost.
sub stop_app
{
	$app->signal('TERM');
	$app->finish;
	return;
}

my $id = start_backfill($node, 't', target_chunk_ms => 50, max_duty => 0.5);
start_app();

# ---- the crashes ------------------------------------------------------------

my $progress = "SELECT count(*) FROM t WHERE n > 0";
my $in_the_middle = 0;
my $worker = wait_worker($node);
my $updated = 0;

for my $what (shuffle(('worker') x ($CRASHES / 2), ('postmaster') x ($CRASHES / 2)))
{
	# It has done something since the last crash; then any moment will do.
	wait_sql($node, "SELECT ($progress) > $updated", 'progress after a crash');
	Time::HiRes::usleep(rand(300_000));    # not a wait: the random moment

	my $left = rows_left($node, 't');
	my $crashed = $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgxc worker'");
	$in_the_middle++ if $left > 0 && $crashed eq $worker;

	if ($what eq 'worker')
	{
		kill 9, $worker;
		# The server sees to the rest by itself.
	}
	else
	{
		kill_postmaster($node);
		$node->start;
	}
	wait_sql($node,
		"SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'pgxc worker' AND pid <> $worker",
		"a new worker after the crash of the $what");
	stop_app();
	start_app();

	$worker = wait_worker($node);
	$updated = $node->safe_psql('postgres', $progress);
}
is($in_the_middle, $CRASHES, 'every crash came in the middle of the work');
is(state_of($node, $id), 'running', 'and it is running');

# ---- the end ----------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE OR REPLACE FUNCTION pgxc_count_updates() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END $$});
is_done($node, 't', $id, 'under load it finishes');
stop_app();

is($node->safe_psql('postgres', "SELECT count(*) FROM t WHERE id <= $ROWS"),
	$ROWS, 'no row is missing');
is($node->safe_psql('postgres', "SELECT count(*) FROM t WHERE id <= $ROWS AND n <> 1"),
	'0', 'the backfill updated every row once');
is($node->safe_psql('postgres', "SELECT count(*) FROM t WHERE id > $ROWS AND n <> 0"),
	'0', 'and none that did not need it');
is( $node->safe_psql('postgres',
		"SELECT sum(app) = count(*) FILTER (WHERE id > $ROWS) AND sum(app) > 0 FROM t"),
	't',
	'every transaction of the application is there as a whole, or not at all');
is(rows_left($node, 't'), '0', 'no row is left');
is( $node->safe_psql('postgres',
		"SELECT string_agg(to_state, ' ' ORDER BY id) FROM pgxc.events WHERE migration_id = $id AND to_state IS NOT NULL"),
	'queued running finished',
	'nobody had to help');
unlike($app_log, qr/deadlock|canceling statement|lock timeout/,
	'no statement of the application failed because of the backfill');

my $log = slurp_file($node->logfile);
my $killed = () = $log =~ /background worker "pgxc worker[^"]*".*was terminated by signal 9/g;
is($killed, $CRASHES / 2, 'the server saw its workers being killed');
unlike($log, qr/PANIC|signal 11|signal 6/, 'and nothing worse');

$node->stop;
done_testing();
