-- What t/PgxcTruth.pm asks the server: what check_ddl says of a text, and what
-- a statement has done to each relation that was there before it.
--
-- They are called between BEGIN and ROLLBACK around the statement (total =
-- false), or by another session before and after it (total = true).

CREATE SCHEMA truth;
GRANT USAGE ON SCHEMA truth TO PUBLIC;

-- The strongest lock comes last.
CREATE FUNCTION truth.strength(mode text) RETURNS integer LANGUAGE sql IMMUTABLE
	RETURN array_position(ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',
		'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
		'AccessExclusiveLock'], mode);
CREATE FUNCTION truth.mode(strength integer) RETURNS text LANGUAGE sql IMMUTABLE
	RETURN (ARRAY['AccessShareLock', 'RowShareLock', 'RowExclusiveLock',
		'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
		'AccessExclusiveLock'])[strength];

-- Rows of a table that were read, by itself or through an index; seq_tup_read
-- and idx_tup_fetch of pg_stat_user_tables are made of them.
CREATE FUNCTION truth.rows_read(relid oid, kind text, total boolean) RETURNS bigint
	LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	through_index boolean := kind IN ('i', 'I');
BEGIN
	IF total THEN
		RETURN pg_stat_get_tuples_fetched(relid)
			+ CASE WHEN through_index THEN 0 ELSE pg_stat_get_tuples_returned(relid) END;
	END IF;
	RETURN pg_stat_get_xact_tuples_fetched(relid)
		+ CASE WHEN through_index THEN 0 ELSE pg_stat_get_xact_tuples_returned(relid) END;
END $$;

-- Every relation that counts: name, kind, file, table of an index.
CREATE FUNCTION truth.relations(OUT oid oid, OUT name text, OUT kind "char",
	OUT file oid, OUT heap oid) RETURNS SETOF record LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RETURN QUERY
		SELECT c.oid, c.oid::regclass::text, c.relkind, c.relfilenode, i.indrelid
		FROM pg_catalog.pg_class c
			JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
			LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
		WHERE n.nspname NOT IN ('pg_catalog', 'information_schema', 'pgxc', 'truth')
			AND n.nspname NOT LIKE 'pg\_toast%';
END $$;

-- The strongest lock that this session has on each relation.
CREATE FUNCTION truth.locks() RETURNS jsonb LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RETURN (SELECT coalesce(jsonb_object_agg(l.relation, l.strength), '{}')
		FROM (SELECT relation, max(truth.strength(mode)) AS strength
			FROM pg_catalog.pg_locks
			WHERE locktype = 'relation' AND pid = pg_backend_pid()
				AND database = (SELECT d.oid FROM pg_catalog.pg_database d
					WHERE datname = current_database())
			GROUP BY relation) l);
END $$;

CREATE FUNCTION truth.snapshot(total boolean) RETURNS text
	LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
DECLARE
	locks jsonb := truth.locks();
BEGIN
	RETURN (SELECT jsonb_object_agg(r.oid, jsonb_build_array(r.name, r.kind, r.file, r.heap,
			truth.rows_read(r.oid, r.kind::text, total), coalesce((locks->>(r.oid::text))::integer, 0)))
		FROM truth.relations() r)::text;
END $$;

-- What has become of the relations of the snapshot: [{ rel, lock, work, held,
-- main, kind, heir, bytes, temp }], held being the lock of before, main the lock before the last
-- commit, bytes the size of the table at the end.
--
-- A relation that is gone lives on in one of the same name (heir): ALTER TYPE
-- makes indexes anew, which may keep their files, and REINDEX CONCURRENTLY.  An
-- index without storage is not built, nor is one that got a copy of its file
-- while nobody locked its table.
CREATE FUNCTION truth.observe(before jsonb, total boolean, held_locks jsonb DEFAULT NULL,
	main_locks jsonb DEFAULT NULL)
	RETURNS text LANGUAGE plpgsql VOLATILE SECURITY DEFINER AS $$
BEGIN
	held_locks := coalesce(held_locks, truth.locks());
	main_locks := coalesce(main_locks, held_locks);
	RETURN (WITH
		b AS MATERIALIZED (
			SELECT key::oid AS oid, value->>0 AS name, value->>1 AS kind,
				(value->>2)::oid AS file, (value->>3)::oid AS heap,
				truth.rows_read(key::oid, value->>1, total) > (value->>4)::bigint AS was_read,
				(value->>5)::integer AS held,
				coalesce((held_locks->>key)::integer, 0) AS lock,
				coalesce((main_locks->>key)::integer, 0) AS main
			FROM jsonb_each(before)),
		n AS MATERIALIZED (SELECT * FROM truth.relations()),
		built AS MATERIALIZED (
			SELECT n.heap FROM n
			WHERE n.kind = 'i' AND n.file NOT IN (SELECT file FROM b)),
		was_read AS MATERIALIZED (
			SELECT coalesce(heap, oid) AS oid FROM b WHERE was_read
			UNION
			SELECT n.heap FROM n WHERE n.heap IS NOT NULL AND n.oid NOT IN (SELECT oid FROM b)
				AND truth.rows_read(n.oid, n.kind::text, total) > 0),
		result AS (
			SELECT b.name, b.kind, heir.oid IS NOT NULL AS heir, b.lock, b.held, b.main, 
				pg_relation_size(b.oid) + coalesce(pg_relation_size(c.reltoastrelid), 0) AS bytes,
				c.relpersistence = 't' AS temp,
				(CASE WHEN b.oid IN (SELECT oid FROM was_read) THEN 1 ELSE 0 END)
				+ (CASE WHEN coalesce(n.file, heir.file) <> b.file THEN 2 ELSE 0 END)
				+ (CASE WHEN b.lock > 0 AND b.oid IN (SELECT heap FROM built) THEN 4 ELSE 0 END) AS work
			FROM b LEFT JOIN n ON n.oid = b.oid
				LEFT JOIN n heir ON heir.name = b.name AND heir.kind = b.kind AND n.oid IS NULL
				LEFT JOIN pg_catalog.pg_class c ON c.oid = b.oid)
		SELECT coalesce(jsonb_agg(jsonb_build_object('rel', name,
			'lock', coalesce(truth.mode(lock), ''), 'held', coalesce(truth.mode(held), ''),
			'main', coalesce(truth.mode(main), ''), 'work', work, 'kind', kind, 'heir', heir, 'bytes', bytes, 'temp', temp) ORDER BY name), '[]')::text
		FROM result WHERE lock > 0 OR work > 0);
END $$;

-- What check_ddl says, one row a relation, or how it failed.  Relations that
-- the text makes itself are left out.
CREATE FUNCTION truth.said(sql text) RETURNS text LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	RETURN (SELECT coalesce(jsonb_agg(r ORDER BY r.rel), '[]')::text
		FROM (SELECT to_regclass(relation)::text AS rel,
				truth.mode(max(truth.strength(lock_mode))) AS lock,
				bit_or((CASE WHEN work LIKE '%scan%' THEN 1 ELSE 0 END)
					+ (CASE WHEN work LIKE '%rewrite%' THEN 2 ELSE 0 END)
					+ (CASE WHEN work LIKE '%index build%' THEN 4 ELSE 0 END)) AS work,
				bool_or(verdict = 'would block') AS would_block,
				count(*) - count(DISTINCT statement_no) AS twice
			FROM pgxc.check_ddl(sql)
			WHERE to_regclass(relation) IS NOT NULL GROUP BY 1) r);
EXCEPTION WHEN OTHERS THEN
	RETURN jsonb_build_object('error', SQLSTATE, 'message', SQLERRM)::text;
END $$;
