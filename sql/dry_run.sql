-- A dry run of each kind: what would happen, while the new column is not there.
CREATE SCHEMA dry;
SET search_path = dry;
SET client_min_messages = error; -- wal_level of publications
CREATE TABLE thing (id integer PRIMARY KEY, amount integer, b integer, g integer GENERATED ALWAYS AS (amount + 1) STORED);
INSERT INTO thing SELECT i, i, i FROM generate_series(1, 10) i;
CREATE INDEX t_a ON thing (amount);
CREATE TRIGGER touch BEFORE UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE VIEW v AS SELECT id, amount FROM thing;
CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT sum(amount) FROM dry.thing; END;
CREATE PUBLICATION regress_dry FOR TABLE thing (id, amount) WHERE (amount > 0) WITH (publish = 'insert');
RESET client_min_messages;

\set VERBOSITY terse
SELECT pgxc.start_rename('thing', 'amount', 'a2', dry_run => true);
SELECT pgxc.start_rename('thing', 'amount', 'a2', fire_triggers => true, dry_run => true);
SELECT pgxc.start_type_change('thing', 'amount', 'bigint', dry_run => true);
SELECT pgxc.start_transform('thing', 'c', 'integer', 'b * 2', dry_run => true);
SELECT pgxc.start_transform('thing', 'c', 'integer', 'amount * 2', keep_old => true, dry_run => true);
\set VERBOSITY default

-- No statement can name a column that is not there.
CREATE FUNCTION dependents(regclass, name[], name, name, boolean)
	RETURNS TABLE (kind text, identity text, blocks boolean, recreatable boolean, statement text, note text)
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_dependents';
SELECT kind, recreatable, statement FROM dependents('thing', '{amount}', 'a2', 'a2', true) WHERE kind <> 'generated column';
SELECT kind, recreatable, statement FROM dependents('thing', '{amount}', '_pgxc_a', 'amount', false) WHERE kind <> 'generated column';

-- Nothing was changed, and nothing registered.
SELECT attname FROM pg_attribute WHERE attrelid = 'thing'::regclass AND attnum > 0 ORDER BY attnum;
SELECT count(*) FROM pgxc.migrations WHERE relation = 'thing';

-- With the trigger there: it is no side effect, and no other one fires.
SELECT pgxc.start_rename('thing', 'b', 'b2', name => 'dry') IS NOT NULL AS started;
CALL pgxc.wait('dry');
SELECT detail FROM pgxc.plan('dry') WHERE action = 'side effects of the update';
DO $$
DECLARE
	hint text;
BEGIN
	PERFORM pgxc.assert_done('dry');
EXCEPTION WHEN object_not_in_prerequisite_state THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RAISE NOTICE '%: %', SQLERRM, regexp_replace(hint, '[0-9]+', 'N');
END $$;
SELECT pgxc.rollback('dry');
CALL pgxc.wait('dry');

-- A default cannot have the subquery of up: refused, not forgotten.
ALTER TABLE thing ALTER b SET DEFAULT 1;
CREATE TABLE factor (f integer);
SELECT pgxc.start_type_change('thing', 'b', 'bigint', up => 'b * (SELECT max(f) FROM factor)');
-- What changes each time cannot be kept equal.
SELECT pgxc.start_type_change('thing', 'b', 'bigint', up => 'b * random()');

DROP PUBLICATION regress_dry;
SET client_min_messages = warning;
DROP SCHEMA dry CASCADE;
