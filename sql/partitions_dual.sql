-- Partitioned tables with two shapes.  Each is made twice; see carry_over.sql.
CREATE SCHEMA parts;
SET search_path = parts;
CREATE FUNCTION parts.nothing() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION parts.answer(text) RETURNS text LANGUAGE sql RETURN regexp_replace($1, '\d+\)', 'N)', 'g');
CREATE PROCEDURE parts.twice(one name, other name, script text)
	LANGUAGE plpgsql AS $$
DECLARE
	namespace name;
BEGIN
	FOREACH namespace IN ARRAY ARRAY[one, other] LOOP
		PERFORM set_config('search_path', namespace || ', parts', true);
		EXECUTE script;
	END LOOP;
END $$;

-- Two levels, columns in another order, dropped ones, a default partition,
-- and what partitions have for themselves.
CREATE FUNCTION parts.tables() RETURNS text LANGUAGE sql AS $script$ SELECT $$
	CREATE TABLE t (id integer NOT NULL, k integer, c integer NOT NULL DEFAULT 1 CHECK (c > 0), x text) PARTITION BY RANGE (k);
	CREATE TABLE t_plain PARTITION OF t FOR VALUES FROM (0) TO (100);
	CREATE TABLE t_order (x text, gone integer, c integer NOT NULL DEFAULT 2, k integer, id integer NOT NULL, CONSTRAINT t_c_check CHECK (c > 0));
	ALTER TABLE t_order DROP gone;
	ALTER TABLE t ATTACH PARTITION t_order FOR VALUES FROM (100) TO (200);
	CREATE TABLE t_sub (c integer NOT NULL, gone text, id integer NOT NULL, x text, k integer, CONSTRAINT t_c_check CHECK (c > 0)) PARTITION BY LIST (id);
	ALTER TABLE t_sub DROP gone;
	CREATE TABLE t_sub_zero (gone1 integer, gone2 integer, k integer, c integer NOT NULL, x text, id integer NOT NULL, CONSTRAINT t_c_check CHECK (c > 0));
	ALTER TABLE t_sub_zero DROP gone1, DROP gone2;
	ALTER TABLE t_sub ATTACH PARTITION t_sub_zero FOR VALUES IN (0);
	CREATE TABLE t_sub_rest PARTITION OF t_sub DEFAULT;
	ALTER TABLE t ATTACH PARTITION t_sub FOR VALUES FROM (200) TO (300);
	CREATE TABLE t_rest PARTITION OF t DEFAULT;
	ALTER TABLE t ADD CONSTRAINT t_key PRIMARY KEY (k, id, c), ADD CONSTRAINT t_unique UNIQUE (c, id, k) INCLUDE (x);
	CREATE INDEX t_index ON t (c DESC, x);
	CREATE INDEX ON t (x) WHERE c > 10;
	CREATE INDEX t_other ON t (x);
	-- Partitions' own.
	CREATE INDEX own_index ON t_plain (c, lower(x)) WITH (fillfactor = 80);
	CREATE UNIQUE INDEX own_unique ON t_order (c, k, id, x);
	ALTER TABLE t_plain ADD CONSTRAINT own_check CHECK (c < 1000000), ADD CONSTRAINT own_not_valid CHECK (c < 500000) NOT VALID;
	CREATE INDEX own_sub ON t_sub (c, k);
	CREATE TABLE target (id integer PRIMARY KEY);
	INSERT INTO target SELECT g FROM generate_series(1, 400) g;
	ALTER TABLE t_plain ADD CONSTRAINT own_reference FOREIGN KEY (c) REFERENCES target ON DELETE CASCADE;
	CREATE STATISTICS own_statistics ON c, x FROM t_rest;
	CREATE STATISTICS t_statistics ON c, k FROM t;
	CREATE TRIGGER t_trigger AFTER UPDATE OF c ON t FOR EACH ROW EXECUTE FUNCTION parts.nothing();
	CREATE TRIGGER own_trigger BEFORE UPDATE OF c ON t_sub_zero FOR EACH ROW WHEN (NEW.c > 5) EXECUTE FUNCTION parts.nothing();
	ALTER TABLE t_plain DISABLE TRIGGER t_trigger;
	COMMENT ON TRIGGER t_trigger ON t_order IS 'of a copy';
	CREATE POLICY own_policy ON t_rest USING (c > 3);
	CREATE POLICY t_policy ON t USING (c > 4);
	COMMENT ON COLUMN t.c IS 'of all';
	COMMENT ON COLUMN t_plain.c IS 'of one';
	COMMENT ON INDEX t_index IS 'of an index';
	COMMENT ON INDEX t_plain_c_x_idx IS 'of a part of an index';
	COMMENT ON CONSTRAINT t_key ON t IS 'the key';
	GRANT SELECT (c) ON t TO regress_pgxc_other;
	GRANT UPDATE (c) ON t_sub_rest TO regress_pgxc_other;
	ALTER TABLE t_order ALTER c SET STATISTICS 33;
	ALTER TABLE t_plain CLUSTER ON own_index;
	ALTER TABLE t_order REPLICA IDENTITY USING INDEX t_order_pkey;
	INSERT INTO t SELECT g % 3, g, g + 1, 'x' || g FROM generate_series(0, 399) g;
$$ $script$;
CREATE SCHEMA parts_rename_mine;
CREATE SCHEMA parts_rename_twin;
CALL twice('parts_rename_mine', 'parts_rename_twin', parts.tables());
SELECT * FROM helper.differences('parts_rename_mine', 'parts_rename_twin');
SET search_path = parts_rename_mine, parts;
SELECT FROM pgxc.start_rename('t', 'c', 'd', name => 'parts rename');
CALL pgxc.wait('parts rename');
SELECT item, evidence FROM pgxc.checklist('parts rename') WHERE NOT ok;
-- Rows that are written to the root or to a partition, by old or new code, and
-- rows that move.
INSERT INTO t (id, k, c) VALUES (1000, 50, 11), (1000, 150, 12), (0, 250, 13), (1000, 250, 14), (1000, 1000, 15);
INSERT INTO t (id, k, d) VALUES (1001, 50, 11), (1001, 150, 12), (0, 251, 13), (1001, 250, 14), (1001, 1000, 15);
INSERT INTO t_order (id, k, d) VALUES (1002, 150, 21);
INSERT INTO t_sub (id, k, d) VALUES (1002, 250, 22);
INSERT INTO t (id, k) VALUES (1003, 50), (1004, 150), (1005, 1000);
UPDATE t SET k = k + 100 WHERE id >= 1000;
UPDATE t SET id = 0, d = d + 100 WHERE id = 1001 AND k = 350;
UPDATE t SET k = 260, c = c + 200 WHERE id = 1000 AND k = 150;
SELECT tableoid::regclass, id, k, c, d FROM t WHERE id >= 1000 OR k IN (350, 260) ORDER BY id, k, c;
SELECT count(*), count(*) FILTER (WHERE c IS DISTINCT FROM d) AS different FROM t;
SELECT pgxc.contract('parts rename');
ALTER TABLE parts_rename_twin.t RENAME c TO d;
SELECT * FROM helper.differences('parts_rename_mine', 'parts_rename_twin');
INSERT INTO t (id, k) VALUES (1004, 50), (1004, 150) RETURNING d;

-- Another type, and rolled back.
CREATE SCHEMA parts_type_mine;
CREATE SCHEMA parts_type_twin;
CALL twice('parts_type_mine', 'parts_type_twin', parts.tables());
SET search_path = parts_type_mine, parts;
SELECT FROM pgxc.start_type_change('t', 'c', 'bigint', name => 'parts back');
CALL pgxc.wait('parts back');
SELECT pgxc.rollback('parts back');
SELECT * FROM helper.differences('parts_type_mine', 'parts_type_twin');
SELECT FROM pgxc.start_type_change('t', 'c', 'bigint', name => 'parts type');
CALL pgxc.wait('parts type');
SELECT item, evidence FROM pgxc.checklist('parts type') WHERE NOT ok;
SELECT pgxc.contract('parts type');
DROP POLICY t_policy ON parts_type_twin.t;
DROP POLICY own_policy ON parts_type_twin.t_rest;
DROP TRIGGER t_trigger ON parts_type_twin.t;
DROP TRIGGER own_trigger ON parts_type_twin.t_sub_zero;
ALTER TABLE parts_type_twin.t ALTER c TYPE bigint;
SET search_path = parts_type_twin, parts;
CREATE POLICY own_policy ON t_rest USING (c > 3);
CREATE POLICY t_policy ON t USING (c > 4);
CREATE TRIGGER t_trigger AFTER UPDATE OF c ON t FOR EACH ROW EXECUTE FUNCTION parts.nothing();
CREATE TRIGGER own_trigger BEFORE UPDATE OF c ON t_sub_zero FOR EACH ROW WHEN (NEW.c > 5) EXECUTE FUNCTION parts.nothing();
ALTER TABLE t_plain DISABLE TRIGGER t_trigger;
COMMENT ON TRIGGER t_trigger ON t_order IS 'of a copy';
-- ALTER TABLE gives the comment of an index to all of its parts, and forgets
-- a partition's replica identity.
SELECT format('COMMENT ON INDEX %s IS NULL', relid) FROM pg_partition_tree('t_index') WHERE level > 0 \gexec
COMMENT ON INDEX t_plain_c_x_idx IS 'of a part of an index';
ALTER TABLE t_order REPLICA IDENTITY USING INDEX t_order_pkey;
SELECT * FROM helper.differences('parts_type_mine', 'parts_type_twin');

-- Partitions that come and go while the migration is running, and when it is
-- ready.
CREATE SCHEMA parts_come_mine;
CREATE SCHEMA parts_come_twin;
CALL twice('parts_come_mine', 'parts_come_twin', $$
	CREATE TABLE t (id integer, k integer, c integer NOT NULL CHECK (c > 0), PRIMARY KEY (k, c)) PARTITION BY RANGE (k);
	CREATE INDEX t_index ON t (c);
	CREATE TABLE t_stays PARTITION OF t FOR VALUES FROM (0) TO (1000);
	CREATE TABLE t_goes PARTITION OF t FOR VALUES FROM (1000) TO (2000);
	CREATE TABLE t_goes_too PARTITION OF t FOR VALUES FROM (2000) TO (3000);
	CREATE TABLE target (id integer PRIMARY KEY);
	CREATE TABLE t_dropped PARTITION OF t FOR VALUES FROM (3000) TO (4000);
	INSERT INTO t SELECT g, g, g + 1 FROM generate_series(0, 3999) g;
$$);
SET search_path = parts_come_mine, parts;
BEGIN;
SELECT FROM pgxc.start_rename('t', 'c', 'd', name => 'coming');
SELECT pgxc.pause('coming');
COMMIT;
-- One that is created has the column and the trigger; one to attach needs the
-- column, and what is on it.
CREATE TABLE t_created PARTITION OF t FOR VALUES FROM (4000) TO (5000);
INSERT INTO t (id, k, d) VALUES (1, 4000, 1);
CREATE TABLE t_attached (c integer NOT NULL, id integer, k integer NOT NULL, CONSTRAINT t_c_check CHECK (c > 0));
INSERT INTO t_attached SELECT g, g, g FROM generate_series(5000, 5999) g;
ALTER TABLE t ATTACH PARTITION t_attached FOR VALUES FROM (5000) TO (6000);
ALTER TABLE t_attached ADD d integer;
ALTER TABLE t ATTACH PARTITION t_attached FOR VALUES FROM (5000) TO (6000);
DROP TABLE t_dropped;
SET pgxc.guard = off;
ALTER TABLE t DETACH PARTITION t_goes;
RESET pgxc.guard;
SELECT pgxc.resume('coming');
CALL pgxc.wait('coming');
SELECT item, evidence FROM pgxc.checklist('coming') WHERE NOT ok;
SELECT tableoid::regclass, count(*), count(*) FILTER (WHERE c IS DISTINCT FROM d) AS different FROM t GROUP BY 1 ORDER BY 1;
-- Ready.  The same again.
CREATE TABLE t_created_later PARTITION OF t FOR VALUES FROM (6000) TO (7000);
INSERT INTO t (id, k, d) VALUES (1, 6000, 1);
CREATE TABLE t_attached_later (LIKE t INCLUDING ALL);
INSERT INTO t_attached_later (id, k, c, d) SELECT g, g, g, g FROM generate_series(7000, 7999) g;
ALTER TABLE t ATTACH PARTITION t_attached_later FOR VALUES FROM (7000) TO (8000);
SELECT item, evidence FROM pgxc.checklist('coming') WHERE NOT ok;
SELECT parts.answer(helper.try('contract', 'coming'));
SELECT pgxc.retry('coming');
CALL pgxc.wait('coming');
SELECT item, evidence FROM pgxc.checklist('coming') WHERE NOT ok;
SELECT tableoid::regclass, count(*), count(*) FILTER (WHERE c IS DISTINCT FROM d) AS different FROM t GROUP BY 1 ORDER BY 1;
SET pgxc.guard = off;
ALTER TABLE t DETACH PARTITION t_goes_too;
RESET pgxc.guard;
SELECT item, evidence FROM pgxc.checklist('coming') WHERE NOT ok;
SELECT pgxc.contract('coming');
SELECT relid::regclass, isleaf FROM pg_partition_tree('t') ORDER BY 1::text;
SELECT c.relname, string_agg(attname, ' ' ORDER BY attnum) AS columns, (SELECT count(*) FROM pg_trigger WHERE tgrelid = c.oid) AS triggers
  FROM pg_class c JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0 AND NOT attisdropped WHERE relname LIKE 't\_%' AND relnamespace = 'parts_come_mine'::regnamespace AND relkind = 'r' GROUP BY c.oid, c.relname ORDER BY 1;
-- No name of ours is left on the table.
SELECT relid::regclass AS index FROM pg_partition_tree('t_pkey') WHERE relid::regclass::text LIKE '%pgxc%';
SELECT indexrelid::regclass FROM pg_index WHERE indrelid IN (SELECT relid FROM pg_partition_tree('t')) AND indexrelid::regclass::text LIKE '%pgxc%';
-- Rows that were not read are not lost.
CREATE TABLE u (k integer, c text) PARTITION BY LIST (k);
CREATE TABLE u_1 PARTITION OF u FOR VALUES IN (1);
SELECT FROM pgxc.start_rename('u', 'c', 'd', name => 'unread');
CALL pgxc.wait('unread');
CREATE TABLE u_2 (LIKE u);
INSERT INTO u_2 (k, c) VALUES (2, 'two');
ALTER TABLE u ATTACH PARTITION u_2 FOR VALUES IN (2);
SELECT item, evidence FROM pgxc.checklist('unread') WHERE NOT ok;
SELECT parts.answer(helper.try('contract', 'unread'));
SELECT pgxc.retry('unread');
CALL pgxc.wait('unread');
SELECT pgxc.contract('unread');
TABLE u;

-- The defaults are those of the table that an INSERT names.
CREATE TABLE v (k integer, c integer DEFAULT 7, s serial, i integer GENERATED BY DEFAULT AS IDENTITY) PARTITION BY LIST (k);
CREATE TABLE v_attached (k integer, c integer DEFAULT 8, s integer NOT NULL, i integer NOT NULL);
ALTER TABLE v ATTACH PARTITION v_attached FOR VALUES IN (1);
SELECT FROM pgxc.start_rename('v', 'c', 'c2', name => 'v.c');
SELECT FROM pgxc.start_type_change('v', 's', 'bigint', name => 'v.s');
SELECT FROM pgxc.start_transform('v', 'i2', 'bigint', 'i::bigint', 'i2::integer', name => 'v.i');
CALL pgxc.wait('v.c');
CALL pgxc.wait('v.s');
CALL pgxc.wait('v.i');
INSERT INTO v (k, c2) VALUES (1, 100) RETURNING c, c2;
INSERT INTO v_attached (k, c2, s, i) VALUES (1, 101, 1, 1) RETURNING c, c2;
INSERT INTO v (k, c) VALUES (1, 102) RETURNING c, c2;
INSERT INTO v (k, i2) VALUES (1, 103) RETURNING i, i2;
ALTER TABLE ONLY v ALTER c SET DEFAULT 9;
INSERT INTO v (k, c2) VALUES (1, 104) RETURNING c, c2;
SELECT pgxc.contract('v.c');
SELECT pgxc.contract('v.s');
SELECT pgxc.contract('v.i');
INSERT INTO v (k) VALUES (1) RETURNING c2, s, i2;
SELECT attrelid::regclass, attname, format_type(atttypid, NULL), pg_get_expr(adbin, adrelid) FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
 WHERE attrelid IN ('v'::regclass, 'v_attached'::regclass) AND attnum > 0 AND NOT attisdropped ORDER BY 1, 2;

-- What a partitioned table cannot have done to it is refused by name.
CREATE TABLE w (k integer, c integer, x integer REFERENCES parts_come_mine.target, PRIMARY KEY (k, c)) PARTITION BY LIST (k);
CREATE TABLE w_1 PARTITION OF w FOR VALUES IN (1);
CREATE TABLE w_references (k integer, c integer, CONSTRAINT to_w FOREIGN KEY (k, c) REFERENCES w);
SELECT pgxc.start_rename('w', 'c', 'd');
SELECT pgxc.start_rename('w', 'x', 'd');
SELECT pgxc.start_rename('w', 'k', 'd');
SELECT pgxc.start_rename('w_1', 'c', 'd');
SELECT pgxc.start_rename('w_1', 'x', 'd');
ALTER TABLE w ADD y integer;
SELECT pgxc.start_rename('w_1', 'y', 'd');
SELECT attname FROM pg_attribute WHERE attrelid = 'w_1'::regclass AND attnum > 0 ORDER BY attnum;
-- A foreign key to one can be built.
SELECT FROM pgxc.start_rename('w_references', 'c', 'd', name => 'references parts');
CALL pgxc.wait('references parts');
SELECT pgxc.contract('references parts');
SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'w_references'::regclass AND conparentid = 0;
INSERT INTO w_references VALUES (1, 1);

-- NOT NULL keeps its name, where it has one: the table's, the partitions', and
-- the one that a primary key brings.  (Before 18 it has none, and no row of
-- pg_constraint.)
CREATE SCHEMA parts_null_mine;
CREATE SCHEMA parts_null_twin;
CREATE FUNCTION parts.not_nulls(namespace name) RETURNS TABLE (relation name, fact text) LANGUAGE sql AS $$
	SELECT c.relname, format('%s not null %s', a.attname, a.attnotnull)
	  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	 WHERE c.relnamespace = namespace::regnamespace AND c.relkind IN ('r', 'p')
	UNION ALL
	SELECT c.relname, format('%s named %s inherited %s no inherit %s validated %s comment %s', a.attname, n.conname, n.coninhcount, n.connoinherit, n.convalidated, obj_description(n.oid, 'pg_constraint'))
	  FROM pg_class c JOIN pg_constraint n ON n.conrelid = c.oid AND n.contype = 'n' JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n.conkey[1]
	 WHERE c.relnamespace = namespace::regnamespace
$$;
CALL twice('parts_null_mine', 'parts_null_twin', $$
	CREATE TABLE alone (id integer CONSTRAINT other_one NOT NULL, c integer CONSTRAINT "its Name" NOT NULL);
	CREATE TABLE usual (id integer, c integer NOT NULL);
	CREATE TABLE key (c integer PRIMARY KEY);
	CREATE TABLE renamed (was integer NOT NULL);
	ALTER TABLE renamed RENAME was TO c;
	CREATE TABLE t (k integer, c integer CONSTRAINT t_own NOT NULL) PARTITION BY LIST (k);
	CREATE TABLE t_same PARTITION OF t FOR VALUES IN (1);
	CREATE TABLE t_attached (k integer, c integer CONSTRAINT part_own NOT NULL);
	ALTER TABLE t ATTACH PARTITION t_attached FOR VALUES IN (2);
	CREATE TABLE t_sub (c integer CONSTRAINT sub_own NOT NULL, k integer) PARTITION BY LIST (k);
	CREATE TABLE t_sub_1 (gone integer, c integer CONSTRAINT sub_1_own NOT NULL, k integer);
	ALTER TABLE t_sub_1 DROP gone;
	ALTER TABLE t_sub ATTACH PARTITION t_sub_1 FOR VALUES IN (3);
	CREATE TABLE t_sub_2 PARTITION OF t_sub DEFAULT;
	ALTER TABLE t ATTACH PARTITION t_sub FOR VALUES IN (3, 4);
	CREATE TABLE p (k integer, c integer) PARTITION BY LIST (k);
	CREATE TABLE p_strict (k integer, c integer CONSTRAINT only_here NOT NULL);
	CREATE TABLE p_any PARTITION OF p FOR VALUES IN (1);
	ALTER TABLE p ATTACH PARTITION p_strict FOR VALUES IN (2);
	INSERT INTO t SELECT g % 4 + 1, g FROM generate_series(1, 100) g;
$$);
SET search_path = parts_null_mine, parts;
SELECT count(*) FROM (SELECT pgxc.start_rename(format('parts_null_mine.%I', r)::regclass, 'c', 'd', name => 'null ' || r) FROM unnest('{alone,usual,key,renamed,t,p}'::name[]) r) q;
CALL pgxc.wait('null alone');
CALL pgxc.wait('null usual');
CALL pgxc.wait('null key');
CALL pgxc.wait('null renamed');
CALL pgxc.wait('null t');
CALL pgxc.wait('null p');
SELECT pgxc.contract('null ' || r) FROM unnest('{alone,usual,key,renamed,t,p}'::name[]) r;
SET search_path = parts_null_twin, parts;
ALTER TABLE alone RENAME c TO d;
ALTER TABLE usual RENAME c TO d;
ALTER TABLE key RENAME c TO d;
ALTER TABLE renamed RENAME c TO d;
ALTER TABLE t RENAME c TO d;
ALTER TABLE p RENAME c TO d;
SELECT relation, fact FROM parts.not_nulls('parts_null_twin') WHERE fact LIKE 'd not null%' ORDER BY relation;
(SELECT 'mine', * FROM parts.not_nulls('parts_null_mine') EXCEPT ALL SELECT 'mine', * FROM parts.not_nulls('parts_null_twin'))
UNION ALL (SELECT 'twin', * FROM parts.not_nulls('parts_null_twin') EXCEPT ALL SELECT 'twin', * FROM parts.not_nulls('parts_null_mine')) ORDER BY 2, 3, 1;
