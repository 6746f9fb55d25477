-- What keeps contract waiting, and what force cannot override.
CREATE SCHEMA con;
SET search_path = con;
CREATE FUNCTION con.answer(migration text, forced boolean DEFAULT false) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	RETURN pgxc.contract(migration, force => forced);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN format('%s %s / %s', SQLSTATE, SQLERRM, detail);
END $$;
CREATE FUNCTION con.columns(relation regclass) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attname) FROM pg_attribute WHERE attrelid = relation AND attnum > 0 AND NOT attisdropped
$$;
CREATE VIEW con.unconverted AS SELECT migration, regexp_replace(detail, '_\d+_', '_N_') AS detail FROM pgxc.events WHERE event = 'unconverted' ORDER BY id;

-- Rows that were not read are not lost, whatever else is open.
CREATE TABLE parts (k integer, c text) PARTITION BY LIST (k);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
INSERT INTO parts VALUES (1, 'one');
SELECT FROM pgxc.start_rename('parts', 'c', 'd', name => 'con parts');
CALL pgxc.wait('con parts');
CREATE TABLE parts_2 (LIKE parts);
INSERT INTO parts_2 (k, c) VALUES (2, 'two');
ALTER TABLE parts ATTACH PARTITION parts_2 FOR VALUES IN (2);
SELECT con.answer('con parts', true);
CREATE INDEX parts_late ON parts_1 (c);
SELECT con.answer('con parts', true);
SELECT con.columns('parts');
-- Of the two, force overrides what loses no row.
SELECT pgxc.retry('con parts');
CALL pgxc.wait('con parts');
SELECT con.answer('con parts');
SELECT con.answer('con parts', true);
SELECT con.columns('parts');
TABLE parts ORDER BY k;
SELECT detail FROM pgxc.events WHERE migration = 'con parts' AND event = 'forced';
-- Nor can a migration be contracted that is not ready.
CREATE TABLE early (id integer, c text);
INSERT INTO early VALUES (1, 'x');
BEGIN;
SELECT FROM pgxc.start_type_change('early', 'c', 'integer', 'c::integer', 'c::text', name => 'con early');
SELECT pgxc.pause('con early');
COMMIT;
SELECT con.answer('con early', true);
SELECT pgxc.resume('con early');
\set VERBOSITY terse
CALL pgxc.wait('con early'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT con.answer('con early', true);
SELECT pgxc.rollback('con early');

-- A value that is written after the verification and would not come back: the
-- write succeeds, and contract waits until every row has been read again.
CREATE TABLE back (id integer PRIMARY KEY, c numeric);
INSERT INTO back VALUES (1, 1), (2, 2), (3, NULL);
SELECT FROM pgxc.start_type_change('back', 'c', 'integer', name => 'con back');
CALL pgxc.wait('con back');
UPDATE back SET c = 11.00 WHERE id = 1;
INSERT INTO back VALUES (4, 4), (5, NULL);
TABLE con.unconverted;
SELECT item, ok FROM pgxc.checklist('con back') WHERE NOT ok;
UPDATE back SET c = 1.5 WHERE id = 1 RETURNING id, c;
TABLE con.unconverted;
SELECT item, evidence FROM pgxc.checklist('con back') WHERE NOT ok;
SELECT con.answer('con back');
-- Mended or not, nobody knows before all is read again.
SELECT pgxc.retry('con back');
\set VERBOSITY terse
CALL pgxc.wait('con back'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT key, sqlstate, message FROM pgxc.row_errors WHERE migration = 'con back';
SELECT con.answer('con back');
UPDATE back SET c = 1 WHERE id = 1;
SELECT con.answer('con back');
SELECT pgxc.retry('con back');
CALL pgxc.wait('con back');
SELECT item, ok FROM pgxc.checklist('con back') WHERE NOT ok;
-- An INSERT, an upsert and an UPDATE that goes through the trigger.
INSERT INTO back VALUES (6, 6.5);
INSERT INTO back VALUES (2, 0) ON CONFLICT (id) DO UPDATE SET c = 2.5;
CREATE FUNCTION con.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER nothing BEFORE UPDATE ON back FOR EACH ROW EXECUTE FUNCTION con.nothing();
UPDATE back SET c = 4.5 WHERE id = 4;
DROP TRIGGER nothing ON back;
SELECT item, evidence FROM pgxc.checklist('con back') WHERE NOT ok;
SELECT con.answer('con back');
UPDATE back SET c = round(c) WHERE c <> round(c);
SELECT pgxc.retry('con back');
CALL pgxc.wait('con back');
SELECT con.answer('con back');
TABLE back ORDER BY id;
-- The image decides for strings, equality for what has one; a failing down is
-- a loss, too.
CREATE FUNCTION con.fold(text) RETURNS text LANGUAGE sql IMMUTABLE RETURN lower($1);
CREATE FUNCTION con.unfold(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF $1 = 'fails' THEN RAISE 'it fails' USING ERRCODE = '22023'; END IF;
	RETURN $1;
END $$;
CREATE TABLE folded (id integer PRIMARY KEY, c text);
INSERT INTO folded VALUES (1, 'a');
SELECT FROM pgxc.start_transform('folded', 'd', 'text', 'con.fold(c)', 'con.unfold(d)', name => 'con folded');
CALL pgxc.wait('con folded');
INSERT INTO folded VALUES (2, 'b'), (3, NULL);
SELECT item, ok FROM pgxc.checklist('con folded') WHERE NOT ok;
UPDATE folded SET c = 'A' WHERE id = 1 RETURNING *;
INSERT INTO folded VALUES (4, 'fails') RETURNING *;
SELECT detail FROM con.unconverted WHERE migration = 'con folded';
SELECT item, evidence FROM pgxc.checklist('con folded') WHERE NOT ok;
UPDATE folded SET c = 'a' WHERE id = 1;
DELETE FROM folded WHERE id = 4;
SELECT con.answer('con folded');
SELECT pgxc.retry('con folded');
CALL pgxc.wait('con folded');
SELECT con.answer('con folded');
TABLE folded ORDER BY id;

-- What was rolled back gives its name up: the same start works again, and again.
CREATE TABLE again (id integer PRIMARY KEY, c integer);
INSERT INTO again VALUES (1, 1);
BEGIN;
SELECT pgxc.start_rename('again', 'c', 'd') > 0 AS started;
SELECT pgxc.start_rename('again', 'c', 'd') = id AS same FROM pgxc.migrations WHERE name = 'rename con.again.c to d';
COMMIT;
CALL pgxc.wait('rename con.again.c to d');
SELECT pgxc.rollback('rename con.again.c to d');
SELECT pgxc.start_rename('again', 'c', 'd') > 0 AS started;
SELECT pgxc.cancel('rename con.again.c to d');
SELECT pgxc.start_rename('again', 'c', 'd') > 0 AS started;
SELECT name = 'rename con.again.c to d' AS has_the_name, name = format('rename con.again.c to d #%s', id) AS has_its_number, phase FROM pgxc.migrations WHERE name LIKE 'rename con.again.c to d%' ORDER BY id;
CALL pgxc.wait('rename con.again.c to d');
SELECT con.answer('rename con.again.c to d');
SELECT con.columns('again');
-- One that was contracted keeps it.
\set VERBOSITY terse
SELECT pgxc.start_rename('again', 'd', 'c', name => 'rename con.again.c to d'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA con CASCADE;
