-- "Real-time Demo", scenario finance: the statements as printed, but the last.

-- See all stream table status
SELECT pgt_name, refresh_mode, schedule, is_populated
FROM pgtrickle.pgt_status()
ORDER BY pgt_id;

-- View the full 10-level dependency graph
SELECT tree_line FROM pgtrickle.dependency_tree()
ORDER BY tree_line;

-- Current market snapshot (L1)
SELECT symbol, sector, bid, ask, mid
FROM price_snapshot
ORDER BY symbol;

-- Net positions per account-instrument (L1)
SELECT account_id, instrument_symbol, net_quantity, position_value
FROM net_positions
WHERE net_quantity != 0
ORDER BY account_id, instrument_symbol;

-- Top-10 portfolio risk ranking (L10)
SELECT portfolio_name, capital_required, capital_limit, utilization_ratio
FROM breach_dashboard
ORDER BY utilization_ratio DESC;

-- Watch differential efficiency in action
-- This shows very low change ratios at the top levels (L1) and even lower at L10
SELECT pgt_name, avg_change_ratio, avg_diff_ms, diff_speedup
FROM pgtrickle.refresh_efficiency()
ORDER BY pgt_id;

-- Corrected: printed as (rh.end_time - rh.start_time)::int8, a cast that Postgres does not have (42846), and with psql's
-- option --watch, which psql does not have: \watch repeats the statement.
SELECT
st.pgt_name,
rh.action,
(EXTRACT(EPOCH FROM rh.end_time - rh.start_time) * 1000)::int8 AS duration_ms,
rh.start_time
FROM pgtrickle.pgt_refresh_history rh
JOIN pgtrickle.pgt_stream_tables st ON st.pgt_id = rh.pgt_id
WHERE rh.start_time > now() - interval '10 seconds'
ORDER BY rh.start_time DESC
LIMIT 50;
