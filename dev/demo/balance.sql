-- Every application transaction changes these four sums alike; a write that was
-- lost, or done twice, would show.
SELECT CASE WHEN count(DISTINCT s) = 1 THEN 'equal' ELSE 'different' END
  FROM (SELECT sum(abalance) FROM pgbench_accounts
		UNION ALL SELECT sum(tbalance) FROM pgbench_tellers
		UNION ALL SELECT sum(bbalance) FROM pgbench_branches
		UNION ALL SELECT sum(delta) FROM pgbench_history) b (s);
