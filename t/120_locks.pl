# A backfill and those who lock: it never waits for long, never makes others
# wait for long, and leaves no row out.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node wait_worker);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

# Whoever waits for a lock for 200 ms is in the log.
my $node = new_node(
	'locks',
	log_lock_waits => 'on',
	deadlock_timeout => '200ms');

value($node, q{
	CREATE TABLE t (id int PRIMARY KEY, v int, n int NOT NULL DEFAULT 0, filler text);
	INSERT INTO t (id, filler) SELECT i, repeat('x', 60) FROM generate_series(1, 30000) i;
	VACUUM ANALYZE t;
});

# ---- rows locked by a long transaction --------------------------------------
my $holder = session($node);
$holder->query_safe('BEGIN');
$holder->query_safe('SELECT id FROM t WHERE id IN (7, 15000, 29999) FOR UPDATE');
my $id = backfill($node, "'t', 'v = id', max_row_errors => 0");
my $worker = wait_worker($node);
wait_until(
	$node,
	"SELECT array_agg(id ORDER BY id) = ARRAY[7, 15000, 29999] FROM t WHERE v IS DISTINCT FROM id",
	'everything but the locked rows is done',
	$id);
wait_until(
	$node,
	"SELECT ranges_to_revisit > 0 FROM pgxc.progress_backfill WHERE migration_id = $id",
	'the view tells of the ranges that it has to come back to',
	$id);
# It comes back again and again, and each time gives up soon.
wait_until(
	$node,
	"SELECT min(tries) >= 2 FROM pgxc.revisit WHERE migration_id = $id",
	'it tries again',
	$id);
is(outcome_of($node, $id), 'running', 'locked rows are no failure');
is(wait_worker($node), $worker, 'it still is the same worker');
unlike(
	slurp_file($node->logfile),
	qr/process $worker (?:still waiting|acquired)/,
	'and it never waited for 200 ms');
my $before = time;
value($node, "SELECT pgxc.pause($id)");
cmp_ok(time - $before, '<', 1, 'pausing does not wait for the locked rows');
value($node, "SELECT pgxc.resume($id)");
$holder->query_safe('UPDATE t SET n = n + 1 WHERE id IN (7, 15000, 29999)');
$holder->query_safe('COMMIT');
wait_done($node, $id, 'it is done once they are released');
is(value($node, 'SELECT count(*) FROM t WHERE v IS DISTINCT FROM id'),
	0, 'no row was forgotten');
is(value($node, 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM t WHERE n = 1'),
	'7 15000 29999', 'and the changes of the long transaction are there');

# ---- no deadlock for the application ----------------------------------------
# Each client has rows of its own, in any order: so only the backfill can be the
# other side of a deadlock.
my $script = $node->basedir . '/two_rows.sql';
append_to_file(
	$script, q{
\set a random(0, 999) * 30 + :client_id + 1
\set b random(0, 999) * 30 + :client_id + 1
BEGIN;
UPDATE t SET n = n + 1 WHERE id = :a;
UPDATE t SET n = n + 1 WHERE id = :b;
END;
});
my ($out, $err) = ('', '');
my $bench = IPC::Run::start(
	[
		'pgbench', '-n', '-c', '6', '-T', '8', '-f', $script, '-h',
		$node->host, '-p', $node->port, 'postgres'
	],
	'>', \$out, '2>', \$err);
wait_until(
	$node,
	"SELECT sum(n) > 100 FROM t",
	'the application is at work');
# One after the other for as long as the application runs.
my $rounds = 0;
while ($bench->pumpable)
{
	$rounds++;
	my $one = backfill($node, "'t', 'v = id + $rounds', name => 'round $rounds', target_chunk_ms => 200");
	$node->poll_query_until('postgres',
		"SELECT phase = 'done' FROM pgxc.migrations WHERE id = $one")
	  or last;
	$bench->pump_nb;
}
$bench->finish;
cmp_ok($rounds, '>', 0, "backfills ran meanwhile ($rounds)");
like($out, qr/number of failed transactions: 0 /, 'no failed transaction');
unlike($err, qr/ERROR|deadlock/, 'no error in the application');
unlike(slurp_file($node->logfile), qr/deadlock detected/, 'and no deadlock anywhere');
is(value($node, "SELECT count(*) FROM t WHERE v IS DISTINCT FROM id + $rounds"),
	0, 'no row was forgotten');

# ---- DDL gets through --------------------------------------------------------
$id = backfill($node,
	"'t', 'v = -id', name => 'ddl', max_rows_per_second => 6000, target_chunk_ms => 50");
wait_until($node, "SELECT count(*) > 0 FROM t WHERE v = -id",
	'the backfill is at work', $id);
for my $i (1 .. 5)
{
	my ($code, undef, $error) = $node->psql('postgres',
		"SET lock_timeout = '500ms'; ALTER TABLE t ADD COLUMN more$i int DEFAULT 5");
	is($code, 0, "ALTER TABLE number $i gets its lock at once") or diag($error);
}
is(outcome_of($node, $id), 'running', 'it was not done before that');

# ---- the table locked for a while -------------------------------------------
my $locker = session($node);
$locker->query_safe('BEGIN');
$locker->query_safe('LOCK TABLE t IN ACCESS EXCLUSIVE MODE');
wait_until(
	$node,
	"SELECT state = 'running' AND wait_reason ~ 'lock timeout' FROM pgxc.migrations WHERE id = $id",
	'it tells that it waits for a lock',
	$id);
$worker = wait_worker($node);
my $tries = value($node,
	"SELECT retries FROM pgxc.progress_backfill WHERE migration_id = $id");
wait_until(
	$node,
	"SELECT retries > $tries + 2 FROM pgxc.progress_backfill WHERE migration_id = $id",
	'it tries again',
	$id);
unlike(
	slurp_file($node->logfile),
	qr/process $worker still waiting/,
	'and stands in no queue for long');
$before = time;
value($node, "SELECT pgxc.pause($id)");
cmp_ok(time - $before, '<', 1, 'pausing does not wait for the table');
value($node, "SELECT pgxc.resume($id)");
$locker->query_safe('COMMIT');
value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
wait_done($node, $id, 'it goes on once the table is free');
is(value($node, 'SELECT count(*) FROM t WHERE v IS DISTINCT FROM -id'),
	0, 'no row was forgotten');

$holder->quit;
$locker->quit;
$node->stop;
done_testing();
