-- Proof by plain SQL: reads every row, knows nothing of pgxc.
SELECT 'packages', count(*), count(*) FILTER (WHERE
		   (maintainer_email, depends_count, description_words) IS DISTINCT FROM (
				lower(substring(maintainer from '<([^>]+)>')),
				coalesce(array_length(string_to_array(depends, ','), 1), 0),
				coalesce(array_length(regexp_split_to_array(btrim(description), '\s+'), 1), 0)))
  FROM packages
UNION ALL
SELECT 'accounts', count(*), count(*) FILTER (WHERE balance_cents IS DISTINCT FROM abalance::bigint * 100)
  FROM pgbench_accounts;
