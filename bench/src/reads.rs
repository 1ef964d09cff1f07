//! Reads: from memory, of the view, of a plain indexed table, and forwarded.

use crate::dataset::Dataset;
use crate::latencies::Latencies;
use crate::load::{Protocol, Statement, WARM_UP, run};
use crate::metrics::metric;
use std::time::{Duration, Instant};
use weir_tests::wire::RawClient;

/// More clients than one wait for the same two cores; a view that takes a second tells nothing more with 64 of them.
const CLIENTS: [usize; 3] = [1, 8, 64];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// The stream table through Weir.
    Memory,
    /// The plain table with the same rows, through Weir: what forwarding costs.
    Forwarded,
    /// The plain table, directly.
    Table,
    /// The view, directly.
    View,
}

impl Target {
    pub fn name(self) -> &'static str {
        match self {
            Target::Memory => "stream table through Weir",
            Target::Forwarded => "plain table through Weir (forwarded)",
            Target::Table => "Postgres, plain indexed table",
            Target::View => "Postgres, the view",
        }
    }
}

/// One cell of the table.
pub struct Cell {
    pub query: &'static str,
    pub protocol: Protocol,
    pub clients: usize,
    pub target: Target,
    pub latencies: Latencies,
    /// Share of the statements that memory answered, by Weir's own counter; only of [`Target::Memory`].
    pub from_memory: Option<f64>,
}

struct Query {
    name: &'static str,
    /// `{t}` is the stream table's or the plain table's name.
    sql: &'static str,
    table: &'static str,
    by_key: bool,
}

const QUERIES: [Query; 3] = [
    Query {
        name: "point lookup by user_id",
        sql: "SELECT * FROM {t} WHERE user_id = {}",
        table: "user_velocity",
        by_key: true,
    },
    Query {
        name: "top 10 of the users",
        sql: "SELECT user_id, user_name, txn_count, total_spent FROM {t} ORDER BY total_spent DESC, user_id LIMIT 10",
        table: "user_velocity",
        by_key: false,
    },
    Query { name: "small scan", sql: "SELECT * FROM {t}", table: "country_risk", by_key: false },
];

pub fn measure(dataset: &Dataset, slice: Duration, repetitions: u32) -> Vec<Cell> {
    let mut cells = Vec::new();
    for query in &QUERIES {
        for protocol in [Protocol::Simple, Protocol::Prepared] {
            for clients in CLIENTS {
                let mut targets = vec![Target::Memory, Target::Table, Target::Forwarded];
                if clients == 1 {
                    targets.push(Target::View);
                }
                let mut of_query: Vec<_> = targets
                    .into_iter()
                    .map(|target| Cell {
                        query: query.name,
                        protocol,
                        clients,
                        target,
                        latencies: Latencies::default(),
                        from_memory: None,
                    })
                    .collect();
                for _ in 0..repetitions {
                    for cell in &mut of_query {
                        fill(dataset, query, cell, slice);
                    }
                }
                cells.extend(of_query);
            }
        }
    }
    cells
}

/// Measures one slice of a cell.
fn fill(dataset: &Dataset, query: &Query, cell: &mut Cell, slice: Duration) {
    let target = cell.target;
    let (address, table) = match target {
        Target::Memory => (dataset.weir.address(), query.table.to_owned()),
        Target::Forwarded => (dataset.weir.address(), format!("plain_{}", query.table)),
        Target::Table => (dataset.server.address(), format!("plain_{}", query.table)),
        Target::View => (dataset.server.address(), query.table.to_owned()),
    };
    let sql = query.sql.replace("{t}", &table);
    if target == Target::Memory {
        assert_from_memory(dataset, &sql.replace("{}", "7"));
    }
    let statement = Statement { sql, keys: query.by_key.then_some(dataset.users) };
    let answered = || metric(&dataset.weir, "weir_statements_answered_total");
    let before = answered();
    let latencies = run(&address, &statement, cell.protocol, cell.clients, slice);
    if target == Target::Memory {
        let statements = latencies.count() + cell.clients * WARM_UP;
        cell.from_memory = Some(((answered() - before) / statements as f64).min(cell.from_memory.unwrap_or(1.0)));
    }
    cell.latencies.add(latencies);
}

/// A "from memory" figure that was forwarded would be a lie.
fn assert_from_memory(dataset: &Dataset, sql: &str) {
    const PATIENCE: Duration = Duration::from_secs(30);
    let mut client = RawClient::superuser(&dataset.weir.address());
    let started = Instant::now();
    loop {
        client.execute(sql);
        let route = client.last_route();
        if route.starts_with("memory") {
            return;
        }
        assert!(started.elapsed() < PATIENCE, "not answered from memory but {route:?}: {sql}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// One read of the fraud dashboard.
pub struct Panel {
    pub name: &'static str,
    pub memory: Latencies,
    pub view: Latencies,
    /// What `SHOW weir.last_route` said.
    pub route: String,
}

const DASHBOARD: [(&str, &str); 9] = [
    (
        "alert summary",
        "SELECT * FROM alert_summary ORDER BY CASE risk_level WHEN 'HIGH' THEN 1 WHEN 'MEDIUM' THEN 2 ELSE 3 END",
    ),
    (
        "recent alerts",
        "SELECT txn_id, user_name, merchant_name, merchant_category, amount, risk_level FROM risk_scores \
         WHERE risk_level IN ('HIGH', 'MEDIUM') ORDER BY txn_id DESC LIMIT 15",
    ),
    ("merchant risk", "SELECT * FROM top_risky_merchants"),
    (
        "user velocity, top 10",
        "SELECT * FROM user_velocity WHERE txn_count > 0 ORDER BY txn_count DESC, user_id LIMIT 10",
    ),
    ("countries, top 10", "SELECT * FROM country_risk ORDER BY total_txns DESC, country LIMIT 10"),
    ("category volume", "SELECT * FROM category_volume WHERE txn_count > 0"),
    ("merchant tiers", "SELECT * FROM merchant_tier_stats ORDER BY merchant_id"),
    ("top 10 merchants", "SELECT * FROM top_10_risky_merchants ORDER BY rank"),
    (
        "risk by category (aggregate over risk_scores)",
        "SELECT merchant_category, COUNT(*) FILTER (WHERE risk_level = 'HIGH') AS high, \
         COUNT(*) FILTER (WHERE risk_level = 'MEDIUM') AS medium, COUNT(*) FILTER (WHERE risk_level = 'LOW') AS low, \
         ROUND(100.0 * COUNT(*) FILTER (WHERE risk_level = 'HIGH') / NULLIF(COUNT(*), 0), 1) AS high_pct \
         FROM risk_scores GROUP BY merchant_category ORDER BY high_pct DESC NULLS LAST",
    ),
];

pub fn dashboard(dataset: &Dataset, slice: Duration) -> Vec<Panel> {
    let panel = |(name, sql): (&'static str, &str)| {
        let mut client = RawClient::superuser(&dataset.weir.address());
        // What a dashboard asks again and again may be maintained from then on: give that the time it takes.
        let started = Instant::now();
        while started.elapsed() < slice {
            client.execute(sql);
        }
        let statement = Statement { sql: sql.to_owned(), keys: None };
        let memory = run(&dataset.weir.address(), &statement, Protocol::Simple, 1, slice);
        client.execute(sql);
        let route = client.last_route();
        let view = run(&dataset.server.address(), &statement, Protocol::Simple, 1, slice);
        Panel { name, memory, view, route }
    };
    DASHBOARD.into_iter().map(panel).collect()
}
