//! Input that waits for its node's next step.

use super::memory::ENTRY_BYTES;
use super::operator::Batch;
use crate::Delta;
use std::sync::Arc;

/// Pending input is consolidated when it has grown past this many rows, and again at each doubling, so that a view
/// refreshed rarely holds at most about twice its net change.
const PENDING_CONSOLIDATE_ROWS: usize = 65_536;

/// Input deltas that a node has not stepped through yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    batches: Vec<Arc<Batch>>,
    rows: usize,
    /// Rows after the last consolidation.
    floor: usize,
}

impl Pending {
    pub fn push(&mut self, batch: Arc<Batch>) {
        self.rows += batch.rows.len();
        self.batches.push(batch);
        if self.rows > PENDING_CONSOLIDATE_ROWS && self.rows > 2 * self.floor {
            self.consolidate();
            self.floor = self.rows;
        }
    }

    /// Makes one consolidated batch of all: what several commits did to a row and took back is not worked on.
    fn consolidate(&mut self) {
        if let [one] = &self.batches[..]
            && one.consolidated
        {
            return;
        }
        let mut rows: Delta = Vec::with_capacity(self.rows);
        let pass = self.batches.iter().all(|batch| batch.pass);
        for batch in self.batches.drain(..) {
            rows.extend_from_slice(&batch.rows);
        }
        crate::delta::consolidate(&mut rows);
        self.rows = rows.len();
        self.batches.push(Arc::new(Batch { rows, consolidated: true, pass }));
    }

    /// Everything queued so far.
    pub fn take(&mut self) -> Vec<Arc<Batch>> {
        if self.batches.len() > 1 {
            self.consolidate();
        }
        (self.rows, self.floor) = (0, 0);
        std::mem::take(&mut self.batches)
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.rows * ENTRY_BYTES
    }
}
