# pg_upgrade with an open migration: the library keeps still meanwhile, and the
# migration arrives paused.
use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old = new_node('old', start => 0, log_min_messages => 'debug1');
my $bindir = $old->config_data('--bindir');

plan skip_all => 'pg_upgrade is not here' unless -x "$bindir/pg_upgrade";

$old->start;

# pg_upgrade loads libraries by the name that is in the catalog.  From 18 on
# that is not searched for in dynamic_library_path, so an installation is needed.
if ($old->psql('postgres', q{LOAD '$libdir/pgxc'}) != 0)
{
	$old->stop;
	plan skip_all => 'the library is not installed in $libdir';
}
$old->safe_psql('postgres', 'CREATE EXTENSION pgxc');
make_table($old, 'done', 500);
make_table($old, 't', 20000, count => 1);
my $done = start_backfill($old, 'done', name => 'done');
wait_state($old, $done, 'done');
my $id = start_backfill($old, 't', name => 'open', max_rows_per_second => 1000);
wait_rows($old, 't', 1000);
$old->stop;

my $new = new_node('new', start => 0, log_min_messages => 'debug1');
my @pg_upgrade = (
	"$bindir/pg_upgrade", '--no-sync', '--retain',
	'-d', $old->data_dir, '-D', $new->data_dir,
	'-b', $bindir, '-B', $bindir,
	'-s', $new->host, '-p', $old->port, '-P', $new->port);

# It leaves a script in the current directory.
chdir $PostgreSQL::Test::Utils::tmp_check;
command_ok([ @pg_upgrade, '--check' ], 'pg_upgrade --check');
command_ok([@pg_upgrade], 'pg_upgrade');
unlink 'delete_old_cluster.sh';

# What the servers logged meanwhile: the library was loaded, and kept still.
my @logs = glob($new->data_dir . '/pg_upgrade_output.d/*/log/pg_upgrade_server.log');
my $log = join '', map { slurp_file($_) } @logs;
like($log, qr/background worker/, 'background workers are seen in the log');
unlike($log, qr/background worker "pgxc/, '... but none of pgxc');

$new->start;
is( $new->safe_psql('postgres', 'SELECT name, phase, state FROM pgxc.migrations ORDER BY id'),
	"done|done|finished\nopen|migrate|paused",
	'the open migration is paused, the finished one finished');
like(
	$new->safe_psql('postgres', "SELECT wait_reason FROM pgxc.migrations WHERE id = $id"),
	qr/restored from a dump or copied/, '... and says why');
cmp_ok($new->safe_psql('postgres', 'SELECT count(*) FROM pgxc.leaf'),
	'>', 0, 'cursors came with the files');

# The launcher has every database looked at once after a start.
wait_sql($new, "SELECT state = 'paused' FROM pgxc.migration WHERE id = $id",
	'a worker to have looked');
wait_no_worker($new);
my $left = rows_left($new, 't');
cmp_ok($left, '>', 0, 'it was in the middle');

is($new->safe_psql('postgres', "SELECT pgxc.resume('open')"), 'queued', 'resume');
$new->safe_psql('postgres', "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
is_done($new, 't', $id, 'it finishes');
is($new->safe_psql('postgres', 'SELECT count(*) FROM t WHERE n <> 1'),
	'0', 'no row was updated twice, here or there');
is( $new->safe_psql('postgres', "SELECT rows_updated FROM pgxc.migrations WHERE id = $id"),
	$left, 'it counted what it did here, not what came with it');

$new->stop;
done_testing();
