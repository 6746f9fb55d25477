# What pg_dump says of the tables: after a rollback the same as before the
# start, whenever it comes, and after contract the same as after ALTER TABLE,
# but for the order of the columns.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcDual;
use PgxcEnv;
use PgxcTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'identical',
	autovacuum => 'off',
	allow_in_place_tablespaces => 'on',
	max_locks_per_transaction => 512,
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0);

# ---- the tables of the regression tests --------------------------------------

# function_of(test, name): the statement that creates it.
sub function_of
{
	my ($file, $name) = @_;
	my $text = slurp_file("$FindBin::RealBin/../sql/$file.sql");

	$text =~ /^(CREATE FUNCTION \Q$name\E\(.*?\$script\$;)\n/ms
	  or die "no function $name in $file.sql";
	return $1;
}

$node->safe_psql('postgres', "CREATE ROLE $_")
  for map { "regress_pgxc_$_" } qw(owner other grantor reader writer);
$node->safe_psql('postgres', "CREATE TABLESPACE regress_pgxc_elsewhere LOCATION ''");

sub make_database
{
	my ($dbname) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $dbname") if $dbname ne 'postgres';
	$node->safe_psql($dbname, 'CREATE EXTENSION IF NOT EXISTS pgxc');
	$node->safe_psql($dbname,
		'CREATE SCHEMA carry; CREATE SCHEMA parts; SET search_path = carry;'
		  . function_of('carry_over', 'tables')
		  . function_of('carry_over', 'named')
		  . function_of('partitions_dual', 'parts.tables'));
	$node->safe_psql(
		$dbname, q{
		CREATE FUNCTION carry.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
		CREATE FUNCTION parts.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
		CREATE SCHEMA plain;
		CREATE SCHEMA plain_other;
		CREATE SCHEMA split;
		GRANT USAGE ON SCHEMA plain, split TO PUBLIC;
		SET client_min_messages = error;
		DO $$
		BEGIN
			SET LOCAL search_path = plain, carry;
			EXECUTE replace(replace(replace(carry.tables() || carry.named('c'), 'SMALL', 'integer'), 'SHORT', 'varchar(40)'), 'NAMESPACE', 'plain');
			SET LOCAL search_path = split, parts;
			EXECUTE parts.tables();
		END $$;
		CREATE TABLE plain.q_dependents (id integer PRIMARY KEY, c text, g text GENERATED ALWAYS AS (upper(c)) STORED);
		CREATE VIEW plain.q_view AS SELECT id, c FROM plain.q_dependents;
		CREATE RULE q_rule AS ON DELETE TO plain.q_dependents WHERE OLD.c = 'no' DO INSTEAD NOTHING;
		CREATE PUBLICATION q_publication FOR TABLE plain.q_dependents (id, c);
	});
	return;
}

# Starts a migration of column c of every table, in one transaction each.
# $state: paused, or ready.
sub start_all
{
	my ($dbname, $kind, $state) = @_;
	my @tables = split /\n/, $node->safe_psql(
		$dbname, q{
		SELECT format('%L, %s', c.oid::regclass, a.atttypid = 'integer'::regtype)
		  FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
		 WHERE relnamespace IN ('plain'::regnamespace, 'split'::regnamespace) AND relkind IN ('r', 'p')
		   AND NOT relispartition AND attname = 'c' ORDER BY c.oid});
	my @ids;

	for (@tables)
	{
		my ($table, $is_integer) = /^(.*), ([tf])$/;
		my $type = $is_integer eq 't' ? 'bigint' : 'text';
		my $back = $is_integer eq 't' ? 'integer' : 'varchar(40)';
		my $start = {
			rename => "rename($table, 'c', 'd')",
			# There is no other type that it could have by itself.
			type_change => $table =~ /q_dependents/
			? "type_change($table, 'c', 'varchar(100)')"
			: "type_change($table, 'c', '$type')",
			transform => "transform($table, 'd', '$type', 'c::$type', 'd::$back')",
			keep_old => "transform($table, 'd', '$type', 'c::$type', keep_old => true)"
		}->{$kind};
		my $id = $node->safe_psql($dbname,
			'SET client_min_messages = error; BEGIN; '
			  . "SELECT pgxc.start_$start AS id \\gset\n"
			  . ($state eq 'paused' ? "SELECT FROM pgxc.pause(:id);\n" : '')
			  . "COMMIT; SELECT :id\n");
		push @ids, (split /\n/, $id)[-1];
	}
	if ($state eq 'ready')
	{
		wait_ready($node, $_, $dbname) for @ids;
	}
	return @ids;
}

# same_dump($before, $after, $name): shows what differs.
sub same_dump
{
	my ($before, $after, $name) = @_;
	my (%before, %after);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return if ok($before eq $after, $name);
	$before{$_}++ for split /\n/, $before;
	$after{$_}++ for split /\n/, $after;
	diag("- $_") for grep { !$after{$_} } sort keys %before;
	diag("+ $_") for grep { !$before{$_} } sort keys %after;
	return;
}

# ---- rolled back --------------------------------------------------------------

make_database('postgres');
my $before = schema_of($node);

like($before, qr/CREATE TABLE plain\.e_index .*CREATE TABLE split\.t_sub_zero /s,
	'the tables are there');
for my $kind (qw(rename type_change transform keep_old))
{
	for my $state (qw(paused ready))
	{
		my @ids = start_all('postgres', $kind, $state);

		isnt(schema_of($node), $before, "$kind, $state: not the same meanwhile")
		  if $state eq 'paused';
		cmp_ok(scalar @ids, '>', 30, "$kind, $state: all were started");
		$node->safe_psql('postgres', "SELECT pgxc.rollback($_)") for reverse @ids;
		same_dump($before, schema_of($node), "$kind, $state: rolled back");
	}
}

# In a transaction that is rolled back, and by pgxc.cancel().
$node->safe_psql('postgres',
	"BEGIN; SELECT pgxc.start_rename('plain.e_index', 'c', 'd'); SELECT pgxc.start_rename('split.t', 'c', 'd'); ROLLBACK");
same_dump($before, schema_of($node), 'start was rolled back');
my $id = start_dual($node, "type_change('plain.g_in', 'c', 'bigint')");
wait_ready($node, $id);
$node->safe_psql('postgres', "SELECT pgxc.prefer($id, 'new')");
$node->safe_psql('postgres', "SELECT pgxc.cancel($id)");
same_dump($before, schema_of($node), 'the other side was preferred, and then cancelled');

# In the middle of an index: it waits for a snapshot that is older.
for my $table (qw(plain.e_index split.t plain.d_primary))
{
	my $old = session($node);

	$old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	$id = start_dual($node, "rename('$table', 'c', 'd')");
	wait_until(
		$node,
		"SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for old snapshots%'",
		"$table: an index is being built",
		$id);
	is( value(
			$node,
			"SELECT count(*) FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE relname LIKE '\\_pgxc\\_$id\\_%' AND NOT indisvalid"),
		1, "$table: it is not valid");
	$node->safe_psql('postgres', "SELECT pgxc.rollback($id)");
	same_dump($before, schema_of($node), "$table: rolled back during the build");
	$old->query_safe('COMMIT');
	$old->quit;
}

# A migration that a person must look at.
$node->safe_psql('postgres', q{UPDATE plain.j_owned SET c = 'x'; INSERT INTO plain.k_settings VALUES (1, 'no number')});
$id = start_dual($node, "type_change('plain.k_settings', 'c', 'integer', 'c::integer')");
wait_state($node, $id, 'attention');
$node->safe_psql('postgres', "SELECT pgxc.rollback($id)");
same_dump($before, schema_of($node), 'rolled back in state attention');

# ---- contracted ----------------------------------------------------------------

# Statements without the order of columns: those of a table, those that stand
# in statistics, and so the statements about each of them.
sub statements
{
	my ($dump) = @_;

	$dump =~ s/^--.*\n//mg;
	$dump =~ s{^(CREATE TABLE \S+ \(\n)(.*?)(\n\))}
		{ my ($begin, $body, $end) = ($1, $2, $3); $begin . join("\n", sort map { s/,$//r } split /\n/, $body) . $end }gmse;
	$dump =~ s{^(CREATE STATISTICS .*? ON )([\w, ]+)( FROM)}
		{ my ($begin, $columns, $end) = ($1, $2, $3); $begin . join(', ', sort split /, /, $columns) . $end }gme;
	return join "\n", sort grep { /\S/ } split /\n\n+/, $dump;
}

make_database($_) for qw(contracted altered);
my $begin = statements(schema_of($node, 'altered'));
like($begin, qr/^CREATE TABLE plain\.a_not_null \(\n    c /m, 'columns are put into order');
same_dump(statements(schema_of($node, 'contracted')), $begin, 'both databases begin the same');
# These refuse, or need to be told, and are not about dumps.
$node->safe_psql($_, 'DROP TABLE plain.q_dependents CASCADE; DROP PUBLICATION q_publication')
  for qw(contracted altered);
my @ids = start_all('contracted', 'rename', 'ready');
$node->safe_psql('contracted', "SELECT pgxc.contract($_)") for @ids;
$node->safe_psql(
	'altered', q{
	DO $$
	DECLARE
		relation regclass;
	BEGIN
		FOR relation IN SELECT c.oid FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid
						 WHERE relnamespace IN ('plain'::regnamespace, 'split'::regnamespace) AND relkind IN ('r', 'p') AND NOT relispartition AND attname = 'c' LOOP
			EXECUTE format('ALTER TABLE %s RENAME c TO d', relation);
		END LOOP;
	END $$});
isnt(statements(schema_of($node, 'contracted')), $begin, 'not the same as before');
same_dump(
	statements(schema_of($node, 'altered')),
	statements(schema_of($node, 'contracted')),
	'a rename: the same as by ALTER TABLE, but for the order of columns');

# And it can be restored.
my $file = PostgreSQL::Test::Utils::tempdir() . '/contracted.sql';
$node->command_ok([ 'pg_dump', '-f', $file, $node->connstr('contracted') ], 'pg_dump');
$node->safe_psql('postgres', 'CREATE DATABASE restored');
$node->command_ok(
	[ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', $file, $node->connstr('restored') ],
	'what was dumped can be restored');
same_dump(schema_of($node, 'contracted'), schema_of($node, 'restored'), 'and is the same again');

$node->stop;
done_testing();
