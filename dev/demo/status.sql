-- One line a backfill for the progress display.
SELECT m.name, m.state, coalesce(m.step, ''), coalesce(m.percent, 0), coalesce(m.rows_updated, 0),
	   coalesce(m.rows_per_second, 0), coalesce(to_char(m.eta, 'MI:SS'), ''),
	   coalesce(round(100 * p.duty)::text, ''), coalesce(round(p.chunk_ms)::text, ''),
	   replace(coalesce(m.wait_reason, ''), E'\n', ' '),
	   replace(coalesce(m.last_error, ''), E'\n', ' '),
	   replace(coalesce(m.next_step, ''), E'\n', ' ')
  FROM pgxc.migrations m
	   LEFT JOIN LATERAL (
		   SELECT max(b.duty)::numeric AS duty, max(b.chunk_ms)::numeric AS chunk_ms
			 FROM pgxc.progress_backfill b WHERE b.migration_id = m.id) p ON true
 WHERE m.kind = 'backfill' ORDER BY m.id;
