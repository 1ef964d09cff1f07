//! The wait before the snapshot. Publication membership is judged per change at its place in the WAL, so rows that a
//! transaction wrote before the table was added are never sent; a snapshot that does not see that transaction would lose
//! them for ever. So whoever was writing when the watch began must have ended before the snapshot is taken (review 4.1).
//!
//! With triggers only those matter that a crash has robbed of their (unlogged) records: prepared transactions survive it.
//! Nobody else can have written the table unrecorded, because creating a trigger waits for all who have written it.
//!
//! A backend releases its locks after it has become visible, so that a lock that is gone means rows that are seen.

use super::gate::VisibleSet;
use super::method::Method;
use crate::control::{ControlError, Standing};
use std::collections::HashMap;
use std::time::{Duration, Instant};
use weir_planner::RelationId;

/// After this time the waiting is reported, so that whoever waits for the table can go on without it. A client that
/// holds a write open on one connection and creates on another would otherwise wait for itself.
const REPORT_AFTER: Duration = Duration::from_secs(5);

/// Pauses between looks at the locks.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Holders of a lock under which rows are written, by virtual transaction (`backend/local id`). A prepared transaction
/// keeps that name and loses its pid; it is called `-1/xid` after a restart, and at once on minors before the fix of
/// CREATE INDEX CONCURRENTLY (`MarkAsPreparing` in twophase.c). SHARE and SHARE UPDATE EXCLUSIVE (VACUUM, CREATE INDEX)
/// write no rows.
const HOLDERS: &str = "SELECT virtualtransaction, pid FROM pg_locks
     WHERE locktype = 'relation' AND relation = $1 AND granted
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
       AND mode IN ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/// Transactions that may have written the table before the watch, with the backend's pid while there is one.
type Holders = HashMap<String, Option<i32>>;

/// The transaction id in the name of a prepared transaction.
fn prepared_xid(virtual_transaction: &str) -> Option<u32> {
    virtual_transaction.strip_prefix("-1/").and_then(|xid| xid.parse().ok())
}

/// Returns when every transaction that may have written `table` before this call has ended. `report` is told once, with
/// the names of those waited for, when that takes long.
pub(super) async fn wait_until_ended(
    control: &Standing,
    method: Method,
    table: RelationId,
    mut report: impl FnMut(String),
) -> Result<(), ControlError> {
    let client = control.client().await?;
    let began = Instant::now();
    let snapshot = current_snapshot(&client).await?;
    if method == Method::Wal && loses_invalidations(&client).await? {
        return wait_for_all(&client, &snapshot, report).await;
    }
    let statement = client.prepare(HOLDERS).await?;
    let holders = || async {
        let rows = client.query(&statement, &[&table.0]).await?;
        rows.iter()
            .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
            .collect::<Result<Holders, tokio_postgres::Error>>()
    };
    let mut waited_for = holders().await?;
    let (mut pause, mut reported) = (FIRST_PAUSE, false);
    while !waited_for.is_empty() {
        if !reported && began.elapsed() > REPORT_AFTER {
            reported = true;
            report(describe(&waited_for));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
        let now = holders().await?;
        // Under another name than noted: known by an id from before the wait.
        let renamed = |name: &str| prepared_xid(name).is_some_and(|xid| snapshot.is_older(xid));
        waited_for = now.into_iter().filter(|(name, _)| waited_for.contains_key(name) || renamed(name)).collect();
    }
    Ok(())
}

async fn current_snapshot(client: &tokio_postgres::Client) -> Result<VisibleSet, ControlError> {
    let text: String = client.query_one("SELECT pg_current_snapshot()::text", &[]).await?.try_get(0)?;
    VisibleSet::parse(&text).map_err(|_| ControlError::Gone)
}

/// Minor releases before 14.18, 15.13, 16.9 and 17.5 do not tell transactions that are being decoded that a publication
/// has changed: later rows of transactions open at ADD TABLE are lost as well (release notes of those versions).
async fn loses_invalidations(client: &tokio_postgres::Client) -> Result<bool, ControlError> {
    let version: i32 = client.query_one("SELECT current_setting('server_version_num')::int", &[]).await?.try_get(0)?;
    Ok(match version / 10_000 {
        ..14 => true,
        14 => version < 140_018,
        15 => version < 150_013,
        16 => version < 160_009,
        17 => version < 170_005,
        18.. => false,
    })
}

/// Waits for every transaction of the cluster that is running in `snapshot`.
async fn wait_for_all(
    client: &tokio_postgres::Client,
    snapshot: &VisibleSet,
    mut report: impl FnMut(String),
) -> Result<(), ControlError> {
    let (began, mut pause, mut reported) = (Instant::now(), FIRST_PAUSE, false);
    while current_snapshot(client).await?.xmin() < snapshot.xmax() {
        if !reported && began.elapsed() > REPORT_AFTER {
            reported = true;
            report("every transaction that was open (this minor release of Postgres needs it)".into());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    Ok(())
}

fn describe(holders: &Holders) -> String {
    let names = holders.iter().map(|(name, pid)| match (pid, prepared_xid(name)) {
        (Some(pid), _) => format!("pid {pid}"),
        (None, Some(xid)) => format!("prepared transaction {xid}"),
        (None, None) => format!("the prepared transaction that was {name}"),
    });
    let mut names: Vec<String> = names.collect();
    names.sort();
    names.join(", ")
}
