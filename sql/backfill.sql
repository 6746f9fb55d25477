-- The ordinary life of a backfill, from start to proof.
CREATE SCHEMA bf;

-- A table without any key.
CREATE TABLE bf.plain (a integer, b integer, c text);
INSERT INTO bf.plain SELECT g, NULL, 'Text ' || g FROM generate_series(1, 20000) g;
SELECT pgxc.start_backfill('bf.plain', 'b = a * 2, c = lower(c)', name => 'plain') > 0 AS started;
CALL pgxc.wait('plain');
SELECT count(*), count(*) FILTER (WHERE b = a * 2 AND c = 'text ' || a) AS good FROM bf.plain;
SELECT name, kind, relation, columns, phase, state, step, percent, rows_updated, rows_per_second, eta,
	   wait_reason, last_error, next_step, row_errors, wal_bytes > 0 AS wal,
	   started_at >= created_at AS started, finished_at >= started_at AS finished
  FROM pgxc.migrations WHERE name = 'plain' \gx
SELECT * FROM helper.history('plain');
SELECT count(*) FROM pgxc.progress_backfill WHERE migration = 'plain';
SELECT count(*) FROM pgxc.row_errors WHERE migration = 'plain';
-- The checkpoints: each row was updated once, and read once.
SELECT rows_updated, rows_verified, mismatches, gone, blocks_done = end_block AS all_blocks
  FROM pgxc.leaf WHERE migration_id = (SELECT id FROM pgxc.migrations WHERE name = 'plain');
SELECT count(*) FROM pgxc.stripe WHERE migration_id = (SELECT id FROM pgxc.migrations WHERE name = 'plain');

-- A composite key, several indexes, one of them on an assigned column, holes,
-- rows that are done already, and a predicate.
CREATE TABLE bf.keyed (x integer, y integer, v text, w text, PRIMARY KEY (x, y));
CREATE INDEX ON bf.keyed (v);
CREATE INDEX ON bf.keyed (w);
INSERT INTO bf.keyed SELECT g % 100, g, 'v' || g, CASE WHEN g % 3 = 0 THEN 'done' END FROM generate_series(1, 15000) g;
DELETE FROM bf.keyed WHERE y BETWEEN 4000 AND 8000;
VACUUM bf.keyed;
SELECT FROM pgxc.start_backfill('bf.keyed', 'w = upper(v)', 'w IS NULL', 'keyed', parallel_workers => 2);
CALL pgxc.wait('keyed');
SELECT w = 'done' AS was_done, count(*), count(*) FILTER (WHERE w = 'V' || y) AS updated FROM bf.keyed GROUP BY 1 ORDER BY 1;
SELECT percent, rows_updated, phase FROM pgxc.migrations WHERE name = 'keyed';
-- The indexes agree with the heap.
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SELECT count(*) FROM bf.keyed WHERE w BETWEEN 'V' AND 'W';
RESET enable_seqscan;
RESET enable_bitmapscan;

-- An empty table, and a table of one row.
CREATE TABLE bf.empty (a integer);
CREATE TABLE bf.one (a integer);
INSERT INTO bf.one VALUES (1);
SELECT FROM pgxc.start_backfill('bf.empty', 'a = 0', name => 'empty');
SELECT FROM pgxc.start_backfill('bf.one', 'a = 0', name => 'one');
CALL pgxc.wait('empty');
CALL pgxc.wait('one');
SELECT name, phase, percent, rows_updated FROM pgxc.migrations WHERE name IN ('empty', 'one') ORDER BY name;
SELECT * FROM bf.one;

-- Rows larger than a page.
CREATE TABLE bf.wide (id integer, t text, u text);
ALTER TABLE bf.wide ALTER t SET STORAGE EXTERNAL;
INSERT INTO bf.wide SELECT g, repeat(md5(g::text), 32768) FROM generate_series(1, 5) g;
SELECT FROM pgxc.start_backfill('bf.wide', 'u = t', name => 'wide');
CALL pgxc.wait('wide');
SELECT id, length(u), u = t AS same FROM bf.wide ORDER BY id;

-- The name is made of table and columns if it is left out.
SELECT FROM pgxc.start_backfill('bf.one', 'a = 2');
CALL pgxc.wait('backfill bf.one.a');

-- The same name: the same definition is no error, another one is.
SELECT pgxc.start_backfill('bf.plain', 'b = a * 2, c = lower(c)', name => 'plain')
	   = (SELECT id FROM pgxc.migrations WHERE name = 'plain') AS same_id;
SELECT pgxc.start_backfill('bf.plain', ' b=a*2 ,c=lower( c ) -- spaces do not matter', name => 'plain') > 0 AS same;
\set VERBOSITY terse
SELECT pgxc.start_backfill('bf.plain', 'b = a * 3, c = lower(c)', name => 'plain'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('bf.plain', 'b = a * 2', name => 'plain'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('bf.plain', 'b = a * 2, c = lower(c)', 'b IS NULL', 'plain'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('bf.one', 'a = 2', name => 'plain'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT count(*) FROM helper.history('plain');

-- Afterwards: nothing to wait for, and the next release may rely on it.
CALL pgxc.wait('plain');
CALL pgxc.run('plain');
SELECT pgxc.assert_done('plain');

-- What would happen, without anything happening.
ANALYZE bf.plain;
SELECT pgxc.start_backfill('bf.plain', 'b = a + 1', name => 'dry', dry_run => true);
SELECT count(*) FROM pgxc.migrations WHERE name = 'dry';
CREATE FUNCTION bf.touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE TRIGGER touch BEFORE UPDATE ON bf.keyed FOR EACH ROW EXECUTE FUNCTION bf.touched();
ANALYZE bf.keyed;
SELECT step, action, lock, duration, regexp_replace(detail, '[0-9]+ (MB|kB|bytes|s)\M', 'N \1', 'g') AS detail
  FROM pgxc.plan('keyed');
SELECT action FROM pgxc.plan((SELECT id FROM pgxc.migrations WHERE name = 'keyed')) WHERE step = 4;

-- Pause, resume, cancel.
CREATE TABLE bf.slow AS SELECT g AS a, 0 AS b FROM generate_series(1, 20000) g;
SELECT id AS slow FROM pgxc.start_backfill('bf.slow', 'b = a', name => 'slow', max_rows_per_second => 1) AS id \gset
CALL helper.until_state('slow', 'running');
SELECT pgxc.pause(:slow);
SELECT count(*) FILTER (WHERE b = a) < count(*) AS unfinished FROM bf.slow;
SELECT state, wait_reason, regexp_replace(next_step, '\d+', 'N') AS next_step FROM pgxc.migrations WHERE id = :slow;
-- What waits for a paused migration is told, and goes on.
\set VERBOSITY terse
CALL pgxc.wait(:slow);
\set VERBOSITY default
SELECT pgxc.alter_migration(:slow, max_rows_per_second => 0, target_chunk_ms => 50, max_duty => 1, parallel_workers => 2, passes => 4, max_row_errors => 7);
SELECT target_chunk_ms, max_duty, parallel_workers, max_rows_per_second, max_wal_rate, passes, max_row_errors, throttle_function
  FROM pgxc.migration WHERE id = :slow;
SELECT pgxc.alter_migration('slow', target_chunk_ms => 0, max_duty => 0, passes => 0);
SELECT target_chunk_ms, max_duty, parallel_workers, max_rows_per_second, max_wal_rate, passes, max_row_errors, throttle_function
  FROM pgxc.migration WHERE id = :slow;
SELECT pgxc.resume('slow');
CALL pgxc.wait(:slow);
SELECT count(*) FILTER (WHERE b = a) FROM bf.slow;
SELECT * FROM helper.history('slow');
-- Too late.
SELECT pgxc.alter_migration('slow', passes => 1); \echo :LAST_ERROR_SQLSTATE

SELECT FROM pgxc.start_backfill('bf.slow', 'b = -a', name => 'slower', max_rows_per_second => 1);
CALL helper.until_reason('slower', 'held to its cap%');
SELECT state, wait_reason, percent BETWEEN 0 AND 90 AS percent FROM pgxc.migrations WHERE name = 'slower';
SELECT phase, blocks_total > 0 AS blocks_total, blocks_done < blocks_total AS blocks_left, tuples_updated > 0 AS updated, chunks_done > 0 AS chunks,
	   bytes_wal > 0 AS wal, current_pass <= passes AS passes, busy_time > 0 AS busy, wait_reason
  FROM pgxc.progress_backfill WHERE migration = 'slower';
SELECT a.backend_type, a.application_name, regexp_replace(a.query, '\d+ blocks', 'N blocks') AS query
  FROM pg_stat_activity a JOIN pgxc.progress_backfill p USING (pid) WHERE migration = 'slower';
SELECT signal, unit FROM pgxc.signals WHERE migration = 'slower' ORDER BY 1;
-- The second one of a table waits for the first.
SELECT FROM pgxc.start_backfill('bf.slow', 'a = abs(a)', name => 'after slower');
SELECT state, wait_reason FROM pgxc.migrations WHERE name = 'after slower';
-- Whoever waits may limit it.
\set VERBOSITY sqlstate
CALL pgxc.wait('after slower', '0.1 s');
CALL pgxc.wait('after slower', '-1 s');
CALL pgxc.wait('after slower', '0');
\set VERBOSITY default
SELECT pgxc.cancel('slower');
CALL pgxc.wait('slower'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
SELECT pgxc.assert_done('slower'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
CALL pgxc.wait('after slower');
CALL pgxc.run('slower'); \echo :LAST_ERROR_SQLSTATE
SELECT count(*) FILTER (WHERE b = -a) < count(*) AS rows_stay FROM bf.slow;

-- In this session instead of a worker.  No worker takes it, as there is an
-- older one of the same table, which its cap keeps running.
SELECT FROM pgxc.start_backfill('bf.slow', 'a = a + 100000', 'a < 100000', 'older', max_rows_per_second => 1);
CALL helper.until_state('older', 'running');
SELECT FROM pgxc.start_backfill('bf.slow', 'b = 7', name => 'foreground');
CALL pgxc.run('foreground');
SELECT count(*) FILTER (WHERE b = 7) FROM bf.slow;
SELECT pgxc.assert_done('foreground');
SELECT from_state, to_state, detail FROM helper.history('foreground') WHERE event = 'transition';
-- What goes wrong is an error here, too.
SELECT FROM pgxc.start_backfill('bf.slow', 'b = b * 2', name => 'foreground never');
CALL pgxc.run('foreground never'); \echo :LAST_ERROR_SQLSTATE
SELECT state, regexp_replace(last_error, '\d+ of \d+', 'N of N') AS last_error FROM pgxc.migrations WHERE name = 'foreground never';
SELECT pgxc.cancel('foreground never');
BEGIN;
SELECT FROM pgxc.start_backfill('bf.slow', 'b = 8', name => 'foreground paused');
SELECT pgxc.pause('foreground paused');
COMMIT;
CALL pgxc.run('foreground paused'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.cancel('foreground paused');
-- One that a worker has is the worker's.
\set VERBOSITY sqlstate
CALL pgxc.run('older');
\set VERBOSITY default
SELECT pgxc.cancel('older');
\set VERBOSITY terse
DROP SCHEMA bf CASCADE;
