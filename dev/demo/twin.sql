-- The same rows in a table of the same shape, for the single UPDATE.
CREATE TABLE accounts_twin (LIKE pgbench_accounts INCLUDING DEFAULTS);
INSERT INTO accounts_twin (aid, bid, abalance, filler)
	SELECT aid, bid, abalance, filler FROM pgbench_accounts ORDER BY aid;
ALTER TABLE accounts_twin ADD PRIMARY KEY (aid);
CREATE INDEX accounts_twin_bid ON accounts_twin (bid);
CREATE INDEX accounts_twin_bid_aid ON accounts_twin (bid, aid);
VACUUM ANALYZE accounts_twin;
