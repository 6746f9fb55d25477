-- start_ is an ordinary function: part of the caller's transaction.
CREATE TABLE tx (a integer, b integer);
INSERT INTO tx SELECT g, 0 FROM generate_series(1, 3000) g;

-- ROLLBACK leaves no trace.
BEGIN;
SELECT FROM pgxc.start_backfill('tx', 'b = a', name => 'rolled back');
SELECT name, state FROM pgxc.migrations WHERE relation = 'tx';
SELECT event, to_state FROM helper.history('rolled back');
ROLLBACK;
SELECT count(*) FROM pgxc.migrations WHERE relation = 'tx';
SELECT count(*) FROM pgxc.events WHERE migration = 'rolled back';
SELECT count(*) FROM tx WHERE b <> 0;

-- A savepoint, likewise.
BEGIN;
SAVEPOINT s;
SELECT FROM pgxc.start_backfill('tx', 'b = a', name => 'savepoint');
ROLLBACK TO s;
SELECT FROM pgxc.start_backfill('tx', 'b = a + 1', name => 'savepoint');
COMMIT;
CALL pgxc.wait('savepoint');
SELECT count(*) FROM tx WHERE b = a + 1;

-- Twice in one transaction; and a table that is made in the same one.
BEGIN;
CREATE TABLE tx_new (a integer, b integer);
INSERT INTO tx_new SELECT g, 0 FROM generate_series(1, 3000) g;
SELECT FROM pgxc.start_backfill('tx_new', 'b = a', name => 'twice');
SELECT FROM pgxc.start_backfill('tx_new', 'b = a', name => 'twice');
ALTER TABLE tx_new ADD c integer;
SELECT FROM pgxc.start_backfill('tx_new', 'c = a', name => 'new column');
COMMIT;
CALL pgxc.wait('twice');
CALL pgxc.wait('new column');
SELECT count(*) FROM tx_new WHERE b = a AND c = a;

-- Within a function and a DO block.
CREATE FUNCTION tx_start(name text) RETURNS bigint LANGUAGE plpgsql
	AS $$ BEGIN RETURN pgxc.start_backfill('tx', 'b = -a', name => tx_start.name); END $$;
SELECT FROM tx_start('function');
CALL pgxc.wait('function');
SELECT count(*) FROM tx WHERE b = -a;
DO $$ BEGIN PERFORM pgxc.start_backfill('tx', 'b = a + 7', name => 'do'); END $$;
CALL pgxc.wait('do');
SELECT count(*) FROM tx WHERE b = a + 7;
-- An error that is caught takes it back.
DO $$
BEGIN
	PERFORM pgxc.start_backfill('tx', 'b = 0', name => 'caught');
	RAISE EXCEPTION 'x';
EXCEPTION WHEN raise_exception THEN NULL;
END $$;
SELECT count(*) FROM pgxc.migrations WHERE name = 'caught';

-- Waiting and running inside a transaction would never end, and is refused.
SELECT FROM pgxc.start_backfill('tx', 'b = a', name => 'waited for');
CALL pgxc.wait('waited for');
BEGIN;
CALL pgxc.wait('waited for'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;
BEGIN;
CALL pgxc.run('waited for'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;
\set VERBOSITY sqlstate
DO $$ BEGIN BEGIN CALL pgxc.wait('waited for'); EXCEPTION WHEN no_data_found THEN NULL; END; END $$;
CREATE FUNCTION tx_wait() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL pgxc.wait('waited for'); END $$;
SELECT tx_wait();
CREATE FUNCTION tx_run() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CALL pgxc.run('waited for'); END $$;
SELECT tx_run();
\set VERBOSITY default
-- A procedure, or a DO block outside of a transaction, may.
DO $$ BEGIN CALL pgxc.wait('waited for'); END $$;
CREATE PROCEDURE tx_release() LANGUAGE plpgsql AS $$
BEGIN
	PERFORM pgxc.start_backfill('tx', 'b = a * 5', name => 'release');
	COMMIT;
	CALL pgxc.wait('release');
	PERFORM pgxc.assert_done('release');
END $$;
CALL tx_release();
SELECT count(*) FROM tx WHERE b = a * 5;

-- A prepared transaction has no session that could wake the workers.
BEGIN;
SELECT FROM pgxc.start_backfill('tx', 'b = a * 6', name => 'prepared');
PREPARE TRANSACTION 'pgxc'; \echo :LAST_ERROR_SQLSTATE
SELECT count(*) FROM pgxc.migrations WHERE name = 'prepared';

-- Stricter isolation levels and a read-only transaction.
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT FROM pgxc.start_backfill('tx', 'b = a * 8', name => 'serializable');
COMMIT;
CALL pgxc.wait('serializable');
SELECT count(*) FROM tx WHERE b = a * 8;
BEGIN READ ONLY;
\set VERBOSITY terse
SELECT FROM pgxc.start_backfill('tx', 'b = a * 9', name => 'read only'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
ROLLBACK;
SET default_transaction_isolation = 'repeatable read';
SELECT FROM pgxc.start_backfill('tx', 'b = a * 10', name => 'repeatable read');
CALL pgxc.wait('repeatable read');
RESET default_transaction_isolation;
SELECT count(*) FROM tx WHERE b = a * 10;

-- The verbs are undone, too.
SELECT FROM pgxc.start_backfill('tx', 'b = a', name => 'verbs', max_rows_per_second => 1);
CALL helper.until_state('verbs', 'running');
BEGIN;
SELECT pgxc.pause('verbs');
SELECT pgxc.cancel('verbs');
ROLLBACK;
SELECT state FROM pgxc.migrations WHERE name = 'verbs';
SELECT pgxc.cancel('verbs');

DROP TABLE tx, tx_new;
DROP FUNCTION tx_start, tx_wait, tx_run;
DROP PROCEDURE tx_release;
