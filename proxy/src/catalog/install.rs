//! Puts Weir's SQL into the upstream database: versioned by its own text, idempotent, in one transaction.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use tokio_postgres::Client;

/// The installed SQL in the order it must run. Each file says what is in it.
pub const PARTS: [(&str, &str); 23] = [
    ("tables", include_str!("sql/10_tables.sql")),
    ("capture mode", include_str!("sql/15_capture_mode.sql")),
    ("partitions", include_str!("sql/16_partitions.sql")),
    ("row triggers", include_str!("sql/16_row_triggers.sql")),
    ("triggers", include_str!("sql/17_triggers.sql")),
    ("heirs", include_str!("sql/18_heirs.sql")),
    ("watch", include_str!("sql/20_watch.sql")),
    ("ask", include_str!("sql/30_ask.sql")),
    ("schedule", include_str!("sql/35_schedule.sql")),
    ("create", include_str!("sql/40_create.sql")),
    ("alter", include_str!("sql/50_alter.sql")),
    ("manage", include_str!("sql/55_manage.sql")),
    ("operate", include_str!("sql/56_operate.sql")),
    ("subscriptions", include_str!("sql/57_subscriptions.sql")),
    ("snapshots", include_str!("sql/58_snapshots.sql")),
    ("canary", include_str!("sql/59_canary.sql")),
    ("status", include_str!("sql/60_status.sql")),
    ("graph", include_str!("sql/61_graph.sql")),
    ("refreshes", include_str!("sql/62_refreshes.sql")),
    ("advisor", include_str!("sql/63_advisor.sql")),
    ("health", include_str!("sql/64_health.sql")),
    ("capture", include_str!("sql/65_capture.sql")),
    ("explain", include_str!("sql/66_explain.sql")),
];
/// Event triggers: superusers only.
pub const MARKS: &str = include_str!("sql/70_marks.sql");

/// Roles' secrets for logins over TLS on both connections: superusers only.
pub const LOGIN: &str = include_str!("sql/80_login.sql");

/// Key of the advisory locks Weir takes in the upstream database: the bytes of "weir".
pub const LOCK_CLASS: i32 = 0x7765_6972;

/// Where the text of the installed version is recorded.
const RECORD: &str =
    "CREATE TABLE IF NOT EXISTS pgtrickle.weir_installation (version text NOT NULL, has_marks boolean NOT NULL)";

#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error("Weir's SQL could not be installed ({part}): {}", describe(.source))]
    Part { part: &'static str, source: tokio_postgres::Error },
    #[error("control connection: {0}")]
    Postgres(#[from] tokio_postgres::Error),
}

/// What Postgres said, with its hint; a bare "db error" helps nobody.
pub fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => match db.hint() {
            Some(hint) => format!("{} ({}; {hint})", db.message(), db.code().code()),
            None => format!("{} ({})", db.message(), db.code().code()),
        },
        None => error.to_string(),
    }
}

/// What is in force after an installation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Installed {
    /// DDL marks reach the stream; without them only the polled stamp tells of DDL.
    pub has_marks: bool,
}

/// Identifies the text of the installed SQL.
pub fn version() -> String {
    let mut hasher = DefaultHasher::new();
    PARTS.hash(&mut hasher);
    MARKS.hash(&mut hasher);
    LOGIN.hash(&mut hasher);
    format!("{} {:016x}", env!("CARGO_PKG_VERSION"), hasher.finish())
}

/// Installs what is missing or of another version; does nothing when all is in place.
pub async fn install(client: &Client) -> Result<Installed, InstallError> {
    let superuser = is_superuser(client).await?;
    if installed_version(client).await? == Some((version(), superuser)) {
        return Ok(Installed { has_marks: superuser });
    }
    client.batch_execute("BEGIN").await?;
    match install_parts(client, superuser).await {
        Ok(()) => {
            client.batch_execute("COMMIT").await?;
            Ok(Installed { has_marks: superuser })
        }
        Err(error) => {
            client.batch_execute("ROLLBACK").await?;
            Err(error)
        }
    }
}

async fn install_parts(client: &Client, superuser: bool) -> Result<(), InstallError> {
    // Two Weirs starting at once take turns.
    client.batch_execute(&format!("SELECT pg_catalog.pg_advisory_xact_lock({LOCK_CLASS}, 2)")).await?;
    let privileged = if superuser { &[("marks", MARKS), ("login", LOGIN)][..] } else { &[] };
    for (part, sql) in PARTS.into_iter().chain(privileged.iter().copied()) {
        client.batch_execute(sql).await.map_err(|source| InstallError::Part { part, source })?;
    }
    let record = |source| InstallError::Part { part: "version", source };
    client.batch_execute(RECORD).await.map_err(record)?;
    client.batch_execute("DELETE FROM pgtrickle.weir_installation").await.map_err(record)?;
    let insert = "INSERT INTO pgtrickle.weir_installation VALUES ($1, $2)";
    client.execute(insert, &[&version(), &superuser]).await.map_err(record)?;
    Ok(())
}

/// The version in the database and whether the event triggers belong to it. None: nothing installed.
pub async fn installed_version(client: &Client) -> Result<Option<(String, bool)>, tokio_postgres::Error> {
    let known =
        client.query_one("SELECT pg_catalog.to_regclass('pgtrickle.weir_installation') IS NOT NULL", &[]).await?;
    if !known.get::<_, bool>(0) {
        return Ok(None);
    }
    let row = client.query_opt("SELECT version, has_marks FROM pgtrickle.weir_installation", &[]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

async fn is_superuser(client: &Client) -> Result<bool, tokio_postgres::Error> {
    let sql = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user";
    Ok(client.query_one(sql, &[]).await?.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sql_and_weir_ring_the_same_bell() {
        let (_, ask) = PARTS.iter().find(|(part, _)| *part == "ask").expect("a part of that name");
        assert_eq!(ask.matches(&LOCK_CLASS.to_string()).count(), 2);
    }
}
