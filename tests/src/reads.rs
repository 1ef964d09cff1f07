//! Random reads over a scenario's stream tables: filters, expressions, aggregates, joins, ORDER BY with LIMIT.

use crate::oracle::Order;
use crate::scenario::Scenario;
use rand::Rng;
use rand::rngs::StdRng;

/// What a random read may use of a stream table.
struct Shape {
    table: &'static str,
    /// Unique in every state of the workload, so that ORDER BY it is a total order.
    key: &'static str,
    text: &'static str,
    number: &'static str,
    other_number: &'static str,
}

const ECOMMERCE: [Shape; 5] = [
    shape("product_sales", "product_id", "category_name", "revenue", "order_count"),
    shape("customer_stats", "customer_id", "country", "total_spent", "order_count"),
    shape("category_revenue", "category_id", "category_name", "revenue", "unique_customers"),
    shape("catalog_price_impact", "product_id", "category_name", "price_delta", "current_price"),
    shape("top_10_customers", "rank", "country", "total_spent", "order_count"),
];

const FRAUD: [Shape; 6] = [
    shape("user_velocity", "user_id", "country", "total_spent", "txn_count"),
    shape("merchant_stats", "merchant_id", "category", "avg_txn_amount", "unique_users"),
    shape("category_volume", "category", "category", "total_volume", "txn_count"),
    shape("risk_scores", "txn_id", "risk_level", "amount", "user_txn_count"),
    shape("country_risk", "country", "country", "total_volume", "total_txns"),
    shape("top_10_risky_merchants", "rank", "merchant_category", "risk_rate_pct", "total_txns"),
];

const FINANCE: [Shape; 6] = [
    shape("price_snapshot", "instrument_id", "sector", "mid_price", "price_drift"),
    shape("account_pnl", "account_id", "account_name", "total_market_value", "position_count"),
    shape("portfolio_pnl", "portfolio_id", "strategy", "total_unrealized_pnl", "total_positions"),
    shape("account_var", "account_id", "account_name", "diversified_var_95", "total_var_95"),
    shape("regulatory_capital", "portfolio_id", "capital_status", "required_capital", "capital_headroom"),
    shape("breach_dashboard", "rank", "capital_status", "capital_ratio_pct", "portfolio_var_95"),
];

const LEADERBOARD: [Shape; 1] = [shape("scores_by_game", "game_id", "game_id::text", "total_score", "high_score")];

const fn shape(
    table: &'static str,
    key: &'static str,
    text: &'static str,
    number: &'static str,
    other_number: &'static str,
) -> Shape {
    Shape { table, key, text, number, other_number }
}

/// A random read of the scenario and whether it fixes the order of its rows.
pub fn random(scenario: Scenario, rng: &mut StdRng) -> (String, Order) {
    let shapes: &[Shape] = match scenario.name {
        "ecommerce" => &ECOMMERCE,
        "finance" => &FINANCE,
        "fraud" => &FRAUD,
        "leaderboard" => &LEADERBOARD,
        other => unreachable!("scenario {other} has no reads"),
    };
    let Shape { table, key, text, number, other_number } = &shapes[rng.random_range(0..shapes.len())];
    let bound = rng.random_range(-10..2000);
    let limit = rng.random_range(0..12);
    let offset = rng.random_range(0..5);
    match rng.random_range(0..12) {
        0 => (format!("SELECT * FROM {table} ORDER BY {key} LIMIT {limit} OFFSET {offset}"), Order::Exact),
        1 => (format!("SELECT * FROM {table} ORDER BY {number} DESC NULLS LAST, {key} LIMIT {limit}"), Order::Exact),
        2 => (format!("SELECT * FROM {table} WHERE {number} > {bound}"), Order::Any),
        3 => (format!("SELECT {key}, {number} * 2 + {other_number} AS x, -{number} FROM {table}"), Order::Any),
        4 => (
            // Of equal numbers with different scales (0 and 0.00) Postgres' MIN keeps whichever row comes last.
            format!(
                "SELECT COUNT(*), SUM({number}), MIN(ROUND({number}, 4)), MAX(ROUND({other_number}, 4)), AVG({number}) \
                 FROM {table}"
            ),
            Order::Exact,
        ),
        5 => (
            format!(
                "SELECT {text} AS t, COUNT(*), ROUND(AVG({number}), 3) AS mean FROM {table} GROUP BY {text} \
                 HAVING COUNT(*) > {} ORDER BY t DESC",
                rng.random_range(0..3)
            ),
            Order::Exact,
        ),
        6 => {
            (format!("SELECT {key}, CASE WHEN {number} > {bound} THEN 'high' ELSE {text} END FROM {table}"), Order::Any)
        }
        7 => (
            format!(
                "SELECT {key} FROM {table} WHERE {number} BETWEEN {bound} AND {} OR {text} IN ('US', 'LOW', '1')",
                bound + 500
            ),
            Order::Any,
        ),
        8 => (format!("SELECT DISTINCT {text} FROM {table}"), Order::Any),
        9 => (
            format!(
                "SELECT a.{key}, b.{number} FROM {table} a JOIN {table} b ON a.{key} = b.{key} WHERE a.{number} <> {bound}"
            ),
            Order::Any,
        ),
        10 => (
            format!("SELECT {number}::text, {other_number}::numeric / 7 FROM {table} WHERE {number} IS NOT NULL"),
            Order::Any,
        ),
        _ => (
            format!("SELECT COALESCE(MAX(ROUND({number}, 3)), 0) - 1 FROM {table} WHERE {other_number} < 0"),
            Order::Exact,
        ),
    }
}
