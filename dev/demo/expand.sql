-- The expand step: nullable columns, so a moment's lock and no rewrite.
ALTER TABLE packages
	ADD COLUMN maintainer_email text,
	ADD COLUMN depends_count integer,
	ADD COLUMN description_words integer;
ALTER TABLE pgbench_accounts ADD COLUMN balance_cents bigint;
