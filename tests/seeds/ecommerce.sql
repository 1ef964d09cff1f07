-- "Real-time Demo", scenario ecommerce: the statements as printed.

-- See category revenue live
SELECT category, order_count, units_sold, revenue
FROM category_revenue ORDER BY revenue DESC;

-- Top 10 customers leaderboard
SELECT * FROM top_10_customers;

-- Price changes vs. base price
SELECT product_name, base_price, current_price, pct_change
FROM catalog_price_impact ORDER BY ABS(pct_change) DESC;

-- Refresh efficiency comparison across all stream tables
SELECT pgt_name, avg_diff_ms, diff_speedup, avg_change_ratio
FROM pgtrickle.refresh_efficiency() ORDER BY pgt_name;
