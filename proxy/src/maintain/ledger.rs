//! Which changes of the catalog have taken effect: what `Handle::settled` waits for.

use super::Settled;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use weir_cache::Position;

/// Open changes by the position from which on their commit is seen.
pub(super) struct Ledger {
    open: Mutex<BTreeMap<Position, usize>>,
    settled: watch::Sender<Settled>,
    /// How often the stream was opened.
    openings: AtomicU64,
}

impl Ledger {
    pub(super) fn new() -> (Ledger, watch::Receiver<Settled>) {
        let (settled, receiver) = watch::channel(Settled::default());
        (Ledger { open: Mutex::default(), settled, openings: AtomicU64::new(0) }, receiver)
    }

    /// The stream has been opened. What was committed before its first position is in no event of it: until the catalog has
    /// been read once more and the position that this returns is closed, no change counts as having taken effect.
    pub(super) fn open_stream(&self) -> Position {
        // Below all positions there are (the log begins at 16 MiB), and another one each time.
        let position = Position(1 + self.openings.fetch_add(1, Ordering::Relaxed));
        self.open(position);
        position
    }

    /// A change that is seen from `position` on has not taken effect yet. Call before [`Ledger::reach`] of its commit.
    pub(super) fn open(&self, position: Position) {
        self.with(|open| *open.entry(position).or_default() += 1);
    }

    pub(super) fn close(&self, position: Position) {
        self.with(|open| {
            if let Some(count) = open.get_mut(&position) {
                *count -= 1;
                if *count == 0 {
                    open.remove(&position);
                }
            }
        });
    }

    /// The stream has been followed up to here.
    pub(super) fn reach(&self, position: Position) {
        self.settled.send_modify(|settled| settled.reached = settled.reached.max(position));
    }

    /// Waits (at most `wait`) until the stream has been followed up to `position`.
    pub(super) async fn reached(&self, position: Position, wait: Duration) {
        let mut settled = self.settled.subscribe();
        let reached = settled.wait_for(|settled| settled.reached >= position);
        let _ = tokio::time::timeout(wait, reached).await;
    }

    /// The stream starts afresh: nothing is open, positions do not compare.
    pub(super) fn reset(&self) {
        self.with(BTreeMap::clear);
        self.settled.send_modify(|settled| settled.reached = Position::default());
    }

    fn with(&self, change: impl FnOnce(&mut BTreeMap<Position, usize>)) {
        let mut open = self.open.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut open);
        let unfinished = open.keys().next().copied();
        self.settled.send_modify(|settled| settled.unfinished = unfinished);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settled_means_followed_and_nothing_open_before() {
        let (ledger, settled) = Ledger::new();
        ledger.open(Position(10));
        ledger.reach(Position(20));
        assert!(settled.borrow().covers(Position(9)));
        assert!(!settled.borrow().covers(Position(10)));
        assert!(!settled.borrow().covers(Position(15)));
        ledger.close(Position(10));
        assert!(settled.borrow().covers(Position(20)));
        assert!(!settled.borrow().covers(Position(21)));
    }

    #[test]
    fn nothing_is_settled_before_the_catalog_was_read_behind_the_opening() {
        let (ledger, settled) = Ledger::new();
        let covers = |position| settled.borrow().covers(Position(position));
        let first = ledger.open_stream();
        ledger.reach(Position(20));
        assert!(!covers(20));
        ledger.reset();
        let second = ledger.open_stream();
        ledger.reach(Position(20));
        // What the first opening had to wait for comes to its end late.
        ledger.close(first);
        assert!(!covers(20));
        ledger.close(second);
        assert!(covers(20));
    }
}
