# What the tests t/1*.pl have in common, beside PgxcTest: migrations with any
# assignments, waiting that is a test of its own, settings that change.
package PgxcEnv;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(
  set_config backfill outcome_of wait_for_state wait_done
  wait_until value session in_session
);

# set_config(node, name => value, ...): for the server, without a restart;
# undef resets.
sub set_config
{
	my ($node, %settings) = @_;

	for my $name (sort keys %settings)
	{
		my $value = $settings{$name};
		$node->safe_psql(
			'postgres',
			defined $value
			? "ALTER SYSTEM SET $name = '$value'"
			: "ALTER SYSTEM RESET $name");
	}
	$node->reload;
	return;
}

# One value, or several columns joined by "|".
sub value
{
	my ($node, $sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# backfill(node, arguments): what stands between the parentheses; returns the id.
sub backfill
{
	my ($node, $arguments) = @_;
	return value($node, "SELECT pgxc.start_backfill($arguments)");
}

# The state of an open migration, otherwise its phase.
sub outcome_of
{
	my ($node, $id) = @_;
	return value($node,
		"SELECT CASE phase WHEN 'migrate' THEN state ELSE phase END FROM pgxc.migrations WHERE id = $id"
	);
}

sub show_migration
{
	my ($node, $id) = @_;

	diag(
		value(
			$node,
			"SELECT row_to_json(m)::text FROM pgxc.migrations m WHERE id = $id"));
	diag(
		value(
			$node,
			"SELECT at::time, event, from_state, to_state, detail FROM pgxc.events WHERE migration_id = $id ORDER BY id DESC LIMIT 12"
		));
	diag(
		value(
			$node,
			"SELECT pid, phase, wait_reason, duty, retries, chunks_done, ranges_to_revisit FROM pgxc.progress_backfill WHERE migration_id = $id"
		));
}

# wait_until(node, sql, test name, id): a test that passes once the query says
# true; a migration that never comes that far is shown.
sub wait_until
{
	my ($node, $sql, $name, $id) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $fine = $node->poll_query_until('postgres', $sql);

	ok($fine, $name);
	if (!$fine && defined $id)
	{
		show_migration($node, $id);
	}
	return $fine;
}

sub wait_for_state
{
	my ($node, $id, $state, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;

	return wait_until(
		$node,
		"SELECT '$state' = CASE phase WHEN 'migrate' THEN state ELSE phase END FROM pgxc.migrations WHERE id = $id",
		$name // "migration $id is $state",
		$id);
}

# wait_done(node, id, test name): passes when the migration is done and nobody
# works on it any more.
sub wait_done
{
	my ($node, $id, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($code, $out, $err) = $node->psql('postgres',
		"CALL pgxc.wait($id, '$PostgreSQL::Test::Utils::timeout_default s')");

	is(outcome_of($node, $id), 'done', $name // "migration $id is done")
	  or do { diag($err); show_migration($node, $id) };
}

# A psql session in the background.
sub session
{
	my ($node, $database) = @_;
	return $node->background_psql($database // 'postgres', on_error_stop => 0);
}

# in_session(session, sql): send a statement that will not end soon, without
# waiting for it.
my $sent = 0;

sub in_session
{
	my ($session, $sql) = @_;
	my $mark = 'sent ' . ++$sent . ';';

	$session->query_until(qr/\Q$mark\E/, "\\echo $mark\n$sql;\n");
}

1;
