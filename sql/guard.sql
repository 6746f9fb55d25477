-- The guard: what it refuses and in which words, what it lets pass, who may
-- override it, and what is written down of it.  In a database of its own: the
-- words name whichever migration is open.
\set regression :DBNAME
CREATE DATABASE regress_pgxc_guard;
\c regress_pgxc_guard
CREATE EXTENSION pgxc;
CREATE SCHEMA guard AUTHORIZATION regress_pgxc_owner;
SET client_min_messages = warning; -- what goes by CASCADE is said by the server
GRANT USAGE ON SCHEMA guard TO PUBLIC;

-- A statement that runs and is undone, and all that the error says.
CREATE FUNCTION guard.try(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text, OUT "table" text)
	LANGUAGE plpgsql AS $$
BEGIN
	BEGIN
		EXECUTE statement;
		RAISE EXCEPTION USING ERRCODE = 'ZZ000', MESSAGE = 'passes';
	EXCEPTION
		WHEN SQLSTATE 'ZZ000' THEN
			message := 'passes';
		WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL,
				hint = PG_EXCEPTION_HINT, "table" = TABLE_NAME;
	END;
	message := regexp_replace(message, '~pgxc_\d+', '~pgxc_N', 'g');
	detail := regexp_replace(detail, '\d+ (kB|MB)', 'N kB', 'g');
	hint := regexp_replace(hint, '\((\d+)\)', '(N)', 'g');
	-- Since 18 there is a better way.
	hint := regexp_replace(hint, '(Run instead).*_not_null.*', '\1');
END $$;
-- In short: SQLSTATE and the migration, or nothing.
CREATE FUNCTION guard.answers(VARIADIC statements text[]) RETURNS TABLE (statement text, answer text)
	LANGUAGE sql AS $$
	SELECT s, coalesce(t.code || ' ' || coalesce(substring(t.message FROM '(?:migration|phase) "(.*)" is open'), t.message), 'passes')
	  FROM unnest(statements) WITH ORDINALITY AS u (s, no), LATERAL guard.try(s) t ORDER BY no
$$;
CREATE FUNCTION guard.refusals(VARIADIC statements text[])
	RETURNS TABLE (statement text, code text, message text, detail text, hint text, "table" text)
	LANGUAGE sql AS $$
	SELECT s, t.* FROM unnest(statements) WITH ORDINALITY AS u (s, no), LATERAL guard.try(s) t ORDER BY no
$$;

-- Some 1.3 MB each: larger than pgxc.guard_min_table_size.
CREATE TABLE guard.template (id integer PRIMARY KEY, a integer NOT NULL, o text, n integer,
	filler text NOT NULL DEFAULT repeat('x', 7900));
ALTER TABLE guard.template ALTER filler SET STORAGE PLAIN;
SET ROLE regress_pgxc_owner;
SET search_path = guard;
CREATE FUNCTION up(integer) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1::text';
CREATE TYPE mood AS ENUM ('bad', 'good');
CREATE TABLE lookup (code integer PRIMARY KEY, word text);
RESET ROLE;
DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['renamed', 'retyped', 'computed', 'looked_up', 'filled', 'big', 'other'] LOOP
		EXECUTE format('CREATE TABLE %I (LIKE template INCLUDING ALL)', name);
		EXECUTE format('INSERT INTO %I SELECT i, i, i, i FROM generate_series(1, 160) i', name);
		EXECUTE format('ALTER TABLE %I OWNER TO regress_pgxc_owner', name);
	END LOOP;
END $$;
SET ROLE regress_pgxc_owner;
CREATE TABLE parts (id integer NOT NULL, a integer, o text) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (100);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (100) TO (200);
INSERT INTO parts SELECT i, i FROM generate_series(1, 150) i;
CREATE TABLE small (id integer PRIMARY KEY, a integer, o text);
INSERT INTO small VALUES (1, 1, 1);
CREATE TABLE empty (LIKE big INCLUDING ALL);
CREATE VIEW other_view AS SELECT id, o FROM other;

-- Nothing of them runs: paused before the first chunk.
SELECT pgxc.start_rename('renamed', 'a', 'b', name => 'rename') > 0, pgxc.pause('rename');
SELECT pgxc.start_type_change('retyped', 'a', 'bigint', name => 'retype') > 0, pgxc.pause('retype');
SELECT pgxc.start_transform('computed', 'b', 'text', 'guard.up(a)', name => 'compute') > 0, pgxc.pause('compute');
SELECT pgxc.start_transform('looked_up', 'b', 'guard.mood', '(SELECT l.word::guard.mood FROM guard.lookup l WHERE l.code = a)', name => 'look up') > 0, pgxc.pause('look up');
SELECT pgxc.start_backfill('filled', 'n = id + 1', 'a > 0', name => 'fill') > 0, pgxc.pause('fill');
SELECT pgxc.start_rename('parts', 'a', 'b', name => 'parts') > 0, pgxc.pause('parts');
SELECT pgxc.start_rename('small', 'a', 'b', name => 'small') > 0, pgxc.pause('small');
SELECT pgxc.start_rename('empty', 'a', 'b', name => 'empty') > 0, pgxc.pause('empty');
-- A trigger in its first words: our own one is named after the id.
SELECT tgname AS own_trigger FROM pg_trigger WHERE tgrelid = 'renamed'::regclass AND tgname LIKE '~pgxc%' \gset
RESET ROLE;

--
-- What would break a migration
--
\x
SELECT * FROM refusals(
	'ALTER TABLE renamed DROP COLUMN a',
	'ALTER TABLE renamed RENAME b TO c',
	'ALTER TABLE retyped ALTER a TYPE numeric',
	'ALTER TABLE renamed ALTER b SET DEFAULT 5',
	'ALTER TABLE renamed ALTER b SET NOT NULL',
	'ALTER TABLE renamed DISABLE TRIGGER USER',
	'ALTER TABLE renamed ENABLE ROW LEVEL SECURITY',
	'ALTER TABLE renamed RENAME TO renamed_2',
	'ALTER TABLE renamed OWNER TO regress_pgxc_other',
	'ALTER TABLE renamed SET UNLOGGED',
	'CREATE TRIGGER "~~" BEFORE UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE RULE nothing AS ON UPDATE TO renamed DO INSTEAD NOTHING',
	'CREATE TABLE child () INHERITS (renamed)',
	'ALTER TABLE parts DETACH PARTITION parts_1',
	'DROP TABLE filled',
	'ALTER TABLE filled DROP COLUMN n',
	'DROP TYPE mood CASCADE',
	'DROP SCHEMA guard CASCADE',
	'ALTER SCHEMA guard RENAME TO guard_2',
	'DROP OWNED BY regress_pgxc_owner CASCADE',
	'ALTER ROLE regress_pgxc_owner RENAME TO regress_pgxc_owner_2',
	'DROP EXTENSION pgxc CASCADE',
	'DROP FUNCTION up(integer) CASCADE');
\x
-- In short
SELECT * FROM answers(
	'ALTER TABLE renamed DROP COLUMN a CASCADE', 'ALTER TABLE renamed DROP COLUMN IF EXISTS b',
	'ALTER TABLE renamed ADD COLUMN z integer, DROP COLUMN b',
	'ALTER TABLE renamed RENAME a TO c', 'ALTER TABLE renamed ALTER b TYPE bigint',
	'ALTER TABLE renamed ALTER b DROP DEFAULT', 'ALTER TABLE renamed ALTER b ADD GENERATED ALWAYS AS IDENTITY',
	'ALTER TABLE renamed ADD CHECK (b > 0) NOT VALID', 'ALTER TABLE renamed ADD PRIMARY KEY (b)',
	'ALTER TABLE renamed SET SCHEMA public',
	'ALTER TABLE retyped DROP a', 'ALTER TABLE retyped ALTER a DROP NOT NULL',
	'ALTER TABLE computed DROP a', 'ALTER TABLE computed RENAME b TO c', 'ALTER TABLE computed ALTER b TYPE varchar(20)',
	'ALTER TABLE filled DROP id', 'ALTER TABLE filled RENAME n TO m', 'ALTER TABLE filled ALTER n TYPE bigint', 'ALTER TABLE filled RENAME a TO m',
	'ALTER TABLE filled RENAME TO filled_2', 'ALTER TABLE filled FORCE ROW LEVEL SECURITY');
-- The trigger
SELECT replace(statement, :'own_trigger', '~pgxc_N') AS statement, answer FROM answers(
	format('DROP TRIGGER %I ON renamed', :'own_trigger'), format('ALTER TABLE renamed DISABLE TRIGGER %I', :'own_trigger'),
	format('ALTER TABLE renamed ENABLE TRIGGER %I', :'own_trigger'), format('ALTER TABLE renamed ENABLE REPLICA TRIGGER %I', :'own_trigger'),
	format('ALTER TRIGGER %I ON renamed RENAME TO t', :'own_trigger'),
	format('CREATE OR REPLACE TRIGGER %I BEFORE UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()', :'own_trigger'),
	'ALTER TABLE renamed DISABLE TRIGGER ALL', 'ALTER TABLE parts DISABLE TRIGGER ALL', 'ALTER TABLE parts_1 DISABLE TRIGGER USER',
	'CREATE OR REPLACE FUNCTION pgxc.dual_write() RETURNS trigger LANGUAGE plpgsql AS ''BEGIN RETURN NEW; END''',
	'ALTER FUNCTION pgxc.dual_write() RENAME TO dual', 'ALTER FUNCTION pgxc.dual_write() COST 2');
-- What its expressions need
SELECT * FROM answers(
	'DROP FUNCTION up(integer)', 'ALTER FUNCTION up(integer) RENAME TO up_2', 'ALTER FUNCTION up(integer) SET SCHEMA public',
	'CREATE OR REPLACE FUNCTION up(integer) RETURNS text LANGUAGE sql IMMUTABLE AS ''SELECT NULL::text''',
	'DROP TABLE lookup CASCADE', 'ALTER TABLE lookup RENAME TO look', 'ALTER TABLE lookup RENAME word TO w', 'ALTER TABLE lookup DROP word', 'ALTER TABLE lookup SET SCHEMA public',
	'ALTER TYPE mood RENAME TO moods', 'ALTER TYPE mood RENAME VALUE ''bad'' TO ''worse''', 'ALTER TYPE mood SET SCHEMA public',
	-- and what it can bear
	'ALTER TYPE mood ADD VALUE ''so so''', 'ALTER TABLE lookup ADD more text', 'COMMENT ON FUNCTION up(integer) IS ''up''', 'GRANT EXECUTE ON FUNCTION up(integer) TO PUBLIC');
-- What others build on the new column is their own.
SELECT * FROM answers('CREATE INDEX ON small (b); DROP INDEX small_b_idx', 'CREATE STATISTICS s ON b, o FROM small; DROP STATISTICS s');
-- Rows that would go elsewhere
SELECT * FROM answers(
	'CLUSTER renamed USING renamed_pkey', 'ALTER TABLE parts_1 SET UNLOGGED', 'ALTER TABLE parts_1 DISABLE TRIGGER ALL', 'ALTER TABLE parts_1 FORCE ROW LEVEL SECURITY',
	'ALTER TABLE parts_1 OWNER TO regress_pgxc_other', 'CREATE RULE r AS ON INSERT TO parts_1 DO INSTEAD NOTHING',
	'ALTER TABLE other INHERIT renamed', 'CREATE TABLE child (id integer, a integer); ALTER TABLE renamed INHERIT child');
-- Ours
SELECT * FROM answers('ALTER SCHEMA pgxc RENAME TO pgxc_2', 'DROP SCHEMA pgxc CASCADE', 'ALTER EXTENSION pgxc DROP TABLE pgxc.migration',
	'ALTER TABLE pgxc.migration RENAME TO m', 'ALTER TABLE pgxc.migration DISABLE TRIGGER USER', 'DROP TRIGGER changed ON pgxc.migration', 'ALTER TABLE pgxc.migration ADD more text',
	'ALTER EXTENSION pgxc UPDATE');
-- A trigger gets a name that sorts behind ours.
CREATE TRIGGER early BEFORE UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TRIGGER after AFTER UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
SELECT * FROM answers('ALTER TRIGGER early ON renamed RENAME TO earlier', 'ALTER TRIGGER early ON renamed RENAME TO "~~"', 'ALTER TRIGGER after ON renamed RENAME TO "~~"',
	'CREATE TRIGGER "~~" AFTER UPDATE ON renamed FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'CREATE TRIGGER "~~" BEFORE UPDATE ON renamed FOR EACH STATEMENT EXECUTE FUNCTION suppress_redundant_updates_trigger()',
	'ALTER TABLE renamed DISABLE TRIGGER early', 'DROP TRIGGER early ON renamed');

--
-- What would block a table
--
\x
SELECT * FROM refusals(
	'CREATE INDEX by_o ON renamed (o)',
	'ALTER TABLE renamed ALTER o TYPE varchar(20)',
	'ALTER TABLE filled ALTER o SET NOT NULL',
	'ALTER TABLE renamed ADD CONSTRAINT positive CHECK (id > 0)',
	'ALTER TABLE retyped ADD CONSTRAINT other_o UNIQUE (o)',
	'ALTER TABLE computed ADD COLUMN z float8 DEFAULT random()',
	'ALTER TABLE filled ADD FOREIGN KEY (id) REFERENCES other',
	'REINDEX TABLE filled');
\x

--
-- What passes
--
SELECT * FROM answers(
	'ALTER TABLE renamed ADD COLUMN z integer', 'ALTER TABLE renamed ADD COLUMN z integer DEFAULT 5 NOT NULL', 'ALTER TABLE renamed DROP COLUMN o',
	'ALTER TABLE renamed RENAME o TO p', 'ALTER TABLE renamed ALTER o TYPE varchar', 'ALTER TABLE renamed ALTER o SET DEFAULT 5',
	'ALTER TABLE renamed ADD CONSTRAINT c CHECK (o <> '''') NOT VALID', 'ALTER TABLE renamed DROP CONSTRAINT renamed_pkey',
	'ALTER TABLE renamed ALTER id SET STATISTICS 50', 'ALTER TABLE renamed SET (fillfactor = 50)', 'ALTER TABLE renamed CLUSTER ON renamed_pkey',
	'COMMENT ON TABLE renamed IS ''x''', 'COMMENT ON COLUMN renamed.a IS ''x''', 'GRANT SELECT ON renamed TO PUBLIC', 'GRANT SELECT (a) ON renamed TO PUBLIC',
	'CREATE VIEW v AS SELECT * FROM renamed', 'CREATE STATISTICS s ON id, o FROM renamed', 'CREATE POLICY p ON renamed USING (true)', 'CREATE PUBLICATION regress_pgxc_guard FOR TABLE other',
	'ALTER TABLE filled ALTER n SET DEFAULT 1', 'TRUNCATE renamed', 'ANALYZE renamed', 'LOCK TABLE renamed',
	'ALTER TABLE renamed ALTER a SET DEFAULT 5', 'ALTER TABLE renamed ALTER a DROP DEFAULT');
-- other tables, and what is not a table
SELECT * FROM answers(
	'ALTER TABLE other DROP a', 'CREATE INDEX ON other (a)', 'DROP TABLE other CASCADE', 'DROP VIEW other_view', 'ALTER TABLE other ALTER a TYPE bigint',
	'CLUSTER other USING other_pkey', 'ALTER TABLE other DISABLE TRIGGER ALL', 'CREATE SCHEMA s CREATE TABLE t (a integer) CREATE INDEX ON t (a)', 'ALTER INDEX renamed_pkey RENAME TO r', 'ALTER TABLE renamed_pkey RENAME TO r');
-- partitions
SELECT * FROM answers(
	'DROP TABLE parts_1', 'CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (200) TO (300)', 'TRUNCATE parts_1',
	'CREATE TABLE parts_3 (id integer NOT NULL, a integer, o text, b integer); ALTER TABLE parts ATTACH PARTITION parts_3 FOR VALUES FROM (200) TO (300)',
	'DROP TABLE parts_1, parts', 'DROP TABLE parts_1, other CASCADE');
-- small, empty and new tables, and those that nobody else sees
SELECT * FROM answers(
	'CREATE INDEX ON small (o)', 'ALTER TABLE small ALTER o SET NOT NULL', 'ALTER TABLE small ADD COLUMN z float8 DEFAULT random()', 'ALTER TABLE small ALTER o TYPE integer USING 1',
	'CREATE INDEX ON empty (o)', 'ALTER TABLE empty ALTER o SET NOT NULL', 'ALTER TABLE empty ADD CHECK (id > 0)');
SET pgxc.guard_min_table_size = 0;
SELECT * FROM answers('CREATE INDEX ON small (o)', 'ALTER TABLE small ALTER o SET NOT NULL',
	'CREATE INDEX ON empty (o)', 'ALTER TABLE empty ALTER o SET NOT NULL', 'ALTER TABLE empty ADD CHECK (id > 0)');
SET pgxc.guard_min_table_size = '100MB';
SELECT * FROM answers('CREATE INDEX ON renamed (o)', 'ALTER TABLE renamed DROP a');
RESET pgxc.guard_min_table_size;
-- proved by a constraint
ALTER TABLE renamed ADD CONSTRAINT o_there CHECK (o IS NOT NULL) NOT VALID;
SELECT * FROM answers('ALTER TABLE renamed ALTER o SET NOT NULL', 'ALTER TABLE renamed VALIDATE CONSTRAINT o_there');
ALTER TABLE renamed VALIDATE CONSTRAINT o_there;
SELECT * FROM answers('ALTER TABLE renamed ALTER o SET NOT NULL');
-- Several breaks and blocks in one statement: what breaks is said first.
SELECT * FROM answers('ALTER TABLE renamed ADD CHECK (id > 0), ALTER o TYPE varchar(20), DROP COLUMN b', 'DROP TABLE filled, renamed, retyped', 'DROP TABLE retyped, other, filled CASCADE');

--
-- PostgreSQL's own errors stay as they are
--
SELECT * FROM answers('ALTER TABLE missing DROP a', 'ALTER TABLE renamed DROP missing', 'ALTER TABLE renamed ALTER a TYPE missing', 'ALTER TABLE renamed ALTER o TYPE integer USING missing',
	'ALTER TABLE renamed ALTER o TYPE point', 'ALTER TABLE renamed ADD COLUMN a integer', 'CREATE INDEX ON renamed (missing)', 'ALTER TABLE other_view DROP COLUMN id',
	'DROP TABLE other', 'DROP SCHEMA guard', 'ALTER TABLE renamed DORP a', 'REASSIGN OWNED BY regress_pgxc_missing TO regress_pgxc_other', 'DROP INDEX renamed_pkey', 'DROP TYPE mood, missing CASCADE');

--
-- Wherever the statement comes from
--
CREATE PROCEDURE drops() LANGUAGE plpgsql AS 'BEGIN ALTER TABLE guard.renamed DROP a; END';
CREATE FUNCTION drops_in_sql() RETURNS void LANGUAGE sql AS 'ALTER TABLE guard.renamed DROP a';
CREATE FUNCTION drops_as_definer() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = guard AS 'BEGIN EXECUTE ''ALTER TABLE renamed DROP a''; END';
CREATE FUNCTION drops_at_command() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN ALTER TABLE guard.renamed DROP a; END';
CREATE FUNCTION drops_at_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ALTER TABLE guard.renamed DROP a; RETURN NEW; END';
CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	ALTER TABLE guard.renamed DROP a;
	RETURN 'passes';
EXCEPTION WHEN object_in_use THEN
	RETURN 'caught';
END $$;
SELECT * FROM answers('DO ''BEGIN ALTER TABLE guard.renamed DROP a; END''', 'CALL drops()', 'SELECT drops_in_sql()', 'SELECT drops_as_definer()',
	'CREATE EVENT TRIGGER regress_pgxc_drops ON ddl_command_end EXECUTE FUNCTION guard.drops_at_command(); COMMENT ON TABLE other IS ''x''',
	'CREATE TRIGGER drops BEFORE INSERT ON other FOR EACH ROW EXECUTE FUNCTION drops_at_row(); INSERT INTO other VALUES (0, 0)',
	'PREPARE p AS SELECT drops_in_sql(); EXECUTE p', 'CREATE TABLE other_2 AS SELECT drops_in_sql()', 'CREATE SCHEMA s; ALTER TABLE renamed DROP a');
DEALLOCATE ALL;
SELECT caught(), caught();
\set VERBOSITY sqlstate
ALTER TABLE renamed DROP a;
SET session_replication_role = replica;
ALTER TABLE renamed DROP a;
DROP TYPE mood CASCADE;
CREATE INDEX ON renamed (o);
RESET session_replication_role;
BEGIN;
CREATE TABLE before (a integer);
SAVEPOINT s;
ALTER TABLE renamed DROP b;
ROLLBACK TO s;
ALTER TABLE renamed ADD z integer;
SELECT count(*) FROM before;
DROP FUNCTION up(integer);
ROLLBACK;
CREATE INDEX ON renamed (o)\; SELECT 1;
\set VERBOSITY default

--
-- Who may do what
--
SET ROLE regress_pgxc_other;
SELECT * FROM answers('ALTER TABLE renamed DROP a', 'DROP TABLE renamed', 'CREATE INDEX ON renamed (o)', 'ALTER TABLE renamed ALTER o SET NOT NULL', 'DROP FUNCTION up(integer) CASCADE', 'DROP SCHEMA guard CASCADE', 'ALTER TABLE parts DETACH PARTITION parts_1');
SELECT * FROM answers('SET pgxc.guard = off', 'SET LOCAL pgxc.allow = ''break''', 'SET pgxc.guard_scope = all_tables', 'SET pgxc.guard_min_table_size = 0',
	'SELECT set_config(''pgxc.guard'', ''off'', true)', 'ALTER ROLE regress_pgxc_other SET pgxc.guard = off');
SET ROLE regress_pgxc_owner;
SELECT * FROM answers('SET pgxc.guard = off', 'SET LOCAL pgxc.allow = ''break''', 'ALTER TABLE renamed DROP a');
RESET ROLE;
GRANT SET ON PARAMETER pgxc.allow, pgxc.guard TO regress_pgxc_owner;
SET ROLE regress_pgxc_owner;
SELECT * FROM answers('SET pgxc.guard = off; ALTER TABLE other DROP a', 'SET LOCAL pgxc.allow = ''break''; ALTER TABLE renamed DROP a CASCADE', 'SET LOCAL pgxc.allow = ''scan''; ALTER TABLE renamed DROP a CASCADE');
RESET ROLE;
REVOKE SET ON PARAMETER pgxc.allow, pgxc.guard FROM regress_pgxc_owner;

--
-- pgxc.allow: hazard by hazard
--
SELECT * FROM answers('SET pgxc.allow = ''everything''', 'SET pgxc.allow = ''scan,,break''', 'SET pgxc.allow = ''scan rewrite''');
SET pgxc.allow = 'scan';
SELECT * FROM answers('ALTER TABLE filled ALTER o SET NOT NULL', 'ALTER TABLE renamed ALTER o TYPE varchar(20)', 'CREATE INDEX ON renamed (o)', 'ALTER TABLE renamed DROP a CASCADE');
SET pgxc.allow = 'Scan, Index_Build';
SELECT * FROM answers('ALTER TABLE filled ALTER o SET NOT NULL', 'ALTER TABLE renamed ALTER o TYPE varchar(20)', 'CREATE INDEX ON renamed (o)', 'ALTER TABLE renamed DROP a CASCADE');
SET pgxc.allow = 'scan,index_build,rewrite';
SELECT * FROM answers('ALTER TABLE renamed ALTER o TYPE varchar(20)', 'ALTER TABLE renamed DROP a CASCADE');
SET pgxc.allow = 'break';
SELECT * FROM answers('ALTER TABLE renamed DROP a CASCADE', 'DROP TYPE mood CASCADE', 'ALTER TABLE renamed DISABLE TRIGGER ALL', 'DROP SCHEMA guard CASCADE', 'CREATE INDEX ON renamed (o)', 'CLUSTER renamed USING renamed_pkey');
RESET pgxc.allow;

--
-- pgxc.guard = warn, off
--
\set VERBOSITY terse
SET pgxc.guard = warn;
BEGIN;
CREATE INDEX by_o ON filled (id) WHERE false;
ALTER TABLE renamed RENAME o TO p;
ALTER TABLE filled RENAME n TO m;
ALTER TABLE filled ALTER o TYPE varchar(20);
SELECT attname FROM pg_attribute WHERE attrelid = 'filled'::regclass AND attname IN ('n', 'm');
ROLLBACK;
SET pgxc.guard = off;
BEGIN;
ALTER TABLE filled RENAME n TO m;
ALTER TABLE filled ALTER o TYPE varchar(20);
ALTER TABLE renamed DROP a CASCADE;
ROLLBACK;
RESET pgxc.guard;

--
-- pgxc.guard_scope = all_tables
--
SELECT * FROM answers('CREATE INDEX ON big (o)', 'ALTER TABLE big ALTER o SET NOT NULL');
SET pgxc.guard_scope = all_tables;
\x
SELECT * FROM refusals('CREATE INDEX ON big (o)');
\x
SELECT * FROM answers('ALTER TABLE big ALTER o SET NOT NULL', 'ALTER TABLE big ALTER o TYPE varchar(20)', 'ALTER TABLE big DROP a', 'DROP TABLE big', 'ALTER TABLE big RENAME o TO p', 'TRUNCATE big',
	'CREATE TABLE new AS SELECT * FROM big; CREATE INDEX ON new (a); ALTER TABLE new ALTER a TYPE text', 'CREATE TEMP TABLE new AS SELECT * FROM big; CREATE INDEX ON new (a)',
	'TRUNCATE big; CREATE INDEX ON big (a)', 'CREATE MATERIALIZED VIEW m AS SELECT * FROM big');

--
-- The safe way, as it stands, passes and does the job
--
CREATE TABLE todo (no integer GENERATED ALWAYS AS IDENTITY, statement text, step text);
INSERT INTO todo (statement, step)
	SELECT s, rtrim(step, '; ')
	  FROM unnest(ARRAY[
		'CREATE INDEX big_o ON big (o)', 'CREATE UNIQUE INDEX big_oo ON guard.big (o, id) INCLUDE (a) WHERE id > 0', 'ALTER TABLE big ADD CONSTRAINT big_positive CHECK (id > 0)',
		'ALTER TABLE big ALTER o SET NOT NULL', 'ALTER TABLE big ADD CONSTRAINT big_key UNIQUE (o)', 'ALTER TABLE big ADD CONSTRAINT big_ref FOREIGN KEY (id) REFERENCES other',
		'REINDEX TABLE big', 'REINDEX INDEX big_pkey']) WITH ORDINALITY AS u (s, no),
		LATERAL (SELECT DISTINCT safe_alternative FROM pgxc.check_ddl(s) WHERE safe_alternative IS NOT NULL) c,
		LATERAL regexp_split_to_table(safe_alternative, '; ') WITH ORDINALITY AS steps (step, k)
	 ORDER BY u.no, k;
SELECT statement, step FROM todo WHERE statement NOT LIKE '%SET NOT NULL' ORDER BY no;
\set ECHO none
SELECT step FROM todo ORDER BY no \gexec
\set ECHO all
SELECT indexrelid::regclass, indisvalid, indisunique FROM pg_index WHERE indrelid = 'big'::regclass ORDER BY indexrelid::regclass::text COLLATE "C";
SELECT conname, contype, convalidated FROM pg_constraint WHERE conrelid = 'big'::regclass AND contype <> 'n' ORDER BY conname COLLATE "C";
SELECT attname FROM pg_attribute WHERE attrelid = 'big'::regclass AND attnum > 0 AND attnotnull ORDER BY attnum;
-- Those that are migrations themselves
TRUNCATE todo;
INSERT INTO todo (statement, step)
	SELECT s, rtrim(step, '; ')
	  FROM unnest(ARRAY['ALTER TABLE other ADD COLUMN z float8 DEFAULT random()', 'ALTER TABLE other ALTER n TYPE bigint']) WITH ORDINALITY AS u (s, no),
		LATERAL (SELECT DISTINCT safe_alternative FROM pgxc.check_ddl(s) WHERE relation = 'other' AND safe_alternative IS NOT NULL) c,
		LATERAL regexp_split_to_table(safe_alternative, '; ') WITH ORDINALITY AS steps (step, k)
	 ORDER BY u.no, k;
SELECT statement, step FROM todo ORDER BY no;
\set ECHO none
SELECT regexp_replace(step, 'SELECT (.*)', 'SELECT \1 > 0 AS started') FROM todo ORDER BY no \gexec
SELECT format('CALL pgxc.wait(%s, ''60s'')', id) FROM pgxc.migrations WHERE relation LIKE '%other' ORDER BY id \gexec
\set ECHO all
SELECT kind, phase, state FROM pgxc.migrations WHERE relation LIKE '%other' ORDER BY id;
SELECT count(*) FROM other WHERE z IS NULL;
SELECT pgxc.contract(id, force => true) FROM pgxc.migrations WHERE relation LIKE '%other' AND kind = 'type_change';
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 'other'::regclass AND attname IN ('n', 'z') ORDER BY 1;
RESET pgxc.guard_scope;

--
-- What is written down
--
SELECT count(*) > 100 AS many FROM pgxc.guard_rejections WHERE pid = pg_backend_pid();
SET application_name = 'release 7';
SELECT * FROM answers('ALTER TABLE guard.filled DROP n', 'CREATE INDEX "é" ON guard.renamed (o)', 'ALTER TABLE missing DROP a', 'ALTER TABLE filled ADD z integer');
ALTER TABLE filled DROP n; ALTER TABLE filled DROP missing;
SET pgxc.allow = 'break';
BEGIN;
ALTER TABLE filled RENAME a TO aa;
ROLLBACK;
ALTER TABLE renamed ALTER b SET DEFAULT 7;
ALTER TABLE renamed ALTER b DROP DEFAULT;
SET pgxc.allow = 'scan, index_build';
CREATE INDEX by_o ON renamed (o);
DROP INDEX by_o;
RESET pgxc.allow;
SET pgxc.guard = warn;
ALTER TABLE renamed ALTER b SET DEFAULT 7;
SET pgxc.guard = off;
ALTER TABLE renamed ALTER b DROP DEFAULT;
RESET pgxc.guard;
SELECT role, relation, migration, outcome, sqlstate, lock_mode, work, message, statement
  FROM pgxc.guard_rejections WHERE application_name = 'release 7' ORDER BY at;
RESET application_name;
-- An override that was committed stays.
SELECT migration, event, detail, role FROM pgxc.events WHERE event = 'overridden' AND migration = 'rename' ORDER BY id;
-- Who sees it
SET ROLE regress_pgxc_other;
SELECT DISTINCT role, relation FROM pgxc.guard_rejections ORDER BY 1, 2;
SET ROLE regress_pgxc_owner;
SELECT DISTINCT relation FROM pgxc.guard_rejections WHERE application_name = 'release 7' ORDER BY 1;
SET ROLE regress_pgxc_monitor;
SELECT DISTINCT relation FROM pgxc.guard_rejections WHERE application_name = 'release 7' ORDER BY 1;
RESET ROLE;

--
-- When it is over, everything passes
--
SELECT pgxc.rollback('rename'), pgxc.cancel('fill'), pgxc.rollback('look up'), pgxc.cancel('compute'), pgxc.rollback('parts');
SELECT * FROM answers('ALTER TABLE renamed DROP a CASCADE', 'ALTER TABLE renamed ALTER o TYPE varchar(20)', 'CLUSTER renamed USING renamed_pkey', 'CREATE INDEX ON renamed (o)', 'DROP TABLE filled', 'ALTER TABLE filled RENAME n TO m',
	'DROP FUNCTION up(integer)', 'DROP TYPE mood', 'DROP TABLE lookup', 'ALTER TABLE parts DETACH PARTITION parts_1', 'CREATE TABLE child () INHERITS (renamed)',
	'ALTER TABLE retyped DROP a', 'DROP SCHEMA guard CASCADE', 'ALTER TABLE small RENAME b TO c');
SELECT pgxc.resume('retype'), pgxc.resume('small'), pgxc.resume('empty');
CALL pgxc.wait('retype', '60s');
CALL pgxc.wait('small', '60s');
SELECT * FROM answers('ALTER TABLE retyped DROP a', 'ALTER TABLE small DROP b');
SELECT pgxc.contract('retype', force => true), pgxc.contract('small', force => true);
SELECT * FROM answers('ALTER TABLE retyped DROP a', 'ALTER TABLE small DROP b');
CALL pgxc.wait('empty', '60s');
SELECT pgxc.rollback('empty');
SELECT * FROM answers('DROP SCHEMA guard CASCADE');
DROP SCHEMA guard CASCADE;
\c :regression
DROP DATABASE regress_pgxc_guard;
