-- What PostgreSQL refuses to drop is not analysed: no row.  What it does drop
-- is tried in t/ddl/drop.txt.
CREATE SCHEMA ddl_drop;
SET search_path = ddl_drop;
CREATE FUNCTION rows_for(statement text) RETURNS bigint LANGUAGE sql
	AS 'SELECT count(*) FROM pgxc.check_ddl(statement) WHERE verdict <> ''error''';

CREATE TABLE parent (id integer PRIMARY KEY, a integer);
CREATE INDEX parent_a ON parent (a);
CREATE TABLE child (id integer REFERENCES parent);
CREATE VIEW parent_view AS SELECT id FROM parent;
CREATE TABLE parts (id integer PRIMARY KEY, a integer) PARTITION BY RANGE (id);
CREATE TABLE part PARTITION OF parts DEFAULT;
CREATE INDEX parts_a ON parts (a);
CREATE TYPE kind AS ENUM ('a');
CREATE TABLE kinds (kind kind, kind_id serial);

-- Something else depends on it.
SELECT rows_for('DROP TABLE parent');
SELECT rows_for('DROP TABLE parent, child');
SELECT rows_for('DROP TYPE kind');
SELECT rows_for('DROP SEQUENCE kinds_kind_id_seq');
-- Or it is a part of something else, even with CASCADE.
SELECT rows_for('DROP INDEX parent_pkey CASCADE');
SELECT rows_for('DROP INDEX part_a_idx CASCADE');
SELECT rows_for('DROP TYPE parent CASCADE');
-- Or the system needs it.
SELECT rows_for('DROP TYPE int4 CASCADE');
SELECT rows_for('DROP SCHEMA pg_catalog CASCADE');
-- Or there is no such thing.
SELECT rows_for('DROP TABLE child, missing');
SELECT rows_for('DROP VIEW child');
SELECT rows_for('DROP TRIGGER missing ON child');
SELECT rows_for('DROP INDEX CONCURRENTLY parent_a, part_a_idx');
SELECT rows_for('DROP INDEX CONCURRENTLY parts_a');

-- In the statement's own place it would do.
SELECT rows_for('DROP TABLE child');
SELECT rows_for('DROP INDEX parts_a, part_a_idx');
SELECT rows_for('DROP INDEX CONCURRENTLY parent_a');

SET client_min_messages = warning;
DROP SCHEMA ddl_drop CASCADE;
