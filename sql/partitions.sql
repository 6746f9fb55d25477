-- Tables that consist of tables.
CREATE SCHEMA part;
SET search_path = part;

-- Ranges, sub-partitions, a default partition; columns in another order, and
-- dropped ones.
CREATE TABLE p (id integer, k integer, a text, b text) PARTITION BY RANGE (k);
CREATE TABLE p_plain PARTITION OF p FOR VALUES FROM (0) TO (1000);
CREATE TABLE p_order (b text, nothing integer, a text, k integer, id integer);
ALTER TABLE p_order DROP nothing;
ALTER TABLE p ATTACH PARTITION p_order FOR VALUES FROM (1000) TO (2000);
CREATE TABLE p_sub (a text, id integer, b text, gone text, k integer) PARTITION BY LIST (id);
ALTER TABLE p_sub DROP gone;
ALTER TABLE p ATTACH PARTITION p_sub FOR VALUES FROM (2000) TO (3000);
CREATE TABLE p_sub_even (gone1 integer, gone2 integer, k integer, a text, id integer, b text);
ALTER TABLE p_sub_even DROP gone1, DROP gone2;
ALTER TABLE p_sub ATTACH PARTITION p_sub_even FOR VALUES IN (0);
CREATE TABLE p_sub_rest PARTITION OF p_sub DEFAULT;
CREATE TABLE p_rest PARTITION OF p DEFAULT;
CREATE TABLE p_empty PARTITION OF p FOR VALUES FROM (9000) TO (9999);
INSERT INTO p SELECT CASE WHEN g % 2 = 0 THEN 0 ELSE g END, g, 'A' || g FROM generate_series(0, 4999) g;
SELECT FROM pgxc.start_backfill('p', 'b = lower(a) || k', name => 'partitions', parallel_workers => 2);
CALL pgxc.wait('partitions');
SELECT tableoid::regclass::text AS leaf, count(*), count(*) FILTER (WHERE b = 'a' || k || k) AS good FROM p GROUP BY 1 ORDER BY 1;
SELECT relid::regclass::text AS leaf, rows_updated, rows_verified FROM pgxc.leaf
 WHERE migration_id = (SELECT id FROM pgxc.migrations WHERE name = 'partitions') ORDER BY 1;
SELECT rows_updated, percent FROM pgxc.migrations WHERE name = 'partitions';
SELECT event, detail FROM helper.history('partitions') WHERE event = 'planned';
SELECT detail LIKE '6 leaf tables, %' AS six FROM pgxc.plan('partitions') WHERE step = 1;

-- Only a branch, and only a leaf.
SELECT FROM pgxc.start_backfill('p_sub', 'b = NULL', name => 'branch');
CALL pgxc.wait('branch');
SELECT FROM pgxc.start_backfill('p_order', 'b = a', name => 'a leaf');
CALL pgxc.wait('a leaf');
SELECT tableoid::regclass::text AS leaf, count(*) FILTER (WHERE b IS NULL) AS branch, count(*) FILTER (WHERE b = a) AS a_leaf FROM p GROUP BY 1 ORDER BY 1;

-- Leaves that come and go: before the first chunk, and before the verification.
BEGIN;
SELECT FROM pgxc.start_backfill('p', 'b = ''new''', name => 'coming and going');
SELECT pgxc.pause('coming and going');
COMMIT;
ALTER TABLE p DETACH PARTITION p_plain;
CREATE TABLE p_late (LIKE p);
INSERT INTO p_late SELECT g, 10000 + g FROM generate_series(1, 1000) g;
ALTER TABLE p ATTACH PARTITION p_late FOR VALUES FROM (10000) TO (20000);
DROP TABLE p_sub_even;
SELECT pgxc.resume('coming and going');
CALL pgxc.wait('coming and going');
SELECT tableoid::regclass::text AS leaf, count(*), count(*) FILTER (WHERE b = 'new') AS new FROM p GROUP BY 1 ORDER BY 1;
SELECT count(*) FILTER (WHERE b = 'new') AS detached FROM p_plain;

ALTER TABLE p ATTACH PARTITION p_plain FOR VALUES FROM (0) TO (1000);
SELECT FROM pgxc.start_backfill('p', 'b = ''newer''', name => 'meanwhile', max_rows_per_second => 1);
CALL helper.until_state('meanwhile', 'running');
SELECT pgxc.pause('meanwhile');
ALTER TABLE p DETACH PARTITION p_plain;
DROP TABLE p_order;
TRUNCATE p_sub_rest;
CREATE TABLE p_last PARTITION OF p FOR VALUES FROM (20000) TO (30000);
INSERT INTO p SELECT g, 20000 + g FROM generate_series(1, 1000) g;
SELECT pgxc.alter_migration('meanwhile', max_rows_per_second => 0);
SELECT pgxc.resume('meanwhile');
CALL pgxc.wait('meanwhile');
SELECT tableoid::regclass::text AS leaf, count(*), count(*) FILTER (WHERE b = 'newer') AS newer FROM p GROUP BY 1 ORDER BY 1;
SELECT event, regexp_replace(detail, 'OID \d+', 'OID N') AS detail FROM helper.history('meanwhile') WHERE event IN ('leaf_added', 'leaf_gone', 'layout_changed') ORDER BY 1, 2;

-- Inheritance: children with more columns, rows only in a child, two parents.
SET client_min_messages = warning;
CREATE TABLE base (id integer, v text);
CREATE TABLE side (v text, w text);
CREATE TABLE child1 (extra integer) INHERITS (base);
CREATE TABLE child2 (before_v integer, v text) INHERITS (side, base);
CREATE TABLE grandchild (more text) INHERITS (child1);
RESET client_min_messages;
INSERT INTO child1 SELECT g, 'c' || g, g FROM generate_series(1, 500) g;
INSERT INTO child2 (id, v) SELECT g, 'd' || g FROM generate_series(1, 500) g;
INSERT INTO grandchild SELECT g, 'e' || g, g, 'm' FROM generate_series(1, 500) g;
INSERT INTO side (v) VALUES ('untouched');
SELECT FROM pgxc.start_backfill('base', 'v = v || id', 'v ~ ''^[cde]\d+$'' AND v IN (''c'' || id, ''d'' || id, ''e'' || id)', 'inheritance');
CALL pgxc.wait('inheritance');
SELECT tableoid::regclass::text AS leaf, count(*), count(*) FILTER (WHERE v ~ ('^.' || id || id || '$')) AS good FROM base GROUP BY 1 ORDER BY 1;
SELECT * FROM side WHERE v = 'untouched';
SELECT rows_updated FROM pgxc.migrations WHERE name = 'inheritance';
-- A child's own column has no meaning for the parent.
SELECT pgxc.start_backfill('base', 'extra = 1'); \echo :LAST_ERROR_SQLSTATE
-- A subquery must not read any part of the family.
SELECT pgxc.start_backfill('child1', 'v = (SELECT max(v) FROM base)'); \echo :LAST_ERROR_SQLSTATE
SELECT pgxc.start_backfill('base', 'v = (SELECT max(v) FROM grandchild)'); \echo :LAST_ERROR_SQLSTATE

-- A partitioned table without any partition.
CREATE TABLE none (a integer) PARTITION BY HASH (a);
ALTER TABLE none ADD b integer;
SELECT FROM pgxc.start_backfill('none', 'b = 1', name => 'no partition');
CALL pgxc.wait('no partition');
SELECT phase, percent, rows_updated FROM pgxc.migrations WHERE name = 'no partition';

RESET search_path;
\set VERBOSITY terse
DROP SCHEMA part CASCADE;
