-- What bad input to rename, type_change and transform gets: an error that says
-- what, where and what to do instead, before anything is changed.  The line
-- after an error is its SQLSTATE.
CREATE SCHEMA dinput;
SET search_path = dinput;
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text, c text, g integer GENERATED ALWAYS AS (a + 1) STORED, j json);
INSERT INTO t VALUES (1, 1, 'one', '1');
CREATE TABLE other (id integer, a integer, x text);
CREATE FUNCTION dinput.answer(text) RETURNS text LANGUAGE sql RETURN regexp_replace($1, '\d+\)', 'N)', 'g');
-- Columns, triggers and migrations: the same at the end as here.
CREATE SCHEMA dinput_state;
CREATE TABLE dinput_state.before AS SELECT fact FROM helper.facts('dinput') fact;
CREATE FUNCTION dinput_state.facts() RETURNS SETOF text LANGUAGE sql RETURN helper.facts('dinput');
CREATE VIEW dinput_state.unchanged AS SELECT NOT EXISTS (SELECT dinput_state.facts() EXCEPT TABLE dinput_state.before) AND NOT EXISTS (TABLE dinput_state.before EXCEPT SELECT dinput_state.facts())
	AND NOT EXISTS (SELECT FROM pgxc.migration WHERE relation_name LIKE 'dinput.%' AND phase <> 'rolled_back') AS nothing_changed;
CREATE PROCEDURE dinput_state.remember() LANGUAGE sql AS $$ TRUNCATE dinput_state.before; INSERT INTO dinput_state.before SELECT dinput_state.facts(); $$;
TABLE dinput_state.unchanged;

-- Missing arguments.
SELECT pgxc.start_rename(NULL, 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', NULL, 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', NULL); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', 'd', name => ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change(NULL, 'a', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', NULL, 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', NULL); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform(NULL, 'd', 'text', 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', NULL, 'text', 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', NULL, 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', NULL); \echo :LAST_ERROR_SQLSTATE

-- Options out of range.
SELECT pgxc.start_rename('t', 'a', 'd', target_chunk_ms => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', 'd', max_duty => 2); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint', parallel_workers => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint', max_rows_per_second => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b', max_wal_rate => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b', passes => 0); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b', max_row_errors => -1); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', 'd', throttle_function => 'nix'); \echo :LAST_ERROR_SQLSTATE

-- Names of columns.
SELECT pgxc.start_rename('t', 'a', 'a'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'nix', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'A', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', 'ctid'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', '', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'ctid', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'tableoid', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'g', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'nix', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'xmin', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'g', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'b', 'text', 'c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'ctid', 'text', 'c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', '', 'text', 'c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'integer', 'g'); \echo :LAST_ERROR_SQLSTATE

-- Types.
SELECT pgxc.start_type_change('t', 'a', 'integer'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'int4'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'nix'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'big int'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint; DROP TABLE t'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint NOT NULL'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'serial'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'anyelement'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'record'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 't'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'void'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'SETOF integer'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 't.a%TYPE'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'varchar(0)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'point'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', down => 'b::text'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'nix', 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text collate "C"', 'b'); \echo :LAST_ERROR_SQLSTATE

-- Up.
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'length(nix)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'length(c)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'length(b) + a'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', '5'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'integer', 'b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'nix'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'other.x'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'nix(b)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || 1.5 || nix'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '''constant'''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b ||'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '(b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'lower(b,
	) || c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b, c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b AS x'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b; DROP TABLE t'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b FROM t'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b WHERE true'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b UNION SELECT c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'DISTINCT b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b ORDER BY 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b LIMIT 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b INTO x'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b WINDOW w AS ()'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '*'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 't.*'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 't::text'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || row_to_json(t)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'ctid::text'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '$1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b /* unfinished'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'DEFAULT'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'max(b)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'first_value(b) OVER ()'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'regexp_split_to_table(b, '','')'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '(SELECT max(x.b) FROM t x WHERE x.a = t.a)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '(SELECT nix FROM other WHERE other.id = t.id)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '(SELECT x, a FROM other WHERE other.id = t.id)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', '(WITH w AS (DELETE FROM other RETURNING x) SELECT x || b FROM w)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || random()'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || now()'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || nextval(''pgxc.migration_id_seq'')'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint', 'a + (random() * 9)::integer'); \echo :LAST_ERROR_SQLSTATE

-- Down.
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', 'nix'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', 'c'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', 'b + a'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'text', 'a::text', 'point(1, 1)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'text', 'a::text', 'a = ''1'''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', 'b::text,'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', 'max(b)::text'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', 'b::text || random()'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'b', 'integer', 'b::integer', '(SELECT x FROM other WHERE id = b)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint', down => 'nix'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'integer', 'a', 'a'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'integer', 'a', 'a = d'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = d, a = 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = d, nix = 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = d, b = d'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', '(b, c) = (d, d)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', '(b, c) = (SELECT d, d)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = DEFAULT'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = d WHERE true'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = d RETURNING 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = d; SELECT 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c[1] = d'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b || c', 'b = d, c = point(1, d)'); \echo :LAST_ERROR_SQLSTATE
TABLE dinput_state.unchanged;

-- Not tables that can have two shapes.
CREATE VIEW v AS SELECT * FROM t;
CREATE MATERIALIZED VIEW m AS SELECT * FROM t;
CREATE TEMPORARY TABLE temporary (a integer);
CREATE FOREIGN DATA WRAPPER dinput_wrapper;
CREATE SERVER dinput_server FOREIGN DATA WRAPPER dinput_wrapper;
CREATE FOREIGN TABLE far (a integer) SERVER dinput_server;
CREATE SEQUENCE s;
CREATE TYPE composite AS (a integer);
CREATE TABLE typed OF composite;
CREATE TABLE parent (a integer, b integer);
CREATE TABLE child (x integer) INHERITS (parent);
CREATE TABLE parted (k integer, a integer, b integer) PARTITION BY RANGE (k, (a + 1));
CREATE TABLE part PARTITION OF parted DEFAULT;
CREATE INDEX i ON t (a);
CREATE TABLE dry (id integer, dry_a integer DEFAULT 1 CHECK (dry_a > 0) REFERENCES t, dry_b text, dry_c text);
CREATE INDEX ON dry (dry_a);
CREATE VIEW dry_view AS SELECT dry_a FROM dry;
GRANT USAGE ON SCHEMA dinput TO PUBLIC;
GRANT ALL ON t, parted TO regress_pgxc_other;
CALL dinput_state.remember();
SELECT pgxc.start_rename('v', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('m', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('temporary', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('far', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('s', 'last_value', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('composite', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('typed', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('i', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('pg_catalog.pg_class', 'relname', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('pgxc.migration', 'name', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('nix', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename(1, 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('v', 'a', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('far', 'a', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('v', 'd', 'bigint', 'a'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('temporary', 'd', 'bigint', 'a'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('pg_catalog.pg_class', 'd', 'text', 'relname::text'); \echo :LAST_ERROR_SQLSTATE
-- Families.
SELECT pgxc.start_rename('parent', 'b', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('child', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT FROM pgxc.start_rename('child', 'x', 'd');
SELECT pgxc.rollback('rename dinput.child.x to d');
SELECT pgxc.start_rename('parted', 'k', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('parted', 'a', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('parted', 'd', 'bigint', 'k + b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('part', 'b', 'd'); \echo :LAST_ERROR_SQLSTATE
-- Somebody else's.
SET ROLE regress_pgxc_other;
SELECT pgxc.start_rename('t', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'a', 'd', dry_run => true); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'text', 'b'); \echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- In a transaction that only reads.
BEGIN READ ONLY;
SELECT pgxc.start_rename('t', 'a', 'd'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;
TABLE dinput_state.unchanged;

-- A dry run says what would happen, and changes nothing.
\set VERBOSITY terse
SELECT pgxc.start_rename('dry', 'dry_a', 'dry_d', dry_run => true);
SELECT pgxc.start_type_change('dry', 'dry_a', 'bigint', dry_run => true);
SELECT pgxc.start_transform('dry', 'dry_d', 'text', 'dry_b || dry_c', dry_run => true, keep_old => true);
SELECT pgxc.start_rename('dry', 'nix', 'dry_d', dry_run => true);
SELECT pgxc.start_type_change('dry', 'dry_b', 'integer', dry_run => true);
SELECT pgxc.start_transform('dry', 'dry_a', 'text', 'dry_b', dry_run => true);
\set VERBOSITY default
TABLE dinput_state.unchanged;
-- Nor does a transaction that is rolled back.
BEGIN;
SELECT FROM pgxc.start_rename('t', 'a', 'd');
SELECT FROM pgxc.start_type_change('t', 'b', 'varchar(100)');
SELECT FROM pgxc.start_transform('t', 'e', 'text', 'upper(c)');
SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attnum > 0;
ROLLBACK;
BEGIN;
SAVEPOINT s;
SELECT FROM pgxc.start_rename('t', 'a', 'd');
ROLLBACK TO s;
COMMIT;
TABLE dinput_state.unchanged;

-- One migration of a column at a time; others may be open.
BEGIN;
SELECT FROM pgxc.start_rename('t', 'a', 'd', name => 'open');
SELECT pgxc.pause('open');
COMMIT;
SELECT pgxc.start_rename('t', 'a', 'e'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'd', 'e'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'b', 'd'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'd', 'bigint'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'e', 'text', 'a::text || b'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'e', 'text', 'd::text'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('t', 'd = 1'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('t', 'a = 1'); \echo :LAST_ERROR_SQLSTATE
-- The name is the key.
SELECT pgxc.start_rename('t', 'a', 'd', name => 'open') = id AS same FROM pgxc.migrations WHERE name = 'open';
SELECT pgxc.start_rename('t', 'a', 'd', name => 'open', target_chunk_ms => 50, max_duty => 0.3) = id AS same FROM pgxc.migrations WHERE name = 'open';
\set VERBOSITY terse
SELECT pgxc.start_rename('t', 'a', 'e', name => 'open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('t', 'b', 'd', name => 'open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_rename('other', 'a', 'd', name => 'open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_type_change('t', 'a', 'bigint', name => 'open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_transform('t', 'd', 'integer', 'a', name => 'open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('t', 'b = c', name => 'open'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default

-- Verbs at the wrong time, and of the wrong kind.
SELECT FROM pgxc.start_backfill('other', 'a = id', 'a <> id', name => 'a backfill');
CALL pgxc.wait('a backfill');
SELECT verb, dinput.answer(helper.try(verb, migration)) AS answer
  FROM unnest(ARRAY['contract', 'rollback', 'checklist', 'plan']) verb, unnest(ARRAY['a backfill', 'nix', '']) migration WHERE verb <> 'plan' OR migration <> 'a backfill';
SELECT dinput.answer(helper.try('contract', 'open'));
SELECT pgxc.prefer('open', 'left'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('open', ''); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('open', 'NEW'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('nix', 'new'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('a backfill', 'new'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('open', NULL), pgxc.contract(NULL::text), pgxc.rollback(NULL::bigint);
SELECT FROM pgxc.start_transform('other', 'y', 'text', 'upper(x)', name => 'one way');
SELECT pgxc.prefer('one way', 'new'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('one way', 'old');
SET ROLE regress_pgxc_other;
SELECT pgxc.contract('open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.rollback('open'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.prefer('open', 'new'); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM pgxc.checklist('open'); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM pgxc.plan('open'); \echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT pgxc.rollback('open');
SELECT verb, dinput.answer(helper.try(verb, 'open')) AS answer FROM unnest(ARRAY['rollback', 'contract', 'cancel', 'pause', 'checklist']) verb;
SELECT pgxc.prefer('open', 'new'); \echo :LAST_ERROR_SQLSTATE
-- Its name is free again; that of one that was contracted is not.
SELECT dinput.answer(helper.try('retry', 'open'));
SELECT FROM pgxc.start_rename('other', 'id', 'd', name => 'open');
CALL pgxc.wait('open');
SELECT pgxc.contract('open');
\set VERBOSITY terse
SELECT pgxc.start_rename('other', 'id', 'd', name => 'open') = id AS same FROM pgxc.migrations WHERE name = 'open' AND phase = 'done';
SELECT pgxc.start_rename('other', 'id', 'e', name => 'open'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT verb, dinput.answer(helper.try(verb, 'open')) AS answer FROM unnest(ARRAY['rollback', 'contract', 'cancel', 'resume', 'retry', 'checklist']) verb;
SELECT attname FROM pg_attribute WHERE attrelid = 'other'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- Names of 63 bytes work, of one byte each or of several, and with quotes.
CREATE TABLE "a table with a name of 63 bytes, which is as long as it may be." (id integer PRIMARY KEY, "a column with a name of 63 bytes, which is as long as it may be" integer NOT NULL UNIQUE,
	"Quoted ""column"" 'name' $$ \ ; ü" text DEFAULT 'x' CHECK ("Quoted ""column"" 'name' $$ \ ; ü" <> ''), "äääääääääääääääääääääääääääääääx" text);
CREATE INDEX "an index with a name of 63 bytes, which is as long as it may be" ON "a table with a name of 63 bytes, which is as long as it may be." ("a column with a name of 63 bytes, which is as long as it may be");
INSERT INTO "a table with a name of 63 bytes, which is as long as it may be." SELECT g, g, 'q' || g, 'ä' || g FROM generate_series(1, 10) g;
SELECT FROM pgxc.start_rename('"a table with a name of 63 bytes, which is as long as it may be."', 'Quoted "column" ''name'' $$ \ ; ü', 'other "quoted" ''name'' $$ \ ; ööööööööööööööööö', name => 'quoted');
SELECT FROM pgxc.start_type_change('"a table with a name of 63 bytes, which is as long as it may be."', 'a column with a name of 63 bytes, which is as long as it may be', 'bigint', name => 'long');
SELECT FROM pgxc.start_type_change('"a table with a name of 63 bytes, which is as long as it may be."', 'äääääääääääääääääääääääääääääääx', 'varchar(100)', name => 'multibyte "name" ''of'' a migration');
CALL pgxc.wait('quoted');
CALL pgxc.wait('long');
CALL pgxc.wait('multibyte "name" ''of'' a migration');
SELECT count(*) FILTER (WHERE octet_length(attname) <= 63 AND attname LIKE '\_pgxc\_%') AS shadows FROM pg_attribute WHERE attrelid = '"a table with a name of 63 bytes, which is as long as it may be."'::regclass;
INSERT INTO "a table with a name of 63 bytes, which is as long as it may be." VALUES (11, 11, 'q11', 'ä11');
SELECT pgxc.contract('quoted');
SELECT pgxc.contract('long');
SELECT pgxc.contract('multibyte "name" ''of'' a migration');
\d "a table with a name of 63 bytes, which is as long as it may be."
SELECT * FROM "a table with a name of 63 bytes, which is as long as it may be." WHERE id > 9 ORDER BY id;
