# What stands on the old column is built on the new one: indexes concurrently,
# constraints not valid and then validated.  Pieces are written by hand here, so
# that they can be wrong; how they come about is another test's matter.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcEnv;
use PgxcTest qw(new_node append_pgxc_conf wait_sql wait_worker wait_no_worker kill_postmaster);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = new_node(
	'build',
	'restart_after_crash' => 'on',
	'pgxc.max_workers' => 4,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.active_sessions_soft' => 0);

# build_test(rel, old, new): a paused migration that copies old to new, with
# what stands on old as its pieces.  Their definitions are what the server says
# of the old ones while the old column has the new one's name.
my $helper = q{
CREATE FUNCTION build_test(rel regclass, old_column text, new_column text, up text DEFAULT NULL,
	down text DEFAULT '!', workers integer DEFAULT 1) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	m bigint;
	found jsonb;
BEGIN
	BEGIN
		EXECUTE format('ALTER TABLE %s RENAME %I TO _was_new', rel, new_column);
		EXECUTE format('ALTER TABLE %s RENAME %I TO %I', rel, old_column, new_column);
		SELECT jsonb_agg(q ORDER BY q.step, q.name, q.rel) INTO found FROM (
			SELECT 1 AS step, CASE n.contype WHEN 'p' THEN 'primary key' WHEN 'u' THEN 'unique' ELSE 'index' END AS kind,
				rel::text, x.relname AS name, pg_get_indexdef(x.oid) AS def
			  FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid
			  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = new_column
			  LEFT JOIN pg_constraint n ON n.conindid = x.oid AND n.contype IN ('p', 'u')
			 WHERE i.indrelid = rel AND (a.attnum = ANY (i.indkey::int2[]) OR EXISTS (SELECT FROM pg_depend d
				WHERE d.classid = 'pg_class'::regclass AND d.objid = x.oid AND d.refobjid = rel AND d.refobjsubid = a.attnum))
			UNION ALL
			SELECT 2, 'not null', rel::text, '', format('CHECK (%I IS NOT NULL)', new_column)
			  FROM pg_attribute a WHERE a.attrelid = rel AND a.attname = new_column AND a.attnotnull
			UNION ALL
			SELECT CASE WHEN n.contype = 'c' THEN 3 WHEN a.attnum = ANY (n.conkey) AND n.conrelid = rel THEN 4 ELSE 5 END,
				CASE WHEN n.contype = 'c' THEN 'check' WHEN a.attnum = ANY (n.conkey) AND n.conrelid = rel THEN 'foreign key' ELSE 'referencing' END,
				n.conrelid::regclass::text, n.conname, pg_get_constraintdef(n.oid)
			  FROM pg_constraint n JOIN pg_attribute a ON a.attrelid = rel AND a.attname = new_column
			 WHERE n.contype IN ('c', 'f') AND n.conparentid = 0
			   AND (n.conrelid = rel AND a.attnum = ANY (n.conkey) OR n.confrelid = rel AND a.attnum = ANY (n.confkey))
			UNION ALL
			SELECT 6, 'statistics', rel::text, s.stxname, pg_get_statisticsobjdef(s.oid)
			  FROM pg_statistic_ext s JOIN pg_attribute a ON a.attrelid = rel AND a.attname = new_column
			 WHERE s.stxrelid = rel AND a.attnum = ANY (s.stxkeys::int2[])) q;
		RAISE SQLSTATE 'P0999';
	EXCEPTION WHEN SQLSTATE 'P0999' THEN NULL;
	END;
	INSERT INTO pgxc.migration (name, kind, relation, relation_name, owner, home, columns, expressions,
		assignments_given, settings, parallel_workers, old_columns, new_column, final_column, new_type, up, downs,
		fire_triggers, phase, state)
	SELECT format('%s %s', rel, clock_timestamp()), CASE WHEN down = '!' THEN 'rename' ELSE 'transform' END, rel,
		format('%I.%I', relnamespace::regnamespace, relname),
		pg_get_userbyid(relowner), (pgxc.cluster_status()).home, ARRAY[new_column], ARRAY[coalesce(up, format('t.%I', old_column))],
		'', '{}', workers, ARRAY[old_column], new_column, new_column, 'text', coalesce(up, '='), ARRAY[down], false, 'migrate', 'paused'
	FROM pg_class WHERE oid = rel
	RETURNING id INTO m;
	INSERT INTO pgxc.piece (migration_id, no, kind, relation, old_name, new_name, definition)
	SELECT m, n, e ->> 'kind', (e ->> 'rel')::regclass, e ->> 'name', format('_pgxc_%s_%s', m, n), e ->> 'def'
	FROM jsonb_array_elements(found) WITH ORDINALITY AS q(e, n);
	RETURN m;
END $$;
};
value($node, $helper);

sub start
{
	my ($arguments) = @_;
	my $id = value($node, "SELECT build_test($arguments)");

	value($node, "SELECT pgxc.resume($id)");
	return $id;
}

# Every piece is there, valid, and marked; the migration is ready.
sub is_ready
{
	my ($id, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	wait_for_state($node, $id, 'ready', $name);
	is( value($node, "SELECT count(*) FROM pgxc.piece WHERE migration_id = $id AND NOT built"),
		'0', 'all pieces are marked as built');
	is( value($node, "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relname LIKE '\\_pgxc\\_$id\\_%' AND NOT i.indisvalid"),
		'0', 'and no index is left invalid');
	return;
}

# Until CREATE INDEX CONCURRENTLY waits for somebody.
sub wait_build
{
	my ($phase) = @_;

	wait_sql($node,
		"SELECT count(*) = 1 FROM pg_stat_progress_create_index WHERE phase LIKE '$phase%'",
		"an index build that is $phase");
	return value($node, 'SELECT pid FROM pg_stat_progress_create_index');
}

# ---- every kind -------------------------------------------------------------

mkdir $node->basedir . '/space';
value($node, "CREATE TABLESPACE space LOCATION '" . $node->basedir . "/space'");
value(
	$node, q{
	CREATE ROLE app;
	CREATE ROLE analyst;
	GRANT analyst TO app;
	GRANT CREATE ON SCHEMA public TO app;
	SET ROLE app;
	CREATE FUNCTION who(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN RETURN current_user = 'app' AND $1 <> ''; END $$;
	CREATE TABLE far (code text PRIMARY KEY);
	INSERT INTO far SELECT 'v' || i FROM generate_series(1, 3000) i;
	CREATE TABLE t (id int, a text COLLATE "C" NOT NULL UNIQUE, n int, b text COLLATE "C");
	INSERT INTO t SELECT i, 'v' || i, i FROM generate_series(1, 3000) i;
	CREATE INDEX t_plain ON t (a);
	CREATE INDEX t_partial ON t (a, n) WHERE n > 100 AND a <> 'x';
	CREATE INDEX t_expression ON t (lower(a) DESC NULLS LAST, n) WITH (fillfactor = 70);
	CREATE INDEX t_opclass ON t (a text_pattern_ops) INCLUDE (n);
	CREATE INDEX t_hash ON t USING hash (a);
	CREATE UNIQUE INDEX t_not_distinct ON t (a, n) NULLS NOT DISTINCT;
	CREATE INDEX "t Odd" ON t (a COLLATE "POSIX");
	ALTER TABLE t ADD CONSTRAINT t_check CHECK (length(a) > 1), ADD CONSTRAINT t_who CHECK (who(a)),
		ADD CONSTRAINT t_far FOREIGN KEY (a) REFERENCES far ON DELETE CASCADE,
		ADD CONSTRAINT t_self FOREIGN KEY (a) REFERENCES t (a) DEFERRABLE INITIALLY DEFERRED;
	ALTER TABLE t ADD CONSTRAINT t_not_valid CHECK (length(a) < 1000) NOT VALID;
	CREATE TABLE others (a text REFERENCES t (a) ON UPDATE CASCADE ON DELETE SET NULL);
	INSERT INTO others SELECT a FROM t WHERE id % 10 = 0;
	CREATE STATISTICS t_statistics (ndistinct) ON a, n FROM t;
	ALTER STATISTICS t_statistics SET STATISTICS 77;
	RESET ROLE;
	ALTER STATISTICS t_statistics OWNER TO analyst;
	ALTER INDEX t_plain SET TABLESPACE space;
	CREATE TABLE fired (n int);
	CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (1); RETURN NEW; END $$;
	CREATE TRIGGER fire BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION fire();
});
my $id = start("'t', 'a', 'b'");
is_ready($id, 'everything can be built');

# The same text, but for names and the column.
my $same = q{
	WITH d AS (
		SELECT p.kind, p.old_name, p.new_name,
			CASE WHEN p.kind IN ('index', 'unique') THEN pg_get_indexdef(p.old_name::regclass)
				WHEN p.kind = 'statistics' THEN pg_get_statisticsobjdef((SELECT oid FROM pg_statistic_ext WHERE stxname = btrim(p.old_name, '"')))
				ELSE (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = p.relation AND quote_ident(conname) = p.old_name) END AS old_definition,
			CASE WHEN p.kind IN ('index', 'unique') THEN pg_get_indexdef(p.new_name::regclass)
				WHEN p.kind = 'statistics' THEN pg_get_statisticsobjdef((SELECT oid FROM pg_statistic_ext WHERE stxname = p.new_name))
				ELSE (SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = p.relation AND conname = p.new_name) END AS new_definition
		FROM (SELECT migration_id, kind, relation, quote_ident(old_name) AS old_name, new_name FROM pgxc.piece) p WHERE p.migration_id = ID AND p.kind <> 'not null')
	SELECT count(*) || ' ' || count(*) FILTER (WHERE kind = 'statistics'
		OR regexp_replace(replace(old_definition, old_name, new_name), '\ma\M', 'b', 'g') = regexp_replace(new_definition, '\ma\M', 'b', 'g')) FROM d};
$same =~ s/ID/$id/;
my $result = value($node, $same);
is($result, '15 15', 'and is what the old one is') or diag(
	value($node, "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 't'::regclass"));
is( value($node, "SELECT string_agg(conname || ' ' || convalidated, ', ' ORDER BY conname) FROM pg_constraint c JOIN pgxc.piece p ON p.new_name = c.conname WHERE p.old_name = 't_not_valid'"),
	value($node, "SELECT new_name || ' false' FROM pgxc.piece WHERE migration_id = $id AND old_name = 't_not_valid'"),
	'what was not valid stays not valid');
is( value($node, "SELECT count(*) FROM pg_constraint c JOIN pgxc.piece p ON p.new_name = c.conname WHERE c.convalidated"),
	'6', 'everything else is validated');
is( value($node, "SELECT t.spcname FROM pg_class c JOIN pgxc.piece p ON p.new_name = c.relname JOIN pg_tablespace t ON t.oid = c.reltablespace WHERE p.old_name = 't_plain'"),
	'space', 'the tablespace is the old one');
is( value($node, "SELECT pg_get_userbyid(stxowner) || ' ' || stxstattarget FROM pg_statistic_ext s JOIN pgxc.piece p ON p.new_name = s.stxname"),
	'analyst 77', 'statistics have owner and target');
is( value($node, "SELECT count(DISTINCT pg_get_userbyid(c.relowner)) FROM pg_class c WHERE relname LIKE '\\_pgxc%' AND pg_get_userbyid(c.relowner) <> 'app'"),
	'0', 'indexes belong to the owner of the table');
is(value($node, 'SELECT count(*) FROM fired'), '0', 'no trigger of the table fired');
is( value($node, "SELECT verified_rows, verified_at IS NOT NULL, phase FROM pgxc.migration WHERE id = $id"),
	'3000|t|migrate', 'the row says what was verified');
is( value($node, "SELECT count(*) FROM pgxc.event WHERE migration_id = $id AND event = 'built'"),
	value($node, "SELECT count(*) FROM pgxc.piece WHERE migration_id = $id"),
	'each piece was built once');

# ---- partitions -------------------------------------------------------------

value(
	$node, q{
	CREATE TABLE p (k int NOT NULL, a text NOT NULL, b text, UNIQUE (k, a)) PARTITION BY RANGE (k);
	CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);
	CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20) PARTITION BY LIST (k);
	CREATE TABLE p2a PARTITION OF p2 FOR VALUES IN (10, 11, 12);
	CREATE TABLE p2b PARTITION OF p2 DEFAULT;
	INSERT INTO p SELECT i % 20, 'v' || i FROM generate_series(1, 4000) i;
	CREATE INDEX p_plain ON p (a DESC);
	ALTER TABLE p ADD CONSTRAINT p_check CHECK (a <> '');
});
$id = value($node, "SELECT build_test('p', 'a', 'b')");
# Somebody keeps the worker from the index of the root, and meanwhile there
# comes another partition.
my $reader = session($node);
$reader->query_safe('BEGIN; LOCK TABLE ONLY p IN ROW EXCLUSIVE MODE');
value($node, "SELECT pgxc.resume($id)");
wait_until($node,
	"SELECT wait_reason LIKE '%process % holds RowExclusiveLock%' FROM pgxc.migrations WHERE id = $id",
	'the root waits for a writer', $id);
is( value($node, "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_pgxc\\_${id}\\_1\\_%'"),
	'3', 'when the leaves have their indexes');
value($node, q{
	CREATE TABLE p3 (k int NOT NULL, a text NOT NULL CONSTRAINT p_check CHECK (a <> ''), b text);
	INSERT INTO p3 SELECT 20, 'v' || i, 'v' || i FROM generate_series(1, 100) i;
	ALTER TABLE p ATTACH PARTITION p3 FOR VALUES FROM (20) TO (30)});
$reader->query_safe('COMMIT');
is_ready($id, 'a partitioned table');
is( value($node, "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pgxc.piece q ON q.new_name = c.relname WHERE q.migration_id = $id AND q.kind = 'index'"),
	't', 'the index of the root is valid');
is( value($node, "SELECT count(*) FROM pg_partition_tree((SELECT new_name::regclass FROM pgxc.piece WHERE migration_id = $id AND kind = 'index'))"),
	'6', 'and has all its parts, that of the new partition, too');
is( value($node, "SELECT count(*) FROM pgxc.piece q JOIN pg_class c ON c.relname LIKE q.new_name || '\\_%' JOIN pg_index i ON i.indexrelid = c.oid AND i.indisunique AND i.indisvalid WHERE q.migration_id = $id AND q.kind = 'unique'"),
	'4', 'the leaves have unique indexes for contract');
is( value($node, "SELECT count(*) FROM pg_constraint c JOIN pgxc.piece q ON q.new_name = c.conname WHERE q.migration_id = $id AND c.convalidated"),
	'12', 'and all tables the checks');
$reader->quit;

# ---- rows that stand in the way ---------------------------------------------

value(
	$node, q{
	CREATE TABLE d (id int, a text, b text);
	INSERT INTO d SELECT i, 'v' || i FROM generate_series(1, 2000) i;
	CREATE UNIQUE INDEX d_a ON d (a);
	ALTER TABLE d ADD CONSTRAINT d_check CHECK (a <> 'twice');
});
$id = value($node, "SELECT build_test('d', 'a', 'b', 'CASE WHEN t.id < 3 THEN ''twice'' ELSE t.a END')");
value($node, "SELECT pgxc.resume($id)");
wait_for_state($node, $id, 'attention', 'duplicate rows need a person');
is( value($node, "SELECT state_reason || ' / ' || last_error_code FROM pgxc.migration WHERE id = $id"),
	'cannot build unique index "d_a" on the new column, see last_error / 23505', 'and the reason is told');
is(value($node, "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_pgxc\\_${id}\\_%'"),
	'0', 'the invalid index is gone');
value($node, "UPDATE d SET b = 'twice ' || id, a = a || ' ' WHERE id = 1");
value($node, "UPDATE pgxc.migration SET expressions = ARRAY['CASE WHEN t.id < 3 THEN t.b ELSE t.a END'] WHERE id = $id");
value($node, "SELECT pgxc.retry($id)");
wait_for_state($node, $id, 'attention', 'the check finds the other one');
is( value($node, "SELECT state_reason || ' / ' || last_error_code FROM pgxc.migration WHERE id = $id"),
	'cannot validate constraint "d_check" on the new column, see last_error / 23514', 'and the reason is told');
value($node, "UPDATE d SET b = 'once' WHERE id = 2");
value($node, "SELECT pgxc.retry($id)");
is_ready($id, 'mended, it becomes ready');

# ---- values that would be lost ----------------------------------------------

value(
	$node, q{
	CREATE TABLE l (id int PRIMARY KEY, a numeric, b double precision);
	INSERT INTO l SELECT i, i + 0.50 FROM generate_series(1, 2000) i;
	UPDATE l SET a = 12345678901234567890.123 WHERE id = 1234;
});
$id = value($node, "SELECT build_test('l', 'a', 'b', NULL, '=')");
value($node, "SELECT pgxc.resume($id)");
wait_for_state($node, $id, 'attention', 'a value that does not come back needs a person');
is( value($node, "SELECT key, sqlstate, message FROM pgxc.row_errors WHERE migration_id = $id"),
	'{"id": 1234}|22000|value would be lost on the way back (What the old column would get from the new one is not what it holds.)',
	'the row is named, and its value is not');
value($node, 'UPDATE l SET a = 1 WHERE id = 1234');
value($node, "SELECT pgxc.retry($id)");
is_ready($id, 'without it the migration becomes ready, other scales notwithstanding');

# ---- held up in the middle --------------------------------------------------

value(
	$node, q{
	CREATE TABLE h (id int PRIMARY KEY, a text NOT NULL, b text);
	INSERT INTO h SELECT i, 'v' || i FROM generate_series(1, 20000) i;
	CREATE UNIQUE INDEX h_a ON h (a);
	CREATE INDEX h_lower ON h (lower(a));
});
my $old = session($node);
my $hold = sub { $old->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM far LIMIT 1') };

$hold->();
$id = start("'h', 'a', 'b', workers => 2");
my $builder = wait_build('waiting for old');
is(value($node, "SELECT count(*) FROM pgxc.live_workers() WHERE activity = 'building'"),
	'1', 'of two workers one builds');
is(value($node, 'SELECT count(*) FROM pg_stat_progress_create_index'), '1', 'and only one');
my $before = time;
value($node, "SELECT pgxc.pause($id)");
cmp_ok(time - $before, '<', 2, 'pause() does not wait for the build');
wait_no_worker($node);
is(value($node, "SELECT state, last_error FROM pgxc.migration WHERE id = $id"),
	'paused|', 'it is paused, and this is no error');
is(value($node, "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_pgxc\\_${id}\\_%'"),
	'0', 'and the unfinished index is gone');

value($node, "SELECT pgxc.resume($id)");
$builder = wait_build('waiting for old');
value($node, "SELECT pg_cancel_backend($builder)");
wait_for_state($node, $id, 'paused', 'an administrator who cancels the statement means pause, too');

$old->quit;
value($node, "SELECT pgxc.resume($id)");
is_ready($id, 'resumed, it becomes ready');

for my $what ('worker', 'postmaster')
{
	value(
		$node, qq{
		CREATE TABLE k_$what (id int PRIMARY KEY, a text NOT NULL, b text);
		INSERT INTO k_$what SELECT i, 'v' || i FROM generate_series(1, 2000) i;
		CREATE UNIQUE INDEX k_${what}_a ON k_$what (a);
		CREATE INDEX k_${what}_lower ON k_$what (lower(a));
	});
	$old = session($node);
	$hold->();
	$id = start("'k_$what', 'a', 'b'");
	$builder = wait_build('waiting for old');
	if ($what eq 'worker')
	{
		kill 9, $builder;
		# All sessions end, and who held it up with them.
		wait_sql($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $builder", 'the crash');
	}
	else
	{
		kill_postmaster($node);
		$node->start;
	}
	is_ready($id, "after a crash of the $what in the middle of a build it becomes ready");
	is( value($node, "SELECT count(*) FROM pg_index WHERE indrelid = 'k_$what'::regclass"),
		'5', 'with as many indexes as there should be');
	like(slurp_file($node->logfile), qr/database system was interrupted/, 'it was a crash');
}

# ---- rolled back by its user, who changes his mind ---------------------------

value($node, 'CREATE TABLE r (id int, a text, b text); INSERT INTO r VALUES (1, $$x$$); CREATE INDEX r_a ON r (a)');
$old = session($node);
$hold->();
$id = start("'r', 'a', 'b'");
wait_build('waiting for old');
my $control = session($node);
$control->query_safe("BEGIN; SELECT pgxc.pause($id)");
wait_sql($node, 'SELECT count(*) = 0 FROM pg_stat_progress_create_index', 'the build to end');
$control->query_safe('ROLLBACK');
wait_build('waiting for old');
$old->query_safe('COMMIT');
is_ready($id, 'a pause that is rolled back does not stop the migration');
$control->quit;

# ---- a database that is dropped ----------------------------------------------

value($node, 'CREATE DATABASE gone');
$node->safe_psql('gone', "CREATE EXTENSION pgxc; $helper");
$node->safe_psql('gone', 'CREATE TABLE r (id int, a text, b text); INSERT INTO r VALUES (1, $$x$$); CREATE INDEX r_a ON r (a)');
# A prepared writer holds it up.
$id = $node->safe_psql('gone', "SELECT build_test('r', 'a', 'b')");
$node->safe_psql('gone', "BEGIN; UPDATE r SET id = id WHERE false; PREPARE TRANSACTION 'writer'");
$node->safe_psql('gone', "SELECT pgxc.resume($id)");
wait_sql($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = 'gone' AND query LIKE '%build index \"r_a\"%' AND wait_event_type = 'Lock'",
	'an index build in the other database');
$before = time;
my ($code, undef, $err) = $node->psql('postgres', 'ALTER DATABASE gone RENAME TO still_here');
like($err, qr/There is 1 prepared transaction using the database/,
	'who wants the database for himself finds no worker there');
cmp_ok(time - $before, '<', 9, 'soon');
$node->safe_psql('gone', "COMMIT PREPARED 'writer'");
$node->poll_query_until('gone', "SELECT state = 'ready' FROM pgxc.migration");
is($node->safe_psql('gone', 'SELECT state FROM pgxc.migration'), 'ready', 'and the build goes on afterwards');

# ---- nobody queues ----------------------------------------------------------

value($node, q{
	CREATE TABLE q (id int, a text, b text);
	INSERT INTO q SELECT i, 'v' || i FROM generate_series(1, 100) i;
	ALTER TABLE q ADD CONSTRAINT q_check CHECK (a <> '');
});
$reader = session($node);
$id = value($node, "SELECT build_test('q', 'a', 'b')");
$reader->query_safe('BEGIN; SELECT count(*) FROM q');
value($node, "SELECT pgxc.resume($id)");
wait_until($node,
	"SELECT wait_reason LIKE '%process % holds AccessShareLock%' FROM pgxc.migrations WHERE id = $id",
	'who is in the way is told', $id);
my $slow = 0;
for my $i (1 .. 30)
{
	$before = time;
	value($node, "UPDATE q SET id = id WHERE id = $i");
	# The worker waits for a tenth of a second, whoever queues would for ever.
	$slow++ if time - $before > 2;
}
is($slow, 0, 'and nobody queues behind the worker');
$reader->query_safe('COMMIT');
is_ready($id, 'the constraint is there when the reader has gone');
$reader->quit;

unlike(slurp_file($node->logfile), qr/PANIC|TRAP|signal 11|signal 6|still active|still referenced/,
	'nothing is wrong in the log');
$node->stop;

# ---- in the foreground, without preload ---------------------------------------

$node = new_node('foreground', preload => 0);
value($node, $helper);
value(
	$node, q{
	CREATE TABLE f (id int, a text, b text);
	INSERT INTO f SELECT i, 'v' || i FROM generate_series(1, 2000) i;
	CREATE FUNCTION careful(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
		BEGIN IF $1 = 'bad' THEN RAISE 'bad value'; END IF; RETURN upper($1); END $$;
	CREATE INDEX f_a ON f (a);
	CREATE INDEX f_careful ON f (careful(a));
	ALTER TABLE f ADD CONSTRAINT f_check CHECK (a <> '');
});
$id = value($node, "SELECT build_test('f', 'a', 'b', 'CASE WHEN t.id = 7 THEN ''bad'' ELSE t.a END')");
value($node, "SELECT pgxc.resume($id)");

# A session goes through an error inside of a build, and comes out as it was.
my ($status, $out, $errors) = $node->psql(
	'postgres', qq{
	SET search_path = pg_temp, public; SET lock_timeout = '7s';
	CALL pgxc.run($id);
	SHOW search_path; SHOW lock_timeout;
	SELECT count(*) FROM pg_locks WHERE pid = pg_backend_pid()
		AND locktype <> 'virtualxid' AND relation IS DISTINCT FROM 'pg_locks'::regclass;
	BEGIN; SELECT count(*) FROM f; COMMIT;
}, on_error_stop => 0);
is($out, "pg_temp, public\n7s\n0\n2000", 'settings and locks are as they were');
like($errors, qr/stopped: it is attention/, 'the error inside of the build ends the CALL');
unlike($errors, qr/WARNING/, 'without a warning');
is( value($node, "SELECT state_reason || ': ' || last_error FROM pgxc.migration WHERE id = $id"),
	'cannot build index "f_careful" on the new column, see last_error: bad value', 'it is told why');
is(value($node, "SELECT count(*) FROM pg_class WHERE relname LIKE '\\_pgxc\\_${id}\\_%'"),
	'1', 'and only the other index is there');

value($node, "UPDATE pgxc.migration SET expressions = ARRAY['t.a'] WHERE id = $id; UPDATE f SET b = a WHERE id = 7");
value($node, "SELECT pgxc.retry($id)");
($status, $out, $errors) = $node->psql('postgres', "DO \$\$ BEGIN CALL pgxc.run($id); END \$\$");
like($errors, qr/cannot run migration .* from inside another procedure/,
	'a procedure cannot call it: an index build would end its transaction');

# With the extended protocol the statement's plan is the portal's.
my $script = $node->basedir . '/run.sql';
append_to_file($script, "CALL pgxc.run($id);\nSELECT 1;\n");
$node->command_ok([ 'pgbench', '-n', '-M', 'prepared', '-t', '2', '-f', $script, 'postgres' ],
	'CALL pgxc.run() builds everything, and does nothing when it is ready');
is_ready($id, 'it is ready');
unlike(slurp_file($node->logfile), qr/WARNING|PANIC|TRAP|signal 11|signal 6/, 'nothing is wrong in the log');
$node->stop;
done_testing();
