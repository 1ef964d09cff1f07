//! Deletes what has been drained, on a connection of its own: deleting takes no lock a writer waits for. Now and then
//! the table is vacuumed, so that the space is used again sooner than autovacuum would see to it.

use crate::capture::error::CaptureError;
use crate::control;
use crate::upstream::Upstream;
use std::time::Duration;
use tokio::sync::mpsc;

/// Transactions deleted by one statement: keeps each within a few milliseconds.
const TRANSACTIONS_AT_A_TIME: usize = 512;

/// Drained transactions are gathered for so long: fewer statements, and a table that stays within a few pages.
const GATHER: Duration = Duration::from_millis(20);

/// Dead rows after which the table is vacuumed: some ten megabytes of narrow rows.
const VACUUM_AFTER_ROWS: u64 = 50_000;

const DELETE: &str = "DELETE FROM pgtrickle_changes.changes WHERE xid = ANY ($1::text[]::xid8[])";

/// Neither waits for a lock nor takes one that a writer would wait for (which giving pages back would).
const VACUUM: &str = "VACUUM (SKIP_LOCKED, TRUNCATE off, INDEX_CLEANUP on) pgtrickle_changes.changes";

/// Runs until nothing is drained any more.
pub(super) async fn run(upstream: Upstream, mut drained: mpsc::UnboundedReceiver<u64>) -> Result<(), CaptureError> {
    let client = control::connect(&upstream, "change table").await?;
    // A deletion that a crash undoes deletes nothing that is still wanted.
    client.batch_execute("SET synchronous_commit = off; SET enable_seqscan = off").await?;
    let delete = client.prepare(DELETE).await?;
    let mut dead = 0;
    let mut transactions = Vec::new();
    while drained.recv_many(&mut transactions, TRANSACTIONS_AT_A_TIME).await > 0 {
        let texts: Vec<String> = transactions.drain(..).map(|xid| xid.to_string()).collect();
        dead += client.execute(&delete, &[&texts]).await?;
        if dead > VACUUM_AFTER_ROWS {
            dead = 0;
            client.batch_execute(VACUUM).await?;
        }
        if drained.len() < TRANSACTIONS_AT_A_TIME {
            tokio::time::sleep(GATHER).await;
        }
    }
    Ok(())
}
