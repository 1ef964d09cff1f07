//! Metrics and status over HTTP: `/metrics` for Prometheus, `/status` for people and dashboards, `/healthz` for whoever
//! restarts processes. Reads what others publish; changes nothing.

use crate::metrics::Metrics;
use crate::registry::{BaseTable, State as TableState};
use crate::server::Services;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use tokio::net::TcpListener;

/// What `/status` says.
#[derive(Debug, Serialize)]
struct Status {
    version: &'static str,
    /// Everything committed up to here is in the published snapshot, as a `pg_lsn`.
    frontier: String,
    stream_tables: Vec<Table>,
    /// What they read, and whether its rows are kept in memory.
    base_tables: Vec<BaseTable>,
    /// Parts of costly reads that are maintained beside the stream tables.
    hidden_views: usize,
    /// Why stream tables are not maintained at the moment.
    problems: Vec<String>,
    statements: Statements,
}

#[derive(Debug, Serialize)]
struct Table {
    name: String,
    /// `live`, `populating`, or why it is out.
    state: &'static str,
    evaluated_by_postgres: bool,
    rows: Option<usize>,
    /// Position since which it has had its present content, and up to which that is known to be right.
    as_of: Option<String>,
    valid_to: Option<String>,
}

#[derive(Debug, Serialize)]
struct Statements {
    answered: u64,
    passed: u64,
    forwarded: BTreeMap<&'static str, u64>,
}

/// Serves until the future is dropped.
pub async fn serve(listener: TcpListener, services: Services) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .route("/healthz", get(|| async { "ok\n" }))
        .with_state(services);
    axum::serve(listener, routes).await
}

async fn metrics(State(services): State<Services>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], services.metrics.render())
}

async fn status(State(services): State<Services>) -> Json<Status> {
    let snapshot = services.published.load();
    let mut stream_tables: Vec<Table> = services
        .registry
        .tables()
        .by_id
        .values()
        .map(|table| {
            let version = snapshot.tables.get(&table.id);
            Table {
                name: format!("{}.{}", table.schema, table.name),
                state: match table.state {
                    TableState::Live => "live",
                    TableState::Populating => "populating",
                    TableState::Out { reason } => reason,
                },
                evaluated_by_postgres: table.evaluated_by_postgres,
                rows: version.map(|version| version.len()),
                as_of: version.map(|version| version.as_of.to_string()),
                valid_to: version.map(|version| version.valid_to.to_string()),
            }
        })
        .collect();
    stream_tables.sort_by(|a, b| a.name.cmp(&b.name));
    let mut base_tables = services.registry.base_tables().to_vec();
    base_tables.sort_by(|a, b| a.name.cmp(&b.name));
    Json(Status {
        version: env!("CARGO_PKG_VERSION"),
        frontier: snapshot.frontier.to_string(),
        stream_tables,
        base_tables,
        hidden_views: services.maintenance.heat().hidden().views.len(),
        problems: services.registry.problems().to_vec(),
        statements: statements(&services.metrics),
    })
}

fn statements(metrics: &Metrics) -> Statements {
    Statements {
        answered: metrics.answered.get(),
        passed: metrics.passed_through.get(),
        forwarded: metrics.forwarded_counts().into_iter().collect(),
    }
}
