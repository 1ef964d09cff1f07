//! The published snapshot: one atomic load for readers, a wake-up for those who wait for a position.

use arc_swap::ArcSwap;
use std::sync::Arc;
use tokio::sync::watch;
use weir_cache::{Position, Snapshot};

pub struct Published {
    snapshot: ArcSwap<Snapshot>,
    /// Bumped at every publication, also when only positions moved.
    changed: watch::Sender<Position>,
}

impl Default for Published {
    fn default() -> Published {
        Published { snapshot: ArcSwap::default(), changed: watch::channel(Position(0)).0 }
    }
}

impl Published {
    pub fn load(&self) -> Arc<Snapshot> {
        self.snapshot.load_full()
    }
    pub fn publish(&self, snapshot: Arc<Snapshot>) {
        let frontier = snapshot.frontier;
        self.snapshot.store(snapshot);
        self.changed.send_replace(frontier);
    }
    pub fn subscribe(&self) -> watch::Receiver<Position> {
        self.changed.subscribe()
    }
}
