# Every pacing signal holds a backfill back, says so with value and limit, and
# lets it go on by itself when it is over.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node fails_with);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'primary',
	allows_streaming => 'logical',
	archive_mode => 'on',
	archive_command => 'true',
	autovacuum_naptime => '1h',
	checkpoint_timeout => '1h',
	max_wal_size => '4GB',
	wal_receiver_status_interval => '1s',
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cores' => 1,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.dead_tuples_soft' => 0,
	'pgxc.requested_checkpoints_soft' => 0);

value($node, q{
	CREATE TABLE sig (id int PRIMARY KEY, v int, at timestamptz, filler text);
	INSERT INTO sig SELECT i, 0, NULL, repeat('x', 150) FROM generate_series(1, 150000) i;
	ANALYZE sig;
	CHECKPOINT;
});

# Each migration writes another value, so that there is always work.
my $round = 0;

sub start
{
	my ($more) = @_;
	$round++;
	return backfill($node,
		"'sig', 'v = $round', name => 'round $round', target_chunk_ms => 20" . ($more // ''));
}

sub rows_left
{
	return value($node, "SELECT count(*) FROM sig WHERE v <> $round");
}

# The signal is at this level, and both views tell it with value and limit.
sub held_by
{
	my ($id, $signal, $level, $limit) = @_;
	my ($word, $column) =
	  $level eq 'red' ? ('stopped', 'hard') : ('slowed down', 'soft');
	my $pattern =
	  "^$word by $signal: [0-9.]+ [^(]+ [(]$column limit $limit" . '[)]';

	wait_until(
		$node,
		"SELECT EXISTS (SELECT FROM pgxc.migrations WHERE id = $id AND state = 'running' AND wait_reason ~ '$pattern')"
		  . " AND EXISTS (SELECT FROM pgxc.signals WHERE migration_id = $id AND signal = '$signal' AND level = '$level'"
		  . " AND value IS NOT NULL AND ${column}_limit = $limit)"
		  . " AND EXISTS (SELECT FROM pgxc.progress_backfill WHERE migration_id = $id AND phase = 'throttled'"
		  . " AND throttle_signal = '$signal' AND throttle_limit = $limit AND throttle_unit <> '')",
		"$signal: $word, and the views tell why",
		$id);
}

# While the worker has rested for another second, no row was updated.
sub stands_still
{
	my ($id, $signal) = @_;
	my ($rest, $rows) = split /\|/,
	  value($node,
		"SELECT delay_time, tuples_updated FROM pgxc.progress_backfill WHERE migration_id = $id");

	$node->poll_query_until('postgres',
		"SELECT delay_time > $rest + 1000 FROM pgxc.progress_backfill WHERE migration_id = $id")
	  or die "the worker does not even rest";
	is( value(
			$node,
			"SELECT tuples_updated FROM pgxc.progress_backfill WHERE migration_id = $id"),
		$rows,
		"$signal: nothing is updated meanwhile");
	cmp_ok(rows_left(), '>', 0, "$signal: there is work left");
}

# It is over: the next worker does not have to serve the rest of the dwell.
sub goes_on
{
	my ($id, $signal) = @_;

	value($node, "SELECT pgxc.pause($id)");
	value($node, "SELECT pgxc.resume($id)");
	wait_done($node, $id, "$signal: it goes on when that is over");
	is(rows_left(), 0, "$signal: nothing is left");
}

my $id;

# ---- every signal is listed, also where there is nothing to measure ---------
$id = start(", max_duty => 0.02");
wait_until(
	$node,
	"SELECT string_agg(signal, ' ' ORDER BY signal) = 'active_sessions archive_backlog cpu_wait dead_tuples disk_free"
	  . " horizon_age lock_waiters replay_lag replay_lag_bytes requested_checkpoints slot_lag slot_wal_left throttle_function'"
	  . " FROM pgxc.signals WHERE migration_id = $id",
	'the thirteen signals are listed',
	$id);
is( value(
		$node,
		"SELECT count(*) FROM pgxc.signals WHERE migration_id = $id AND signal IN ('replay_lag', 'slot_lag') AND level <> 'off'"
	),
	0,
	'what cannot be measured is off');
value($node, "SELECT pgxc.cancel($id)");

# ---- slot_lag: an inactive slot ---------------------------------------------
set_config(
	$node,
	'pgxc.slot_lag_soft' => 2,
	'pgxc.slot_lag_hard' => 4);
value($node, "SELECT pg_create_physical_replication_slot('idle', true)");
$id = start(', max_duty => 0.2');
held_by($id, 'slot_lag', 'red', 4);
like(
	value($node, "SELECT wait_reason FROM pgxc.migrations WHERE id = $id"),
	qr/slot "idle", inactive/,
	'slot_lag: the slot is named');
stands_still($id, 'slot_lag');
cmp_ok(
	value(
		$node,
		"SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn) FROM pg_replication_slots WHERE slot_name = 'idle'"
	),
	'<',
	(4 + 8) * 1024 * 1024,
	'slot_lag: the slot keeps no more WAL than its limit and a chunk');
is(outcome_of($node, $id), 'running', 'slot_lag: throttling is no failure');
value($node, "SELECT pgxc.alter_migration($id, max_duty => 1)");
value($node, "SELECT pg_drop_replication_slot('idle')");
# Nobody touches this one: it resumes after its dwell, all by itself.
wait_done($node, $id, 'slot_lag: it goes on by itself after the slot was dropped');
is(rows_left(), 0, 'slot_lag: nothing is left');
is( value(
		$node,
		"SELECT count(*) > 0 FROM pgxc.events WHERE migration_id = $id AND event = 'throttle' AND detail LIKE '%slot_lag%'"
	),
	't',
	'slot_lag: the audit trail has it');
set_config(
	$node,
	'pgxc.slot_lag_soft' => undef,
	'pgxc.slot_lag_hard' => undef);

# ---- slot_wal_left: max_slot_wal_keep_size, and a logical slot --------------
set_config(
	$node,
	'max_slot_wal_keep_size' => '64MB',
	'pgxc.slot_wal_left_soft' => 95,
	'pgxc.slot_wal_left_hard' => 90);
value($node,
	"SELECT pg_create_logical_replication_slot('logical', 'test_decoding')");
$id = start();
held_by($id, 'slot_wal_left', 'red', 90);
stands_still($id, 'slot_wal_left');
is( value(
		$node,
		"SELECT wal_status IN ('reserved', 'extended') FROM pg_replication_slots WHERE slot_name = 'logical'"
	),
	't',
	'slot_wal_left: the slot is not lost');
value($node, "SELECT pg_drop_replication_slot('logical')");
set_config(
	$node,
	'max_slot_wal_keep_size' => undef,
	'pgxc.slot_wal_left_soft' => undef,
	'pgxc.slot_wal_left_hard' => undef);
goes_on($id, 'slot_wal_left');

# ---- archive_backlog --------------------------------------------------------
set_config(
	$node,
	'archive_command' => 'false',
	'pgxc.archive_backlog_soft' => 2,
	'pgxc.archive_backlog_hard' => 3);
for (1 .. 4)
{
	value($node, "SELECT pg_current_xact_id()");
	value($node, "SELECT pg_switch_wal()");
}
$id = start();
held_by($id, 'archive_backlog', 'red', 3);
stands_still($id, 'archive_backlog');
set_config($node, 'archive_command' => 'true');
wait_until(
	$node,
	"SELECT value < 1 FROM pgxc.signals WHERE migration_id = $id AND signal = 'archive_backlog'",
	'archive_backlog: falls when the archiver works again',
	$id);
goes_on($id, 'archive_backlog');
set_config(
	$node,
	'pgxc.archive_backlog_soft' => undef,
	'pgxc.archive_backlog_hard' => undef);

# ---- requested_checkpoints --------------------------------------------------
set_config(
	$node,
	'pgxc.requested_checkpoints_soft' => 1,
	'pgxc.requested_checkpoints_hard' => 2);
# This one counts what happens while it runs.
$id = start(', max_duty => 0.02');
wait_until(
	$node,
	"SELECT count(*) = 1 FROM pgxc.signals WHERE migration_id = $id AND signal = 'requested_checkpoints' AND level = 'green'",
	'requested_checkpoints: those of the past do not count',
	$id);
value($node, 'CHECKPOINT') for 1 .. 2;
held_by($id, 'requested_checkpoints', 'red', 2);
stands_still($id, 'requested_checkpoints');
set_config(
	$node,
	'pgxc.requested_checkpoints_soft' => 0,
	'pgxc.requested_checkpoints_hard' => undef);
value($node, "SELECT pgxc.alter_migration($id, max_duty => 1)");
goes_on($id, 'requested_checkpoints');

# ---- dead_tuples ------------------------------------------------------------
value($node, 'UPDATE sig SET at = NULL');
set_config(
	$node,
	'pgxc.dead_tuples_soft' => 10,
	'pgxc.dead_tuples_hard' => 20);
$node->poll_query_until('postgres',
	"SELECT n_dead_tup > 0.4 * n_live_tup FROM pg_stat_user_tables WHERE relname = 'sig'")
  or die 'the dead tuples are not counted';
$id = start();
held_by($id, 'dead_tuples', 'red', 20);
stands_still($id, 'dead_tuples');
value($node, 'VACUUM sig');
wait_until(
	$node,
	"SELECT level = 'green' FROM pgxc.signals WHERE migration_id = $id AND signal = 'dead_tuples'",
	'dead_tuples: falls after a vacuum',
	$id);
# No vacuum will come for those that it makes itself.
set_config(
	$node,
	'pgxc.dead_tuples_soft' => 0,
	'pgxc.dead_tuples_hard' => undef);
goes_on($id, 'dead_tuples');

# ---- active_sessions --------------------------------------------------------
set_config(
	$node,
	'pgxc.active_sessions_soft' => 1.5,
	'pgxc.active_sessions_hard' => 2.5);
my @busy = map { session($node) } 1 .. 4;
in_session($_, 'SELECT pg_sleep(600)') for @busy;    # not a wait: a busy session
$id = start();
held_by($id, 'active_sessions', 'red', 2.5);
stands_still($id, 'active_sessions');
value($node,
	"SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'"    # not a wait: the busy sessions
);
wait_until(
	$node,
	"SELECT level IN ('green', 'yellow') AND value < 1.5 FROM pgxc.signals WHERE migration_id = $id AND signal = 'active_sessions'",
	'active_sessions: falls when they are idle',
	$id);
$_->quit for @busy;
set_config(
	$node,
	'pgxc.active_sessions_soft' => 0,
	'pgxc.active_sessions_hard' => undef);
goes_on($id, 'active_sessions');

# ---- disk_free --------------------------------------------------------------
set_config($node, 'pgxc.disk_free_hard' => 100);
$id = start();
held_by($id, 'disk_free', 'red', 100);
stands_still($id, 'disk_free');
set_config($node, 'pgxc.disk_free_hard' => 0);
goes_on($id, 'disk_free');

# ---- horizon_age: an old snapshot, and who has it ---------------------------
set_config($node, 'pgxc.horizon_age_soft' => 9.5, 'pgxc.horizon_age_hard' => 11);
my $holder = session($node);
$holder->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
my $pid = $holder->query_safe('SELECT pg_backend_pid() FROM sig LIMIT 1');
$id = start(', max_duty => 0.02');
held_by($id, 'horizon_age', 'red', 11);
like(
	value($node, "SELECT wait_reason FROM pgxc.migrations WHERE id = $id"),
	qr/client backend $pid\b/,
	'horizon_age: the session that holds the snapshot is named');
stands_still($id, 'horizon_age');
$holder->query_safe('COMMIT');
wait_until(
	$node,
	"SELECT level = 'green' FROM pgxc.signals WHERE migration_id = $id AND signal = 'horizon_age'",
	'horizon_age: falls as soon as the snapshot is gone, though nothing is being updated',
	$id);
$holder->quit;
set_config(
	$node,
	'pgxc.horizon_age_soft' => undef,
	'pgxc.horizon_age_hard' => undef);
value($node, "SELECT pgxc.alter_migration($id, max_duty => 1)");
goes_on($id, 'horizon_age');

# ---- throttle_function ------------------------------------------------------
value($node, q{
	CREATE TABLE wish (level int, reason text, broken boolean DEFAULT false);
	INSERT INTO wish VALUES (2, 'because I say so');
	CREATE FUNCTION ask(OUT level int, OUT reason text) LANGUAGE plpgsql AS $$
	BEGIN
		IF (SELECT w.broken FROM public.wish w) THEN RAISE EXCEPTION 'out of order'; END IF;
		SELECT w.level, w.reason INTO ask.level, ask.reason FROM public.wish w;
	END $$;
	CREATE FUNCTION wrong() RETURNS int LANGUAGE sql AS 'SELECT 2';
});
fails_with(
	$node,
	"SELECT pgxc.start_backfill('sig', 'v = -1', throttle_function => 'public.nobody')",
	'42883',
	qr/nobody/,
	'throttle_function: one that does not exist is refused');
is(value($node, 'SELECT count(*) FROM pgxc.migrations WHERE state <> $$finished$$'),
	0, 'throttle_function: and nothing was started');

$id = start(", throttle_function => 'public.ask'");
held_by($id, 'throttle_function', 'red', 2);
like(
	value($node, "SELECT wait_reason FROM pgxc.migrations WHERE id = $id"),
	qr/, because I say so$/,
	'throttle_function: its reason is shown');
stands_still($id, 'throttle_function');
value($node, "UPDATE wish SET level = 1, reason = 'a little'");
held_by($id, 'throttle_function', 'yellow', 1);
like(
	value($node, "SELECT wait_reason FROM pgxc.migrations WHERE id = $id"),
	qr/, a little$/,
	'throttle_function: level 1 after level 2 slows down');
value($node, "UPDATE wish SET level = 0");
goes_on($id, 'throttle_function');

value($node, "UPDATE wish SET broken = true");
$id = start(", throttle_function => 'public.ask', max_duty => 0.02");
held_by($id, 'throttle_function', 'yellow', 1);
like(
	value($node, "SELECT wait_reason FROM pgxc.migrations WHERE id = $id"),
	qr/it fails: out of order/,
	'throttle_function: one that fails counts as level 1');
value($node,
	"SELECT pgxc.alter_migration($id, throttle_function => 'public.wrong')");
wait_until(
	$node,
	"SELECT detail ~ 'it fails: ' AND detail !~ 'out of order' AND level = 'yellow' FROM pgxc.signals WHERE migration_id = $id AND signal = 'throttle_function'",
	'throttle_function: so does one of another type',
	$id);
value($node,
	"SELECT pgxc.alter_migration($id, throttle_function => '', max_duty => 1)");
goes_on($id, 'throttle_function removed');

# the one of the setting
value($node, "UPDATE wish SET broken = false, level = 2, reason = 'everybody stop'");
set_config($node, 'pgxc.throttle_function' => 'public.ask');
$id = start();
held_by($id, 'throttle_function', 'red', 2);
set_config($node, 'pgxc.throttle_function' => undef);
goes_on($id, 'pgxc.throttle_function');

# ---- lock_waiters -----------------------------------------------------------
# Each row takes its time, so that a chunk holds its locks for long.
value($node, q{
	CREATE TABLE slow (id int PRIMARY KEY, v int, n int DEFAULT 0, filler text) WITH (fillfactor = 100);
	INSERT INTO slow (id, v, filler) SELECT i, 0, repeat('x', 700) FROM generate_series(1, 200) i;
	CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM pg_catalog.pg_sleep(0.01); -- not a wait: the time that a row takes
		RETURN NEW;
	END $$;
	CREATE TRIGGER take_time BEFORE UPDATE OF v ON slow FOR EACH ROW EXECUTE FUNCTION take_time();
});
set_config(
	$node,
	'pgxc.lock_waiters_soft' => 1,
	'pgxc.lock_waiters_hard' => 0);
my $script = $node->basedir . '/hot.sql';
append_to_file($script,
	"\\set id random(1, 200)\nUPDATE slow SET n = n + 1 WHERE id = :id;\n");
my ($bench_out, $bench_err) = ('', '');
my $bench = IPC::Run::start(
	[
		'pgbench', '-n', '-c', '6', '-T', '600', '-f', $script, '-h',
		$node->host, '-p', $node->port, 'postgres'
	],
	'>', \$bench_out, '2>', \$bench_err);
$id = backfill($node, "'slow', 'v = 1', passes => 1");
held_by($id, 'lock_waiters', 'yellow', 1);
$bench->signal('INT');
eval { $bench->finish };
unlike($bench_err, qr/ERROR/, 'lock_waiters: no error in the application');
wait_done($node, $id, 'lock_waiters: it goes on');
is(value($node, 'SELECT count(*) FROM slow WHERE v <> 1'),
	0, 'lock_waiters: nothing is left');
set_config(
	$node,
	'pgxc.lock_waiters_soft' => undef,
	'pgxc.lock_waiters_hard' => undef);

# ---- replay_lag and replay_lag_bytes ----------------------------------------
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));

sub pause_replay
{
	$standby->safe_psql('postgres', 'SELECT pg_wal_replay_pause()');
	value($node, 'SELECT pg_current_xact_id()');    # a record to stop at
	$standby->poll_query_until('postgres',
		"SELECT pg_get_wal_replay_pause_state() = 'paused'")
	  or die 'replay does not pause';
}

set_config(
	$node,
	'pgxc.replay_lag_bytes_soft' => 2,
	'pgxc.replay_lag_bytes_hard' => 4,
	'pgxc.replay_lag_soft' => 0,
	'pgxc.replay_lag_hard' => 0);
pause_replay();
$id = start();
held_by($id, 'replay_lag_bytes', 'red', 4);
stands_still($id, 'replay_lag_bytes');
cmp_ok(
	value(
		$node,
		"SELECT max(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), replay_lsn)) FROM pg_stat_replication"
	),
	'<',
	(4 + 8) * 1024 * 1024,
	'replay_lag_bytes: the standby lags by its limit and a chunk at most');
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
wait_until(
	$node,
	"SELECT value < 1 FROM pgxc.signals WHERE migration_id = $id AND signal = 'replay_lag_bytes'",
	'replay_lag_bytes: is over when the standby has caught up',
	$id);
# At full speed it may well come to its limit again.
set_config(
	$node,
	'pgxc.replay_lag_bytes_soft' => 0,
	'pgxc.replay_lag_bytes_hard' => 0);
goes_on($id, 'replay_lag_bytes');

# ---- the same where it goes fast at first: almost empty pages before full ones
value($node, q{
	CREATE TABLE uneven (id int PRIMARY KEY, v int, filler text);
	INSERT INTO uneven SELECT i, 0, repeat('x', 150) FROM generate_series(1, 150000) i;
	DELETE FROM uneven WHERE id % 41 NOT IN (1, 2) AND id <= 60000;
});
value($node, 'VACUUM ANALYZE uneven');
value($node, 'CHECKPOINT');    # each page will go to WAL as a whole
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
set_config(
	$node,
	'pgxc.replay_lag_bytes_soft' => 2,
	'pgxc.replay_lag_bytes_hard' => 4);
pause_replay();
$id = backfill($node, "'uneven', 'v = 1', target_chunk_ms => 20");
held_by($id, 'replay_lag_bytes', 'red', 4);
cmp_ok(
	value(
		$node,
		"SELECT max(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), replay_lsn)) FROM pg_stat_replication"
	),
	'<',
	(4 + 8) * 1024 * 1024,
	'replay_lag_bytes: a chunk is no larger after pages with little to do');
value($node, "SELECT pgxc.cancel($id)");
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
set_config(
	$node,
	'pgxc.replay_lag_bytes_soft' => 0,
	'pgxc.replay_lag_bytes_hard' => 0);

$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
set_config(
	$node,
	'pgxc.replay_lag_soft' => 500,
	'pgxc.replay_lag_hard' => 1000);
pause_replay();
$id = backfill($node,
	"'sig', 'at = clock_timestamp()', 'at IS NULL', name => 'timed', target_chunk_ms => 20, max_duty => 0.1"
);
held_by($id, 'replay_lag', 'red', 1000);
my ($rest) = value($node,
	"SELECT delay_time FROM pgxc.progress_backfill WHERE migration_id = $id");
$node->poll_query_until('postgres',
	"SELECT delay_time > $rest + 1000 FROM pgxc.progress_backfill WHERE migration_id = $id")
  or die 'the worker does not even rest';
is(value($node, 'SELECT count(*) > 0 FROM sig WHERE at IS NULL'),
	't', 'replay_lag: there is work left');
cmp_ok(
	value($node,
		'SELECT extract(epoch FROM max(at) - min(at)) * 1000 FROM sig'),
	'<',
	2000,
	'replay_lag: what the standby has not seen was done within the limit and a moment'
);
$standby->safe_psql('postgres', 'SELECT pg_wal_replay_resume()');
$node->wait_for_catchup($standby, 'replay', $node->lsn('flush'));
wait_until(
	$node,
	"SELECT value = 0 FROM pgxc.signals WHERE migration_id = $id AND signal = 'replay_lag'",
	'replay_lag: is over when the standby has caught up',
	$id);
value($node, "SELECT pgxc.alter_migration($id, max_duty => 1)");
set_config(
	$node,
	'pgxc.replay_lag_soft' => undef,
	'pgxc.replay_lag_hard' => undef);
value($node, "SELECT pgxc.pause($id)");
value($node, "SELECT pgxc.resume($id)");
wait_done($node, $id, 'replay_lag: it goes on when that is over');
is(value($node, 'SELECT count(*) FROM sig WHERE at IS NULL'),
	0, 'replay_lag: nothing is left');

$standby->stop;
$node->stop;
done_testing();
