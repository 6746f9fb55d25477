-- Rows that cannot be updated: found, told, mended.
CREATE SCHEMA bad;
CREATE TABLE bad.t (id integer, part text, v text, n integer, m integer CHECK (m <> 3333), PRIMARY KEY (id, part));
INSERT INTO bad.t SELECT g, 'p' || g % 10, g::text, g, NULL FROM generate_series(1, 5000) g;

-- Three rows of 5000 whose text is no number.  By default the first one stops it.
UPDATE bad.t SET v = 'x' || v WHERE id IN (17, 2500, 4999);
SELECT FROM pgxc.start_backfill('bad.t', 'm = v::integer + 10000', name => 'cast');
CALL helper.until_state('cast', 'attention');
\set VERBOSITY terse
CALL pgxc.wait('cast'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT phase, state, row_errors, wait_reason, regexp_replace(next_step, '\(\d+\)', '(N)') AS next_step FROM pgxc.migrations WHERE name = 'cast';
SELECT count(*) FROM pgxc.row_errors WHERE migration = 'cast';
-- More of them are allowed: all three are found, and all other rows are done.
SELECT pgxc.alter_migration('cast', max_row_errors => 10);
SELECT pgxc.retry('cast');
CALL pgxc.wait('cast');
SELECT phase, state, percent, row_errors, next_step FROM pgxc.migrations WHERE name = 'cast';
SELECT relation, key, sqlstate, message FROM pgxc.row_errors WHERE migration = 'cast' ORDER BY key;
SELECT count(*) FILTER (WHERE m = id + 10000) AS done, count(*) FILTER (WHERE m IS NULL) AS bad FROM bad.t;
-- The place that is told is the row's.
SELECT t.id FROM bad.t JOIN pgxc.row_errors e ON e.migration = 'cast' AND e.row_ctid = t.ctid ORDER BY 1;
SELECT event, from_state, to_state, detail FROM helper.history('cast') WHERE event <> 'verify';
-- It is done as far as assert_done() is concerned.
SELECT pgxc.assert_done('cast');

-- Exactly as many as are allowed, and one less.
SELECT FROM pgxc.start_backfill('bad.t', 'm = v::integer + 20000', name => 'three are allowed', max_row_errors => 3);
CALL pgxc.wait('three are allowed');
SELECT FROM pgxc.start_backfill('bad.t', 'm = v::integer + 30000', name => 'two are allowed', max_row_errors => 2);
CALL helper.until_state('two are allowed', 'attention');
SELECT name, state, row_errors FROM pgxc.migrations WHERE name LIKE '% are allowed' ORDER BY name;
-- The message may name a value of the row: it is for the owner alone.
SELECT last_error LIKE '22P02: invalid input syntax for type integer: "x%' AS told FROM pgxc.migrations WHERE name = 'two are allowed';
SET ROLE regress_pgxc_monitor;
SELECT state, wait_reason, last_error FROM pgxc.migrations WHERE name = 'two are allowed';
SELECT count(*) FROM pgxc.events WHERE detail LIKE '%invalid input%';
RESET ROLE;
-- The rows are mended: none is left on the list.
UPDATE bad.t SET v = ltrim(v, 'x') WHERE v LIKE 'x%';
SELECT pgxc.retry('two are allowed');
CALL pgxc.wait('two are allowed');
SELECT phase, row_errors FROM pgxc.migrations WHERE name = 'two are allowed';
SELECT count(*) FROM bad.t WHERE m = id + 30000;
SELECT count(*) FROM pgxc.row_errors WHERE migration = 'two are allowed';
-- A row that is deleted is no bad row either.
UPDATE bad.t SET v = 'y' WHERE id = 4000;
SELECT FROM pgxc.start_backfill('bad.t', 'm = v::integer', 'm >= 30000', name => 'deleted');
CALL helper.until_state('deleted', 'attention');
DELETE FROM bad.t WHERE id = 4000;
SELECT pgxc.retry('deleted');
-- (m = 3333 violates the constraint: that is the next one.)
CALL helper.until_state('deleted', 'attention');
SELECT key, sqlstate, message FROM pgxc.row_errors WHERE migration = 'deleted';
UPDATE bad.t SET m = 0 WHERE id = 3333;
SELECT pgxc.retry('deleted');
CALL pgxc.wait('deleted');
SELECT phase, row_errors FROM pgxc.migrations WHERE name = 'deleted';

-- Other reasons: arithmetic, NOT NULL, unique, a user's trigger; in one table.
CREATE TABLE bad.u (id integer UNIQUE, a integer NOT NULL, b integer UNIQUE, c text);
INSERT INTO bad.u SELECT g, g, g, 'c' || g FROM generate_series(1, 5000) g;
CREATE FUNCTION bad.complain() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF new.id = 1234 THEN
		RAISE EXCEPTION 'row % is sacred', new.id USING DETAIL = 'So it is.';
	ELSIF new.id = 1235 THEN
		RAISE EXCEPTION USING ERRCODE = 'AB123', MESSAGE = 'a code of my own';
	END IF;
	RETURN new;
END $$;
CREATE TRIGGER complain BEFORE UPDATE ON bad.u FOR EACH ROW EXECUTE FUNCTION bad.complain();
SELECT FROM pgxc.start_backfill('bad.u', $$ a = CASE WHEN id = 4321 THEN NULL WHEN id = 777 THEN 1 / (id - 777) ELSE a END, b = CASE WHEN id = 10 THEN 11 ELSE b END, c = c || '!' $$,
	'c NOT LIKE ''%!''', 'many reasons', max_row_errors => 100);
CALL pgxc.wait('many reasons');
SELECT e.key, e.sqlstate, e.message, u.id FROM pgxc.row_errors e JOIN bad.u ON u.ctid = e.row_ctid WHERE migration = 'many reasons' ORDER BY u.id;
SELECT count(*) FILTER (WHERE c LIKE '%!') AS done, array_agg(id ORDER BY id) FILTER (WHERE c NOT LIKE '%!') AS bad FROM bad.u;

-- Every row is bad.
SELECT FROM pgxc.start_backfill('bad.u', 'a = id / 0', name => 'all bad', max_row_errors => 20);
CALL helper.until_state('all bad', 'attention');
SELECT row_errors, rows_updated, wait_reason FROM pgxc.migrations WHERE name = 'all bad';
SELECT pgxc.cancel('all bad');

-- A bad row in a predicate, and one that only the verification would meet.
SELECT FROM pgxc.start_backfill('bad.u', 'c = ''z''', '10 / (id - 100) < 0 AND c <> ''z''', name => 'bad predicate', max_row_errors => 1);
CALL pgxc.wait('bad predicate');
SELECT row_errors, rows_updated FROM pgxc.migrations WHERE name = 'bad predicate';

-- In a partitioned table, with the key of the leaf.
CREATE TABLE bad.p (id integer, k integer, v text) PARTITION BY RANGE (k);
CREATE TABLE bad.p1 PARTITION OF bad.p FOR VALUES FROM (0) TO (500);
CREATE TABLE bad.p2 PARTITION OF bad.p FOR VALUES FROM (500) TO (5000);
ALTER TABLE bad.p2 ADD PRIMARY KEY (k);
INSERT INTO bad.p SELECT g, g, NULL FROM generate_series(1, 2000) g;
SELECT FROM pgxc.start_backfill('bad.p', 'v = 1 / (id - 300) / (id - 1000)', name => 'bad partitions', max_row_errors => 2);
CALL pgxc.wait('bad partitions');
SELECT relation, key, sqlstate FROM pgxc.row_errors WHERE migration = 'bad partitions' ORDER BY relation;

-- Who may see a row's values: its owner, and nobody else.
ALTER TABLE bad.p OWNER TO regress_pgxc_owner;
SELECT FROM pgxc.start_backfill('bad.p1', 'v = v::integer', name => 'no matter');
CALL pgxc.wait('no matter');
SET ROLE regress_pgxc_owner;
SELECT count(*) FROM pgxc.row_errors WHERE migration = 'bad partitions';
SET ROLE regress_pgxc_monitor;
SELECT count(*) FROM pgxc.row_errors;
SELECT row_errors, last_error FROM pgxc.migrations WHERE name = 'bad partitions';
SELECT last_error FROM pgxc.migrations WHERE name = 'all bad';
SELECT detail FROM pgxc.events WHERE migration = 'bad partitions' AND event = 'row_error';
SET ROLE regress_pgxc_other;
SELECT count(*) FROM pgxc.row_errors;
SELECT count(*) FROM pgxc.migrations WHERE name = 'bad partitions';
RESET ROLE;

\set VERBOSITY terse
DROP SCHEMA bad CASCADE;
