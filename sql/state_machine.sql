-- The states of a migration: every edge there is, and every one there is not.
CREATE FUNCTION pg_temp.edge(text, text) RETURNS boolean
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_edge';

SELECT f.state AS "from",
	   bool_or(pg_temp.edge(f.state, 'queued')) AS queued,
	   bool_or(pg_temp.edge(f.state, 'running')) AS running,
	   bool_or(pg_temp.edge(f.state, 'paused')) AS paused,
	   bool_or(pg_temp.edge(f.state, 'blocked')) AS blocked,
	   bool_or(pg_temp.edge(f.state, 'attention')) AS attention,
	   bool_or(pg_temp.edge(f.state, 'failed')) AS failed,
	   bool_or(pg_temp.edge(f.state, 'ready')) AS ready,
	   bool_or(pg_temp.edge(f.state, 'finished')) AS finished
  FROM unnest('{queued,running,paused,blocked,attention,failed,ready,finished}'::text[]) WITH ORDINALITY f(state, n)
 GROUP BY f.state, f.n ORDER BY f.n;
SELECT pg_temp.edge('queued', 'sleeping') IS NULL AS unknown_state;

-- The table allows the same states as the code knows.
SELECT state FROM unnest('{queued,running,paused,blocked,attention,failed,ready,finished}'::text[]) state
 WHERE NOT EXISTS (SELECT FROM pg_constraint
					WHERE conrelid = 'pgxc.migration'::regclass AND contype = 'c'
					  AND pg_get_constraintdef(oid) LIKE format('%%state = ANY%%''%s''::text%%', state));

-- Every verb in every state.  One table for each state: migrations of the same
-- table would wait for each other.
CREATE SCHEMA states;
SELECT format('CREATE TABLE states.%I AS SELECT g AS a, 0 AS b FROM generate_series(1, 2000) g', state)
  FROM unnest('{queued,running,paused,blocked,attention,failed,finished,cancelled}'::text[]) state \gexec

CREATE FUNCTION states.broken() RETURNS integer LANGUAGE plpgsql IMMUTABLE
	AS $$ BEGIN RAISE EXCEPTION 'something is broken' USING ERRCODE = 'undefined_table'; END $$;
CREATE FUNCTION states.full_disk() RETURNS integer LANGUAGE plpgsql IMMUTABLE
	AS $$ BEGIN RAISE EXCEPTION 'the disk is full' USING ERRCODE = 'disk_full'; END $$;

BEGIN;
SELECT FROM pgxc.start_backfill('states.paused', 'b = a', name => 'in paused');
SELECT pgxc.pause('in paused');
COMMIT;
SELECT FROM pgxc.start_backfill('states.attention', 'b = 1 / (a - 1000)', name => 'in attention');
CALL helper.until_state('in attention', 'attention');
SELECT FROM pgxc.start_backfill('states.failed', 'b = a + states.broken()', name => 'in failed');
CALL helper.until_state('in failed', 'failed');
SELECT FROM pgxc.start_backfill('states.finished', 'b = a', name => 'in finished');
CALL pgxc.wait('in finished');
BEGIN;
SELECT FROM pgxc.start_backfill('states.cancelled', 'b = a', name => 'in cancelled');
SELECT pgxc.cancel('in cancelled');
COMMIT;
-- The last two keep both workers busy.
SELECT FROM pgxc.start_backfill('states.running', 'b = a', name => 'in running', max_rows_per_second => 1);
CALL helper.until_state('in running', 'running');
SELECT FROM pgxc.start_backfill('states.blocked', 'b = a + states.full_disk()', name => 'in blocked');
CALL helper.until_state('in blocked', 'blocked');

-- Nothing of this is committed, so each verb meets the state as it is.
BEGIN;
SELECT FROM pgxc.start_backfill('states.queued', 'b = a', name => 'in queued');
CREATE TEMP TABLE tried (n integer GENERATED ALWAYS AS IDENTITY, state text, verb text, answer text);
DO $$
DECLARE
	s text;
	v text;
	answer text;
BEGIN
	FOREACH s IN ARRAY '{queued,running,paused,blocked,attention,failed,finished,cancelled}'::text[] LOOP
		FOREACH v IN ARRAY '{pause,resume,retry,cancel,assert_done}'::text[] LOOP
			BEGIN
				answer := helper.try(v, 'in ' || s);
				RAISE EXCEPTION USING ERRCODE = 'ZZ000'; -- take it back
			EXCEPTION WHEN SQLSTATE 'ZZ000' THEN NULL;
			END;
			INSERT INTO tried (state, verb, answer)
			VALUES (s, v, regexp_replace(answer, 'wait\(\d+\)', 'wait(N)'));
		END LOOP;
	END LOOP;
END $$;
SELECT state, verb, answer FROM tried ORDER BY n;
ROLLBACK;

-- They all are where they were, and say what to do.
SELECT name, phase, state, regexp_replace(next_step, '\d+', 'N', 'g') AS next_step, last_error
  FROM pgxc.migrations WHERE name LIKE 'in %' ORDER BY name;

-- Out of each of them.
SELECT pgxc.cancel(name) FROM unnest('{in running,in blocked,in paused}'::text[]) name;
UPDATE states.attention SET a = 1 WHERE a = 1000;
SELECT pgxc.retry('in attention');
CALL pgxc.wait('in attention');
CREATE OR REPLACE FUNCTION states.broken() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 0';
SELECT pgxc.retry('in failed');
CALL pgxc.wait('in failed');
SELECT name, phase, state FROM pgxc.migrations WHERE name LIKE 'in %' ORDER BY name;
SELECT * FROM helper.history('in failed');
SELECT * FROM helper.history('in attention');
\set VERBOSITY terse
DROP SCHEMA states CASCADE;
