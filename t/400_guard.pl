# What slips past the hook on utility statements, and the net behind it: direct
# changes of the catalog, a server without the library, replication, dumps, and
# what must not be disturbed.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcDual;
use PgxcEnv;
use PgxcTest qw(new_node append_pgxc_conf fails_with state_of wait_state wait_sql);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

my $node = new_node('guard', allows_streaming => 'logical', log_statement => 'none', log_autovacuum_min_duration => 0);

# make($name): a table of some 3 MB.
sub make
{
	my ($name, $on) = @_;

	value($on // $node, qq{
		CREATE TABLE $name (id int PRIMARY KEY, a int, o text, filler text NOT NULL DEFAULT repeat('x', 400));
		INSERT INTO $name SELECT i, i, i FROM generate_series(1, 6000) i});
	return;
}

# paused($call): a migration that is open, and at rest.
sub paused
{
	my ($call, $on) = @_;
	my $id = start_dual($on // $node, $call);

	value($on // $node, "SELECT pgxc.pause($id)");
	return $id;
}

# ==== the catalog changed by hand ============================================

my %harm = (
	disabled => [ q{UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = '~pgxc_%d'}, qr/~pgxc_\d+.* is disabled/ ],
	origin => [ q{UPDATE pg_trigger SET tgenabled = 'O' WHERE tgname = '~pgxc_%d'}, qr/not replicated/ ],
	renamed => [ q{UPDATE pg_attribute SET attname = 'aa' WHERE attrelid = 'renamed'::regclass AND attname = 'a'}, qr/no column "a"/ ],
	gone => [ q{DELETE FROM pg_depend WHERE objid = (SELECT oid FROM pg_trigger WHERE tgname = '~pgxc_%d'); DELETE FROM pg_trigger WHERE tgname = '~pgxc_%d'}, qr/no trigger of migration/ ],
);
for my $name (sort keys %harm)
{
	make($name);
	my $id = paused("rename('$name', 'a', 'b', name => '$name')");
	my $update = $harm{$name}[0] =~ s/%d/$id/gr;

	value($node, $update);
	# Whoever has the table open is to see it.
	value($node, "COMMENT ON TABLE $name IS 'changed'");
	value($node, "SELECT pgxc.resume($id)");
	wait_state($node, $id, 'failed');
	like(value($node, "SELECT last_error FROM pgxc.migrations WHERE id = $id"),
		qr/a piece of migration "$name" was changed on table "$name"/, "$name by hand: the worker stops");
	like(value($node, "SELECT string_agg(detail, ' ') FROM pgxc.events WHERE migration_id = $id") . value($node, "SELECT last_error FROM pgxc.migrations WHERE id = $id"),
		$harm{$name}[1], '... and names the piece');
	fails_with($node, "SELECT pgxc.contract($id, force => true)", '55000', qr/failed|not ready|piece/, '... contract refuses');
}
make('ready');
my $id = start_dual($node, q{rename('ready', 'a', 'b', name => 'ready')});
wait_ready($node, $id);
value($node, "UPDATE pg_trigger SET tgenabled = 'D' WHERE tgname = '~pgxc_$id'; COMMENT ON TABLE ready IS 'changed'");
fails_with($node, "SELECT pgxc.contract($id, force => true)", '42P17', qr/a piece of migration "ready" was changed.*is disabled/s,
	'changed when it was ready: contract refuses, even if forced');
value($node, "UPDATE pg_trigger SET tgenabled = 'A' WHERE tgname = '~pgxc_$id'; COMMENT ON TABLE ready IS 'as before'");
is(value($node, "SELECT pgxc.contract($id, force => true)"), 'finished', '... until it is mended');

# ==== other ways to the same end =============================================

make('main');
$id = paused(q{rename('main', 'a', 'b', name => 'main')});
value($node, 'CREATE ROLE regress_owner; CREATE SCHEMA apart AUTHORIZATION regress_owner; GRANT pg_read_all_data TO regress_owner');
value($node, 'CREATE TABLE apart.t (id int PRIMARY KEY, a int); ALTER TABLE apart.t OWNER TO regress_owner');
paused(q{rename('apart.t', 'a', 'b', name => 'apart')});
fails_with($node, $_->[0], '55006', qr/while migration "$_->[1]" is open/, $_->[0])
  for [ 'DROP OWNED BY regress_owner CASCADE', 'apart' ], [ 'REASSIGN OWNED BY regress_owner TO CURRENT_USER', 'apart' ],
  [ 'DROP SCHEMA apart CASCADE', 'apart' ], [ 'DROP EXTENSION pgxc CASCADE', '[a-z]+' ], [ 'SET session_replication_role = replica; ALTER TABLE main DROP a CASCADE', 'main' ],
  [ 'PREPARE p AS SELECT 1; ALTER TABLE main DROP b', 'main' ];
value($node, 'ALTER EXTENSION pgxc UPDATE');
pass('ALTER EXTENSION UPDATE is not refused');

# The extended protocol, prepared statements too
for my $mode (qw(simple extended prepared))
{
	my $script = $node->basedir . "/drop_$mode.sql";

	append_to_file($script, "ALTER TABLE main DROP a CASCADE;\n");
	command_checks_all(
		[ 'pgbench', '-n', '-t', 1, '-M', $mode, '-f', $script, '-h', $node->host, '-p', $node->port, 'postgres' ],
		2, [qr/./], [qr/cannot drop column a of table main while migration "main" is open/], "protocol: $mode");
}

# ==== what must not be disturbed =============================================

value($node, 'DELETE FROM main WHERE id % 2 = 0');
value($node, 'ALTER TABLE main SET (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)');
set_config($node, autovacuum_naptime => '1s');
wait_until($node, q{SELECT autovacuum_count > 0 FROM pg_stat_user_tables WHERE relname = 'main'}, 'autovacuum of a guarded table');
set_config($node, autovacuum_naptime => undef);

# A dump with an open migration
my $dump = $node->basedir . '/dump';
command_ok([ 'pg_dump', '-Fc', '-f', $dump, $node->connstr('postgres') ], 'pg_dump while migrations are open');
value($node, 'CREATE DATABASE copy');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $dump ], 'pg_restore while the guard enforces');
is($node->safe_psql('copy', q{SELECT count(*) FROM main}), '3000', '... with its rows');
is($node->safe_psql('copy', q{SELECT state FROM pgxc.migrations WHERE name = 'main'}) =~ /^(running|queued)$/ ? 'works' : 'sleeps', 'sleeps', 'restored migrations sleep');

# A standby
$node->backup('backup');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'backup', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(value($standby, q{SELECT verdict FROM pgxc.check_ddl('ALTER TABLE main DROP a')}), 'would break', 'check_ddl on a standby');
is(value($standby, 'SELECT count(*) FROM pgxc.guard_rejections'), '0', '... and the view');
fails_with($standby, 'ALTER TABLE main DROP a', '25006', qr/read-only/, "... and PostgreSQL's own error");
$standby->stop;

# ==== guard_rejections across sessions, and who sees them ====================

value($node, 'CREATE ROLE regress_reader; CREATE ROLE regress_monitor IN ROLE pg_monitor');
is(value($node, q{SELECT count(DISTINCT pid) > 3 FROM pgxc.guard_rejections WHERE outcome = 'refused'}), 't', 'refusals of other sessions are seen');
is(value($node, "SET ROLE $_->[0]; SELECT count(*) > 0 FROM pgxc.guard_rejections"), $_->[1], "... by $_->[0]: $_->[1]")
  for [ 'regress_reader', 'f' ], [ 'regress_monitor', 't' ], [ 'regress_owner', 't' ];
is($node->safe_psql('template1', 'CREATE EXTENSION pgxc; SELECT count(*) FROM pgxc.guard_rejections'), '0', '... not in another database');

# ==== ddl_lock_timeout =======================================================

set_config($node, 'pgxc.ddl_lock_timeout' => '50ms', 'pgxc.ddl_lock_retries' => 3);
my $holder = session($node);
$holder->query_safe('BEGIN; SELECT count(*) FROM main');
fails_with($node, q{SET statement_timeout = '60s'; ALTER TABLE main ADD z int}, '55P03', qr/main/, 'a short ALTER TABLE whose lock is held fails');
fails_with($node, 'ALTER TABLE other_main ADD z int', '42P01', qr/does not exist/, '... of another name as ever');
{
	my $ddl = session($node);
	my $longest = 0;

	set_config($node, 'pgxc.ddl_lock_retries' => 10);
	in_session($ddl, 'ALTER TABLE main ADD z int');
	for (1 .. 20)
	{
		my $began = Time::HiRes::time();

		value($node, 'SELECT count(*) FROM main WHERE id < 10');
		my $took = Time::HiRes::time() - $began;
		$longest = $took if $took > $longest;
	}
	cmp_ok($longest, '<', 2, 'nobody queues behind it for long');
	$holder->query_safe('COMMIT');
	wait_until($node, q{SELECT count(*) = 1 FROM pg_attribute WHERE attrelid = 'main'::regclass AND attname = 'z'}, '... and it gets its lock in the end');
	$ddl->quit;
}
$holder->query_safe('BEGIN; SELECT count(*) FROM main');
set_config($node, 'pgxc.ddl_lock_retries' => 100);
my $began = Time::HiRes::time();
fails_with($node, q{SET lock_timeout = '300ms'; ALTER TABLE main ADD zz int}, '55P03', qr/canceling statement due to lock timeout/, 'who has a lock_timeout keeps it');
cmp_ok(Time::HiRes::time() - $began, '<', 20, '... and waits no longer');
$holder->quit;

# ==== logical replication ====================================================

my $south = new_node('south', wal_retrieve_retry_interval => '200ms');
make('applied', $_) for $node, $south;
value($south, 'TRUNCATE applied');
value($node, 'CREATE PUBLICATION guard FOR TABLE applied');
value($south, q{CREATE SUBSCRIPTION guard CONNECTION '} . $node->connstr . q{ dbname=postgres' PUBLICATION guard});
$south->wait_for_subscription_sync($node, 'guard');
my $applied = start_dual($south, q{rename('applied', 'a', 'b', name => 'applied', max_rows_per_second => 2000)});
wait_sql($south, 'SELECT count(*) > 0 FROM applied WHERE b IS NOT NULL');
value($node, 'TRUNCATE applied; INSERT INTO applied SELECT i, -i, i FROM generate_series(1, 3000) i');
$node->wait_for_catchup('guard');
value($south, 'SELECT pgxc.alter_migration(\'applied\', max_rows_per_second => 0)');
wait_ready($south, $applied);
is(value($south, 'SELECT count(*), count(*) FILTER (WHERE a IS DISTINCT FROM b) FROM applied'), '3000|0', 'an applied TRUNCATE passes, and the migration ends right');
is(value($south, q{SELECT count(*) FROM pgxc.guard_rejections}), '0', '... without a refusal');
$south->stop;

# ==== a server without the library ===========================================

my $bare = new_node('bare', preload => 0);
make('t', $bare);
value($bare, q{SELECT pgxc.start_rename('t', 'a', 'b', name => 't')});
fails_with($bare, 'ALTER TABLE t DROP COLUMN a', '2BP01', qr/trigger ~pgxc_\d+ on table t depends on column a/, 'not preloaded: a column cannot be dropped');
fails_with($bare, 'ALTER TABLE t DROP COLUMN b', '2BP01', qr/trigger ~pgxc_\d+ on table t depends on column b/, '... neither can the new one');
fails_with($bare, 'ALTER TABLE t ALTER o TYPE varchar(20)', '55006', qr/cannot rewrite table "t" while migration "t" is open/, '... and the table not be rewritten');
value($bare, 'ALTER TABLE t ADD z int; CREATE TABLE u (a int); ALTER TABLE u ALTER a TYPE text');
pass('... what is harmless passes');
value($bare, 'SELECT pgxc.rollback(\'t\')');
value($bare, 'ALTER TABLE t ALTER o TYPE varchar(20)');
pass('... and everything when it is over');
$bare->stop;

$node->stop;
done_testing();
