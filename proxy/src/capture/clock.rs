//! Which position a reader must wait for, and which one a delivered state has.
//!
//! From the write-ahead log both are WAL positions: the gate holds a commit back until it is visible, so that a frontier at
//! or past a bookmark shows everything that bookmark's session saw. Triggers show the state of one *snapshot*, and no
//! WAL position says what a snapshot sees: a commit may be flushed before it is taken and become visible after it. So
//! with triggers a position is a moment of this clock, not below the WAL's: what was asked for before a drain began is
//! at or below the drain's position, what is asked for afterwards lies above it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use tokio::sync::{Mutex, MutexGuard};
use weir_cache::Position;

/// Shared by everyone who compares positions with the frontier.
#[derive(Debug, Default)]
pub(super) struct Clock {
    by_snapshot: AtomicBool,
    /// Position of the newest drain that has begun.
    begun: AtomicU64,
    /// The furthest position that anybody waits for.
    issued: AtomicU64,
    /// Held while a snapshot is taken whose position is to be ordered with the drains'.
    ordering: Mutex<()>,
}

impl Clock {
    /// From here on positions are those of the WAL.
    pub(super) fn follow_wal(&self) {
        self.by_snapshot.store(false, Ordering::SeqCst);
    }

    /// From here on positions are moments of this clock, none of them below `insert`, the WAL's insert position.
    pub(super) fn follow_snapshots(&self, insert: Position) {
        self.begun.fetch_max(insert.0, Ordering::SeqCst);
        self.by_snapshot.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_by_snapshot(&self) -> bool {
        self.by_snapshot.load(Ordering::SeqCst)
    }

    /// The position whose state shows everything visible before this call; `wal` is a WAL position with that property
    /// by the gate's rule.
    pub(super) fn after(&self, wal: Position) -> Position {
        if !self.is_by_snapshot() {
            return wal;
        }
        // A drain that begins after this load takes its snapshot after it, whatever position it gets.
        let begun = self.begun.load(Ordering::SeqCst);
        let position = wal.0.max(begun + 1);
        self.issued.fetch_max(position, Ordering::SeqCst);
        Position(position)
    }

    /// A position at which everything delivered up to now was visible.
    pub(super) fn before(&self, wal: Position) -> Position {
        if self.is_by_snapshot() { Position(self.begun.load(Ordering::SeqCst)) } else { wal }
    }

    /// Somebody waits for this position.
    pub(super) fn note_wanted(&self, position: Position) {
        self.issued.fetch_max(position.0, Ordering::SeqCst);
    }

    /// The position of a snapshot that is taken from now on, before anybody else begins: at or past all that was asked
    /// for, below all that will be. Only one caller at a time: see [`Clock::order`].
    pub(super) fn begin(&self, wal: Position) -> Position {
        let wanted = self.issued.load(Ordering::SeqCst);
        let position = wal.0.max(wanted).max(self.begun.load(Ordering::SeqCst) + 1);
        self.begun.store(position, Ordering::SeqCst);
        Position(position)
    }

    /// From [`Clock::begin`] until the snapshot has been taken.
    pub(super) async fn order(&self) -> MutexGuard<'_, ()> {
        self.ordering.lock().await
    }

    /// How far the clock is ahead of the WAL.
    pub(super) fn ahead_of(&self, wal: Position) -> u64 {
        let newest = self.begun.load(Ordering::SeqCst).max(self.issued.load(Ordering::SeqCst));
        newest.saturating_sub(wal.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_covers_what_was_asked_before_it_and_nothing_later() {
        let clock = Clock::default();
        clock.follow_snapshots(Position(100));
        let (early, far) = (clock.after(Position(50)), clock.after(Position(400)));
        let drain = clock.begin(Position(90));
        assert!(early <= drain && far <= drain);
        // The WAL has not moved: the same WAL position is another moment now.
        let late = clock.after(Position(400));
        assert!(late > drain);
        assert!(clock.begin(Position(90)) >= late);
    }

    #[test]
    fn positions_of_the_wal_are_left_alone() {
        let clock = Clock::default();
        assert_eq!((clock.after(Position(7)), clock.before(Position(7))), (Position(7), Position(7)));
    }
}
