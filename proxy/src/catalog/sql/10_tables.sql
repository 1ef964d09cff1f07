-- The catalog of stream tables and the refresh history. Ordinary tables: any SQL over them is Postgres' own.
-- Rows belong to the owner of the view they describe (row-level security), so that every function can be SECURITY INVOKER.

CREATE SCHEMA IF NOT EXISTS pgtrickle;
GRANT USAGE ON SCHEMA pgtrickle TO PUBLIC;

CREATE TABLE IF NOT EXISTS pgtrickle.pgt_stream_tables (
    pgt_id bigserial PRIMARY KEY,
    pgt_relid oid NOT NULL UNIQUE,
    pgt_name text NOT NULL,
    pgt_schema text NOT NULL,
    defining_query text NOT NULL,
    original_query text NOT NULL,
    schedule text,
    refresh_mode text NOT NULL,
    requested_refresh_mode text NOT NULL,
    status text NOT NULL DEFAULT 'INITIALIZING',
    is_populated boolean NOT NULL DEFAULT false,
    data_timestamp timestamptz,
    frontier jsonb,
    last_refresh_at timestamptz,
    consecutive_errors integer NOT NULL DEFAULT 0,
    needs_reinit boolean NOT NULL DEFAULT false,
    last_full_ms double precision,
    diamond_consistency text NOT NULL DEFAULT 'atomic',
    diamond_schedule_policy text NOT NULL DEFAULT 'fastest',
    requested_cdc_mode text,
    is_append_only boolean NOT NULL DEFAULT false,
    scc_id integer,
    max_differential_joins integer,
    max_delta_fraction double precision,
    pooler_compatibility_mode boolean NOT NULL DEFAULT false,
    effective_refresh_mode text,
    refresh_reason text,
    last_error_message text,
    last_error_at timestamptz,
    last_error_code text,
    st_partition_key text,
    storage_backend text,
    storage_fillfactor integer,
    target_freshness text,
    orchestration_mode text NOT NULL DEFAULT 'MANAGED',
    initialize boolean NOT NULL DEFAULT true,
    sink text,
    ducklake_sink_mode text,
    ducklake_sink_path text,
    ducklake_sink_table_id bigint,
    pinned_settings jsonb NOT NULL,
    defining_search_path text,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (pgt_schema, pgt_name)
) WITH (fillfactor = 50);

-- hot, warm, cold or frozen: see tier_factor.
ALTER TABLE pgtrickle.pgt_stream_tables ADD COLUMN IF NOT EXISTS refresh_tier text NOT NULL DEFAULT 'hot';

CREATE TABLE IF NOT EXISTS pgtrickle.pgt_refresh_history (
    refresh_id bigserial PRIMARY KEY,
    pgt_id bigint NOT NULL,
    data_timestamp timestamptz,
    start_time timestamptz NOT NULL,
    end_time timestamptz,
    action text NOT NULL,
    rows_inserted bigint NOT NULL DEFAULT 0,
    rows_updated bigint NOT NULL DEFAULT 0,
    rows_deleted bigint NOT NULL DEFAULT 0,
    delta_row_count bigint NOT NULL DEFAULT 0,
    was_full_fallback boolean NOT NULL DEFAULT false,
    refresh_reason text,
    error_message text,
    status text NOT NULL,
    initiated_by text NOT NULL,
    tick_watermark_lsn pg_lsn,
    error_sqlstate text,
    duration_ms double precision
);
CREATE INDEX IF NOT EXISTS pgt_refresh_history_by_table ON pgtrickle.pgt_refresh_history (pgt_id, start_time);

-- One row per file that a sink has written.
CREATE TABLE IF NOT EXISTS pgtrickle.pgt_ducklake_provenance (
    provenance_id bigserial PRIMARY KEY,
    stream_table_oid bigint NOT NULL,
    stream_table_name text NOT NULL,
    ducklake_snapshot_id bigint NOT NULL,
    refresh_id bigint NOT NULL DEFAULT 0,
    delta_row_count bigint NOT NULL DEFAULT 0,
    written_at timestamptz NOT NULL DEFAULT now()
);

-- Answers of a running Weir to questions asked from inside a function (see pgtrickle.ask_weir).
CREATE UNLOGGED TABLE IF NOT EXISTS pgtrickle.weir_answers (
    request uuid PRIMARY KEY,
    answer jsonb NOT NULL,
    answered_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

GRANT SELECT, INSERT, UPDATE, DELETE ON pgtrickle.pgt_stream_tables TO PUBLIC;
GRANT USAGE ON SEQUENCE pgtrickle.pgt_stream_tables_pgt_id_seq TO PUBLIC;
GRANT SELECT ON pgtrickle.pgt_refresh_history, pgtrickle.pgt_ducklake_provenance, pgtrickle.weir_answers TO PUBLIC;

ALTER TABLE pgtrickle.pgt_stream_tables ENABLE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS everyone_reads ON pgtrickle.pgt_stream_tables;
CREATE POLICY everyone_reads ON pgtrickle.pgt_stream_tables FOR SELECT USING (true);
DROP POLICY IF EXISTS view_owner_writes ON pgtrickle.pgt_stream_tables;
CREATE POLICY view_owner_writes ON pgtrickle.pgt_stream_tables FOR ALL
    USING (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = pgt_relid AND pg_catalog.pg_has_role(c.relowner, 'USAGE')))
    WITH CHECK (EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = pgt_relid AND pg_catalog.pg_has_role(c.relowner, 'USAGE')));

-- Every change of a definition is marked in the stream at its exact place. Per row, so that a statement that changes none
-- marks nothing; Weir's own status updates touch none of these columns.
CREATE OR REPLACE FUNCTION pgtrickle.catalog_mark() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $body$
BEGIN
    PERFORM pgtrickle.mark('catalog');
    RETURN NULL;
END
$body$;
DROP TRIGGER IF EXISTS catalog_mark ON pgtrickle.pgt_stream_tables;
CREATE TRIGGER catalog_mark
    AFTER INSERT OR DELETE OR UPDATE OF pgt_relid, pgt_name, pgt_schema, defining_query, original_query, schedule,
        refresh_tier, requested_refresh_mode, initialize, sink, ducklake_sink_path, ducklake_sink_table_id, pinned_settings
    ON pgtrickle.pgt_stream_tables FOR EACH ROW EXECUTE FUNCTION pgtrickle.catalog_mark();
ALTER TABLE pgtrickle.pgt_stream_tables ENABLE ALWAYS TRIGGER catalog_mark;

-- Relations that users' functions in SQL read which return sets, as far as Postgres knows: their bodies are kept analysed. Such a
-- body stands in the place of its call in FROM.
CREATE OR REPLACE VIEW pgtrickle.function_reads AS
WITH RECURSIVE calls (function, callee) AS (
    SELECT p.oid, p.oid FROM pg_catalog.pg_proc p WHERE p.proretset AND p.prosqlbody IS NOT NULL AND p.oid >= 16384
    UNION
    SELECT c.function, d.refobjid
    FROM calls c JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = c.callee
        AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
    JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid AND p.proretset AND p.prosqlbody IS NOT NULL
)
SELECT DISTINCT c.function, d.refobjid AS relid
FROM calls c JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND d.objid = c.callee
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass;
GRANT SELECT ON pgtrickle.function_reads TO PUBLIC;

-- What each stream table reads, as Postgres itself records it; ordinary views in between are looked through.
CREATE OR REPLACE VIEW pgtrickle.pgt_dependencies AS
WITH RECURSIVE functions AS MATERIALIZED (SELECT f.function, f.relid FROM pgtrickle.function_reads f),
below (pgt_id, relid, through) AS (
    SELECT s.pgt_id, coalesce(f.relid, d.refobjid), s.pgt_relid
    FROM pgtrickle.pgt_stream_tables s
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = s.pgt_relid AND r.rulename = '_RETURN'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refobjid <> r.ev_class
    LEFT JOIN functions f ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.function = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass OR f.relid IS NOT NULL
    UNION
    SELECT b.pgt_id, coalesce(f.relid, d.refobjid), b.relid
    FROM below b
    JOIN pg_catalog.pg_class c ON c.oid = b.relid AND c.relkind = 'v'
    JOIN pg_catalog.pg_rewrite r ON r.ev_class = b.relid AND r.rulename = '_RETURN'
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid
        AND d.refobjid <> r.ev_class
    LEFT JOIN functions f ON d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass AND f.function = d.refobjid
    WHERE (d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass OR f.relid IS NOT NULL)
        AND NOT EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = b.relid)
)
SELECT DISTINCT b.pgt_id, b.relid AS source_relid,
    CASE WHEN EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = b.relid) THEN 'STREAM_TABLE'
         WHEN c.relkind IN ('r', 'p') THEN 'TABLE'
         WHEN c.relkind = 'm' THEN 'MATVIEW'
         WHEN c.relkind = 'f' THEN 'FOREIGN_TABLE'
         ELSE 'VIEW' END AS source_type
FROM below b JOIN pg_catalog.pg_class c ON c.oid = b.relid
WHERE c.relkind <> 'v' OR EXISTS (SELECT FROM pgtrickle.pgt_stream_tables s WHERE s.pgt_relid = b.relid);
GRANT SELECT ON pgtrickle.pgt_dependencies TO PUBLIC;
