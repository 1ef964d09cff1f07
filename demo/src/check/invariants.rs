//! What must be equal in every single read, however fast the writers are.

/// One read over several stream tables, whose columns must all be equal, in every row.
pub struct Invariant {
    pub says: &'static str,
    pub sql: &'static str,
}

/// The invariants of a scenario.
pub fn of(scenario: &str) -> &'static [Invariant] {
    match scenario {
        "ecommerce" => &ECOMMERCE,
        "finance" => &FINANCE,
        "fraud" => &FRAUD,
        "leaderboard" => &LEADERBOARD,
        "onebox" => &ONEBOX,
        other => unreachable!("scenario {other} has no invariants"),
    }
}

const ECOMMERCE: [Invariant; 5] = [
    Invariant {
        says: "revenue by category = revenue by product = spending by customer",
        sql: "SELECT c.total, p.total, s.total \
              FROM (SELECT SUM(revenue) AS total FROM category_revenue) c, \
                   (SELECT SUM(revenue) AS total FROM product_sales) p, \
                   (SELECT SUM(total_spent) AS total FROM customer_stats) s",
    },
    Invariant {
        says: "orders by category = by product = by customer = by country",
        sql: "SELECT c.n, p.n, s.n, r.n \
              FROM (SELECT SUM(order_count) AS n FROM category_revenue) c, \
                   (SELECT SUM(order_count) AS n FROM product_sales) p, \
                   (SELECT SUM(order_count) AS n FROM customer_stats) s, \
                   (SELECT SUM(total_orders) AS n FROM country_revenue) r",
    },
    Invariant {
        says: "every customer of the top ten has spent what the ranking says",
        sql: "SELECT t.total_spent, s.total_spent FROM top_10_customers t \
              JOIN customer_stats s ON s.customer_name = t.customer_name",
    },
    Invariant {
        says: "the top ten are ranked as all customers are",
        sql: "SELECT t.rank, a.rank FROM top_10_customers t \
              JOIN (SELECT customer_name, ROW_NUMBER() OVER (ORDER BY total_spent DESC, customer_name) AS rank \
                    FROM customer_stats WHERE order_count > 0) a ON a.customer_name = t.customer_name",
    },
    Invariant {
        says: "the top ten are ten, or all customers who have ordered",
        sql: "SELECT COUNT(*), LEAST(10, (SELECT COUNT(*) FROM customer_stats WHERE order_count > 0)) FROM top_10_customers",
    },
];

const FINANCE: [Invariant; 7] = [
    Invariant {
        says: "market value by account = of the positions = by portfolio = at risk = by sector",
        sql: "SELECT a.total, v.total, p.total, r.total, s.total \
              FROM (SELECT SUM(total_market_value) AS total FROM account_pnl) a, \
                   (SELECT SUM(market_value) AS total FROM position_values) v, \
                   (SELECT SUM(total_market_value) AS total FROM portfolio_pnl) p, \
                   (SELECT SUM(total_market_value) AS total FROM portfolio_var) r, \
                   (SELECT SUM(total_exposure) AS total FROM sector_exposure) s",
    },
    Invariant {
        says: "positions of the accounts = positions valued = net positions",
        sql: "SELECT a.n, v.n, p.n FROM (SELECT COALESCE(SUM(position_count), 0) AS n FROM account_pnl) a, \
                   (SELECT COUNT(*) AS n FROM position_values) v, (SELECT COUNT(*) AS n FROM net_positions) p",
    },
    Invariant {
        says: "every position is valued at its instrument's present price",
        sql: "SELECT v.mid_price, s.mid_price FROM position_values v JOIN price_snapshot s ON s.instrument_id = v.instrument_id \
              WHERE v.account_id <= 10",
    },
    Invariant {
        says: "every breach row is its portfolio's capital",
        sql: "SELECT b.required_capital, r.required_capital FROM breach_dashboard b \
              JOIN regulatory_capital r ON r.portfolio_name = b.portfolio_name",
    },
    Invariant {
        says: "every breach row follows from its portfolio's figures",
        sql: "SELECT concat_ws(' ', b.total_market_value, b.total_pnl, b.portfolio_var_95, b.capital_limit, b.capital_headroom, \
                               b.capital_ratio_pct, b.capital_status), \
                     concat_ws(' ', r.total_market_value, r.total_pnl, r.portfolio_var_95, r.capital_limit, \
                               r.capital_limit - r.required_capital, ROUND(r.capital_ratio_pct, 2), \
                               CASE WHEN r.required_capital > r.capital_limit THEN 'BREACH' \
                                    WHEN r.required_capital > r.capital_limit * 0.8 THEN 'WARNING' ELSE 'OK' END) \
              FROM breach_dashboard b JOIN regulatory_capital r ON r.portfolio_name = b.portfolio_name",
    },
    Invariant {
        says: "breach rows are ranked as all portfolios are",
        sql: "SELECT b.rank, a.rank FROM breach_dashboard b \
              JOIN (SELECT portfolio_name, ROW_NUMBER() OVER (ORDER BY capital_ratio_pct DESC, portfolio_name) AS rank \
                    FROM regulatory_capital) a ON a.portfolio_name = b.portfolio_name",
    },
    Invariant {
        says: "the sectors' shares of the book are no more than all of it, but for their rounding",
        sql: "SELECT COALESCE(SUM(pct_of_total_book) <= 100 + 0.005 * COUNT(*), true), true FROM sector_exposure",
    },
];

const FRAUD: [Invariant; 4] = [
    Invariant {
        says: "transactions by alert level = scored = by merchant = by category = by user",
        sql: "SELECT a.n, r.n, m.n, c.n, u.n \
              FROM (SELECT COALESCE(SUM(txn_count), 0) AS n FROM alert_summary) a, \
                   (SELECT COUNT(*) AS n FROM risk_scores) r, \
                   (SELECT COALESCE(SUM(total_txns), 0) AS n FROM top_risky_merchants) m, \
                   (SELECT COALESCE(SUM(txn_count), 0) AS n FROM category_volume) c, \
                   (SELECT COALESCE(SUM(txn_count), 0) AS n FROM user_velocity) u",
    },
    Invariant {
        says: "amounts by alert level = by category = by user = by country",
        sql: "SELECT a.total, c.total, u.total, k.total \
              FROM (SELECT SUM(total_amount) AS total FROM alert_summary) a, \
                   (SELECT SUM(total_volume) AS total FROM category_volume) c, \
                   (SELECT SUM(total_spent) AS total FROM user_velocity) u, \
                   (SELECT SUM(total_volume) AS total FROM country_risk) k",
    },
    Invariant {
        says: "every scored transaction carries its user's present count",
        sql: "SELECT r.user_txn_count, u.txn_count FROM risk_scores r JOIN user_velocity u ON u.user_id = r.user_id \
              WHERE r.txn_id <= 40",
    },
    Invariant {
        says: "the top ten are ten, or all merchants seen, with ranks from one",
        sql: "SELECT COUNT(*), MAX(rank), COUNT(DISTINCT rank), LEAST(10, (SELECT COUNT(*) FROM top_risky_merchants)) \
              FROM top_10_risky_merchants",
    },
];

const LEADERBOARD: [Invariant; 2] = [
    Invariant {
        says: "points of the players = points in the games",
        sql: "SELECT p.total, g.total \
              FROM (SELECT SUM(total_score) AS total FROM top_players) p, \
                   (SELECT SUM(total_score) AS total FROM scores_by_game) g",
    },
    Invariant {
        says: "a player's rank is that of the total; players with equal totals share one",
        sql: "SELECT rank, RANK() OVER (ORDER BY total_score DESC) FROM top_players",
    },
];

const ONEBOX: [Invariant; 2] = [
    Invariant {
        says: "revenue of the days = lifetime value of the customers",
        sql: "SELECT d.total, c.total FROM (SELECT SUM(revenue_usd) AS total FROM revenue_by_day) d, \
                   (SELECT SUM(lifetime_value_usd) AS total FROM customer_lifetime_value) c",
    },
    Invariant {
        says: "orders of the days = orders of the customers who have any",
        sql: "SELECT d.n, c.n FROM (SELECT SUM(order_count) AS n FROM revenue_by_day) d, \
                   (SELECT SUM(total_orders) AS n FROM customer_lifetime_value WHERE lifetime_value_usd IS NOT NULL) c",
    },
];

/// With the writers paused: a read of stream tables, and the read of base tables that it must equal.
pub fn at_rest(scenario: &str) -> &'static [(&'static str, &'static str)] {
    match scenario {
        "ecommerce" => {
            &[("SELECT SUM(revenue) FROM category_revenue", "SELECT SUM(quantity * unit_price) FROM orders")]
        }
        "finance" => &[
            (
                "SELECT COUNT(*) FROM net_positions",
                "SELECT COUNT(*) FROM (SELECT FROM trades GROUP BY account_id, instrument_id HAVING SUM(quantity) <> 0) p",
            ),
            ("SELECT SUM(mid_price) FROM price_snapshot", "SELECT SUM(mid) FROM market_prices"),
        ],
        "fraud" => &[
            ("SELECT SUM(txn_count) FROM alert_summary", "SELECT COUNT(*) FROM transactions"),
            ("SELECT SUM(total_volume) FROM category_volume", "SELECT SUM(amount) FROM transactions"),
        ],
        "leaderboard" => &[("SELECT SUM(total_score) FROM top_players", "SELECT SUM(score) FROM game_scores")],
        "onebox" => &[(
            "SELECT SUM(revenue_usd) FROM revenue_by_day",
            "SELECT SUM(total_usd) FROM orders WHERE status = 'shipped'",
        )],
        other => unreachable!("scenario {other} has no reads"),
    }
}

/// A read whose answer, at the end, must be true: the writers have reached what the scenario is there to show.
pub fn reached(scenario: &str) -> Option<&'static str> {
    match scenario {
        "finance" => Some("SELECT COUNT(*) FILTER (WHERE capital_status = 'BREACH') > 0 FROM breach_dashboard"),
        "fraud" => Some("SELECT COUNT(*) FILTER (WHERE risk_level = 'HIGH') > 0 FROM risk_scores"),
        _ => None,
    }
}

/// The seeds' psql reads and a few more, compared with the same read of the views at every pause.
pub fn reads(scenario: &str) -> &'static [&'static str] {
    match scenario {
        "ecommerce" => &[
            "SELECT category_name, order_count, units_sold, revenue FROM category_revenue ORDER BY revenue DESC, category_name",
            "SELECT * FROM product_sales ORDER BY revenue DESC NULLS LAST, product_id LIMIT 10",
            "SELECT * FROM top_10_customers ORDER BY rank",
            "SELECT * FROM country_revenue ORDER BY total_revenue DESC, country",
            "SELECT product_name, base_price, current_price, pct_change FROM catalog_price_impact \
             ORDER BY ABS(pct_change) DESC, product_name",
        ],
        "fraud" => &[
            "SELECT txn_id, user_name, merchant_name, merchant_category, amount, risk_level FROM risk_scores \
             WHERE risk_level IN ('HIGH', 'MEDIUM') ORDER BY txn_id DESC LIMIT 15",
            "SELECT * FROM alert_summary \
             ORDER BY CASE risk_level WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END",
            "SELECT * FROM top_10_risky_merchants ORDER BY rank",
            "SELECT * FROM country_risk ORDER BY total_txns DESC, country LIMIT 10",
            "SELECT merchant_category, COUNT(*) AS total, COUNT(*) FILTER (WHERE risk_level = 'HIGH') AS high, \
             ROUND(100.0 * COUNT(*) FILTER (WHERE risk_level = 'HIGH') / NULLIF(COUNT(*), 0), 1) AS high_pct \
             FROM risk_scores GROUP BY merchant_category ORDER BY high_pct DESC NULLS LAST, merchant_category",
        ],
        "finance" => &[
            "SELECT * FROM breach_dashboard ORDER BY rank",
            "SELECT * FROM sector_exposure ORDER BY ABS(total_exposure) DESC NULLS LAST, sector_id, asset_class",
            "SELECT * FROM portfolio_pnl ORDER BY total_market_value DESC, portfolio_id",
            "SELECT portfolio_name, portfolio_var_95, sum_stressed_var_99, var_pct_nav FROM portfolio_var \
             ORDER BY portfolio_var_95 DESC, portfolio_id",
            "SELECT ticker, sector, bid, ask, mid_price, drift_pct FROM price_snapshot ORDER BY ticker",
            "SELECT * FROM position_values ORDER BY ABS(market_value) DESC, account_id, instrument_id",
            "SELECT account_id, ticker, net_quantity FROM net_positions WHERE net_quantity != 0 ORDER BY account_id, ticker",
            "SELECT COUNT(*), SUM(market_value), SUM(unrealized_pnl) FROM position_values",
        ],
        "leaderboard" => &[
            "SELECT rank, player_name, total_score, games_played FROM top_players ORDER BY rank, player_id LIMIT 10",
            "SELECT rank, player_name, total_score FROM top_players WHERE rank <= 3 ORDER BY rank, player_id",
            "SELECT 'Game ' || game_id, high_score FROM scores_by_game ORDER BY high_score DESC, game_id",
            "SELECT COUNT(*) FROM top_players",
        ],
        "onebox" => &[
            "SELECT floor(extract(epoch from day)/86400)*86400 AS \"time\", category, SUM(revenue_usd) AS \"Revenue (USD)\" \
             FROM revenue_by_day GROUP BY 1, category ORDER BY 1, category",
            "SELECT plan, PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY lifetime_value_usd) AS p50_ltv, \
             PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY lifetime_value_usd) AS p90_ltv, AVG(lifetime_value_usd) AS avg_ltv \
             FROM customer_lifetime_value GROUP BY plan ORDER BY plan",
        ],
        other => unreachable!("scenario {other} has no reads"),
    }
}
