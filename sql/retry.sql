-- What an error means for a migration, and how long it waits after one.
CREATE FUNCTION pg_temp.error_class(text) RETURNS text
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_error_class';
CREATE FUNCTION pg_temp.backoff(bigint, integer, bigint) RETURNS bigint
	LANGUAGE c STRICT AS 'pgxc', 'pgxc_test_backoff';

SELECT state, pg_temp.error_class(state) AS class, meaning
  FROM (VALUES
		('40P01', 'deadlock_detected'),
		('40001', 'serialization_failure'),
		('55P03', 'lock_not_available'),
		('55006', 'object_in_use'),
		('22P02', 'invalid_text_representation'),
		('22003', 'numeric_value_out_of_range'),
		('22012', 'division_by_zero'),
		('21000', 'cardinality_violation'),
		('23502', 'not_null_violation'),
		('23505', 'unique_violation'),
		('23514', 'check_violation'),
		('44000', 'with_check_option_violation'),
		('54000', 'program_limit_exceeded'),
		('P0001', 'raise_exception'),
		('P0004', 'assert_failure'),
		('U0001', 'a code that a user made up'),
		('53100', 'disk_full'),
		('53200', 'out_of_memory'),
		('53300', 'too_many_connections'),
		('53400', 'configuration_limit_exceeded'),
		('25006', 'read_only_sql_transaction'),
		('57P03', 'cannot_connect_now'),
		('57P01', 'admin_shutdown'),
		('58030', 'io_error'),
		('08006', 'connection_failure'),
		('57014', 'query_canceled'),
		('42601', 'syntax_error'),
		('42703', 'undefined_column'),
		('42883', 'undefined_function'),
		('42501', 'insufficient_privilege'),
		('42P01', 'undefined_table'),
		('0A000', 'feature_not_supported'),
		('3F000', 'invalid_schema_name'),
		('55000', 'object_not_in_prerequisite_state'),
		('XX000', 'internal_error'),
		('XX001', 'data_corrupted'),
		('XX002', 'index_corrupted')) v(state, meaning);
SELECT pg_temp.error_class('42') IS NULL AS no_sqlstate;

-- Doubles from the first value up to the cap, and stays there.
SELECT n AS tries, pg_temp.backoff(20, n, 5000) AS contention,
	   pg_temp.backoff(250, n, 30000) AS revisit, pg_temp.backoff(5000, n, 300000) AS blocked
  FROM generate_series(0, 9) n;
SELECT pg_temp.backoff(5000, 2147483647, 300000) AS no_overflow, pg_temp.backoff(10, 0, 5) AS cap_below_first;
