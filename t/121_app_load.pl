# An application at work, in each of pgbench's protocols, does not notice a
# backfill: no transaction fails, nothing it wrote is lost.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'load',
	'pgxc.max_workers' => 4,
	max_worker_processes => 16,
	# It shall not keep out of the way.
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.dead_tuples_soft' => 0);

# "total" is what the backfill fills; the application, being new, writes it
# itself.  The journal is the model: all that was ever done to a row.
value($node, q{
	CREATE TABLE account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, a int NOT NULL, b int NOT NULL,
		total int, filler text DEFAULT repeat('x', 80)) WITH (fillfactor = 30);
	INSERT INTO account (a, b) SELECT i % 100, 1 FROM generate_series(1, 200000) i;
	CREATE TABLE journal (id bigint NOT NULL, what text NOT NULL, a int NOT NULL, b int NOT NULL);
	INSERT INTO journal SELECT id, 'insert', a, b FROM account;
	VACUUM ANALYZE;
});
cmp_ok(value($node, "SELECT pg_relation_size('account') / 8192"),
	'>', 8192, 'the table is large enough for two workers');

my %script = (
	'insert@1' => q{
\set a random(1, 100)
WITH w AS (INSERT INTO account (a, b, total) VALUES (:a, 2, :a + 2) RETURNING id, a, b)
INSERT INTO journal SELECT id, 'insert', a, b FROM w;
},
	'update@4' => q{
\set id random(1, 200000)
\set d random(-5, 5)
WITH w AS (UPDATE account SET a = a + :d, total = a + :d + b WHERE id = :id RETURNING id)
INSERT INTO journal SELECT id, 'update', :d, 0 FROM w;
},
	'delete@1' => q{
\set id random(1001, 200000)
WITH w AS (DELETE FROM account WHERE id = :id RETURNING id)
INSERT INTO journal SELECT id, 'delete', 0, 0 FROM w;
},
	'hot@4' => q{
\set id random(1, 10)
BEGIN;
SELECT a FROM account WHERE id = :id FOR UPDATE;
UPDATE account SET b = b + 1, total = a + b + 1 WHERE id = :id;
INSERT INTO journal VALUES (:id, 'update', 0, 1);
END;
},);
my @files;
for my $name (sort keys %script)
{
	my ($file, $weight) = split /@/, $name;
	my $path = $node->basedir . "/$file.sql";

	append_to_file($path, $script{$name});
	push @files, '-f', "$path\@$weight";
}

my $id = backfill($node,
	"'account', 'total = a + b', parallel_workers => 2, max_rows_per_second => 12000");
my %bench;
local $ENV{PGAPPNAME} = 'application';
for my $mode (qw(simple extended prepared))
{
	my %run = (out => '', err => '');
	$run{harness} = IPC::Run::start(
		[
			'pgbench', '-n', '-M', $mode, '-c', '2', '-T', '10', @files,
			'-h', $node->host, '-p', $node->port, 'postgres'
		],
		'>', \$run{out}, '2>', \$run{err});
	$bench{$mode} = \%run;
}
$ENV{PGAPPNAME} = 'test';
wait_until(
	$node,
	"SELECT count(DISTINCT pid) = 2 AND (SELECT count(*) > 100 FROM (SELECT FROM journal OFFSET 200000) j)"
	  . " FROM pgxc.progress_backfill WHERE migration_id = $id",
	'two workers and the application are at work together',
	$id);
my $rows =
  value($node, "SELECT rows_updated FROM pgxc.migrations WHERE id = $id");
wait_until(
	$node,
	"SELECT m.rows_updated > $rows + 1000 AND s.n >= 6 FROM pgxc.migrations m,"
	  . " (SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'application') s WHERE m.id = $id",
	'the backfill moves under the load',
	$id);
for my $mode (sort keys %bench)
{
	my $run = $bench{$mode};

	ok($run->{harness}->finish, "pgbench -M $mode succeeds");
	like(
		$run->{out},
		qr/number of failed transactions: 0 /,
		"pgbench -M $mode: no failed transaction");
	unlike($run->{err}, qr/ERROR/, "pgbench -M $mode: no error");
}
value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
wait_done($node, $id);

is( value($node,
		'SELECT count(*) FROM account WHERE total IS DISTINCT FROM a + b'),
	0,
	'no row is left');
is( value(
		$node, q{
	SELECT count(*) FROM
		(SELECT id, sum(a) AS a, sum(b) AS b FROM journal GROUP BY id HAVING bool_and(what <> 'delete')) model
		FULL JOIN account USING (id)
	 WHERE (model.a, model.b) IS DISTINCT FROM (account.a, account.b)}),
	0,
	'the data are what the application made of them');
is( value($node,
		"SELECT count(DISTINCT what) FROM (SELECT what FROM journal OFFSET 200000) j"),
	3,
	'it did insert, update and delete');

$node->stop;
done_testing();
