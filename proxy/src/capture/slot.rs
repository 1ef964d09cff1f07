//! The replication slot: always temporary, so that it goes with the connection and neither a dead Weir nor a cut network
//! leaves one behind that retains WAL. (A permanent slot would save a resynchronisation after a short break where the
//! server bounds it by `max_slot_wal_keep_size`; all state is in memory, so it could not save more.)

use super::client::Connection;
use super::error::CaptureError;
use crate::control::{ControlError, Standing};
use std::time::Duration;

/// How often the log says what slot creation waits for.
const REPORT_INTERVAL: Duration = Duration::from_secs(5);

/// A new publication is looked for this often.
const PUBLICATION_POLL: Duration = Duration::from_millis(250);

/// Waits until the publication exists: decoding fails at the first change that was made before it.
pub(super) async fn wait_for_publication(control: &Standing, publication: &str) -> Result<(), CaptureError> {
    let client = control.client().await?;
    let mut told = false;
    while client.query_opt("SELECT 1 FROM pg_publication WHERE pubname = $1", &[&publication]).await?.is_none() {
        if !std::mem::replace(&mut told, true) {
            tracing::info!(publication, "capture waits for the publication to be created");
        }
        tokio::time::sleep(PUBLICATION_POLL).await;
    }
    Ok(())
}

/// What the publication consists of, for comparison. Of a table that comes into it between the beginning of a slot's creation and
/// the slot's start the walsender may send nothing until the publication changes once more (seen with 15.18: neither rows nor
/// TRUNCATEs of it were in the stream, which then said nothing of them).
pub(super) async fn published(control: &Standing, publication: &str) -> Result<String, CaptureError> {
    let client = control.client().await?;
    let row = client
        .query_one(
            "SELECT coalesce((SELECT string_agg(concat_ws(' ', r.oid, r.xmin), ',' ORDER BY r.oid)
                 FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE p.pubname = $1), '') || ';' ||
               coalesce((SELECT string_agg(concat_ws(' ', inhrelid, inhparent, xmin), ',' ORDER BY inhrelid, inhparent)
                 FROM pg_inherits), '')",
            &[&publication],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Creates the slot. Takes as long as the oldest writing transaction of the cluster is open (also a prepared one); the log
/// says which. Everything else serves meanwhile.
pub(super) async fn create(connection: &mut Connection, control: &Standing) -> Result<String, CaptureError> {
    let name = format!("weir_{:08x}", rand::random::<u32>());
    let walsender = connection.process_id;
    let text = format!("CREATE_REPLICATION_SLOT \"{name}\" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT");
    let mut creation = std::pin::pin!(connection.command(&text));
    loop {
        tokio::select! {
            created = &mut creation => return created.map(|()| name),
            _ = tokio::time::sleep(REPORT_INTERVAL) => match blockers(control, walsender).await {
                Ok(blockers) => tracing::warn!(%blockers, "the replication slot waits for open transactions to end"),
                Err(error) => tracing::warn!(%error, "the replication slot waits; cannot tell for what"),
            }
        }
    }
}

/// Who holds the slot's creation up, for people: process ids with their state, prepared transactions by name.
async fn blockers(control: &Standing, walsender: i32) -> Result<String, ControlError> {
    let client = control.client().await?;
    let row = client
        .query_one(
            "SELECT coalesce(string_agg(who, ', '), 'unknown') FROM (
               SELECT format('pid %s (%s, %s)', a.pid, a.usename, a.state) AS who
               FROM pg_stat_activity a WHERE a.pid = ANY (pg_blocking_pids($1))
               UNION ALL
               SELECT format('prepared transaction %L of %s', p.gid, p.owner)
               FROM pg_prepared_xacts p WHERE 0 = ANY (pg_blocking_pids($1))) AS held",
            &[&walsender],
        )
        .await?;
    Ok(row.try_get(0)?)
}

/// Starts the stream at the slot's own start.
pub(super) async fn start(connection: &mut Connection, slot: &str, publication: &str) -> Result<(), CaptureError> {
    // The option holds a list of quoted identifiers within a quoted literal.
    let publication = publication.replace('"', "\"\"").replace('\'', "''");
    let text = format!(
        "START_REPLICATION SLOT \"{slot}\" LOGICAL 0/0 (proto_version '1', publication_names '\"{publication}\"', \
         binary 'true', messages 'true')"
    );
    connection.start_copy_both(&text).await
}
