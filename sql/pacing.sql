-- The laws of pacing, with numbers.
CREATE FUNCTION pg_temp.sizer(ms float8[], rows bigint[], wal bigint[], waiters boolean, target float8) RETURNS float8[]
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_sizer';
CREATE FUNCTION pg_temp.most(rows_per_block float8, row_bytes float8) RETURNS float8
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_most_blocks';
CREATE FUNCTION pg_temp.duty(levels integer[], elapsed float8, max float8) RETURNS float8[]
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_duty';
CREATE FUNCTION pg_temp.level(before integer, value float8, soft float8, hard float8, lower_is_worse boolean) RETURNS integer
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_level';
CREATE FUNCTION pg_temp.passes(wanted integer, indexed boolean, held boolean, fillfactor integer, rows float8) RETURNS integer
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_passes';
CREATE FUNCTION pg_temp.window(chunk float8, blocks_per_ms float8, lag_ms float8, cap bigint) RETURNS bigint
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_window';
CREATE FUNCTION pg_temp.delay(busy_ms float8, duty float8, amount float8, per_second float8, elapsed_ms float8) RETURNS float8
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_delay';
CREATE FUNCTION pg_temp.ceiling(max_duty float8, active_per_core float8, follow boolean) RETURNS float8
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_ceiling';
CREATE FUNCTION pg_temp.target(target_ms float8, active_per_core float8) RETURNS float8
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_target';

-- Chunks of the same duration, row count and WAL: the sizes, in blocks.
CREATE FUNCTION pg_temp.sizes(n integer, ms float8, rows bigint, wal bigint, waiters boolean, target float8) RETURNS numeric[]
	LANGUAGE sql AS $$
	SELECT array_agg(round(u::numeric, 2)) FROM unnest(pg_temp.sizer(
		array_fill(ms, ARRAY[n]), array_fill(rows, ARRAY[n]), array_fill(wal, ARRAY[n]), waiters, target)) u
$$;
CREATE FUNCTION pg_temp.rounded(float8[]) RETURNS numeric[]
	LANGUAGE sql AS 'SELECT array_agg(round(u::numeric, 3)) FROM unnest($1) u';

-- Chunk size.  Far below the target: it grows by a quarter (and a block) a chunk.
SELECT pg_temp.sizes(6, 1, 10, 0, false, 100);
-- Just at the target: it stays.
SELECT pg_temp.sizes(3, 100, 10, 0, false, 100);
-- Twice the target: it shrinks, by half at most.
SELECT pg_temp.sizes(3, 200, 10, 0, false, 100);
-- More than three times: cut at once to what the last chunk suggests, but half at least.
SELECT pg_temp.sizes(1, 301, 10, 0, false, 100) AS a_third, pg_temp.sizes(1, 800, 10, 0, false, 100) AS an_eighth;
-- After such a cut nothing older is believed: at the target it stays where it is.
SELECT pg_temp.rounded(pg_temp.sizer('{1,1,1,1,310,100,100}', '{10,10,10,10,10,10,10}', '{0,0,0,0,0,0,0}', false, 100));
-- Never below one block.
SELECT pg_temp.sizes(5, 100000, 10, 0, false, 100);
-- Never above 1024 blocks, the images of which are 8 MiB.
SELECT max(u) FROM unnest(pg_temp.sizes(60, 1, 10, 0, false, 1000000)) u;
-- Empty ranges are free: four times as long each time.
SELECT pg_temp.sizes(7, 1, 0, 0, false, 100);
-- But not if reading them writes much WAL, for dead rows are removed.
SELECT pg_temp.sizes(2, 1, 0, 8388608, false, 100);
-- Or takes its time.
SELECT pg_temp.sizes(2, 90, 0, 0, false, 100);
-- 10000 rows, 8 MiB of WAL: twice as many, half the size.
SELECT pg_temp.sizes(1, 1, 10000, 0, false, 100) AS rows_at_cap, pg_temp.sizes(1, 1, 20000, 0, false, 100) AS rows_above,
	   pg_temp.sizes(1, 1, 10, 8388608, false, 100) AS wal_at_cap, pg_temp.sizes(1, 1, 10, 16777216, false, 100) AS wal_above;
-- Whatever came before, an update takes on no more than may be 10000 rows, or 8 MiB of WAL.
SELECT rows_per_block, row_bytes, floor(pg_temp.most(rows_per_block, row_bytes)) AS most,
	   round((pg_temp.most(rows_per_block, row_bytes) * rows_per_block)::numeric) AS rows
  FROM (VALUES (0, 0), (1, 40), (3, 200), (40, 40), (40, 200), (3, 2500), (1, 8000), (20000, 40)) AS v (rows_per_block, row_bytes);
-- Somebody waited for our locks: half.
SELECT pg_temp.sizes(2, 1, 10, 0, true, 100);

-- Duty.  Green from the start: it doubles up to the maximum.
SELECT pg_temp.rounded(pg_temp.duty('{1,1,1}', 0.25, 0.8)), pg_temp.rounded(pg_temp.duty('{1,1,1}', 0.25, 0.3));
-- Yellow: halved, once a second, whatever the samples are; 0.02 at least.
SELECT pg_temp.rounded(pg_temp.duty(array_fill(2, ARRAY[9]), 0.25, 0.8)) AS four_a_second;
SELECT pg_temp.rounded(pg_temp.duty(array_fill(2, ARRAY[7]), 1, 0.8)) AS one_a_second;
-- After yellow: three quiet seconds, then 0.05 a second.
SELECT pg_temp.rounded(pg_temp.duty('{2,1,1,1,1,1,1}', 1, 0.8));
-- A yellow sample starts the quiet seconds anew.
SELECT pg_temp.rounded(pg_temp.duty('{2,1,1,2,1,1,1,1}', 1, 0.8));
-- No growth above the maximum.
SELECT (pg_temp.rounded(pg_temp.duty('{2}' || array_fill(1, ARRAY[60]), 1, 0.8)))[61] AS after_a_minute;
-- Red: nothing until it has been quiet for 10 s; then from 0.1 on.
SELECT pg_temp.rounded(pg_temp.duty('{1,3}' || array_fill(1, ARRAY[12]), 1, 0.8));
-- A red sample in between starts the 10 s anew; yellow does not.
SELECT pg_temp.rounded(pg_temp.duty('{3}' || array_fill(1, ARRAY[9]) || '{3}' || array_fill(1, ARRAY[10]), 1, 0.8));
SELECT pg_temp.rounded(pg_temp.duty('{3}' || array_fill(2, ARRAY[11]), 1, 0.8));
-- 0.1 is not more than the maximum.
SELECT (pg_temp.rounded(pg_temp.duty('{3}' || array_fill(1, ARRAY[10]), 1, 0.05)))[12] AS after_red;

-- Levels: 0 off, 1 green, 2 yellow, 3 red.  Entered at the limits ...
SELECT v AS value, pg_temp.level(1, v, 10, 20, false) AS from_green,
	   pg_temp.level(2, v, 10, 20, false) AS from_yellow, pg_temp.level(3, v, 10, 20, false) AS from_red
  FROM unnest('{0,4.9,5,9.9,10,19.9,20,100}'::float8[]) v;
-- ... the same where less is worse: yellow left above 1.25 times the soft limit.
SELECT v AS value, pg_temp.level(1, v, 40, 25, true) AS from_green,
	   pg_temp.level(2, v, 40, 25, true) AS from_yellow, pg_temp.level(3, v, 40, 25, true) AS from_red
  FROM unnest('{100,50.1,50,40.1,40,25.1,25,0}'::float8[]) v;
-- Only a soft limit, only a hard limit (left at half of it), none.
SELECT v AS value, pg_temp.level(1, v, 10, 0, false) AS soft_only, pg_temp.level(1, v, 0, 20, false) AS hard_only,
	   pg_temp.level(3, v, 0, 20, false) AS hard_only_from_red, pg_temp.level(3, v, 0, 0, false) AS off
  FROM unnest('{0,9.9,10,19.9,20,100}'::float8[]) v;

-- Passes.
SELECT pg_temp.passes(0, false, false, 100, 100) AS usual, pg_temp.passes(0, false, false, 100, 7.4) AS few_rows,
	   pg_temp.passes(0, false, false, 100, 0.1) AS wide_rows, pg_temp.passes(0, true, false, 100, 100) AS indexed,
	   pg_temp.passes(0, false, true, 100, 100) AS held, pg_temp.passes(0, false, false, 50, 100) AS half_empty,
	   pg_temp.passes(0, false, false, 51, 100) AS not_quite, pg_temp.passes(3, true, true, 10, 100) AS wanted;

-- Windows: 512 blocks at least, a chunk at least, longer than the horizon lags
-- behind, and none if that is more than the cap.
SELECT pg_temp.window(1, 1, 0, 16384) AS usual, pg_temp.window(2000, 1, 0, 16384) AS long_chunk,
	   pg_temp.window(1, 10, 100, 16384) AS lag, pg_temp.window(20000, 1, 0, 16384) AS capped,
	   pg_temp.window(1, 10, 2000, 16384) AS none;

-- Rest: busy * (1 / duty - 1), 5 s at most; duty 0.02 at least.
SELECT pg_temp.delay(100, 1, 0, 0, 0) AS full, pg_temp.delay(100, 0.8, 0, 0, 0) AS most,
	   pg_temp.delay(100, 0.5, 0, 0, 0) AS half, pg_temp.delay(10, 0, 0, 0, 0) AS least,
	   pg_temp.delay(1000, 0.1, 0, 0, 0) AS long;
-- Caps: 500 rows at 1000 a second take half a second; the longer of both holds.
SELECT pg_temp.delay(0, 1, 500, 1000, 100) AS cap, pg_temp.delay(0, 1, 500, 1000, 600) AS slower_than_cap,
	   pg_temp.delay(0, 1, 500, 0, 0) AS no_cap, pg_temp.delay(1000, 0.5, 500, 1000, 100) AS both;

-- Company: sessions at work lower the ceiling of the duty, and shorten chunks.
SELECT a AS active_per_core, round(pg_temp.ceiling(0.8, a, true)::numeric, 3) AS ceiling,
	   pg_temp.ceiling(0.8, a, false) AS not_followed, round(pg_temp.target(100, a)::numeric, 3) AS target_ms
  FROM unnest('{0,0.005,0.01,0.02,0.1,1,10,100}'::float8[]) a;
SELECT pg_temp.target(0.5, 1) AS shorter_than_the_least;
