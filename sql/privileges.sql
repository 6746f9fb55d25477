-- A table's owner needs no other right, and has none.
CREATE SCHEMA priv;
GRANT ALL ON SCHEMA priv TO regress_pgxc_owner, regress_pgxc_other, regress_pgxc_bypass;

SET ROLE regress_pgxc_owner;
CREATE TABLE priv.own (id integer PRIMARY KEY, a integer, who text);
INSERT INTO priv.own SELECT g, 0 FROM generate_series(1, 3000) g;
SELECT id AS own FROM pgxc.start_backfill('priv.own', 'a = id', name => 'own', max_rows_per_second => 1) AS id \gset
RESET ROLE;
CALL helper.until_reason('own', 'held to its cap: max_rows_per_second 1');

-- Everybody else is refused, whatever the verb.
SET ROLE regress_pgxc_other;
SELECT pgxc.pause(:own); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.resume('own'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.retry('own'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.cancel('own'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.alter_migration('own', passes => 1); \echo :LAST_ERROR_SQLSTATE
SELECT * FROM pgxc.plan('own'); \echo :LAST_ERROR_SQLSTATE
CALL pgxc.run('own'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('priv.own', 'a = 1', name => 'not mine'); \echo :LAST_ERROR_SQLSTATE
SELECT name FROM pgxc.migrations;
SELECT migration FROM pgxc.events;
SELECT migration FROM pgxc.progress_backfill;
SELECT migration FROM pgxc.signals;
SELECT * FROM pgxc.migration; \echo :LAST_ERROR_SQLSTATE
INSERT INTO pgxc.event (migration_id, event) VALUES (:own, 'forged'); \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY terse
UPDATE pgxc.migrations SET name = 'x'; \echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
SELECT nextval('pgxc.migration_id_seq'); \echo :LAST_ERROR_SQLSTATE
-- A monitor sees what goes on, and may not meddle.
SET ROLE regress_pgxc_monitor;
SELECT name, state FROM pgxc.migrations WHERE name = 'own';
SELECT migration FROM pgxc.progress_backfill WHERE migration = 'own';
SELECT count(*) > 5 AS signals FROM pgxc.signals WHERE migration = 'own';
SELECT count(*) > 0 AS events FROM pgxc.events WHERE migration = 'own';
SELECT pgxc.pause('own'); \echo :LAST_ERROR_SQLSTATE

-- The owner does it all.
SET ROLE regress_pgxc_owner;
SELECT name, state FROM pgxc.migrations;
SELECT migration FROM pgxc.progress_backfill;
SELECT count(*) > 5 AS signals FROM pgxc.signals;
SELECT pgxc.pause(:own);
SELECT pgxc.alter_migration('own', max_rows_per_second => 0, max_row_errors => 2);
SELECT pgxc.resume('own');
CALL pgxc.wait('own');
SELECT pgxc.assert_done('own');
SELECT count(*) FROM pgxc.plan('own');
SELECT count(*) FROM priv.own WHERE a = id;
SELECT role = session_user AS by_login FROM pgxc.events WHERE migration = 'own' AND event = 'parameter';
-- The tables of pgxc are not the owner's.
SELECT count(*) FROM pgxc.leaf; \echo :LAST_ERROR_SQLSTATE
DELETE FROM pgxc.migration; \echo :LAST_ERROR_SQLSTATE
RESET ROLE;
-- A member of the owning role is an owner, too.
GRANT regress_pgxc_owner TO regress_pgxc_other;
SET ROLE regress_pgxc_other;
SELECT FROM pgxc.start_backfill('priv.own', 'a = -id', name => 'member');
CALL pgxc.wait('member');
SELECT name, phase FROM pgxc.migrations ORDER BY id;
RESET ROLE;
REVOKE regress_pgxc_owner FROM regress_pgxc_other;

-- Expressions and triggers run as the owner, also if a superuser starts it.
SET ROLE regress_pgxc_owner;
CREATE FUNCTION priv.me() RETURNS text LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN concat_ws(' ', current_user, (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)); END $$;
RESET ROLE;
SELECT FROM pgxc.start_backfill('priv.own', 'who = priv.me()', name => 'who');
CALL pgxc.wait('who');
SELECT who, count(*) FROM priv.own GROUP BY 1;
-- They cannot read what the owner may not, ...
CREATE TABLE priv.secret (s text);
INSERT INTO priv.secret VALUES ('secret');
SELECT FROM pgxc.start_backfill('priv.own', 'who = (SELECT s FROM priv.secret)', name => 'secret');
CALL helper.until_state('secret', 'failed');
SELECT last_error FROM pgxc.migrations WHERE name = 'secret';
SELECT pgxc.cancel('secret');
-- ... and cannot become anybody else.
SET ROLE regress_pgxc_owner;
CREATE FUNCTION priv.attack(how text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN EXECUTE how; RETURN current_user; END $$;
RESET ROLE;
CREATE TABLE priv.attacks (n integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, how text, state text, sqlstate text);
INSERT INTO priv.attacks (how) VALUES ('RESET ROLE'), ('RESET SESSION AUTHORIZATION'), ('SET ROLE NONE'),
	('SET SESSION AUTHORIZATION DEFAULT'), ('SELECT set_config(''role'', ''none'', false)'),
	('SELECT set_config(''session_authorization'', ''regress_pgxc_other'', true)'), ('SET LOCAL ROLE pg_monitor'),
	('CREATE TEMP TABLE trap (a integer)'), ('DECLARE c CURSOR WITH HOLD FOR SELECT 1'), ('LISTEN x'), ('PREPARE p AS SELECT 1'),
	('ALTER ROLE regress_pgxc_owner SUPERUSER'), ('UPDATE pgxc.migration SET max_row_errors = 0'),
	('SELECT * FROM priv.secret'), ('COPY (SELECT 1) TO PROGRAM ''true'''), ('SET row_security = on; SELECT * FROM pg_authid');
CREATE PROCEDURE priv.attack_all() LANGUAGE plpgsql AS $$
DECLARE
	this record;
BEGIN
	FOR this IN SELECT n, how, 'attack ' || n AS name FROM priv.attacks ORDER BY n LOOP
		PERFORM pgxc.start_backfill('priv.own', format('who = priv.attack(%L)', this.how), 'id = 1', this.name);
		COMMIT;
		CALL helper.until_state(this.name, 'failed');
		UPDATE priv.attacks a SET state = m.state, sqlstate = split_part(m.last_error, ':', 1)
		  FROM pgxc.migrations m WHERE a.n = this.n AND m.name = this.name;
		PERFORM pgxc.cancel(this.name);
		COMMIT;
	END LOOP;
END $$;
CALL priv.attack_all();
SELECT how, state, sqlstate FROM priv.attacks ORDER BY n;
SELECT count(*) FROM priv.own WHERE who NOT LIKE 'regress_pgxc_owner%';
SELECT rolsuper FROM pg_roles WHERE rolname = 'regress_pgxc_owner';

-- Row security: never a silent filter.
SET ROLE regress_pgxc_owner;
CREATE TABLE priv.rls (id integer, a integer);
INSERT INTO priv.rls SELECT g, 0 FROM generate_series(1, 1000) g;
ALTER TABLE priv.rls ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON priv.rls USING (id <= 500);
SELECT FROM pgxc.start_backfill('priv.rls', 'a = 1', name => 'rls');
CALL pgxc.wait('rls');
SELECT a, count(*) FROM priv.rls GROUP BY 1;
ALTER TABLE priv.rls FORCE ROW LEVEL SECURITY;
SELECT pgxc.start_backfill('priv.rls', 'a = 2', name => 'forced'); \echo :LAST_ERROR_SQLSTATE
RESET ROLE;
SELECT pgxc.start_backfill('priv.rls', 'a = 2', name => 'forced'); \echo :LAST_ERROR_SQLSTATE
ALTER TABLE priv.rls OWNER TO regress_pgxc_bypass;
SELECT FROM pgxc.start_backfill('priv.rls', 'a = 2', name => 'bypass');
CALL pgxc.wait('bypass');
SELECT a, count(*) FROM priv.rls GROUP BY 1;
-- Forced meanwhile.
ALTER TABLE priv.rls NO FORCE ROW LEVEL SECURITY, OWNER TO regress_pgxc_owner;
BEGIN;
SELECT FROM pgxc.start_backfill('priv.rls', 'a = 3', name => 'forced meanwhile');
SELECT pgxc.pause('forced meanwhile');
COMMIT;
SET pgxc.guard = off; -- what is here is the net behind it
ALTER TABLE priv.rls FORCE ROW LEVEL SECURITY;
RESET pgxc.guard;
SELECT pgxc.resume('forced meanwhile');
CALL helper.until_state('forced meanwhile', 'failed');
SELECT last_error FROM pgxc.migrations WHERE name = 'forced meanwhile';
ALTER TABLE priv.rls NO FORCE ROW LEVEL SECURITY;
SELECT pgxc.retry('forced meanwhile');
CALL pgxc.wait('forced meanwhile');
SELECT a, count(*) FROM priv.rls GROUP BY 1;

-- The table gets another owner: the expressions of the old one are not for him.
BEGIN;
SELECT FROM pgxc.start_backfill('priv.own', 'a = 7', name => 'new owner');
SELECT pgxc.pause('new owner');
COMMIT;
SET pgxc.guard = off;
ALTER TABLE priv.own OWNER TO regress_pgxc_bypass;
RESET pgxc.guard;
SELECT pgxc.resume('new owner');
CALL helper.until_state('new owner', 'failed');
SELECT last_error FROM pgxc.migrations WHERE name = 'new owner';
SET ROLE regress_pgxc_owner;
SELECT pgxc.retry('new owner'); \echo :LAST_ERROR_SQLSTATE
RESET ROLE;
ALTER TABLE priv.own OWNER TO regress_pgxc_owner;
SELECT pgxc.retry('new owner');
CALL pgxc.wait('new owner');
SELECT count(*) FROM priv.own WHERE a = 7;

-- Operators and functions of somebody who comes first in the search_path are
-- not called by our SQL.
CREATE SCHEMA trap;
CREATE FUNCTION trap.oid_eq(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap is sprung'; END $$;
CREATE FUNCTION trap.bigint_eq(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap is sprung'; END $$;
CREATE FUNCTION trap.text_eq(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap is sprung'; END $$;
CREATE FUNCTION trap.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap is sprung'; END $$;
CREATE FUNCTION trap.current_setting(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap is sprung'; END $$;
CREATE FUNCTION trap.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'the trap is sprung'; END $$;
CREATE FUNCTION trap.format(text, VARIADIC "any") RETURNS text LANGUAGE internal AS 'text_format';
CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.bigint_eq);
CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.text_eq);
CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.oid_eq);
CREATE TABLE trap.migration (id bigint, name text, state text);
SET search_path = trap, pg_catalog, pgxc;
BEGIN;
SELECT FROM pgxc.start_backfill('priv.own', 'a = 8', name => 'trap');
SELECT pgxc.pause('trap');
COMMIT;
SELECT pgxc.alter_migration('trap', passes => 2);
SELECT pgxc.resume('trap');
CALL pgxc.wait('trap');
SELECT pgxc.assert_done('trap');
SELECT count(*) FROM pgxc.plan('trap');
SELECT phase, state, percent FROM pgxc.migrations WHERE name OPERATOR(pg_catalog.=) 'trap';
SELECT pg_catalog.count(*) FROM pgxc.events WHERE migration OPERATOR(pg_catalog.=) 'trap' AND event OPERATOR(pg_catalog.=) 'parameter';
-- Only where the caller himself names them (and his is volatile).
SELECT pgxc.start_backfill('priv.own', 'a = 9', 'who = ''x''', 'sprung'); \echo :LAST_ERROR_SQLSTATE
RESET search_path;

\set VERBOSITY terse
DROP SCHEMA priv, trap CASCADE;
