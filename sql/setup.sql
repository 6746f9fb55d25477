-- The extension, the roles and the helpers that all other tests use.
CREATE EXTENSION pgxc;

CREATE ROLE regress_pgxc_owner;
CREATE ROLE regress_pgxc_other;
CREATE ROLE regress_pgxc_bypass BYPASSRLS;
CREATE ROLE regress_pgxc_monitor IN ROLE pg_monitor;

CREATE SCHEMA helper;
GRANT USAGE ON SCHEMA helper TO PUBLIC;

-- What a verb answers: the new state, or the error.
CREATE FUNCTION helper.try(verb text, migration text) RETURNS text
	LANGUAGE plpgsql AS $$
DECLARE
	result text;
	hint text;
BEGIN
	EXECUTE format('SELECT pgxc.%I(%L::text)', verb, migration) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s', SQLSTATE, SQLERRM) || coalesce(' / ' || nullif(hint, ''), '');
END $$;

-- Blocks until a migration is in a state that pgxc.wait() does not wait for
-- ('running' includes that its tables were found).
CREATE PROCEDURE helper.until_state(migration text, wanted text)
	LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 6000 LOOP
		IF EXISTS (SELECT FROM pgxc.migrations m WHERE m.name = migration AND m.state = wanted)
		   AND (wanted <> 'running' OR EXISTS (
				SELECT FROM pgxc.events e WHERE e.migration = until_state.migration AND e.event = 'planned')) THEN
			RETURN;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.01); -- not a wait: polls the view, which has no other way
	END LOOP;
	RAISE EXCEPTION 'migration % did not become % in a minute', migration, wanted;
END $$;

-- The same for the reason that it gives for waiting.
CREATE PROCEDURE helper.until_reason(migration text, wanted text)
	LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 6000 LOOP
		IF EXISTS (SELECT FROM pgxc.migrations m WHERE m.name = migration AND m.wait_reason LIKE wanted) THEN
			RETURN;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.01); -- not a wait: polls the view, which has no other way
	END LOOP;
	RAISE EXCEPTION 'migration % did not wait for % in a minute', migration, wanted;
END $$;

-- Its history in words, without what differs from run to run.
CREATE FUNCTION helper.history(migration text)
	RETURNS TABLE (event text, from_state text, to_state text, detail text)
	LANGUAGE sql AS $$
	SELECT e.event, e.from_state, e.to_state, e.detail
	  FROM pgxc.events e
	 WHERE e.migration = $1 AND e.event <> 'throttle'
	 ORDER BY e.id
$$;
