//! What each scenario's page shows: panels of one statement each, and how their columns are to be drawn.

use super::reader::Reader;
use serde_json::{Value as Json, json};

/// How a panel is drawn.
#[derive(Clone, Copy)]
enum Kind {
    /// One row: each column a large figure.
    Figures,
    /// Rows of a label and a number: parts of a whole.
    Proportions,
    Table,
}

/// One statement and the look of its answer. `looks` names columns that are more than text or a plain number: `money`,
/// `percent` (coloured by its sign), `share`, `rate` (the higher the worse), `signed`, `alert` (colours its row), `bar` (drawn against the column's largest), `badge` (a word with a colour), `time`.
struct Panel {
    title: &'static str,
    kind: Kind,
    /// Columns of the page's grid of twelve that it takes where there is room.
    width: u8,
    sql: &'static str,
    looks: &'static [(&'static str, &'static str)],
}

const fn figures(sql: &'static str, looks: &'static [(&'static str, &'static str)]) -> Panel {
    Panel { title: "", kind: Kind::Figures, width: 12, sql, looks }
}

const fn table(
    title: &'static str,
    width: u8,
    sql: &'static str,
    looks: &'static [(&'static str, &'static str)],
) -> Panel {
    Panel { title, kind: Kind::Table, width, sql, looks }
}

fn of(scenario: &str) -> &'static [Panel] {
    match scenario {
        "ecommerce" => &ECOMMERCE,
        "fraud" => &FRAUD,
        "finance" => &FINANCE,
        "leaderboard" => &LEADERBOARD,
        "onebox" => &ONEBOX,
        other => unreachable!("scenario {other} has no panels"),
    }
}

/// The statements of the scenario's panels; each fixes the order of its rows.
pub fn statements(scenario: &str) -> impl Iterator<Item = &'static str> {
    of(scenario).iter().map(|panel| panel.sql)
}

/// Runs the scenario's panels, in their order, on one session.
pub fn read(scenario: &str, reader: &mut Reader) -> Result<Json, String> {
    let panels = of(scenario);
    let mut drawn = Vec::with_capacity(panels.len());
    for panel in panels {
        let mut json = reader.read(panel.sql)?.to_json();
        let looks: serde_json::Map<String, Json> =
            panel.looks.iter().map(|(column, look)| ((*column).to_owned(), json!(look))).collect();
        let kind = match panel.kind {
            Kind::Figures => "figures",
            Kind::Proportions => "proportions",
            Kind::Table => "table",
        };
        for (name, value) in [
            ("title", json!(panel.title)),
            ("kind", json!(kind)),
            ("width", json!(panel.width)),
            ("looks", Json::Object(looks)),
            ("sql", json!(panel.sql)),
        ] {
            json[name] = value;
        }
        drawn.push(json);
    }
    Ok(json!({ "scenario": scenario, "panels": drawn }))
}

const ECOMMERCE: [Panel; 6] = [
    figures(
        "SELECT SUM(order_count) AS orders, SUM(total_spent) AS revenue, \
                ROUND(SUM(total_spent) / NULLIF(COUNT(*), 0), 2) AS per_customer, COUNT(*) AS active_customers \
         FROM customer_stats WHERE order_count > 0",
        &[("revenue", "money"), ("per_customer", "money")],
    ),
    table(
        "Revenue by category",
        6,
        "SELECT category_name AS category, order_count AS orders, units_sold AS units, revenue, avg_price, unique_customers AS customers \
         FROM category_revenue ORDER BY revenue DESC NULLS LAST, category_name",
        &[("revenue", "bar"), ("avg_price", "money")],
    ),
    table(
        "Top 10 customers",
        6,
        "SELECT rank, customer_name AS customer, country, order_count AS orders, total_spent AS spent, avg_order_value AS average \
         FROM top_10_customers ORDER BY rank",
        &[("spent", "bar"), ("average", "money")],
    ),
    table(
        "Top products",
        6,
        "SELECT product_name AS product, category_name AS category, order_count AS orders, units_sold AS units, revenue, \
                avg_selling_price AS avg_price FROM product_sales ORDER BY revenue DESC NULLS LAST, product_id LIMIT 10",
        &[("revenue", "bar"), ("avg_price", "money")],
    ),
    table(
        "Countries",
        6,
        "SELECT country, customer_count AS customers, total_orders AS orders, total_revenue AS revenue, avg_order_value AS average \
         FROM country_revenue ORDER BY total_revenue DESC, country LIMIT 10",
        &[("revenue", "bar"), ("average", "money")],
    ),
    table(
        "Catalog price impact",
        12,
        "SELECT product_name AS product, category_name AS category, base_price, current_price, price_delta AS delta, \
                pct_change AS change, price_last_updated AS updated FROM catalog_price_impact ORDER BY product_name",
        &[
            ("base_price", "money"),
            ("current_price", "money"),
            ("delta", "signed"),
            ("change", "percent"),
            ("updated", "time"),
        ],
    ),
];

const FRAUD: [Panel; 12] = [
    figures(
        "SELECT SUM(txn_count) AS transactions, SUM(CASE risk_level WHEN 'LOW' THEN txn_count ELSE 0 END) AS low, \
                SUM(CASE risk_level WHEN 'MEDIUM' THEN txn_count ELSE 0 END) AS medium, \
                SUM(CASE risk_level WHEN 'HIGH' THEN txn_count ELSE 0 END) AS high FROM alert_summary",
        &[("low", "good"), ("medium", "warning"), ("high", "bad")],
    ),
    Panel {
        title: "Risk mix",
        kind: Kind::Proportions,
        width: 12,
        sql: "SELECT risk_level, txn_count FROM alert_summary \
              ORDER BY CASE risk_level WHEN 'LOW' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END",
        looks: &[("risk_level", "badge")],
    },
    table(
        "Recent alerts",
        12,
        "SELECT txn_id AS txn, user_name AS \"user\", merchant_name AS merchant, merchant_category AS category, amount, \
                risk_level AS risk FROM risk_scores WHERE risk_level IN ('HIGH', 'MEDIUM') ORDER BY txn_id DESC LIMIT 15",
        &[("amount", "money"), ("risk", "alert")],
    ),
    table(
        "Merchant risk leaderboard",
        6,
        "SELECT merchant_name AS merchant, merchant_category AS category, total_txns AS txns, high_risk_count AS high, \
                medium_risk_count AS medium, risk_rate_pct AS rate FROM top_risky_merchants \
         ORDER BY high_risk_count DESC, medium_risk_count DESC, merchant_name LIMIT 10",
        &[("high", "bar"), ("rate", "rate")],
    ),
    table(
        "Top 10 risky merchants",
        6,
        "SELECT rank, merchant_name AS merchant, merchant_category AS category, total_txns AS txns, high_risk_count AS high, \
                medium_risk_count AS medium, risk_rate_pct AS rate FROM top_10_risky_merchants ORDER BY rank",
        &[("rate", "rate")],
    ),
    table(
        "User velocity",
        4,
        "SELECT user_name AS \"user\", country, txn_count AS txns, total_spent AS spent FROM user_velocity \
         WHERE txn_count > 0 ORDER BY txn_count DESC, user_id LIMIT 10",
        &[("txns", "bar"), ("spent", "money")],
    ),
    table(
        "Countries",
        4,
        "SELECT country, user_count AS users, total_txns AS txns, total_volume AS volume FROM country_risk \
         ORDER BY total_txns DESC, country LIMIT 10",
        &[("txns", "bar"), ("volume", "money")],
    ),
    table(
        "Category volume",
        4,
        "SELECT category, txn_count AS txns, total_volume AS volume, unique_users AS users FROM category_volume \
         WHERE txn_count > 0 ORDER BY txn_count DESC, category",
        &[("txns", "bar"), ("volume", "money")],
    ),
    table(
        "Alert summary",
        6,
        "SELECT risk_level AS risk, txn_count AS txns, total_amount AS total, avg_amount AS average, last_seen_at AS last_seen \
         FROM alert_summary ORDER BY CASE risk_level WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END",
        &[("risk", "badge"), ("total", "money"), ("average", "money"), ("last_seen", "time")],
    ),
    table(
        "Risk by category",
        6,
        "SELECT merchant_category AS category, COUNT(*) AS txns, COUNT(*) FILTER (WHERE risk_level = 'HIGH') AS high, \
                COUNT(*) FILTER (WHERE risk_level = 'MEDIUM') AS medium, COUNT(*) FILTER (WHERE risk_level = 'LOW') AS low, \
                ROUND(100.0 * COUNT(*) FILTER (WHERE risk_level = 'HIGH') / NULLIF(COUNT(*), 0), 1) AS high_pct \
         FROM risk_scores GROUP BY merchant_category ORDER BY high_pct DESC NULLS LAST, merchant_category",
        &[("high_pct", "rate")],
    ),
    table(
        "Merchant tier stats",
        8,
        "SELECT merchant_id AS id, merchant_name AS merchant, category, merchant_tier AS tier, risk_score AS score, \
                tier_last_changed AS changed FROM merchant_tier_stats ORDER BY merchant_id",
        &[("tier", "badge"), ("changed", "time")],
    ),
    table(
        "Tiers",
        4,
        "SELECT m.name AS merchant, r.tier FROM merchant_risk_tier r JOIN merchants m ON m.id = r.merchant_id ORDER BY m.id",
        &[("tier", "badge")],
    ),
];

const FINANCE: [Panel; 6] = [
    figures(
        "SELECT p.positions, p.exposure AS book_exposure, p.pnl AS unrealized_pnl, v.var AS book_var_95 \
         FROM (SELECT COUNT(*) AS positions, SUM(market_value) AS exposure, SUM(unrealized_pnl) AS pnl FROM position_values) p, \
              (SELECT SUM(portfolio_var_95) AS var FROM portfolio_var) v",
        &[("book_exposure", "money"), ("unrealized_pnl", "signed"), ("book_var_95", "money")],
    ),
    table(
        "Capital breach dashboard",
        12,
        "SELECT rank, portfolio_name AS portfolio, manager, strategy, total_market_value AS market_value, total_pnl AS pnl, \
                portfolio_var_95 AS var_95, required_capital AS required, capital_limit AS \"limit\", capital_headroom AS headroom, \
                capital_ratio_pct AS ratio, capital_status AS status FROM breach_dashboard ORDER BY rank",
        &[
            ("market_value", "money"),
            ("pnl", "signed"),
            ("var_95", "money"),
            ("required", "money"),
            ("limit", "money"),
            ("headroom", "signed"),
            ("ratio", "share"),
            ("status", "badge"),
        ],
    ),
    table(
        "Portfolio P&L",
        6,
        "SELECT portfolio_name AS portfolio, account_count AS accounts, total_positions AS positions, total_market_value AS market_value, \
                total_unrealized_pnl AS pnl, portfolio_return_pct AS \"return\" FROM portfolio_pnl \
         ORDER BY total_market_value DESC, portfolio_id",
        &[("market_value", "money"), ("pnl", "signed"), ("return", "percent")],
    ),
    table(
        "Portfolio VaR",
        6,
        "SELECT portfolio_name AS portfolio, portfolio_var_95 AS var_95, sum_stressed_var_99 AS stressed_99, var_pct_nav AS of_nav \
         FROM portfolio_var ORDER BY portfolio_var_95 DESC, portfolio_id",
        &[("var_95", "bar"), ("stressed_99", "money"), ("of_nav", "share")],
    ),
    table(
        "Sector exposure",
        12,
        "SELECT sector, asset_class AS class, instrument_count AS instruments, account_count AS accounts, total_exposure AS exposure, \
                total_unrealized_pnl AS pnl, pct_of_total_book AS share FROM sector_exposure \
         ORDER BY ABS(total_exposure) DESC NULLS LAST, sector_id, asset_class",
        &[("exposure", "money"), ("pnl", "signed"), ("share", "bar")],
    ),
    table(
        "Live prices",
        12,
        "SELECT ticker, instrument_name AS name, sector, bid, ask, mid_price AS mid, drift_pct AS drift, price_updated_at AS updated \
         FROM price_snapshot ORDER BY ticker",
        &[("bid", "price"), ("ask", "price"), ("mid", "price"), ("drift", "percent"), ("updated", "time")],
    ),
];

const LEADERBOARD: [Panel; 3] = [
    figures(
        "SELECT p.points, p.players, p.games AS games_played, g.best AS best_score \
         FROM (SELECT SUM(total_score) AS points, COUNT(*) AS players, SUM(games_played) AS games FROM top_players) p, \
              (SELECT MAX(high_score) AS best FROM scores_by_game) g",
        &[],
    ),
    table(
        "Leaderboard",
        7,
        "SELECT rank, player_name AS player, total_score AS points, games_played AS games FROM top_players ORDER BY rank, player_id",
        &[("points", "bar")],
    ),
    table(
        "Games",
        5,
        "SELECT 'Game ' || game_id AS game, total_score AS points, player_count AS players, high_score AS best FROM scores_by_game \
         ORDER BY total_score DESC, game_id",
        &[("points", "bar")],
    ),
];

const ONEBOX: [Panel; 4] = [
    figures(
        "SELECT SUM(revenue_usd) AS revenue, SUM(order_count) AS orders_shipped, COUNT(DISTINCT day) AS days, \
                COUNT(DISTINCT category) AS categories FROM revenue_by_day",
        &[("revenue", "money")],
    ),
    table(
        "Revenue by day",
        6,
        "SELECT day, category, revenue_usd AS revenue, order_count AS orders, unique_customers AS customers FROM revenue_by_day \
         ORDER BY day DESC, category LIMIT 15",
        &[("day", "time"), ("revenue", "bar")],
    ),
    table(
        "Lifetime value",
        6,
        "SELECT email, plan, lifetime_value_usd AS value, total_orders AS orders, last_order_at AS last FROM customer_lifetime_value \
         ORDER BY lifetime_value_usd DESC NULLS LAST, id LIMIT 15",
        &[("plan", "badge"), ("value", "bar"), ("last", "time")],
    ),
    table(
        "Inventory",
        12,
        "SELECT sku, name, stock_count AS stock, units_sold_7d AS sold_in_7_days, stock_status AS status FROM inventory_health \
         ORDER BY stock_status DESC, units_sold_7d DESC, sku",
        &[("status", "badge")],
    ),
];
