-- "Real-time Demo", scenario fraud: the statements as printed.

SELECT u.id, u.name, u.country,
COUNT(t.id) AS txn_count,
SUM(t.amount) AS total_spent,
ROUND(AVG(t.amount), 2) AS avg_txn_amount,
COUNT(DISTINCT t.merchant_id) AS unique_merchants
FROM users u
LEFT JOIN transactions t ON t.user_id = u.id
GROUP BY u.id, u.name, u.country;

SELECT name, status, refresh_mode, is_populated, staleness
FROM pgtrickle.pgt_status();

SELECT tree_line FROM pgtrickle.dependency_tree()
ORDER BY tree_line;

SELECT st.pgt_name, rh.action, rh.status,
(rh.end_time - rh.start_time) AS duration, rh.start_time
FROM pgtrickle.pgt_refresh_history rh
JOIN pgtrickle.pgt_stream_tables st ON st.pgt_id = rh.pgt_id
ORDER BY rh.start_time DESC
LIMIT 20;

SELECT group_id, member_name, is_convergence, schedule_policy
FROM pgtrickle.diamond_groups()
ORDER BY group_id, is_convergence DESC;

-- In one terminal: watch for new HIGH rows
SELECT txn_id, user_name, merchant_name, amount
FROM risk_scores
WHERE risk_level = 'HIGH'
ORDER BY txn_id DESC
LIMIT 5;
-- Wait ~45 seconds for the next burst, then run the query again.

SELECT pgtrickle.refresh_stream_table('risk_scores');

-- Named in the text: Use pgtrickle.recommend_refresh_mode(table_name) to check
SELECT * FROM pgtrickle.recommend_refresh_mode('risk_scores');
SELECT * FROM pgtrickle.recommend_refresh_mode();
