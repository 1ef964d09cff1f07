//! May this query be maintained incrementally? Asked by `create_stream_table` before it commits, so about text: the view does
//! not exist for Weir's own sessions yet.

use super::Shared;
use crate::analysis::{CreatorSession, PlanError, plan_view};
use crate::catalog::rows::pinned;
use crate::catalog::system::SystemCatalog;
use crate::control;
use serde_json::{Value as Json, json};
use weir_planner::RelationId;

/// A table that the asker itself holds locked is not waited for: the definite answer comes after its commit.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '100ms'";

/// `{"unsupported": "…"}` when the planner refuses the query; `{}` when it does not, or when that cannot be known yet (it
/// reads objects of an open transaction).
pub(super) async fn validate(shared: &Shared, question: &Json, stream_tables: Vec<RelationId>) -> Json {
    match refusal(shared, question, stream_tables).await {
        Ok(Some(reason)) => json!({ "unsupported": reason }),
        Ok(None) => json!({}),
        Err(error) => {
            tracing::debug!(error, "a query could not be validated before its commit");
            json!({})
        }
    }
}

async fn refusal(shared: &Shared, question: &Json, stream_tables: Vec<RelationId>) -> Result<Option<String>, String> {
    let Some(query) = question["query"].as_str() else { return Err("no query".into()) };
    let client = control::connect(&shared.config.upstream, "validation").await.map_err(|error| error.to_string())?;
    let mut system = SystemCatalog::load(&client).await.map_err(|error| error.to_string())?;
    system.set_stream_tables(stream_tables);
    let failed = |error: tokio_postgres::Error| crate::catalog::install::describe(&error);
    // Never committed: the connection closes with the transaction open.
    client.batch_execute("BEGIN").await.map_err(failed)?;
    client.batch_execute(LOCK_TIMEOUT).await.map_err(failed)?;
    let pinned = pinned(&question["settings"].to_string());
    let settings = &pinned.settings;
    let names = [
        ("search_path", pinned.search_path.clone().unwrap_or_default()),
        ("TimeZone", settings.time_zone.clone()),
        ("DateStyle", settings.date_style.clone()),
        ("IntervalStyle", settings.interval_style.clone()),
    ];
    for (name, value) in names {
        let set = "SELECT pg_catalog.set_config($1, $2, true)";
        client.query(set, &[&name, &value]).await.map_err(failed)?;
    }
    // The extended protocol takes one statement only, whatever the text says; creating a view evaluates nothing.
    let create = format!("CREATE TEMPORARY VIEW weir_validation AS {query}\n");
    client.execute(&create, &[]).await.map_err(failed)?;
    let oid = client.query_one("SELECT 'pg_temp.weir_validation'::regclass::oid", &[]).await.map_err(failed)?.get(0);
    let mut creator = CreatorSession::new(shared.config.upstream.clone(), shared.registry.clone());
    match plan_view(&client, &mut system, RelationId(oid), &pinned, &mut creator).await {
        Ok(_) => Ok(None),
        Err(PlanError::Unsupported { reason, .. }) => Ok(Some(reason.to_string())),
        Err(error) => Err(error.to_string()),
    }
}
