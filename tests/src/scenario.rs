//! The seeds' scenarios: base tables and stream tables, as SQL.

use crate::wire::RawClient;

/// One scenario of `demo/scenarios`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    /// Base tables and their first rows.
    pub schema: &'static str,
    /// The `create_stream_table` calls.
    pub stream_tables: &'static str,
    /// Names of the stream tables that change with what is written only, ancestors first.
    pub tables: &'static [&'static str],
    /// Names of those that read the time: two reads of them may differ with nothing written in between.
    pub timed: &'static [&'static str],
}

macro_rules! scenario {
    ($name:literal, $tables:expr) => {
        scenario!($name, $tables, &[])
    };
    ($name:literal, $tables:expr, $timed:expr) => {
        Scenario {
            name: $name,
            schema: include_str!(concat!("../../demo/scenarios/", $name, "/01_schema.sql")),
            stream_tables: include_str!(concat!("../../demo/scenarios/", $name, "/02_stream_tables.sql")),
            tables: $tables,
            timed: $timed,
        }
    };
}

/// Online shop: categories, products, customers, orders, a price list; six stream tables.
pub const ECOMMERCE: Scenario = scenario!(
    "ecommerce",
    &[
        "product_sales",
        "customer_stats",
        "category_revenue",
        "country_revenue",
        "catalog_price_impact",
        "top_10_customers"
    ]
);

/// Card fraud: users, merchants, transactions, risk tiers; nine stream tables with a diamond.
pub const FRAUD: Scenario = scenario!(
    "fraud",
    &[
        "user_velocity",
        "merchant_stats",
        "category_volume",
        "merchant_tier_stats",
        "risk_scores",
        "country_risk",
        "alert_summary",
        "top_risky_merchants",
        "top_10_risky_merchants",
    ]
);

/// A trading book: prices that tick, trades; eleven stream tables in a deep chain.
pub const FINANCE: Scenario = scenario!(
    "finance",
    &[
        "price_snapshot",
        "net_positions",
        "position_values",
        "account_pnl",
        "portfolio_pnl",
        "sector_exposure",
        "var_contributions",
        "account_var",
        "portfolio_var",
        "regulatory_capital",
        "breach_dashboard",
    ]
);

/// Game scores; two stream tables, one with RANK.
pub const LEADERBOARD: Scenario = scenario!("leaderboard", &["top_players", "scores_by_game"]);

/// A small shop's orders for Grafana: revenue, lifetime values, and a window of seven days that ages by itself.
pub const ONEBOX: Scenario = scenario!("onebox", &["revenue_by_day", "customer_lifetime_value"], &["inventory_health"]);

/// All scenarios.
pub const ALL: [Scenario; 5] = [ECOMMERCE, FRAUD, FINANCE, LEADERBOARD, ONEBOX];

impl Scenario {
    /// The scenario called `name`.
    pub fn named(name: &str) -> Option<Scenario> {
        ALL.into_iter().find(|scenario| scenario.name == name)
    }

    /// As `install`, with the cascades, triggers and functions of [`crate::workload::hostile_schema`].
    pub fn install_hostile(&self, client: &mut RawClient) {
        client.execute(self.schema);
        client.execute(&crate::workload::hostile_schema(*self));
        client.execute(self.stream_tables);
    }

    /// Creates base tables and stream tables over one connection (through Weir). Panics with Postgres' error.
    pub fn install(&self, client: &mut RawClient) {
        client.execute(self.schema);
        client.execute(self.stream_tables);
    }
}
