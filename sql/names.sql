-- Names that need quotes, and names that look like ours.
CREATE SCHEMA "Schema ""x"" '; DROP";
SET search_path = "Schema ""x"" '; DROP";
CREATE TABLE "Täble €" ("id" integer PRIMARY KEY, "Spalte mit Leerzeichen" integer, "select" text, "t" integer, "quote""d" text, "a'b" text, "UPPER" text, "größe" integer, "100%" integer, "\" text, "$1" integer);
INSERT INTO "Täble €" SELECT g, NULL, NULL, g, NULL, NULL, NULL, NULL, g, NULL, g FROM generate_series(1, 1000) g;
SELECT FROM pgxc.start_backfill('"Täble €"', $$ "Spalte mit Leerzeichen" = "Täble €".id + t + "$1", "select" = 'x''' || "100%", "quote""d" = "t", "a'b" = '%s', "UPPER" = '\', "größe" = "100%", "\" = "$1" $$,
	name => 'Näme "with" ''quotes'' %');
CALL pgxc.wait('Näme "with" ''quotes'' %');
SELECT count(*), count(*) FILTER (WHERE "Spalte mit Leerzeichen" = 3 * id AND "select" = 'x''' || id AND "quote""d" = id::text AND "a'b" = '%s' AND "UPPER" = '\' AND "größe" = id AND "\" = id::text) AS good FROM "Täble €";
SELECT name, relation, columns FROM pgxc.migrations WHERE name LIKE 'Näme%';
SELECT detail FROM helper.history('Näme "with" ''quotes'' %') WHERE event = 'created';
-- The name that is made of such names; errors that name them.
SELECT FROM pgxc.start_backfill('"Täble €"', '"select" = NULL', throttle_function => NULL);
CALL pgxc.wait(E'backfill Schema "x" \'; DROP.Täble €.select');
SELECT pgxc.start_backfill('"Täble €"', '"größer" = 1'); \echo :LAST_ERROR_SQLSTATE
CREATE FUNCTION "my throttle"(OUT level integer, OUT reason text) LANGUAGE sql AS $$ SELECT 0, 'fine' $$;
SELECT FROM pgxc.start_backfill('"Täble €"', 'id = id', name => 'throttle name', throttle_function => '"my throttle"');
SELECT throttle_function FROM pgxc.migration WHERE name = 'throttle name';
CALL pgxc.wait('throttle name');

-- Keys with such names in the list of bad rows.
SELECT FROM pgxc.start_backfill('"Täble €"', '"größe" = 1 / ("100%" - 500)', name => 'bad name', max_row_errors => 1);
CALL pgxc.wait('bad name');
SELECT relation, key, sqlstate FROM pgxc.row_errors WHERE migration = 'bad name';

-- Everything is called t, and so is our alias.
CREATE TABLE t (t integer, q integer, at integer, todo integer, passes integer, l integer, m integer, ctid_ text);
INSERT INTO t (t) SELECT g FROM generate_series(1, 1000) g;
SELECT FROM pgxc.start_backfill('t', 'q = t, at = t.t, todo = (SELECT t FROM (VALUES (5)) AS t(t)), ctid_ = t::text, l = (SELECT t.t FROM (VALUES (0)) AS u(x))', name => 't');
CALL pgxc.wait('t');
SELECT count(*) FROM t WHERE q = t AND at = t AND todo = 5 AND ctid_ = t::text AND l = t;
SELECT FROM pgxc.start_backfill('t', 'passes = NULL', 'todo = 5 AND passes IS NOT NULL', name => 'todo');
CALL pgxc.wait('todo');

-- 63 bytes, with characters of several.
CREATE TABLE aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa (bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb integer, "ääääääääääääääääääääääääääääääx" integer);
INSERT INTO aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa SELECT g FROM generate_series(1, 100) g;
SELECT FROM pgxc.start_backfill('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '"ääääääääääääääääääääääääääääääx" = bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', name => repeat('long name ', 50));
CALL pgxc.wait(repeat('long name ', 50));
SELECT count(*) FROM aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa WHERE "ääääääääääääääääääääääääääääääx" = bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb;

-- As many columns as a table can have, half of them assigned; and dropped ones.
SELECT 'CREATE TABLE many (' || string_agg(format('c%s smallint', g), ', ') || ')' AS make FROM generate_series(1, 1600) g \gset
SELECT string_agg(format('c%s = c%s', g + 800, g), ', ') AS copy, string_agg('c' || g || ' = c' || g + 800, ' AND ') AS same FROM generate_series(1, 800) g \gset
SELECT 'INSERT INTO many (' || string_agg('c' || g, ', ') || ') SELECT ' || string_agg('n', ', ') || ' FROM generate_series(1, 50) n' AS fill FROM generate_series(1, 800) g \gset
\set ECHO none
:make;
:fill;
SELECT FROM pgxc.start_backfill('many', :'copy', name => 'many');
CALL pgxc.wait('many');
SELECT count(*) FROM many WHERE :same;
\set ECHO all
ALTER TABLE many DROP c1, DROP c801;
SELECT FROM pgxc.start_backfill('many', 'c1600 = c2 + 1', name => 'many but two');
CALL pgxc.wait('many but two');
SELECT count(*) FROM many WHERE c1600 = c2 + 1;

-- A table that is renamed, and moved, meanwhile.
CREATE TABLE before_it (a integer, b integer);
INSERT INTO before_it SELECT g, 0 FROM generate_series(1, 3000) g;
BEGIN;
SELECT FROM pgxc.start_backfill('before_it', 'b = a', name => 'renamed');
SELECT pgxc.pause('renamed');
COMMIT;
ALTER TABLE before_it RENAME TO after_it;
CREATE SCHEMA "other schema";
ALTER TABLE after_it SET SCHEMA "other schema";
SELECT pgxc.resume('renamed');
CALL pgxc.wait('renamed');
SELECT relation, rows_updated FROM pgxc.migrations WHERE name = 'renamed';
SELECT count(*) FROM "other schema".after_it WHERE b = a;
-- A table that is dropped: what is left is its name.
DROP TABLE "other schema".after_it;
SELECT relation, phase FROM pgxc.migrations WHERE name = 'renamed';

RESET search_path;
\set VERBOSITY terse
DROP SCHEMA "Schema ""x"" '; DROP", "other schema" CASCADE;
