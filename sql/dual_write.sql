-- The trigger of a migration, created by hand: an old column and its new one
-- are in step, whoever writes which.
CREATE SCHEMA dw;
GRANT USAGE ON SCHEMA dw TO PUBLIC;
SET search_path = dw;

-- Creates the trigger: the new column, up, and pairs of a column and its down.
CREATE PROCEDURE dual_write(relation regclass, target text, up text, pairs text[], prefer text DEFAULT 'old', settings text DEFAULT '{}', migration bigint DEFAULT 4711)
	LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE (SELECT format('CREATE TRIGGER zz_pgxc BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write(%L, %L, %L, %L, %L, %L, %s)',
						   relation, migration, 'the migration', target, prefer, up, settings, string_agg(quote_literal(p), ', ' ORDER BY n))
			   FROM unnest(pairs) WITH ORDINALITY u (p, n));
	EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER zz_pgxc', relation);
END $$;

-- A copy.
CREATE TABLE copied (id integer, dropped integer, a text, x integer, b text);
ALTER TABLE copied DROP dropped;
INSERT INTO copied VALUES (0, 'unfilled', 0), (1, 'unfilled', 0), (2, NULL, 0);
CALL dual_write('copied', 'b', '=', '{a,=}');
UPDATE copied SET x = 1 WHERE id IN (0, 2);
TABLE copied ORDER BY id;
TRUNCATE copied;
INSERT INTO copied (id) VALUES (1);
INSERT INTO copied (id, a) VALUES (2, 'a');
INSERT INTO copied (id, b) VALUES (3, 'b');
INSERT INTO copied (id, a, b) VALUES (4, 'same', 'same'), (5, 'a', 'b'), (6, DEFAULT, 'b'), (7, 'a', DEFAULT);
TABLE copied ORDER BY id;
UPDATE copied SET a = 'new a' WHERE id = 2;
UPDATE copied SET b = 'new b' WHERE id = 3;
UPDATE copied SET a = 'both', b = 'both' WHERE id = 4;
UPDATE copied SET a = 'both a', b = 'both b' WHERE id = 5;
UPDATE copied SET b = NULL WHERE id = 6;
UPDATE copied SET a = NULL WHERE id = 7;
UPDATE copied SET a = b, b = a, x = 2 WHERE id IN (1, 2);
TABLE copied ORDER BY id;
-- The image decides, not equality.
CREATE TABLE image (id integer, a numeric, b numeric);
CALL dual_write('image', 'b', '=', '{a,=}');
INSERT INTO image VALUES (1, 1.0);
UPDATE image SET a = 1.00;
TABLE image;
UPDATE image SET b = 1.000;
TABLE image;
-- The other side.
CREATE TABLE newer (LIKE copied);
CALL dual_write('newer', 'b', '=', '{a,=}', 'new');
INSERT INTO newer (id, a, b) VALUES (1, 'a', 'b'), (2, 'a', NULL);
UPDATE newer SET a = 'both a', b = 'both b' WHERE id = 2;
TABLE newer ORDER BY id;

-- A cast of the system's: integer to bigint.
CREATE TABLE widened (id integer PRIMARY KEY, b bigint, x text);
CALL dual_write('widened', 'b', '=', '{id,=}');
INSERT INTO widened (id) VALUES (1);
INSERT INTO widened (id, b) VALUES (2, 2), (3, 33);
UPDATE widened SET b = 20 WHERE id = 2;
UPDATE widened SET id = 30 WHERE id = 3;
UPDATE widened SET b = 3000000000 WHERE id = 1;
TABLE widened ORDER BY id;
-- Casts that cut, and say so or not.
CREATE TABLE cut (id integer, a varchar(3), b text, c numeric(6, 2), d numeric, e text);
CALL dual_write('cut', 'b', '=', '{a,=}');
INSERT INTO cut (id, a) VALUES (1, 'abc');
INSERT INTO cut (id, b) VALUES (2, 'abc    ');
INSERT INTO cut (id, b) VALUES (3, 'abcd');
SELECT id, a, b, length(b) FROM cut ORDER BY id;
DROP TRIGGER zz_pgxc ON cut;
CALL dual_write('cut', 'd', '=', '{c,=}');
INSERT INTO cut (id, d) VALUES (4, 1.239);
UPDATE cut SET c = 7.777 WHERE id = 1;
SELECT id, c, d FROM cut WHERE c IS NOT NULL ORDER BY id;

-- A value that up fails on does not fail the statement.
CREATE TABLE number (id integer, a text, b integer);
CALL dual_write('number', 'b', 't.a::integer', '{a,=}');
INSERT INTO number (id, a) VALUES (1, '17'), (2, 'seventeen'), (3, NULL), (4, '99999999999');
INSERT INTO number (id, b) VALUES (5, 5);
INSERT INTO number (id, a, b) VALUES (6, 'six', 6), (7, '7', 8);
TABLE number ORDER BY id;
UPDATE number SET a = 'no number' WHERE id = 1;
UPDATE number SET b = 2 WHERE id = 2;
UPDATE number SET id = id + 10;
TABLE number ORDER BY id;
BEGIN;
INSERT INTO number (id, a) SELECT g, CASE WHEN g % 2 = 0 THEN g::text ELSE 'odd' END FROM generate_series(101, 200) g;
COMMIT;
SELECT count(*), count(b), sum(b) FROM number WHERE id > 100;
-- Errors that are not about the value are not caught.
CREATE FUNCTION picky(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF $1 = 'raise' THEN RAISE EXCEPTION 'raised'; END IF;
	IF $1 = 'check' THEN RAISE check_violation; END IF;
	IF $1 = 'undefined' THEN RAISE undefined_table USING MESSAGE = 'undefined'; END IF;
	IF $1 = 'full' THEN RAISE disk_full USING MESSAGE = 'full'; END IF;
	RETURN upper($1);
END $$;
CREATE TABLE picked (id integer, a text, b text);
CALL dual_write('picked', 'b', 'dw.picky(t.a)', '{a,dw.picky(t.b)}');
INSERT INTO picked VALUES (1, 'fine'), (2, 'raise'), (3, 'check');
INSERT INTO picked VALUES (4, 'undefined');
INSERT INTO picked VALUES (4, 'full');
-- A failing down is the statement's error.
INSERT INTO picked (id, b) VALUES (5, 'raise');
UPDATE picked SET b = 'check' WHERE id = 1;
UPDATE picked SET b = 'well' WHERE id = 2;
TABLE picked ORDER BY id;
-- Nor is a value that the new type does not take, whichever way it says so.
CREATE DOMAIN positive AS integer CHECK (value > 0);
CREATE FUNCTION divide(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS $$ SELECT 12 / $1 FROM generate_series(1, 1) $$;
CREATE TABLE typed (id integer, a integer, b positive, c integer, d varchar(9)[], e text[]);
CALL dual_write('typed', 'b', '=', '{a,=}');
INSERT INTO typed (id, a) VALUES (1, 1), (2, 0), (3, 3);
INSERT INTO typed (id, b) VALUES (4, 4);
INSERT INTO typed (id, b) VALUES (5, -4);
DROP TRIGGER zz_pgxc ON typed;
CALL dual_write('typed', 'c', 'dw.divide(t.a)', '{a,!}');
INSERT INTO typed (id, a) VALUES (6, 0), (7, 1), (8, 0), (9, 2), (10, 3);
UPDATE typed SET a = 4 WHERE id = 10;
DROP TRIGGER zz_pgxc ON typed;
CALL dual_write('typed', 'e', '=', '{d,=}');
INSERT INTO typed (id, d) VALUES (11, '{x,NULL}');
INSERT INTO typed (id, e) VALUES (12, '{y}');
INSERT INTO typed (id, e) VALUES (13, '{more than nine}');
TABLE typed ORDER BY id;
-- What an error leaves behind does no harm to the next statement.
DO $$
BEGIN
	FOR i IN 1 .. 3 LOOP
		BEGIN
			UPDATE dw.picked SET b = 'raise' WHERE id = 1;
		EXCEPTION WHEN raise_exception THEN
			UPDATE dw.picked SET b = 'after ' || i WHERE id = 1;
		END;
	END LOOP;
END $$;
TABLE picked ORDER BY id;

-- An expression without a way back.
CREATE TABLE lowered (id integer, a text, b text);
CALL dual_write('lowered', 'b', 'lower(t.a)', '{a,!}');
INSERT INTO lowered (id, a) VALUES (1, 'A');
INSERT INTO lowered (id, a, b) VALUES (2, 'A', 'a'), (3, 'A', 'b');
INSERT INTO lowered (id, b) VALUES (4, 'b');
UPDATE lowered SET b = 'c' WHERE id = 1;
UPDATE lowered SET a = 'D', b = 'c' WHERE id = 2;
UPDATE lowered SET a = 'd' WHERE id = 2;
TABLE lowered ORDER BY id;
-- Who fills a row by hand is right to write what up gives.
ALTER TABLE lowered DISABLE TRIGGER zz_pgxc;
INSERT INTO lowered (id, a) VALUES (5, 'Five'), (6, 'Six');
ALTER TABLE lowered ENABLE ALWAYS TRIGGER zz_pgxc;
UPDATE lowered SET b = lower(a) WHERE id = 5;
UPDATE lowered SET b = 'other' WHERE id = 6;
UPDATE lowered SET id = id WHERE id = 6;
TABLE lowered ORDER BY id;
-- The new side is preferred, but has no way back.
CREATE TABLE lowered_new (LIKE lowered);
CALL dual_write('lowered_new', 'b', 'lower(t.a)', '{a,!}', 'new');
INSERT INTO lowered_new VALUES (1, 'A', 'a');
INSERT INTO lowered_new VALUES (2, 'A', 'b');
TABLE lowered_new;
-- With one: N is up(S) also after it was N that was written.
CREATE TABLE lowered_both (LIKE lowered);
CALL dual_write('lowered_both', 'b', 'lower(t.a)', '{a,upper(t.b)}', 'new');
INSERT INTO lowered_both VALUES (1, 'A', NULL), (2, NULL, 'Bb'), (3, 'A', 'B'), (4, 'A', 'a');
UPDATE lowered_both SET b = 'Cc' WHERE id = 1;
UPDATE lowered_both SET a = 'Dd', b = 'dd' WHERE id = 2;
TABLE lowered_both ORDER BY id;

-- One column from two.
CREATE TABLE person (id integer, first text, last text, name text);
CALL dual_write('person', 'name', $$((t.first || ' '::text) || t.last)$$,
	ARRAY['first', $$split_part(t.name, ' '::text, 1)$$, 'last', $$split_part(t.name, ' '::text, 2)$$]);
INSERT INTO person VALUES (1, 'Ada', 'Byron', NULL), (2, NULL, NULL, 'Mary Shelley'), (3, 'A', NULL, 'B C'), (4, 'A', NULL, NULL);
UPDATE person SET last = 'Lovelace' WHERE id = 1;
UPDATE person SET name = 'Mary Godwin  ' WHERE id = 2;
UPDATE person SET name = 'X Y', first = 'Z' WHERE id = 3;
TABLE person ORDER BY id;

-- An expression that reads another table, as the table's owner.
CREATE TABLE country (code text PRIMARY KEY, name varchar(20));
INSERT INTO country VALUES ('at', 'Austria'), ('be', 'Belgium');
CREATE TABLE address (id integer, code char(2), country varchar(10), note text);
CALL dual_write('address', 'country', '( SELECT c.name FROM dw.country c WHERE c.code = t.code::text)', ARRAY['code', '( SELECT c.code FROM dw.country c WHERE c.name::text = t.country::text)']);
INSERT INTO address VALUES (1, 'at', NULL), (2, NULL, 'Belgium'), (3, 'xx', NULL), (4, NULL, 'nowhere');
UPDATE address SET code = 'be' WHERE id = 1;
UPDATE address SET country = 'Austria' WHERE id = 2;
INSERT INTO country VALUES ('vc', 'Saint Vincent and');
UPDATE address SET code = 'vc' WHERE id = 3;
TABLE address ORDER BY id;
-- As is the whole row, and a name that the session would find elsewhere.
CREATE TABLE described (id integer, a text, b text);
CREATE FUNCTION describe(described) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1.id || ':' || $1.a $$;
CALL dual_write('described', 'b', '(dw.describe(t.*) || ( SELECT lower(c.name::text) FROM dw.country c WHERE c.code = ''at''::text))', '{a,!}');
CREATE FUNCTION lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'wrong' $$;
SET search_path = dw, pg_catalog;
INSERT INTO described VALUES (1, 'A');
UPDATE described SET a = 'B';
TABLE described;
INSERT INTO lowered VALUES (7, 'SEVEN');
SELECT * FROM lowered WHERE id = 7;
RESET search_path;
SET search_path = dw;
DROP FUNCTION dw.lower(text);

-- What is a default was not given.
CREATE TABLE defaults (id integer, a text DEFAULT 'default ' || 'a', b text);
CALL dual_write('defaults', 'b', '=', '{a,=}');
INSERT INTO defaults VALUES (1, DEFAULT, NULL), (2, 'a', NULL), (3, DEFAULT, 'b'), (4, 'a', 'b'), (5, NULL, 'b');
INSERT INTO defaults (id, b) VALUES (6, 'b');
TABLE defaults ORDER BY id;
CREATE TABLE defaults_volatile (id integer, a timestamptz DEFAULT clock_timestamp(), b timestamptz);
CALL dual_write('defaults_volatile', 'b', '=', '{a,=}');
INSERT INTO defaults_volatile (id) VALUES (1);
INSERT INTO defaults_volatile (id, b) VALUES (2, '2001-01-01');
INSERT INTO defaults_volatile (id, a) VALUES (3, '2001-01-01');
SELECT id, a = b AS same, a = '2001-01-01' AS given FROM defaults_volatile ORDER BY id;
CREATE TABLE defaults_sequence (id integer, s serial, b bigint);
CALL dual_write('defaults_sequence', 'b', '=', '{s,=}');
INSERT INTO defaults_sequence (id) VALUES (1), (2);
INSERT INTO defaults_sequence (id, b) VALUES (3, 30);
INSERT INTO defaults_sequence (id, s) VALUES (4, 40);
TABLE defaults_sequence ORDER BY id;
CREATE TABLE identities (id integer, a integer GENERATED ALWAYS AS IDENTITY, d integer GENERATED BY DEFAULT AS IDENTITY, b bigint);
CALL dual_write('identities', 'b', '=', '{a,=}');
INSERT INTO identities (id) VALUES (1), (2);
INSERT INTO identities (id, b) VALUES (3, 30);
INSERT INTO identities (id, a) OVERRIDING SYSTEM VALUE VALUES (4, 40);
DROP TRIGGER zz_pgxc ON identities;
CALL dual_write('identities', 'b', '=', '{d,=}');
INSERT INTO identities (id) VALUES (11);
INSERT INTO identities (id, b) VALUES (12, 120);
INSERT INTO identities (id, d) VALUES (13, 130);
TABLE identities ORDER BY id;
CREATE DOMAIN with_default AS text DEFAULT 'of the domain';
CREATE TABLE defaults_domain (id integer, a with_default, b text);
CALL dual_write('defaults_domain', 'b', '=', '{a,=}');
INSERT INTO defaults_domain (id) VALUES (1);
INSERT INTO defaults_domain (id, b) VALUES (2, 'b');
TABLE defaults_domain ORDER BY id;

-- Values stored out of line are never shared.
CREATE TABLE long (id integer, a text, x integer, b text);
ALTER TABLE long ALTER a SET STORAGE EXTERNAL, ALTER b SET STORAGE EXTERNAL;
CREATE FUNCTION random_text(seed integer) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(md5(seed || '.' || g), '') FROM generate_series(1, 320) g $$;
INSERT INTO long SELECT g, random_text(g), 0 FROM generate_series(1, 4) g;
CALL dual_write('long', 'b', '=', '{a,=}');
CREATE FUNCTION toast_values(regclass) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	result bigint;
BEGIN
	EXECUTE 'SELECT count(DISTINCT chunk_id) FROM pg_toast.pg_toast_' || $1::oid INTO result;
	RETURN result;
END $$;
-- Filled on touch, from a value that is out of line.
UPDATE long SET x = 1;
SELECT count(*), bool_and(a = b AND a = random_text(id)) FROM long;
-- Nothing is written anew by an update of something else.
SELECT toast_values('long'), toast_values('long') - 8 AS more;
UPDATE long SET x = 2;
SELECT toast_values('long');
UPDATE long SET a = a, b = b, x = 3;
SELECT toast_values('long');
-- The value of one column goes, that of the other stays.
UPDATE long SET b = 'short' WHERE id = 1;
UPDATE long SET a = random_text(20) WHERE id = 2;
DELETE FROM long WHERE id = 3;
INSERT INTO long SELECT 5, a, 0 FROM long WHERE id = 4;
INSERT INTO long SELECT 6, NULL, 0, a FROM long WHERE id = 4;
DELETE FROM long WHERE id = 4;
UPDATE long SET a = (SELECT b FROM long WHERE id = 2) WHERE id = 6;
DELETE FROM long WHERE id = 2;
VACUUM long;
SELECT id, length(a), a = b AS same, md5(a) = md5(random_text(CASE id WHEN 5 THEN 4 WHEN 6 THEN 20 END)) AS right FROM long ORDER BY id;
ALTER TABLE long DISABLE TRIGGER zz_pgxc;
UPDATE long SET a = NULL WHERE id = 5;
UPDATE long SET b = NULL WHERE id = 6;
VACUUM long;
SELECT id, md5(coalesce(a, b)) = md5(random_text(CASE id WHEN 5 THEN 4 WHEN 6 THEN 20 END)) AS right FROM long WHERE id > 1 ORDER BY id;

-- Every way to write.
CREATE TABLE written (id integer PRIMARY KEY, a text, b text);
CALL dual_write('written', 'b', '=', '{a,=}');
COPY written (id, a) FROM stdin;
1	copy a
\.
COPY written (id, b) FROM stdin;
2	copy b
\.
INSERT INTO written (id, a) VALUES (1, 'conflict a') ON CONFLICT (id) DO UPDATE SET a = EXCLUDED.a;
INSERT INTO written (id, b) VALUES (2, 'conflict b') ON CONFLICT (id) DO UPDATE SET b = EXCLUDED.b;
INSERT INTO written (id, a) VALUES (1, 'crossed') ON CONFLICT (id) DO UPDATE SET b = EXCLUDED.b || ' over';
TABLE written ORDER BY id;
MERGE INTO written w USING (VALUES (2, 'merge 2'), (3, 'merge 3')) v (id, value) ON w.id = v.id
	WHEN MATCHED THEN UPDATE SET a = v.value
	WHEN NOT MATCHED THEN INSERT (id, b) VALUES (v.id, v.value);
CREATE VIEW written_view AS SELECT id, b AS seen FROM written;
UPDATE written_view SET seen = 'view' WHERE id = 1;
INSERT INTO written_view VALUES (4, 'view');
WITH moved AS (UPDATE written SET a = 'returned' WHERE id = 3 RETURNING *) TABLE moved;
PREPARE write AS UPDATE written SET a = $1 WHERE id = 4 RETURNING b;
EXECUTE write('prepared');
DROP VIEW written_view;
ALTER TABLE written ADD c integer, DROP b, ADD b text;
EXECUTE write('prepared again');
SET session_replication_role = replica;
UPDATE written SET b = 'replica' WHERE id = 1;
RESET session_replication_role;
TABLE written ORDER BY id;

-- A partition has its columns in another order.
CREATE TABLE parted (id integer, region text, a text, b integer) PARTITION BY LIST (region);
CREATE TABLE parted_north PARTITION OF parted FOR VALUES IN ('north');
CREATE TABLE parted_south (gone integer, b integer, gone_too text, a text, id integer, region text);
ALTER TABLE parted_south DROP gone, DROP gone_too;
CALL dual_write('parted', 'b', 't.a::integer', '{a,=}');
ALTER TABLE parted ATTACH PARTITION parted_south FOR VALUES IN ('south');
INSERT INTO parted VALUES (1, 'north', '1', NULL), (2, 'south', '2', NULL), (3, 'north', NULL, 3), (4, 'south', NULL, 4);
UPDATE parted SET b = b * 10;
UPDATE parted SET region = CASE region WHEN 'north' THEN 'south' ELSE 'north' END, a = a || '1' WHERE id > 2;
UPDATE parted SET region = 'north', b = 22 WHERE id = 2;
INSERT INTO parted_south (id, region, a) VALUES (5, 'south', '5');
SELECT tableoid::regclass, * FROM parted ORDER BY id;
-- A row that moves brings both columns: no way back is needed.
CREATE TABLE moved (id integer, region integer, a text DEFAULT 'X', b text) PARTITION BY LIST (region);
CREATE TABLE moved_1 PARTITION OF moved FOR VALUES IN (1);
CREATE TABLE moved_2 PARTITION OF moved FOR VALUES IN (2);
CALL dual_write('moved', 'b', 'lower(t.a)', '{a,!}');
INSERT INTO moved (id, region) VALUES (1, 1);
UPDATE moved SET region = 2;
TABLE moved;

-- An UPDATE does without the trigger, and without the lock that it costs, where
-- nothing else makes the executor lock each row.
CREATE FUNCTION fired(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF, BUFFERS OFF) ' || statement LOOP
		IF line LIKE 'Trigger %' THEN
			RETURN NEXT line;
		END IF;
	END LOOP;
END $$;
SELECT fired($$INSERT INTO written (id, a) VALUES (11, 'a'), (12, 'b')$$);
SELECT fired($$UPDATE written SET b = 'updated' WHERE id = 11$$);
SELECT fired($$WITH u AS (UPDATE written SET a = 'in a query' WHERE id = 12 RETURNING id) SELECT * FROM u$$);
SELECT fired($$UPDATE parted SET a = '7' WHERE id = 1$$);
SELECT * FROM written WHERE id > 10 ORDER BY id;
CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TRIGGER nothing BEFORE UPDATE ON written FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT fired($$UPDATE written SET b = 'fired' WHERE id = 11$$);
DROP TRIGGER nothing ON written;
ALTER TABLE written ENABLE TRIGGER zz_pgxc;
SELECT fired($$UPDATE written SET a = 'not always' WHERE id = 12$$);
SELECT * FROM written WHERE id > 10 ORDER BY id;
-- An UPDATE of other columns computes nothing, but for a row that is not filled.
CREATE SEQUENCE calls;
CREATE FUNCTION counted(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN PERFORM nextval('dw.calls'); RETURN $1; END $$;
-- How often a statement has called it.
CREATE FUNCTION calls(statement text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	PERFORM setval('dw.calls', 1, false);
	EXECUTE statement;
	RETURN nextval('dw.calls') - 1;
END $$;
CREATE TABLE untouched (id integer, x integer DEFAULT 0, a text, b text);
INSERT INTO untouched (id, a) VALUES (1, 'Unfilled'), (2, 'Unfilled'), (3, NULL), (4, 'Unfilled');
CALL dual_write('untouched', 'b', 'dw.counted(lower(t.a))', '{a,dw.counted(initcap(t.b))}');
SELECT calls($$INSERT INTO dw.untouched (id, a) VALUES (5, 'Filled'), (6, 'Filled')$$) AS two_inserted;
SELECT calls('UPDATE dw.untouched SET x = 1 WHERE id > 4') AS filled;
SELECT calls('UPDATE dw.untouched SET x = 1 WHERE id = 1') AS unfilled;
SELECT calls('UPDATE dw.untouched SET x = 1 WHERE id = 3') AS nothing_to_fill;
SELECT calls('UPDATE dw.untouched SET x = 2 WHERE id <> 4') AS one_unfilled;
SELECT calls('UPDATE dw.untouched SET x = 2 WHERE id IN (2, 4, 5)') AS one_unfilled;
SELECT calls('UPDATE dw.untouched SET a = a, x = 3 WHERE id <> 3') AS the_same_value;
SELECT calls($$UPDATE dw.untouched SET a = 'Changed' WHERE id IN (1, 5)$$) AS changed;
SELECT calls($$UPDATE dw.untouched SET b = 'changed' WHERE id IN (2, 6)$$) AS changed_both_ways;
TABLE untouched ORDER BY id;
-- A statement that is planned once, for rows of both sorts; rows from a join.
ALTER TABLE untouched DISABLE TRIGGER zz_pgxc;
UPDATE untouched SET b = NULL WHERE id IN (2, 5, 6);
ALTER TABLE untouched ENABLE ALWAYS TRIGGER zz_pgxc;
SET plan_cache_mode = force_generic_plan;
PREPARE touch AS UPDATE untouched SET x = 4 WHERE id = $1 RETURNING b;
SELECT calls('EXECUTE touch(1)') AS filled;
SELECT calls('EXECUTE touch(2)') AS unfilled;
SELECT calls('EXECUTE touch(2)') AS filled;
RESET plan_cache_mode;
DEALLOCATE touch;
SELECT calls('UPDATE dw.untouched u SET x = v.x FROM (VALUES (4, 5), (5, 5)) v (id, x) WHERE v.id = u.id') AS one_unfilled;
-- The same with the trigger, which another trigger brings back.
CREATE TRIGGER nothing BEFORE UPDATE ON untouched FOR EACH ROW EXECUTE FUNCTION nothing();
SELECT calls('UPDATE dw.untouched SET x = 6') AS one_unfilled;
SELECT calls('UPDATE dw.untouched SET x = 7') AS filled;
TABLE untouched ORDER BY id;
-- What is computed behind it sees the column: generated columns, AFTER triggers,
-- RETURNING, CHECK and WITH CHECK OPTION.  Two migrations may be in a chain.
CREATE TABLE behind (id integer, a text, b text, c text, g text GENERATED ALWAYS AS (b || '!') STORED, CHECK (b <> 'bad'));
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% -> %', OLD, NEW; RETURN NULL; END $$;
CREATE TRIGGER tell AFTER UPDATE ON behind FOR EACH ROW EXECUTE FUNCTION tell();
CREATE VIEW behind_view AS SELECT * FROM behind WHERE b < 'm' WITH CHECK OPTION;
CALL dual_write('behind', 'b', 'lower(t.a)', '{a,upper(t.b)}');
CREATE TRIGGER zz_pgxc_2 BEFORE INSERT OR UPDATE ON behind FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('4712', 'second', 'c', 'old', '(''<''::text || t.b)', '{}', 'b', '!');
ALTER TABLE behind ENABLE ALWAYS TRIGGER zz_pgxc_2;
INSERT INTO behind (id, a) VALUES (1, 'A');
UPDATE behind SET a = 'B' RETURNING *;
UPDATE behind SET b = 'c' RETURNING *;
UPDATE behind SET a = 'BAD';
UPDATE behind_view SET a = 'Z';
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM behind;
MOVE c;
UPDATE behind SET a = 'Cursor' WHERE CURRENT OF c;
COMMIT;
UPDATE behind SET a = behind.a || v.n FROM (VALUES (1), (2)) v (n) WHERE n > 1 RETURNING behind.*;
-- Other triggers that change the column; those before us in the order of names.
CREATE TABLE triggered (id integer, a text, b text);
CREATE FUNCTION change_a() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.a := NEW.a || '!'; RETURN NEW; END $$;
CREATE FUNCTION change_b() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.id = 9 THEN NEW.b := 'nine'; END IF; RETURN NEW; END $$;
CREATE TRIGGER a BEFORE INSERT OR UPDATE OF a ON triggered FOR EACH ROW EXECUTE FUNCTION change_a();
CREATE TRIGGER b BEFORE UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION change_b();
CALL dual_write('triggered', 'b', '=', '{a,=}');
INSERT INTO triggered VALUES (1, 'a', NULL), (2, NULL, 'b');
UPDATE triggered SET a = 'c' WHERE id = 1;
UPDATE triggered SET id = 9 WHERE id = 2;
TABLE triggered ORDER BY id;
-- A trigger that writes to the table itself, also of the session that knows it.
CREATE FUNCTION write_more() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.id < 1003 THEN
		INSERT INTO dw.triggered (id, b) VALUES (NEW.id + 1, 'nested ' || NEW.id);
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER c BEFORE INSERT ON triggered FOR EACH ROW WHEN (NEW.id >= 1000) EXECUTE FUNCTION write_more();
INSERT INTO triggered (id, a) VALUES (1000, 'outer');
SELECT * FROM triggered WHERE id >= 1000 ORDER BY id;
-- A function in up that writes to the table.
CREATE TABLE recursive (id integer, a text, b text);
CREATE FUNCTION recurse(integer, text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	IF $1 < 4 THEN
		INSERT INTO dw.recursive (id, a) VALUES ($1 + 1, $2 || $1);
	END IF;
	RETURN $1 || $2;
END $$;
CALL dual_write('recursive', 'b', '((''<''::text || dw.recurse(t.id, t.a)) || ''>''::text)', '{a,!}');
INSERT INTO recursive VALUES (1, 'a'), (3, 'b');
TABLE recursive ORDER BY id, a;

-- An application that may write to the table, and nothing else.
CREATE SCHEMA dw_private;
CREATE FUNCTION dw_private.secret(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 || ' by ' || current_user || ' in ' || current_setting('search_path'); END $$;
REVOKE ALL ON FUNCTION dw_private.secret FROM PUBLIC;
CREATE TABLE owned (id integer, a text, b text);
ALTER SCHEMA dw_private OWNER TO regress_pgxc_owner;
ALTER FUNCTION dw_private.secret OWNER TO regress_pgxc_owner;
ALTER TABLE owned OWNER TO regress_pgxc_owner;
GRANT INSERT, UPDATE, SELECT ON owned TO regress_pgxc_other;
CALL dual_write('owned', 'b', 'dw_private.secret(t.a)', '{a,!}');
SET ROLE regress_pgxc_other;
INSERT INTO owned VALUES (1, 'one');
SELECT dw_private.secret('x');
UPDATE owned SET a = 'two';
SELECT *, current_user, current_setting('search_path') AS search_path FROM owned;
SET row_security = off;
RESET ROLE;
-- The owner's rights end where they would end for the owner.
REVOKE ALL ON FUNCTION dw_private.secret FROM regress_pgxc_owner;
INSERT INTO owned VALUES (2, 'two');
GRANT ALL ON FUNCTION dw_private.secret TO regress_pgxc_owner;
CREATE OR REPLACE FUNCTION dw_private.secret(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'SET ROLE ' || $1; RETURN $1; END $$;
INSERT INTO owned VALUES (3, 'regress_pgxc_other');
RESET row_security;

-- What depends on settings sees those of the migration.
CREATE TABLE moment (id integer, a timestamp, b timestamptz);
CALL dual_write('moment', 'b', '=', '{a,=}', settings => '{TimeZone=Asia/Tokyo,"DateStyle=ISO, MDY",extra_float_digits=1,xmloption=content}');
SET TimeZone = 'America/New_York';
INSERT INTO moment (id, a) VALUES (1, '2024-01-01 12:00');
INSERT INTO moment (id, b) VALUES (2, '2024-01-01 12:00+00');
SET TimeZone = 'Asia/Tokyo';
INSERT INTO moment (id, a) VALUES (3, '2024-01-01 12:00');
SHOW TimeZone;
SET TimeZone = 'UTC';
UPDATE moment SET a = a + interval '1 hour' WHERE id = 1;
SHOW TimeZone;
TABLE moment ORDER BY id;
RESET TimeZone;
CREATE TABLE textual (id integer, a float8, b text, c date, d text);
CALL dual_write('textual', 'b', '(t.a::text || t.c::text)', '{a,!,c,!}', settings => '{"DateStyle=German, DMY",extra_float_digits=0}');
SET extra_float_digits = 3;
INSERT INTO textual VALUES (1, 0.1::float8 * 3, NULL, '2024-02-01');
RESET extra_float_digits;
SELECT b, extra FROM textual, current_setting('extra_float_digits') extra;

-- Changes in between are noticed.
CREATE TABLE changing (id integer, a text, b text);
CREATE FUNCTION change(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1 || ' 1' $$;
CREATE FUNCTION change_slowly(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 || ' 1'; END $$;
CALL dual_write('changing', 'b', 'dw.change_slowly(dw.change(t.a) || dw.change(''c''))', '{a,!}');
INSERT INTO changing VALUES (1, 'a');
CREATE OR REPLACE FUNCTION change(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT $1 || ' 2' $$;
INSERT INTO changing VALUES (2, 'a');
CREATE OR REPLACE FUNCTION change_slowly(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN $1 || ' 2'; END $$;
INSERT INTO changing VALUES (3, 'a');
ALTER FUNCTION change_slowly RENAME TO change_no_more;
INSERT INTO changing VALUES (4, 'a');
ALTER FUNCTION change_no_more RENAME TO change_slowly;
ALTER TABLE changing ADD more integer DEFAULT 1, ADD d text;
INSERT INTO changing VALUES (5, 'a');
ALTER TABLE changing DROP id, ADD id2 integer;
INSERT INTO changing VALUES ('a');
UPDATE changing SET id2 = more;
TABLE changing;
ALTER TABLE changing DROP b, ADD b varchar(8);
INSERT INTO changing (a) VALUES ('too long'), ('');
TABLE changing;
ALTER TABLE defaults ALTER a SET DEFAULT 'another';
INSERT INTO defaults (id, b) VALUES (7, 'b');
INSERT INTO defaults (id, a, b) VALUES (8, 'default a', 'b');
SELECT * FROM defaults WHERE id > 6 ORDER BY id;
-- The pieces of a migration that somebody took away.
ALTER TABLE copied RENAME a TO renamed;
INSERT INTO copied (id) VALUES (8);
ALTER TABLE copied DROP b;
INSERT INTO copied (id) VALUES (8);

-- Used in another way than it is made for.
CREATE TABLE wrong (id integer, a text, b text);
SELECT pgxc.dual_write();
CREATE TRIGGER wrong AFTER INSERT ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', '=', '{}', 'a', '=');
INSERT INTO wrong VALUES (1);
DROP TRIGGER wrong ON wrong;
CREATE TRIGGER wrong BEFORE INSERT ON wrong FOR EACH STATEMENT EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', '=', '{}', 'a', '=');
INSERT INTO wrong VALUES (1);
DROP TRIGGER wrong ON wrong;
INSERT INTO wrong VALUES (1);
CREATE TRIGGER wrong BEFORE DELETE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', '=', '{}', 'a', '=');
DELETE FROM wrong;
DROP TRIGGER wrong ON wrong;
CREATE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', '=', '{}', 'a');
UPDATE wrong SET id = 2;
CREATE OR REPLACE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'odd', '=', '{}', 'a', '=');
UPDATE wrong SET id = 2;
CREATE OR REPLACE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('one', 'm', 'b', 'old', '=', '{}', 'a', '=');
UPDATE wrong SET id = 2;
CREATE OR REPLACE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', '=', '{TimeZone}', 'a', '=');
UPDATE wrong SET id = 2;
CREATE OR REPLACE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'id', 'old', '(t.a || ''x'')', '{}', 'a', '=');
UPDATE wrong SET id = 2;
CREATE OR REPLACE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', 'lower(t.a || t.nothing)', '{}', 'a', '=');
UPDATE wrong SET id = 2;
-- A setting that an ordinary user must not change is not changed for one.
CREATE OR REPLACE TRIGGER wrong BEFORE UPDATE ON wrong FOR EACH ROW EXECUTE FUNCTION pgxc.dual_write('1', 'm', 'b', 'old', 'to_char(now(), ''"x"'')', '{log_min_messages=panic}', 'a', '!');
ALTER TABLE wrong OWNER TO regress_pgxc_owner;
UPDATE wrong SET a = 'x';

RESET search_path;
SET client_min_messages = warning;
DROP SCHEMA dw, dw_private CASCADE;
