# A migration with two shapes moves to another server, or to another database:
# by the promotion of a standby in the middle of each of its steps, by a dump, by
# CREATE DATABASE ... TEMPLATE.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcDual;
use PgxcEnv;
use PgxcTest qw(new_node fails_with state_of wait_sql);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $ROWS = 3000;
my %settings = (
	# The lag of a standby on a loaded machine is not the subject here.
	(map { ("pgxc.$_" => 0) } qw(replay_lag_soft replay_lag_hard replay_lag_bytes_soft replay_lag_bytes_hard
		  cpu_wait_soft active_sessions_soft)),
	max_wal_senders => 12,
	log_statement => 'none');
my $primary = new_node('primary', allows_streaming => 1, %settings);

# Who holds advisory lock 1 stops the build of an index, 2 the validation of a
# check, 3 the computation of new values.  On another server nobody does.
my $tables = qq{
	CREATE FUNCTION public.gate(key int, v bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE
		AS \$\$ BEGIN PERFORM pg_advisory_lock_shared(key); PERFORM pg_advisory_unlock_shared(key); RETURN v; END \$\$;
	CREATE TABLE t (id int PRIMARY KEY, code int NOT NULL CONSTRAINT t_code UNIQUE, n int DEFAULT 0,
		CONSTRAINT t_check CHECK (public.gate(2, code) <> 0));
	CREATE INDEX t_gate ON t (public.gate(1, code), n);
	CREATE TABLE t_child (id int PRIMARY KEY, code int REFERENCES t (code) ON UPDATE CASCADE);
	COMMENT ON COLUMN t.code IS 'a comment';
	CREATE STATISTICS t_statistics ON code, n FROM t;
	INSERT INTO t SELECT i, i FROM generate_series(1, $ROWS) i;
	INSERT INTO t_child SELECT i, i FROM generate_series(1, 100) i;
	VACUUM ANALYZE;
};
value($primary, $tables);
my $before = schema_of($primary);

# ==== standbys ===============================================================

my @steps = qw(update index index_back check verify ready);
my %standby;
$primary->backup('backup');
for my $step (@steps)
{
	$standby{$step} = PostgreSQL::Test::Cluster->new("standby_$step");
	$standby{$step}->init_from_backup($primary, 'backup', has_streaming => 1);
	$standby{$step}->start;
}

# closed_gate($key, $db): until the session ends.
sub closed_gate
{
	my ($key, $db) = @_;
	my $session = session($primary, $db);

	$session->query_safe("SELECT pg_advisory_lock($key)");
	return $session;
}

# hold_up_index($id, $db): to be called while rows are being filled, which is
# where the gate must be open.  Somebody who writes keeps the first index from
# becoming valid, the gate the second.  Returns the gate.
sub hold_up_index
{
	my ($id, $db) = @_;
	my $invalid = q{SELECT count(*) = 1 FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname ~ '^_pgxc_' AND NOT indisvalid AND indkey::text %s '^0 '};
	my $writer = session($primary, $db);
	my $gate;

	$writer->query_safe('BEGIN');
	$writer->query_safe('INSERT INTO t (id, code) VALUES (-2, -2)');
	$primary->safe_psql($db, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
	wait_sql($primary, sprintf($invalid, '!~'), 'the first index', $db);
	$gate = closed_gate(1, $db);
	$writer->query_safe('ROLLBACK');
	$writer->quit;
	wait_sql($primary, sprintf($invalid, '~'), 'the second index', $db);
	is( $primary->safe_psql($db,
			q{SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname ~ '^_pgxc_' AND indisvalid}),
		'1', 'one index is built, another one is not valid yet');
	return $gate;
}

# The primary has come as far as that: its standby becomes a server of its own.
sub leave
{
	my ($step) = @_;

	$primary->wait_for_catchup($standby{$step});
	$standby{$step}->promote;
	return;
}

my $id = start_dual($primary,
	q{type_change('t', 'code', 'bigint', up => 'public.gate(3, code)', down => 'code::int', name => 'moved', max_rows_per_second => 300)});
my $shadow = value($primary, "SELECT new_column FROM pgxc.migration WHERE id = $id");

wait_sql($primary, "SELECT rows_updated > 0 FROM pgxc.migrations WHERE id = $id", 'some rows to be filled');
leave('update');

# An index that is not valid yet.
my $gate = hold_up_index($id, 'postgres');
leave('index');
leave('index_back');

# A constraint that is not validated yet.
my $next = closed_gate(2);
$gate->quit;
$gate = $next;
wait_sql($primary, q{SELECT count(*) = 1 FROM pg_constraint WHERE conname ~ '^_pgxc_' AND contype = 'c' AND NOT convalidated},
	'a check to be there, but not validated');
leave('check');

# Rows that are not verified yet.
$next = closed_gate(3);
$gate->quit;
$gate = $next;
wait_sql($primary, "SELECT step = 'verify' FROM pgxc.migrations WHERE id = $id", 'the verification');
leave('verify');
$gate->quit;

wait_ready($primary, $id);
leave('ready');

# work($node, $column, $read, $db): what old or new code does to one row.  Returns
# the number of rows, and the sum of the column $read.
sub work
{
	my ($node, $column, $read, $db) = @_;

	return $node->safe_psql($db // 'postgres', qq{
		INSERT INTO t (id, $column) VALUES (-1, -1);
		UPDATE t SET $column = -50 WHERE id = 50;
		UPDATE t SET n = n + 1 WHERE id % 10 = 0;
		DELETE FROM t WHERE id = -1;
		UPDATE t SET $column = 50 WHERE id = 50;
		SELECT count(*), sum($read) FROM t});
}
my $sum = $ROWS * ($ROWS + 1) / 2;

is(value($primary, "SELECT pgxc.contract($id)"), 'finished', 'the primary itself: contract');
my $contracted = schema_of($primary);
isnt($contracted, $before, 'which makes a difference');
like($contracted, qr/code bigint NOT NULL/, '... this one');

for my $step (@steps)
{
	my $node = $standby{$step};

	is(work($node, 'code', 'code'), "$ROWS|$sum", "$step: old code works after the promotion");
	is(work($node, $shadow, 'code'), "$ROWS|$sum", "$step: ... and new code");
	if ($step =~ /_back$/)
	{
		is(value($node, "SELECT pgxc.rollback($id)"), 'finished', "$step: rollback");
		is(schema_of($node), $before, "$step: and everything is as before the start");
	}
	else
	{
		value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)") if $step eq 'update';
		wait_ready($node, $id);
		is(value($node, "SELECT count(*) FROM t WHERE code IS DISTINCT FROM $shadow"),
			'0', "$step: it finishes by itself, and the columns are equal");
		is(value($node, "SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND to_state IN ('paused', 'failed', 'attention', 'blocked')"),
			'0', "$step: ... without anybody's help");
		is(value($node, "SELECT pgxc.contract($id)"), 'finished', "$step: contract");
		is(schema_of($node), $contracted, "$step: and everything is as on the old primary");
	}
	is(work($node, 'code', 'code'), "$ROWS|$sum", "$step: the application goes on");
	is(value($node, 'SELECT count(*) FROM t_child c JOIN t USING (code) WHERE c.id = t.id'), '100', "$step: the foreign key, too");
	$node->stop('immediate');
}

# ==== dumps ==================================================================

# A new database, in which a rename is open.  As above it is held up.
my $dir = PostgreSQL::Test::Utils::tempdir;
value($primary, 'CREATE DATABASE original');
$primary->safe_psql('original', "CREATE EXTENSION pgxc; $tables");
$before = schema_of($primary, 'original');
$id = start_dual($primary, q{rename('t', 'code', 'number', name => 'open', max_rows_per_second => 300)}, 'original');
wait_sql($primary, "SELECT rows_updated > 0 FROM pgxc.migrations WHERE id = $id", 'some rows to be filled', 'original');

sub dump_as
{
	my ($name) = @_;

	$primary->command_ok(
		[ 'pg_dump', $name eq 'update' ? '-Fp' : '-Fc', '-f', "$dir/$name", $primary->connstr('original') ],
		"$name: pg_dump");
	return;
}

dump_as('update');
isnt($primary->safe_psql('original', 'SELECT count(*) FROM t WHERE number IS NULL'), '0', 'update: there were rows to fill');
$gate = hold_up_index($id, 'original');
dump_as('index');
$gate->quit;
wait_ready($primary, $id, 'original');
dump_as('ready');
is($primary->safe_psql('original', "SELECT pgxc.contract($id)"), 'finished', 'the original: contract');
$contracted = schema_of($primary, 'original');

# The names that begin with _pgxc_, and whether they are valid.
my $pieces = q{SELECT string_agg(x, ' ' ORDER BY x) FROM (
	SELECT relname || CASE WHEN indisvalid THEN '' ELSE ' (invalid)' END FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE relname ~ '^_pgxc_'
	UNION ALL SELECT conname || CASE WHEN convalidated THEN '' ELSE ' (invalid)' END FROM pg_constraint WHERE conname ~ '^_pgxc_'
	UNION ALL SELECT stxname FROM pg_statistic_ext WHERE stxname ~ '^_pgxc_') q (x)};
my %came = (
	update => '',
	index => "_pgxc_${id}_1",
	ready => join(' ', map { "_pgxc_${id}_$_" } 1 .. 6));

sub paused_there
{
	my ($node, $db, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(state_of($node, $id, $db), 'paused', "$name: it is paused");
	fails_with($node, "SELECT pgxc.contract('open')", '55000', qr/cannot contract migration "open", which is paused/,
		"$name: and cannot be contracted as it is", $db);
	is(work($node, 'code', 'code', $db), "$ROWS|$sum", "$name: old code works meanwhile");
	is(work($node, 'number', 'code', $db), "$ROWS|$sum", "$name: ... and new code");
	is($node->safe_psql($db, 'SELECT count(*) FROM t WHERE number IS DISTINCT FROM code AND number IS NOT NULL'), '0',
		"$name: the trigger keeps the columns equal");
	return;
}

sub finish_there
{
	my ($node, $db, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is($node->safe_psql($db, "SELECT pgxc.resume('open')"), 'queued', "$name: resume");
	$node->safe_psql($db, "SELECT pgxc.alter_migration('open', max_rows_per_second => 0)");
	if ($node->safe_psql($db, 'SELECT preloaded FROM pgxc.cluster_status()') eq 't')
	{
		wait_ready($node, $id, $db);
	}
	else
	{
		$node->safe_psql($db, "CALL pgxc.run('open')");
	}
	is(state_of($node, $id, $db), 'ready', "$name: it is ready");
	is($node->safe_psql($db, 'SELECT count(*) FROM t WHERE number IS DISTINCT FROM code'), '0', "$name: the columns are equal");
	is($node->safe_psql($db, $pieces), $came{ready}, "$name: all pieces are there");
	is($node->safe_psql($db, "SELECT pgxc.contract('open')"), 'finished', "$name: contract");
	is(schema_of($node, $db), $contracted, "$name: everything is as in the original");
	is(work($node, 'number', 'number', $db), "$ROWS|$sum", "$name: the application goes on");
	return;
}

# restore($node, $db, $dump)
sub restore
{
	my ($node, $db, $dump) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->command_ok(
		$dump eq 'update'
		? [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dir/$dump", '-d', $node->connstr($db) ]
		: [ 'pg_restore', '--exit-on-error', '-d', $node->connstr($db), "$dir/$dump" ],
		"$db: it can be restored");
	return;
}

for my $dump (sort keys %came)
{
	restore($primary, $dump, $dump);
	is($primary->safe_psql($dump, $pieces), $came{$dump}, "$dump: the pieces that were built came with it");
	is($primary->safe_psql($dump, q{SELECT tgenabled FROM pg_trigger WHERE tgrelid = 't'::regclass AND tgname ~ '^~'}), 'A',
		"$dump: the trigger, too");
	paused_there($primary, $dump, $dump);
	finish_there($primary, $dump, $dump);
}

# Rolled back without having been resumed.
restore($primary, 'back', 'ready');
is($primary->safe_psql('back', "SELECT pgxc.rollback('open')"), 'finished', 'a restored one can be rolled back at once');
is(schema_of($primary, 'back'), $before, '... and everything is as before the start');

# A dump names a dropped table by its OID, which here may be that of another
# table: one with a column of that name.
restore($primary, 'other', 'ready');
$primary->safe_psql('other', q{
	DROP TABLE t CASCADE;
	CREATE TABLE innocent (code int, number int);
	INSERT INTO innocent VALUES (1, 2);
	UPDATE pgxc.migration SET relation = 'innocent' WHERE name = 'open'});
fails_with($primary, "SELECT pgxc.prefer('open', 'new')", '55000', qr/the table of restored migration "open" is not here/,
	'prefer does nothing to a table that only has the OID', 'other');
is($primary->safe_psql('other', "SELECT pgxc.cancel('open')"), 'finished', 'cancel');
is($primary->safe_psql('other', 'TABLE innocent'), '1|2', '... does nothing to it, either');

# ==== a copy of the database =================================================

restore($primary, 'template', 'update');
$primary->safe_psql('template', "SELECT pgxc.resume('open')");
wait_sql($primary, "SELECT state = 'running' AND rows_updated > 0 FROM pgxc.migrations WHERE name = 'open'", 'some rows to be filled', 'template');
value($primary, 'CREATE DATABASE copy TEMPLATE template');
isnt($primary->safe_psql('copy', 'SELECT count(*) FROM t WHERE number IS NULL'), '0', 'copy: there were rows to fill');
paused_there($primary, 'copy', 'copy');
finish_there($primary, 'copy', 'copy');

# The one that was copied has gone on.
$primary->safe_psql('template', "SELECT pgxc.alter_migration('open', max_rows_per_second => 0)");
wait_ready($primary, $id, 'template');
value($primary, 'CREATE DATABASE copy_ready TEMPLATE template');
is($primary->safe_psql('template', "SELECT pgxc.contract('open')"), 'finished', 'template: contract');
is(schema_of($primary, 'template'), $contracted, 'template: everything is as in the original');
is($primary->safe_psql('copy_ready', $pieces), $came{ready}, 'copy_ready: with all pieces');
paused_there($primary, 'copy_ready', 'copy_ready');
finish_there($primary, 'copy_ready', 'copy_ready');
$primary->stop;

# ==== a server without workers ===============================================

my $bare = new_node('bare', preload => 0, extension => 0, log_statement => 'none');
restore($bare, 'by_hand', 'index');
paused_there($bare, 'by_hand', 'by_hand');
finish_there($bare, 'by_hand', 'by_hand');
$bare->stop;
done_testing();
