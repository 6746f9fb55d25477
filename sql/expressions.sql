-- Expressions mean in a worker what they meant to the caller.
CREATE SCHEMA ex;
CREATE SCHEMA ex_functions;
CREATE TABLE ex.t (id integer PRIMARY KEY, a integer, b text, c text, d timestamptz, n numeric, m numeric(10, 4));
INSERT INTO ex.t (id, a, b, d, n) SELECT g, g, 'Text', '2024-03-31 00:30+00'::timestamptz + g * interval '1 hour', g FROM generate_series(1, 500) g;

-- A function, an operator, a type and a table that only the caller's
-- search_path finds; names that are resolved once are not resolved again.
CREATE FUNCTION ex_functions.twice(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2';
CREATE OPERATOR ex_functions.## (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4mul);
CREATE DOMAIN ex_functions.small AS integer CHECK (value < 100000);
CREATE TABLE ex_functions.factors (id integer PRIMARY KEY, factor integer);
INSERT INTO ex_functions.factors SELECT g, g % 7 FROM generate_series(1, 500) g;
SET search_path = ex_functions, ex;
SELECT FROM pgxc.start_backfill('t', 'a = (twice(id) ## 10) + (SELECT factor FROM factors f WHERE f.id = t.id), b = 1::small::text', name => 'search_path');
RESET search_path;
CALL pgxc.wait('search_path');
SELECT count(*) FROM ex.t WHERE a = id * 20 + id % 7 AND b = '1';

-- Settings that change what an expression gives are those of the caller.
SET DateStyle = 'German, DMY';
SET TimeZone = 'Asia/Tokyo';
SET IntervalStyle = 'iso_8601';
SET bytea_output = 'escape';
SET extra_float_digits = -10;
SELECT FROM pgxc.start_backfill('ex.t', $$ b = d::text, c = concat_ws(' ', interval '1 day', '\x61'::bytea, 0.1::float8 / 3, '01.02.2003'::date - '2000-01-01') $$, name => 'settings');
CREATE TABLE ex.expected AS SELECT id, d::text AS b, concat_ws(' ', interval '1 day', '\x61'::bytea, 0.1::float8 / 3, '01.02.2003'::date - '2000-01-01') AS c FROM ex.t;
RESET DateStyle;
RESET TimeZone;
RESET IntervalStyle;
RESET bytea_output;
RESET extra_float_digits;
CALL pgxc.wait('settings');
SELECT count(*) FROM ex.t JOIN ex.expected USING (id, b, c);
SELECT b, c FROM ex.t WHERE id = 1;

-- DEFAULT, with and without one; and CASE.
ALTER TABLE ex.t ADD e text DEFAULT 'default ' || 1, ADD f text;
UPDATE ex.t SET e = NULL, f = 'x';
SELECT FROM pgxc.start_backfill('ex.t', $$ e = DEFAULT, f = DEFAULT, c = CASE WHEN id % 2 = 0 THEN 'even' ELSE 'odd' END $$, name => 'default');
CALL pgxc.wait('default');
SELECT e, f, c, count(*) FROM ex.t GROUP BY 1, 2, 3 ORDER BY 3;

-- The whole row as an argument.
CREATE FUNCTION ex.describe(ex.t) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1.id || ':' || $1.c $$;
SELECT FROM pgxc.start_backfill('ex.t', 'f = ex.describe(t)', name => 'whole row');
CALL pgxc.wait('whole row');
SELECT count(*) FROM ex.t WHERE f = id || ':' || c;
SET search_path = ex;
SELECT FROM pgxc.start_backfill('t', 'e = t.describe', name => 'functional notation');
RESET search_path;
CALL pgxc.wait('functional notation');
SELECT count(*) FROM ex.t WHERE e = f;

-- A predicate, volatile values, the current time.
UPDATE ex.t SET b = NULL, c = NULL;
SELECT FROM pgxc.start_backfill('ex.t', 'b = gen_random_uuid(), c = now()', 'b IS NULL', name => 'volatile');
CALL pgxc.wait('volatile');
SELECT count(DISTINCT b), count(c) FROM ex.t;
CREATE SEQUENCE ex.seq;
SELECT FROM pgxc.start_backfill('ex.t', 'a = nextval(''ex.seq'')', 'a >= 0 AND id <= 100 AND f IS NOT NULL AND a = id * 20 + id % 7', name => 'sequence');
CALL pgxc.wait('sequence');
SELECT count(DISTINCT a), min(a), max(a) FROM ex.t WHERE id <= 100;
-- A predicate that is NULL is as good as false.
SELECT FROM pgxc.start_backfill('ex.t', 'e = ''never''', 'NULL::boolean', name => 'null predicate');
CALL pgxc.wait('null predicate');
SELECT rows_updated FROM pgxc.migrations WHERE name = 'null predicate';

-- "=" may think that nothing changes: it is the stored value that counts.
CREATE COLLATION ex.ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE ex.equal (id integer, v text COLLATE ex.ci, n numeric, f float8, w numeric(8, 2), p char(5));
INSERT INTO ex.equal SELECT g, 'abc', 1.0, 0.0, NULL, 'x' FROM generate_series(1, 100) g;
SELECT FROM pgxc.start_backfill('ex.equal', 'v = upper(v), n = 1.00, f = ''-0'', w = n / 3', name => 'equal');
CALL pgxc.wait('equal');
SELECT v COLLATE "C" AS v, n, f, w, p, count(*) FROM ex.equal GROUP BY v COLLATE "C", n::text, n, f, w, p;

-- What a cast to the column's type does happens before the comparison.
SELECT FROM pgxc.start_backfill('ex.equal', 'w = n / 3 + 0.0001, p = ''x''', name => 'rounded');
CALL pgxc.wait('rounded');
SELECT rows_updated FROM pgxc.migrations WHERE name = 'rounded';

-- NULL from and to, and several columns of which one differs.
UPDATE ex.equal SET v = NULL WHERE id > 50;
SELECT FROM pgxc.start_backfill('ex.equal', 'v = CASE WHEN v IS NULL THEN ''was null'' END', 'id > 0 AND (v IS NULL) = (id > 50)', name => 'nulls');
CALL pgxc.wait('nulls');
SELECT v COLLATE "C" AS v, count(*) FROM ex.equal GROUP BY v COLLATE "C" ORDER BY 2, 1;
SELECT FROM pgxc.start_backfill('ex.equal', 'n = 1.00, f = CASE WHEN id = 7 THEN 7 ELSE f END', name => 'one of two');
CALL pgxc.wait('one of two');
SELECT rows_updated FROM pgxc.migrations WHERE name = 'one of two';

-- Assignments see the old row, as in UPDATE.
CREATE TABLE ex.swap AS SELECT g AS a, -g AS b FROM generate_series(1, 1000) g;
SELECT FROM pgxc.start_backfill('ex.swap', 'a = b, b = a', 'a > 0', name => 'swap');
CALL pgxc.wait('swap');
SELECT count(*) FROM ex.swap WHERE a = -b AND b > 0;

\set VERBOSITY terse
DROP SCHEMA ex, ex_functions CASCADE;
