-- What refreshes did and cost, from pgtrickle.pgt_refresh_history.

CREATE OR REPLACE FUNCTION pgtrickle.refresh_timeline(max_rows integer DEFAULT 50) RETURNS TABLE (
    start_time timestamptz, stream_table text, action text, status text, rows_inserted bigint, rows_deleted bigint,
    duration_ms double precision, error_message text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT h.start_time, s.pgt_schema || '.' || s.pgt_name, h.action, h.status, h.rows_inserted, h.rows_deleted, h.duration_ms, h.error_message
    FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.pgt_stream_tables s ON s.pgt_id = h.pgt_id
    ORDER BY h.start_time DESC, h.refresh_id DESC LIMIT max_rows
$body$;

-- Rows of each stream table: what its last population inserted and later refreshes added. NULL where the history does not
-- reach back to a population.
CREATE OR REPLACE FUNCTION pgtrickle.stream_table_row_counts() RETURNS TABLE (pgt_id bigint, row_count bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT s.pgt_id, (SELECT sum(h.rows_inserted - h.rows_deleted)::bigint FROM pgtrickle.pgt_refresh_history h
        WHERE h.pgt_id = s.pgt_id AND h.status = 'COMPLETED'
            AND h.refresh_id >= (SELECT max(i.refresh_id) FROM pgtrickle.pgt_refresh_history i
                WHERE i.pgt_id = s.pgt_id AND i.initiated_by = 'INITIAL' AND i.status = 'COMPLETED'))
    FROM pgtrickle.pgt_stream_tables s
$body$;

-- Share of each stream table's rows that a refresh changed, one value per completed refresh that changed something, newest
-- first in `place`. A row that was updated is deleted and inserted in the history; it counts once. The denominator is the number of rows there are now, at least 1; NULL where that is not known.
CREATE OR REPLACE FUNCTION pgtrickle.change_ratios() RETURNS TABLE (pgt_id bigint, place bigint, ratio double precision)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT h.pgt_id, row_number() OVER (PARTITION BY h.pgt_id ORDER BY h.refresh_id DESC),
        greatest(h.rows_inserted, h.rows_deleted)::double precision / CASE WHEN c.row_count IS NOT NULL THEN greatest(c.row_count, 1) END
    FROM pgtrickle.pgt_refresh_history h JOIN pgtrickle.stream_table_row_counts() c ON c.pgt_id = h.pgt_id
    WHERE h.status = 'COMPLETED' AND h.initiated_by <> 'INITIAL' AND h.rows_inserted + h.rows_deleted > 0
$body$;

-- `diff_speedup`: how many times faster a differential refresh is than a full one (the population counts as one).
CREATE OR REPLACE FUNCTION pgtrickle.refresh_efficiency() RETURNS TABLE (
    pgt_schema text, pgt_name text, refresh_mode text, total_refreshes bigint, diff_count bigint, full_count bigint,
    avg_diff_ms double precision, avg_full_ms double precision, avg_change_ratio double precision, diff_speedup text,
    last_refresh_at text, pgt_id bigint
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT s.pgt_schema, s.pgt_name, s.refresh_mode, count(h.refresh_id), count(h.refresh_id) FILTER (WHERE h.action = 'DIFFERENTIAL'),
        count(h.refresh_id) FILTER (WHERE h.action = 'FULL'), avg(h.duration_ms) FILTER (WHERE h.action = 'DIFFERENTIAL'),
        avg(h.duration_ms) FILTER (WHERE h.action = 'FULL'),
        (SELECT avg(r.ratio) FROM pgtrickle.change_ratios() r WHERE r.pgt_id = s.pgt_id),
        round((avg(h.duration_ms) FILTER (WHERE h.action = 'FULL')
            / nullif(avg(h.duration_ms) FILTER (WHERE h.action = 'DIFFERENTIAL'), 0))::numeric, 1)::text || 'x',
        max(h.end_time)::text, s.pgt_id
    FROM pgtrickle.pgt_stream_tables s
    LEFT JOIN pgtrickle.pgt_refresh_history h ON h.pgt_id = s.pgt_id AND h.status = 'COMPLETED' AND h.action IN ('DIFFERENTIAL', 'FULL')
    GROUP BY s.pgt_id ORDER BY s.pgt_id
$body$;

-- How long a stream table may lag before it counts as stale: three times its schedule ('calculated': as a table of one
-- second), and never less than the 15 s within which the freshness of an unchanged table is written down. NULL for cron
-- expressions, whose distances vary.
CREATE OR REPLACE FUNCTION pgtrickle.stale_after(schedule text) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT CASE WHEN NOT pgtrickle.is_cron(schedule)
        THEN greatest(3 * pgtrickle.parse_duration_seconds(coalesce(schedule, '1s')), 15) * interval '1 second' END
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.is_stale(st pgtrickle.pgt_stream_tables) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT st.data_timestamp IS NULL
        OR clock_timestamp() - st.data_timestamp > pgtrickle.stale_after(st.schedule) * pgtrickle.tier_factor(st.refresh_tier)
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.st_refresh_stats() RETURNS TABLE (
    pgt_name text, pgt_schema text, status text, refresh_mode text, is_populated boolean, total_refreshes bigint,
    successful_refreshes bigint, failed_refreshes bigint, total_rows_inserted bigint, total_rows_deleted bigint,
    avg_duration_ms double precision, last_refresh_action text, last_refresh_status text, last_refresh_at timestamptz,
    staleness_secs double precision, stale boolean, pgt_id bigint
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT s.pgt_name, s.pgt_schema, s.status, s.refresh_mode, s.is_populated, count(h.refresh_id),
        count(h.refresh_id) FILTER (WHERE h.status = 'COMPLETED'), count(h.refresh_id) FILTER (WHERE h.status = 'FAILED'),
        coalesce(sum(h.rows_inserted), 0)::bigint, coalesce(sum(h.rows_deleted), 0)::bigint, avg(h.duration_ms),
        (array_agg(h.action ORDER BY h.refresh_id DESC))[1], (array_agg(h.status ORDER BY h.refresh_id DESC))[1], max(h.end_time),
        extract(epoch FROM clock_timestamp() - s.data_timestamp)::double precision, pgtrickle.is_stale(s), s.pgt_id
    FROM pgtrickle.pgt_stream_tables s LEFT JOIN pgtrickle.pgt_refresh_history h ON h.pgt_id = s.pgt_id
    GROUP BY s.pgt_id ORDER BY s.pgt_id
$body$;

-- Seconds since the commit that the rows show; NULL: never refreshed.
CREATE OR REPLACE FUNCTION pgtrickle.get_staleness(name text) RETURNS double precision
LANGUAGE sql STABLE AS $body$
    SELECT pg_catalog.date_part('epoch', pg_catalog.clock_timestamp() - (pgtrickle.find_stream_table(name)).data_timestamp)
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.explain_refresh_mode(name text) RETURNS TABLE (
    configured_mode text, effective_mode text, downgrade_reason text
) LANGUAGE sql STABLE AS $body$
    SELECT s.requested_refresh_mode, coalesce(s.effective_refresh_mode, s.refresh_mode),
        CASE WHEN coalesce(s.effective_refresh_mode, s.refresh_mode) = 'FULL' AND s.requested_refresh_mode <> 'FULL'
            THEN coalesce(s.refresh_reason, 'the query cannot be maintained from deltas') END
    FROM pgtrickle.find_stream_table(name) s
$body$;

-- Every column of the catalog, and how far behind each stream table is.
CREATE OR REPLACE VIEW pgtrickle.stream_tables_info AS
    SELECT s.*, pg_catalog.clock_timestamp() - s.data_timestamp AS staleness, pgtrickle.is_stale(s) AS stale
    FROM pgtrickle.pgt_stream_tables s;

CREATE OR REPLACE VIEW pgtrickle.pg_stat_stream_tables AS
    SELECT s.pgt_id, s.pgt_schema AS schema, s.pgt_name AS name, s.status, s.refresh_mode AS mode, s.data_timestamp,
        pg_catalog.clock_timestamp() - s.data_timestamp AS staleness, r.stale, r.total_refreshes, r.successful_refreshes, r.failed_refreshes,
        r.avg_duration_ms, s.consecutive_errors, ARRAY[pg_catalog.upper(pgtrickle.capture_method())] AS cdc_modes, s.scc_id, NULL::integer AS last_fixpoint_iterations
    FROM pgtrickle.pgt_stream_tables s JOIN pgtrickle.st_refresh_stats() r ON r.pgt_id = s.pgt_id;

GRANT SELECT ON pgtrickle.stream_tables_info, pgtrickle.pg_stat_stream_tables TO PUBLIC;
