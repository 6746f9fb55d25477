-- Heavy locks, politely, as one session sees it: see race_lock_queue for the
-- rest.  Who is in the way here is a prepared transaction.
CREATE SCHEMA queue;
CREATE TABLE queue.a (id integer);
CREATE TABLE queue.b (id integer);
CREATE TABLE queue."It's" (id integer);
CREATE TABLE queue.busy (id integer);

CREATE FUNCTION queue.lock(tables regclass[], mode text, what text DEFAULT 'test it') RETURNS void
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_lock';
CREATE FUNCTION queue.try(tables regclass[], mode text) RETURNS text
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_lock_try';
CREATE VIEW queue.held AS
	SELECT relation::regclass::text AS relation, mode FROM pg_locks
	 WHERE pid = pg_backend_pid() AND granted AND locktype = 'relation'
	   AND relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'queue'::regnamespace AND relkind = 'r')
	 ORDER BY 1, 2;
-- The error without what differs from run to run.
CREATE FUNCTION queue.error(tables regclass[], mode text, what text DEFAULT 'test it') RETURNS text
	LANGUAGE plpgsql AS $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM queue.lock(tables, mode, what);
	RETURN 'locked';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN format(E'%s %s\nDETAIL: %s\nHINT: %s', SQLSTATE, SQLERRM,
				  regexp_replace(detail, '[0-9.]+ s\y', 'N s', 'g'), hint);
END $$;

-- Nobody is in the way: the locks are had, until the end of the transaction.
BEGIN;
SELECT queue.lock('{queue.a,queue.b}', 'AccessExclusiveLock');
SELECT * FROM queue.held;
COMMIT;
SELECT * FROM queue.held;
BEGIN;
SELECT queue.try('{queue.a,queue.b}', 'ShareRowExclusiveLock') IS NULL AS had;
SELECT * FROM queue.held;
ROLLBACK;
SELECT * FROM queue.held;

-- Within a function, a DO block, and beside a table that the query reads.
BEGIN;
SELECT queue.error('{queue.a}', 'ShareLock');
DO $$ BEGIN PERFORM queue.lock('{queue.b}', 'ExclusiveLock'); END $$;
SELECT queue.lock(array_agg(c.oid::regclass), 'ShareUpdateExclusiveLock')
  FROM pg_class c WHERE c.oid = 'queue.busy'::regclass;
SELECT * FROM queue.held;
COMMIT;

-- Between the transactions of a procedure.
DO $$ BEGIN
	PERFORM queue.lock('{queue.a}', 'AccessExclusiveLock');
	COMMIT;
	RAISE NOTICE 'held: %', (SELECT count(*) FROM queue.held);
	PERFORM queue.lock('{queue.a}', 'AccessExclusiveLock');
	RAISE NOTICE 'held: %', (SELECT count(*) FROM queue.held);
END $$;

-- A savepoint takes them back.
BEGIN;
SELECT queue.lock('{queue.a}', 'ShareLock');
SAVEPOINT s;
SELECT queue.lock('{queue.a,queue.b}', 'AccessExclusiveLock');
SELECT * FROM queue.held;
ROLLBACK TO s;
SELECT * FROM queue.held;
SAVEPOINT s;
SELECT queue.lock('{queue.b}', 'AccessExclusiveLock');
RELEASE s;
SELECT * FROM queue.held;
COMMIT;

-- Nothing to lock, no such mode, no such table.
SELECT queue.lock('{}', 'AccessExclusiveLock');
SELECT queue.lock('{queue.a}', 'ACCESS EXCLUSIVE'); \echo :LAST_ERROR_SQLSTATE
BEGIN;
SAVEPOINT s;
SELECT queue.lock('{queue.a,1}', 'AccessExclusiveLock'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK TO s;
SELECT queue.error('{queue.a,1}', 'AccessExclusiveLock');
SELECT queue.try('{queue.a,1}', 'AccessExclusiveLock'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Somebody is in the way of the second: after so many tries an error that says
-- who it is, and no lock of that call is left; but those taken before are.
BEGIN;
LOCK TABLE queue.busy IN SHARE MODE;
LOCK TABLE queue.busy, queue."It's" IN ROW EXCLUSIVE MODE;
PREPARE TRANSACTION 'regress_pgxc_queue';

SET pgxc.ddl_lock_timeout = '2ms';
SET pgxc.ddl_lock_retries = 2;
BEGIN;
SELECT queue.lock('{queue.b}', 'ShareLock');
SELECT queue.error('{queue.a,queue.b,queue.busy}', 'AccessExclusiveLock', 'start migration "m"');
SELECT * FROM queue.held;
SELECT regexp_replace(queue.try('{queue.a,queue.busy}', 'AccessExclusiveLock'), '[0-9]+ s', 'N s');
SELECT * FROM queue.held;
-- Only what conflicts with the wanted mode is in the way.
SET LOCAL pgxc.ddl_lock_retries = 0;
SELECT queue.error('{queue.busy}', 'RowExclusiveLock');
SELECT queue.try('{queue.busy}', 'AccessShareLock') IS NULL AS had;
-- An odd name, within its transaction's own locks.
SELECT queue.error(ARRAY['queue."It''s"'::regclass], 'ShareLock');
SELECT * FROM queue.held;
COMMIT;

-- The session's own lock_timeout is as it was, had or not had; where it is
-- shorter it holds for our waits, too.
SET deadlock_timeout = '3s';
SET lock_timeout = '7s';
BEGIN;
SELECT queue.error('{queue.a,queue.busy}', 'ShareRowExclusiveLock') ~ '^55P03' AS refused;
SELECT queue.try('{queue.a,queue.busy}', 'ShareRowExclusiveLock') IS NULL AS had;
SELECT queue.lock('{queue.a}', 'ShareRowExclusiveLock');
SELECT queue.try('{queue.b}', 'ShareRowExclusiveLock') IS NULL AS had;
SELECT current_setting('lock_timeout') AS lock_timeout, current_setting('deadlock_timeout') AS deadlock_timeout;
SET LOCAL lock_timeout = '1ms';
SELECT queue.error('{queue.busy}', 'ShareRowExclusiveLock');
SHOW lock_timeout;
COMMIT;
SHOW lock_timeout;
RESET lock_timeout;
RESET deadlock_timeout;

-- A wait can be ended as any other.
SET pgxc.ddl_lock_retries = 10000;
SET statement_timeout = '150ms';
BEGIN;
SELECT queue.lock('{queue.a,queue.busy}', 'AccessExclusiveLock'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;
RESET statement_timeout;
SELECT * FROM queue.held;

ROLLBACK PREPARED 'regress_pgxc_queue';
SELECT queue.lock('{queue.a,queue.busy}', 'AccessExclusiveLock');

-- The settings: a session's own, within bounds.
\set VERBOSITY sqlstate
SET pgxc.ddl_lock_timeout = 0; \echo :LAST_ERROR_SQLSTATE
SET pgxc.ddl_lock_timeout = '61s'; \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SET pgxc.ddl_lock_timeout = '1min';
SHOW pgxc.ddl_lock_timeout;
SET pgxc.ddl_lock_retries = -1; \echo :LAST_ERROR_SQLSTATE
SET pgxc.ddl_lock_retries = 10001; \echo :LAST_ERROR_SQLSTATE
SET ROLE regress_pgxc_other;
SET pgxc.ddl_lock_retries = 0;
SHOW pgxc.ddl_lock_retries;
RESET ROLE;
RESET pgxc.ddl_lock_retries;
RESET pgxc.ddl_lock_timeout;

DROP SCHEMA queue CASCADE;
