//! Rows that Postgres evaluated at a snapshot take the place of those before them. They are right at the position read behind
//! the snapshot only if it saw every commit up to there. A commit that was in the WAL, and not visible yet, is one it did not
//! see: so the rows wait until the stream has come to that position, and are evaluated again where such a commit changed what
//! they are made of. (A writer would otherwise not find its own row, told to be at least as new as its bookmark.)

use super::hold::Settlement;
use super::thread::Thread;
use super::upkeep::Progress;
use std::time::Instant;
use tokio::sync::oneshot;
use weir_cache::Delta;
use weir_planner::{RelationId, Row};

/// The rows of one evaluation.
pub(super) struct Arriving {
    pub table: RelationId,
    pub rows: Vec<Row>,
    pub settlement: Settlement,
    pub done: oneshot::Sender<Arrival>,
}

/// `Ok(None)`: a commit has overtaken the snapshot, the rows are right at no position.
pub(super) type Arrival = Result<Option<Progress>, String>;

impl Thread {
    /// Takes the rows whose position the stream has reached.
    pub(super) fn take_arrived(&mut self) {
        while let Some(at) = self.arriving.iter().position(|rows| rows.settlement.position <= self.frontier) {
            let Arriving { table, rows, settlement, done } = self.arriving.swap_remove(at);
            let arrival = if !self.views.contains(table) {
                Err("the stream table is gone".to_owned())
            } else if self.views.is_overtaken(table, &settlement) {
                Ok(None)
            } else {
                self.set_rows(table, rows, &settlement)
            };
            let _ = done.send(arrival);
        }
    }

    fn set_rows(&mut self, table: RelationId, rows: Vec<Row>, settlement: &Settlement) -> Arrival {
        let started = Instant::now();
        let mut delta: Delta = rows.into_iter().map(|row| (row, 1)).collect();
        // Not in the snapshot: its first rows.
        if let Some(present) = self.published.load().tables.get(&table) {
            present.for_each(&mut |row, weight| delta.push((row.clone(), -weight)));
        }
        weir_cache::delta::consolidate(&mut delta);
        self.publisher.apply(table, &delta);
        if self.views.is_moved(table) {
            self.publisher.touch(table);
        }
        self.publisher.stamp(table, settlement.position);
        self.views.account(table, &delta);
        self.views.spend(table, started.elapsed());
        self.views.evaluated(table, settlement);
        self.publish();
        let progress = self.views.take_progress(table, settlement.position);
        progress.map(Some).ok_or_else(|| "the stream table is gone".into())
    }
}
