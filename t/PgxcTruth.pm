# PgxcTruth: what check_ddl says of a statement, and what the server then does.
#
# The corpus is t/ddl/*.txt, one form a line: the statement (or several, by
# semicolons), preceded by tags.  A value with spaces or braces stands in
# braces, which may be nested.
#
#   # a comment
#   ALTER TABLE slim ADD COLUMN d integer
#   @min=17 @max=17 ...      only these versions of the server
#   @role=app_owner ...      run, and asked, by this role
#   @after={SQL} ...         after that, in the same transaction; the locks of
#                            that are not held against the statement
#   @alone ...               it cannot run in a transaction block
#   @check=locks ...         the work is not compared (or @check=work)
#   @error ...               PostgreSQL refuses it; check_ddl must not raise
#
# A form with @after that fills a table without a block gives it one for good:
# such forms are run after all others of the transactional kind.
#
# How the locks of a statement that commits by itself are seen: the server waits
# for a standby that does not exist, so that each commit stops while all of its
# locks are still held.  They are read, and the wait is cancelled.  VACUUM, which
# may have nothing to commit, is slowed down and looked at when it sleeps.  The
# last of several transactions does no work, and some take a stronger lock in it
# (REINDEX CONCURRENTLY on the index that goes, DETACH CONCURRENTLY on the
# partition): to say this lock, or the strongest before it, is right.
package PgxcTruth;

use strict;
use warnings;

use Exporter 'import';
use IPC::Run;
use JSON::PP;
use PgxcTest;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(usleep time);

our @EXPORT = qw(
  parse_form read_forms truth_node truth_sessions run_form stop_sessions
  disagreements row_text
);

my @work = ('scan', 'rewrite', 'index build');
my $fixture = 'fixture';
my $copy = 'alone';

# ---- the corpus ----------------------------------------------------------------

my $braces;
$braces = qr/\{(?:[^{}]++|(??{ $braces }))*\}/;

# parse_form($line): { sql, tag => value or 1, ... }, undef for no form at all.
sub parse_form
{
	my ($line) = @_;
	my %form;

	$line =~ s/^\s+|\s+$//g;
	return if $line eq '' || $line =~ /^#/;
	while ($line =~ s/^\@(\w+)(?:=($braces|\S+))?\s+//)
	{
		my ($tag, $value) = ($1, $2 // 1);

		die "unknown tag \@$tag: $line"
		  unless $tag =~ /^(?:alone|min|max|role|after|check|error)$/;
		$value =~ s/^\{(.*)\}$/$1/s;
		$form{$tag} = $value;
	}
	$line =~ s/;$//;
	$form{sql} = $line;
	return \%form;
}

# read_forms($directory): all forms, with their file and number of line.
sub read_forms
{
	my ($directory) = @_;
	my @forms;

	for my $path (sort glob "$directory/*.txt")
	{
		my ($file) = $path =~ m{([^/]+)\.txt$};
		my $no = 0;

		for my $line (split /\n/, slurp_file($path))
		{
			my $form = parse_form($line);

			$no++;
			push @forms, { %$form, file => $file, line => $no } if $form;
		}
	}
	return @forms;
}

# ---- sessions --------------------------------------------------------------------

# A psql that is kept; unlike background_psql it makes no notes, of which there
# would be thousands.
sub open_session
{
	my ($node, $dbname) = @_;
	my %session = (in => '', out => '', n => 0);

	$session{run} = IPC::Run::start(
		[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr($dbname) ],
		'<', \$session{in}, '>', \$session{out}, '2>', '/dev/null',
		$session{timeout} = IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	ask(\%session, 'SET pgxc.guard = off');
	return \%session;
}

sub send_only
{
	my ($session, $text) = @_;

	$session->{in} .= "$text\n";
	$session->{run}->pump_nb while length $session->{in};
	return;
}

# ask($session, $text): its output; undef if the session or the server died.
sub ask
{
	my ($session, $text) = @_;
	my $mark = '@@' . ++$session->{n} . '@@';
	my $alive;

	$session->{timeout}->start($PostgreSQL::Test::Utils::timeout_default);
	$alive = eval {
		$session->{in} .= "$text\n;\n\\echo '$mark'\n";
		until ($session->{out} =~ /\Q$mark\E/)
		{
			$session->{run}->pumpable or return 0;
			$session->{run}->pump;
		}
		1;
	};
	return unless $alive;
	$session->{out} =~ s/^(.*?)\Q$mark\E\n//s;
	return $1;
}

sub close_session
{
	my ($session) = @_;

	return unless $session;
	eval { $session->{in} .= "\\q\n"; $session->{run}->finish; 1 }
	  or eval { $session->{run}->kill_kill };
	return;
}

# ---- the server --------------------------------------------------------------------

# truth_node($name, $setting => $value, ...): a server with the database.
sub truth_node
{
	my ($name, %conf) = @_;
	my ($ddl) = __FILE__ =~ m{^(.*)/};
	my $node = new_node(
		$name,
		extension => 0,
		autovacuum => 'off',
		max_wal_senders => 2,
		synchronous_standby_names => 'nobody',
		synchronous_commit => 'local',
		search_path => 'app, public',
		allow_in_place_tablespaces => 'on',
		jit => 'off',
		max_parallel_workers_per_gather => 0,
		max_parallel_maintenance_workers => 0,
		# What an empty table has with its indexes is less.
		'pgxc.guard_min_table_size' => '25kB',
		%conf);

	$node->safe_psql('postgres', "CREATE DATABASE $fixture");
	$node->safe_psql($fixture, 'CREATE EXTENSION pgxc');
	$node->safe_psql($fixture, 'GRANT USAGE ON SCHEMA pgxc TO PUBLIC');
	# Statement by statement: some of it cannot be in a transaction.
	for my $file ('truth', 'fixture')
	{
		my ($out, $err) = run_command(
			[
				'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1',
				'-d', $node->connstr($fixture),
				'-f', "$ddl/ddl/$file.sql"
			]);
		die $err if $err =~ /ERROR|FATAL/;
	}
	return $node;
}

# What a session cannot leave to the next one.
my $temporary = q{
	CREATE TEMP TABLE tmp (id integer PRIMARY KEY, a integer, b text);
	INSERT INTO tmp SELECT i, i, 'b' FROM generate_series(1, 300) i;
	CREATE INDEX tmp_a_idx ON tmp (a);
	ANALYZE tmp;
};

# truth_sessions($node): what run_form() needs.
sub truth_sessions
{
	my ($node) = @_;
	my %sessions = (node => $node);

	$sessions{major} = $node->safe_psql('postgres', 'SHOW server_version_num');
	$sessions{major} = int($sessions{major} / 10000);
	return \%sessions;
}

sub stop_sessions
{
	my ($s) = @_;

	close_session(delete $s->{$_}) for qw(block runner watcher admin);
	return;
}

# ---- in a transaction block ----------------------------------------------------------

# The statements of the tag before the form, the form, and what is to be known.
sub block_text
{
	my ($form) = @_;
	my $after = $form->{after} ? "$form->{after};\n\\echo \@after :ERROR :SQLSTATE :LAST_ERROR_MESSAGE" : '';
	my $role = $form->{role} ? "SET LOCAL ROLE $form->{role};" : '';

	return qq{BEGIN;
$after
SELECT truth.snapshot(false) AS before \\gset
$role
SELECT '\@said ' || truth.said(\$form\$$form->{sql}\$form\$);
$form->{sql};
\\echo \@ran :ERROR :SQLSTATE :LAST_ERROR_MESSAGE
\\if :ERROR
\\else
SELECT '\@was ' || truth.observe(:'before', false);
\\endif
ROLLBACK;};
}

# Their answers: { said, was, error }.
sub parse_answer
{
	my ($out) = @_;
	my %result;

	return { error => 'the server ended the session' } unless defined $out;
	for my $line (split /\n/, $out)
	{
		$result{said} = decode_json($1) if $line =~ /^\@said (.*)/;
		$result{was} = decode_json($1) if $line =~ /^\@was (.*)/;
		$result{error} = $1 if $line =~ /^\@ran true (\S.*)/;
		$result{setup} = $1 if $line =~ /^\@after true (\S.*)/;
	}
	$result{error} = "\@after: $result{setup}" if $result{setup};
	return \%result;
}

sub run_in_block
{
	my ($s, $form) = @_;
	my $out;

	unless ($s->{block})
	{
		$s->{node}->poll_query_until('postgres', 'SELECT true');
		$s->{block} = open_session($s->{node}, $fixture);
		ask($s->{block}, $temporary);
	}
	$out = ask($s->{block}, block_text($form));
	close_session(delete $s->{block}) unless defined $out;
	return parse_answer($out);
}

# ---- alone ------------------------------------------------------------------------------

# A fresh copy of the fixture, unless what was done to the last one left
# everything in its place.
sub fresh_copy
{
	my ($s, $form) = @_;
	my $changes = $form->{after} || $form->{sql} !~ /^(?:VACUUM|CLUSTER|REINDEX)\b/;

	if ($s->{runner} && !$s->{changed} && !$changes)
	{
		ask($s->{runner}, 'RESET ROLE');
		return;
	}
	$s->{changed} = $changes;
	close_session(delete $s->{$_}) for qw(runner watcher block);
	$s->{admin} //= open_session($s->{node}, 'postgres');
	ask($s->{admin}, "DROP DATABASE IF EXISTS $copy WITH (FORCE)");
	ask($s->{admin}, "CREATE DATABASE $copy TEMPLATE $fixture STRATEGY file_copy");
	$s->{runner} = open_session($s->{node}, $copy);
	$s->{watcher} = open_session($s->{node}, $copy);
	ask($s->{runner}, 'SET synchronous_commit = on; SET vacuum_cost_delay = 3;'
		  . 'SET vacuum_cost_limit = 1; SET vacuum_cost_page_hit = 1;');
	return;
}

# watch($s, $pid, $start): the strongest locks of that backend, at every commit
# of the statement that it runs, and at every one but the last.  Each look is a
# transaction of its own because CREATE INDEX CONCURRENTLY waits for those that
# are open.
sub watch
{
	my ($s, $pid, $start) = @_;
	my (%strongest, %main, %cancelled);
	my $last = '';
	my $deadline = time + $PostgreSQL::Test::Utils::timeout_default;

	while (time < $deadline)
	{
		my $look = ask($s->{watcher},
			qq{SELECT a.state, coalesce(a.wait_event, ''), a.query_start::text, coalesce(a.backend_xid::text, ''),
				(SELECT string_agg(relation || '=' || truth.strength(mode), ' ')
				FROM pg_locks WHERE locktype = 'relation' AND pid = a.pid AND granted
					AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
			FROM pg_stat_activity a WHERE pid = $pid}) // return;
		my ($state, $event, $query_start, $xid, $locks) = split /\|/, $look;

		return unless defined $state;
		chomp $locks;
		last if $state =~ /^idle/ && $query_start ne $start;
		next unless $event eq 'SyncRep' || $event eq 'VacuumDelay';
		%main = %strongest if $xid ne $last;
		$last = $xid;
		for my $lock (split ' ', $locks)
		{
			my ($relation, $strength) = split /=/, $lock;

			$strongest{$relation} = $strength
			  if $strength > ($strongest{$relation} // 0);
		}
		# Not twice: the second might hit what comes next.
		ask($s->{watcher}, "SELECT pg_cancel_backend($pid)")
		  if $event eq 'SyncRep' && !$cancelled{$xid}++;
	}
	return (\%strongest, %main ? \%main : \%strongest);
}

sub run_alone
{
	my ($s, $form) = @_;
	my ($pid, $start, $before, $said, $locks, $main, $ran, $was);

	fresh_copy($s, $form);
	$pid = ask($s->{runner}, 'SELECT pg_backend_pid()');
	ask($s->{runner}, "$form->{after};") if $form->{after};
	ask($s->{runner}, "SET ROLE $form->{role}") if $form->{role};
	$said = ask($s->{runner}, "SELECT '\@said ' || truth.said(\$form\$$form->{sql}\$form\$)");
	ask($s->{runner}, 'SELECT pg_stat_force_next_flush()');
	return parse_answer() unless defined $said;
	chomp($pid);
	ask($s->{watcher}, 'SELECT truth.snapshot(true) AS before \gset');
	$start = ask($s->{watcher}, "SELECT query_start::text FROM pg_stat_activity WHERE pid = $pid");
	chomp($start);
	send_only($s->{runner}, "$form->{sql};");
	($locks, $main) = watch($s, $pid, $start) or return parse_answer();
	$ran = ask($s->{runner}, '\echo @ran :ERROR :SQLSTATE :LAST_ERROR_MESSAGE');
	ask($s->{runner}, 'SELECT pg_stat_force_next_flush()');
	ask($s->{runner}, 'SELECT 1');
	$was = ask($s->{watcher},
		sprintf "SELECT '\@was ' || truth.observe(:'before', true, '%s', '%s')",
		encode_json($locks), encode_json($main));
	return parse_answer($said . ($ran // '') . ($was // ''));
}

# ---- comparing -------------------------------------------------------------------------

# run_form($sessions, $form): { said, was, error }; said and was are arrays of
# { rel, lock, work }, said may be { error, message } instead.
sub run_form
{
	my ($s, $form) = @_;

	return $form->{alone} ? run_alone($s, $form) : run_in_block($s, $form);
}

sub work_text
{
	my ($bits) = @_;

	return join(', ', map { $work[$_] } grep { $bits & 1 << $_ } 0 .. $#work) || 'none';
}

sub row_text
{
	my ($row) = @_;

	return 'nothing' unless $row;
	return ($row->{lock} || 'no lock') . ', ' . work_text($row->{work});
}

# Are they the same?  A lock that was held before cannot be seen again.  That of
# a composite type, which is no table, need not be said.  The index that REINDEX
# CONCURRENTLY replaces may be called rewritten, or not.
sub same_row
{
	my ($form, $said, $was) = @_;
	my $check = $form->{check} // 'all';

	return 1 if !$said && $was->{kind} eq 'c';
	if ($check ne 'work')
	{
		my $held = $was && $was->{held} && $was->{held} eq $was->{lock};
		my $lock = $said ? $said->{lock} : '';

		return 0
		  if !$held
		  && $lock ne ($was ? $was->{lock} : '')
		  && $lock ne ($was ? $was->{main} : '');
	}
	return 1 if $check eq 'locks';
	my $mask = $form->{alone} && $was && $was->{heir} ? ~2 : ~0;

	return (($said ? $said->{work} : 0) & $mask) == (($was ? $was->{work} : 0) & $mask);
}

# disagreements($form, $result): "relation; said; was", one each.
sub disagreements
{
	my ($form, $result) = @_;
	my (%said, %was, @lines);

	return ("check_ddl ends the session") unless $result->{said};
	return ("check_ddl raises $result->{said}{error}: $result->{said}{message}")
	  if ref $result->{said} eq 'HASH';
	if ($form->{error})
	{
		return $result->{error} ? () : ('the statement succeeds');
	}
	return ("the statement fails: $result->{error}") if $result->{error};
	return ('what the statement did is not known') unless $result->{was};
	$said{ $_->{rel} } = $_ for @{ $result->{said} };
	$was{ $_->{rel} } = $_ for @{ $result->{was} };
	for my $rel (sort keys %{ { %said, %was } })
	{
		push @lines, "$rel; said: " . row_text($said{$rel}) . '; was: ' . row_text($was{$rel})
		  unless same_row($form, $said{$rel}, $was{$rel});
	}
	push @lines, map { "$_->{rel}; listed more than once" } grep { $_->{twice} } values %said;
	return @lines;
}

1;
