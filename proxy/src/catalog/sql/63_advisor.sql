-- The refresh mode advisor: seven signals between -1 (evaluate in full) and 1 (maintain from deltas), each with a weight;
-- a signal without data weighs nothing. Thresholds and weights are pg_trickle's. Two things are better known here than
-- there: the number of rows a stream table has, and the mode in force (not the action of the last refresh).

-- pg_trickle's scale for a share of changed rows.
CREATE OR REPLACE FUNCTION pgtrickle.score_change_ratio(ratio double precision) RETURNS double precision
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog AS $body$
    SELECT CASE WHEN ratio < 0.05 THEN 1 WHEN ratio < 0.15 THEN 0.5 WHEN ratio < 0.30 THEN -0.3 WHEN ratio < 0.50 THEN -0.7 WHEN ratio >= 0.50 THEN -1 END
$body$;

-- How involved a view is, from Postgres' own tree of it: joins, levels of aggregation, subqueries, and 1 for windows.
CREATE OR REPLACE FUNCTION pgtrickle.query_complexity(relation oid) RETURNS TABLE (joins integer, complexity integer)
LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    SELECT j.joins, j.joins + (SELECT count(*) FROM regexp_matches(t.tree, ':hasAggs true', 'g'))::integer
        + (SELECT count(*) FROM regexp_matches(t.tree, '\{SUBLINK |:rtekind 1 ', 'g'))::integer
        + (t.tree ~ ':hasWindowFuncs true')::integer
    FROM (SELECT r.ev_action::text AS tree FROM pg_rewrite r WHERE r.ev_class = relation AND r.rulename = '_RETURN') t,
        LATERAL (SELECT greatest((SELECT count(*) FROM regexp_matches(t.tree, '\{RANGETBLREF ', 'g'))::integer - 1, 0) AS joins) j
$body$;

-- One row per signal of a stream table; score and weight NULL-safe: no data, no weight.
CREATE OR REPLACE FUNCTION pgtrickle.refresh_mode_signals(st pgtrickle.pgt_stream_tables) RETURNS TABLE (
    name text, value double precision, score double precision, weight double precision, base_weight double precision, detail text
) LANGUAGE sql STABLE SET search_path = pg_catalog AS $body$
    WITH history AS (
        SELECT h.action, h.duration_ms, row_number() OVER (PARTITION BY h.action ORDER BY h.refresh_id DESC) AS place
        FROM pgtrickle.pgt_refresh_history h
        WHERE h.pgt_id = st.pgt_id AND h.status = 'COMPLETED' AND h.action IN ('DIFFERENTIAL', 'FULL')
    ), timing AS (
        SELECT count(*) FILTER (WHERE action = 'DIFFERENTIAL') AS diffs, count(*) FILTER (WHERE action = 'FULL') AS fulls,
            avg(duration_ms) FILTER (WHERE action = 'DIFFERENTIAL') AS diff_ms, avg(duration_ms) FILTER (WHERE action = 'FULL') AS full_ms,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE action = 'DIFFERENTIAL') AS diff_p50,
            percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) FILTER (WHERE action = 'DIFFERENTIAL') AS diff_p95
        FROM history WHERE place <= 100
    ), ratio AS (
        SELECT avg(r.ratio) AS average, count(*) AS samples FROM pgtrickle.change_ratios() r WHERE r.pgt_id = st.pgt_id AND r.place <= 100
    ), signals (place, name, value, score, base_weight, weight, detail) AS (
        -- Changes of a table that is kept in memory are taken in as they commit, so none is ever pending; of one that
        -- Postgres evaluates they are not counted. There is no table or index on disk.
        SELECT 1, 'change_ratio_current', p.pending, pgtrickle.score_change_ratio(p.pending), 0.25, 0.25, 'no change is pending'
        FROM (SELECT CASE WHEN st.is_populated AND st.refresh_reason IS NULL THEN 0.0::double precision END AS pending) p
        UNION ALL
        SELECT 2, 'change_ratio_avg', r.average, pgtrickle.score_change_ratio(r.average), 0.30,
            CASE WHEN r.samples < 10 THEN 0.10 ELSE 0.30 END,
            format('avg change ratio %s (%s history rows)', round(r.average::numeric, 3), r.samples)
        FROM ratio r
        UNION ALL
        SELECT 3, 'empirical_timing', t.diff_ms / nullif(t.full_ms, 0),
            CASE WHEN t.diffs < 5 OR t.fulls < 5 OR t.full_ms = 0 THEN NULL WHEN t.diff_ms / t.full_ms < 0.3 THEN 1 WHEN t.diff_ms / t.full_ms < 0.7 THEN 0.5
                WHEN t.diff_ms / t.full_ms < 1 THEN 0.2 WHEN t.diff_ms / t.full_ms < 1.5 THEN -0.5 ELSE -1 END, 0.35, 0.35,
            format('DIFF avg %sms vs FULL avg %sms', round(t.diff_ms::numeric, 1), round(t.full_ms::numeric, 1))
        FROM timing t
        UNION ALL
        SELECT 4, 'query_complexity', c.complexity, CASE WHEN c.complexity = 0 THEN 0.3 WHEN c.complexity <= 2 THEN 0.1 WHEN c.complexity <= 4 THEN -0.2 ELSE -0.5 END,
            0.10, 0.10, format('query complexity %s', c.complexity)
        FROM pgtrickle.query_complexity(st.pgt_relid) c
        UNION ALL
        SELECT 5, 'target_size', NULL, NULL, 0.10, 0.10, NULL
        UNION ALL
        -- Every row in memory is found by its identity.
        SELECT 6, 'index_coverage', 1, 0.2, 0.05, 0.05, 'rows are found by identity'
        UNION ALL
        SELECT 7, 'latency_variance', t.diff_p95 / nullif(t.diff_p50, 0),
            CASE WHEN t.diffs < 20 OR t.diff_p50 = 0 THEN NULL WHEN t.diff_p95 / t.diff_p50 < 2 THEN 0.2 WHEN t.diff_p95 / t.diff_p50 < 5 THEN 0 ELSE -0.3 END,
            0.05, 0.05, format('DIFF p95/p50 %s', round((t.diff_p95 / nullif(t.diff_p50, 0))::numeric, 1))
        FROM timing t
    )
    SELECT g.name, g.value, g.score, CASE WHEN g.score IS NULL THEN 0 ELSE g.weight END, g.base_weight, g.detail FROM signals g ORDER BY g.place
$body$;

CREATE OR REPLACE FUNCTION pgtrickle.recommend_refresh_mode(st_name text DEFAULT NULL) RETURNS TABLE (
    pgt_schema text, pgt_name text, current_mode text, effective_mode text, recommended_mode text, confidence text, reason text, signals jsonb
) LANGUAGE sql STABLE AS $body$
    SELECT v.pgt_schema, v.pgt_name, v.requested_refresh_mode, v.effective_mode,
        CASE WHEN v.leaning = v.effective_mode THEN 'KEEP' ELSE v.leaning END,
        CASE WHEN v.weight >= 0.80 * v.greatest_weight THEN 'high' WHEN v.weight >= 0.50 * v.greatest_weight OR v.is_decisive THEN 'medium' ELSE 'low' END,
        coalesce(v.reason, 'no data yet'), v.signals
    FROM (
        SELECT s.pgt_id, s.pgt_schema, s.pgt_name, s.requested_refresh_mode, coalesce(s.effective_refresh_mode, s.refresh_mode) AS effective_mode,
            g.weight, g.greatest_weight, g.is_decisive, g.reason,
            CASE WHEN g.composite > 0.15 THEN 'DIFFERENTIAL' WHEN g.composite < -0.15 THEN 'FULL' ELSE 'KEEP' END AS leaning,
            pg_catalog.jsonb_build_object(
                'change_ratio_current', NULL, 'change_ratio_avg', g.ratio, 'diff_avg_ms', e.avg_diff_ms, 'full_avg_ms', e.avg_full_ms,
                'diff_p95_ms', (SELECT pg_catalog.percentile_cont(0.95) WITHIN GROUP (ORDER BY h.duration_ms) FROM pgtrickle.pgt_refresh_history h
                    WHERE h.pgt_id = s.pgt_id AND h.status = 'COMPLETED' AND h.action = 'DIFFERENTIAL'),
                'target_size_bytes', NULL, 'join_count', (SELECT c.joins FROM pgtrickle.query_complexity(s.pgt_relid) c), 'has_covering_index', true,
                'history_rows_diff', e.diff_count, 'history_rows_full', e.full_count, 'composite_score', g.composite, 'signals', g.listed) AS signals
        FROM pgtrickle.pgt_stream_tables s
        JOIN pgtrickle.refresh_efficiency() e ON e.pgt_id = s.pgt_id,
        LATERAL (
            SELECT pg_catalog.sum(r.score * r.weight) / nullif(pg_catalog.sum(r.weight), 0) AS composite, pg_catalog.sum(r.weight) AS weight,
                pg_catalog.sum(r.base_weight) AS greatest_weight,
                coalesce(pg_catalog.bool_or(r.base_weight >= 0.25 AND abs(r.score) >= 0.8), false) AS is_decisive,
                pg_catalog.max(r.value) FILTER (WHERE r.name = 'change_ratio_avg') AS ratio,
                pg_catalog.array_to_string((pg_catalog.array_agg(r.detail ORDER BY abs(r.score * r.weight) DESC) FILTER (WHERE r.weight > 0))[1:2], '; ') AS reason,
                pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object('name', r.name, 'score', r.score, 'weight', r.weight)) AS listed
            FROM pgtrickle.refresh_mode_signals(s) r
        ) g
        WHERE st_name IS NULL OR s.pgt_id = (pgtrickle.find_stream_table(st_name)).pgt_id
    ) v
    ORDER BY v.pgt_id
$body$;
