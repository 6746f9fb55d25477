# What others set, break or change while a backfill runs: settings do not reach
# it, an unfit environment holds it up, and only what a person must mend fails.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node('environment');

value($node, q{
	CREATE ROLE keeper;
	CREATE ROLE heir;
	GRANT CREATE ON SCHEMA public TO keeper, heir;
	CREATE SCHEMA trap;
	GRANT ALL ON SCHEMA trap TO PUBLIC;
});

# ---- settings of the database and of the owner --------------------------------
# The table's own functions are not where the owner's search_path says.
value($node, q{
	CREATE TABLE public.t (id int PRIMARY KEY, v int, name text, at text);
	INSERT INTO public.t SELECT i, NULL, 'Name ' || i FROM generate_series(1, 20000) i;
	ALTER TABLE public.t OWNER TO keeper;
	ALTER TABLE public.t ENABLE ROW LEVEL SECURITY;
	CREATE POLICY nothing ON public.t USING (false);
	CREATE FUNCTION trap.upper(text) RETURNS text LANGUAGE sql AS $$ SELECT 'trapped' $$;
	ALTER DATABASE postgres SET default_transaction_read_only = on;
	ALTER DATABASE postgres SET default_transaction_isolation = serializable;
	ALTER DATABASE postgres SET statement_timeout = '1ms';
	ALTER DATABASE postgres SET lock_timeout = '1ms';
	ALTER DATABASE postgres SET idle_in_transaction_session_timeout = '1ms';
	ALTER DATABASE postgres SET search_path = trap, public;
	ALTER DATABASE postgres SET row_security = on;
	ALTER DATABASE postgres SET session_replication_role = replica;
	ALTER DATABASE postgres SET enable_tidscan = off;
	ALTER ROLE keeper SET default_transaction_read_only = on;
	ALTER ROLE keeper SET statement_timeout = '1ms';
	ALTER ROLE keeper SET search_path = trap;
	ALTER ROLE keeper SET DateStyle = 'German';
	CREATE FUNCTION public.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN NEW.at := current_user || ' ' || current_setting('search_path') || ' ' || current_setting('transaction_isolation'); RETURN NEW; END $$;
	CREATE TRIGGER stamp BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.stamp();
});
# Settings arrive with the connection, before any statement could calm them.
local $ENV{PGOPTIONS} =
  '-c default_transaction_read_only=off -c default_transaction_isolation=read\ committed'
  . ' -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0'
  . ' -c search_path=public -c session_replication_role=origin';
my $id = backfill($node, "'t', 'v = id, name = upper(name)'");
wait_done($node, $id, 'hostile settings do not disturb it');
is( value(
		$node,
		"SELECT count(*) FROM t WHERE v IS DISTINCT FROM id OR name <> 'NAME ' || id"),
	0,
	'the values are right');
is( value($node, 'SELECT DISTINCT at FROM t'),
	'keeper pg_catalog, pg_temp read committed',
	"the table's trigger fired, as its owner, with our search_path");
for my $setting (
	qw(default_transaction_read_only default_transaction_isolation statement_timeout lock_timeout
	idle_in_transaction_session_timeout search_path row_security session_replication_role enable_tidscan)
  )
{
	value($node, "ALTER DATABASE postgres RESET $setting");
}
delete $ENV{PGOPTIONS};

# ---- errors that a trigger raises --------------------------------------------
value($node, q{
	CREATE TABLE fault (code text, times int);
	CREATE TABLE seen (code text, tries bigint);
	CREATE SEQUENCE raised;
	GRANT ALL ON fault TO PUBLIC;
	GRANT ALL ON SEQUENCE raised TO PUBLIC;
	CREATE TABLE e (id int PRIMARY KEY, v int);
	INSERT INTO e SELECT i FROM generate_series(1, 3000) i;
	CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
	DECLARE f public.fault;
	BEGIN
		SELECT * INTO f FROM public.fault;
		IF f.code IS NOT NULL AND nextval('public.raised') <= f.times THEN
			RAISE EXCEPTION 'as ordered' USING ERRCODE = f.code;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER fail BEFORE UPDATE ON e FOR EACH ROW WHEN (OLD.id = 1500) EXECUTE FUNCTION fail();
});

sub order_fault
{
	my ($code, $times) = @_;
	value($node,
		"DELETE FROM fault; INSERT INTO fault VALUES ('$code', $times); ALTER SEQUENCE raised RESTART; SELECT 1");
}

my $round = 0;

sub start
{
	$round++;
	return backfill($node, "'e', 'v = id + $round', name => 'round $round'");
}

sub complete
{
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(value($node, "SELECT count(*) FROM e WHERE v IS DISTINCT FROM id + $round"), 0, $name);
}

for my $code (qw(40001 40P01 55P03))
{
	order_fault($code, 3);
	$id = start();
	wait_done($node, $id, "$code is tried again until it works");
	cmp_ok(value($node, 'SELECT last_value FROM raised'),
		'>=', 4, "$code: it was raised, and overcome");
	complete("$code: no row is left");
	is(value($node, "SELECT count(*) FROM pgxc.row_errors WHERE migration_id = $id"),
		0, "$code: no row is blamed");
	is( value(
			$node,
			"SELECT count(*) FROM pgxc.events WHERE migration_id = $id AND to_state IN ('blocked', 'failed', 'attention')"
		),
		0,
		"$code: it was never called a failure");
}

for my $code (qw(53100 57P03))
{
	order_fault($code, 1);
	$id = start();
	wait_until(
		$node,
		"SELECT state = 'blocked' AND wait_reason ~ 'next try at [0-9:]+\$' AND last_error = '$code: as ordered'"
		  . " FROM pgxc.migrations WHERE id = $id",
		"$code blocks it, and it says until when",
		$id);
	is( value(
			$node,
			"SELECT retry_at BETWEEN state_since + interval '4 s' AND state_since + interval '7 s' FROM pgxc.migration WHERE id = $id"
		),
		't',
		"$code: the first rest is about five seconds");
	wait_done($node, $id, "$code: it goes on by itself");
	complete("$code: no row is left");
}

order_fault('53100', 1000);
$id = start();
wait_for_state($node, $id, 'blocked', '53100 for long');
value($node, 'DELETE FROM fault');
is(value($node, "SELECT pgxc.retry($id)"), 'queued', 'who knows that it is mended need not wait');
my $before = time;
wait_done($node, $id, '53100: retried');
cmp_ok(time - $before, '<', 4, '53100: at once');
complete('53100: no row is left');

order_fault('XX000', 1);
$id = start();
wait_for_state($node, $id, 'failed', 'XX000 is a failure at once');
is(value($node, "SELECT last_error FROM pgxc.migrations WHERE id = $id"),
	'XX000: as ordered', 'XX000: the error is shown');
is(value($node, 'SELECT last_value FROM raised'), 1, 'XX000: it was not tried again');
value($node, "SELECT pgxc.retry($id)");
wait_done($node, $id, 'XX000: a person may try it again');
complete('XX000: no row is left');

# ---- a synchronous standby that is not there ------------------------------------
order_fault('00000', 0);
set_config($node, synchronous_standby_names => 'missing');
local $ENV{PGOPTIONS} = '-c synchronous_commit=local';
$id = start();
wait_until(
	$node,
	"SELECT count(*) = 0 FROM e WHERE v IS DISTINCT FROM id + $round",
	'without its synchronous standby the server commits the chunks all the same',
	$id);
$before = time;
is(value($node,
		"SELECT CASE WHEN phase = 'migrate' THEN pgxc.pause(id) ELSE 'paused' END FROM pgxc.migrations WHERE id = $id"),
	'paused', 'pausing works');
cmp_ok(time - $before, '<', 2, 'and does not hang');
set_config($node, synchronous_standby_names => undef);
delete $ENV{PGOPTIONS};
value($node,
	"SELECT pgxc.resume(id) FROM pgxc.migrations WHERE id = $id AND state = 'paused'");
wait_done($node, $id, 'it is done after that');

# ---- the table changes under it ---------------------------------------------------
# Slow enough to be in the middle when that happens.
sub start_slowly
{
	my ($table) = @_;

	value($node, qq{
		CREATE TABLE $table (id int PRIMARY KEY, v int, source int);
		INSERT INTO $table SELECT i, NULL, i FROM generate_series(1, 20000) i;
		ALTER TABLE $table OWNER TO keeper});
	my $id = backfill($node,
		"'$table', 'v = source', max_rows_per_second => 2000, target_chunk_ms => 10");
	wait_until($node, "SELECT count(*) > 0 FROM $table WHERE v = source",
		"$table: in the middle", $id);
	return $id;
}

$id = start_slowly('changed_owner');
value($node, 'SET pgxc.guard = off; ALTER TABLE changed_owner OWNER TO heir');
wait_for_state($node, $id, 'failed', 'a new owner: it fails');
like(
	value($node, "SELECT last_error FROM pgxc.migrations WHERE id = $id"),
	qr/^42501: table "changed_owner" belongs to another role than when the migration was started/,
	'a new owner: the message says so');
cmp_ok(value($node, 'SELECT count(*) FROM changed_owner WHERE v IS NULL'),
	'>', 0, 'a new owner: nothing more was done with his rights');
value($node, 'ALTER TABLE changed_owner OWNER TO keeper');
value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
value($node, "SELECT pgxc.retry($id)");
wait_done($node, $id, 'a new owner: the old one may go on');

for my $case (
	[ 'dropped_target', 'DROP COLUMN v', 'v' ],
	[ 'dropped_source', 'DROP COLUMN source', 'source' ],
	[ 'renamed_target', 'RENAME COLUMN v TO w', 'v' ],
	[ 'renamed_source', 'RENAME COLUMN source TO origin', 'source' ])
{
	my ($table, $ddl, $column) = @$case;

	$id = start_slowly($table);
	# The guard would refuse it: this is the net behind it.
	value($node, "SET pgxc.guard = off; ALTER TABLE $table $ddl");
	wait_for_state($node, $id, 'failed', "$table: it fails");
	like(
		value($node, "SELECT last_error FROM pgxc.migrations WHERE id = $id"),
		qr/^(?:42703: column .*\b$column\b.* does not exist|42P17: a piece .* was changed on table "$table" .*no column "$column")/,
		"$table: the column is named");
	is( value(
			$node,
			"SELECT next_step ~ 'retry' FROM pgxc.migrations WHERE id = $id"),
		't',
		"$table: the next step is told");
}
value($node, 'ALTER TABLE renamed_target RENAME COLUMN w TO v');
$id = value($node, "SELECT id FROM pgxc.migrations WHERE relation = 'renamed_target'");
value($node, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)");
value($node, "SELECT pgxc.retry($id)");
wait_done($node, $id, 'renamed_target: renamed back it goes on');
is(value($node, 'SELECT count(*) FROM renamed_target WHERE v IS DISTINCT FROM source'),
	0, 'renamed_target: no row is left');

$node->stop;
done_testing();
