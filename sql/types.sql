-- A column of every type, copied to another one, and compared as text.
CREATE SCHEMA types;
CREATE TYPE types.mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE types.pair AS (a integer, b text);
CREATE DOMAIN types.positive AS integer CHECK (value > 0);
CREATE TYPE types.span AS RANGE (subtype = float8);

CREATE TABLE types.list (n integer GENERATED ALWAYS AS IDENTITY, type text, example text);
INSERT INTO types.list (type, example) VALUES
	('boolean', 'true'), ('smallint', '-32768'), ('integer', '2147483647'), ('bigint', '-9223372036854775808'),
	('real', '1.5e-30'), ('double precision', 'NaN'), ('numeric', '1234567890123456789.0123456789'), ('numeric', '-Infinity'),
	('numeric(10,2)', '12345678.90'), ('money', '12.34'),
	('text', 'täxt €'), ('varchar', 'v'), ('varchar(7)', 'seven 7'), ('char(7)', 'pad'), ('"char"', 'c'), ('name', 'a name'), ('bpchar', 'b '),
	('bytea', '\x00ff61'), ('bit(5)', '10101'), ('bit varying', '0'), ('bit varying(9)', '111000111'),
	('date', 'infinity'), ('time', '24:00:00'), ('time(2)', '12:34:56.78'), ('timetz', '12:34:56+02'),
	('timestamp', '0044-03-15 12:00:00 BC'), ('timestamptz', '2024-02-29 23:59:59.999999+00'), ('timestamptz(0)', '2024-02-29 12:00:00+00'),
	('interval', '1 year 2 mons -3 days 04:05:06.7'), ('interval day to second(3)', '3 days 04:05:06.789'),
	('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'), ('inet', '::1/64'), ('cidr', '10.1.0.0/16'),
	('macaddr', '08:00:2b:01:02:03'), ('macaddr8', '08:00:2b:01:02:03:04:05'),
	('json', '{"a":  1, "a": [2]}'), ('jsonb', '{"a": {"b": [1, null, "x"]}}'), ('jsonpath', '$."a"[*]?(@ > 1)'), ('xml', '<a>x</a>'),
	('point', '(1,2)'), ('line', '{1,2,3}'), ('lseg', '[(1,2),(3,4)]'), ('box', '(3,4),(1,2)'), ('path', '[(1,2),(3,4)]'),
	('polygon', '((1,2),(3,4),(5,6))'), ('circle', '<(1,2),3>'),
	('tsvector', '''a'':1A ''b'':2'), ('tsquery', '''a'' & !''b'''),
	('int4range', '[1,5)'), ('int8range', 'empty'), ('numrange', '(,1.5]'), ('tsrange', '["2024-01-01 00:00:00",)'),
	('tstzrange', 'empty'), ('daterange', '[2024-01-01,2024-02-01)'),
	('int4multirange', '{[1,3),[5,8)}'), ('int8multirange', '{}'), ('nummultirange', '{[1.5,2.5]}'),
	('tsmultirange', '{}'), ('tstzmultirange', '{}'), ('datemultirange', '{[2024-01-01,2024-02-01)}'),
	('oid', '4294967295'), ('xid', '4294967295'), ('xid8', '18446744073709551615'), ('cid', '7'), ('tid', '(1,2)'),
	('pg_lsn', 'FFFFFFFF/FFFFFFFF'), ('pg_snapshot', '10:20:10,14,15'), ('txid_snapshot', '10:20:10,14,15'), ('aclitem', 'pg_monitor=r/pg_monitor'),
	('regclass', 'pg_class'), ('regtype', 'integer'), ('regproc', 'now'), ('regprocedure', 'abs(integer)'), ('regoper', '|/'),
	('regoperator', '+(integer,integer)'), ('regnamespace', 'pg_catalog'), ('regrole', 'pg_monitor'), ('regconfig', 'simple'),
	('regdictionary', 'simple'), ('regcollation', '"C"'), ('refcursor', 'r'), ('oidvector', '1 2 3'), ('int2vector', '1 2 3'),
	('integer[]', '[2:3]={1,NULL}'), ('integer[][]', '{{1,2},{3,4}}'), ('text[]', '{"a b",NULL,"NULL",""}'), ('numeric(5,1)[]', '{1.5,2.0}'),
	('jsonb[]', '{"{\"a\": 1}"}'), ('point[]', '{"(1,2)"}'),
	('types.mood', 'happy'), ('types.mood[]', '{sad,happy}'), ('types.pair', '(1,"x y")'), ('types.pair[]', '{"(1,x)","(2,)"}'),
	('types.positive', '7'), ('types.positive[]', '{1,2}'), ('types.span', '[1.5,2.5)'), ('types.span_multirange', '{[1.5,2.5)}');

-- A server may be built without it.
DELETE FROM types.list WHERE type = 'xml' AND NOT EXISTS (SELECT FROM pg_config WHERE name = 'CONFIGURE' AND setting LIKE '%libxml%');

-- Every built-in type that a table may have is in the list (but for those that
-- only catalogs have).
SELECT t.oid::regtype FROM pg_type t
 WHERE t.typnamespace = 'pg_catalog'::regnamespace AND t.typtype IN ('b', 'r', 'm', 'e') AND t.typcategory <> 'A' AND t.typname !~ '^(pg_|gts|xml)'
   AND NOT EXISTS (SELECT FROM types.list l WHERE to_regtype(l.type) = t.oid)
 ORDER BY 1;

SELECT 'CREATE TABLE types.t (id integer, ' || string_agg(format('s%s %s, d%s %2$s', n, type, n), ', ' ORDER BY n) || ')' AS make,
	   format('INSERT INTO types.t (id, %s) SELECT g, %s FROM generate_series(1, 40) g',
			  string_agg('s' || n, ', ' ORDER BY n), string_agg(format('%L::%s', example, type), ', ' ORDER BY n)) AS fill,
	   string_agg(format('d%s = s%1$s', n), ', ' ORDER BY n) AS copy,
	   string_agg(format('d%s = s%1$s::text::%s', n, type), ', ' ORDER BY n) FILTER (WHERE type NOT IN ('types.pair', 'types.pair[]')) AS by_text
  FROM types.list \gset
\set ECHO none
:make;
:fill;
\set ECHO all
INSERT INTO types.t (id) VALUES (0);
SELECT count(*) AS columns FROM types.list;

SELECT pgxc.start_backfill('types.t', :'copy', name => 'types') > 0 AS started \gset
CALL pgxc.wait('types');
SELECT rows_updated FROM pgxc.migrations WHERE name = 'types';

-- Nothing is listed here: each value is the same as text, and NULL is NULL.
CREATE FUNCTION types.compare() RETURNS TABLE (type text, id integer, source text, target text) LANGUAGE plpgsql AS $$
DECLARE
	n integer;
BEGIN
	FOR n, type IN SELECT l.n, l.type FROM types.list l ORDER BY 1 LOOP
		RETURN QUERY EXECUTE format('SELECT %L, id, s%s::text, d%2$s::text FROM types.t'
			' WHERE s%2$s::text IS DISTINCT FROM d%2$s::text COLLATE "C" OR (id > 0) <> (d%2$s::text IS NOT NULL)', type, n);
	END LOOP;
END $$;
SELECT * FROM types.compare();

-- Once more: no row differs.
SELECT pgxc.start_backfill('types.t', :'copy', name => 'types again') > 0 AS started \gset
CALL pgxc.wait('types again');
SELECT rows_updated FROM pgxc.migrations WHERE name = 'types again';

-- From text and back, with the casts that the types have (the two composite
-- types are left out).
SELECT 'UPDATE types.t SET ' || string_agg(format('d%s = NULL', n), ', ') AS empty FROM types.list \gset
\set ECHO none
:empty;
\set ECHO all
SELECT pgxc.start_backfill('types.t', :'by_text', name => 'types by text') > 0 AS started \gset
CALL pgxc.wait('types by text');
SELECT DISTINCT type FROM types.compare();

-- A value that does not fit its column is a bad row, not a shorter value.
CREATE TABLE types.short (id integer PRIMARY KEY, a text, b varchar(3), c numeric(3,1), d types.positive, e types.mood);
INSERT INTO types.short (id, a) VALUES (1, '1'), (2, '1234'), (3, '-3'), (4, 'sad');
SELECT FROM pgxc.start_backfill('types.short', 'b = a', name => 'short b', max_row_errors => 10);
SELECT FROM pgxc.start_backfill('types.short', 'c = a::numeric', name => 'short c', max_row_errors => 10);
SELECT FROM pgxc.start_backfill('types.short', 'd = a::integer', name => 'short d', max_row_errors => 10);
SELECT FROM pgxc.start_backfill('types.short', 'e = a::types.mood', name => 'short e', max_row_errors => 10);
CALL pgxc.wait('short b');
CALL pgxc.wait('short c');
CALL pgxc.wait('short d');
CALL pgxc.wait('short e');
SELECT * FROM types.short ORDER BY id;
SELECT migration, key, sqlstate, message FROM pgxc.row_errors WHERE migration LIKE 'short _' ORDER BY 1, 2;
\set VERBOSITY terse
DROP SCHEMA types CASCADE;
