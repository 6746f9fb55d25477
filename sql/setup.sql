-- The extension, the roles and the helpers that all other tests use.
CREATE EXTENSION pgxc;

CREATE ROLE regress_pgxc_owner;
CREATE ROLE regress_pgxc_other;
CREATE ROLE regress_pgxc_bypass BYPASSRLS;
CREATE ROLE regress_pgxc_monitor IN ROLE pg_monitor;

CREATE SCHEMA helper;
GRANT USAGE ON SCHEMA helper TO PUBLIC;

-- What a verb answers: the new state, or the error.
CREATE FUNCTION helper.try(verb text, migration text) RETURNS text
	LANGUAGE plpgsql AS $$
DECLARE
	result text;
	hint text;
BEGIN
	EXECUTE format('SELECT pgxc.%I(%L::text)', verb, migration) INTO result;
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	RETURN format('%s %s', SQLSTATE, SQLERRM) || coalesce(' / ' || nullif(hint, ''), '');
END $$;

-- Blocks until a migration is in a state that pgxc.wait() does not wait for
-- ('running' includes that its tables were found).
CREATE PROCEDURE helper.until_state(migration text, wanted text)
	LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 6000 LOOP
		IF EXISTS (SELECT FROM pgxc.migrations m WHERE m.name = migration AND m.state = wanted)
		   AND (wanted <> 'running' OR EXISTS (
				SELECT FROM pgxc.events e WHERE e.migration = until_state.migration AND e.event = 'planned')) THEN
			RETURN;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.01); -- not a wait: polls the view, which has no other way
	END LOOP;
	RAISE EXCEPTION 'migration % did not become % in a minute', migration, wanted;
END $$;

-- The same for the reason that it gives for waiting.
CREATE PROCEDURE helper.until_reason(migration text, wanted text)
	LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 6000 LOOP
		IF EXISTS (SELECT FROM pgxc.migrations m WHERE m.name = migration AND m.wait_reason LIKE wanted) THEN
			RETURN;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.01); -- not a wait: polls the view, which has no other way
	END LOOP;
	RAISE EXCEPTION 'migration % did not wait for % in a minute', migration, wanted;
END $$;

-- Its history in words, without what differs from run to run.
CREATE FUNCTION helper.history(migration text)
	RETURNS TABLE (event text, from_state text, to_state text, detail text)
	LANGUAGE sql AS $$
	SELECT e.event, e.from_state, e.to_state, e.detail
	  FROM pgxc.events e
	 WHERE e.migration = $1 AND e.event <> 'throttle'
	 ORDER BY e.id
$$;

-- All that the catalog says of the tables of a schema and of what belongs to
-- them, without the places of the columns, numbers of objects, and the schema.
CREATE FUNCTION helper.facts(namespace name) RETURNS SETOF text
	LANGUAGE sql SET search_path = pg_catalog AS $$
	WITH rel AS (
		SELECT c.*, c.oid::regclass::text AS called FROM pg_class c WHERE c.relnamespace = namespace::regnamespace
	), facts (fact) AS (
		SELECT format('%s %s: owner %s acl %s options %s persistence %s replica identity %s rls %s %s bound %s key %s comment %s tablespace %s', CASE relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'table' WHEN 'S' THEN 'sequence' ELSE relkind::text END,
			   called, relowner::regrole, relacl, reloptions, relpersistence, relreplident, relrowsecurity, relforcerowsecurity, pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid), obj_description(oid, 'pg_class'), reltablespace)
		  FROM rel WHERE relkind NOT IN ('i', 'I')
		UNION ALL
		SELECT format('column %s.%s: %s collation %s not null %s default %s identity %s generated %s storage %s compression %s statistics %s options %s acl %s local %s inherited %s comment %s', called, attname,
			   format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, pg_get_expr(adbin, adrelid), attidentity, attgenerated, attstorage, attcompression, coalesce(nullif(attstattarget::integer, -1)::text, 'default'), (SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) o WHERE o LIKE 'n_distinct%'), attacl, attislocal, attinhcount,
			   col_description(attrelid, attnum))
		  FROM rel JOIN pg_attribute a ON a.attrelid = rel.oid AND attnum > 0 AND NOT attisdropped LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum WHERE relkind NOT IN ('i', 'I')
		UNION ALL
		SELECT format('index %s: unique %s %s primary %s exclusion %s immediate %s clustered %s valid %s %s live %s replica identity %s tablespace %s parent %s comment %s targets %s', pg_get_indexdef(rel.oid), indisunique, to_jsonb(i)->'indnullsnotdistinct', indisprimary, indisexclusion, indimmediate, indisclustered, indisvalid,
			   indisready, indislive, indisreplident, reltablespace, (SELECT inhparent::regclass FROM pg_inherits WHERE inhrelid = rel.oid), obj_description(rel.oid, 'pg_class'), (SELECT array_agg(coalesce(nullif(attstattarget::integer, -1)::text, '-') ORDER BY attnum) FROM pg_attribute WHERE attrelid = rel.oid))
		  FROM rel JOIN pg_index i ON indexrelid = rel.oid
		UNION ALL
		SELECT format('constraint %s on %s: %s type %s deferrable %s %s validated %s no inherit %s local %s inherited %s parent %s index %s comment %s', conname, called, pg_get_constraintdef(n.oid), contype, condeferrable, condeferred, convalidated, CASE contype WHEN 'c' THEN connoinherit END, conislocal, coninhcount,
			   (SELECT conname FROM pg_constraint p WHERE p.oid = n.conparentid), nullif(conindid, 0)::regclass, obj_description(n.oid, 'pg_constraint'))
		  FROM rel JOIN pg_constraint n ON conrelid = rel.oid AND contype <> 'n'
		UNION ALL
		SELECT format('trigger %s enabled %s internal %s parent %s comment %s', CASE WHEN tgisinternal THEN 'of ' || conname || ' on ' || called || ' ' || tgfoid::regproc ELSE pg_get_triggerdef(t.oid) END, tgenabled, tgisinternal, tgparentid <> 0, obj_description(t.oid, 'pg_trigger'))
		  FROM rel JOIN pg_trigger t ON tgrelid = rel.oid LEFT JOIN pg_constraint n ON n.oid = tgconstraint
		UNION ALL
		SELECT format('policy %s on %s: %s for %s to %s using %s check %s comment %s', polname, called, polpermissive, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid), obj_description(p.oid, 'pg_policy'))
		  FROM rel JOIN pg_policy p ON polrelid = rel.oid
		UNION ALL
		SELECT format('statistics %s.%s of %s: %s on %s %s owner %s target %s comment %s', stxnamespace::regnamespace, stxname, called, stxkind, (SELECT array_agg(attname ORDER BY attname) FROM pg_attribute WHERE attrelid = rel.oid AND attnum = ANY (stxkeys::int2[])), pg_get_statisticsobjdef_expressions(s.oid), stxowner::regrole, coalesce(nullif(stxstattarget::integer, -1)::text, 'default'), obj_description(s.oid, 'pg_statistic_ext'))
		  FROM rel JOIN pg_statistic_ext s ON stxrelid = rel.oid
		UNION ALL
		SELECT format('sequence %s: %s start %s increment %s max %s min %s cache %s cycle %s of %s last %s', called, seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle,
			   (SELECT string_agg(refobjid::regclass || '.' || attname || ' ' || deptype::text, ', ') FROM pg_depend JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid WHERE classid = 'pg_class'::regclass AND objid = rel.oid AND refobjsubid > 0),
			   pg_sequence_last_value(rel.oid))
		  FROM rel JOIN pg_sequence ON seqrelid = rel.oid
		UNION ALL
		SELECT format('%s comment %s', pg_get_ruledef(r.oid), obj_description(r.oid, 'pg_rewrite')) FROM rel JOIN pg_rewrite r ON ev_class = rel.oid
		UNION ALL
		SELECT format('publication of %s: columns %s where %s', called, (SELECT array_agg(attname ORDER BY attname) FROM pg_attribute WHERE attrelid = rel.oid AND attnum = ANY (prattrs::int2[])), pg_get_expr(prqual, prrelid))
		  FROM rel JOIN pg_publication_rel ON prrelid = rel.oid
		UNION ALL
		SELECT format('%s%s depends on role %s %s', called, (SELECT '.' || attname FROM pg_attribute WHERE attrelid = objid AND attnum = objsubid AND attnum <> 0), refobjid::regrole, s.deptype)
		  FROM rel JOIN pg_shdepend s ON classid = 'pg_class'::regclass AND objid = rel.oid AND refclassid = 'pg_authid'::regclass AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
		UNION
		SELECT format('dependency of %s %s on %s %s: %s', a.type, a.identity, b.type, b.identity, deptype)
		  FROM pg_depend, pg_identify_object(classid, objid, objsubid) a, pg_identify_object(refclassid, refobjid, refobjsubid) b
		 WHERE strpos(a.identity || ' ' || b.identity, namespace || '.') > 0 AND (a.identity || b.identity) NOT LIKE '%pg_toast%' AND a.type <> 'schema'
			   AND NOT (classid = 'pg_constraint'::regclass AND EXISTS (SELECT FROM pg_constraint n WHERE n.oid = objid AND n.contype = 'n'))
		UNION ALL
		SELECT format('row type %s owner %s', typname, typowner::regrole) FROM pg_type WHERE typnamespace = namespace::regnamespace
	)
	SELECT regexp_replace(replace(fact, namespace, 'S'), '(ConstraintTrigger_[a-z_]*)\d+', '\1', 'g') FROM facts
$$;

-- What one schema has and the other has not.
CREATE FUNCTION helper.differences(one name, other name) RETURNS TABLE (only_in name, fact text)
	LANGUAGE sql AS $$
	SELECT d.* FROM (
		(SELECT one, f FROM helper.facts(one) f EXCEPT ALL SELECT one, f FROM helper.facts(other) f)
		UNION ALL
		(SELECT other, f FROM helper.facts(other) f EXCEPT ALL SELECT other, f FROM helper.facts(one) f)) d (only_in, fact)
	 ORDER BY d.fact COLLATE "C", d.only_in
$$;
