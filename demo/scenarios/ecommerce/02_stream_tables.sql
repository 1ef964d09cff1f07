-- Six stream tables: three aggregates of base tables, two roll-ups, one price list. `category` is `category_name` again, as
-- the tutorial's queries have it.

SELECT pgtrickle.create_stream_table(
    name  => 'product_sales',
    query => $$
        SELECT p.id AS product_id,
               p.name AS product_name,
               cat.name AS category_name,
               COUNT(o.id) AS order_count,
               COALESCE(SUM(o.quantity), 0) AS units_sold,
               COALESCE(SUM(o.quantity * o.unit_price), 0) AS revenue,
               COALESCE(ROUND(AVG(o.unit_price), 2), 0) AS avg_selling_price
        FROM products p
        JOIN categories cat ON cat.id = p.category_id
        LEFT JOIN orders o ON o.product_id = p.id
        GROUP BY p.id, p.name, cat.id, cat.name
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'customer_stats',
    query => $$
        SELECT c.id AS customer_id,
               c.name AS customer_name,
               c.country,
               COUNT(o.id) AS order_count,
               COALESCE(SUM(o.quantity * o.unit_price), 0) AS total_spent,
               COALESCE(ROUND(AVG(o.quantity * o.unit_price), 2), 0) AS avg_order_value
        FROM customers c
        LEFT JOIN orders o ON o.customer_id = c.id
        GROUP BY c.id, c.name, c.country
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'category_revenue',
    query => $$
        SELECT cat.id AS category_id,
               cat.name AS category_name,
               COUNT(o.id) AS order_count,
               COALESCE(SUM(o.quantity), 0) AS units_sold,
               COALESCE(SUM(o.quantity * o.unit_price), 0) AS revenue,
               COALESCE(ROUND(AVG(o.unit_price), 2), 0) AS avg_price,
               COUNT(DISTINCT o.customer_id) AS unique_customers,
               cat.name AS category
        FROM categories cat
        LEFT JOIN products p ON p.category_id = cat.id
        LEFT JOIN orders o ON o.product_id = p.id
        GROUP BY cat.id, cat.name
    $$,
    schedule     => '1s',
    refresh_mode => 'DIFFERENTIAL'
);

SELECT pgtrickle.create_stream_table(
    name  => 'country_revenue',
    query => $$
        SELECT country,
               COUNT(*) AS customer_count,
               SUM(order_count) AS total_orders,
               SUM(total_spent) AS total_revenue,
               ROUND(AVG(avg_order_value), 2) AS avg_order_value
        FROM customer_stats
        WHERE order_count > 0
        GROUP BY country
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);

-- Showcase: one of fifteen rows changes when a product is repriced.
SELECT pgtrickle.create_stream_table(
    name  => 'catalog_price_impact',
    query => $$
        SELECT p.id AS product_id,
               p.name AS product_name,
               cat.name AS category_name,
               p.base_price,
               pc.current_price,
               ROUND(pc.current_price - p.base_price, 2) AS price_delta,
               ROUND(100.0 * (pc.current_price - p.base_price) / NULLIF(p.base_price, 0), 1) AS pct_change,
               pc.updated_at AS price_last_updated
        FROM product_catalog pc
        JOIN products p ON p.id = pc.product_id
        JOIN categories cat ON cat.id = p.category_id
    $$,
    schedule     => '5s',
    refresh_mode => 'DIFFERENTIAL'
);

-- Showcase: never more than ten rows.
SELECT pgtrickle.create_stream_table(
    name  => 'top_10_customers',
    query => $$
        SELECT ROW_NUMBER() OVER (ORDER BY total_spent DESC, customer_name) AS rank,
               customer_name,
               country,
               order_count,
               total_spent,
               avg_order_value
        FROM customer_stats
        WHERE order_count > 0
        ORDER BY total_spent DESC, customer_name
        LIMIT 10
    $$,
    schedule     => 'calculated',
    refresh_mode => 'DIFFERENTIAL'
);
