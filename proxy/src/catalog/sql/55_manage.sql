-- Conveniences over create, alter and refresh: replace, many at once, presets, pause and resume, a dry run, export.

-- What Postgres makes of a query, as pg_get_viewdef prints it; nothing of it remains. Raises what CREATE VIEW raises.
CREATE OR REPLACE FUNCTION pgtrickle.normalised_query(query text) RETURNS text
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    body text := pgtrickle.checked_query(query);
    definition text;
BEGIN
    BEGIN
        EXECUTE format('CREATE TEMPORARY VIEW weir_normalised_query AS %s', body);
        definition := pg_catalog.pg_get_viewdef('pg_temp.weir_normalised_query'::regclass);
        RAISE EXCEPTION USING ERRCODE = 'WEIR1';
    EXCEPTION WHEN SQLSTATE 'WEIR1' THEN NULL;
    END;
    RETURN definition;
END
$body$;

-- Creates it, or alters what differs; the same definition again does nothing. It is never dropped.
CREATE OR REPLACE FUNCTION pgtrickle.create_or_replace_stream_table(
    name text, query text, schedule text DEFAULT 'calculated', refresh_mode text DEFAULT 'AUTO', initialize boolean DEFAULT true,
    diamond_consistency text DEFAULT NULL, diamond_schedule_policy text DEFAULT NULL, cdc_mode text DEFAULT NULL,
    append_only boolean DEFAULT false, pooler_compatibility_mode boolean DEFAULT false, partition_by text DEFAULT NULL,
    max_differential_joins integer DEFAULT NULL, max_delta_fraction double precision DEFAULT NULL,
    output_distribution_column text DEFAULT NULL, temporal boolean DEFAULT false, storage_backend text DEFAULT NULL,
    sink text DEFAULT NULL, ducklake_sink_path text DEFAULT NULL, ducklake_sink_table_id bigint DEFAULT NULL
) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    st pgtrickle.pgt_stream_tables;
    wanted_schedule text := pgtrickle.checked_schedule(schedule);
    wanted_mode text := pgtrickle.checked_refresh_mode(refresh_mode);
    changed_query text;
BEGIN
    SELECT s.* INTO st FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = to_regclass(name)::oid;
    IF st.pgt_id IS NULL THEN
        PERFORM pgtrickle.create_stream_table(name, query, schedule, refresh_mode, initialize, diamond_consistency, diamond_schedule_policy,
            cdc_mode, append_only, pooler_compatibility_mode, partition_by, max_differential_joins, max_delta_fraction,
            output_distribution_column, temporal, storage_backend, sink => sink, ducklake_sink_path => ducklake_sink_path,
            ducklake_sink_table_id => ducklake_sink_table_id);
        RETURN;
    END IF;
    IF pgtrickle.normalised_query(query) IS DISTINCT FROM pg_catalog.pg_get_viewdef(st.pgt_relid) THEN changed_query := query; END IF;
    IF changed_query IS NULL AND wanted_schedule IS NOT DISTINCT FROM st.schedule AND wanted_mode = st.requested_refresh_mode
        AND coalesce(lower(diamond_consistency), 'atomic') = st.diamond_consistency
        AND coalesce(lower(diamond_schedule_policy), 'fastest') = st.diamond_schedule_policy
        AND lower(cdc_mode) IS NOT DISTINCT FROM st.requested_cdc_mode AND append_only = st.is_append_only
        AND pooler_compatibility_mode = st.pooler_compatibility_mode AND lower(sink) IS NOT DISTINCT FROM st.sink
        AND ducklake_sink_path IS NOT DISTINCT FROM st.ducklake_sink_path
        AND ducklake_sink_table_id IS NOT DISTINCT FROM st.ducklake_sink_table_id THEN
        RETURN;
    END IF;
    PERFORM pgtrickle.alter_stream_table(name, query => changed_query, schedule => coalesce(schedule, 'calculated'),
        refresh_mode => CASE WHEN changed_query IS NOT NULL OR wanted_mode <> st.requested_refresh_mode THEN refresh_mode END,
        diamond_consistency => coalesce(diamond_consistency, 'atomic'), diamond_schedule_policy => coalesce(diamond_schedule_policy, 'fastest'),
        cdc_mode => cdc_mode, append_only => append_only, pooler_compatibility_mode => pooler_compatibility_mode,
        max_differential_joins => max_differential_joins, max_delta_fraction => max_delta_fraction, sink => sink,
        ducklake_sink_path => ducklake_sink_path, ducklake_sink_table_id => ducklake_sink_table_id);
END
$body$;

-- Several at once, all or none. Each object has the arguments of create_stream_table as its keys.
CREATE OR REPLACE FUNCTION pgtrickle.bulk_create(definitions jsonb) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    one jsonb;
    arguments text;
    unknown text;
    created jsonb := '[]';
    st pgtrickle.pgt_stream_tables;
BEGIN
    IF jsonb_typeof(definitions) IS DISTINCT FROM 'array' THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'bulk_create takes a JSON array of objects';
    END IF;
    FOR one IN SELECT * FROM jsonb_array_elements(definitions) LOOP
        IF jsonb_typeof(one) <> 'object' OR one ->> 'name' IS NULL OR one ->> 'query' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = 'every definition needs the keys name and query', DETAIL = one::text;
        END IF;
        WITH parameters (parameter, type) AS (
            SELECT n.name, format_type(t.type, NULL)
            FROM pg_proc p, unnest(p.proargnames) WITH ORDINALITY AS n (name, place), unnest(p.proargtypes::oid[]) WITH ORDINALITY AS t (type, place)
            WHERE p.pronamespace = 'pgtrickle'::regnamespace AND p.proname = 'create_stream_table' AND n.place = t.place
        )
        SELECT string_agg(format('%I => %L::%s', k.key, k.value, p.type), ', '), string_agg(k.key, ', ') FILTER (WHERE p.parameter IS NULL)
        INTO arguments, unknown
        FROM jsonb_each_text(one) k (key, value) LEFT JOIN parameters p ON p.parameter = k.key;
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = format('unknown key in the definition of "%s": %s', one ->> 'name', unknown);
        END IF;
        EXECUTE 'SELECT pgtrickle.create_stream_table(' || arguments || ')';
        st := pgtrickle.find_stream_table(one ->> 'name');
        created := created || jsonb_build_array(jsonb_build_object('name', st.pgt_schema || '.' || st.pgt_name, 'status', 'created', 'pgt_id', st.pgt_id));
    END LOOP;
    RETURN created;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.create_stream_table_realtime(name text, query text) RETURNS void LANGUAGE sql VOLATILE AS $body$
    SELECT pgtrickle.create_stream_table(name, query, schedule => '1s', refresh_mode => 'DIFFERENTIAL')
$body$;
CREATE OR REPLACE FUNCTION pgtrickle.create_stream_table_batch(name text, query text) RETURNS void LANGUAGE sql VOLATILE AS $body$
    SELECT pgtrickle.create_stream_table(name, query, schedule => '5m', refresh_mode => 'AUTO')
$body$;
CREATE OR REPLACE FUNCTION pgtrickle.create_stream_table_cost_optimized(name text, query text) RETURNS void LANGUAGE sql VOLATILE AS $body$
    SELECT pgtrickle.create_stream_table(name, query, schedule => '15m', refresh_mode => 'AUTO')
$body$;
CREATE OR REPLACE FUNCTION pgtrickle.create_stream_table_fast_append_only(name text, query text) RETURNS void LANGUAGE sql VOLATILE AS $body$
    SELECT pgtrickle.create_stream_table(name, query, schedule => '1s', refresh_mode => 'DIFFERENTIAL', append_only => true)
$body$;

-- What listeners on pg_trickle_alert are told: the event, the stream table, and the error that caused it.
CREATE OR REPLACE FUNCTION pgtrickle.alert(event text, stream_table text, error text) RETURNS void
LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $body$
    SELECT pg_notify('pg_trickle_alert', jsonb_strip_nulls(jsonb_build_object('event', event, 'stream_table', stream_table, 'error', left(error, 2000)))::text)
$body$;

-- While suspended, Postgres answers its readers.
CREATE OR REPLACE FUNCTION pgtrickle.pause_stream_table(name text) RETURNS void LANGUAGE sql VOLATILE AS $body$
    SELECT pgtrickle.alter_stream_table(name, status => 'SUSPENDED')
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.resume_stream_table(name text) RETURNS void LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
BEGIN
    IF st.status <> 'SUSPENDED' THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('stream table "%s" is not suspended', name);
    END IF;
    PERFORM pgtrickle.alter_stream_table(name, status => 'ACTIVE');
    PERFORM pgtrickle.alert('resumed', st.pgt_schema || '.' || st.pgt_name, NULL);
END
$body$;

-- True: it was older than that, and a refresh was asked for.
CREATE OR REPLACE FUNCTION pgtrickle.refresh_if_stale(name text, max_age interval DEFAULT '5 minutes') RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
BEGIN
    IF clock_timestamp() - st.data_timestamp <= max_age THEN
        RETURN false;
    END IF;
    PERFORM pgtrickle.refresh_stream_table(name);
    RETURN true;
END
$body$;

-- The statement that makes this stream table again.
CREATE OR REPLACE FUNCTION pgtrickle.export_definition(name text) RETURNS text LANGUAGE sql STABLE AS $body$
    SELECT pg_catalog.concat(
        pg_catalog.format('SELECT pgtrickle.create_stream_table(name => %L, query => %L, schedule => %L, refresh_mode => %L',
            pg_catalog.format('%I.%I', s.pgt_schema, s.pgt_name), s.original_query, coalesce(s.schedule, 'calculated'), s.requested_refresh_mode),
        CASE WHEN NOT s.initialize THEN ', initialize => false' END,
        CASE WHEN s.diamond_consistency <> 'atomic' THEN pg_catalog.format(', diamond_consistency => %L', s.diamond_consistency) END,
        CASE WHEN s.diamond_schedule_policy <> 'fastest' THEN pg_catalog.format(', diamond_schedule_policy => %L', s.diamond_schedule_policy) END,
        CASE WHEN s.requested_cdc_mode IS NOT NULL THEN pg_catalog.format(', cdc_mode => %L', s.requested_cdc_mode) END,
        CASE WHEN s.is_append_only THEN ', append_only => true' END,
        CASE WHEN s.pooler_compatibility_mode THEN ', pooler_compatibility_mode => true' END,
        CASE WHEN s.st_partition_key IS NOT NULL THEN pg_catalog.format(', partition_by => %L', s.st_partition_key) END,
        CASE WHEN s.max_differential_joins IS NOT NULL THEN pg_catalog.format(', max_differential_joins => %s', s.max_differential_joins) END,
        CASE WHEN s.max_delta_fraction IS NOT NULL THEN pg_catalog.format(', max_delta_fraction => %s', s.max_delta_fraction) END,
        CASE WHEN s.sink IS NOT NULL THEN pg_catalog.format(', sink => %L, ducklake_sink_path => %L, ducklake_sink_table_id => %s',
            s.sink, s.ducklake_sink_path, coalesce(s.ducklake_sink_table_id::text, 'NULL')) END,
        ');',
        CASE WHEN s.refresh_tier <> 'hot' THEN pg_catalog.format(' SELECT pgtrickle.alter_stream_table(%L, tier => %L);',
            pg_catalog.format('%I.%I', s.pgt_schema, s.pgt_name), s.refresh_tier) END)
    FROM pgtrickle.find_stream_table(name) s
$body$;
CREATE OR REPLACE FUNCTION pgtrickle.stream_table_definition(name text) RETURNS text LANGUAGE sql STABLE AS $body$
    SELECT pgtrickle.export_definition(name)
$body$;

-- What create_stream_table would say to a query, without creating anything.
CREATE OR REPLACE FUNCTION pgtrickle.validate_query(query text) RETURNS TABLE (check_name text, result text, severity text)
LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_column
DECLARE
    obstacle text;
    body text;
    is_asked boolean := pgtrickle.weir_is_connected();
    verdict jsonb;
    sources text;
BEGIN
    BEGIN
        body := pgtrickle.checked_query(query);
        BEGIN
            EXECUTE format('CREATE TEMPORARY VIEW weir_normalised_query AS %s', body);
            PERFORM pgtrickle.check_view('pg_temp.weir_normalised_query');
            obstacle := pgtrickle.differential_obstacle('pg_temp.weir_normalised_query');
            SELECT pg_catalog.string_agg(b::text, ', ' ORDER BY b::text) INTO sources FROM pgtrickle.base_tables('pg_temp.weir_normalised_query') b;
            RAISE EXCEPTION USING ERRCODE = 'WEIR1';
        EXCEPTION WHEN SQLSTATE 'WEIR1' THEN NULL;
        END;
    EXCEPTION WHEN OTHERS THEN
        RETURN QUERY SELECT 'query', format('%s (%s)', SQLERRM, SQLSTATE), 'ERROR';
        RETURN;
    END;
    RETURN QUERY SELECT 'query', 'accepted by Postgres'::text, 'INFO';
    RETURN QUERY SELECT 'base_tables', coalesce(sources, 'none'), 'INFO';
    IF obstacle IS NULL AND is_asked THEN
        verdict := pgtrickle.ask_weir(jsonb_build_object('ask', 'validate', 'query', body, 'settings', pgtrickle.current_pinned_settings()), interval '2 s');
        obstacle := verdict ->> 'unsupported';
    END IF;
    IF obstacle IS NULL AND verdict IS NULL THEN
        RETURN QUERY SELECT 'differential', 'not known: no Weir answered', 'WARNING';
        RETURN;
    END IF;
    RETURN QUERY SELECT 'differential', coalesce(obstacle, 'every construct is maintained'), CASE WHEN obstacle IS NULL THEN 'INFO' ELSE 'WARNING' END;
    RETURN QUERY SELECT 'resolved_refresh_mode', CASE WHEN obstacle IS NULL THEN 'DIFFERENTIAL' ELSE 'FULL' END, 'INFO';
END
$body$;

-- The same as properties, with the arguments checked.
CREATE OR REPLACE FUNCTION pgtrickle.preview_stream_table(
    query text, schedule text DEFAULT 'calculated', refresh_mode text DEFAULT 'AUTO', target_freshness text DEFAULT NULL
) RETURNS TABLE (property text, value text) LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_variable
DECLARE
    checked record;
BEGIN
    RETURN QUERY SELECT 'defining_query', pgtrickle.normalised_query(query);
    RETURN QUERY SELECT 'schedule', coalesce(pgtrickle.checked_schedule(schedule), 'calculated');
    RETURN QUERY SELECT 'requested_refresh_mode', pgtrickle.checked_refresh_mode(refresh_mode);
    RETURN QUERY SELECT 'target_freshness', target_freshness WHERE target_freshness IS NOT NULL;
    RETURN QUERY SELECT v.check_name, v.result FROM pgtrickle.validate_query(query) v WHERE v.check_name <> 'query';
END
$body$;
