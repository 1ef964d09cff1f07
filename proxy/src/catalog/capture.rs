//! The wish for a way of capturing that the database itself holds, and the way that is in force, as the installed SQL
//! needs to know it.

use crate::capture::{Method, Preference};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row};

/// What `pgtrickle.set_capture_mode` asked for; None: nothing, or nothing is installed yet.
pub async fn requested(client: &Client) -> Result<Option<Preference>, tokio_postgres::Error> {
    let installed =
        client.query_one("SELECT pg_catalog.to_regclass('pgtrickle.weir_capture') IS NOT NULL", &[]).await?;
    if !installed.try_get::<_, bool>(0)? {
        return Ok(None);
    }
    let row = client.query_opt("SELECT requested FROM pgtrickle.weir_capture", &[]).await?;
    let requested: Option<String> = row.map(|row| row.try_get(0)).transpose()?.flatten();
    Ok(requested.and_then(|text| text.parse().ok()))
}

/// The way that is wanted, by the database's own wish or else by `preference`; the installed SQL watches tables this way
/// from now on.
pub async fn settle(client: &Client, preference: Preference) -> Result<Method, tokio_postgres::Error> {
    let method = requested(client).await?.unwrap_or(preference).resolve(client).await?;
    set_method(client, method).await?;
    Ok(method)
}

/// From now on the installed SQL watches tables this way.
pub async fn set_method(client: &Client, method: Method) -> Result<(), tokio_postgres::Error> {
    let update = "UPDATE pgtrickle.weir_capture SET method = $1, since = clock_timestamp() WHERE method <> $1";
    client.execute(update, &[&method.to_string()]).await?;
    Ok(())
}

/// Whether the same has been tried, and what stands in the way told, before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    No,
    Yes,
}

/// Puts tables that are not watched this way under watch, where that is possible and Weir's role may. What stands in
/// the way is logged: the tables' stream tables are Postgres' to evaluate.
pub async fn watch(client: &Client, tables: &[u32], again: Again) -> Result<(), tokio_postgres::Error> {
    let unwatched = "SELECT t::regclass::text FROM unnest($1::oid[]) AS t \
         WHERE EXISTS (SELECT FROM pg_class c WHERE c.oid = t) \
           AND pgtrickle.watch_obstacle(t::regclass) IS NULL AND NOT pgtrickle.is_watched(t::regclass)";
    for row in client.query(unwatched, &[&tables]).await? {
        let table: String = row.try_get(0)?;
        let watch = "SELECT pgtrickle.watch(ARRAY[$1::text::regclass])";
        match client.execute(watch, &[&table]).await {
            Ok(_) => {}
            Err(error) if error.as_db_error().is_some() => {
                let reason = super::install::describe(&error);
                match again {
                    Again::No => tracing::warn!(table, reason, "a table cannot be watched"),
                    Again::Yes => tracing::debug!(table, reason, "a table still cannot be watched"),
                }
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes partitioned tables out of the publication on which new partitions would refuse UPDATE.
pub async fn release_endangered(client: &Client) -> Result<(), tokio_postgres::Error> {
    for row in without_waiting(client, "SELECT pgtrickle_changes.release_endangered()").await? {
        let table: String = row.try_get(0)?;
        tracing::warn!(table, "a partitioned table is no longer watched: its partitions would refuse UPDATE");
    }
    Ok(())
}

/// Removes what the other way has left on tables.
pub async fn release_other_method(client: &Client) -> Result<(), tokio_postgres::Error> {
    for row in without_waiting(client, "SELECT pgtrickle_changes.release_other_method()").await? {
        let released: i32 = row.try_get(0)?;
        if released > 0 {
            tracing::info!(tables = released, "what the other way of capturing had left on tables is removed");
        }
    }
    Ok(())
}

/// The rows of a function that waits only briefly for locks. What it changes it skips when that is locked; what it looks
/// for is in system catalogs, and those can be locked too (VACUUM FULL, REINDEX): no rows then, the next reading asks again.
async fn without_waiting(client: &Client, call: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
    match client.query(call, &[]).await {
        Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            tracing::debug!(call, "a system catalog is locked; tried again at the next reading");
            Ok(Vec::new())
        }
        rows => rows,
    }
}
