-- The table's own triggers and constraints.
CREATE SCHEMA trg;
CREATE TABLE trg.t (id integer PRIMARY KEY, a integer, b integer, touched integer DEFAULT 0);
CREATE TABLE trg.log (id integer, what text, role name, session boolean, depth integer);
INSERT INTO trg.t SELECT g, g, 0 FROM generate_series(1, 2000) g;

-- BEFORE and AFTER, for rows and statements, WHEN, and for columns: they fire
-- as for any UPDATE, once for each row.
CREATE FUNCTION trg.before_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.touched := old.touched + 1; RETURN new; END $$;
CREATE FUNCTION trg.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO trg.log VALUES (new.id, tg_name, current_user, session_user = current_user, pg_trigger_depth()); RETURN NULL; END $$;
CREATE TRIGGER before_row BEFORE UPDATE ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.before_row();
CREATE TRIGGER after_row AFTER UPDATE ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.log();
CREATE TRIGGER of_a AFTER UPDATE OF a ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.log();
CREATE TRIGGER of_b AFTER UPDATE OF b ON trg.t FOR EACH ROW WHEN (new.id <= 100) EXECUTE FUNCTION trg.log();
CREATE TRIGGER disabled AFTER UPDATE ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.log();
ALTER TABLE trg.t DISABLE TRIGGER disabled;
CREATE TRIGGER on_replica AFTER UPDATE ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.log();
ALTER TABLE trg.t ENABLE REPLICA TRIGGER on_replica;
CREATE CONSTRAINT TRIGGER deferred AFTER UPDATE ON trg.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (new.id > 1900) EXECUTE FUNCTION trg.log();
ALTER TABLE trg.t OWNER TO regress_pgxc_owner;
ALTER TABLE trg.log OWNER TO regress_pgxc_owner;
GRANT USAGE ON SCHEMA trg TO regress_pgxc_owner;
-- Not even a session that switched triggers off switches off those of the workers.
SET session_replication_role = replica;
SELECT FROM pgxc.start_backfill('trg.t', 'b = a * 2', name => 'triggers');
RESET session_replication_role;
CALL pgxc.wait('triggers');
SELECT touched, count(*), count(*) FILTER (WHERE b = a * 2) AS good FROM trg.t GROUP BY 1;
SELECT what, role, count(*), count(DISTINCT id), bool_or(session) AS session, max(depth) AS depth FROM trg.log GROUP BY 1, 2 ORDER BY 1;
-- The plan tells of them.
SELECT detail FROM pgxc.plan('triggers') WHERE step = 3;
DROP TRIGGER before_row ON trg.t;
DROP TRIGGER after_row ON trg.t;
DROP TRIGGER deferred ON trg.t;

-- A deferred constraint trigger that complains: about one row, with its key.
CREATE FUNCTION trg.complain() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.id = 50 THEN RAISE EXCEPTION 'not row %', new.id; END IF; RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER complain AFTER UPDATE ON trg.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION trg.complain();
SELECT FROM pgxc.start_backfill('trg.t', 'b = a * 3', name => 'deferred', max_row_errors => 1);
CALL pgxc.wait('deferred');
SELECT key, sqlstate, message FROM pgxc.row_errors WHERE migration = 'deferred';
SELECT count(*) FROM trg.t WHERE b = a * 3;
DROP TRIGGER complain ON trg.t;

-- A trigger that swallows the update: told after some rounds, not tried for ever.
CREATE FUNCTION trg.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF new.id % 1000 = 0 THEN RETURN NULL; END IF; RETURN new; END $$;
CREATE TRIGGER swallow BEFORE UPDATE ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.swallow();
SELECT FROM pgxc.start_backfill('trg.t', 'b = a * 4', name => 'swallowed');
CALL helper.until_state('swallowed', 'attention');
SELECT phase, state, wait_reason, regexp_replace(next_step, '\d+', 'N') AS next_step FROM pgxc.migrations WHERE name = 'swallowed';
SELECT count(*) FROM trg.t WHERE b <> a * 4;
SELECT event, detail FROM helper.history('swallowed') WHERE event = 'verify';
DROP TRIGGER swallow ON trg.t;
SELECT pgxc.retry('swallowed');
CALL pgxc.wait('swallowed');
SELECT count(*) FROM trg.t WHERE b <> a * 4;

-- One that changes it to something else never converges.
CREATE FUNCTION trg.undo() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.b := old.b; RETURN new; END $$;
CREATE TRIGGER undo BEFORE UPDATE ON trg.t FOR EACH ROW EXECUTE FUNCTION trg.undo();
SELECT FROM pgxc.start_backfill('trg.t', 'b = a * 5', name => 'undone');
CALL helper.until_state('undone', 'failed');
SELECT state, regexp_replace(last_error, '\d+ of \d+', 'N of N') AS last_error FROM pgxc.migrations WHERE name = 'undone';
DROP TRIGGER undo ON trg.t;
SELECT pgxc.retry('undone');
CALL pgxc.wait('undone');
SELECT count(*) FROM trg.t WHERE b = a * 5;

-- A foreign key column, both as it should be and not.
CREATE TABLE trg.target (id integer PRIMARY KEY);
INSERT INTO trg.target SELECT g FROM generate_series(1, 1999) g;
CREATE TABLE trg.source (id integer PRIMARY KEY, ref integer REFERENCES trg.target);
INSERT INTO trg.source SELECT g FROM generate_series(1, 2000) g;
SELECT FROM pgxc.start_backfill('trg.source', 'ref = id', name => 'foreign key');
CALL helper.until_state('foreign key', 'attention');
SELECT key, sqlstate, message FROM pgxc.row_errors WHERE migration = 'foreign key';
INSERT INTO trg.target VALUES (2000);
SELECT pgxc.retry('foreign key');
CALL pgxc.wait('foreign key');
SELECT count(*) FROM trg.source WHERE ref = id;
-- The side that is referred to, with ON UPDATE CASCADE.
ALTER TABLE trg.source DROP CONSTRAINT source_ref_fkey, ADD FOREIGN KEY (ref) REFERENCES trg.target ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED;
SELECT FROM pgxc.start_backfill('trg.target', 'id = id + 10000', 'id < 10000', 'cascade');
CALL pgxc.wait('cascade');
SELECT count(*) FROM trg.target JOIN trg.source ON ref = target.id WHERE ref = source.id + 10000;

-- A unique column: values may not even meet for a moment, as in any UPDATE.
CREATE TABLE trg.uniq (id integer PRIMARY KEY, v integer UNIQUE, w integer, EXCLUDE USING btree (w WITH =));
INSERT INTO trg.uniq SELECT g, g, g FROM generate_series(1, 2000) g;
SELECT FROM pgxc.start_backfill('trg.uniq', 'v = CASE WHEN id = 5 THEN 6 ELSE v END, w = CASE WHEN id = 7 THEN 8 ELSE w END', name => 'unique', max_row_errors => 5);
CALL pgxc.wait('unique');
SELECT key, sqlstate, message FROM pgxc.row_errors WHERE migration = 'unique' ORDER BY key;
SELECT FROM pgxc.start_backfill('trg.uniq', 'v = -v, w = -w', 'v > 0', 'unique, without trouble');
CALL pgxc.wait('unique, without trouble');
SELECT count(*) FROM trg.uniq WHERE v = -id AND w = -id;

-- Generated columns follow.
CREATE TABLE trg.gen (id integer, a integer, g integer GENERATED ALWAYS AS (a * 2) STORED);
INSERT INTO trg.gen SELECT g, 0 FROM generate_series(1, 1000) g;
SELECT FROM pgxc.start_backfill('trg.gen', 'a = id + g', 'a = 0', 'generated');
CALL pgxc.wait('generated');
SELECT count(*) FROM trg.gen WHERE a = id AND g = 2 * id;

\set VERBOSITY terse
DROP SCHEMA trg CASCADE;
