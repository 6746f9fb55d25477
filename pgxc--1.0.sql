/* pgxc--1.0.sql: the catalog of pgxc, its functions and its views */

\echo Use "CREATE EXTENSION pgxc" to load this file. \quit

/*
 * Nothing in this script may be resolved through a schema that somebody else
 * can write to.  All of our own names are qualified.
 */
SET LOCAL search_path = pg_catalog, pg_temp;

/*
 * Tables.  They are the truth (see src/README.md); none of them is granted to
 * anybody, the views below show what the caller may see.
 *
 * Everything that describes a physical layout (leaf, stripe, revisit) stays
 * out of a dump: a restored table has another layout.
 */
CREATE SEQUENCE pgxc.migration_id_seq;

CREATE TABLE pgxc.migration (
	id bigint NOT NULL DEFAULT nextval('pgxc.migration_id_seq') PRIMARY KEY,
	name text NOT NULL UNIQUE,
	kind text NOT NULL CHECK (kind IN ('backfill', 'rename', 'type_change', 'transform', 'expand_only')),
	relation regclass CHECK (relation IS NOT NULL OR kind = 'expand_only'),
	relation_name text NOT NULL,
	scope text CHECK (scope IN ('table', 'schema', 'database')),
	scope_schema text,
	owner text NOT NULL,
	home text NOT NULL,
	columns text[] NOT NULL,
	expressions text[] NOT NULL,
	predicate text,
	assignments_given text NOT NULL,
	predicate_given text,
	settings text[] NOT NULL,
	target_chunk_ms integer,
	max_duty double precision,
	parallel_workers integer NOT NULL DEFAULT 1,
	max_rows_per_second integer,
	max_wal_rate integer,
	passes integer,
	max_row_errors bigint NOT NULL DEFAULT 0,
	throttle_function text,
	old_columns text[] NOT NULL DEFAULT '{}',
	new_column text,
	final_column text,
	new_type text,
	up text,
	downs text[] NOT NULL DEFAULT '{}',
	given_up text,
	given_down text,
	uses text[] NOT NULL DEFAULT '{}',
	fingerprint text[] NOT NULL DEFAULT '{}',
	prefer text NOT NULL DEFAULT 'old' CHECK (prefer IN ('old', 'new')),
	keep_old boolean NOT NULL DEFAULT false,
	fire_triggers boolean NOT NULL DEFAULT true,
	phase text NOT NULL CHECK (phase IN ('expand', 'migrate', 'done', 'cancelled', 'rolled_back')),
	state text NOT NULL CHECK (state IN ('queued', 'running', 'paused', 'blocked', 'attention', 'failed', 'ready', 'finished')),
	state_reason text,
	state_since timestamptz NOT NULL DEFAULT clock_timestamp(),
	step text NOT NULL DEFAULT 'update' CHECK (step IN ('update', 'verify')),
	planned boolean NOT NULL DEFAULT false,
	round integer NOT NULL DEFAULT 0,
	verified_at timestamptz,
	verified_rows bigint,
	unconverted_seen bigint NOT NULL DEFAULT 0,
	blocked_tries integer NOT NULL DEFAULT 0,
	starts integer NOT NULL DEFAULT 0,
	retry_at timestamptz,
	last_error_code text,
	last_error text,
	last_error_at timestamptz,
	created_by text NOT NULL DEFAULT SESSION_USER,
	created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
	started_at timestamptz,
	finished_at timestamptz
);
ALTER SEQUENCE pgxc.migration_id_seq OWNED BY pgxc.migration.id;

CREATE TABLE pgxc.leaf (
	migration_id bigint NOT NULL REFERENCES pgxc.migration ON DELETE CASCADE,
	relid oid NOT NULL,
	relfilenumber oid NOT NULL,
	end_block bigint NOT NULL,
	next_block bigint NOT NULL DEFAULT 0,
	blocks_done bigint NOT NULL DEFAULT 0,
	rows_updated bigint NOT NULL DEFAULT 0,
	rows_verified bigint NOT NULL DEFAULT 0,
	mismatches bigint NOT NULL DEFAULT 0,
	wal_bytes bigint NOT NULL DEFAULT 0,
	chunks bigint NOT NULL DEFAULT 0,
	size_before bigint NOT NULL DEFAULT 0,
	gone boolean NOT NULL DEFAULT false,
	PRIMARY KEY (migration_id, relid)
) WITH (fillfactor = 50);

CREATE SEQUENCE pgxc.stripe_id_seq;

CREATE TABLE pgxc.stripe (
	id bigint NOT NULL DEFAULT nextval('pgxc.stripe_id_seq') PRIMARY KEY,
	migration_id bigint NOT NULL REFERENCES pgxc.migration ON DELETE CASCADE,
	relid oid NOT NULL,
	first_block bigint NOT NULL,
	end_block bigint NOT NULL,
	window_start bigint NOT NULL,
	window_blocks bigint NOT NULL DEFAULT 0,
	passes integer NOT NULL DEFAULT 0,
	pass integer NOT NULL DEFAULT 0,
	pass_to integer NOT NULL DEFAULT 0,
	next_block bigint NOT NULL,
	attempts integer NOT NULL DEFAULT 0,
	rows_updated bigint NOT NULL DEFAULT 0,
	rows_verified bigint NOT NULL DEFAULT 0,
	mismatches bigint NOT NULL DEFAULT 0,
	wal_bytes bigint NOT NULL DEFAULT 0,
	chunks bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 30);
ALTER SEQUENCE pgxc.stripe_id_seq OWNED BY pgxc.stripe.id;
CREATE INDEX stripe_migration ON pgxc.stripe (migration_id, relid);

CREATE SEQUENCE pgxc.revisit_id_seq;

CREATE TABLE pgxc.revisit (
	id bigint NOT NULL DEFAULT nextval('pgxc.revisit_id_seq') PRIMARY KEY,
	migration_id bigint NOT NULL REFERENCES pgxc.migration ON DELETE CASCADE,
	relid oid NOT NULL,
	first_block bigint NOT NULL,
	end_block bigint NOT NULL,
	reason text NOT NULL,
	tries integer NOT NULL DEFAULT 0,
	not_before timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
ALTER SEQUENCE pgxc.revisit_id_seq OWNED BY pgxc.revisit.id;
CREATE INDEX revisit_migration ON pgxc.revisit (migration_id, not_before);

CREATE TABLE pgxc.row_error (
	migration_id bigint NOT NULL REFERENCES pgxc.migration ON DELETE CASCADE,
	relid oid NOT NULL,
	row_ctid tid NOT NULL,
	key text,
	sqlstate text NOT NULL,
	message text NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	recheck boolean NOT NULL DEFAULT false,
	PRIMARY KEY (migration_id, relid, row_ctid)
);

CREATE SEQUENCE pgxc.event_id_seq;

CREATE TABLE pgxc.event (
	id bigint NOT NULL DEFAULT nextval('pgxc.event_id_seq') PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	migration_id bigint NOT NULL REFERENCES pgxc.migration ON DELETE CASCADE,
	event text NOT NULL,
	from_state text,
	to_state text,
	detail text,
	role text NOT NULL DEFAULT SESSION_USER,
	application_name text NOT NULL DEFAULT current_setting('application_name'),
	client_addr inet DEFAULT inet_client_addr()
);
ALTER SEQUENCE pgxc.event_id_seq OWNED BY pgxc.event.id;
CREATE INDEX event_migration ON pgxc.event (migration_id, id);

/*
 * What stands on an old column and is built anew on the new one: under
 * new_name until contract gives it the old name.  definition is the server's
 * own text of the old object, with the new column's name in it.
 */
CREATE TABLE pgxc.piece (
	migration_id bigint NOT NULL REFERENCES pgxc.migration ON DELETE CASCADE,
	no integer NOT NULL,
	kind text NOT NULL CHECK (kind IN ('index', 'unique', 'primary key', 'not null', 'check', 'foreign key', 'referencing', 'statistics')),
	relation regclass NOT NULL,
	old_name text NOT NULL,
	new_name text NOT NULL,
	definition text NOT NULL,
	built boolean NOT NULL DEFAULT false,
	PRIMARY KEY (migration_id, no)
);

SELECT pg_extension_config_dump('pgxc.migration', '');
SELECT pg_extension_config_dump('pgxc.piece', '');
SELECT pg_extension_config_dump('pgxc.migration_id_seq', '');
SELECT pg_extension_config_dump('pgxc.event', '');
SELECT pg_extension_config_dump('pgxc.event_id_seq', '');

/*
 * Helpers of the chunk statement.  They touch no data, so they stay open to
 * PUBLIC: the worker calls them with the rights of the table's owner.
 */
CREATE FUNCTION pgxc.differs(anyelement, anyelement) RETURNS boolean
	LANGUAGE c IMMUTABLE PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'pgxc_differs';
COMMENT ON FUNCTION pgxc.differs(anyelement, anyelement) IS
	'true if the two values are stored differently; defined for every type, also for those without an equality operator';

CREATE FUNCTION pgxc.lost(old anyelement, back anyelement) RETURNS boolean
	LANGUAGE c STABLE PARALLEL SAFE COST 10
	AS 'MODULE_PATHNAME', 'pgxc_lost';
COMMENT ON FUNCTION pgxc.lost(anyelement, anyelement) IS
	'raises an error (22000) if a column''s value does not come back from its new shape as it was, otherwise false';

CREATE FUNCTION pgxc.in_pass(row_ctid tid, passes integer, first_pass integer, last_pass integer, skip tid[]) RETURNS boolean
	LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE COST 1
	AS 'MODULE_PATHNAME', 'pgxc_in_pass';
COMMENT ON FUNCTION pgxc.in_pass(tid, integer, integer, integer, tid[]) IS
	'true if the row''s line pointer, modulo passes, lies in first_pass..last_pass and the row is not in skip';

/* start_ */
CREATE FUNCTION pgxc.start_backfill(
	relation regclass,
	assignments text,
	predicate text DEFAULT NULL,
	name text DEFAULT NULL,
	target_chunk_ms integer DEFAULT NULL,
	max_duty double precision DEFAULT NULL,
	parallel_workers integer DEFAULT 1,
	max_rows_per_second integer DEFAULT NULL,
	max_wal_rate integer DEFAULT NULL,
	passes integer DEFAULT NULL,
	max_row_errors bigint DEFAULT 0,
	throttle_function text DEFAULT NULL,
	dry_run boolean DEFAULT false)
	RETURNS bigint
	LANGUAGE c VOLATILE
	AS 'MODULE_PATHNAME', 'pgxc_start_backfill';
COMMENT ON FUNCTION pgxc.start_backfill(regclass, text, text, text, integer, double precision, integer, integer, integer, integer, bigint, text, boolean) IS
'registers a chunked UPDATE of every row of a table, run by background workers from COMMIT on; returns the migration''s id.
relation: an ordinary or partitioned table that the caller owns.
assignments: what stands behind SET in an UPDATE, such as ''a = b + 1, c = lower(d)''.
predicate: which rows need it; must be false for a row once it is updated. Default: the assignments would change the row.
name: idempotency key. The same name with the same definition is a no-op with a NOTICE; with another definition an error (42710).
target_chunk_ms: milliseconds a chunk may hold its row locks, 1..2000 (default: setting pgxc.target_chunk_ms).
max_duty: share of the time that a worker may work, 0.02..1 (default: setting pgxc.max_duty).
parallel_workers: workers on this table, 1..16.
max_rows_per_second: cap for the whole migration; NULL or 0 is none. max_wal_rate: the same in kB/s; NULL or 0 follows the setting pgxc.max_wal_rate.
passes: how many striped passes over each window, 1..64; NULL lets pgxc choose (20, or 1 where striping gains nothing).
max_row_errors: how many rows that cannot be updated are recorded in pgxc.row_errors before the migration asks for attention.
throttle_function: name of a function () returning (level integer, reason text); level 1 slows down, 2 stops.
dry_run: changes nothing, returns NULL, and says as NOTICEs what would happen.
Errors: 42501 not the owner, 42601 not a list of assignments, 42703 unknown column, 42804 type mismatch, 42809 not a table, 0A000 cannot be backfilled, 22023 argument out of range, 25006 on a standby, 42710 name taken, 55006 another open migration assigns the column.';

CREATE FUNCTION pgxc.start_rename(
	relation regclass,
	old_column name,
	new_column name,
	name text DEFAULT NULL,
	target_chunk_ms integer DEFAULT NULL,
	max_duty double precision DEFAULT NULL,
	parallel_workers integer DEFAULT 1,
	max_rows_per_second integer DEFAULT NULL,
	max_wal_rate integer DEFAULT NULL,
	passes integer DEFAULT NULL,
	max_row_errors bigint DEFAULT 0,
	throttle_function text DEFAULT NULL,
	fire_triggers boolean DEFAULT false,
	dry_run boolean DEFAULT false)
	RETURNS bigint
	LANGUAGE c VOLATILE
	AS 'MODULE_PATHNAME', 'pgxc_start_rename';
COMMENT ON FUNCTION pgxc.start_rename(regclass, name, name, text, integer, double precision, integer, integer, integer, integer, bigint, text, boolean, boolean) IS
'adds new_column beside old_column, keeps both equal for every writer, and fills it in the background; returns the migration''s id. pgxc.contract() drops the old column.
relation: an ordinary or partitioned table that the caller owns. old_column, new_column: their names.
name: idempotency key. The same name with the same definition is a no-op with a NOTICE; with another definition an error (42710).
target_chunk_ms ... throttle_function: as for pgxc.start_backfill().
fire_triggers: the backfill''s own writes fire the table''s triggers, too (its other writers always do).
dry_run: changes nothing, returns NULL, and says as NOTICEs what would happen.
Errors: 42501 not the owner, 42703 no such column, 42701 the new column exists, 42710 name taken, 55006 another open migration uses the column, 55P03 the lock could not be had, 0A000 something cannot be carried over (by name), 22023 argument out of range, 25006 on a standby.';

CREATE FUNCTION pgxc.start_type_change(
	relation regclass,
	column_name name,
	new_type text,
	up text DEFAULT NULL,
	down text DEFAULT NULL,
	name text DEFAULT NULL,
	target_chunk_ms integer DEFAULT NULL,
	max_duty double precision DEFAULT NULL,
	parallel_workers integer DEFAULT 1,
	max_rows_per_second integer DEFAULT NULL,
	max_wal_rate integer DEFAULT NULL,
	passes integer DEFAULT NULL,
	max_row_errors bigint DEFAULT 0,
	throttle_function text DEFAULT NULL,
	fire_triggers boolean DEFAULT false,
	dry_run boolean DEFAULT false)
	RETURNS bigint
	LANGUAGE c VOLATILE
	AS 'MODULE_PATHNAME', 'pgxc_start_type_change';
COMMENT ON FUNCTION pgxc.start_type_change(regclass, name, text, text, text, text, integer, double precision, integer, integer, integer, integer, bigint, text, boolean, boolean) IS
'adds a shadow column of the new type, keeps it equal for every writer, and fills it in the background; returns the migration''s id. pgxc.contract() gives it the column''s name and drops the old one.
relation: an ordinary or partitioned table that the caller owns. column_name: the column. new_type: a type as in CREATE TABLE.
up: expression that makes the new value from the column; default: the cast of an assignment. down: the way back, over the same column name; default: the cast back where up has its default and there is one.
With a way back, a row whose value would be lost is found before contract. name: idempotency key.
target_chunk_ms ... throttle_function: as for pgxc.start_backfill().
fire_triggers: the backfill''s own writes fire the table''s triggers, too (its other writers always do).
dry_run: changes nothing, returns NULL, and says as NOTICEs what would happen.
Errors: 42501 not the owner, 42703 no such column, 42701 the new column exists, 42710 name taken, 55006 another open migration uses the column, 55P03 the lock could not be had, 0A000 something cannot be carried over (by name), 22023 argument out of range, 25006 on a standby, 42846 no cast and no up, 42804 up has another type, 42601 and 42703 in an expression.';

CREATE FUNCTION pgxc.start_transform(
	relation regclass,
	new_column name,
	new_type text,
	up text,
	down text DEFAULT NULL,
	name text DEFAULT NULL,
	target_chunk_ms integer DEFAULT NULL,
	max_duty double precision DEFAULT NULL,
	parallel_workers integer DEFAULT 1,
	max_rows_per_second integer DEFAULT NULL,
	max_wal_rate integer DEFAULT NULL,
	passes integer DEFAULT NULL,
	max_row_errors bigint DEFAULT 0,
	throttle_function text DEFAULT NULL,
	keep_old boolean DEFAULT false,
	fire_triggers boolean DEFAULT false,
	dry_run boolean DEFAULT false)
	RETURNS bigint
	LANGUAGE c VOLATILE
	AS 'MODULE_PATHNAME', 'pgxc_start_transform';
COMMENT ON FUNCTION pgxc.start_transform(regclass, name, text, text, text, text, integer, double precision, integer, integer, integer, integer, bigint, text, boolean, boolean, boolean) IS
'adds new_column, computed from other columns by up, keeps it so for every writer, and fills it in the background; returns the migration''s id. pgxc.contract() drops the columns that up uses.
relation: an ordinary or partitioned table that the caller owns. new_column, new_type: name and type. up: expression over the table''s columns.
down: the way back: an expression over new_column if up uses one column, otherwise ''column = expression, ...'' for each; default: none, and new_column cannot be written before contract. name: idempotency key.
keep_old: contract keeps the columns that up uses, and only stops keeping new_column equal.
target_chunk_ms ... throttle_function: as for pgxc.start_backfill().
fire_triggers: the backfill''s own writes fire the table''s triggers, too (its other writers always do).
dry_run: changes nothing, returns NULL, and says as NOTICEs what would happen.
Errors: 42501 not the owner, 42703 no such column, 42701 the new column exists, 42710 name taken, 55006 another open migration uses the column, 55P03 the lock could not be had, 0A000 something cannot be carried over (by name), 22023 argument out of range, 25006 on a standby, 42804 up has another type, 42601 and 42703 in an expression.';

CREATE FUNCTION pgxc.start_expand_only(scope text, object text DEFAULT NULL, name text DEFAULT NULL) RETURNS bigint
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_start_expand_only';
COMMENT ON FUNCTION pgxc.start_expand_only(text, text, text) IS
'opens an expand phase without data: until pgxc.finish_expand_only() the guard refuses destructive DDL in its scope, and lets pass what is only added; returns the migration''s id.
scope: ''table'', ''schema'' or ''database''. object: the name of a table or schema of the caller''s, as in SQL; NULL for the current database.
name: idempotency key. The same name with the same definition is a no-op with a NOTICE while the phase is open; with another definition an error (42710).
Errors: 42501 not the owner, 22004 scope or object is null, 22023 unknown scope or another database, 42602 not a name, 42P01, 3F000, 3D000 no such table, schema, database, 42809 not a table, 42710 name taken, 55P03 the lock could not be had, 25006 on a standby.';

CREATE FUNCTION pgxc.finish_expand_only(id bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_finish_expand_only';
CREATE FUNCTION pgxc.finish_expand_only(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_finish_expand_only';
COMMENT ON FUNCTION pgxc.finish_expand_only(bigint) IS
'ends a phase that pgxc.start_expand_only() opened. Returns the new state.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the owner of the table, schema or database, 55000 of another kind, or finished.';
COMMENT ON FUNCTION pgxc.finish_expand_only(text) IS 'like pgxc.finish_expand_only(bigint), by the migration''s name';

CREATE FUNCTION pgxc.dual_write() RETURNS trigger
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'pgxc_dual_write';
COMMENT ON FUNCTION pgxc.dual_write() IS
'trigger function that keeps the old and the new column of a migration equal; pgxc creates its triggers itself.
Arguments, all text: migration id, its name, new column, preferred side (old or new), up (= for a copy or cast), recorded settings as text[], then for each old column its name and down (= for a copy or cast, ! for none).
Errors: 39P01 not called as pgxc does, 42703 a column is gone, 55000 the new column was written and there is no down.';

CREATE FUNCTION pgxc.migration_changed() RETURNS trigger
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'pgxc_migration_changed';
COMMENT ON FUNCTION pgxc.migration_changed() IS
'trigger function of pgxc.migration: tells every session that the list of open migrations is another one.
Errors: 39P01 not called as a trigger.';

CREATE TRIGGER changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON pgxc.migration
	FOR EACH STATEMENT EXECUTE FUNCTION pgxc.migration_changed();

CREATE FUNCTION pgxc.guard_rewrite() RETURNS event_trigger
	LANGUAGE c
	AS 'MODULE_PATHNAME', 'pgxc_guard_rewrite';
COMMENT ON FUNCTION pgxc.guard_rewrite() IS
'event trigger function: refuses the rewrite of a table with an open migration in a session that had not loaded pgxc before.
Errors: 55006 such a table, 39P03 not called as an event trigger.';

CREATE EVENT TRIGGER pgxc_guard_rewrite ON table_rewrite EXECUTE FUNCTION pgxc.guard_rewrite();

/* verbs; each takes the id or the name */
CREATE FUNCTION pgxc.pause(id bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_pause';
CREATE FUNCTION pgxc.pause(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_pause';
CREATE FUNCTION pgxc.resume(id bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_resume';
CREATE FUNCTION pgxc.resume(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_resume';
CREATE FUNCTION pgxc.retry(id bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_retry';
CREATE FUNCTION pgxc.retry(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_retry';
CREATE FUNCTION pgxc.cancel(id bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_cancel';
CREATE FUNCTION pgxc.cancel(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_cancel';

COMMENT ON FUNCTION pgxc.pause(bigint) IS
'stops a migration; waits for the chunk in progress, so that none runs once this call has returned. Returns the new state.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner, 55000 the migration is finished or failed.';
COMMENT ON FUNCTION pgxc.pause(text) IS 'like pgxc.pause(bigint), by the migration''s name';
COMMENT ON FUNCTION pgxc.resume(bigint) IS
'lets a paused migration go on where it stopped. Returns the new state.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner, 55000 not paused.';
COMMENT ON FUNCTION pgxc.resume(text) IS 'like pgxc.resume(bigint), by the migration''s name';
COMMENT ON FUNCTION pgxc.retry(bigint) IS
'lets a migration in state attention, failed or blocked go on at once (in state ready: build and verify once more), and tries the rows in pgxc.row_errors again. Returns the new state.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner, 55000 nothing to retry.';
COMMENT ON FUNCTION pgxc.retry(text) IS 'like pgxc.retry(bigint), by the migration''s name';
COMMENT ON FUNCTION pgxc.cancel(bigint) IS
'ends a migration for good. Rows that a backfill has updated stay updated; the new shape of another kind is removed, as by pgxc.rollback(). Returns the new state.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner, 55000 already finished.';
COMMENT ON FUNCTION pgxc.cancel(text) IS 'like pgxc.cancel(bigint), by the migration''s name';

CREATE FUNCTION pgxc.contract(id bigint, force boolean DEFAULT false, recreate_views boolean DEFAULT false) RETURNS text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_contract';
CREATE FUNCTION pgxc.contract(name text, force boolean DEFAULT false, recreate_views boolean DEFAULT false) RETURNS text
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_contract';
COMMENT ON FUNCTION pgxc.contract(bigint, boolean, boolean) IS
'removes the old shape of a migration that is ready, and gives the new one its place: names, constraints, default, sequence, rights. Returns the new state.
id: the migration''s id. force: in spite of open items of pgxc.checklist(), which are written to pgxc.events. recreate_views: views over the old column are dropped and created again for the new one.
Errors: 42704 no such migration, 42501 not the table''s owner, 55000 not ready or an open item, 55P03 a lock could not be had, 2BP01 something still depends on the old column.';
COMMENT ON FUNCTION pgxc.contract(text, boolean, boolean) IS 'like pgxc.contract(bigint, boolean, boolean), by the migration''s name';

CREATE FUNCTION pgxc.rollback(id bigint) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_rollback';
CREATE FUNCTION pgxc.rollback(name text) RETURNS text
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_rollback';
COMMENT ON FUNCTION pgxc.rollback(bigint) IS
'removes the new shape of a migration at any time before contract; the table is as before. Returns the new state.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner, 55000 a backfill, or finished, 55P03 a lock could not be had, 2BP01 something depends on the new column.';
COMMENT ON FUNCTION pgxc.rollback(text) IS 'like pgxc.rollback(bigint), by the migration''s name';

CREATE FUNCTION pgxc.prefer(id bigint, side text) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_prefer';
CREATE FUNCTION pgxc.prefer(name text, side text) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_prefer';
COMMENT ON FUNCTION pgxc.prefer(bigint, text) IS
'tells which column wins when one statement writes both to different values.
id: the migration''s id. side: ''old'' (as after start) or ''new''. Errors: 42704 no such migration, 42501 not the table''s owner, 22023 another side, 55000 finished, or the old column cannot follow, 55P03 a lock could not be had.';
COMMENT ON FUNCTION pgxc.prefer(text, text) IS 'like pgxc.prefer(bigint, text), by the migration''s name';

CREATE FUNCTION pgxc.checklist(id bigint, OUT item text, OUT ok boolean, OUT evidence text, OUT advice text) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_checklist';
CREATE FUNCTION pgxc.checklist(name text, OUT item text, OUT ok boolean, OUT evidence text, OUT advice text) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_checklist';
COMMENT ON FUNCTION pgxc.checklist(bigint) IS
'one row for each condition of pgxc.contract(): item, whether it is met, the evidence, and what to do where it is not.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner, 55000 nothing to contract.';
COMMENT ON FUNCTION pgxc.checklist(text) IS 'like pgxc.checklist(bigint), by the migration''s name';

CREATE FUNCTION pgxc.check_ddl(
	sql text,
	OUT statement_no integer, OUT relation text, OUT lock_mode text, OUT work text,
	OUT blocks_reads boolean, OUT blocks_writes boolean, OUT estimated_bytes bigint,
	OUT verdict text, OUT reason text, OUT safe_alternative text) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_check_ddl';
COMMENT ON FUNCTION pgxc.check_ddl(text) IS
'what the guard thinks of a text of one or more statements, without running it: one row for each relation that a statement touches.
lock_mode: the strongest lock that it holds at its end, as in pg_locks.mode. work: none, or a list of scan, rewrite, index build. estimated_bytes: what that work reads or writes.
Errors: 42601 a syntax error, 42501 a table that the caller may not see.';

CREATE FUNCTION pgxc.alter_migration(
	id bigint,
	target_chunk_ms integer DEFAULT NULL,
	max_duty double precision DEFAULT NULL,
	parallel_workers integer DEFAULT NULL,
	max_rows_per_second integer DEFAULT NULL,
	max_wal_rate integer DEFAULT NULL,
	passes integer DEFAULT NULL,
	max_row_errors bigint DEFAULT NULL,
	throttle_function text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_alter_migration';
CREATE FUNCTION pgxc.alter_migration(
	name text,
	target_chunk_ms integer DEFAULT NULL,
	max_duty double precision DEFAULT NULL,
	parallel_workers integer DEFAULT NULL,
	max_rows_per_second integer DEFAULT NULL,
	max_wal_rate integer DEFAULT NULL,
	passes integer DEFAULT NULL,
	max_row_errors bigint DEFAULT NULL,
	throttle_function text DEFAULT NULL)
	RETURNS void
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_alter_migration';
COMMENT ON FUNCTION pgxc.alter_migration(bigint, integer, double precision, integer, integer, integer, integer, bigint, text) IS
'changes the parameters of an open migration; they hold from its next chunk on. NULL leaves a parameter as it is.
id: the migration''s id. target_chunk_ms: milliseconds, 1..2000, 0 follows the setting. max_duty: 0.02..1, 0 follows the setting.
parallel_workers: 1..16. max_rows_per_second, max_wal_rate (kB/s), passes: 0 removes the cap or the choice. throttle_function: '''' removes it.
Errors: 42704 no such migration, 42501 not the table''s owner, 22023 out of range, 55000 already finished.';
COMMENT ON FUNCTION pgxc.alter_migration(text, integer, double precision, integer, integer, integer, integer, bigint, text) IS
	'like pgxc.alter_migration(bigint, ...), by the migration''s name';

CREATE PROCEDURE pgxc.wait(id bigint, timeout interval DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'pgxc_wait';
CREATE PROCEDURE pgxc.wait(name text, timeout interval DEFAULT NULL)
	LANGUAGE c AS 'MODULE_PATHNAME', 'pgxc_wait';
COMMENT ON PROCEDURE pgxc.wait(bigint, interval) IS
'blocks until the migration is done or stops running by itself, without holding a snapshot; says its progress as NOTICEs.
id: the migration''s id. timeout: NULL waits for ever.
Errors: 25001 inside a transaction block, 42704 no such migration, 55000 it failed, was cancelled, or needs attention, 57014 timeout, 55000 no workers (not preloaded).';
COMMENT ON PROCEDURE pgxc.wait(text, interval) IS 'like pgxc.wait(bigint, interval), by the migration''s name';

CREATE PROCEDURE pgxc.run(id bigint)
	LANGUAGE c AS 'MODULE_PATHNAME', 'pgxc_run';
CREATE PROCEDURE pgxc.run(name text)
	LANGUAGE c AS 'MODULE_PATHNAME', 'pgxc_run';
COMMENT ON PROCEDURE pgxc.run(bigint) IS
'runs a migration''s chunks in this session until it is done; for servers where pgxc is not preloaded, and for CI.
id: the migration''s id. Errors: 25001 inside a transaction block, 42704 no such migration, 42501 not the table''s owner, 55006 a worker has it, 55000 it failed or needs attention.';
COMMENT ON PROCEDURE pgxc.run(text) IS 'like pgxc.run(bigint), by the migration''s name';

CREATE FUNCTION pgxc.assert_done(id bigint) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_assert_done';
CREATE FUNCTION pgxc.assert_done(name text) RETURNS void
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_assert_done';
COMMENT ON FUNCTION pgxc.assert_done(bigint) IS
'raises an error (55000) unless the migration is done; for the migration script of the next release.
id: the migration''s id. Errors: 42704 no such migration, 55000 not done.';
COMMENT ON FUNCTION pgxc.assert_done(text) IS 'like pgxc.assert_done(bigint), by the migration''s name';

CREATE FUNCTION pgxc.plan(id bigint, OUT step integer, OUT action text, OUT lock text, OUT duration text, OUT detail text) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_plan';
CREATE FUNCTION pgxc.plan(name text, OUT step integer, OUT action text, OUT lock text, OUT duration text, OUT detail text) RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT AS 'MODULE_PATHNAME', 'pgxc_plan';
COMMENT ON FUNCTION pgxc.plan(bigint) IS
'what the migration does, step by step: the lock that each step takes on the table, how long it is held, and an estimate of rows, WAL, growth and time.
id: the migration''s id. Errors: 42704 no such migration, 42501 not the table''s owner.';
COMMENT ON FUNCTION pgxc.plan(text) IS 'like pgxc.plan(bigint), by the migration''s name';

/* what shared memory knows; empty without preload and on a standby */
CREATE FUNCTION pgxc.live_workers(
	OUT pid integer, OUT datid oid, OUT migration_id bigint, OUT relid oid,
	OUT activity text, OUT wait_reason text,
	OUT throttle_signal text, OUT throttle_value double precision, OUT throttle_limit double precision, OUT throttle_unit text,
	OUT passes integer, OUT pass integer, OUT chunk_blocks bigint, OUT chunk_ms double precision, OUT duty double precision,
	OUT rows_per_second double precision, OUT blocks_per_second double precision,
	OUT chunks bigint, OUT rows_updated bigint, OUT wal_bytes bigint,
	OUT busy_ms double precision, OUT delay_ms double precision,
	OUT retries bigint, OUT lock_yields bigint, OUT started_at timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_live_workers';
COMMENT ON FUNCTION pgxc.live_workers() IS
'one row for each process that works on a migration in this cluster, from shared memory. Times in milliseconds, rates per second of wall-clock time over about the last 10 s.';

CREATE FUNCTION pgxc.live_signals(
	OUT pid integer, OUT datid oid, OUT migration_id bigint, OUT signal text, OUT unit text,
	OUT value double precision, OUT soft_limit double precision, OUT hard_limit double precision,
	OUT level text, OUT detail text)
	RETURNS SETOF record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_live_signals';
COMMENT ON FUNCTION pgxc.live_signals() IS
	'what each worker last saw of each pacing signal, from shared memory';

CREATE FUNCTION pgxc.cluster_status(OUT preloaded boolean, OUT launcher_pid integer, OUT free_workers integer, OUT registration_failed boolean, OUT home text) RETURNS record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_cluster_status';
COMMENT ON FUNCTION pgxc.cluster_status() IS
'preloaded: pgxc is in shared_preload_libraries; launcher_pid: NULL if none runs; free_workers: of pgxc.max_workers;
registration_failed: the last attempt to start a worker found no free slot in max_worker_processes; home: identity of this server, database and extension.';

CREATE FUNCTION pgxc.may_see(relation oid, creator text, scope text DEFAULT NULL, schema_name text DEFAULT NULL, OUT owner boolean, OUT monitor boolean) RETURNS record
	LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
	AS $$
	SELECT coalesce((SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c WHERE c.oid = relation),
					(SELECT pg_has_role(n.nspowner, 'USAGE') FROM pg_namespace n WHERE n.nspname = schema_name),
					(SELECT pg_has_role(d.datdba, 'USAGE') FROM pg_database d WHERE scope = 'database' AND d.datname = current_database()),
					(SELECT pg_has_role(r.oid, 'USAGE') FROM pg_roles r WHERE r.rolname = creator),
					false)
			OR (SELECT rolsuper FROM pg_roles WHERE rolname = CURRENT_USER),
		   pg_has_role('pg_monitor', 'USAGE')
	$$;
COMMENT ON FUNCTION pgxc.may_see(oid, text, text, text) IS
'owner: the caller owns the relation, or the schema or database of an expand-only phase (or created the migration, where that is gone), or is a superuser;
monitor: the caller is a member of pg_monitor';

/* views */
CREATE VIEW pgxc.migrations WITH (security_barrier) AS
SELECT m.id, m.name, m.kind,
	   coalesce((SELECT c.oid::regclass::text FROM pg_class c
				  WHERE c.oid = m.relation AND (m.home = s.home OR m.phase = 'migrate')),
				m.relation_name) AS relation,
	   m.columns, m.phase, e.state,
	   CASE WHEN m.phase = 'migrate' THEN m.step END AS step,
	   p.percent,
	   p.rows_updated, w.rows_per_second,
	   CASE WHEN e.state = 'running' THEN p.eta END AS eta,
	   CASE WHEN m.phase <> 'migrate' THEN NULL
			WHEN e.state = 'running' THEN
				CASE WHEN w.workers > 0 THEN w.wait_reason
					 WHEN NOT s.preloaded THEN 'no workers: pgxc is not in shared_preload_libraries'
					 ELSE 'waiting for a worker' END
			WHEN e.state = 'queued' THEN
				CASE WHEN NOT s.preloaded THEN 'no workers: pgxc is not in shared_preload_libraries'
					 WHEN b.name IS NOT NULL THEN format('waiting for migration "%s" on the same table', b.name)
					 WHEN s.registration_failed THEN 'no free background worker (max_worker_processes)'
					 WHEN s.free_workers = 0 THEN 'all workers are busy (pgxc.max_workers)'
					 ELSE 'waiting for a worker' END
			WHEN e.state = 'blocked' THEN
				format('%s; next try at %s', m.state_reason, to_char(m.retry_at, 'HH24:MI:SS'))
			WHEN e.state = 'ready' THEN NULL
			ELSE e.reason END AS wait_reason,
	   CASE WHEN m.last_error IS NULL THEN NULL
			WHEN v.owner THEN format('%s: %s', m.last_error_code, m.last_error)
			ELSE m.last_error_code END AS last_error,
	   CASE WHEN m.phase = 'done' THEN
				CASE WHEN p.row_errors > 0 THEN format('done, except for %s rows listed in pgxc.row_errors', p.row_errors)
					 ELSE CASE m.kind WHEN 'backfill' THEN 'nothing: done and verified' WHEN 'expand_only' THEN 'nothing: the phase is over' ELSE 'nothing: contracted' END END
			WHEN m.phase = 'cancelled' THEN 'nothing: cancelled'
			WHEN m.phase = 'rolled_back' THEN 'nothing: rolled back'
			WHEN m.phase = 'expand' THEN format('SELECT pgxc.finish_expand_only(%s) ends the phase', m.id)
			WHEN e.state = 'ready' THEN format('roll the application over, SELECT * FROM pgxc.checklist(%s), then SELECT pgxc.contract(%s)', m.id, m.id)
			WHEN e.state = 'queued' THEN
				CASE WHEN s.preloaded THEN 'wait: a worker will start it' ELSE format('CALL pgxc.run(%s)', m.id) END
			WHEN e.state = 'running' THEN
				CASE WHEN w.building THEN 'wait: indexes and constraints are being built'
					 WHEN m.step = 'verify' THEN 'wait: every row is being verified' ELSE 'wait: the rows are being updated' END
			WHEN e.state = 'paused' THEN format('SELECT pgxc.resume(%s) lets it go on', m.id)
			WHEN e.state = 'blocked' THEN 'mend the cause; it goes on by itself'
			WHEN e.state = 'attention' THEN
				CASE WHEN p.row_errors > 0 THEN format('mend the rows in pgxc.row_errors or raise max_row_errors, then SELECT pgxc.retry(%s)', m.id)
					 ELSE format('see wait_reason, then SELECT pgxc.retry(%s)', m.id) END
			ELSE format('mend the cause, then SELECT pgxc.retry(%s), or SELECT pgxc.cancel(%s)', m.id, m.id) END AS next_step,
	   p.row_errors, p.wal_bytes, m.created_by, m.created_at, m.started_at, m.finished_at, m.state_since
  FROM pgxc.migration m
	   CROSS JOIN LATERAL pgxc.cluster_status() s
	   CROSS JOIN LATERAL pgxc.may_see(m.relation, m.created_by, m.scope, m.scope_schema) v
	   CROSS JOIN LATERAL (
		   SELECT CASE WHEN m.home <> s.home AND m.phase = 'migrate'
							AND m.state <> 'failed' THEN 'paused' ELSE m.state END AS state,
				  CASE WHEN m.home <> s.home THEN 'restored from a dump or copied with its database; it will start again at block 0'
					   ELSE m.state_reason END AS reason) e
	   LEFT JOIN LATERAL (
		   SELECT o.name FROM pgxc.migration o
			WHERE o.relation = m.relation AND o.id < m.id
			  AND o.state = ANY (ARRAY['queued', 'running', 'blocked'])
			ORDER BY o.id LIMIT 1) b ON true
	   CROSS JOIN LATERAL (
		   SELECT count(*) AS workers,
				  bool_or(l.activity = 'building') AS building,
				  sum(l.rows_per_second)::bigint AS rows_per_second,
				  sum(l.blocks_per_second) AS blocks_per_second,
				  max(l.wait_reason) AS wait_reason
			 FROM pgxc.live_workers() l
			WHERE l.migration_id = m.id
			  AND l.datid = (SELECT d.oid FROM pg_database d WHERE d.datname = current_database())) w
	   CROSS JOIN LATERAL (
		   SELECT a.rows_updated, a.wal_bytes, a.row_errors,
				  CASE WHEN m.kind = 'expand_only' THEN NULL
					   WHEN m.phase = 'done' THEN 100::numeric
					   WHEN NOT m.planned THEN 0::numeric
					   ELSE round((100 *
							(CASE WHEN m.step = 'update' THEN 0.9 * a.part
								  ELSE 0.9 + 0.1 * a.part END))::numeric, 1) END AS percent,
				  CASE WHEN w.blocks_per_second > 0 THEN
					   make_interval(secs => round((
							CASE WHEN m.step = 'update'
								 THEN (a.total - a.done + 0.1 * a.total)
								 ELSE (a.total - a.done) END / w.blocks_per_second)::numeric)::double precision) END AS eta
			 FROM (SELECT q.*, CASE WHEN q.total > 0 THEN least(q.done / q.total, 1) ELSE 1 END AS part
					 FROM (SELECT coalesce(sum(f.end_block), 0)::double precision AS total,
								  (coalesce(sum(f.blocks_done), 0) +
								  coalesce(sum(t.done), 0))::double precision AS done,
								  (coalesce(sum(f.rows_updated), 0) + coalesce(sum(t.rows_updated), 0))::bigint AS rows_updated,
								  (coalesce(sum(f.wal_bytes), 0) + coalesce(sum(t.wal_bytes), 0))::bigint AS wal_bytes,
								  (SELECT count(*) FROM pgxc.row_error r WHERE r.migration_id = m.id) AS row_errors
							 FROM pgxc.leaf f
								  LEFT JOIN LATERAL (
									  SELECT sum(u.rows_updated) AS rows_updated,
											 sum(u.wal_bytes) AS wal_bytes,
											 sum((u.window_start - u.first_block)::double precision
												+ CASE WHEN u.passes > 0 THEN
													(u.window_blocks::double precision * u.pass + (u.next_block - u.window_start)) / u.passes
													ELSE 0 END) AS done
										FROM pgxc.stripe u
									   WHERE u.migration_id = f.migration_id AND u.relid = f.relid) t ON true
							WHERE f.migration_id = m.id AND NOT f.gone) q) a) p
 WHERE v.owner OR v.monitor;

CREATE VIEW pgxc.progress_backfill WITH (security_barrier) AS
SELECT l.pid, l.datid, d.datname, l.relid, m.id AS migration_id, m.name AS migration,
	   CASE WHEN l.wait_reason IS NOT NULL THEN 'throttled' ELSE l.activity END AS phase,
	   f.end_block AS blocks_total,
	   least(f.blocks_done + coalesce(t.done, 0), f.end_block) AS blocks_done,
	   coalesce(greatest(c.reltuples, 0), 0)::bigint AS tuples_total,
	   f.rows_updated + coalesce(t.rows_updated, 0) AS tuples_updated,
	   f.rows_verified + coalesce(t.rows_verified, 0) AS tuples_verified,
	   f.chunks + coalesce(t.chunks, 0) AS chunks_done,
	   f.wal_bytes + coalesce(t.wal_bytes, 0) AS bytes_wal,
	   (SELECT count(*) FROM pgxc.revisit r WHERE r.migration_id = m.id) AS ranges_to_revisit,
	   l.passes, l.pass AS current_pass, l.chunk_blocks, l.chunk_ms, l.duty,
	   l.rows_per_second, l.busy_ms AS busy_time, l.delay_ms AS delay_time, l.retries, l.lock_yields,
	   l.wait_reason, l.throttle_signal, l.throttle_value, l.throttle_limit, l.throttle_unit, l.started_at
  FROM pgxc.live_workers() l
	   JOIN pg_database d ON d.oid = l.datid AND d.datname = current_database()
	   JOIN pgxc.migration m ON m.id = l.migration_id
	   CROSS JOIN LATERAL pgxc.may_see(m.relation, m.created_by) v
	   LEFT JOIN pgxc.leaf f ON f.migration_id = m.id AND f.relid = l.relid
	   LEFT JOIN pg_class c ON c.oid = l.relid
	   LEFT JOIN LATERAL (
		   SELECT sum(u.rows_updated)::bigint AS rows_updated, sum(u.rows_verified)::bigint AS rows_verified,
				  sum(u.chunks)::bigint AS chunks, sum(u.wal_bytes)::bigint AS wal_bytes,
				  sum(u.window_start - u.first_block
					+ CASE WHEN u.passes > 0 THEN
						(u.window_blocks * u.pass + (u.next_block - u.window_start)) / u.passes
						ELSE 0 END)::bigint AS done
			 FROM pgxc.stripe u
			WHERE u.migration_id = m.id AND u.relid = l.relid) t ON true
 WHERE v.owner OR v.monitor;

CREATE VIEW pgxc.signals WITH (security_barrier) AS
SELECT l.pid, l.migration_id, m.name AS migration, l.signal, l.unit, l.value, l.soft_limit, l.hard_limit, l.level, l.detail
  FROM pgxc.live_signals() l
	   JOIN pg_database d ON d.oid = l.datid AND d.datname = current_database()
	   JOIN pgxc.migration m ON m.id = l.migration_id
	   CROSS JOIN LATERAL pgxc.may_see(m.relation, m.created_by) v
 WHERE v.owner OR v.monitor;

CREATE VIEW pgxc.events WITH (security_barrier) AS
SELECT e.id, e.at, e.migration_id, m.name AS migration, e.event, e.from_state, e.to_state, e.detail,
	   e.role, e.application_name, e.client_addr
  FROM pgxc.event e
	   JOIN pgxc.migration m ON m.id = e.migration_id
	   CROSS JOIN LATERAL pgxc.may_see(m.relation, m.created_by, m.scope, m.scope_schema) v
 WHERE v.owner OR v.monitor;

CREATE VIEW pgxc.row_errors WITH (security_barrier) AS
SELECT r.migration_id, m.name AS migration,
	   coalesce(to_regclass(r.relid::regclass::text)::text, r.relid::text) AS relation,
	   r.row_ctid, r.key, r.sqlstate, r.message, r.at
  FROM pgxc.row_error r
	   JOIN pgxc.migration m ON m.id = r.migration_id
	   CROSS JOIN LATERAL pgxc.may_see(m.relation, m.created_by) v
 WHERE v.owner;

CREATE FUNCTION pgxc.rejections(
	OUT at timestamptz, OUT pid integer, OUT role text, OUT application_name text, OUT relid oid,
	OUT migration_id bigint, OUT outcome text, OUT sqlstate text, OUT lock_mode text, OUT work text,
	OUT message text, OUT statement text) RETURNS SETOF record
	LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'pgxc_rejections';
COMMENT ON FUNCTION pgxc.rejections() IS
'what the view pgxc.guard_rejections shows: of this database, what the caller may see, oldest first';

CREATE VIEW pgxc.guard_rejections WITH (security_barrier) AS
SELECT r.at, r.pid, r.role, r.application_name,
	   (SELECT c.oid::regclass::text FROM pg_class c WHERE c.oid = r.relid) AS relation,
	   r.migration_id, (SELECT m.name FROM pgxc.migration m WHERE m.id = r.migration_id) AS migration,
	   r.outcome, r.sqlstate, r.lock_mode, r.work, r.message, r.statement
  FROM pgxc.rejections() r;

GRANT USAGE ON SCHEMA pgxc TO PUBLIC;
GRANT SELECT ON pgxc.migrations, pgxc.progress_backfill, pgxc.signals, pgxc.events, pgxc.row_errors, pgxc.guard_rejections TO PUBLIC;

/*
 * The functions behind the views show everybody's work.  A view calls its
 * functions with the caller's rights, so these stay executable; what they tell
 * of other databases and tables is a number, a rate and a relation's OID.
 */

COMMENT ON VIEW pgxc.migrations IS 'one row a migration: what it is, how far, what it waits for, and what to do next';
COMMENT ON COLUMN pgxc.migrations.percent IS 'percent of the whole work, 0..100: updating counts for 90, verifying for 10';
COMMENT ON COLUMN pgxc.migrations.rows_per_second IS 'rows updated (or verified) a second of wall-clock time, about the last 10 s; NULL if nothing runs';
COMMENT ON COLUMN pgxc.migrations.eta IS 'time left at the rate of about the last 10 s';
COMMENT ON COLUMN pgxc.migrations.wait_reason IS 'what it waits for, with value and limit; NULL if it waits for nothing';
COMMENT ON COLUMN pgxc.migrations.last_error IS 'SQLSTATE and message of the last error; the message only for those who may see the rows';
COMMENT ON COLUMN pgxc.migrations.next_step IS 'what to do next, in words';
COMMENT ON COLUMN pgxc.migrations.wal_bytes IS 'WAL written by its chunks, bytes';
COMMENT ON VIEW pgxc.guard_rejections IS 'the last 128 DDL statements of the cluster that the guard refused, warned of, or let pass by an override; those of this database on one''s own tables, all for pg_monitor; lost at a restart';
COMMENT ON COLUMN pgxc.guard_rejections.outcome IS 'refused, warned (pgxc.guard = warn) or overridden (pgxc.guard = off, or pgxc.allow)';
COMMENT ON COLUMN pgxc.guard_rejections.sqlstate IS '55006 would break a migration, 55000 would block a table';
COMMENT ON COLUMN pgxc.guard_rejections.lock_mode IS 'the lock under which it would work, as in pg_locks.mode; NULL if it is not about a lock';
COMMENT ON COLUMN pgxc.guard_rejections.work IS 'none, or a list of scan, rewrite, index build';
COMMENT ON COLUMN pgxc.guard_rejections.statement IS 'its first 1023 bytes';
COMMENT ON VIEW pgxc.progress_backfill IS 'one row for each process that works on a backfill in this database, after the pattern of pg_stat_progress_*';
COMMENT ON COLUMN pgxc.progress_backfill.chunk_ms IS 'smoothed duration of a chunk, milliseconds';
COMMENT ON COLUMN pgxc.progress_backfill.busy_time IS 'time spent in chunks, milliseconds';
COMMENT ON COLUMN pgxc.progress_backfill.delay_time IS 'time spent waiting between chunks, milliseconds';
COMMENT ON COLUMN pgxc.progress_backfill.duty IS 'share of the time in which the worker may work at the moment, 0..1';
COMMENT ON COLUMN pgxc.progress_backfill.bytes_wal IS 'WAL written by the chunks on this relation, bytes';
COMMENT ON VIEW pgxc.signals IS 'the pacing signals of each worker, with value, limits, unit and level (off, green, yellow, red)';
COMMENT ON VIEW pgxc.events IS 'audit trail: every transition, parameter change, retry and throttle';
COMMENT ON VIEW pgxc.row_errors IS 'rows that could not be updated; only for the table''s owner';
