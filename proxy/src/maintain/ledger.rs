//! Which changes of the catalog have taken effect: what `Handle::settled` waits for.

use super::Settled;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;
use tokio::sync::watch;
use weir_cache::Position;

/// Open changes by the position of their commit.
pub(super) struct Ledger {
    open: Mutex<BTreeMap<Position, usize>>,
    settled: watch::Sender<Settled>,
}

impl Ledger {
    pub(super) fn new() -> (Ledger, watch::Receiver<Settled>) {
        let (settled, receiver) = watch::channel(Settled::default());
        (Ledger { open: Mutex::default(), settled }, receiver)
    }

    /// A change was committed at `position` and has not taken effect yet. Call before [`Ledger::reach`] of it.
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
}
