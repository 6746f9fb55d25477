-- The whole use of pgxc in this demo.  Workers start at COMMIT.
SELECT pgxc.start_backfill('packages', $$
	maintainer_email = lower(substring(maintainer from '<([^>]+)>')),
	depends_count = coalesce(array_length(string_to_array(depends, ','), 1), 0),
	description_words = coalesce(array_length(regexp_split_to_array(btrim(description), '\s+'), 1), 0)
$$, name => 'packages');
SELECT pgxc.start_backfill('pgbench_accounts', $$
	balance_cents = abalance::bigint * 100
$$, name => 'accounts');
