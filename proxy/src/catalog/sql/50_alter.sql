-- alter, drop and refresh of stream tables.

-- The catalog row of a stream table; 42P01 when there is none.
CREATE OR REPLACE FUNCTION pgtrickle.find_stream_table(name text) RETURNS pgtrickle.pgt_stream_tables
LANGUAGE plpgsql STABLE AS $body$
#variable_conflict use_variable
DECLARE
    found_row pgtrickle.pgt_stream_tables;
    parts text[] := parse_ident(name);
BEGIN
    IF array_length(parts, 1) = 2 THEN
        SELECT * INTO found_row FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_schema = parts[1] AND s.pgt_name = parts[2];
    ELSE
        SELECT * INTO found_row FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = to_regclass(quote_ident(parts[1]))::oid;
    END IF;
    IF found_row.pgt_id IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = format('stream table "%s" does not exist', name);
    END IF;
    RETURN found_row;
END
$body$;

-- 42501 unless the caller may act for the owner of the view.
CREATE OR REPLACE FUNCTION pgtrickle.check_owner(relation regclass) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
BEGIN
    IF NOT pg_has_role((SELECT relowner FROM pg_class WHERE oid = relation), 'USAGE') THEN
        RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = format('must be owner of stream table %s', relation);
    END IF;
END
$body$;

-- Views over `relation`, nearest first; recreating them in this order works.
CREATE OR REPLACE FUNCTION pgtrickle.dependent_views(relation regclass) RETURNS TABLE (relid regclass, depth int)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH RECURSIVE above (relid, depth) AS (
        SELECT relation::oid, 0
        UNION
        SELECT r.ev_class, a.depth + 1
        FROM above a
        JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.relid AND d.classid = 'pg_rewrite'::regclass
        JOIN pg_rewrite r ON r.oid = d.objid AND r.ev_class <> a.relid
        WHERE a.depth < 100
    )
    SELECT a.relid::regclass, max(a.depth) FROM above a WHERE a.relid <> relation::oid GROUP BY a.relid ORDER BY 2, 1
$body$;

-- Replaces the query of a stream table: in place when the columns allow it, else by recreating the view and the stream
-- tables over it. Owner, privileges and comments are kept; anything else that depends on it is named in a 2BP01.
CREATE OR REPLACE FUNCTION pgtrickle.replace_view(relation regclass, query text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    qualified text := (SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation);
    path text := current_setting('search_path');
    foreigner regclass;
    kept jsonb := '[]';
    one record;
    item jsonb;
    remade oid;
BEGIN
    BEGIN
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', qualified, query);
        RETURN;
    EXCEPTION WHEN invalid_table_definition THEN
        NULL;
    END;
    SELECT v.relid INTO foreigner FROM pgtrickle.dependent_views(relation) v
    WHERE NOT EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = v.relid::oid) LIMIT 1;
    IF foreigner IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '2BP01', MESSAGE = format('cannot change the columns of stream table %s because %s depends on it', relation, foreigner),
            HINT = 'Drop it first, or keep the names and types of the existing columns.';
    END IF;
    -- With an empty search_path pg_get_viewdef names everything in full.
    PERFORM set_config('search_path', '', true);
    FOR one IN
        SELECT relation AS relid, 0 AS depth UNION ALL SELECT v.relid, v.depth FROM pgtrickle.dependent_views(relation) v ORDER BY depth
    LOOP
        kept := kept || (SELECT jsonb_build_object('name', format('%I.%I', n.nspname, c.relname), 'oid', c.oid,
                'owner', pg_get_userbyid(c.relowner), 'comment', obj_description(c.oid, 'pg_class'), 'options', c.reloptions,
                'grants', (SELECT jsonb_agg(format('GRANT %s ON %I.%I TO %s%s', a.privilege_type, n.nspname, c.relname,
                        CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
                        CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END))
                    FROM aclexplode(c.relacl) a WHERE a.grantee <> c.relowner),
                'definition', CASE WHEN one.depth > 0 THEN pg_get_viewdef(c.oid) END)
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = one.relid);
    END LOOP;
    EXECUTE format('DROP VIEW %s CASCADE', qualified);
    FOR item IN SELECT * FROM jsonb_array_elements(kept) LOOP
        IF item ->> 'definition' IS NULL THEN PERFORM set_config('search_path', path, true); ELSE PERFORM set_config('search_path', '', true); END IF;
        EXECUTE format('CREATE VIEW %s AS %s', item ->> 'name', coalesce(item ->> 'definition', query));
        remade := to_regclass(item ->> 'name')::oid;
        IF item ->> 'options' IS NOT NULL THEN
            EXECUTE (SELECT format('ALTER VIEW %s SET (%s)', item ->> 'name', string_agg(o, ', ')) FROM jsonb_array_elements_text(item -> 'options') o);
        END IF;
        IF item ->> 'comment' IS NOT NULL THEN
            EXECUTE format('COMMENT ON VIEW %s IS %L', item ->> 'name', item ->> 'comment');
        END IF;
        FOR one IN SELECT g FROM jsonb_array_elements_text(CASE WHEN jsonb_typeof(item -> 'grants') = 'array' THEN item -> 'grants' ELSE '[]' END) g LOOP
            EXECUTE one.g;
        END LOOP;
        PERFORM pgtrickle.make_read_only(remade);
        UPDATE pgtrickle.pgt_stream_tables s SET pgt_relid = remade
        WHERE s.pgt_schema = (parse_ident(item ->> 'name'))[1] AND s.pgt_name = (parse_ident(item ->> 'name'))[2];
        IF item ->> 'owner' <> current_user THEN
            EXECUTE format('ALTER VIEW %s OWNER TO %I', item ->> 'name', item ->> 'owner');
        END IF;
    END LOOP;
    PERFORM set_config('search_path', path, true);
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.alter_stream_table(
    name text, query text DEFAULT NULL, schedule text DEFAULT NULL, refresh_mode text DEFAULT NULL, status text DEFAULT NULL,
    diamond_consistency text DEFAULT NULL, diamond_schedule_policy text DEFAULT NULL, cdc_mode text DEFAULT NULL,
    append_only boolean DEFAULT NULL, pooler_compatibility_mode boolean DEFAULT NULL, tier text DEFAULT NULL, fuse text DEFAULT NULL,
    fuse_ceiling bigint DEFAULT NULL, fuse_sensitivity integer DEFAULT NULL, partition_by text DEFAULT NULL,
    max_differential_joins integer DEFAULT NULL, max_delta_fraction double precision DEFAULT NULL, post_refresh_action text DEFAULT NULL,
    reindex_drift_threshold double precision DEFAULT NULL, target_freshness text DEFAULT NULL, sink text DEFAULT NULL,
    ducklake_sink_path text DEFAULT NULL, ducklake_sink_table_id bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    relation regclass := to_regclass(format('%I.%I', st.pgt_schema, st.pgt_name));
    wanted_mode text := st.requested_refresh_mode;
    wanted_schedule text := st.schedule;
    mode text := st.refresh_mode;
    body text;
    wanted_tier text := pgtrickle.checked_tier(tier);
    refused text := CASE WHEN fuse IS NOT NULL THEN 'fuse' WHEN fuse_ceiling IS NOT NULL THEN 'fuse_ceiling'
        WHEN fuse_sensitivity IS NOT NULL THEN 'fuse_sensitivity' WHEN post_refresh_action IS NOT NULL THEN 'post_refresh_action'
        WHEN reindex_drift_threshold IS NOT NULL THEN 'reindex_drift_threshold' END;
BEGIN
    IF relation IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42P01', MESSAGE = format('the view of stream table "%s" does not exist any more', name);
    END IF;
    PERFORM pgtrickle.check_owner(relation);
    IF refused IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('option %s is not supported', refused);
    END IF;
    IF status IS NOT NULL AND upper(status) NOT IN ('ACTIVE', 'SUSPENDED') THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('invalid status "%s" (ACTIVE or SUSPENDED)', status);
    END IF;
    IF refresh_mode IS NOT NULL THEN wanted_mode := pgtrickle.checked_refresh_mode(refresh_mode); END IF;
    IF schedule IS NOT NULL THEN wanted_schedule := pgtrickle.checked_schedule(schedule); END IF;
    IF wanted_mode = 'IMMEDIATE' THEN wanted_schedule := NULL; END IF;
    PERFORM pgtrickle.check_options(wanted_mode, diamond_consistency, diamond_schedule_policy, cdc_mode, max_differential_joins,
        max_delta_fraction, NULL, partition_by, false, NULL, NULL, 'MANAGED', coalesce(sink, st.sink),
        coalesce(ducklake_sink_path, st.ducklake_sink_path), coalesce(ducklake_sink_table_id, st.ducklake_sink_table_id));
    IF query IS NOT NULL THEN
        body := pgtrickle.checked_query(query);
        PERFORM pgtrickle.replace_view(relation, body);
        relation := to_regclass(format('%I.%I', st.pgt_schema, st.pgt_name));
        PERFORM pgtrickle.check_view(relation);
        PERFORM pgtrickle.make_read_only(relation);
    END IF;
    IF query IS NOT NULL OR refresh_mode IS NOT NULL THEN
        mode := pgtrickle.prepare_sources(relation, wanted_mode, coalesce(body, pgtrickle.checked_query(pg_get_viewdef(relation))),
            pgtrickle.current_pinned_settings());
    END IF;
    UPDATE pgtrickle.pgt_stream_tables s SET
        original_query = coalesce(query, s.original_query),
        defining_query = pg_get_viewdef(relation),
        schedule = wanted_schedule, refresh_mode = mode, requested_refresh_mode = wanted_mode,
        status = coalesce(CASE upper(status) WHEN 'ACTIVE' THEN 'INITIALIZING' ELSE upper(status) END, s.status),
        consecutive_errors = CASE WHEN upper(status) = 'ACTIVE' THEN 0 ELSE s.consecutive_errors END,
        diamond_consistency = coalesce(lower(diamond_consistency), s.diamond_consistency),
        diamond_schedule_policy = coalesce(lower(diamond_schedule_policy), s.diamond_schedule_policy),
        requested_cdc_mode = coalesce(lower(cdc_mode), s.requested_cdc_mode),
        is_append_only = coalesce(append_only, s.is_append_only),
        pooler_compatibility_mode = coalesce(pooler_compatibility_mode, s.pooler_compatibility_mode),
        st_partition_key = coalesce(partition_by, s.st_partition_key),
        max_differential_joins = coalesce(max_differential_joins, s.max_differential_joins),
        max_delta_fraction = coalesce(max_delta_fraction, s.max_delta_fraction),
        target_freshness = coalesce(target_freshness, s.target_freshness),
        refresh_tier = coalesce(wanted_tier, s.refresh_tier),
        sink = coalesce(lower(sink), s.sink),
        ducklake_sink_path = coalesce(ducklake_sink_path, s.ducklake_sink_path),
        ducklake_sink_table_id = coalesce(ducklake_sink_table_id, s.ducklake_sink_table_id),
        pinned_settings = CASE WHEN query IS NULL THEN s.pinned_settings ELSE pgtrickle.current_pinned_settings() END,
        defining_search_path = CASE WHEN query IS NULL THEN s.defining_search_path ELSE current_setting('search_path') END,
        updated_at = now()
    WHERE s.pgt_id = st.pgt_id;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.drop_stream_table(name text, cascade boolean DEFAULT false) RETURNS void
LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    relation regclass := to_regclass(format('%I.%I', st.pgt_schema, st.pgt_name));
BEGIN
    IF relation IS NOT NULL THEN
        PERFORM pgtrickle.check_owner(relation);
        IF cascade THEN
            DELETE FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid IN (SELECT v.relid::oid FROM pgtrickle.dependent_views(relation) v);
        END IF;
    END IF;
    DELETE FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_id = st.pgt_id;
    IF relation IS NOT NULL THEN
        EXECUTE format('DROP VIEW %I.%I %s', st.pgt_schema, st.pgt_name, CASE WHEN cascade THEN 'CASCADE' ELSE 'RESTRICT' END);
    END IF;
END
$body$;

-- Takes effect when the caller's transaction commits; through Weir the reply waits for it.
CREATE OR REPLACE FUNCTION pgtrickle.refresh_stream_table(name text) RETURNS void
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
BEGIN
    IF st.status = 'SUSPENDED' THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('stream table "%s" is suspended', name),
            HINT = format('SELECT pgtrickle.alter_stream_table(%L, status => ''ACTIVE'');', name);
    END IF;
    PERFORM pgtrickle.mark('refresh:' || st.pgt_id);
END
$body$;
