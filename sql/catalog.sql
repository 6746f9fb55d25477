-- What the extension consists of, and who may use it.
SELECT pg_describe_object(classid, objid, objsubid) COLLATE "C" AS member
  FROM pg_depend
 WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pgxc')
   AND classid <> 'pg_type'::regclass
 ORDER BY 1;

-- Every function and every view says what it does.
SELECT p.oid::regprocedure FROM pg_proc p
 WHERE p.pronamespace = 'pgxc'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass FROM pg_class c
 WHERE c.relnamespace = 'pgxc'::regnamespace AND c.relkind = 'v' AND obj_description(c.oid, 'pg_class') IS NULL;

-- The views are for everybody, to read; tables and sequences for nobody.
SELECT c.relname, c.relkind, a.privilege_type,
	   CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE a.grantee::regrole::text END AS grantee
  FROM pg_class c, aclexplode(c.relacl) a
 WHERE c.relnamespace = 'pgxc'::regnamespace AND a.grantee <> c.relowner
 ORDER BY 1, 3;
SELECT c.relname FROM pg_class c
 WHERE c.relnamespace = 'pgxc'::regnamespace AND c.relkind IN ('r', 'S')
   AND (CASE c.relkind WHEN 'S' THEN has_sequence_privilege('regress_pgxc_other', c.oid, 'USAGE, SELECT, UPDATE')
		ELSE has_any_column_privilege('regress_pgxc_other', c.oid, 'SELECT, INSERT, UPDATE')
			 OR has_table_privilege('regress_pgxc_other', c.oid, 'DELETE, TRUNCATE') END);
SELECT has_schema_privilege('regress_pgxc_other', 'pgxc', 'USAGE') AS usage,
	   has_schema_privilege('regress_pgxc_other', 'pgxc', 'CREATE') AS create;

-- A view that shows only some rows must not leak the others.
SELECT c.relname, c.reloptions FROM pg_class c
 WHERE c.relnamespace = 'pgxc'::regnamespace AND c.relkind = 'v' ORDER BY 1;

-- No function has more rights than its caller.
SELECT p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = 'pgxc'::regnamespace AND p.prosecdef;

-- What goes into a dump: the migrations and their history, no block numbers.
SELECT c.oid::regclass FROM pg_extension e, unnest(e.extconfig) u(relid), pg_class c
 WHERE e.extname = 'pgxc' AND c.oid = u.relid ORDER BY c.relname;

-- The columns of the views.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type
  FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
 WHERE c.relnamespace = 'pgxc'::regnamespace AND c.relkind = 'v'
 ORDER BY c.relname, a.attnum;
