-- Is all well? For people, dashboards and alerts.

CREATE OR REPLACE FUNCTION pgtrickle.health_check() RETURNS TABLE (check_name text, severity text, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH tables AS (
        SELECT s.*, s.pgt_schema || '.' || s.pgt_name AS label, pgtrickle.is_stale(s) AS stale FROM pgtrickle.pgt_stream_tables s
    ), slot AS (
        SELECT max(pg_wal_lsn_diff(pg_current_wal_lsn(), r.confirmed_flush_lsn)) AS lag
        FROM pg_replication_slots r WHERE r.database = current_database() AND starts_with(r.slot_name, 'weir') AND r.active
    ), checks (place, check_name, severity, detail) AS (
        SELECT 1, 'scheduler_running', CASE WHEN pgtrickle.weir_is_connected() THEN 'OK' ELSE 'ERROR' END,
            CASE WHEN pgtrickle.weir_is_connected() THEN 'Weir follows this database' ELSE 'no Weir is connected: stream tables are read as ordinary views' END
        UNION ALL
        SELECT 2, 'error_tables', CASE WHEN count(*) = 0 THEN 'OK' ELSE 'ERROR' END, coalesce(string_agg(label, ', ' ORDER BY label), 'none')
        FROM tables WHERE status IN ('ERROR', 'SUSPENDED')
        UNION ALL
        SELECT 3, 'stale_tables', CASE WHEN count(*) = 0 THEN 'OK' ELSE 'WARN' END, coalesce(string_agg(label, ', ' ORDER BY label), 'none')
        FROM tables WHERE stale AND status = 'ACTIVE'
        UNION ALL
        SELECT 4, 'needs_reinit', CASE WHEN count(*) = 0 THEN 'OK' ELSE 'WARN' END, coalesce(string_agg(label, ', ' ORDER BY label), 'none')
        FROM tables WHERE needs_reinit OR NOT is_populated AND initialize
        UNION ALL
        SELECT 5, 'consecutive_errors', CASE WHEN count(*) = 0 THEN 'OK' ELSE 'WARN' END,
            coalesce(string_agg(format('%s: %s', label, consecutive_errors), ', ' ORDER BY label), 'none')
        FROM tables WHERE consecutive_errors > 0
        UNION ALL
        SELECT 6, 'slot_lag', CASE WHEN pgtrickle.capture_method() = 'trigger' THEN 'OK' WHEN lag IS NULL THEN 'WARN' WHEN lag > 100 * 1024 * 1024 THEN 'WARN' ELSE 'OK' END,
            CASE WHEN pgtrickle.capture_method() = 'trigger' THEN 'changes are captured by triggers: no slot'
                WHEN lag IS NULL THEN 'Weir has no active replication slot' ELSE format('%s behind', pg_size_pretty(lag)) END
        FROM slot
        UNION ALL
        SELECT 7, 'full_refresh_only', CASE WHEN count(*) = 0 THEN 'OK' ELSE 'WARN' END,
            coalesce(string_agg(format('%s: %s', label, coalesce(refresh_reason, 'asked for')), ', ' ORDER BY label), 'none')
        FROM tables WHERE coalesce(effective_refresh_mode, refresh_mode) = 'FULL' AND requested_refresh_mode <> 'FULL'
    )
    SELECT c.check_name, c.severity, c.detail FROM checks c ORDER BY c.place
$body$;

-- `cache_hit_rate` is in Weir's own counters (its HTTP address, /metrics), not in the database: NULL here.
CREATE OR REPLACE FUNCTION pgtrickle.health_summary() RETURNS TABLE (
    total_stream_tables integer, active_count integer, error_count integer, suspended_count integer, stale_count integer,
    reinit_pending integer, max_staleness_seconds double precision, scheduler_status text, cache_hit_rate double precision
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT count(*)::integer, (count(*) FILTER (WHERE s.status = 'ACTIVE'))::integer, (count(*) FILTER (WHERE s.status = 'ERROR'))::integer,
        (count(*) FILTER (WHERE s.status = 'SUSPENDED'))::integer, (count(*) FILTER (WHERE pgtrickle.is_stale(s)))::integer,
        (count(*) FILTER (WHERE s.needs_reinit))::integer,
        extract(epoch FROM max(clock_timestamp() - s.data_timestamp))::double precision,
        CASE WHEN pgtrickle.weir_is_connected() THEN 'ACTIVE' ELSE 'STOPPED' END, NULL::double precision
    FROM pgtrickle.pgt_stream_tables s
$body$;

CREATE OR REPLACE VIEW pgtrickle.quick_health AS
    SELECT h.total_stream_tables, h.error_count + h.suspended_count AS error_tables, h.stale_count AS stale_tables,
        h.scheduler_status = 'ACTIVE' AS scheduler_running,
        CASE WHEN h.total_stream_tables = 0 THEN 'EMPTY' WHEN h.scheduler_status <> 'ACTIVE' THEN 'CRITICAL'
            WHEN h.error_count + h.suspended_count + h.stale_count > 0 THEN 'WARNING' ELSE 'OK' END AS status
    FROM pgtrickle.health_summary() h;
GRANT SELECT ON pgtrickle.quick_health TO PUBLIC;
