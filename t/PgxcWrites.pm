# PgxcWrites: random statements of one session, and what they do to a model.
#
#   my $writes = PgxcWrites->new(model => $model, table => 't', first_id => 3,
#       id_step => 4, columns => { a => { type, value, expressions } });
#   my $op = $writes->next_op([ 'a' ]);
#   $writes->{rows}                       # as they are after it
#
# Each session has keys of its own (first_id, first_id + id_step, ...), so that
# the model is right whatever the sessions do at the same time.  A column has a
# type, a sub that makes a value of it, and a list of [ SQL, sub ]: expressions
# over its old value, %s, and what they make of it.
package PgxcWrites;

use strict;
use warnings;

use List::Util qw(shuffle uniq);

sub new
{
	my ($class, %fields) = @_;

	return bless {
		last_id => $fields{first_id} - $fields{id_step},
		rows => {},
		prepared => {},
		vague => 0,
		%fields }, $class;
}

# What is done, and how often.
my %weight = (
	insert => 4,
	insert_many => 2,
	on_conflict_update => 5,
	on_conflict_nothing => 1,
	update => 8,
	update_many => 3,
	update_range => 1,
	update_from => 2,
	update_in_cte => 2,
	update_cursor => 1,
	update_id => 2,
	touch => 2,
	execute => 4,
	delete => 2,
	copy => 2,
	merge => 3,
	transaction => 3);
my @deck = map { ($_) x $weight{$_} } sort keys %weight;

# These need the type of a column, which changes under a type change.
my %typed = map { $_ => 1 } qw(update_from merge execute);

sub one_of
{
	return $_[ rand @_ ];
}

sub quote
{
	my ($value) = @_;

	return 'NULL' unless defined $value;
	$value =~ s/'/''/g;
	return "'$value'";
}

# ---- choosing rows and values --------------------------------------------------

sub new_id
{
	my ($self) = @_;

	return $self->{last_id} += $self->{id_step};
}

# Some of the rows, at least one if there is one.
sub some_ids
{
	my ($self, $rows, $most) = @_;
	my @ids = sort { $a <=> $b } keys %$rows;

	return () unless @ids;
	return sort { $a <=> $b }
	  uniq(map { one_of(@ids) } 1 .. 1 + int rand $most);
}

sub value
{
	my ($self, $column) = @_;

	return undef
	  if rand() < 0.08 && !$self->{model}{not_null} && !$self->{no_nulls};
	return $self->{columns}{$column}{value}->();
}

# The values of a row, by column: any of the columns, or none.  Somebody who
# gives both shapes often gives the same.
sub row_values
{
	my ($self, $columns) = @_;
	my $model = $self->{model};
	my %values = map { $_ => $self->value($_) } grep { rand() < 0.75 } @$columns;

	if ($model->{open} && exists $values{ $model->{n} } && rand() < 0.3)
	{
		my $same =
		  $model->{up}->(map { $values{$_} } @{ $model->{s} });

		$values{ $model->{n} } = $same if defined $same;
	}
	return \%values;
}

# Any of the columns, at least one: SQL, and subs for the model.
sub assignments
{
	my ($self, $columns) = @_;
	my @columns = (shuffle(@$columns))[ 0 .. int rand @$columns ];
	my (@sql, %set);

	for my $column (@columns)
	{
		my @expressions = @{ $self->{columns}{$column}{expressions} };

		if (@expressions && !$self->{vague} && rand() < 0.3)
		{
			my ($sql, $sub) = @{ one_of(@expressions) };
			push @sql, "$column = " . sprintf($sql, "t.$column");
			$set{$column} = sub { defined $_[0] ? $sub->($_[0]) : undef };
		}
		else
		{
			my $value = $self->value($column);
			push @sql, "$column = " . quote($value);
			$set{$column} = sub { $value };
		}
	}
	return (join(', ', @sql), \%set);
}

# ---- the statements: { sql, ids that it touches, what it does to the rows } ------

# INSERT of one row or of several, with DEFAULT here and there.
sub insert_rows
{
	my ($self, $columns, @ids) = @_;
	my @columns = grep { rand() < 0.75 } @$columns;
	my (@sql, %values);

	for my $id (@ids)
	{
		my $row = $self->row_values(\@columns);
		push @sql,
		  '('
		  . join(', ',
			$id, map { exists $row->{$_} ? quote($row->{$_}) : 'DEFAULT' } @columns)
		  . ')';
		$values{$id} = $row;
	}
	return {
		sql => "INSERT INTO $self->{table} AS t ("
		  . join(', ', 'id', @columns)
		  . ') VALUES '
		  . join(', ', @sql),
		ids => [@ids],
		values => \%values,
		apply => sub {
			my ($rows) = @_;
			$self->{model}->insert($rows, $_, $values{$_}) for @ids;
		} };
}

sub op_insert
{
	my ($self, $rows, $columns) = @_;

	return $self->insert_rows($columns, $self->new_id);
}

sub op_insert_many
{
	my ($self, $rows, $columns) = @_;

	return $self->insert_rows($columns, map { $self->new_id } 0 .. 1 + int rand 4);
}

sub conflict_ids
{
	my ($self, $rows) = @_;

	return uniq($self->some_ids($rows, 2), rand() < 0.5 ? $self->new_id : ());
}

# The proposed row has been through the trigger when EXCLUDED is read.
sub op_on_conflict_update
{
	my ($self, $rows, $columns) = @_;
	my @ids = $self->conflict_ids($rows) or return;
	my $op = $self->insert_rows($columns, @ids);
	my ($sql, $set) = $self->assignments($columns);
	my $model = $self->{model};
	my $excluded = rand() < 0.5 ? one_of(@$columns) : undef;

	$sql = "$excluded = EXCLUDED.$excluded" if $excluded;
	$op->{sql} .= " ON CONFLICT (id) DO UPDATE SET $sql";
	$op->{apply} = sub {
		my ($rows) = @_;

		for my $id (@ids)
		{
			my $row = $model->new_row($op->{values}{$id});

			if (!$rows->{$id})
			{
				$rows->{$id} = $row;
				next;
			}
			if ($excluded)
			{
				my $value = $model->columns($row)->{$excluded};
				$set = { $excluded => sub { $value } };
			}
			$model->update($rows, $id, $set);
		}
	};
	return $op;
}

sub op_on_conflict_nothing
{
	my ($self, $rows, $columns) = @_;
	my @ids = $self->conflict_ids($rows) or return;
	my $op = $self->insert_rows($columns, @ids);
	my $model = $self->{model};

	$op->{sql} .= ' ON CONFLICT DO NOTHING';
	$op->{apply} = sub {
		my ($rows) = @_;

		for my $id (@ids)
		{
			my $row = $model->new_row($op->{values}{$id});
			$rows->{$id} //= $row;
		}
	};
	return $op;
}

sub update_rows
{
	my ($self, $columns, $where, @ids) = @_;
	my ($sql, $set) = $self->assignments($columns);

	return {
		sql => "UPDATE $self->{table} t SET $sql WHERE $where",
		ids => [@ids],
		apply => sub {
			my ($rows) = @_;
			$self->{model}->update($rows, $_, $set) for @ids;
		} };
}

sub op_update
{
	my ($self, $rows, $columns) = @_;
	my ($id) = $self->some_ids($rows, 1) or return;

	return $self->update_rows($columns, "id = $id", $id);
}

sub op_update_many
{
	my ($self, $rows, $columns) = @_;
	my @ids = $self->some_ids($rows, 5) or return;

	return $self->update_rows($columns, 'id IN (' . join(', ', @ids) . ')', @ids);
}

sub op_update_range
{
	my ($self, $rows, $columns) = @_;
	my ($low) = $self->some_ids($rows, 1) or return;
	my $high = $low + 12 * $self->{id_step};
	my @ids =
	  sort { $a <=> $b }
	  grep { $_ >= $low && $_ <= $high } keys %$rows;

	return $self->update_rows(
		$columns,
		"id BETWEEN $low AND $high AND id % $self->{id_step} = "
		  . $self->{first_id} % $self->{id_step},
		@ids);
}

sub op_update_in_cte
{
	my ($self, $rows, $columns) = @_;
	my @ids = $self->some_ids($rows, 3) or return;
	my $op = $self->update_rows($columns, 'id IN (' . join(', ', @ids) . ')', @ids);

	$op->{sql} =
	  "WITH u AS ($op->{sql} RETURNING id) SELECT count(*) AS ignored FROM u \\gset";
	return $op;
}

sub op_update_cursor
{
	my ($self, $rows, $columns) = @_;
	my ($id) = $self->some_ids($rows, 1) or return;
	my $op = $self->update_rows($columns, 'CURRENT OF c', $id);

	$op->{before} = [
		'BEGIN', "DECLARE c CURSOR FOR SELECT id FROM $self->{table} WHERE id + 0 = $id FOR UPDATE",
		'MOVE c' ];
	$op->{after} = ['COMMIT'];
	return $op;
}

# In a table that is partitioned by id this moves the row.
sub op_update_id
{
	my ($self, $rows, $columns) = @_;
	my ($id) = $self->some_ids($rows, 1) or return;
	my $new_id = $self->new_id;
	my $op = $self->update_rows($columns, "id = $id", $id);
	my $apply = $op->{apply};
	my $alone = rand() < 0.5;

	if ($alone)
	{
		$op->{sql} = "UPDATE $self->{table} SET id = $new_id WHERE id = $id";
	}
	else
	{
		$op->{sql} =~ s/ SET / SET id = $new_id, /;
	}
	$op->{ids} = [ $id, $new_id ];
	$op->{apply} = sub {
		my ($rows) = @_;

		$alone ? $self->{model}->update($rows, $id, {}) : $apply->($rows);
		$rows->{$new_id} = delete $rows->{$id};
	};
	return $op;
}

# An UPDATE of a column that has nothing to do with the migration.
sub op_touch
{
	my ($self, $rows) = @_;
	my @ids = $self->some_ids($rows, 3) or return;

	return {
		sql => "UPDATE $self->{table} SET o = o + 1 WHERE id IN ("
		  . join(', ', @ids) . ')',
		ids => [@ids],
		apply => sub {
			my ($rows) = @_;
			$self->{model}->update($rows, $_, {}) for @ids;
		} };
}

# Another value for each row.
sub op_update_from
{
	my ($self, $rows, $columns) = @_;
	my @ids = $self->some_ids($rows, 4) or return;
	my $column = one_of(@$columns);
	my $type = $self->{columns}{$column}{type};
	my %values = map { $_ => $self->value($column) } @ids;

	return {
		sql => "UPDATE $self->{table} t SET $column = x.value FROM (VALUES "
		  . join(', ', map { "($_, " . quote($values{$_}) . "::$type)" } @ids)
		  . ') x (id, value) WHERE t.id = x.id',
		ids => [@ids],
		apply => sub {
			my ($rows) = @_;
			for my $id (@ids)
			{
				$self->{model}->update($rows, $id, { $column => sub { $values{$id} } });
			}
		} };
}

sub op_merge
{
	my ($self, $rows, $columns) = @_;
	my @ids = uniq($self->some_ids($rows, 3), $self->new_id);
	my ($in, $up) = (one_of(@$columns), one_of(@$columns));
	my $type = $self->{columns}{$in}{type};
	my %values = map { $_ => $self->value($in) } @ids;
	my $fixed = $self->value($up);
	my $update = $in eq $up ? 'x.value' : quote($fixed);

	return {
		sql => "MERGE INTO $self->{table} t USING (VALUES "
		  . join(', ', map { "($_, " . quote($values{$_}) . "::$type)" } @ids)
		  . ") x (id, value) ON t.id = x.id WHEN MATCHED THEN UPDATE SET $up = $update"
		  . " WHEN NOT MATCHED THEN INSERT (id, $in) VALUES (x.id, x.value)",
		ids => [@ids],
		apply => sub {
			my ($rows) = @_;
			for my $id (@ids)
			{
				if ($rows->{$id})
				{
					my $value = $in eq $up ? $values{$id} : $fixed;
					$self->{model}->update($rows, $id, { $up => sub { $value } });
				}
				else
				{
					$self->{model}->insert($rows, $id, { $in => $values{$id} });
				}
			}
		} };
}

# A statement that was prepared long ago, of before_round() or later.
sub op_execute
{
	my ($self, $rows, $columns) = @_;
	my $column = one_of(grep { $self->{prepared}{$_} } @$columns) // return;
	my $insert = rand() < 0.4;
	my ($id) = $insert ? $self->new_id : $self->some_ids($rows, 1);
	my $value = $self->value($column);

	return unless defined $id;
	return {
		sql => sprintf('EXECUTE %s_%s (%s, %d)',
			$insert ? 'insert' : 'update',
			$column, quote($value), $id),
		ids => [$id],
		apply => sub {
			my ($rows) = @_;
			$insert
			  ? $self->{model}->insert($rows, $id, { $column => $value })
			  : $self->{model}->update($rows, $id, { $column => sub { $value } });
		} };
}

sub prepare
{
	my ($self, @columns) = @_;
	my $sql = '';

	for my $column (@columns)
	{
		my $type = $self->{columns}{$column}{type};

		$sql .= "PREPARE update_$column ($type, integer) AS UPDATE $self->{table} SET $column = \$1 WHERE id = \$2;\n"
		  . "PREPARE insert_$column ($type, integer) AS INSERT INTO $self->{table} ($column, id) VALUES (\$1, \$2);\n";
		$self->{prepared}{$column} = 1;
	}
	return $sql;
}

sub op_delete
{
	my ($self, $rows) = @_;
	my @ids = $self->some_ids($rows, 2) or return;

	return {
		sql => "DELETE FROM $self->{table} WHERE id IN (" . join(', ', @ids) . ')',
		ids => [@ids],
		apply => sub { delete $_[0]{$_} for @ids } };
}

sub copy_field
{
	my ($value) = @_;

	return '\N' unless defined $value;
	$value =~ s/\\/\\\\/g;
	return $value;
}

sub op_copy
{
	my ($self, $rows, $columns) = @_;
	my @columns = grep { rand() < 0.75 } @$columns;
	my (@lines, %values);

	for my $id (map { $self->new_id } 0 .. 1 + int rand 8)
	{
		my $row = $values{$id} = { map { $_ => $self->value($_) } @columns };
		push @lines, join("\t", $id, map { copy_field($row->{$_}) } @columns);
	}
	return {
		sql => "COPY $self->{table} (" . join(', ', 'id', @columns) . ') FROM STDIN',
		data => join("\n", @lines, '\.'),
		ids => [ keys %values ],
		apply => sub {
			my ($rows) = @_;
			for my $id (sort { $a <=> $b } keys %values)
			{
				$self->{model}->insert($rows, $id, $values{$id});
			}
		} };
}

# ---- one after the other -------------------------------------------------------

# Steps that succeed, of which some are taken back.
sub transaction
{
	my ($self, $columns) = @_;
	my @steps = ({ sql => 'BEGIN' });
	my $start = $self->{rows};
	my @ids;

	for my $what ('step', 'savepoint', 'step')
	{
		my $saved = $self->{rows};
		my $back = $what eq 'savepoint';

		push @steps, { sql => 'SAVEPOINT here' } if $back;
		my $op = $self->single($columns, 0);
		push @steps, @{ $op->{steps} };
		push @ids, @{ $op->{ids} };
		next unless $back;
		push @steps, { sql => 'ROLLBACK TO here' };
		$self->{rows} = $saved;
	}
	my $rollback = rand() < 0.25;
	push @steps, { sql => $rollback ? 'ROLLBACK' : 'COMMIT' };
	$self->{rows} = $start if $rollback;
	return { steps => \@steps, ids => \@ids };
}

# One statement; the model has done it when this returns.
sub single
{
	my ($self, $columns, $may_fail) = @_;

	for (1 .. 1000)
	{
		my $what = one_of(@deck);
		next if $what eq 'transaction' || ($self->{vague} && $typed{$what});
		next if !@$columns && $what !~ /^(insert|insert_many|touch|delete|copy)$/;
		next if !$may_fail && $what eq 'update_cursor';
		my $method = "op_$what";
		my %rows = %{ $self->{rows} };
		my $op = $self->$method(\%rows, $columns) or next;
		my $sqlstate = '00000';

		if (!eval { $op->{apply}->(\%rows); 1 })
		{
			my $error = $@;
			next if $error eq "ambiguous\n";
			die $error unless ref $error;
			next if !$may_fail || $op->{before};
			$sqlstate = $error->{sqlstate};
		}
		else
		{
			$self->{rows} = \%rows;
		}
		$self->{seen}{"$what $sqlstate"}++;
		return {
			ids => $op->{ids},
			steps => [
				(map { { sql => $_ } } @{ $op->{before} // [] }),
				{ sql => $op->{sql}, data => $op->{data}, sqlstate => $sqlstate },
				(map { { sql => $_ } } @{ $op->{after} // [] }) ] };
	}
	die 'no statement can be found';
}

# next_op(\@columns): { steps => [ { sql, data, sqlstate } ], ids }.
sub next_op
{
	my ($self, $columns) = @_;

	return $self->transaction($columns)
	  if rand() < $weight{transaction} / @deck;
	return $self->single($columns, 1);
}

1;
