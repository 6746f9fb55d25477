# 10 000 DDL statements at random against open migrations, with the guard on.
#
# Each is run twice in a transaction block: with the guard off, rolled back, and
# with the guard on, rolled back or committed.  The guard may refuse it (55000,
# 55006); otherwise the outcome is the same, SQLSTATE and all.  No statement
# ends the server or finds an internal error, and the migrations come through.
#
#   PGXC_DDL_SEED=n           another course (the default is 1)
#   PGXC_DDL_STATEMENTS=n     more or fewer
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcRandomDdl;
use PgxcTest;
use PgxcTruth qw(truth_node);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{PGXC_DDL_SEED} // 1;
my $total = $ENV{PGXC_DDL_STATEMENTS} // 10000;
my $batch = 250;
my $db = 'fixture';
my @migrating = qw(m_rename m_type m_fill m_parts m_parts_1 m_child);

my $node = truth_node(
	'random',
	restart_after_crash => 'on',
	log_statement => 'none',
	log_min_error_statement => 'panic',
	max_locks_per_transaction => 256);

if ($node->psql($db, 'SET pgxc.guard = enforce') != 0)
{
	$node->stop;
	plan skip_all => 'the guard is not there yet';
}

# ---- open migrations -------------------------------------------------------------

$node->safe_psql(
	$db, q{
	CREATE TABLE m_rename (id integer PRIMARY KEY, a integer NOT NULL, b text, t positive, m mood);
	CREATE INDEX m_rename_a_idx ON m_rename (a);
	CREATE INDEX m_rename_b_idx ON m_rename (b);
	CREATE TABLE m_child (id integer PRIMARY KEY, parent_id integer REFERENCES m_rename, v integer);
	CREATE TABLE m_type (id serial PRIMARY KEY, n integer NOT NULL DEFAULT 7 CHECK (n >= 0), other integer, s text);
	CREATE UNIQUE INDEX m_type_n_idx ON m_type (n);
	CREATE TABLE m_fill (id integer PRIMARY KEY, a integer NOT NULL, b integer, c text);
	CREATE TABLE m_parts (id integer NOT NULL, a integer, b text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
	CREATE TABLE m_parts_1 PARTITION OF m_parts FOR VALUES FROM (1) TO (500);
	CREATE TABLE m_parts_2 PARTITION OF m_parts FOR VALUES FROM (500) TO (1000);
	INSERT INTO m_rename SELECT i, i, 'b' || i, i, 'ok' FROM generate_series(1, 500) i;
	INSERT INTO m_child SELECT i, i, i FROM generate_series(1, 500) i;
	INSERT INTO m_type (n, other, s) SELECT i, i, 's' FROM generate_series(1, 500) i;
	INSERT INTO m_fill SELECT i, i, NULL, 'c' FROM generate_series(1, 5000) i;
	INSERT INTO m_parts SELECT i, i, 'b' FROM generate_series(1, 999) i;
	VACUUM (ANALYZE) m_rename, m_child, m_type, m_fill, m_parts;
});

my %ids = (
	rename => $node->safe_psql($db, "SELECT pgxc.start_rename('m_rename', 'a', 'amount')"),
	type => $node->safe_psql($db, "SELECT pgxc.start_type_change('m_type', 'n', 'bigint')"),
	parts => $node->safe_psql($db, "SELECT pgxc.start_rename('m_parts', 'a', 'amount')"),
	fill => $node->safe_psql($db, "SELECT pgxc.start_backfill('m_fill', 'b = a + 1', max_rows_per_second => 100)"));

wait_state($node, $ids{$_}, 'ready', $db) for qw(rename type parts);
wait_rows($node, 'm_fill', 100, $db);
$node->safe_psql($db, "SELECT pgxc.pause($ids{fill})");
wait_state($node, $ids{fill}, 'paused', $db);
wait_no_worker($node, $db);

# The column that m_type has got beside its own.
my $new_column = $node->safe_psql(
	$db, q{SELECT attname FROM pg_attribute WHERE attrelid = 'm_type'::regclass
		AND attnum > 4});

# What must be the same after everything: states, triggers, columns, contents.
sub survivors
{
	return $node->safe_psql(
		$db, qq{
		SELECT 'migration', id::text, concat_ws(' ', phase, state) FROM pgxc.migrations
		UNION ALL
		SELECT 'trigger', tgrelid::regclass::text, concat_ws(' ', tgname, md5(pg_get_triggerdef(oid)), tgenabled)
			FROM pg_trigger WHERE tgname LIKE '%pgxc%' AND tgrelid::regclass::text IN ('m_rename', 'm_type', 'm_parts', 'm_parts_1', 'm_parts_2')
		UNION ALL
		SELECT 'column', attrelid::regclass::text, concat_ws(' ', attname, format_type(atttypid, atttypmod), attnum)
			FROM pg_attribute WHERE attname IN ('a', 'amount', 'n', '$new_column') AND attrelid IN
				('m_rename'::regclass, 'm_type'::regclass, 'm_parts'::regclass, 'm_parts_1'::regclass, 'm_parts_2'::regclass)
		UNION ALL
		SELECT 'contents', 'm_rename', concat_ws(' ', count(*), sum(a), sum(amount)) FROM m_rename
		UNION ALL
		SELECT 'contents', 'm_type', concat_ws(' ', count(*), sum(n), sum($new_column)) FROM m_type
		UNION ALL
		SELECT 'contents', 'm_parts', concat_ws(' ', count(*), sum(a), sum(amount)) FROM m_parts
		ORDER BY 1, 2, 3});
}

my $before = survivors();

note($before);

# ---- statements --------------------------------------------------------------------

my $source = PgxcRandomDdl->new(seed => $seed, favourites => \@migrating);
my %seen;
my (@wrong, @internal, @known, @instead);

# Would it leave little of the fixture, or no room for the rest of the backfill,
# which fails, as any UPDATE does, when a new CHECK or a publication forbids it?
# TRUNCATE breaks no migration, but there would be no contents to compare.
sub may_commit
{
	my ($sql) = @_;

	return 0 if $sql =~ /pgxc|m_fill|PUBLICATION|TRUNCATE/;
	return $source->random(100) == 0 if $sql =~ /DROP|CASCADE|RENAME|SET SCHEMA|TRUNCATE|REASSIGN|RULE/;
	return $source->random(10) == 0;
}

# The text of one statement for psql.
sub script
{
	my ($item) = @_;

	return "$item->{sql};\n\\echo \@on $item->{no} :SQLSTATE :LAST_ERROR_MESSAGE\n"
	  if $item->{alone};
	return "BEGIN;\nSET LOCAL pgxc.guard = off;\n$item->{role}$item->{sql};\n"
	  . "\\echo \@off $item->{no} :SQLSTATE :LAST_ERROR_MESSAGE\nROLLBACK;\n"
	  . "BEGIN;\n$item->{role}$item->{sql};\n"
	  . "\\echo \@on $item->{no} :SQLSTATE :LAST_ERROR_MESSAGE\n"
	  . ($item->{commit} ? 'COMMIT' : 'ROLLBACK') . ";\n";
}

sub next_item
{
	my ($no) = @_;
	my $alone = $source->random(25) == 0;
	my $sql = $alone ? $source->next_alone : $source->next_statement;
	my $role = !$alone && $source->random(15) == 0 ? "SET LOCAL ROLE app_owner;\n" : '';
	my $commit = may_commit($sql);

	$sql = "DO \$do\$ BEGIN EXECUTE \$ddl\$$sql\$ddl\$; END \$do\$"
	  if !$alone && $source->random(20) == 0;
	return { no => $no, sql => $sql, alone => $alone, role => $role, commit => $commit };
}

# judge($item): what is wrong with the outcomes of a statement.
sub judge
{
	my ($item) = @_;
	my ($on, $off) = @$item{qw(on off)};
	my $text = "$item->{no}: $item->{sql}: " . ($off // '') . " | $on | $item->{message}";

	$seen{$on}++;
	if ($on =~ /^XX/)
	{
		# The server has some of its own.
		push @{ $on eq ($off // '') ? \@known : \@internal }, $text;
	}
	return if $item->{alone} || $on eq $off;
	if ($on =~ /^5500[06]$/)
	{
		# Refused: what PostgreSQL itself would have said came second.
		push @instead, $text if $off ne '00000';
		return;
	}
	push @wrong, $text;
	return;
}

# run_batch(@items): in one session; the items that were not reached.
sub run_batch
{
	my ($scope, @items) = @_;
	my ($out, $err) = ('', '');
	my %by_no = map { $_->{no} => $_ } @items;
	my $last = $items[0];

	IPC::Run::run(
		[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr($db) ],
		'<', \("SET pgxc.guard = enforce;\nSET pgxc.guard_scope = $scope;\nSET pgxc.guard_min_table_size = 0;\n"
			. "SET lock_timeout = '5s';\n" . join('', map { script($_) } @items)),
		'>', \$out, '2>', \$err,
		IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	for my $line (split /\n/, $out)
	{
		my ($what, $no, $sqlstate, $message) = $line =~ /^\@(on|off) (\d+) (\w+) ?(.*)/ or next;
		my $item = $by_no{$no};

		$item->{$what} = $sqlstate;
		$item->{message} = $message;
		$last = $item;
	}
	judge($_) for grep { defined $_->{on} } @items;
	my @left = grep { !defined $_->{on} } @items;
	if (@left)
	{
		push @internal, "the session ended at: $left[0]{sql}";
		$node->poll_query_until($db, 'SELECT true');
		shift @left;
	}
	return @left;
}

my $no = 0;

while ($no < $total)
{
	my @items;
	my $scope = $no / $batch % 2 ? 'all_tables' : 'open_migrations';

	$source->look($node, $db);
	push @items, next_item(++$no) while @items < $batch && $no < $total;
	my @batch = @items;
	@items = run_batch($scope, @items) while @items;
	my $now = survivors();

	if ($now ne $before)
	{
		fail("after $no statements the migrations are as before");
		is($now, $before, 'what is left of them');
		diag("done since they were: $_->{sql}")
		  for grep { ($_->{commit} || $_->{alone}) && ($_->{on} // '') eq '00000' } @batch;
		last;
	}
}

# ---- the outcome ----------------------------------------------------------------------

sub none
{
	my ($name, @list) = @_;

	ok(!@list, $name)
	  or diag(scalar(@list) . ":\n" . join "\n", @list[ 0 .. ($#list > 30 ? 30 : $#list) ]);
	return;
}

note(join ', ', map { "$_ $seen{$_}" } sort { $seen{$b} <=> $seen{$a} } keys %seen);
note("PostgreSQL's own: $_") for @known;
note("refused where PostgreSQL had an error of its own: " . @instead);
note($_) for @instead[ 0 .. ($#instead > 20 ? 20 : $#instead) ];
cmp_ok($no, '>=', $total, "$no statements");
cmp_ok($seen{'00000'}, '>', $total / 10, 'many succeed');
cmp_ok(($seen{'55006'} // 0), '>', $total / 50, 'many are refused because they break a migration');
none('no internal error', @internal);
none('the guard changes no outcome but by refusing', @wrong);
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'no crash');
is(survivors(), $before, 'the migrations are as they were');

# Partitions may have come, which nobody has read.
$node->safe_psql($db, "SELECT pgxc.retry($ids{parts})");
wait_state($node, $ids{parts}, 'ready', $db);
for my $kind (qw(rename parts type))
{
	my ($code, $out, $err) = $node->psql($db,
		"SELECT pgxc.contract($ids{$kind}, force => true, recreate_views => true)");

	is($code, 0, "$kind: the migration is contracted") or diag($err);
}
is( $node->safe_psql($db, 'SELECT sum(amount), (SELECT sum(n) FROM m_type), (SELECT sum(amount) FROM m_parts) FROM m_rename'),
	'125250|125250|499500', 'nothing is lost');
$node->safe_psql($db, "SELECT pgxc.alter_migration($ids{fill}, max_rows_per_second => 0); SELECT pgxc.resume($ids{fill})");
is_done($node, 'm_fill', $ids{fill}, 'the backfill is done', $db);

$node->stop;
done_testing();
