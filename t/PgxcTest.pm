# PgxcTest: what the TAP tests have in common.
#
#   use FindBin;
#   use lib $FindBin::RealBin;
#   use PgxcTest;
#
# The backfill of these tests always is "b = a + 1" on a table of make_table();
# that it is complete is said by plain SQL, which knows nothing of pgxc.
package PgxcTest;

use strict;
use warnings;

use Exporter 'import';
use Test::More;
use Time::HiRes;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(
  new_node append_pgxc_conf make_table start_backfill
  wait_state wait_sql wait_rows wait_worker wait_no_worker
  state_of rows_left is_done worker_pids diag_migration
  kill_postmaster fails_with
);

# append_pgxc_conf($node, $name => $value, ...): how the server finds pgxc, and
# further settings.  preload => 0 leaves it out of shared_preload_libraries.
sub append_pgxc_conf
{
	my ($node, %conf) = @_;
	my $preload = delete $conf{preload} // 1;

	$node->append_conf('postgresql.conf', slurp_file($ENV{PGXC_CONF}));
	$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n")
	  unless $preload;
	$node->append_conf('postgresql.conf', "$_ = '$conf{$_}'\n")
	  for sort keys %conf;
	return;
}

# new_node($name, $setting => $value, ...): a running server with the extension
# in database postgres.  Beside settings it takes preload, allows_streaming (for
# init), start => 0 and extension => 0.
sub new_node
{
	my ($name, %conf) = @_;
	my $streaming = delete $conf{allows_streaming};
	my $start = delete $conf{start} // 1;
	my $extension = delete $conf{extension} // 1;
	my $node = PostgreSQL::Test::Cluster->new($name);

	$node->init($streaming ? (allows_streaming => $streaming) : ());
	append_pgxc_conf($node, %conf);
	return $node unless $start;
	$node->start;
	$node->safe_psql('postgres', 'CREATE EXTENSION pgxc') if $extension;
	return $node;
}

# make_table($node, $name, $rows, dbname => ..., count => 1): some 40 rows a
# page.  With count a trigger adds 1 to the row's column n whenever b changes;
# so n = 1 says that the backfill updated the row exactly once.
sub make_table
{
	my ($node, $name, $rows, %opt) = @_;
	my $dbname = $opt{dbname} // 'postgres';

	$node->safe_psql(
		$dbname, qq{
		CREATE TABLE $name (id bigint PRIMARY KEY, a integer NOT NULL, b integer,
			n integer NOT NULL DEFAULT 0, app integer NOT NULL DEFAULT 0,
			filler text NOT NULL DEFAULT repeat('x', 120));
		INSERT INTO $name (id, a) SELECT i, i % 1000 FROM generate_series(1, $rows) i;
	});
	$node->safe_psql(
		$dbname, qq{
		CREATE OR REPLACE FUNCTION pgxc_count_updates() RETURNS trigger LANGUAGE plpgsql
			AS \$\$ BEGIN NEW.n := OLD.n + 1; RETURN NEW; END \$\$;
		CREATE TRIGGER count_updates BEFORE UPDATE ON $name FOR EACH ROW
			WHEN (OLD.b IS DISTINCT FROM NEW.b) EXECUTE FUNCTION pgxc_count_updates();
	}) if $opt{count};
	$node->safe_psql($dbname, "VACUUM (ANALYZE) $name");
	return;
}

# start_backfill($node, $table, $argument => $value, ...): starts "b = a + 1"
# and returns the id.  dbname is not passed on.
sub start_backfill
{
	my ($node, $table, %args) = @_;
	my $dbname = delete $args{dbname} // 'postgres';
	my $assignments = delete $args{assignments} // 'b = a + 1';
	my $more = join('', map { ", $_ => '$args{$_}'" } sort keys %args);

	return $node->safe_psql($dbname,
		"SELECT pgxc.start_backfill('$table', '$assignments'$more)");
}

# wait_sql($node, $query, $what, $dbname): poll until the query returns true.
# Dies if it does not: what comes next would make no sense.
sub wait_sql
{
	my ($node, $query, $what, $dbname) = @_;

	$node->poll_query_until($dbname // 'postgres', $query)
	  or die 'timed out waiting for ' . ($what // $query);
	return;
}

# wait_state($node, $id, $state, $dbname): poll until the migration is there.
# $state is a state, or done.  Dies with all that is known of it otherwise.
sub wait_state
{
	my ($node, $id, $state, $dbname) = @_;
	my $column = $state eq 'done' ? 'phase' : 'state';

	$dbname //= 'postgres';
	return
	  if $node->poll_query_until($dbname,
		"SELECT $column = '$state' FROM pgxc.migrations WHERE id = $id");
	diag_migration($node, $id, $dbname);
	die "timed out waiting for migration $id to be $state";
}

# wait_rows($node, $table, $least, $dbname): poll until at least so many rows
# are updated, by count of the table itself.
sub wait_rows
{
	my ($node, $table, $least, $dbname) = @_;

	wait_sql($node, "SELECT count(*) >= $least FROM $table WHERE b = a + 1",
		"$least rows of $table to be updated", $dbname);
	return;
}

# worker_pids($node, $dbname): the background workers of a database.
sub worker_pids
{
	my ($node, $dbname) = @_;

	$dbname //= 'postgres';
	return split /\n/,
	  $node->safe_psql('postgres',
		"SELECT pid FROM pg_stat_activity WHERE backend_type = 'pgxc worker' AND datname = '$dbname'"
	  );
}

# wait_worker($node, $dbname): poll until one runs; returns its pid.
sub wait_worker
{
	my ($node, $dbname) = @_;

	$dbname //= 'postgres';
	wait_sql($node,
		"SELECT count(*) > 0 FROM pg_stat_activity WHERE backend_type = 'pgxc worker' AND datname = '$dbname'",
		"a worker in $dbname");
	return (worker_pids($node, $dbname))[0];
}

sub wait_no_worker
{
	my ($node, $dbname) = @_;

	$dbname //= 'postgres';
	wait_sql($node,
		"SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'pgxc worker' AND datname = '$dbname'",
		"no worker in $dbname");
	return;
}

sub state_of
{
	my ($node, $id, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		"SELECT state FROM pgxc.migrations WHERE id = $id");
}

# rows_left($node, $table, $dbname): rows without the backfill's value.
sub rows_left
{
	my ($node, $table, $dbname) = @_;

	return $node->safe_psql($dbname // 'postgres',
		"SELECT count(*) FROM $table WHERE b IS DISTINCT FROM a + 1");
}

# is_done($node, $table, $id, $test_name, $dbname): wait for it, and prove by
# plain SQL that no row is left.
sub is_done
{
	my ($node, $table, $id, $test_name, $dbname) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	wait_state($node, $id, 'done', $dbname);
	is(rows_left($node, $table, $dbname), '0', $test_name // "no row of $table is left");
	return;
}

sub diag_migration
{
	my ($node, $id, $dbname) = @_;
	my (undef, $out, $err) = $node->psql(
		$dbname // 'postgres', qq{
		SELECT row_to_json(m) FROM pgxc.migrations m WHERE id = $id;
		SELECT row_to_json(e) FROM pgxc.events e WHERE migration_id = $id ORDER BY id DESC LIMIT 12;
		SELECT row_to_json(p) FROM pgxc.progress_backfill p;
		SELECT row_to_json(s) FROM pgxc.stripe s LIMIT 5;
		SELECT row_to_json(l) FROM pgxc.leaf l LIMIT 5;});

	diag($out, "\n", $err);
	return;
}

# kill_postmaster($node, $pid, ...): kill -9, and wait until the last of its
# children has noticed; the node can be started then.  A process that cannot
# notice must be named, and is killed too.
sub kill_postmaster
{
	my ($node, @more) = @_;
	my $pid_file = $node->data_dir . '/postmaster.pid';
	my $pid = (split /\n/, slurp_file($pid_file))[0];
	my @all = ($pid, split ' ', slurp_file("/proc/$pid/task/$pid/children"));
	my $looks = 100 * $PostgreSQL::Test::Utils::timeout_default;

	$node->kill9;
	kill 9, @more;
	while (grep { is_alive($_) } @all)
	{
		die 'processes of a killed server are still there' if --$looks < 0;
		Time::HiRes::usleep(10_000);    # not a wait: one look of a poll
	}

	# Its number is taken for as long as nobody has asked how it ended.  That is
	# up to process 1, which in some containers never does.
	$looks = 500;
	Time::HiRes::usleep(10_000)    # not a wait: one look of a poll
	  while -e "/proc/$pid" && --$looks > 0;
	unlink $pid_file if -e "/proc/$pid";
	return;
}

sub is_alive
{
	my ($pid) = @_;

	open(my $fh, '<', "/proc/$pid/stat") or return 0;
	my $stat = <$fh> // '';
	close $fh;
	return $stat =~ /^\d+ \(.*\) [^ZX]/;
}

# fails_with($node, $sql, $sqlstate, $pattern, $test_name, $dbname)
sub fails_with
{
	my ($node, $sql, $sqlstate, $pattern, $test_name, $dbname) = @_;
	my ($ret, undef, $err) = $node->psql($dbname // 'postgres',
		"\\set VERBOSITY verbose\n$sql", on_error_stop => 1);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	subtest $test_name => sub {
		isnt($ret, 0, 'it fails');
		like($err, qr/ERROR:  $sqlstate:/, "SQLSTATE $sqlstate");
		like($err, $pattern, 'message');
	};
	return;
}

1;
