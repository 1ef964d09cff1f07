//! The published snapshot: one atomic load for readers, a wake-up for those who wait for a position.

use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use tokio::sync::watch;
use weir_cache::{Position, Snapshot};
use weir_planner::RelationId;

pub struct Published {
    snapshot: ArcSwap<Snapshot>,
    /// Tables that cannot be brought to the present because an error leaves rows undecided: nobody need wait for them.
    in_error: ArcSwap<Vec<RelationId>>,
    /// Bumped at every publication, also when only positions moved.
    changed: watch::Sender<Position>,
}

impl Default for Published {
    fn default() -> Published {
        Published { snapshot: ArcSwap::default(), in_error: ArcSwap::default(), changed: watch::channel(Position(0)).0 }
    }
}

impl Published {
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
    /// For a read that is over at once: counts no reference, so that sessions on different cores do not contend for it.
    pub fn peek(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }
    pub fn is_in_error(&self, table: RelationId) -> bool {
        self.in_error.load().contains(&table)
    }
    pub fn publish(&self, snapshot: Arc<Snapshot>, in_error: Vec<RelationId>) {
        if **self.in_error.load() != in_error {
            self.in_error.store(Arc::new(in_error));
        }
        let frontier = snapshot.frontier;
        self.snapshot.store(snapshot);
        self.changed.send_replace(frontier);
    }
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.changed.subscribe()
    }
}
