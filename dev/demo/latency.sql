-- Percentiles of pgbench's transaction log, over the time in which the measured
-- thing ran.  "pause" is the longest time in which no transaction was finished.
WITH measured AS (
	SELECT w.phase, w.until - w.since AS seconds, t.latency_us, t.at,
		   t.at - lag(t.at) OVER (PARTITION BY w.phase, t.run ORDER BY t.at) AS pause
	  FROM demo.time_window w JOIN demo.tx t ON t.phase = w.phase
	   -- a transaction belongs to the window if any of it lies there
	   AND t.at >= w.since AND t.at - t.latency_us / 1e6 <= w.until
)
SELECT phase, round(max(seconds)::numeric, 1), count(*),
	   (SELECT string_agg(to_char(q / 1000.0, 'FM999990.0'), ' ' ORDER BY i)
		  FROM unnest(percentile_disc(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY latency_us))
			   WITH ORDINALITY u (q, i)),
	   to_char(1000 * coalesce(max(pause), 0), 'FM999990.0')
  FROM measured GROUP BY phase;
