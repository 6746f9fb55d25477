# Random writes by old code, new code and code that knows both shapes, from
# several sessions at once, while a migration goes from its start through
# migrate and ready to contract or rollback.  A model that knows nothing of the
# server says what every row must be: after each statement, and at the end.
#
#   PGXC_TEST_SEED=n    other statements
#   PGXC_FUZZ_OPS=n     how many, about
#   PGXC_FUZZ_ROUNDS=re only those ("rename contract")
use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;
use Digest::MD5 qw(md5_hex);
use IPC::Run;
use PgxcModel;
use PgxcTest;
use PgxcWrites;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes;

my $SESSIONS = 4;
my $STAGES = 8;    # in which a session makes one batch of statements
my $ROWS = 1200;    # before the migration starts

my $seed = $ENV{PGXC_TEST_SEED} // 20261121;
my $ops = $ENV{PGXC_FUZZ_OPS} // 6000;
srand($seed);
diag("PGXC_TEST_SEED=$seed PGXC_FUZZ_OPS=$ops");

my $node = new_node(
	'fuzz',
	'pgxc.cpu_wait_soft' => 0,
	'pgxc.active_sessions_soft' => 0,
	'pgxc.dead_tuples_soft' => 0,
	'pgxc.target_chunk_ms' => 20,
	'log_statement' => 'none',
	'deadlock_timeout' => '100ms');

$node->safe_psql(
	'postgres', q{
	CREATE TABLE done (id integer, n integer);
	CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql
		AS $$ BEGIN NEW.o := coalesce(NEW.o, 0) + 1; RETURN NEW; END $$});

# ---- values --------------------------------------------------------------------

my $counter = 0;

# Stored out of line: neither short nor easy to compress.
sub long_text
{
	return join '', map { md5_hex(++$counter) } 1 .. 120;
}

sub any_text
{
	return rand() < 0.04 ? long_text() : PgxcWrites::one_of(
		'', ' ', 'NULL', "it's", 'back\\slash', "\xc3\xbcml\xc3\xa4ut", '{"a": 1}',
		'w' . int rand 50, 'w' . int rand 50, 'Word ' . int rand 1e6);
}

sub small_int
{
	return int(rand 2000) - 1000;
}

sub word
{
	return rand() < 0.05 ? long_text() : join '',
	  map { PgxcWrites::one_of('a' .. 'e') } 1 .. int rand 5;
}

my @append = ([ q{%s || 'z'}, sub { $_[0] . 'z' } ]);
my @add = ([ '%s + 1', sub { $_[0] + 1 } ], [ '-%s', sub { -$_[0] } ]);

sub text_column
{
	my ($value) = @_;

	return { type => 'text', value => $value, expressions => \@append };
}

# split_part(text, ' ', field)
sub split_part
{
	my ($text, $field) = @_;

	return undef unless defined $text;
	return (split / /, $text, -1)[ $field - 1 ] // '';
}

# ---- the kinds -----------------------------------------------------------------
#
# Beside what PgxcModel wants: columns as PgxcWrites wants them, final (what
# the new column is called in the end), start (arguments of the function), and
# writers: the columns that the application may write while contract goes on.

sub identity
{
	return $_[0];
}

my %kind = (
	rename => {
		function => 'pgxc.start_rename',
		arguments => "'a', 'b'",
		s => ['a'],
		n => 'b',
		up => \&identity,
		down => sub { [ $_[0] ] },
		columns => { a => text_column(\&any_text), b => text_column(\&any_text) },
		index => 'md5(a)',
		defaults => [ 'none', q{'none'}, q{CASE WHEN now() > '2000-01-01' THEN 'none' END} ],
	},
	widen => {
		function => 'pgxc.start_type_change',
		arguments => "'a', 'bigint'",
		s => ['a'],
		n => undef,
		final => 'a',
		up => \&identity,
		down =>
		  sub { defined $_[0] && abs($_[0]) > 2147483647 ? '22003' : [ $_[0] ] },
		columns => {
			a => { type => 'integer', value => \&small_int, expressions => \@add },
			shadow => {
				type => 'bigint',
				value => sub { small_int() * (rand() < 0.1 ? 10_000_000_000 : 1) },
				expressions => \@add } },
		index => 'a',
		defaults => [ 7, '7', q{CASE WHEN now() > '2000-01-01' THEN 7 END} ],
	},
	# Some of the old values are no numbers, until somebody mends them.
	text_to_int => {
		function => 'pgxc.start_type_change',
		arguments => q{'a', 'integer', up => 'a::integer', down => 'a::text'},
		s => ['a'],
		n => undef,
		final => 'a',
		up => sub { defined $_[0] && $_[0] =~ /^-?\d+$/ ? $_[0] + 0 : undef },
		down => sub { [ $_[0] ] },
		columns => {
			a => {
				type => 'text',
				value => sub { rand() < 0.1 ? 'no ' . small_int() : small_int() },
				expressions => [] },
			shadow =>
			  { type => 'integer', value => \&small_int, expressions => \@add } },
		index => 'a',
		bad => sub { defined $_[0] && $_[0] =~ /^no/ },
		vague => 1,
	},
	lower => {
		function => 'pgxc.start_transform',
		arguments => q{'b', 'text', up => 'lower(a)', down => 'upper(b)'},
		s => ['a'],
		n => 'b',
		up => sub { defined $_[0] ? lc $_[0] : undef },
		down => sub { [ defined $_[0] ? uc $_[0] : undef ] },
		columns => {
			a => text_column(sub { PgxcWrites::one_of(word(), ucfirst word(), uc word()) }),
			b => text_column(\&word) },
		index => 'a text_pattern_ops) WHERE (length(a) < 100',
		force => 1,    # upper(lower(a)) is not a, and the checklist says so
		defaults => [ 'None', q{'None'} ],
	},
	composite => {
		function => 'pgxc.start_transform',
		arguments =>
		  q{'b', 'text', up => 'a1 || '' '' || a2', down => 'a1 = split_part(b, '' '', 1), a2 = split_part(b, '' '', 2)'},
		s => [ 'a1', 'a2' ],
		n => 'b',
		up => sub { defined $_[0] && defined $_[1] ? "$_[0] $_[1]" : undef },
		down => sub { [ split_part($_[0], 1), split_part($_[0], 2) ] },
		columns => {
			a1 => text_column(\&word),
			a2 => text_column(\&word),
			b => text_column(sub { word() . ' ' . word() }) },
		force => 1,    # where one of the two is null, the other is lost
		# Before contract this is not what it will be afterwards.
		lossy => sub { rand() < 0.1 ? word() : word() . ' ' . word() . ' ' . word() },
	},
	one_way => {
		function => 'pgxc.start_transform',
		arguments => q{'b', 'bigint', up => 'a * 2'},
		s => ['a'],
		n => 'b',
		up => sub { defined $_[0] ? $_[0] * 2 : undef },
		down => undef,
		columns => {
			a => { type => 'integer', value => \&small_int, expressions => \@add },
			b => { type => 'bigint', value => \&small_int, expressions => \@add } },
		index => 'a',
		defaults => [ 7, '7' ],
	});

# ---- sessions ------------------------------------------------------------------

# A psql that is fed and read without waiting for it.
sub open_session
{
	my %session = (in => '', out => '', err => '');

	$session{psql} = IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=0', '-P', 'null=\\N',
			'-h', $node->host, '-p', $node->port, 'postgres'
		],
		'<', \$session{in}, '>', \$session{out}, '2>', \$session{err});
	return \%session;
}

# feed($session, $sql): when all that it says of it has come, is_idle() is true.
sub feed
{
	my ($session, $sql) = @_;

	$session->{out} = $session->{err} = '';
	$session->{end} = 'end ' . ++$counter;
	$session->{in} .= "$sql\n\\echo $session->{end}\n\\warn $session->{end}\n";
	return;
}

sub is_idle
{
	my ($session) = @_;

	return $session->{out} =~ /^\Q$session->{end}\E\n\z/m
	  && $session->{err} =~ /^\Q$session->{end}\E\n\z/m;
}

# Let all of them work until the sub says that it is enough.
sub work_until
{
	my ($enough, @sessions) = @_;
	my $end = time + $PostgreSQL::Test::Utils::timeout_default;

	until ($enough->())
	{
		for my $session (@sessions)
		{
			$session->{psql}->pump_nb;
			die "psql ended: $session->{err}" unless $session->{psql}->pumpable;
		}
		if (time > $end)
		{
			diag($node->safe_psql('postgres',
					q{SELECT pid, state, wait_event, pg_blocking_pids(pid), left(query, 200) FROM pg_stat_activity WHERE datname IS NOT NULL}
			));
			die 'timed out waiting for the sessions';
		}
		Time::HiRes::usleep(500);    # not a wait: one look of a poll
	}
	return;
}

my @sessions = map { open_session() } 1 .. $SESSIONS;
my $control = open_session();

# ---- statements ----------------------------------------------------------------

# How a column's value is shown: long ones shortened.
sub shown_sql
{
	my ($column) = @_;

	return
	  "CASE WHEN octet_length($column\::text) > 100 THEN md5($column\::text) ELSE $column\::text END";
}

sub shown
{
	my ($value) = @_;

	return !defined $value ? '\N' : length $value > 100 ? md5_hex($value) : $value;
}

# make_batch($round, $writes, $n, $choice): SQL, and the lines that psql is to
# print.  The choice returns the columns that a statement may write; those that
# the look at the rows afterwards shows are fixed.
sub make_batch
{
	my ($round, $writes, $n, $choice, @look) = @_;
	my $model = $round->{model};
	my %batch = (sql => '', lines => [], about => [], errors => 0);

	for (1 .. $n)
	{
		my $op = $writes->next_op($choice->());
		my %seen;
		my @ids = grep { !$seen{$_}++ } @{ $op->{ids} };
		my @said;

		for my $step (@{ $op->{steps} })
		{
			my $sqlstate = $step->{sqlstate} // '00000';

			$batch{sql} .= $step->{sql}
			  . ($step->{sql} =~ /\\gset$/ ? "\n" : ";\n")
			  . ($step->{data} ? "$step->{data}\n" : "\\echo :SQLSTATE\n");
			# Of a COPY that fails psql does not know the SQLSTATE.
			push @said, [ $sqlstate, $step->{sql} ] unless $step->{data};
			$batch{errors}++ if $sqlstate ne '00000';
		}
		@ids = sort { $a <=> $b }
		  grep { !$model->{open} || !$writes->{rows}{$_} || $writes->{rows}{$_}{filled} } @ids;
		if (@ids)
		{
			$batch{sql} .= 'SELECT '
			  . join(', ', 'id', map { shown_sql($_) } @look)
			  . " FROM $round->{table} WHERE id IN ("
			  . join(', ', @ids)
			  . ") ORDER BY id;\n";
			push @said,
			  map { [ line($writes, $_, @look), "row $_ after it" ] }
			  grep { $writes->{rows}{$_} } @ids;
		}
		for my $said (@said)
		{
			push @{ $batch{lines} }, $said->[0];
			push @{ $batch{about} }, [ $said->[1], $op ];
		}
	}
	return \%batch;
}

sub line
{
	my ($writes, $id, @look) = @_;
	my $columns = $writes->{model}->columns($writes->{rows}{$id});

	return join('|', $id, map { shown($columns->{$_}) } @look);
}

# Did a session print what it should have?
sub check_batch
{
	my ($round, $stage, $session, $batch) = @_;
	my @lines = split /\n/, $session->{out};
	my @expected = @{ $batch->{lines} };

	pop @lines;
	for my $i (0 .. $#expected)
	{
		next if defined $lines[$i] && $lines[$i] eq $expected[$i];
		my ($what, $op) = @{ $batch->{about}[$i] };
		diag(
			"$round->{name}, $stage: $what\n  expected: $expected[$i]\n  got:      "
			  . ($lines[$i] // 'nothing')
			  . "\n  " . join("\n  ", map { substr $_->{sql}, 0, 500 } @{ $op->{steps} })
			  . "\n" . substr $session->{err}, 0, 2000);
		$round->{wrong}++;
		return;
	}
	my $errors = () = $session->{err} =~ /^ERROR:/mg;
	if (@lines > @expected || $errors != $batch->{errors})
	{
		diag("$round->{name}, $stage: $batch->{errors} errors expected, got $errors:\n$session->{err}");
		$round->{wrong}++;
	}
	return;
}

sub die_with_checklist
{
	my ($round) = @_;

	diag_migration($node, $round->{id} // 0);
	diag($node->safe_psql('postgres', "SELECT * FROM pgxc.checklist('$round->{table}')"));
	die $control->{err};
}

# stage($round, $name, columns to choose from, columns to look at, $verb): each
# session does its share; with a verb (SQL) that is executed in their midst.
my $done = 0;

sub stage
{
	my ($round, $name, $choice, $look, $verb) = @_;
	my $share = int($ops / $round->{of} / $STAGES / $SESSIONS) || 1;
	my @batches;

	$round->{stage} = $name;
	for my $i (0 .. $#sessions)
	{
		push @batches, make_batch($round, $round->{writes}[$i], $share, $choice, @$look);
		feed($sessions[$i], $batches[$i]{sql});
	}
	if ($verb)
	{
		work_until(
			sub { !grep { ($_->{out} =~ tr/\n//) < $share / 2 } @sessions },
			@sessions);
		feed($control, "$verb;\n\\echo :SQLSTATE");
		work_until(sub { is_idle($control) }, $control, @sessions);
		$round->{overlap} += grep { !is_idle($_) } @sessions;
		like($control->{out}, qr/^00000\nend/m, "$round->{name}: $name")
		  or die_with_checklist($round);
	}
	work_until(
		sub { !grep { !is_idle($_) } @sessions },
		@sessions);
	check_batch($round, $name, $sessions[$_], $batches[$_]) for 0 .. $#sessions;
	$done += $share * $SESSIONS;
	return;
}

# Every row and every column.
sub compare
{
	my ($round, $when) = @_;
	my $model = $round->{model};
	my @look = (@{ $model->{s} }, $model->{open} ? $model->{n} : ());
	my $sql = 'SELECT '
	  . join(', ', 'id', map { shown_sql($_) } @look)
	  . " FROM $round->{table} ORDER BY id;";
	my %expected = map {
		my $writes = $_;
		map { $_ => line($writes, $_, @look) } keys %{ $writes->{rows} }
	} @{ $round->{writes} };
	my @expected = map { $expected{$_} } sort { $a <=> $b } keys %expected;
	my @lines;

	feed($control, $sql);
	work_until(sub { is_idle($control) }, $control);
	@lines = split /\n/, $control->{out};
	pop @lines;
	is(scalar @lines, scalar @expected, "$round->{name}: $when, number of rows");
	my @wrong =
	  grep { ($lines[$_] // '') ne ($expected[$_] // '') } 0 .. $#expected;
	is(scalar @wrong, 0, "$round->{name}: $when, every row is as in the model")
	  or diag(
		map { "  expected: $expected[$_]\n  got:      " . ($lines[$_] // 'nothing') . "\n" }
		  @wrong[ 0 .. ($#wrong < 4 ? $#wrong : 4) ]);
	return;
}

# ---- a round: one table, one migration -------------------------------------------

sub in_each_session
{
	my ($sql) = @_;

	feed($_, $sql) for @sessions;
	work_until(sub { !grep { !is_idle($_) } @sessions }, @sessions);
	for (@sessions)
	{
		die $_->{err} if $_->{err} =~ /ERROR/;
	}
	return;
}

sub make_round
{
	my ($no, $of, $kind, $end) = @_;
	my %spec = %{ $kind{$kind} };
	my ($known, @defaults) = @{ $spec{defaults} // [] };
	my $default = @defaults ? PgxcWrites::one_of(@defaults, undef) : undef;
	my $not_null = $kind !~ /composite|text_to_int/ && rand() < 0.4;
	my $partitioned = $no % 4 == 2;
	my $table = "t$no";
	my $first = $spec{s}[0];
	my $model = PgxcModel->new(
		(map { $_ => $spec{$_} } qw(s n up down)),
		default => defined $default ? $known : undef,
		default_known => defined $default && $default !~ /CASE/,
		not_null => $not_null);
	my $options = join(', ',
		$partitioned ? 'partitioned' : (),
		$not_null ? 'not null' : (),
		defined $default ? "default $default" : ());
	my @columns = map {
		    "$_ $spec{columns}{$_}{type}"
		  . ($not_null ? ' NOT NULL' : '')
		  . ($_ eq $first && defined $default ? " DEFAULT $default" : '')
	} @{ $spec{s} };

	$node->safe_psql('postgres',
		"CREATE TABLE $table (id integer PRIMARY KEY, o integer DEFAULT 0, "
		  . join(', ', @columns) . ')'
		  . ($partitioned ? ' PARTITION BY HASH (id)' : ''));
	if ($partitioned)
	{
		$node->safe_psql('postgres',
			"CREATE TABLE ${table}_$_ PARTITION OF $table FOR VALUES WITH (MODULUS 3, REMAINDER $_)"
		) for 0 .. 2;
	}
	$node->safe_psql('postgres', "CREATE INDEX ON $table ($spec{index})")
	  if $spec{index};
	if ($no % 3 == 1)
	{
		$options .= ', triggers';
		$node->safe_psql(
			'postgres', qq{
			CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION count_it()});
	}
	my @writes = map {
		PgxcWrites->new(
			model => $model,
			table => $table,
			columns => { %{ $spec{columns} } },
			first_id => $_,
			id_step => $SESSIONS)
	} 1 .. $SESSIONS;
	return {
		%spec,
		name => "$no $kind, $end ($options)",
		of => $of,
		table => $table,
		model => $model,
		writes => \@writes,
		wrong => 0,
		overlap => 0 };
}

# The rows that are there before anything happens.
sub fill
{
	my ($round) = @_;
	my $model = $round->{model};
	my $sql = "COPY $round->{table} (" . join(', ', 'id', @{ $model->{s} }) . ") FROM STDIN;\n";

	for my $id (1 .. $ROWS)
	{
		my $writes = $round->{writes}[ ($id - 1) % $SESSIONS ];
		my %values = map { $_ => $writes->value($_) } @{ $model->{s} };

		$writes->new_id == $id or die 'ids are not where they should be';
		$model->insert($writes->{rows}, $id, \%values);
		$sql .= join("\t", $id, map { PgxcWrites::copy_field($values{$_}) } @{ $model->{s} }) . "\n";
	}
	feed($control, "$sql\\.");
	work_until(sub { is_idle($control) }, $control);
	return;
}

sub is_ready
{
	my ($round, $when) = @_;

	$node->poll_query_until('postgres',
		"SELECT state IN ('ready', 'attention', 'failed') FROM pgxc.migrations WHERE id = $round->{id}");
	return if $round->{bad} && !$when;
	is(state_of($node, $round->{id}), 'ready', "$round->{name}: ready" . ($when // ''))
	  or diag_migration($node, $round->{id});
	return;
}

# Values that cannot be converted have to go before contract.
sub mend
{
	my ($round) = @_;
	my @bad;

	for my $writes (@{ $round->{writes} })
	{
		my $rows = $writes->{rows};
		my @mine = grep { $round->{bad}->($rows->{$_}{s}[0]) } keys %$rows;

		push @bad, @mine;
		$rows->{$_} = { s => [1], filled => 1 } for @mine;
		$writes->{columns}{a} = { %{ $writes->{columns}{a} }, value => \&small_int };
	}
	note("$round->{name}: " . @bad . ' rows to mend');
	$node->safe_psql('postgres',
		"UPDATE $round->{table} SET a = '1' WHERE id IN (" . join(', ', 0, @bad) . ')');
	$node->safe_psql('postgres', "SELECT pgxc.retry($round->{id})");
	return;
}

# The new column is there: the sessions learn of it.
sub open_shape
{
	my ($round) = @_;
	my $model = $round->{model};

	$model->{n} = $node->safe_psql('postgres',
		"SELECT new_column FROM pgxc.migration WHERE id = $round->{id}");
	$model->open_shape(map { $_->{rows} } @{ $round->{writes} });
	for my $writes (@{ $round->{writes} })
	{
		$writes->{columns}{ $model->{n} } = $writes->{columns}{shadow}
		  if $writes->{columns}{shadow};
	}
	# Who writes both may write what cannot be carried down as it is.
	$_->{columns}{b} = { %{ $_->{columns}{b} }, value => $round->{lossy} }
	  for $round->{lossy} ? @{ $round->{writes} } : ();
	in_each_session($round->{writes}[0]->prepare($model->{n}));
	$_->{prepared} = $round->{writes}[0]{prepared} for @{ $round->{writes} };
	return;
}

sub run_round
{
	my ($no, $of, $kind, $end) = @_;
	my $round = make_round($no, $of, $kind, $end);
	my $model = $round->{model};
	my @old = @{ $model->{s} };
	my $old_code = sub { [@old] };
	my $any_code = sub {
		PgxcWrites::one_of([@old], [ $model->{n} ], [ @old, $model->{n} ]);
	};
	my $started = time;

	fill($round);
	in_each_session($round->{writes}[0]->prepare(@old));
	$_->{prepared} = $round->{writes}[0]{prepared} for @{ $round->{writes} };

	# The backfill is slow until everybody has met rows that are not filled yet.
	stage($round, 'start', $old_code, \@old,
		"SELECT $round->{function}('$round->{table}', $round->{arguments}, name => '$round->{table}', max_rows_per_second => 40, max_row_errors => 100000, parallel_workers => "
		  . (1 + $no % 2)
		  . ')');
	$round->{id} = $node->safe_psql('postgres',
		"SELECT id FROM pgxc.migrations WHERE name = '$round->{table}'");
	open_shape($round);
	my @both = (@old, $model->{n});
	stage($round, 'migrate', $any_code, \@both);
	if ($model->{down} && $no % 2)
	{
		# While the preferred side changes nobody writes both.
		stage($round, 'prefer',
			sub { PgxcWrites::one_of([@old], [ $model->{n} ]) },
			\@both, "SELECT pgxc.prefer($round->{id}, 'new')");
		$model->{prefer_new} = 1;
		$round->{name} .= ', new preferred';
	}
	stage($round, 'migrate', $any_code, \@both);
	is(state_of($node, $round->{id}), 'running', "$round->{name}: not ready yet");
	stage($round, 'faster', $any_code, \@both,
		"SELECT pgxc.alter_migration($round->{id}, max_rows_per_second => 0)");
	is_ready($round);
	stage($round, 'ready', $any_code, \@both);
	if ($round->{bad})
	{
		mend($round);
		is_ready($round, ' again');
	}
	compare($round, 'ready');

	finish_round($round, $end, \@old);
	compare($round, 'finished');
	is($round->{wrong}, 0, "$round->{name}: every statement did what it should");
	$node->safe_psql('postgres', "DROP TABLE $round->{table}");
	in_each_session('DEALLOCATE ALL;');
	note(sprintf '%s: %d s', $round->{name}, time - $started);
	return $round;
}

# Contract or rollback, while those write who will be left over.
sub finish_round
{
	my ($round, $end, $old) = @_;
	my $model = $round->{model};
	my @left = @$old;

	if ($end eq 'contract')
	{
		my $name = $round->{final} // $model->{n};
		@left = $model->{down} ? ($name) : ();
		# Only what both columns can hold.
		if ($round->{lossy})
		{
			$_->{columns}{b} = $round->{columns}{b} for @{ $round->{writes} };
		}
		$_->{vague} = $round->{vague} for @{ $round->{writes} };
		# A null that is inserted means the default before, and null afterwards.
		$_->{no_nulls} = defined $model->{default} for @{ $round->{writes} };
	}
	stage($round, $end, sub { [@left] },
		\@left,
		"SELECT pgxc.$end($round->{id}"
		  . ($end eq 'contract' && $round->{force} ? ', force => true)' : ')'));

	if ($end eq 'contract')
	{
		my $name = $round->{final} // $model->{n};
		for my $writes (@{ $round->{writes} })
		{
			$writes->{columns}{$name} = $writes->{columns}{ $model->{n} };
			$writes->{prepared} = {};
			$writes->{vague} = $writes->{no_nulls} = 0;
		}
		$model->close_shape($name, map { $_->{rows} } @{ $round->{writes} });
		in_each_session("DEALLOCATE ALL;\n" . $round->{writes}[0]->prepare($name));
		$_->{prepared} = $round->{writes}[0]{prepared} for @{ $round->{writes} };
	}
	else
	{
		$model->close_shape(undef);
	}
	stage($round, 'afterwards', sub { [ @{ $model->{s} } ] }, $model->{s});
	return;
}

# ---- the same rows, from all sessions at once ------------------------------------------

# Each statement adds 1 to a row, in one shape or the other; nothing that was
# added may be lost, whoever comes after whom.
sub hot_batch
{
	my ($table, $n, $step, @columns) = @_;
	my $sql = '';

	for (1 .. $n)
	{
		my $id = 1 + int rand 3;
		my $column = PgxcWrites::one_of(@columns);
		my $set = "$column = t.$column + " . ($column eq $columns[0] ? 1 : $step);

		$sql .= PgxcWrites::one_of(
			"UPDATE $table t SET $set WHERE id = $id",
			"UPDATE $table t SET $set FROM (VALUES ($id)) x (id) WHERE t.id = x.id",
			"INSERT INTO $table AS t (id, a) VALUES ($id, 0) ON CONFLICT (id) DO UPDATE SET $set",
			"WITH u AS (UPDATE $table t SET $set WHERE id = $id RETURNING id) INSERT INTO done SELECT id, 0 FROM u",
			"BEGIN; SELECT FROM $table WHERE id = $id FOR UPDATE \\g /dev/null\nUPDATE $table t SET o = 0 WHERE id = $id; UPDATE $table t SET $set WHERE id = $id; COMMIT"
		) . ";\nINSERT INTO done VALUES ($id, 1);\n";
	}
	return $sql;
}

sub run_hot
{
	my ($no, $arguments, $step) = @_;
	my $table = "hot$no";
	my $share = int($ops / 20 / $SESSIONS) || 1;

	$node->safe_psql(
		'postgres', qq{
		TRUNCATE done;
		CREATE TABLE $table (id integer PRIMARY KEY, a integer, o integer);
		INSERT INTO $table SELECT i, i FROM generate_series(1, 1000) i});
	$node->safe_psql('postgres',
		"CREATE TRIGGER zz BEFORE INSERT OR UPDATE ON $table FOR EACH ROW EXECUTE FUNCTION count_it()")
	  if $no % 2;
	my $function = sprintf $arguments, $table;
	my $id = $node->safe_psql('postgres',
		"SELECT $function, name => '$table', max_rows_per_second => 100)");
	my $new = $node->safe_psql('postgres', "SELECT new_column FROM pgxc.migration WHERE id = $id");
	$node->safe_psql('postgres', "UPDATE $table SET o = 0 WHERE id <= 3");

	for my $verb (undef, "SELECT pgxc.alter_migration($id, max_rows_per_second => 0)")
	{
		feed($_, hot_batch($table, $share, $step, 'a', $new)) for @sessions;
		if ($verb)
		{
			feed($control, "$verb;");
			work_until(sub { is_idle($control) }, $control, @sessions);
		}
		work_until(sub { !grep { !is_idle($_) } @sessions }, @sessions);
		is(join('', map { $_->{err} =~ /^(ERROR.*)/m } @sessions), '', "$table: no statement fails");
	}
	wait_state($node, $id, 'ready');
	is( $node->safe_psql('postgres',
			"SELECT count(*) FROM $table WHERE a::bigint * $step IS DISTINCT FROM $new"),
		'0',
		"$table: both shapes are the same");
	is( $node->safe_psql('postgres',
			"SELECT string_agg(t.id || ' ' || (a - t.id), ', ' ORDER BY t.id) FROM $table t WHERE id <= 3"),
		$node->safe_psql('postgres',
			"SELECT string_agg(id || ' ' || n, ', ' ORDER BY id) FROM (SELECT id, sum(n) AS n FROM done GROUP BY id) d"),
		"$table: nothing is lost of what old and new code added to the same rows");
	$node->safe_psql('postgres', "SELECT pgxc.rollback($id)");
	return;
}

# ---- all of them ----------------------------------------------------------------

my @rounds =
  map { my $kind = $_; map { [ $kind, $_ ] } qw(contract rollback) }
  qw(rename widen text_to_int lower composite one_way);
@rounds = grep { "@$_" =~ /$ENV{PGXC_FUZZ_ROUNDS}/ } @rounds
  if $ENV{PGXC_FUZZ_ROUNDS};
my %seen;
my $overlap = 0;
for my $no (0 .. $#rounds)
{
	my $round = run_round($no, scalar @rounds, @{ $rounds[$no] });

	$overlap += $round->{overlap};
	for my $writes (@{ $round->{writes} })
	{
		$seen{$_} += $writes->{seen}{$_} for keys %{ $writes->{seen} };
	}
}
note("$done operations; " . join(', ', map { "$_: $seen{$_}" } sort keys %seen));
cmp_ok($overlap, '>', 0, "verbs returned while $overlap sessions were writing");

run_hot(0, "pgxc.start_rename('%s', 'a', 'b'", 1);
run_hot(1, "pgxc.start_type_change('%s', 'a', 'bigint'", 1);
run_hot(2, "pgxc.start_transform('%s', 'b', 'bigint', up => 'a::bigint * 2', down => '(b / 2)::integer'", 2);
run_hot(3, "pgxc.start_transform('%s', 'b', 'bigint', up => 'a::bigint * 2', down => '(b / 2)::integer'", 2);

my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|signal 11|signal 6/, 'the server is well');
unlike($log, qr/deadlock|lock timeout/, 'nobody met a deadlock or a lock timeout');

$_->{psql}->kill_kill for $control, @sessions;
$node->stop;
done_testing();
