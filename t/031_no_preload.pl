# A server that does not preload pgxc: nothing runs by itself, everybody is
# told so, and CALL pgxc.run() does the work in the session.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('no_preload', preload => 0);

is($node->safe_psql('postgres', 'SHOW shared_preload_libraries'),
	'', 'pgxc is not preloaded');
make_table($node, 't', 20000, count => 1);

# ---- what is said -----------------------------------------------------------

my ($ret, $id, $err) = $node->psql('postgres',
	"SELECT pgxc.start_backfill('t', 'b = a + 1', name => 'by hand')");
is($ret, 0, 'start_backfill works');
like($err, qr/WARNING:  no background worker will run migration $id\b/m,
	'... and warns');
like($err, qr/^DETAIL:  .*shared_preload_libraries/m, '... says why');
like($err, qr/^HINT:  .*CALL pgxc\.run\($id\)/m,    '... and what to do');

is( $node->safe_psql('postgres',
		"SELECT state, wait_reason, next_step FROM pgxc.migrations WHERE id = $id"),
	"queued|no workers: pgxc is not in shared_preload_libraries|CALL pgxc.run($id)",
	'the view says the same');
is( $node->safe_psql('postgres', q{
		SELECT preloaded, launcher_pid IS NULL, free_workers, registration_failed IS NOT TRUE
		FROM pgxc.cluster_status()}),
	'f|t|0|t',
	'cluster_status');
is( $node->safe_psql('postgres', q{
		SELECT (SELECT count(*) FROM pgxc.progress_backfill),
			(SELECT count(*) FROM pgxc.signals), (SELECT count(*) FROM pgxc.row_errors),
			(SELECT count(*) FROM pgxc.live_workers()), (SELECT count(*) FROM pgxc.live_signals())}),
	'0|0|0|0|0',
	'the other views can be read');
is($node->safe_psql('postgres', 'SELECT event FROM pgxc.events'),
	'created', 'the event is there');

fails_with($node, "CALL pgxc.wait($id)", '55000',
	qr/no background worker.*HINT:  .*CALL pgxc\.run\($id\)/s,
	'waiting for nobody is an error');
fails_with($node, "BEGIN; CALL pgxc.run($id)", '25001', qr/transaction block/,
	'run in a transaction block is an error');
is(rows_left($node, 't'), '20000', 'nothing was updated');

# ---- run --------------------------------------------------------------------

$node->safe_psql('postgres', "CALL pgxc.run('by hand')");
is_done($node, 't', $id, 'CALL run does all of it');
is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
	'0', '... each row once');
$node->safe_psql('postgres', "CALL pgxc.run($id)");
ok(1, 'run of a migration that is done does nothing');
$node->safe_psql('postgres', "CALL pgxc.wait($id); SELECT pgxc.assert_done($id)");
ok(1, 'wait returns, and assert_done is content');

# ---- rows that cannot be updated --------------------------------------------

sub reset_table
{
	$node->safe_psql('postgres', 'ALTER TABLE t DROP CONSTRAINT IF EXISTS no_seven');
	$node->safe_psql('postgres', 'UPDATE t SET b = NULL, n = 0 WHERE b IS NOT NULL; UPDATE t SET n = 0');
	$node->safe_psql('postgres', 'VACUUM t');
	return;
}

reset_table();
$node->safe_psql('postgres',
	'ALTER TABLE t ADD CONSTRAINT no_seven CHECK (b <> 7 OR id > 10000)');
$id = start_backfill($node, 't', name => 'bad rows', max_row_errors => 9);
fails_with($node, "CALL pgxc.run($id)", '55000', qr/it is attention/,
	'too many bad rows end it');
is(state_of($node, $id), 'attention', 'a person must decide');
is( $node->safe_psql('postgres',
		"SELECT count(*), min(sqlstate), max(sqlstate), count(DISTINCT row_ctid) FROM pgxc.row_errors WHERE migration_id = $id"),
	'10|23514|23514|10',
	'the bad rows are listed');
is( $node->safe_psql('postgres',
		"SELECT count(*) FROM pgxc.row_error e JOIN t ON t.ctid = e.row_ctid WHERE t.a <> 6"),
	'0',
	'... and none that is good');
$node->safe_psql('postgres',
	"SELECT pgxc.alter_migration($id, max_row_errors => 10), pgxc.retry($id)");
$node->safe_psql('postgres', "CALL pgxc.run($id)");
is( $node->safe_psql('postgres',
		'SELECT count(*), min(a), max(a), max(id) <= 10000 FROM t WHERE b IS DISTINCT FROM a + 1'),
	'10|6|6|t',
	'with max_row_errors raised everything else is done');
is( $node->safe_psql('postgres',
		"SELECT phase, row_errors, next_step FROM pgxc.migrations WHERE id = $id"),
	'done|10|done, except for 10 rows listed in pgxc.row_errors',
	'... and it says so');

# ---- locked rows ------------------------------------------------------------

reset_table();
{
	my $holder = $node->background_psql('postgres');

	$holder->query_safe('BEGIN; SELECT count(*) FROM (SELECT FROM t WHERE id % 1000 = 1 FOR UPDATE) q');
	$id = start_backfill($node, 't', name => 'locked rows');

	my $runner = $node->background_psql('postgres', on_error_stop => 0);
	$runner->query_until(qr/started/, "\\echo started\nCALL pgxc.run($id);\n\\echo run ended\n");
	wait_rows($node, 't', 19980);
	ok(1, 'run passes the locked rows by');
	wait_sql($node,
		"SELECT count(*) > 0 FROM pgxc.revisit WHERE migration_id = $id AND tries > 0",
		'a range to be put off');
	is(state_of($node, $id), 'running', '... and comes back to them');
	$holder->query_safe('COMMIT');
	$holder->quit;
	is_done($node, 't', $id, 'when they are free it finishes');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', '... each row once');
	$runner->query_until(qr/run ended/, '');
	$runner->quit;
}

# ---- Ctrl-C -----------------------------------------------------------------

reset_table();
{
	$id = start_backfill($node, 't', name => 'interrupted', max_rows_per_second => 1000);
	my $runner = $node->background_psql('postgres', on_error_stop => 0);

	$runner->query_until(qr/started/, "\\echo started\nCALL pgxc.run($id);\n\\echo run ended\n");
	wait_rows($node, 't', 1);
	is( $node->safe_psql('postgres',
			"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'CALL pgxc.run%'"),
		't',
		'the session is cancelled');
	$runner->query_until(qr/run ended/, '');
	like($runner->{stderr}, qr/ERROR:  .*stopped: it is paused/, '... and told about it');
	$runner->{stderr} = '';
	is(state_of($node, $id), 'paused', 'the migration is paused');
	cmp_ok(rows_left($node, 't'), '>', 0, 'in the middle');

	fails_with($node, "CALL pgxc.run($id)", '55000', qr/which is paused/,
		'a paused migration does not run');
	is($node->safe_psql('postgres', "SELECT pgxc.resume($id)"), 'queued', 'resume');
	$node->safe_psql('postgres',
		"SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
	$runner->query('SELECT 1');
	$runner->query("CALL pgxc.run($id)");
	is($runner->{stderr}, '', 'run goes on, in the same session');
	is_done($node, 't', $id, '... and finishes');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', '... each row once');
	$runner->quit;
}

# ---- the session dies -------------------------------------------------------

reset_table();
{
	$id = start_backfill($node, 't', name => 'killed', max_rows_per_second => 1000);
	my $runner = $node->background_psql('postgres', on_error_stop => 0);

	$runner->query_until(qr/started/, "\\echo started\nCALL pgxc.run($id);\n");
	wait_rows($node, 't', 1);
	is( $node->safe_psql('postgres',
			"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE query LIKE 'CALL pgxc.run%'"),
		't',
		'the session is terminated');
	eval { $runner->quit };
	cmp_ok(rows_left($node, 't'), '>', 0, 'in the middle');
	$node->safe_psql('postgres',
		"SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
	$node->safe_psql('postgres', "CALL pgxc.run($id)");
	is_done($node, 't', $id, 'run in another session finishes it');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
		'0', '... each row once');
}

# ---- preloading it later ----------------------------------------------------

reset_table();
$id = start_backfill($node, 't', name => 'preloaded later');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'pgxc'\n");
$node->restart;
is_done($node, 't', $id, 'once pgxc is preloaded a worker does what waited');

$node->stop;
done_testing();
