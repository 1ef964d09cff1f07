//! Follows the captured stream: data goes to the engine thread at once, everything that concerns the catalog to the keeper,
//! and no position is passed on before what was marked at it is withheld.

use super::Shared;
use super::notice::Notice;
use super::work::Work;
use crate::capture::{Change, Commit, Event};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::{Semaphore, mpsc};
use weir_planner::RelationId;

/// Batches of commits on their way to the engine thread; beyond, the stream waits (Postgres keeps it).
const BATCHES_IN_FLIGHT: usize = 64;

/// Runs until capture ends or the maintenance does.
pub(super) async fn follow(
    shared: Arc<Shared>,
    mut events: mpsc::Receiver<Event>,
    work: mpsc::UnboundedSender<Work>,
    notices: mpsc::UnboundedSender<Notice>,
) {
    let permits = Arc::new(Semaphore::new(BATCHES_IN_FLIGHT));
    // What was committed before the slot's first position is in no event: the catalog is read once the stream is open.
    let opened = || {
        let _ = notices.send(Notice::Opened { position: shared.ledger.open_stream() });
    };
    while let Some(event) = events.recv().await {
        let interrupted = matches!(event, Event::Interrupted { .. });
        let was_open = shared.stream_is_open.swap(!interrupted, Ordering::AcqRel);
        if !was_open && !interrupted && !matches!(event, Event::Restarted { .. }) {
            opened();
        }
        let next = match event {
            Event::Commits { commits, frontier } => {
                let marks: Vec<Notice> = commits.iter().flat_map(|commit| read_marks(&shared, commit)).collect();
                let Ok(permit) = permits.clone().acquire_owned().await else { return };
                if work.send(Work::Commits { commits, frontier, permit }).is_err() {
                    return;
                }
                // After the commits: what the keeper asks of the thread because of a mark includes the marked transaction.
                for mark in marks {
                    let _ = notices.send(mark);
                }
                // Whoever is told so finds the marks with the keeper.
                shared.ledger.reach(frontier);
                continue;
            }
            Event::Frontier(frontier) => {
                shared.ledger.reach(frontier);
                Work::Frontier(frontier)
            }
            Event::Joined { table, life, rows, late, position } => {
                let joined = Work::Joined { table, life, rows, late, position };
                if work.send(joined).is_err() || notices.send(Notice::Joined { table, life }).is_err() {
                    return;
                }
                continue;
            }
            Event::Waiting { table, reason } => {
                tracing::info!(?table, reason, "a table's first copy waits for transactions that write it");
                continue;
            }
            Event::Shed { table, reason } => {
                shared.suspension.mark();
                let _ = notices.send(Notice::Shed { table, reason });
                Work::Shed(table)
            }
            Event::Interrupted { reason } => {
                let _ = notices.send(Notice::Interrupted { reason });
                continue;
            }
            Event::Restarted { reason } => {
                shared.suspension.mark();
                shared.ledger.reset();
                // Before the keeper begins anew.
                if work.send(Work::Reset).is_err() {
                    return;
                }
                let _ = notices.send(Notice::Restarted { reason });
                opened();
                continue;
            }
            Event::CatalogChanged => {
                shared.registry.advance_epoch();
                let _ = notices.send(Notice::CatalogChanged);
                continue;
            }
        };
        if work.send(next).is_err() {
            return;
        }
    }
}

/// Withholds what a commit's marks may touch; what the keeper has to do about them.
fn read_marks(shared: &Shared, commit: &Commit) -> Vec<Notice> {
    let mut notices = Vec::new();
    let position = commit.seen_from;
    for change in &commit.changes {
        let Change::Mark(text) = change else { continue };
        tracing::debug!(text, %position, at = %commit.position, "a mark in the stream");
        match text.split_once(':') {
            Some(("ask", question)) => notices.push(Notice::Asked(question.to_owned())),
            Some(("refresh", pgt_id)) => {
                let Ok(pgt_id) = pgt_id.parse() else { continue };
                shared.ledger.open(position);
                notices.push(Notice::RefreshRequested { pgt_id, position });
            }
            Some(("rewrite", table)) => {
                let Ok(table) = table.parse() else { continue };
                shared.suspension.mark();
                shared.ledger.open(position);
                notices.push(Notice::Rewritten { table: RelationId(table), position });
            }
            _ if text == "catalog" || text.starts_with("ddl:") => {
                shared.suspension.mark();
                shared.ledger.open(position);
                notices.push(Notice::Marked { position });
            }
            // Others may use the prefix for flushing the WAL.
            _ => {}
        }
    }
    notices
}
