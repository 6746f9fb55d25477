-- Declared expand phases: what start_expand_only() takes and refuses, who may,
-- what the other verbs say, what the views show.
CREATE SCHEMA phases AUTHORIZATION regress_pgxc_owner;
CREATE SCHEMA "Odd ""one""" AUTHORIZATION regress_pgxc_owner;
GRANT USAGE ON SCHEMA phases TO PUBLIC;
CREATE FUNCTION phases.try(statement text, OUT code text, OUT message text, OUT detail text, OUT hint text)
	LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement INTO message;
	message := regexp_replace(message, '\d+', 'N', 'g');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	hint := regexp_replace(hint, '\(\d+\)', '(N)');
END $$;
SET ROLE regress_pgxc_owner;
CREATE TABLE phases.t (id integer PRIMARY KEY, a text);
CREATE TABLE phases."Odd Table" (a integer);
CREATE TABLE phases.parent (a integer) PARTITION BY RANGE (a);
CREATE TABLE phases.child PARTITION OF phases.parent FOR VALUES FROM (0) TO (10);
CREATE TABLE phases.r (old integer);
CREATE VIEW phases.v AS SELECT a FROM phases.t;
CREATE MATERIALIZED VIEW phases.m AS SELECT a FROM phases.t;
CREATE SEQUENCE phases.s;
CREATE TYPE phases.c AS (a integer);
CREATE TEMP TABLE mine (a integer);
RESET ROLE;
CREATE FOREIGN DATA WRAPPER phases_wrapper;
CREATE SERVER phases_server FOREIGN DATA WRAPPER phases_wrapper;
CREATE FOREIGN TABLE phases.f (a integer) SERVER phases_server;

-- Wrong arguments.
\pset format unaligned
\pset tuples_only on
\pset null -
SELECT a, t.* FROM unnest(ARRAY[
	$$NULL$$, $$NULL, 'phases.t'$$, $$'column', 'phases.t'$$, $$'Table', 'phases.t'$$, $$''$$,
	$$'table'$$, $$'schema'$$, $$'table', ''$$, $$'schema', ''$$, $$'database', ''$$,
	$$'table', 'phases.t', ''$$,
	$$'table', 'phases.none'$$, $$'table', 'none.t'$$, $$'table', 't'$$, $$'table', 'phases.Odd Table'$$, $$'table', 'phases.t.a.b'$$, $$'table', '"'$$,
	$$'table', 'elsewhere.phases.t'$$,
	$$'table', 'phases.v'$$, $$'table', 'phases.m'$$, $$'table', 'phases.f'$$, $$'table', 'phases.t_pkey'$$, $$'table', 'phases.s'$$, $$'table', 'phases.c'$$,
	$$'table', 'mine'$$, $$'table', 'pg_class'$$, $$'table', 'pgxc.migration'$$,
	$$'schema', 'none'$$, $$'schema', 'PHASES.t'$$, $$'schema', 'Odd "one"'$$, $$'schema', 'pg_catalog'$$, $$'schema', 'pg_toast'$$, $$'schema', 'information_schema'$$, $$'schema', 'pgxc'$$, $$'schema', 'pg_temp'$$,
	$$'database', 'none'$$, $$'database', 'template1'$$, $$'database', 'a.b'$$]) a,
	phases.try(format('SELECT pgxc.start_expand_only(%s)', a)) t;
SELECT count(*) FROM pgxc.migrations WHERE kind = 'expand_only';

-- Not the owner.
SET ROLE regress_pgxc_other;
SELECT a, t.code, replace(t.message, current_database(), 'DB') FROM unnest(ARRAY[$$'table', 'phases.t'$$, $$'schema', 'phases'$$, $$'database'$$]) a,
	phases.try(format('SELECT pgxc.start_expand_only(%s)', a)) t;
SET ROLE regress_pgxc_monitor;
SELECT t.code, t.message FROM phases.try($$SELECT pgxc.start_expand_only('table', 'phases.t')$$) t;
RESET ROLE;

-- A table: by the caller's search_path, and in quotes where they are needed.
SET ROLE regress_pgxc_owner;
SET search_path = phases;
SELECT pgxc.start_expand_only('table', 't') AS id \gset
RESET search_path;
SELECT pgxc.start_expand_only('table', 'phases."Odd Table"', 'phase odd') > 0;
SELECT pgxc.start_expand_only('table', 'phases.parent', 'phase parent') > 0;
SELECT pgxc.start_expand_only('table', 'phases.child', 'phase child') > 0;
-- A schema, the same one once more by another name; the database is not the owner's.
SELECT pgxc.start_expand_only('schema', 'PHASES') > 0;
SELECT pgxc.start_expand_only('schema', 'phases', name => 'phase twice') > 0;
SELECT pgxc.start_expand_only('schema', '"Odd ""one"""') > 0;
RESET ROLE;
SET client_min_messages = warning; -- the NOTICE has the database's name
SELECT pgxc.start_expand_only('database') = pgxc.start_expand_only('database', current_database());
RESET client_min_messages;
SELECT pgxc.start_expand_only('database', quote_ident(current_database()), 'phase all') > 0;

\pset format aligned
\pset tuples_only off
SELECT replace(name, current_database(), 'DB') AS name, kind, replace(relation, current_database(), 'DB') AS relation, columns, phase, state, step, percent, wait_reason,
	   replace(next_step, id::text, 'N') AS next_step, rows_updated, row_errors, started_at IS NOT NULL AS started, finished_at
  FROM pgxc.migrations WHERE kind = 'expand_only' ORDER BY id;
SELECT scope, relation, scope_schema, replace(relation_name, current_database(), 'DB') AS relation_name, expressions, assignments_given, settings, old_columns, fingerprint
  FROM pgxc.migration WHERE kind = 'expand_only' ORDER BY id;
SELECT * FROM helper.history('expand_only table phases.t');
-- pg_upgrade refuses a cluster with columns of these types: the schema is known by its name.
SELECT attrelid::regclass, attname FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
 WHERE relnamespace = 'pgxc'::regnamespace AND relkind = 'r' AND atttypid::regtype::text LIKE 'reg%' AND atttypid <> ALL (ARRAY['regclass', 'regrole', 'regtype']::regtype[]);

-- The same name: the same definition, or another one.
SELECT pgxc.start_expand_only('table', 'phases.t') = :id AS same;
SELECT pgxc.start_expand_only('table', 'phases.t', 'expand_only table phases.t') = :id AS same;
SELECT a, t.code, t.message FROM unnest(ARRAY[$$'table', 'phases.child', 'phase parent'$$, $$'schema', 'phases', 'phase parent'$$, $$'database', NULL, 'phase parent'$$,
	$$'schema', '"Odd ""one"""', 'phase twice'$$, $$'table', 'phases.t', 'phase twice'$$, $$'schema', 'phases', 'phase all'$$]) a,
	phases.try(format('SELECT pgxc.start_expand_only(%s)', a)) t;
SELECT t.code, t.message FROM unnest(ARRAY[$$start_backfill('phases.t', 'a = id', name => 'phase odd')$$, $$start_rename('phases.t', 'a', 'b', 'phase odd')$$]) a,
	phases.try('SELECT pgxc.' || a) t;

-- No lock on a table that a reader or a writer could feel, and none for a schema.
BEGIN;
SELECT pgxc.start_expand_only('table', 'phases.parent', 'phase locks') > 0 AS started;
SELECT relation::regclass, mode FROM pg_locks WHERE relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'phases'::regnamespace) AND pid = pg_backend_pid() ORDER BY 1, 2;
-- ROLLBACK leaves no trace, ROLLBACK TO neither.
SAVEPOINT s;
SELECT pgxc.finish_expand_only('phase locks');
SELECT name, state FROM pgxc.migrations WHERE name = 'phase locks';
ROLLBACK TO s;
SELECT name, state FROM pgxc.migrations WHERE name = 'phase locks';
ROLLBACK;
SELECT name FROM pgxc.migrations WHERE name = 'phase locks';
BEGIN;
SELECT pgxc.start_expand_only('schema', 'phases', 'phase locks') > 0 AS started;
SELECT relation::regclass, mode FROM pg_locks WHERE relation IN (SELECT oid FROM pg_class WHERE relnamespace = 'phases'::regnamespace) AND pid = pg_backend_pid();
ROLLBACK;
BEGIN READ ONLY;
\set VERBOSITY terse
SELECT pgxc.start_expand_only('table', 'phases.t', 'phase read only'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
ROLLBACK;

-- The other verbs.
\pset format unaligned
\pset tuples_only on
SELECT verb, t.* FROM unnest(ARRAY['pause(%s)', 'resume(%s)', 'retry(%s)', 'cancel(%s)', 'contract(%s)', 'contract(%s, true)', 'rollback(%s)', 'prefer(%s, ''new'')',
	'alter_migration(%s, passes => 2)', 'checklist(%s)', 'assert_done(%s)', 'assert_done(%s::bigint)']) verb,
	phases.try(format('SELECT pgxc.' || verb, CASE WHEN verb LIKE '%bigint%' THEN :'id' ELSE '''phase twice''' END)) t;
\pset format aligned
\pset tuples_only off
\set VERBOSITY terse
CALL pgxc.wait('phase twice'); \echo :LAST_ERROR_SQLSTATE
CALL pgxc.wait('phase twice', '1 day'); \echo :LAST_ERROR_SQLSTATE
CALL pgxc.run('phase twice'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT step, action, lock, replace(duration, :'id', 'N') AS duration, detail FROM pgxc.plan(:id);
SELECT step, action FROM pgxc.plan('phase twice');
SELECT DISTINCT phase, state FROM pgxc.migrations WHERE kind = 'expand_only';
SELECT DISTINCT event FROM pgxc.events WHERE migration_id >= :id;

-- Who sees what.
SET ROLE regress_pgxc_owner;
SELECT name FROM pgxc.migrations WHERE id >= :id ORDER BY id;
SELECT DISTINCT migration FROM pgxc.events WHERE migration_id >= :id ORDER BY 1;
SET ROLE regress_pgxc_other;
SELECT name FROM pgxc.migrations WHERE id >= :id;
SELECT migration FROM pgxc.events WHERE migration_id >= :id;
SELECT a, t.code, replace(t.message, current_database(), 'DB') AS message FROM unnest(ARRAY['phase odd', 'phase twice', 'phase all']) a, phases.try(format('SELECT pgxc.finish_expand_only(%L)', a)) t;
SELECT a, t.code FROM unnest(ARRAY['pause(''phase odd'')', 'plan(''phase twice'')', 'cancel(''phase all'')', 'finish_expand_only(0)', 'finish_expand_only(''none'')']) a, phases.try('SELECT pgxc.' || a) t;
SET ROLE regress_pgxc_monitor;
SELECT count(*) FROM pgxc.migrations WHERE id >= :id;
SELECT count(DISTINCT migration) FROM pgxc.events WHERE migration_id >= :id;
SELECT t.code FROM phases.try($$SELECT pgxc.finish_expand_only('phase twice')$$) t;
RESET ROLE;
-- Rights follow the object: a member of the owning role, another owner.
GRANT regress_pgxc_owner TO regress_pgxc_other;
SET ROLE regress_pgxc_other;
SELECT count(*) FROM pgxc.migrations WHERE id >= :id;
SELECT pgxc.finish_expand_only('phase odd');
RESET ROLE;
REVOKE regress_pgxc_owner FROM regress_pgxc_other;
UPDATE pg_namespace SET nspowner = 'regress_pgxc_other'::regrole WHERE nspname = 'phases'; -- what the guard may refuse of ALTER SCHEMA is not the matter here
SET ROLE regress_pgxc_other;
SELECT name FROM pgxc.migrations WHERE id >= :id ORDER BY id;
SELECT pgxc.finish_expand_only('phase twice');
RESET ROLE;
UPDATE pg_namespace SET nspowner = 'regress_pgxc_owner'::regrole WHERE nspname = 'phases';

-- The end.
SELECT pgxc.finish_expand_only(:id);
SELECT t.code, t.message FROM phases.try(format('SELECT pgxc.finish_expand_only(%s)', :id)) t;
SELECT pgxc.assert_done(:id);
CALL pgxc.wait(:id);
CALL pgxc.run(:id);
SELECT action, lock, duration, detail FROM pgxc.plan(:id);
SELECT t.code, t.message FROM unnest(ARRAY['pause', 'cancel', 'contract', 'alter_migration', 'checklist']) verb, phases.try(format('SELECT pgxc.%I(%s)', verb, :id)) t;
SELECT relation, phase, state, percent, next_step, finished_at IS NOT NULL AS finished FROM pgxc.migrations WHERE id = :id;
SELECT * FROM helper.history('expand_only table phases.t');
-- A phase that is over gives its name up, to any definition.
SELECT pgxc.start_expand_only('table', 'phases.t') > :id AS again;
SELECT pgxc.start_expand_only('schema', 'phases', 'phase odd') > :id AS again;
SELECT replace(name, id::text, 'N') AS name, phase FROM pgxc.migrations WHERE name LIKE 'expand_only table phases.t%' OR name LIKE 'phase odd%' ORDER BY id;
-- It is for this kind only.
BEGIN;
SELECT FROM pgxc.start_backfill('phases.t', 'a = id', name => 'phase a backfill');
SELECT pgxc.finish_expand_only('phase a backfill'); \echo :LAST_ERROR_SQLSTATE
ROLLBACK;

-- Other migrations of the table go on beside it: what they add is additive.
SELECT FROM pgxc.start_backfill('phases.t', 'a = id', name => 'phase beside');
CALL pgxc.wait('phase beside');
SELECT name, state FROM pgxc.migrations WHERE name = 'phase beside';

-- Their contract is not.
SELECT FROM pgxc.start_rename('phases.r', 'old', 'new', 'phase rename beside');
CALL pgxc.wait('phase rename beside');
SELECT item, ok, replace(evidence, current_database(), 'DB') AS evidence, regexp_replace(advice, '\d+', 'N', 'g') AS advice FROM pgxc.checklist('phase rename beside') WHERE NOT ok;
SELECT t.code, t.message FROM phases.try($$SELECT pgxc.contract('phase rename beside')$$) t;

-- Gone, without the library's guard: it can be finished all the same.
SELECT count(pgxc.finish_expand_only(id)) FROM pgxc.migrations WHERE kind = 'expand_only' AND phase = 'expand';
SELECT item, ok FROM pgxc.checklist('phase rename beside') WHERE NOT ok;
SELECT pgxc.contract('phase rename beside');
SET ROLE regress_pgxc_owner;
CREATE TABLE phases.gone (a integer);
SELECT FROM pgxc.start_expand_only('table', 'phases.gone', 'phase gone table');
SELECT FROM pgxc.start_expand_only('schema', '"Odd ""one"""', 'phase gone schema');
RESET ROLE;
UPDATE pgxc.migration SET relation = 1 WHERE name = 'phase gone table';
UPDATE pgxc.migration SET scope_schema = 'not there' WHERE name = 'phase gone schema';
SELECT name, relation, state FROM pgxc.migrations WHERE name LIKE 'phase gone%' ORDER BY id;
SET ROLE regress_pgxc_owner;
SELECT pgxc.finish_expand_only('phase gone table'), pgxc.finish_expand_only('phase gone schema');
RESET ROLE;

-- One that came here in a dump: starting it again makes it this database's own.
SELECT pgxc.start_expand_only('schema', 'phases', 'phase restored') AS id \gset
UPDATE pgxc.migration SET home = 'elsewhere' WHERE id = :id;
SELECT relation, phase, state, wait_reason, replace(next_step, :'id', 'N') AS next_step FROM pgxc.migrations WHERE id = :id;
SELECT pgxc.start_expand_only('schema', 'phases', 'phase restored') = :id AS same;
SELECT home <> 'elsewhere' AS home FROM pgxc.migration WHERE id = :id;
SELECT * FROM helper.history('phase restored');
SELECT pgxc.finish_expand_only('phase restored');

\set VERBOSITY terse
DROP FOREIGN DATA WRAPPER phases_wrapper CASCADE;
DROP TABLE mine;
DROP SCHEMA phases, "Odd ""one""" CASCADE;
