# Old and new application code, side by side, through start, migrate, contract
# and rollback: not one statement fails, and the data are what the application
# made of them.
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use PgxcDual;
use PgxcEnv;
use PgxcTest qw(new_node state_of wait_sql);
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node(
	'load',
	'pgxc.max_workers' => 4,
	max_worker_processes => 16,
	# It shall not keep out of the way.
	'pgxc.active_sessions_soft' => 0,
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.dead_tuples_soft' => 0,
	# Not every statement.
	log_statement => 'none');
my $ROWS = 20000;
my $log = log_position($node);

# at_work($bench, ...): each of them does something after this moment.
sub at_work
{
	for my $bench (@_)
	{
		my $before = value($node,
			"SELECT coalesce(max(calls), 0) FROM app.calls WHERE name = '$bench->{name}'");

		wait_until($node,
			"SELECT max(calls) > $before + 20 FROM app.calls WHERE name = '$bench->{name}'",
			"$bench->{name} is at work");
	}
	return;
}

sub tell_longest
{
	for my $bench (@_)
	{
		my ($longest, $n) = longest_of($bench);

		diag(sprintf '%s: %d transactions, the longest %.0f ms', $bench->{name}, $n, $longest);
	}
	return;
}

# How many transactions each application has begun.  Sequences, because they
# are in nobody's way.
value($node, q{
	CREATE SCHEMA app;
	CREATE SEQUENCE app.old_code;
	CREATE SEQUENCE app.new_code_early;
	CREATE SEQUENCE app.new_code_late;
	CREATE SEQUENCE app.new_code;
	CREATE SEQUENCE app.identity_code;
	CREATE SEQUENCE app.serial_code;
	CREATE VIEW app.calls AS SELECT sequencename AS name, coalesce(last_value, 0) AS calls
		FROM pg_sequences WHERE schemaname = 'app';
});

# ---- a column that is NOT NULL, indexed and referenced ----------------------

# The journal is the model.  A row's code only ever grows: it comes from a
# sequence, and whoever had to wait for the row fetches another one.
value($node, qq{
	CREATE SEQUENCE codes;
	CREATE TABLE account (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		code int NOT NULL CONSTRAINT account_code UNIQUE CHECK (code > 0),
		n int NOT NULL DEFAULT 0, filler text DEFAULT repeat('x', 80));
	CREATE INDEX account_n_code ON account (n, code);
	CREATE TABLE item (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, account_id bigint NOT NULL,
		code int NOT NULL REFERENCES account (code) ON UPDATE CASCADE ON DELETE CASCADE);
	CREATE INDEX item_code ON item (code);
	CREATE INDEX item_account_id ON item (account_id);
	CREATE TABLE journal (id bigint NOT NULL, what text NOT NULL, code int);
	INSERT INTO account (code) SELECT nextval('codes') FROM generate_series(1, $ROWS);
	INSERT INTO item (account_id, code) SELECT id, code FROM account;
	INSERT INTO journal SELECT id, 'insert', code FROM account;
	VACUUM ANALYZE;
});

# The application, with the column's name in it.
sub code
{
	my ($name, $column, @options) = @_;
	my $script = qq{
\\set kind random(1, 100)
\\set id random(1, $ROWS)
SELECT nextval('app.$name');
\\if :kind <= 30
WITH w AS (INSERT INTO account ($column) VALUES (nextval('codes')) RETURNING id, $column AS code),
	j AS (INSERT INTO journal SELECT id, 'insert', code FROM w)
	SELECT id AS new_id, code AS new_code FROM w \\gset
INSERT INTO item (account_id, code) VALUES (:new_id, :new_code);
\\elif :kind <= 55
WITH w AS (UPDATE account SET $column = nextval('codes'), n = n + 1 WHERE id = :id RETURNING id, $column AS code)
	INSERT INTO journal SELECT id, 'update', code FROM w;
\\elif :kind <= 70
WITH w AS (UPDATE account SET n = n + 1 WHERE $column = (SELECT code FROM item WHERE account_id = :id LIMIT 1) RETURNING id)
	INSERT INTO journal SELECT id, 'update', NULL FROM w;
\\elif :kind <= 75
BEGIN;
UPDATE item SET account_id = account_id WHERE account_id = :id;
SELECT $column FROM account WHERE id = :id;
END;
\\elif :kind <= 78
WITH w AS (DELETE FROM account WHERE id = :id AND id > 100 RETURNING id)
	INSERT INTO journal SELECT id, 'delete', NULL FROM w;
\\elif :kind <= 90
SELECT count(*) FROM account a JOIN item i ON i.code = a.$column WHERE a.id BETWEEN :id AND :id + 20;
\\else
SELECT $column FROM account WHERE $column > :id ORDER BY $column LIMIT 5;
\\endif
};
	return start_bench($node, $name, $script, '-c', '4', @options);
}

# The data, with the column's name in it: five numbers that are 0.
sub wrong_data
{
	my ($column) = @_;

	return value($node, qq{
		WITH model AS (SELECT id, max(code) AS code, count(*) FILTER (WHERE what = 'update') AS n FROM journal
			GROUP BY id HAVING bool_and(what <> 'delete'))
		SELECT (SELECT count(*) FROM model m FULL JOIN account a USING (id) WHERE (m.code, m.n) IS DISTINCT FROM (a.$column, a.n)),
			(SELECT count(*) FROM account WHERE $column IS NULL),
			(SELECT count(*) FROM item i LEFT JOIN account a ON a.id = i.account_id WHERE i.code IS DISTINCT FROM a.$column),
			(SELECT count(*) FROM account a WHERE NOT EXISTS (SELECT FROM item i WHERE i.account_id = a.id AND i.code = a.$column)),
			(SELECT count(*) - count(DISTINCT account_id) FROM item)});
}

my $before = schema_of($node);

# Two rounds that are rolled back, one as soon as it has begun, one when it is
# ready; the old code never stops.
my $old = code('old_code', 'code');
at_work($old);
my $id = start_dual($node, q{rename('account', 'code', 'number', name => 'early', max_rows_per_second => 1000)});
my $new = code('new_code_early', 'number');
at_work($old, $new);
wait_sql($node, "SELECT rows_updated > 0 FROM pgxc.migrations WHERE id = $id", 'some rows to be filled');
is(state_of($node, $id), 'running', 'it is in the middle');
finish_bench($new);
is(value($node, "SELECT pgxc.rollback($id)"), 'finished', 'rolled back in the middle, under load');
at_work($old);
is(schema_of($node), $before, 'the schema is as it was');
tell_longest($new);

$id = start_dual($node, q{rename('account', 'code', 'number', name => 'late')});
$new = code('new_code_late', 'number');
at_work($old, $new);
wait_ready($node, $id);
at_work($old, $new);
is(value($node, 'SELECT count(*) FROM account WHERE code IS DISTINCT FROM number'), '0', 'the columns are equal');
finish_bench($new);
is(value($node, "SELECT pgxc.rollback($id)"), 'finished', 'rolled back when it was ready, under load');
at_work($old);
tell_longest($new);
is(schema_of($node), $before, 'the schema is as it was');

# And one that is contracted.
$id = start_dual($node, q{rename('account', 'code', 'number', name => 'kept', max_rows_per_second => 10000)});
# Its prepared statements live through the contract.
$new = code('new_code', 'number', '-M', 'prepared');
at_work($old, $new);
wait_ready($node, $id);
at_work($old, $new);
is(value($node, 'SELECT count(*) FROM account WHERE code IS DISTINCT FROM number'), '0', 'the columns are equal');
finish_bench($old);
is(value($node, "SELECT pgxc.contract($id)"), 'finished', 'contracted under load');
at_work($new);
finish_bench($new);
tell_longest($old, $new);

is(wrong_data('number'), '0|0|0|0|0', 'the data are what the application made of them');
is( value($node, q{SELECT string_agg(d, E'\n' ORDER BY d COLLATE "C") FROM (
		SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
			WHERE contype <> 'n' AND (conrelid = 'account'::regclass OR confrelid = 'account'::regclass)
		UNION ALL SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'account'::regclass
		UNION ALL SELECT attname || ' ' || attnotnull FROM pg_attribute WHERE attrelid = 'account'::regclass AND attnum > 0 AND NOT attisdropped) q (d)}),
	join("\n",
		'CREATE INDEX account_n_code ON public.account USING btree (n, number)',
		'CREATE UNIQUE INDEX account_code ON public.account USING btree (number)',
		'CREATE UNIQUE INDEX account_pkey ON public.account USING btree (id)',
		'account_code UNIQUE (number)',
		'account_code_check CHECK ((number > 0))',
		'account_pkey PRIMARY KEY (id)',
		'filler false',
		'id true',
		'item_code_fkey FOREIGN KEY (code) REFERENCES account(number) ON UPDATE CASCADE ON DELETE CASCADE',
		'n true',
		'number true'),
	'what stood on the old column stands on the new one');
is(join("\n", errors_since($node, $log)), '', 'no error in the log of the server');

# ---- int to bigint of a referenced primary key -------------------------------

$log = log_position($node);
my %kind = (identity => 'int GENERATED BY DEFAULT AS IDENTITY', serial => 'serial');
for my $kind (sort keys %kind)
{
	value($node, qq{
		CREATE TABLE ${kind}_parent (id $kind{$kind} PRIMARY KEY, n int NOT NULL DEFAULT 0, filler text DEFAULT repeat('x', 60));
		CREATE TABLE ${kind}_child (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
			parent int NOT NULL REFERENCES ${kind}_parent ON DELETE CASCADE, model int NOT NULL);
		CREATE INDEX ON ${kind}_child (parent);
		CREATE TABLE ${kind}_other (parent int PRIMARY KEY REFERENCES ${kind}_parent);
		CREATE TABLE ${kind}_journal (id bigint NOT NULL, what text NOT NULL);
		INSERT INTO ${kind}_parent (n) SELECT 0 FROM generate_series(1, $ROWS);
		INSERT INTO ${kind}_child (parent, model) SELECT id, id FROM ${kind}_parent;
		INSERT INTO ${kind}_other SELECT id FROM ${kind}_parent WHERE id <= 100;
		INSERT INTO ${kind}_journal SELECT id, 'insert' FROM ${kind}_parent;
		VACUUM ANALYZE;
	});
}

# One code for all of it: the column keeps its name.
my %bench;
for my $kind (sort keys %kind)
{
	$bench{$kind} = start_bench($node, "${kind}_code", qq{
\\set kind random(1, 100)
\\set id random(101, $ROWS)
SELECT nextval('app.${kind}_code');
\\if :kind <= 35
BEGIN;
INSERT INTO ${kind}_parent DEFAULT VALUES RETURNING id AS new_id \\gset
INSERT INTO ${kind}_journal VALUES (:new_id, 'insert');
INSERT INTO ${kind}_child (parent, model) VALUES (:new_id, :new_id);
END;
\\elif :kind <= 60
WITH w AS (UPDATE ${kind}_parent SET n = n + 1 WHERE id = :id RETURNING id)
	INSERT INTO ${kind}_journal SELECT id, 'update' FROM w;
\\elif :kind <= 70
BEGIN;
UPDATE ${kind}_child SET model = model WHERE parent = :id;
SELECT * FROM ${kind}_parent WHERE id = :id;
END;
\\elif :kind <= 75
WITH w AS (DELETE FROM ${kind}_parent WHERE id = :id RETURNING id)
	INSERT INTO ${kind}_journal SELECT id, 'delete' FROM w;
\\else
SELECT count(*) FROM ${kind}_parent p JOIN ${kind}_child c ON c.parent = p.id WHERE p.id BETWEEN :id AND :id + 20;
\\endif
}, '-c', '4');
}
at_work(values %bench);
my %id;
$id{$_} = start_dual($node, "type_change('${_}_parent', 'id', 'bigint', name => '$_')")
  for sort keys %kind;
at_work(values %bench);
wait_ready($node, $id{$_}) for sort keys %kind;
at_work(values %bench);
is(value($node, "SELECT pgxc.contract('$_')"), 'finished', "$_: contracted under load")
  for sort keys %kind;
at_work(values %bench);
finish_bench($bench{$_}) for sort keys %kind;
tell_longest(map { $bench{$_} } sort keys %kind);

for my $kind (sort keys %kind)
{
	is( value($node, qq{
			WITH model AS (SELECT id, count(*) - 1 AS n FROM ${kind}_journal GROUP BY id HAVING bool_and(what <> 'delete'))
			SELECT (SELECT count(*) FROM model m FULL JOIN ${kind}_parent p USING (id) WHERE m.n IS DISTINCT FROM p.n),
				(SELECT count(*) FROM ${kind}_child WHERE parent <> model),
				(SELECT count(*) FROM model m FULL JOIN ${kind}_child c ON c.parent = m.id WHERE c.id IS NULL OR m.id IS NULL),
				(SELECT count(*) FROM ${kind}_other WHERE parent IN (SELECT id FROM ${kind}_parent))}),
		'0|0|0|100', "$kind: the data are what the application made of them, also those of other tables");
	is( value($node, qq{SELECT string_agg(d, E'\\n' ORDER BY d COLLATE "C") FROM (
			SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || ' ' || convalidated FROM pg_constraint
				WHERE contype <> 'n' AND (conrelid = '${kind}_parent'::regclass OR confrelid = '${kind}_parent'::regclass)
			UNION ALL SELECT format('%s %s %s %s', attname, format_type(atttypid, atttypmod), attnotnull, attidentity) FROM pg_attribute
				WHERE attrelid = '${kind}_parent'::regclass AND attname = 'id'
			UNION ALL SELECT format('%s %s', pg_get_serial_sequence('${kind}_parent', 'id'), max_value) FROM pg_sequences WHERE sequencename = '${kind}_parent_id_seq') q (d)}),
		join("\n", sort
			"${kind}_child ${kind}_child_parent_fkey FOREIGN KEY (parent) REFERENCES ${kind}_parent(id) ON DELETE CASCADE true",
			"${kind}_other ${kind}_other_parent_fkey FOREIGN KEY (parent) REFERENCES ${kind}_parent(id) true",
			"${kind}_parent ${kind}_parent_pkey PRIMARY KEY (id) true",
			'id bigint t' . ($kind eq 'identity' ? ' d' : ' '),
			"public.${kind}_parent_id_seq 9223372036854775807"),
		"$kind: key, foreign keys and sequence are there");
	is( value($node, "SELECT nextval('${kind}_parent_id_seq') > max(id) FROM ${kind}_journal"),
		't', "$kind: the sequence goes on");
	is( value($node, "SELECT setval('${kind}_parent_id_seq', 2147483647); INSERT INTO ${kind}_parent DEFAULT VALUES RETURNING id"),
		"2147483647\n2147483648", "$kind: ... beyond what an integer can hold");
}
is(join("\n", errors_since($node, $log)), '', 'no error in the log of the server');

$node->stop;
done_testing();
