# PgxcModel: what a table should hold while a migration keeps two shapes of it
# equal, computed without the server.
#
#   my $model = PgxcModel->new(
#       s => [ 'a' ], n => 'b',              # old columns, new column
#       up => sub { ... }, down => sub { ... },
#       ...);
#
# A row is { s => [ old values ], filled => is the new column surely there },
# and rows are a hash by id; who writes keeps them, here is what becomes of them.
# The new value is not in it: it always is up(old values).  While no migration
# is open there are only the columns s.
package PgxcModel;

use strict;
use warnings;

use List::Util qw(any);

# Fields: s, n, up (list of old values -> new value, undef if it fails), down
# (new value -> array of old values, or an SQLSTATE; undef: there is no way
# back), default (of s->[0]), default_known (is it a constant), not_null,
# prefer_new, open (is there a new column).
sub new
{
	my ($class, %fields) = @_;

	return bless { open => 0, prefer_new => 0, %fields }, $class;
}

# close_shape($final, \%rows, ...): after contract the new column is all there
# is, under its final name; after rollback (undef) the old ones.
sub close_shape
{
	my ($self, $final, @all) = @_;

	if (defined $final)
	{
		for my $rows (@all)
		{
			$_ = { s => [ $self->{up}->(@{ $_->{s} }) ] } for values %$rows;
		}
		$self->{default} = $self->{up}->($self->{default})
		  if defined $self->{default};
		$self->{s} = [$final];
	}
	$self->{open} = 0;
	return;
}

# open_shape(\%rows, ...): nobody knows which rows the backfill has been to.
sub open_shape
{
	my ($self, @all) = @_;

	$self->{open} = 1;
	for my $rows (@all)
	{
		$_ = { %$_, filled => 0 } for values %$rows;
	}
	return;
}

sub same
{
	my ($x, $y) = @_;

	return defined $x ? defined $y && $x eq $y : !defined $y;
}

# ---- the trigger, as src/dual_write/carry.c describes it ----------------------

# carry($action, $row, $n): the new side has written $n, or wins with it.
# Returns the row, or dies with { sqlstate }.
sub carry
{
	my ($self, $action, $row, $n) = @_;

	return $row if $action eq 'up';
	return $row
	  if $action eq 'check' && same($self->{up}->(@{ $row->{s} }), $n);
	die { sqlstate => '55000' } unless $self->{down};
	my $s = $self->{down}->($n);
	die { sqlstate => $s } unless ref $s;
	return { %$row, s => $s };
}

sub preferred
{
	my ($self) = @_;

	return $self->{prefer_new} ? 'check' : 'up';
}

sub carry_insert
{
	my ($self, $row, $n) = @_;
	my $given;

	return $row if !$self->{open} || !defined $n;
	for my $i (0 .. $#{ $self->{s} })
	{
		my $value = $row->{s}[$i];
		my $default = $i == 0 ? $self->{default} : undef;

		next unless defined $value;
		next
		  if defined $default
		  && (!$self->{default_known} || $value eq $default);
		$given = 1;
	}
	return $self->carry($given ? $self->preferred : 'check', $row, $n);
}

sub carry_update
{
	my ($self, $before, $before_n, $row, $n) = @_;
	my $old_side =
	  any { !same($before->{s}[$_], $row->{s}[$_]) } 0 .. $#{ $self->{s} };

	return $row unless $self->{open};
	if (!same($before_n, $n))
	{
		return $self->carry($self->preferred, $row, $n) if $old_side;
		return $self->carry(defined $before_n ? 'down' : 'check', $row, $n);
	}
	return $row;
}

sub check_row
{
	my ($self, $row) = @_;

	die { sqlstate => '23502' }
	  if $self->{not_null} && any { !defined $_ } @{ $row->{s} };
	return { %$row, filled => 1 };
}

# ---- statements ---------------------------------------------------------------

# new_row(\%values): the row that an INSERT of these columns makes; a column
# that is not there, or undef in a ref, has its default.
sub new_row
{
	my ($self, $values) = @_;
	my @s;
	my $n;

	for my $column (@{ $self->{s} })
	{
		push @s,
		    exists $values->{$column} ? $values->{$column}
		  : @s == 0                   ? $self->{default}
		  :                             undef;
	}
	$n = $values->{ $self->{n} } if $self->{open};
	return $self->check_row($self->carry_insert({ s => \@s }, $n));
}

sub insert
{
	my ($self, $rows, $id, $values) = @_;

	die "row $id is in the model already" if $rows->{$id};
	$rows->{$id} = $self->new_row($values);
	return;
}

# update_row($row, $before_n, \%set): one of the two things that may become of
# a row that may be filled, or not.
sub update_row
{
	my ($self, $row, $before_n, $set) = @_;
	my %columns;
	my @s = @{ $row->{s} };
	my $n = $before_n;

	@columns{ @{ $self->{s} } } = @s;
	$columns{ $self->{n} } = $n if $self->{open};
	for my $i (0 .. $#s)
	{
		my $column = $self->{s}[$i];
		$s[$i] = $set->{$column}->($columns{$column}) if $set->{$column};
	}
	$n = $set->{ $self->{n} }->($n) if $self->{open} && $set->{ $self->{n} };
	return $self->check_row(
		$self->carry_update($row, $before_n, { %$row, s => \@s }, $n));
}

# update(\%rows, $id, { column => sub { old value -> new value } }).  Dies with
# "ambiguous" if it makes a difference whether the backfill was there before.
sub update
{
	my ($self, $rows, $id, $set) = @_;
	my $row = $rows->{$id} or return;
	my $now = outcome($self, $row, $self->{up}->(@{ $row->{s} }), $set);

	if ($self->{open} && !$row->{filled})
	{
		my $unfilled = outcome($self, $row, undef, $set);

		die "ambiguous\n"
		  if ($now->{sqlstate} // '') ne ($unfilled->{sqlstate} // '')
		  || !$now->{sqlstate}
		  && any { !same($now->{s}[$_], $unfilled->{s}[$_]) } 0 .. $#{ $self->{s} };
	}
	die $now if $now->{sqlstate};
	$rows->{$id} = $now;
	return;
}

sub outcome
{
	my ($self, $row, $before_n, $set) = @_;
	my $result = eval { $self->update_row($row, $before_n, $set) };

	return $result if $result;
	die $@ unless ref $@;
	return $@;
}

# The columns of a row by name, as a query would return them.
sub columns
{
	my ($self, $row) = @_;
	my %columns;

	@columns{ @{ $self->{s} } } = @{ $row->{s} };
	$columns{ $self->{n} } = $self->{up}->(@{ $row->{s} }) if $self->{open};
	return \%columns;
}

1;
