-- Every setting: default, unit, range and context.
SELECT name, boot_val, unit, vartype, min_val, max_val, context
  FROM pg_settings WHERE name LIKE 'pgxc.%' ORDER BY name COLLATE "C";

-- Every one says what it is, and a signal has both its limits.
SELECT name FROM pg_settings WHERE name LIKE 'pgxc.%' AND coalesce(short_desc, '') = '';
SELECT regexp_replace(name, '_(soft|hard)$', '') AS signal
  FROM pg_settings WHERE name ~ '^pgxc\..*_(soft|hard)$'
 GROUP BY 1 HAVING count(*) <> 2;

-- Most are the server's: no session sets one, not even a superuser's.
SET pgxc.max_duty = 1; \echo :LAST_ERROR_SQLSTATE
SET pgxc.target_chunk_ms = 10; \echo :LAST_ERROR_SQLSTATE
SET pgxc.max_workers = 10; \echo :LAST_ERROR_SQLSTATE
SET pgxc.replay_lag_soft = 0; \echo :LAST_ERROR_SQLSTATE
SET pgxc.throttle_function = 'f'; \echo :LAST_ERROR_SQLSTATE
SELECT set_config('pgxc.worker_nice', '0', true); \echo :LAST_ERROR_SQLSTATE
ALTER ROLE regress_pgxc_owner SET pgxc.max_duty = 1; \echo :LAST_ERROR_SQLSTATE

-- A mistyped one is not taken for a setting of somebody else's.
SET pgxc.max_dutty = 1; \echo :LAST_ERROR_SQLSTATE

SHOW pgxc.max_workers;
SHOW pgxc.max_duty;
SHOW pgxc.target_chunk_ms;
