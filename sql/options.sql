-- Options out of range, at both ends; nothing is started by any of these.
CREATE TABLE opt (a integer, b integer);
SELECT pgxc.start_backfill('opt', 'b = a', target_chunk_ms => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', target_chunk_ms => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', target_chunk_ms => 2001); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_duty => 0.019); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_duty => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_duty => 1.01); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_duty => 'NaN'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_duty => '-Infinity'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', parallel_workers => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', parallel_workers => 17); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_rows_per_second => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_rows_per_second => 1000000001); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_wal_rate => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_wal_rate => 1000000001); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', passes => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', passes => 65); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_row_errors => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', max_row_errors => 9223372036854775807); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', throttle_function => 'no_such_function'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', throttle_function => 'opt.no_such_function'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', throttle_function => 'a.b.c.d'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', throttle_function => '"'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', throttle_function => 'now(); DROP TABLE opt'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('opt', 'b = a', throttle_function => 'x', dry_run => true); \echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM pgxc.migrations WHERE relation = 'opt';

-- Both ends of each range are allowed.  NULL is the default, and 0 no cap.
CREATE FUNCTION opt_throttle(OUT level integer, OUT reason text) LANGUAGE sql AS $$ SELECT 0, 'none' $$;
BEGIN;
SELECT FROM pgxc.start_backfill('opt', 'b = a', name => 'least', target_chunk_ms => 1, max_duty => 0.02, parallel_workers => 1,
	max_rows_per_second => 1, max_wal_rate => 1, passes => 1, max_row_errors => 0, throttle_function => 'public.opt_throttle');
SELECT pgxc.cancel('least');
SELECT FROM pgxc.start_backfill('opt', 'b = a', name => 'most', target_chunk_ms => 2000, max_duty => 1, parallel_workers => 16,
	max_rows_per_second => 1000000000, max_wal_rate => 1000000000, passes => 64, max_row_errors => 1000000000000000);
SELECT pgxc.cancel('most');
SELECT FROM pgxc.start_backfill('opt', 'b = a', name => 'none', target_chunk_ms => NULL, max_duty => NULL, parallel_workers => NULL,
	max_rows_per_second => 0, max_wal_rate => 0, passes => NULL, max_row_errors => NULL, throttle_function => '', dry_run => NULL);
SELECT name, target_chunk_ms, max_duty, parallel_workers, max_rows_per_second, max_wal_rate, passes, max_row_errors, throttle_function
  FROM pgxc.migration WHERE relation = 'opt'::regclass ORDER BY id;

-- The same for alter_migration, where 0 goes back to the default.
SAVEPOINT s;
SELECT pgxc.alter_migration('none', target_chunk_ms => -1); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', max_duty => 0.01); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', parallel_workers => 0); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', max_rows_per_second => -1); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', passes => 65); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', max_row_errors => -1); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', throttle_function => 'no_such_function'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('no such migration', passes => 1); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration(NULL::text, passes => 1); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT pgxc.alter_migration('none', throttle_function => 'opt_throttle', max_wal_rate => 5, max_duty => 0.5);
SELECT pgxc.alter_migration('none', throttle_function => '', max_wal_rate => 0);
SELECT max_duty, max_wal_rate, throttle_function FROM pgxc.migration WHERE name = 'none';
SELECT event, detail FROM helper.history('none') WHERE event = 'parameter';
ROLLBACK;

-- A throttle function is the owner's own signal: level 1 slows down, 2 stops.
CREATE TABLE opt_level (level integer);
INSERT INTO opt_level VALUES (2);
CREATE OR REPLACE FUNCTION opt_throttle(OUT level integer, OUT reason text) LANGUAGE sql AS $$ SELECT level, 'it is lunch time' FROM public.opt_level $$;
INSERT INTO opt SELECT g, 0 FROM generate_series(1, 20000) g;
SELECT FROM pgxc.start_backfill('opt', 'b = a', name => 'lunch', throttle_function => 'opt_throttle');
CALL helper.until_reason('lunch', 'stopped by%');
SELECT state, wait_reason FROM pgxc.migrations WHERE name = 'lunch';
SELECT signal, value, unit, soft_limit, hard_limit, level, detail FROM pgxc.signals WHERE migration = 'lunch' AND signal = 'throttle_function';
SELECT event, detail FROM pgxc.events WHERE migration = 'lunch' AND event = 'throttle' AND detail LIKE '%throttle_function%';
SELECT phase, throttle_signal, throttle_value, throttle_limit FROM pgxc.progress_backfill WHERE migration = 'lunch';
SELECT pgxc.alter_migration('lunch', throttle_function => '');
SELECT pgxc.pause('lunch');
SELECT pgxc.resume('lunch');
CALL pgxc.wait('lunch');
SELECT count(*) FROM opt WHERE b = a;

-- A cap holds, also while others keep waking the workers up.
CREATE TABLE opt_other (a integer);
SELECT FROM pgxc.start_backfill('opt', 'b = -a', name => 'capped', max_rows_per_second => 1);
CALL helper.until_reason('capped', 'held to its cap%');
SELECT rows_updated FROM pgxc.migrations WHERE name = 'capped' \gset
CREATE PROCEDURE opt_wake() LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 10 LOOP
		PERFORM pgxc.start_backfill('opt_other', 'a = 1', name => 'other ' || i);
		COMMIT;
		CALL pgxc.wait('other ' || i);
	END LOOP;
END $$;
CALL opt_wake();
SELECT rows_updated = :rows_updated AS held FROM pgxc.migrations WHERE name = 'capped';
-- Lifting it takes effect at once.
SELECT pgxc.alter_migration('capped', max_rows_per_second => 0);
CALL pgxc.wait('capped');
SELECT count(*) FROM opt WHERE b = -a;
DROP TABLE opt, opt_level, opt_other;
DROP FUNCTION opt_throttle;
DROP PROCEDURE opt_wake;
