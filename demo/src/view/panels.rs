//! What each scenario's screen shows.

/// A statement and the most rows of it that are shown.
pub struct Panel {
    pub title: &'static str,
    pub sql: &'static str,
    pub rows: usize,
}

/// Every stream table: how old its last refresh is, what it last did, how long that took.
pub const STATUS: Panel = Panel {
    title: "stream tables",
    sql: "SELECT s.name, s.refresh_mode AS mode, COALESCE(s.schedule, 'calculated') AS schedule, s.status, \
          ROUND(EXTRACT(EPOCH FROM s.staleness)::numeric, 2) AS staleness_s, h.refreshes, \
          h.last_rows AS changed_rows, h.last_ms, h.average_ms \
          FROM pgtrickle.pgt_status() s \
          JOIN pgtrickle.pgt_stream_tables t ON t.pgt_schema || '.' || t.pgt_name = s.name \
          LEFT JOIN LATERAL ( \
              SELECT COUNT(*) AS refreshes, \
                     (array_agg(r.rows_inserted + r.rows_deleted ORDER BY r.refresh_id DESC))[1] AS last_rows, \
                     ROUND((array_agg(EXTRACT(EPOCH FROM r.end_time - r.start_time) * 1000 \
                                      ORDER BY r.refresh_id DESC))[1]::numeric, 2) AS last_ms, \
                     ROUND(AVG(EXTRACT(EPOCH FROM r.end_time - r.start_time) * 1000)::numeric, 2) AS average_ms \
              FROM pgtrickle.pgt_refresh_history r \
              WHERE r.pgt_id = t.pgt_id AND r.status = 'COMPLETED' AND r.start_time > now() - interval '1 minute' \
          ) h ON true \
          ORDER BY t.pgt_id",
    rows: 12,
};

/// Rows of panels that stand beside each other where the terminal is wide enough.
pub fn of(scenario: &str) -> &'static [&'static [Panel]] {
    match scenario {
        "ecommerce" => ECOMMERCE,
        "finance" => FINANCE,
        "fraud" => FRAUD,
        "leaderboard" => LEADERBOARD,
        "onebox" => ONEBOX,
        other => unreachable!("scenario {other} has no panels"),
    }
}

const ECOMMERCE: &[&[Panel]] = &[
    &[
        Panel {
            title: "revenue by category",
            sql: "SELECT category_name AS category, order_count AS orders, units_sold AS units, revenue, \
                  unique_customers AS customers FROM category_revenue ORDER BY revenue DESC NULLS LAST, category_name",
            rows: 8,
        },
        Panel {
            title: "top customers",
            sql: "SELECT rank, customer_name AS customer, country, order_count AS orders, total_spent AS spent \
                  FROM top_10_customers ORDER BY rank",
            rows: 8,
        },
    ],
    &[
        Panel {
            title: "top products",
            sql: "SELECT product_name AS product, order_count AS orders, units_sold AS units, revenue, \
                  avg_selling_price AS avg_price FROM product_sales ORDER BY revenue DESC NULLS LAST, product_id LIMIT 8",
            rows: 8,
        },
        Panel {
            title: "price list, largest changes",
            sql: "SELECT product_name AS product, base_price AS base, current_price AS now, pct_change AS pct \
                  FROM catalog_price_impact ORDER BY ABS(pct_change) DESC, product_name LIMIT 8",
            rows: 8,
        },
    ],
];

const FINANCE: &[&[Panel]] = &[
    &[Panel {
        title: "capital",
        sql: "SELECT rank, portfolio_name AS portfolio, manager, total_market_value AS market_value, portfolio_var_95 AS var_95, \
              required_capital AS required, capital_limit AS \"limit\", capital_ratio_pct AS pct, capital_status AS status \
              FROM breach_dashboard ORDER BY rank",
        rows: 5,
    }],
    &[
        Panel {
            title: "sectors",
            sql: "SELECT sector, asset_class AS class, account_count AS accounts, total_exposure AS exposure, \
                  pct_of_total_book AS pct FROM sector_exposure ORDER BY ABS(total_exposure) DESC NULLS LAST, sector_id LIMIT 6",
            rows: 6,
        },
        Panel {
            title: "profit and loss",
            sql: "SELECT portfolio_name AS portfolio, total_positions AS positions, total_market_value AS market_value, \
                  total_unrealized_pnl AS pnl, portfolio_return_pct AS pct FROM portfolio_pnl ORDER BY total_market_value DESC",
            rows: 6,
        },
    ],
    &[Panel {
        title: "prices, largest drift",
        sql: "SELECT ticker, instrument_name AS name, sector, bid, ask, mid_price AS mid, drift_pct AS pct FROM price_snapshot \
              ORDER BY ABS(drift_pct) DESC, ticker LIMIT 6",
        rows: 6,
    }],
];

const FRAUD: &[&[Panel]] = &[
    &[
        Panel {
            title: "alerts",
            sql: "SELECT risk_level AS level, txn_count AS transactions, total_amount AS total, avg_amount AS average \
                  FROM alert_summary ORDER BY CASE risk_level WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END",
            rows: 3,
        },
        Panel {
            title: "recent alerts",
            sql: "SELECT txn_id AS txn, user_name AS \"user\", merchant_name AS merchant, amount, risk_level AS level \
                  FROM risk_scores WHERE risk_level IN ('HIGH', 'MEDIUM') ORDER BY txn_id DESC LIMIT 6",
            rows: 6,
        },
    ],
    &[
        Panel {
            title: "riskiest merchants",
            sql: "SELECT rank, merchant_name AS merchant, high_risk_count AS high, medium_risk_count AS medium, \
                  low_risk_count AS low, risk_rate_pct AS pct FROM top_10_risky_merchants ORDER BY rank",
            rows: 6,
        },
        Panel {
            title: "user velocity",
            sql: "SELECT user_name AS \"user\", country, txn_count AS txns, total_spent AS spent, \
                  avg_txn_amount AS average FROM user_velocity ORDER BY txn_count DESC, user_id LIMIT 6",
            rows: 6,
        },
    ],
    &[
        Panel {
            title: "countries",
            sql: "SELECT country, user_count AS users, total_txns AS txns, total_volume AS volume FROM country_risk \
                  ORDER BY total_txns DESC, country LIMIT 6",
            rows: 6,
        },
        Panel {
            title: "categories",
            sql: "SELECT category, txn_count AS txns, total_volume AS volume, unique_users AS users \
                  FROM category_volume ORDER BY txn_count DESC, category",
            rows: 6,
        },
        Panel {
            title: "tiers",
            sql: "SELECT merchant_name AS merchant, merchant_tier AS tier FROM merchant_tier_stats \
                  ORDER BY risk_score DESC, merchant_id LIMIT 6",
            rows: 6,
        },
    ],
];

const LEADERBOARD: &[&[Panel]] = &[&[
    Panel {
        title: "leaderboard",
        sql: "SELECT rank, player_name AS player, total_score AS points, games_played AS games FROM top_players \
              ORDER BY rank, player_id LIMIT 20",
        rows: 20,
    },
    Panel {
        title: "games",
        sql: "SELECT 'Game ' || game_id AS game, total_score AS points, player_count AS players, high_score AS best \
              FROM scores_by_game ORDER BY high_score DESC, game_id",
        rows: 5,
    },
]];

const ONEBOX: &[&[Panel]] = &[
    &[
        Panel {
            title: "revenue by day",
            sql: "SELECT day::date AS day, category, revenue_usd AS revenue, order_count AS orders, unique_customers AS customers \
                  FROM revenue_by_day ORDER BY revenue_by_day.day DESC, category LIMIT 9",
            rows: 9,
        },
        Panel {
            title: "customers by lifetime value",
            sql: "SELECT email, plan, lifetime_value_usd AS value, total_orders AS orders FROM customer_lifetime_value \
                  ORDER BY lifetime_value_usd DESC NULLS LAST, id LIMIT 9",
            rows: 9,
        },
    ],
    &[Panel {
        title: "inventory alerts",
        sql: "SELECT sku, name, stock_count AS stock, units_sold_7d AS sold_7d, stock_status AS status FROM inventory_health \
              WHERE stock_status <> 'OK' ORDER BY stock_status DESC, units_sold_7d DESC, sku",
        rows: 8,
    }],
];
