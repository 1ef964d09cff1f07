-- What a stream table is made of, for people and tools. What only a running Weir knows is asked of it.

-- {"operator_tree": …, "lineage": …, "source_rows": …} of a stream table that is maintained from deltas; NULL when no Weir answers or it is not.
CREATE OR REPLACE FUNCTION pgtrickle.ask_plan(st pgtrickle.pgt_stream_tables) RETURNS jsonb
LANGUAGE sql VOLATILE AS $body$
    SELECT CASE WHEN pgtrickle.weir_is_connected()
        THEN pgtrickle.ask_weir(pg_catalog.jsonb_build_object('ask', 'explain', 'pgt_id', st.pgt_id), interval '5 s') END
$body$;

-- Properties, each only where it is known. `with_analyze` also runs the defining query, with EXPLAIN ANALYZE.
CREATE OR REPLACE FUNCTION pgtrickle.explain_st(name text, with_analyze boolean DEFAULT false) RETURNS TABLE (property text, value text)
LANGUAGE plpgsql VOLATILE AS $body$
#variable_conflict use_column
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(explain_st.name);
    plan jsonb := pgtrickle.ask_plan(st);
    line text;
    analysed text := '';
BEGIN
    IF with_analyze THEN
        FOR line IN EXECUTE format('EXPLAIN (ANALYZE) SELECT * FROM %I.%I', st.pgt_schema, st.pgt_name) LOOP
            analysed := analysed || line || E'\n';
        END LOOP;
    END IF;
    RETURN QUERY SELECT p.property, p.value FROM (VALUES
        (1, 'pgt_name', st.pgt_schema || '.' || st.pgt_name),
        (2, 'defining_query', st.defining_query),
        (3, 'refresh_mode', st.refresh_mode),
        (4, 'effective_refresh_mode', st.effective_refresh_mode),
        (5, 'refresh_reason', st.refresh_reason),
        (6, 'schedule', coalesce(st.schedule, 'calculated')),
        (7, 'refresh_tier', st.refresh_tier),
        (8, 'status', st.status),
        (9, 'is_populated', st.is_populated::text),
        (10, 'dvm_supported', (st.effective_refresh_mode IS DISTINCT FROM 'FULL' OR plan ? 'operator_tree')::text),
        (11, 'operator_tree', plan ->> 'operator_tree'),
        (12, 'source_rows', plan ->> 'source_rows'),
        (13, 'output_columns', (SELECT string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
            FROM pg_catalog.pg_attribute a WHERE a.attrelid = st.pgt_relid AND a.attnum > 0)),
        (14, 'source_oids', (SELECT string_agg(d.source_relid::text, ', ' ORDER BY d.source_relid) FROM pgtrickle.pgt_dependencies d WHERE d.pgt_id = st.pgt_id)),
        (15, 'frontier', st.frontier::text),
        (16, 'refresh_timing_stats', (SELECT CASE WHEN count(*) > 0 THEN jsonb_build_object('samples', count(*), 'min_ms', min(h.duration_ms), 'max_ms', max(h.duration_ms),
                'avg_ms', avg(h.duration_ms), 'latest_ms', (array_agg(h.duration_ms ORDER BY h.refresh_id DESC))[1],
                'latest_action', (array_agg(h.action ORDER BY h.refresh_id DESC))[1])::text END
            FROM pgtrickle.pgt_refresh_history h WHERE h.pgt_id = st.pgt_id AND h.status = 'COMPLETED')),
        (17, 'dependency_graph_dot', pgtrickle.explain_dag('dot')),
        (18, 'analyze', nullif(analysed, ''))
    ) AS p (place, property, value) WHERE p.value IS NOT NULL ORDER BY p.place;
END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.explain_json(name text) RETURNS jsonb LANGUAGE sql VOLATILE AS $body$
    SELECT pg_catalog.jsonb_object_agg(e.property, e.value) FROM pgtrickle.explain_st(name) e
$body$;

-- The operators that maintain it, inputs indented below; for a FULL table why it is one.
CREATE OR REPLACE FUNCTION pgtrickle.explain_stream_table(name text) RETURNS SETOF text LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
BEGIN
    RETURN QUERY SELECT unnest(string_to_array(rtrim(coalesce(pgtrickle.ask_plan(st) ->> 'operator_tree',
        CASE WHEN st.effective_refresh_mode = 'FULL' THEN 'FULL: evaluated by Postgres; ' || coalesce(st.refresh_reason, 'as asked for')
             ELSE 'not known: no Weir maintains it now' END), E'\n'), E'\n'));
END
$body$;

-- The graph as text for a drawing program: mermaid or dot. Arrows go from what is read to what reads it.
CREATE OR REPLACE FUNCTION pgtrickle.explain_dag(format text DEFAULT 'mermaid') RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog AS $body$
#variable_conflict use_variable
DECLARE
    edges text;
BEGIN
    IF lower(format) NOT IN ('mermaid', 'dot') OR format IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023', MESSAGE = pg_catalog.format('invalid format "%s" (mermaid or dot)', format);
    END IF;
    SELECT string_agg(CASE lower(format)
            WHEN 'dot' THEN pg_catalog.format('  %s -> %s;', '"' || replace(f.name, '"', '\"') || '"', '"' || replace(t.name, '"', '\"') || '"')
            ELSE pg_catalog.format('  n%s[%s] --> n%s[%s]', f.oid, '"' || replace(f.name, '"', '\"') || '"', t.oid, '"' || replace(t.name, '"', '\"') || '"') END, E'\n' ORDER BY f.name, t.name)
    INTO edges
    FROM (SELECT d.source_relid AS source, s.pgt_relid AS reader FROM pgtrickle.pgt_dependencies d JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = d.pgt_id) e,
        LATERAL (SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = e.source) f,
        LATERAL (SELECT c.oid, n.nspname || '.' || c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = e.reader) t;
    RETURN CASE lower(format) WHEN 'dot' THEN E'digraph stream_tables {\n' || coalesce(edges || E'\n', '') || '}' ELSE E'graph LR\n' || coalesce(edges, '') END;
END
$body$;

-- For every column, the columns of the tables it reads that its value is computed from; NULL for none (count(*), constants).
CREATE OR REPLACE FUNCTION pgtrickle.stream_table_lineage(name text) RETURNS TABLE (output_col text, source_table text, source_col text)
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    plan jsonb := pgtrickle.ask_plan(st);
BEGIN
    IF NOT plan ? 'lineage' OR plan IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '55000', MESSAGE = format('the lineage of stream table "%s" is not known', name),
            DETAIL = CASE WHEN st.effective_refresh_mode = 'FULL' THEN 'Postgres evaluates it.' ELSE 'No Weir maintains it now.' END;
    END IF;
    RETURN QUERY
    SELECT o.attname::text, n.nspname || '.' || c.relname, s.attname::text
    FROM jsonb_array_elements(plan -> 'lineage') WITH ORDINALITY AS l (origins, place)
    JOIN (SELECT a.attname, row_number() OVER (ORDER BY a.attnum) AS place FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = st.pgt_relid AND a.attnum > 0 AND NOT a.attisdropped) o ON o.place = l.place
    LEFT JOIN LATERAL jsonb_array_elements(l.origins) AS r (origin) ON true
    LEFT JOIN pg_catalog.pg_class c ON c.oid = (r.origin ->> 0)::oid
    LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN LATERAL (SELECT a.attname, row_number() OVER (ORDER BY a.attnum) - 1 AS position FROM pg_catalog.pg_attribute a
          WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) s ON s.position = (r.origin ->> 1)::bigint
    ORDER BY l.place, 2, 3;
END
$body$;

-- The definition as a document; the keys are arguments of create_stream_table, as bulk_create takes them.
CREATE OR REPLACE FUNCTION pgtrickle.stream_table_spec(name text) RETURNS jsonb LANGUAGE sql STABLE AS $body$
    SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
        'name', pg_catalog.format('%I.%I', s.pgt_schema, s.pgt_name), 'query', s.original_query, 'schedule', coalesce(s.schedule, 'calculated'),
        'refresh_mode', s.requested_refresh_mode, 'initialize', s.initialize, 'diamond_consistency', s.diamond_consistency,
        'diamond_schedule_policy', s.diamond_schedule_policy, 'cdc_mode', s.requested_cdc_mode, 'append_only', s.is_append_only,
        'pooler_compatibility_mode', s.pooler_compatibility_mode, 'max_differential_joins', s.max_differential_joins,
        'max_delta_fraction', s.max_delta_fraction, 'sink', s.sink, 'ducklake_sink_path', s.ducklake_sink_path,
        'ducklake_sink_table_id', s.ducklake_sink_table_id))
    FROM pgtrickle.find_stream_table(name) s
$body$;

-- The last errors, newest first, with what can be done about them.
CREATE OR REPLACE FUNCTION pgtrickle.diagnose_errors(name text) RETURNS TABLE (
    event_time timestamptz, error_type text, error_message text, remediation text
) LANGUAGE sql STABLE AS $body$
    WITH st AS (SELECT s.* FROM pgtrickle.find_stream_table(name) s), errors AS (
        SELECT h.end_time AS at, h.error_message AS message FROM pgtrickle.pgt_refresh_history h, st
        WHERE h.pgt_id = st.pgt_id AND h.status = 'FAILED'
        UNION
        SELECT st.last_error_at, st.last_error_message FROM st WHERE st.last_error_message IS NOT NULL
            AND NOT EXISTS (SELECT FROM pgtrickle.pgt_refresh_history h WHERE h.pgt_id = st.pgt_id AND h.error_message = st.last_error_message)
    )
    SELECT e.at, k.kind, e.message, CASE k.kind
        WHEN 'schema' THEN 'Restore what the query reads, or give the table another query with alter_stream_table; then resume_stream_table.'
        WHEN 'user' THEN 'Mend the rows or the query, then resume_stream_table or refresh_stream_table.'
        WHEN 'infrastructure' THEN 'See the log of weir serve; it goes on by itself when Postgres can be reached.'
        ELSE 'Use refresh_mode => ''AUTO'' or ''FULL'', or another query.' END
    FROM errors e, LATERAL (SELECT CASE
        WHEN e.message ~ '(does not exist|42P01|42703|42883)' THEN 'schema'
        WHEN e.message ~ '(connection|terminat|shut|timeout)' THEN 'infrastructure'
        WHEN e.message ~ '(division by zero|out of range|invalid input|22...)' THEN 'user'
        ELSE 'correctness' END AS kind) k
    ORDER BY e.at DESC NULLS LAST LIMIT 20
$body$;

-- What alter_stream_table would do with another query: `same`, `compatible` (columns at the end only), or `incompatible`.
CREATE OR REPLACE FUNCTION pgtrickle.explain_alter(name text, new_query text) RETURNS jsonb
LANGUAGE plpgsql VOLATILE AS $body$
DECLARE
    st pgtrickle.pgt_stream_tables := pgtrickle.find_stream_table(name);
    body text := pgtrickle.checked_query(new_query);
    present text[];
    wanted text[];
    definition text;
    columns CONSTANT text := 'SELECT array_agg(format(''%I %s'', attname, format_type(atttypid, atttypmod)) ORDER BY attnum) FROM pg_catalog.pg_attribute WHERE attrelid = $1 AND attnum > 0';
BEGIN
    EXECUTE columns INTO present USING st.pgt_relid;
    BEGIN
        EXECUTE format('CREATE TEMPORARY VIEW weir_explained_query AS %s', body);
        EXECUTE columns INTO wanted USING 'pg_temp.weir_explained_query'::regclass::oid;
        definition := pg_catalog.pg_get_viewdef('pg_temp.weir_explained_query'::regclass);
        RAISE EXCEPTION USING ERRCODE = 'WEIR1';
    EXCEPTION WHEN SQLSTATE 'WEIR1' THEN NULL;
    END;
    RETURN jsonb_build_object(
        'change', CASE WHEN definition = pg_catalog.pg_get_viewdef(st.pgt_relid) THEN 'same'
            WHEN wanted[1:array_length(present, 1)] = present THEN 'compatible' ELSE 'incompatible' END,
        'added', (SELECT coalesce(jsonb_agg(c), '[]') FROM unnest(wanted) c WHERE c <> ALL (present)),
        'removed', (SELECT coalesce(jsonb_agg(c), '[]') FROM unnest(present) c WHERE c <> ALL (wanted)),
        'recreates', (SELECT coalesce(jsonb_agg(v.relid::text), '[]') FROM pgtrickle.dependent_views(st.pgt_relid) v
            WHERE NOT wanted[1:array_length(present, 1)] = present));
END
$body$;
