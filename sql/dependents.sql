-- What depends on a column that contract takes away, and views that live on.
CREATE SCHEMA dep;
SET search_path = dep;
SET client_min_messages = error; -- notices of cascades; wal_level of publications
CREATE FUNCTION dep.dependents(regclass, name[], name, name, boolean)
	RETURNS TABLE (kind text, identity text, blocks boolean, recreatable boolean, statement text, note text)
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_dependents';
CREATE FUNCTION dep.recreate_views(regclass, name, name, boolean) RETURNS void
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_recreate_views';

-- A text as all versions of the server print it: without qualifiers and line ends.
CREATE FUNCTION dep.plain(text) RETURNS text LANGUAGE sql
	RETURN btrim(regexp_replace(regexp_replace($1, '(\m[a-z_]\w*|"([^"]|"")+")\.', '', 'g'), '\s+', ' ', 'g'));

CREATE ROLE regress_dep_owner;
CREATE ROLE regress_dep_view;
CREATE ROLE regress_dep_reader;
CREATE ROLE regress_dep_other;
GRANT ALL ON SCHEMA dep TO regress_dep_owner, regress_dep_view, regress_dep_reader, regress_dep_other;

-- Everything about the views of this schema, without what names an OID.
CREATE FUNCTION dep.snapshot() RETURNS SETOF text LANGUAGE sql SET search_path = pg_catalog AS $$
	SELECT line FROM (
		SELECT format('%s %s owner %s acl %s options %s comment %s', c.relkind, c.relname, c.relowner::regrole, c.relacl, c.reloptions, obj_description(c.oid, 'pg_class')) AS line
		FROM pg_class c WHERE c.relnamespace = 'dep'::regnamespace AND c.relkind IN ('v', 'm')
		UNION ALL
		SELECT format('%s.%s %s acl %s default %s comment %s', c.relname, a.attname, a.attnum, a.attacl, pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum))
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
		WHERE c.relnamespace = 'dep'::regnamespace AND c.relkind IN ('v', 'm')
		UNION ALL
		SELECT format('%s comment %s', pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger'))
		FROM pg_class c JOIN pg_trigger t ON t.tgrelid = c.oid WHERE c.relnamespace = 'dep'::regnamespace AND c.relkind = 'v'
		UNION ALL
		SELECT format('%s comment %s', pg_get_ruledef(r.oid), obj_description(r.oid, 'pg_rewrite'))
		FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid WHERE c.relnamespace = 'dep'::regnamespace AND c.relkind IN ('v', 'm') AND r.rulename <> '_RETURN'
		UNION ALL
		SELECT format('%s comment %s', pg_get_indexdef(i.indexrelid), obj_description(i.indexrelid, 'pg_class'))
		FROM pg_class c JOIN pg_index i ON i.indrelid = c.oid WHERE c.relnamespace = 'dep'::regnamespace AND c.relkind = 'm'
		UNION ALL
		SELECT format('shdep %s %s %s', coalesce(c.relname, '-'), s.refobjid::regrole, s.deptype)
		FROM pg_shdepend s JOIN pg_class c ON c.oid = s.objid AND s.classid = 'pg_class'::regclass
		WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		AND c.relnamespace = 'dep'::regnamespace AND c.relkind IN ('v', 'm')) s
	ORDER BY line COLLATE "C"
$$;
CREATE FUNCTION dep.definitions() RETURNS TABLE (name text, definition text) LANGUAGE sql SET search_path = pg_catalog AS $$
	SELECT relname, pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = 'dep'::regnamespace AND relkind IN ('v', 'm') ORDER BY relname COLLATE "C"
$$;

-- A rename: the new column takes the old one's place in the queries.
CREATE TABLE dep.users (id integer PRIMARY KEY, user_email text, name text, score integer,
	upper_email text GENERATED ALWAYS AS (upper(user_email)) STORED);
CREATE TABLE dep.orders (id integer PRIMARY KEY, user_id integer, user_email text, total numeric);
ALTER TABLE dep.users OWNER TO regress_dep_owner;
CREATE VIEW dep.v_plain AS SELECT id, user_email FROM dep.users;
CREATE VIEW dep.v_alias AS SELECT u.user_email AS mail, lower(u.user_email) AS low FROM dep.users u WHERE u.user_email IS NOT NULL ORDER BY u.user_email;
CREATE VIEW dep.v_position AS SELECT x.a, x.b, x.name FROM dep.users x(a, b);
CREATE VIEW dep.v_renamed AS SELECT user_email, id FROM dep.users;
ALTER VIEW dep.v_renamed RENAME COLUMN user_email TO address;
CREATE VIEW dep.v_join AS SELECT u.user_email, o.total FROM dep.users u JOIN dep.orders o ON o.user_id = u.id AND o.user_email = u.user_email;
CREATE VIEW dep.v_using_id AS SELECT id, user_email AS e, total FROM dep.users LEFT JOIN (SELECT id, total FROM dep.orders) o USING (id);
CREATE VIEW dep.v_full AS SELECT id, user_email FROM dep.users FULL JOIN (SELECT id FROM dep.orders) o USING (id);
CREATE VIEW dep.v_cte AS WITH c AS (SELECT user_email AS e, count(*) AS n FROM dep.users GROUP BY user_email HAVING max(user_email) > 'a')
	SELECT e, n, (SELECT min(i.user_email) FROM dep.users i WHERE i.user_email = c.e) AS least,
		row_number() OVER (PARTITION BY e ORDER BY n) AS nr FROM c
	WHERE EXISTS (SELECT FROM dep.orders o WHERE o.user_email = c.e AND c.e IN (SELECT user_email FROM dep.users));
CREATE VIEW dep.v_lateral AS SELECT u.id, s.e FROM dep.users u, LATERAL (SELECT u.user_email || o.user_email AS e FROM dep.orders o) s;
CREATE VIEW dep.v_union AS SELECT user_email FROM dep.users UNION ALL SELECT user_email FROM dep.orders EXCEPT (SELECT name FROM dep.users INTERSECT SELECT user_email FROM dep.users);
ALTER VIEW dep.v_union RENAME COLUMN user_email TO anybody;
CREATE VIEW dep.v_group AS SELECT user_email, name, grouping(user_email) AS g, count(DISTINCT user_email) FROM dep.users GROUP BY ROLLUP (user_email, name);
CREATE VIEW dep.v_row AS SELECT (s.u).user_email AS e, s.u FROM (SELECT u FROM dep.users u) s;
CREATE VIEW dep.v_other AS SELECT id, name FROM dep.users;
CREATE VIEW dep.v_option WITH (security_barrier = true, security_invoker = true) AS SELECT id, user_email FROM dep.users WHERE user_email <> '' WITH LOCAL CHECK OPTION;
CREATE VIEW dep.v_nested AS SELECT address FROM dep.v_renamed;
CREATE VIEW dep."we ird""name" AS SELECT user_email AS "Odd ""one" FROM dep.users;
CREATE VIEW dep.v_12345678901234567890123456789012345678901234567890123456789012 AS SELECT user_email FROM dep.users;
CREATE MATERIALIZED VIEW dep.m_filled AS SELECT id, user_email FROM dep.users;
CREATE MATERIALIZED VIEW dep.m_empty AS SELECT id, lower(user_email) AS l FROM dep.users WITH NO DATA;
CREATE UNIQUE INDEX m_filled_id ON dep.m_filled (id);
-- The new column, with the same values.
INSERT INTO dep.users (id, user_email, name) VALUES (1, 'a@x', 'A'), (2, 'b@x', 'B'), (3, '', NULL), (4, NULL, 'D');
INSERT INTO dep.orders VALUES (1, 1, 'a@x', 10), (9, 2, 'b@x', 20);
REFRESH MATERIALIZED VIEW dep.m_filled;
ALTER TABLE dep.users ADD COLUMN contact_email text;
UPDATE dep.users SET contact_email = user_email;
-- Made when both columns were there.
CREATE VIEW dep.v_both AS SELECT u.*, o.total FROM dep.users u LEFT JOIN dep.orders o ON o.user_id = u.id;

SELECT kind, identity, blocks, recreatable FROM dep.dependents('users', '{user_email}', 'contact_email', 'contact_email', true);
SELECT identity, dep.plain(statement) AS statement, note FROM dep.dependents('users', '{user_email}', 'contact_email', 'contact_email', true) WHERE kind ~ 'view' AND identity !~ '_1234';
SELECT statement ~ '^ALTER TABLE dep.users ALTER COLUMN upper_email (DROP EXPRESSION|SET EXPRESSION AS \(upper\(contact_email\)\))$' AS ok FROM dep.dependents('users', '{user_email}', 'contact_email', 'contact_email', true) WHERE kind = 'generated column';

-- Each statement can be run as it stands, and the view means the same.
CREATE TABLE dep.contents (name text, content text);
CREATE FUNCTION dep.contents() RETURNS TABLE (name text, content text) LANGUAGE plpgsql AS $$
DECLARE v regclass;
BEGIN
	FOR v IN SELECT oid FROM pg_class WHERE relnamespace = 'dep'::regnamespace AND relkind IN ('v', 'm') AND relispopulated ORDER BY relname COLLATE "C"
	LOOP
		name := v::text;
		EXECUTE format('SELECT string_agg(x::text, '';'' ORDER BY x::text COLLATE "C") FROM %s x', v) INTO content;
		RETURN NEXT;
	END LOOP;
END
$$;
INSERT INTO dep.contents SELECT * FROM dep.contents();
SELECT count(*) FROM dep.contents;
BEGIN;
DO $$
DECLARE s text;
BEGIN
	FOR s IN SELECT statement FROM dep.dependents('users', '{user_email}', 'contact_email', 'contact_email', true) WHERE statement IS NOT NULL
	LOOP
		EXECUTE s;
	END LOOP;
END
$$;
SELECT identity, statement FROM dep.dependents('users', '{user_email}', 'contact_email', 'contact_email', true);
SELECT a.name FROM dep.contents a FULL JOIN dep.contents() b USING (name, content) WHERE a IS NULL OR b IS NULL;
ROLLBACK;

-- contract: nothing about the views changes but the column that they read.
ALTER TABLE dep.users ALTER COLUMN upper_email DROP EXPRESSION;
ALTER VIEW dep.v_plain OWNER TO regress_dep_view;
GRANT SELECT, INSERT ON dep.v_plain TO regress_dep_reader WITH GRANT OPTION;
SET ROLE regress_dep_reader;
GRANT SELECT ON dep.v_plain TO regress_dep_other;
RESET ROLE;
GRANT UPDATE (user_email) ON dep.v_plain TO regress_dep_other;
GRANT SELECT (id, user_email) ON dep.users TO regress_dep_view;
CREATE TABLE dep.before AS SELECT line FROM dep.snapshot() line;
CREATE TABLE dep.oids AS SELECT oid, relname, relfilenode FROM pg_class WHERE relnamespace = 'dep'::regnamespace AND relkind IN ('v', 'm');
SELECT dep.recreate_views('users', 'user_email', 'contact_email', true);
SELECT name, dep.plain(definition) AS definition FROM dep.definitions();
-- Nothing about them has changed.
SELECT 'before' AS t, line FROM dep.before EXCEPT SELECT 'before', line FROM dep.snapshot() line;
SELECT 'after' AS t, line FROM dep.snapshot() line EXCEPT SELECT 'after', line FROM dep.before;
SELECT oid::regclass FROM dep.oids EXCEPT SELECT c.oid::regclass FROM pg_class c JOIN dep.oids USING (oid, relname, relfilenode);
-- A definition that was stored so can be made anew, and then is the same.
BEGIN;
CREATE TABLE dep.texts AS SELECT * FROM dep.definitions();
DO $$
DECLARE r record;
BEGIN
	FOR r IN SELECT * FROM dep.texts WHERE name NOT LIKE 'm_%'
	LOOP
		EXECUTE format('CREATE OR REPLACE VIEW dep.%I AS %s', r.name, r.definition);
	END LOOP;
END
$$;
SELECT name FROM (SELECT * FROM dep.texts EXCEPT SELECT * FROM dep.definitions()) x;
ROLLBACK;
-- Whose right it is to read the column: the view's owner needs it on the new one.
SELECT * FROM dep.v_plain; \echo :LAST_ERROR_SQLSTATE
GRANT SELECT (contact_email) ON dep.users TO regress_dep_view;
SET ROLE regress_dep_view;
SELECT * FROM dep.v_plain ORDER BY id;
RESET ROLE;
-- The same contents, but for the row of the table, which has lost a column.
SELECT a.name, a.content, b.content FROM dep.contents a FULL JOIN dep.contents() b USING (name) WHERE a.content IS DISTINCT FROM b.content;
REFRESH MATERIALIZED VIEW CONCURRENTLY dep.m_filled;
SELECT * FROM dep.m_filled ORDER BY id;
REFRESH MATERIALIZED VIEW dep.m_empty;

-- Views that cannot follow.
ALTER TABLE dep.users ADD COLUMN email text;
UPDATE dep.users SET email = contact_email;
CREATE VIEW dep.w_using AS SELECT * FROM dep.users JOIN (SELECT user_email AS contact_email FROM dep.orders) o USING (contact_email);
CREATE VIEW dep.w_named AS SELECT j.mail FROM (dep.users u JOIN dep.orders o ON o.user_id = u.id) AS j(a, b, c, d, mail);
CREATE VIEW dep.w_named_other AS SELECT j.a FROM (dep.users u JOIN dep.orders o ON o.user_email = u.contact_email) AS j(a);
CREATE FUNCTION dep.all_users() RETURNS SETOF dep.users LANGUAGE sql AS 'SELECT * FROM dep.users';
CREATE VIEW dep.w_function AS SELECT f.contact_email FROM dep.all_users() f;
SELECT identity, recreatable, dep.plain(statement) AS statement, note FROM dep.dependents('users', '{contact_email}', 'email', 'email', true) WHERE identity LIKE 'dep.w%';
SELECT dep.recreate_views('users', 'contact_email', 'email', true);
DROP VIEW dep.w_using;
SELECT dep.recreate_views('users', 'contact_email', 'email', true);
DROP VIEW dep.w_named;
SELECT dep.recreate_views('users', 'contact_email', 'email', true);
DROP VIEW dep.w_function;
-- Not everybody's.
GRANT EXECUTE ON FUNCTION dep.recreate_views TO regress_dep_owner;
SET ROLE regress_dep_owner;
SELECT dep.recreate_views('users', 'contact_email', 'email', true);
RESET ROLE;
SELECT dep.recreate_views('users', 'contact_email', 'email', true);
SELECT dep.plain(pg_get_viewdef('dep.w_named_other'));
DROP TABLE dep.users CASCADE;
DROP TABLE dep.before, dep.contents, dep.oids;

-- Grouping by the primary key holds on to the key.
CREATE TABLE dep.keyed (id integer PRIMARY KEY, v integer, new_id integer);
CREATE VIEW dep.k_key AS SELECT id, v, count(*) FROM dep.keyed GROUP BY id;
SELECT identity, recreatable, note FROM dep.dependents('keyed', '{id}', 'new_id', 'new_id', true);
SELECT identity, recreatable, note FROM dep.dependents('keyed', '{v}', 'new_id', 'new_id', true);
DROP TABLE dep.keyed CASCADE;

-- Another type: views are made again, with all that they have.
CREATE TABLE dep.items (id integer PRIMARY KEY, qty integer, label text);
CREATE TABLE dep.parts (id integer, part text);
ALTER TABLE dep.items OWNER TO regress_dep_owner;
GRANT SELECT, INSERT ON dep.items TO regress_dep_view;
CREATE VIEW dep.t1 WITH (security_barrier = true, check_option = cascaded) AS SELECT id, qty, label FROM dep.items WHERE qty > 0;
CREATE VIEW dep.t2 AS SELECT t1.id + 1 AS next, t1.qty FROM dep.t1 JOIN dep.parts USING (id);
CREATE VIEW dep."T 3""x" AS SELECT next AS "odd ""one" FROM dep.t2 UNION SELECT id FROM dep.t1;
CREATE VIEW dep.t_using AS SELECT id, part, qty FROM dep.parts JOIN dep.items USING (id);
CREATE MATERIALIZED VIEW dep.m1 WITH (fillfactor = 50) AS SELECT id, next FROM dep.t1, dep.t2 WITH NO DATA;
CREATE UNIQUE INDEX "m1 idx" ON dep.m1 (id, (next + 1)) INCLUDE (next) WHERE next > 0;
CREATE FUNCTION dep.instead() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER "on insert" INSTEAD OF INSERT ON dep.t2 FOR EACH ROW EXECUTE FUNCTION dep.instead('a', 'b''c');
CREATE RULE r_del AS ON DELETE TO dep.t2 DO INSTEAD (DELETE FROM dep.items WHERE items.id = OLD.next - 1; UPDATE dep.parts SET part = 'gone' WHERE parts.id = OLD.next - 1);
ALTER VIEW dep.t1 ALTER COLUMN qty SET DEFAULT 7;
ALTER VIEW dep.t1 ALTER COLUMN label SET DEFAULT 'it''s';
ALTER VIEW dep.t1 OWNER TO regress_dep_view;
GRANT SELECT ON dep.t1 TO regress_dep_reader WITH GRANT OPTION;
GRANT INSERT, UPDATE ON dep.t1 TO PUBLIC;
SET ROLE regress_dep_reader;
GRANT SELECT ON dep.t1 TO regress_dep_other;
RESET ROLE;
SET ROLE regress_dep_view;
GRANT SELECT (id), REFERENCES (qty) ON dep.t1 TO regress_dep_other WITH GRANT OPTION;
REVOKE DELETE ON dep.t1 FROM regress_dep_view;
RESET ROLE;
GRANT SELECT ON dep.m1 TO regress_dep_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_dep_view IN SCHEMA dep GRANT ALL ON TABLES TO regress_dep_owner;
ALTER DEFAULT PRIVILEGES IN SCHEMA dep GRANT SELECT ON TABLES TO regress_dep_owner;
COMMENT ON VIEW dep.t1 IS 'it''s a view';
COMMENT ON COLUMN dep.t1.qty IS 'how "many"';
COMMENT ON VIEW dep."T 3""x" IS 'odd';
COMMENT ON MATERIALIZED VIEW dep.m1 IS 'matter';
COMMENT ON COLUMN dep.m1.next IS 'the next';
COMMENT ON INDEX dep."m1 idx" IS 'an index';
COMMENT ON TRIGGER "on insert" ON dep.t2 IS 'a trigger';
COMMENT ON RULE r_del ON dep.t2 IS 'a rule';
ALTER TABLE dep.items ADD COLUMN _new_id bigint;
UPDATE dep.items SET _new_id = id;
SELECT kind, identity, blocks, recreatable, statement, note FROM dep.dependents('items', '{id}', '_new_id', 'id', false);
CREATE TABLE dep.before AS SELECT line FROM dep.snapshot() line;
CREATE TABLE dep.before_text AS SELECT * FROM dep.definitions();
SELECT count(*) FROM dep.before;
-- Where new tables would go otherwise.
SET default_tablespace = pg_global;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
RESET default_tablespace;
SELECT 'before' AS t, line FROM dep.before EXCEPT SELECT 'before', line FROM dep.snapshot() line;
SELECT 'after' AS t, line FROM dep.snapshot() line EXCEPT SELECT 'after', line FROM dep.before;
-- Differences are where a type has changed.
SELECT name, dep.plain(a.definition) AS before, dep.plain(b.definition) AS after FROM dep.before_text a FULL JOIN dep.definitions() b USING (name) WHERE a.definition IS DISTINCT FROM b.definition;
SELECT attrelid::regclass, attname, atttypid::regtype FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'dep'::regnamespace AND relkind IN ('v', 'm')) AND attnum > 0 ORDER BY attrelid::regclass::text COLLATE "C", attnum;
-- They work.
INSERT INTO dep.items (id, qty, label) VALUES (1, 1, 'one'), (2, 2, 'two');
INSERT INTO dep.parts VALUES (1, 'p'), (2, 'q');
DELETE FROM dep.t2 WHERE next = 2;
SELECT * FROM dep.t_using;
INSERT INTO dep.t1 (id, qty) VALUES (4000000000, 3) RETURNING *;
INSERT INTO dep.t1 VALUES (5, -1); \echo :LAST_ERROR_SQLSTATE
REFRESH MATERIALIZED VIEW dep.m1 WITH NO DATA;
DROP TABLE dep.before, dep.before_text;

-- What is refused, each by name, and nothing has changed.
ALTER TABLE dep.items ADD COLUMN _new_id numeric;
CREATE TABLE dep.before_text AS SELECT * FROM dep.definitions();
REVOKE CREATE ON SCHEMA dep FROM regress_dep_view;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
GRANT CREATE ON SCHEMA dep TO regress_dep_view;
REFRESH MATERIALIZED VIEW dep.m1;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
REFRESH MATERIALIZED VIEW dep.m1 WITH NO DATA;
ALTER MATERIALIZED VIEW dep.m1 ALTER COLUMN next SET STATISTICS 10;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
ALTER MATERIALIZED VIEW dep.m1 ALTER COLUMN next SET STATISTICS -1;
CREATE STATISTICS dep.m1_stat ON id, next FROM dep.m1;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP STATISTICS dep.m1_stat;
CREATE FUNCTION dep.of_view(dep.t1) RETURNS integer LANGUAGE sql AS 'SELECT 1';
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP FUNCTION dep.of_view;
CREATE FUNCTION dep.reads_view() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(next) FROM dep.t2; END;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP FUNCTION dep.reads_view;
CREATE VIEW dep.t_position AS SELECT x.b FROM dep.items x(a, b, c) WHERE c > 0;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP VIEW dep.t_position;
CREATE FUNCTION dep.all_items() RETURNS SETOF dep.items LANGUAGE sql AS 'SELECT * FROM dep.items';
CREATE VIEW dep.t_function AS SELECT f.id FROM dep.all_items() f;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP VIEW dep.t_function;
CREATE VIEW dep.t_rows AS SELECT ROW(0, 'x', 1, 2)::dep.items AS made, id FROM dep.items;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP VIEW dep.t_rows;
CREATE VIEW dep.t_named AS SELECT j.a FROM (dep.items i JOIN dep.parts p ON p.id = i.id) AS j(a, b);
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP VIEW dep.t_named;
CREATE TEMPORARY VIEW t_temp AS SELECT id FROM dep.items;
DO $$
DECLARE d text;
BEGIN
	PERFORM dep.recreate_views('dep.items', 'id', '_new_id', false);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS d = PG_EXCEPTION_DETAIL;
	RAISE INFO '% %', SQLSTATE, d;
END
$$;
DROP VIEW t_temp;
ALTER EXTENSION pgxc ADD VIEW dep.t_using;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
ALTER EXTENSION pgxc DROP VIEW dep.t_using;
SET ROLE regress_dep_owner;
SELECT dep.recreate_views('items', 'id', '_new_id', false);
RESET ROLE;
SELECT name FROM (SELECT * FROM dep.before_text EXCEPT SELECT * FROM dep.definitions()) x;
-- A new column that means something else.
SELECT identity, recreatable, statement, note FROM dep.dependents('items', '{id,qty}', '_new_id', '_new_id', false) WHERE kind = 'view';
SELECT dep.recreate_views('items', 'id', '_new_id', false);
DROP TABLE dep.items, dep.parts, dep.before_text CASCADE;

-- All kinds of things that are no views.
CREATE TABLE dep.things (id integer PRIMARY KEY, past integer CHECK (past > 0), other text, fresh integer,
	twice integer GENERATED ALWAYS AS (past * 2) STORED);
CREATE INDEX ON dep.things (past);
CREATE STATISTICS dep.things_stat ON past, other FROM dep.things;
CREATE SEQUENCE dep.things_seq OWNED BY dep.things.past;
ALTER TABLE dep.things ALTER COLUMN past SET DEFAULT nextval('dep.things_seq');
CREATE POLICY own ON dep.things USING (past > 0);
CREATE TABLE dep.elsewhere (id integer);
CREATE POLICY theirs ON dep.elsewhere USING (EXISTS (SELECT FROM dep.things WHERE past = elsewhere.id));
CREATE PROCEDURE dep.upserts(a integer) LANGUAGE sql
	BEGIN ATOMIC
		INSERT INTO dep.things (id, past) VALUES (a, a) ON CONFLICT (id) DO UPDATE SET past = excluded.past;
	END;
CREATE RULE log AS ON UPDATE TO dep.things DO ALSO INSERT INTO dep.elsewhere VALUES (NEW.past);
CREATE RULE theirs AS ON DELETE TO dep.elsewhere DO ALSO DELETE FROM dep.things WHERE past = OLD.id;
CREATE FUNCTION dep.on_things() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.past := NEW.PAST + 1; RETURN NEW; END';
CREATE TRIGGER on_things BEFORE UPDATE OF past ON dep.things FOR EACH ROW WHEN (NEW.past > 0) EXECUTE FUNCTION dep.on_things();
CREATE FUNCTION dep.standard(a integer, b text DEFAULT 'x') RETURNS SETOF integer LANGUAGE sql STABLE
	BEGIN ATOMIC
		UPDATE dep.things SET past = a, other = b WHERE past < a;
		INSERT INTO dep.things (id, past) SELECT id + 10, past FROM dep.things RETURNING past;
		SELECT t.past FROM dep.things t WHERE t.past = a ORDER BY t.past;
	END;
CREATE FUNCTION dep.returns() RETURNS integer LANGUAGE sql RETURN (SELECT max(past) FROM dep.things);
CREATE FUNCTION dep.both() RETURNS void LANGUAGE sql BEGIN ATOMIC UPDATE dep.things SET past = fresh, fresh = past; END;
CREATE FUNCTION dep.words() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(Past) FROM dep."things"); END';
CREATE FUNCTION dep.no_words() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(pastime) FROM dep.things); END';
CREATE FUNCTION dep.no_table() RETURNS integer LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(past) FROM dep.somethings); END';
CREATE PUBLICATION regress_dep_list FOR TABLE dep.things (id, past, other), dep.elsewhere WITH (publish = 'insert');
CREATE PUBLICATION regress_dep_filter FOR TABLE dep.things WHERE (past > 5 AND other <> 'x') WITH (publish = 'insert');
CREATE PUBLICATION regress_dep_plain FOR TABLE dep.things;
SELECT kind, identity, blocks, recreatable, dep.plain(statement) AS statement, note FROM dep.dependents('things', '{past}', 'fresh', 'fresh', true) WHERE kind <> 'generated column';
SELECT kind, identity, blocks, statement, note FROM dep.dependents('things', '{past}', 'fresh', 'past', false) WHERE kind <> 'generated column';
SELECT kind, identity, blocks, statement, note FROM dep.dependents('things', '{id,past}', 'fresh', 'fresh', false) WHERE kind ~ 'publ|function';
-- The key of the table.
SELECT kind, identity, statement, note FROM dep.dependents('things', '{id}', 'fresh', 'fresh', true) WHERE kind LIKE 'publ%';
-- Every statement does what it says.
BEGIN;
DO $$
DECLARE s text;
BEGIN
	FOR s IN SELECT statement FROM dep.dependents('things', '{past}', 'fresh', 'fresh', true) WHERE statement IS NOT NULL
	LOOP
		EXECUTE s;
	END LOOP;
END
$$;
SELECT kind, identity, blocks FROM dep.dependents('things', '{past}', 'fresh', 'fresh', true);
SELECT tablename, attnames FROM pg_publication_tables WHERE pubname = 'regress_dep_list' ORDER BY 1;
SELECT pg_get_expr(prqual, prrelid) FROM pg_publication_rel WHERE prqual IS NOT NULL;
ROLLBACK;

-- Odd names, and partitions whose columns have other numbers.
CREATE TABLE dep."pa""rt" (filler integer, k integer, "o ld" text, "Ne""w" text) PARTITION BY LIST (k);
ALTER TABLE dep."pa""rt" DROP COLUMN filler;
CREATE TABLE dep.p1 ("Ne""w" text, "o ld" text, k integer);
ALTER TABLE dep."pa""rt" ATTACH PARTITION dep.p1 FOR VALUES IN (1);
CREATE TABLE dep.p2 PARTITION OF dep."pa""rt" FOR VALUES IN (2);
CREATE VIEW dep.p_root AS SELECT k, "o ld" FROM dep."pa""rt";
CREATE VIEW dep.p_leaf AS SELECT "o ld" AS a, "Ne""w" AS b FROM dep.p1;
CREATE FUNCTION dep.p_words() RETURNS void LANGUAGE plpgsql AS 'BEGIN UPDATE dep."pa""rt" SET "o ld" = NULL; END';
CREATE PUBLICATION regress_dep_part FOR TABLE dep.p1 (k, "o ld"), dep."pa""rt" (k, "o ld") WITH (publish = 'insert', publish_via_partition_root = true);
SELECT kind, identity, recreatable, dep.plain(statement) AS statement FROM dep.dependents('dep."pa""rt"', '{o ld}', 'Ne"w', 'Ne"w', true);
SELECT dep.recreate_views('dep."pa""rt"', 'o ld', 'Ne"w', true);
DROP PUBLICATION regress_dep_part;
SELECT dep.recreate_views('dep."pa""rt"', 'o ld', 'Ne"w', true);
SELECT name, dep.plain(definition) AS definition FROM dep.definitions();

DROP PUBLICATION regress_dep_list, regress_dep_filter, regress_dep_plain;
ALTER DEFAULT PRIVILEGES IN SCHEMA dep REVOKE SELECT ON TABLES FROM regress_dep_owner;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_dep_view IN SCHEMA dep REVOKE ALL ON TABLES FROM regress_dep_owner;
DROP SCHEMA dep CASCADE;
DROP ROLE regress_dep_owner, regress_dep_view, regress_dep_reader, regress_dep_other;
