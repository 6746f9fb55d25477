-- pgxc.check_ddl(): texts of several statements, what they make themselves,
-- verdicts; it runs nothing and keeps no lock.
CREATE SCHEMA check_ddl AUTHORIZATION regress_pgxc_owner;
GRANT USAGE ON SCHEMA check_ddl TO PUBLIC;
SET search_path = check_ddl;
CREATE FUNCTION says(sql text) RETURNS TABLE (no integer, relation text, lock text, work text, blocks text, verdict text)
	LANGUAGE sql AS $$
	SELECT statement_no, relation, lock_mode, work,
		   CASE WHEN blocks_reads THEN 'reads ' ELSE '' END || CASE WHEN blocks_writes THEN 'writes' ELSE '' END, verdict
	  FROM pgxc.check_ddl(sql)
$$;
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text, filler text NOT NULL DEFAULT repeat('x', 7900));
ALTER TABLE t ALTER filler SET STORAGE PLAIN;
INSERT INTO t SELECT i, i, i FROM generate_series(1, 160) i;
CREATE TABLE other (id integer PRIMARY KEY, t_id integer, a integer);
INSERT INTO other SELECT i, i, i FROM generate_series(1, 10) i;
CREATE TABLE "Odd ""Table" (LIKE t INCLUDING ALL);
INSERT INTO "Odd ""Table" SELECT * FROM t;
CREATE TABLE migrated (LIKE t INCLUDING ALL);
INSERT INTO migrated SELECT * FROM t;
SELECT pgxc.start_rename('migrated', 'a', 'c', name => 'check_ddl') > 0, pgxc.pause('check_ddl');

-- All columns
\x
SELECT * FROM pgxc.check_ddl('ALTER TABLE t ALTER b TYPE varchar(10); CREATE INDEX t_b ON t (b); ALTER TABLE migrated DROP a; ALTER TABLE t ADD z integer');
\x

-- Nothing to say
SELECT count(*) FROM pgxc.check_ddl(NULL);
SELECT count(*) FROM pgxc.check_ddl('');
SELECT count(*) FROM pgxc.check_ddl(' ; ; -- nothing');
SELECT count(*) FROM pgxc.check_ddl('SELECT * FROM t; UPDATE t SET a = 1; BEGIN; COMMIT; SET search_path = public; EXPLAIN SELECT 1');

-- What is no SQL
SELECT pgxc.check_ddl('ALTER TABLE t ADD z integer;
ALTER TABEL t');
SELECT pgxc.check_ddl('ALTER TABLE "t');

-- Several statements, comments, names in quotes
SELECT * FROM says($$
	-- CREATE INDEX ON t (a);
	/* ALTER TABLE t DROP a; /* nested */ */ CREATE INDEX "by;a" ON "Odd ""Table" (a); -- the end
	COMMENT ON TABLE t IS 'ALTER TABLE t DROP a; --';
	DO 'BEGIN ALTER TABLE t DROP a; END';
	ALTER TABLE check_ddl."Odd ""Table" RENAME a TO "b;c"
$$);
SELECT statement_no, safe_alternative FROM pgxc.check_ddl($$ /* one */ CREATE INDEX "by;a" /* two */ ON check_ddl."Odd ""Table" (a) /* three */; $$) WHERE safe_alternative IS NOT NULL;

-- What the text makes itself is nobody else's yet
SELECT * FROM says('CREATE TABLE new (id integer PRIMARY KEY, a integer); CREATE INDEX ON new (a); ALTER TABLE new ALTER a SET NOT NULL, ADD CHECK (a > 0); ALTER TABLE new ALTER a TYPE text; DROP TABLE new');
SELECT * FROM says('CREATE TABLE new AS SELECT * FROM t; CREATE INDEX ON new (a); CREATE MATERIALIZED VIEW m AS SELECT 1 AS one; CREATE UNIQUE INDEX ON m (one)');
SELECT * FROM says('SELECT * INTO new FROM t; CREATE INDEX ON new (a)');
SELECT * FROM says('CREATE TABLE check_ddl.new (LIKE t); CREATE INDEX ON new (a); CREATE INDEX ON check_ddl.new (b); CREATE INDEX ON public.new (b)');
SELECT * FROM says('ALTER TABLE t RENAME TO t_2; CREATE INDEX ON t_2 (a); ALTER TABLE t_2 RENAME TO t_3');
SELECT * FROM says('ALTER TABLE t RENAME a TO aa; CREATE INDEX ON t (aa)');

-- Columns and constraints of the same text
SELECT * FROM says('ALTER TABLE t ADD z integer; CREATE INDEX ON t (z); ALTER TABLE t ALTER z SET NOT NULL');
SELECT * FROM says('ALTER TABLE t ADD z integer NOT NULL DEFAULT 1; ALTER TABLE t ALTER z SET NOT NULL; ALTER TABLE t ALTER z TYPE bigint');
SELECT * FROM says('ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t ALTER a SET NOT NULL');
SELECT * FROM says('ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL; ALTER TABLE t DROP CONSTRAINT c');
SELECT * FROM says('ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0 AND a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL');
SELECT * FROM says('ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t DROP CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL');
SELECT * FROM says('ALTER TABLE t ADD CONSTRAINT c CHECK (b IS NOT NULL) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; ALTER TABLE t ALTER a SET NOT NULL');
SELECT * FROM says('ALTER TABLE other ADD CONSTRAINT f FOREIGN KEY (t_id) REFERENCES t NOT VALID; ALTER TABLE other VALIDATE CONSTRAINT f; ALTER TABLE other VALIDATE CONSTRAINT f');
SELECT * FROM says('ALTER TABLE t VALIDATE CONSTRAINT missing');
SELECT * FROM says('CREATE UNIQUE INDEX CONCURRENTLY u ON t (b); ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX u');

-- Between BEGIN and COMMIT locks stay
SELECT * FROM says('BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; COMMIT');
SELECT reason, safe_alternative FROM pgxc.check_ddl('BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT c; COMMIT') WHERE statement_no = 3;
SELECT * FROM says('BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0) NOT VALID; COMMIT; ALTER TABLE t VALIDATE CONSTRAINT c');
SELECT * FROM says('START TRANSACTION; ALTER TABLE t ADD z integer; CREATE INDEX ON t (a); ROLLBACK; CREATE INDEX ON t (a)');
-- and a rolled back text has made nothing
SELECT * FROM says('BEGIN; CREATE TABLE new (a integer); ROLLBACK; CREATE INDEX ON new (a)');
SELECT * FROM says('BEGIN; ALTER TABLE t ADD CONSTRAINT c CHECK (a IS NOT NULL); ROLLBACK; ALTER TABLE t ALTER a SET NOT NULL');

-- What PostgreSQL would refuse, and what cannot be known
SELECT statement_no, relation, verdict, reason FROM pgxc.check_ddl('ALTER TABLE missing ADD z integer; ALTER TABLE t DROP missing; ALTER TABLE t ALTER b TYPE integer');
SELECT statement_no, relation, verdict FROM pgxc.check_ddl('ALTER TABLE t ADD z integer; CREATE INDEX ON t (missing); ALTER TABLE t ALTER b TYPE integer');
SELECT statement_no, relation, verdict, reason FROM pgxc.check_ddl('DROP TABLE missing; DROP TABLE IF EXISTS missing; CREATE TABLE t (a integer)');

-- Verdicts
SELECT * FROM says('ALTER TABLE migrated DROP a; ALTER TABLE migrated ADD z integer; CREATE INDEX ON migrated (b); CREATE INDEX ON other (a); CREATE INDEX CONCURRENTLY ON migrated (b)');
SELECT statement_no, relation, verdict, reason, safe_alternative FROM pgxc.check_ddl('ALTER TABLE migrated DROP a, ALTER b SET NOT NULL; DROP FUNCTION pgxc.dual_write() CASCADE; ALTER SCHEMA check_ddl RENAME TO c');
-- whatever the guard is set to
SET pgxc.guard = off;
SELECT * FROM says('ALTER TABLE migrated DROP a; CREATE INDEX ON t (b)');
SET pgxc.guard = warn;
SELECT * FROM says('ALTER TABLE migrated DROP a; CREATE INDEX ON t (b)');
RESET pgxc.guard;
SET pgxc.allow = 'break,scan,index_build,rewrite';
SELECT * FROM says('ALTER TABLE migrated DROP a; CREATE INDEX ON t (b)');
RESET pgxc.allow;
SET pgxc.guard_min_table_size = '1GB';
SELECT * FROM says('ALTER TABLE migrated DROP a; CREATE INDEX ON t (b)');
RESET pgxc.guard_min_table_size;

-- It changes nothing, keeps no lock, uses no transaction id, is not written down
SELECT count(*) AS before FROM pgxc.guard_rejections \gset
BEGIN;
SELECT count(*) > 10 AS many FROM pgxc.check_ddl('DROP TABLE t CASCADE; ALTER TABLE other ALTER a TYPE bigint; CREATE INDEX ON t (a); TRUNCATE t; CLUSTER t USING t_pkey; CREATE TABLE new (a integer); DROP SCHEMA check_ddl CASCADE; LOCK TABLE t; VACUUM FULL t');
SELECT relation::regclass, mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation IN ('t'::regclass, 'other'::regclass, 'migrated'::regclass);
SELECT pg_current_xact_id_if_assigned() IS NULL AS no_transaction_id;
COMMIT;
SELECT count(*) = :before AS not_written_down FROM pgxc.guard_rejections;
SELECT count(*) FROM t;
BEGIN READ ONLY;
SELECT * FROM says('ALTER TABLE t DROP a; CREATE INDEX ON t (b)');
COMMIT;
-- not even where an error is caught
DO $$
BEGIN
	PERFORM pgxc.check_ddl('ALTER TABLE t DROP a; nonsense');
EXCEPTION WHEN syntax_error THEN
	PERFORM pgxc.check_ddl('ALTER TABLE t DROP a');
END $$;

-- Anybody may ask; of what they may not touch they learn PostgreSQL's answer
SET ROLE regress_pgxc_other;
SET search_path = check_ddl;
SELECT statement_no, relation, verdict, reason FROM pgxc.check_ddl('CREATE TABLE pg_temp.own (a integer); CREATE INDEX ON own (a); ALTER TABLE t DROP a; CREATE INDEX ON t (b); DROP TABLE other');
RESET ROLE;
SELECT has_function_privilege('regress_pgxc_other', 'pgxc.check_ddl(text)', 'EXECUTE');

SET client_min_messages = warning;
SELECT pgxc.rollback('check_ddl');
DROP SCHEMA check_ddl CASCADE;
