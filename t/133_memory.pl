# A worker needs no more memory after thousands of chunks than after hundreds.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node wait_worker);
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'the system does not tell how much memory a process has'
  if !-r "/proc/$$/status"
  || slurp_file("/proc/$$/status") !~ /^RssAnon:/m;

my $node = new_node(
	'memory',
	checkpoint_timeout => '1h',
	max_wal_size => '4GB',
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.dead_tuples_soft' => 0);

value($node, q{
	CREATE TABLE t (id int PRIMARY KEY, v int, s text);
	INSERT INTO t SELECT i, NULL, 'row ' || i FROM generate_series(1, 500000) i;
	VACUUM ANALYZE t;
	CREATE FUNCTION ask(OUT level int, OUT reason text) LANGUAGE sql AS $$ SELECT 0, 'fine' $$;
});

# Text, several assignments and a throttle function: all that may leak.
my $id = backfill($node,
	q{'t', 'v = length(s) + id, s = upper(s) || id::text', 'v IS NULL', target_chunk_ms => 1,}
	  . q{ max_duty => 0.7, throttle_function => 'public.ask'});
my $pid = wait_worker($node);

sub anonymous_kb
{
	my ($kb) = slurp_file("/proc/$pid/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return $kb;
}

sub chunks
{
	my ($least) = @_;
	wait_until(
		$node,
		"SELECT sum(chunks) > $least FROM pgxc.live_workers() WHERE migration_id = $id",
		"$least chunks",
		$id);
}

chunks(200);
my $early = anonymous_kb();
chunks(1700);
my $late = anonymous_kb();
is(wait_worker($node), $pid, 'it still is the same worker');
cmp_ok($late - $early, '<', 1024,
	"fifteen hundred chunks more took less than 1 MB ($early kB, $late kB)");
value($node, "SELECT pgxc.cancel($id)") if outcome_of($node, $id) ne 'done';

$node->stop;
done_testing();
