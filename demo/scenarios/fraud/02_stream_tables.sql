-- Nine stream tables in four layers; transactions reaches risk_scores three ways (a diamond).

-- Layer 1: aggregates of base tables.

SELECT pgtrickle.create_stream_table(
    name  => 'user_velocity',
    query => $$
        SELECT u.id AS user_id,
               u.name AS user_name,
               u.country,
               COUNT(t.id) AS txn_count,
               COALESCE(SUM(t.amount), 0) AS total_spent,
               COALESCE(ROUND(AVG(t.amount), 2), 0) AS avg_txn_amount,
               COUNT(DISTINCT t.merchant_id) AS unique_merchants
        FROM users u
        LEFT JOIN transactions t ON t.user_id = u.id
        GROUP BY u.id, u.name, u.country
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'merchant_stats',
    query => $$
        SELECT m.id AS merchant_id,
               m.name AS merchant_name,
               m.category,
               COUNT(t.id) AS txn_count,
               COALESCE(SUM(t.amount), 0) AS total_volume,
               COALESCE(ROUND(AVG(t.amount), 2), 0) AS avg_txn_amount,
               COUNT(DISTINCT t.user_id) AS unique_users
        FROM merchants m
        LEFT JOIN transactions t ON t.merchant_id = m.id
        GROUP BY m.id, m.name, m.category
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'category_volume',
    query => $$
        SELECT m.category,
               COUNT(t.id) AS txn_count,
               COALESCE(SUM(t.amount), 0) AS total_volume,
               COALESCE(ROUND(AVG(t.amount), 2), 0) AS avg_txn_amount,
               COUNT(DISTINCT t.user_id) AS unique_users,
               COUNT(DISTINCT t.merchant_id) AS active_merchants
        FROM merchants m
        LEFT JOIN transactions t ON t.merchant_id = m.id
        GROUP BY m.category
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

-- Showcase: one of fifteen rows changes when a tier rotates.
SELECT pgtrickle.create_stream_table(
    name  => 'merchant_tier_stats',
    query => $$
        SELECT m.id AS merchant_id,
               m.name AS merchant_name,
               m.category,
               r.tier AS merchant_tier,
               CASE r.tier WHEN 'HIGH' THEN 3 WHEN 'ELEVATED' THEN 2 ELSE 1 END AS risk_score,
               r.updated_at AS tier_last_changed
        FROM merchant_risk_tier r
        JOIN merchants m ON m.id = r.merchant_id
    $$,
    schedule     => '5s',
    refresh_mode => 'DIFFERENTIAL'
);

-- Layer 2: the convergence of the diamond, and a roll-up of layer 1.

SELECT pgtrickle.create_stream_table(
    name  => 'risk_scores',
    query => $$
        SELECT t.id AS txn_id,
               t.user_id,
               COALESCE(uv.user_name, u.name) AS user_name,
               u.country AS user_country,
               t.merchant_id,
               COALESCE(ms.merchant_name, m.name) AS merchant_name,
               COALESCE(ms.category, m.category) AS merchant_category,
               t.amount,
               t.txn_at,
               COALESCE(uv.txn_count, 0) AS user_txn_count,
               COALESCE(uv.avg_txn_amount, t.amount) AS user_avg_amount,
               COALESCE(ms.avg_txn_amount, t.amount) AS merchant_avg_amount,
               CASE
                   WHEN COALESCE(uv.txn_count, 0) > 20
                        AND t.amount > 3 * COALESCE(uv.avg_txn_amount, t.amount) THEN 'HIGH'
                   WHEN COALESCE(uv.txn_count, 0) > 10
                        OR t.amount > 2 * COALESCE(uv.avg_txn_amount, t.amount) THEN 'MEDIUM'
                   ELSE 'LOW'
               END AS risk_level
        FROM transactions t
        JOIN users u ON u.id = t.user_id
        JOIN merchants m ON m.id = t.merchant_id
        LEFT JOIN user_velocity uv ON uv.user_id = t.user_id
        LEFT JOIN merchant_stats ms ON ms.merchant_id = t.merchant_id
    $$,
    schedule     => 'calculated',
    refresh_mode => 'FULL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'country_risk',
    query => $$
        SELECT country,
               COUNT(*) AS user_count,
               SUM(txn_count) AS total_txns,
               SUM(total_spent) AS total_volume,
               ROUND(AVG(avg_txn_amount), 2) AS avg_txn_amount,
               SUM(unique_merchants) AS total_merchant_visits
        FROM user_velocity
        WHERE txn_count > 0
        GROUP BY country
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

-- Layer 3: roll-ups of risk_scores.

SELECT pgtrickle.create_stream_table(
    name  => 'alert_summary',
    query => $$
        SELECT risk_level,
               COUNT(*) AS txn_count,
               SUM(amount) AS total_amount,
               ROUND(AVG(amount), 2) AS avg_amount,
               MAX(txn_at) AS last_seen_at
        FROM risk_scores
        GROUP BY risk_level
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'top_risky_merchants',
    query => $$
        SELECT merchant_name,
               merchant_category,
               COUNT(*) AS total_txns,
               SUM(CASE WHEN risk_level = 'HIGH' THEN 1 ELSE 0 END) AS high_risk_count,
               SUM(CASE WHEN risk_level = 'MEDIUM' THEN 1 ELSE 0 END) AS medium_risk_count,
               SUM(CASE WHEN risk_level = 'LOW' THEN 1 ELSE 0 END) AS low_risk_count,
               ROUND(100.0 * SUM(CASE WHEN risk_level IN ('HIGH', 'MEDIUM') THEN 1 ELSE 0 END)
                     / NULLIF(COUNT(*), 0), 1) AS risk_rate_pct
        FROM risk_scores
        GROUP BY merchant_name, merchant_category
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

-- Layer 4, showcase: never more than ten rows.
SELECT pgtrickle.create_stream_table(
    name  => 'top_10_risky_merchants',
    query => $$
        SELECT ROW_NUMBER() OVER (ORDER BY high_risk_count DESC, merchant_name) AS rank,
               merchant_name,
               merchant_category,
               total_txns,
               high_risk_count,
               medium_risk_count,
               low_risk_count,
               risk_rate_pct
        FROM top_risky_merchants
        ORDER BY high_risk_count DESC, merchant_name
        LIMIT 10
    $$,
    schedule     => '5s',
    refresh_mode => 'DIFFERENTIAL'
);
