//! Bringing memory to exactly what one Postgres snapshot sees, to compare the two.
//!
//! A snapshot is not a prefix of the WAL. So the thread stops applying commits *before* the snapshot is taken (all it has
//! applied is visible to it), and afterwards applies just those held commits that the snapshot sees.

use super::thread::Thread;
use super::work::Work;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use weir_cache::{Position, Snapshot, TableVersion};
use weir_planner::RelationId;

/// A hold that nobody settles ends by itself: readers at session level wait for it.
const LONGEST_HOLD: Duration = Duration::from_secs(2);

/// A Postgres snapshot (`pg_current_snapshot()`) and the WAL insert position read just after it was taken.
#[derive(Clone, Debug, Default)]
pub(super) struct Settlement {
    pub xmin: u64,
    pub xmax: u64,
    pub running: Vec<u64>,
    pub position: Position,
    /// `now()` in the snapshot's transaction, in microseconds since 2000-01-01 UTC, where it matters.
    pub clock: Option<i64>,
}

impl Settlement {
    /// Parses `xmin:xmax:xip,xip…`.
    pub(super) fn parse(snapshot: &str, position: Position) -> Option<Settlement> {
        let mut parts = snapshot.split(':');
        let xmin = parts.next()?.parse().ok()?;
        let xmax = parts.next()?.parse().ok()?;
        let list = parts.next()?;
        let running = match list {
            "" => Vec::new(),
            list => list.split(',').map(|xid| xid.parse().ok()).collect::<Option<Vec<u64>>>()?,
        };
        Some(Settlement { xmin, xmax, running, position, clock: None })
    }

    /// Whether the snapshot sees a committed transaction, given its 32-bit id as in the stream.
    pub(super) fn sees(&self, xid: u32) -> bool {
        let full = extend(xid, self.xmax);
        full < self.xmin || (full < self.xmax && !self.running.contains(&full))
    }
}

/// The 64-bit transaction id with these low bits that is nearest to `near`.
fn extend(xid: u32, near: u64) -> u64 {
    const EPOCH: u64 = 1 << 32;
    let base = (near & !(EPOCH - 1)) | u64::from(xid);
    let candidates = [base.wrapping_sub(EPOCH), base, base + EPOCH];
    candidates.into_iter().min_by_key(|candidate| candidate.abs_diff(near)).unwrap_or(base)
}

/// A table as the snapshot sees it.
pub(super) struct Held {
    pub rows: Arc<TableVersion>,
    /// Postgres evaluates it, and what it reads has changed since it last did.
    pub moved: bool,
}

pub(super) type HoldAnswer = Result<Held, String>;

/// One comparison under way.
struct Active {
    since: Instant,
    /// What arrived since, in order.
    held: Vec<Work>,
    /// How far the held commits reach.
    reached: Position,
    wanted: Option<Wanted>,
}

struct Wanted {
    table: RelationId,
    settlement: Settlement,
    done: oneshot::Sender<HoldAnswer>,
}

#[derive(Default)]
pub(super) struct Hold {
    active: Option<Active>,
}

impl Hold {
    /// A second comparison waits for the first one's caller to try again.
    pub(super) fn begin(&mut self, frontier: Position) -> bool {
        if self.active.is_some() {
            return false;
        }
        self.active = Some(Active { since: Instant::now(), held: Vec::new(), reached: frontier, wanted: None });
        true
    }

    /// While held, keeps what would move the state and gives everything else back.
    pub(super) fn intercept(&mut self, work: Work) -> Option<Work> {
        let Some(active) = &mut self.active else { return Some(work) };
        match &work {
            Work::Settle { .. }
            | Work::Release
            | Work::Hold(_)
            | Work::Demand(_)
            | Work::Tend
            | Work::ClockDue
            | Work::Memory(_)
            | Work::Reset => {
                return Some(work);
            }
            Work::Commits { frontier, .. } | Work::Frontier(frontier) => active.reached = active.reached.max(*frontier),
            _ => {}
        }
        active.held.push(work);
        None
    }

    pub(super) fn settle(&mut self, table: RelationId, settlement: Settlement, done: oneshot::Sender<HoldAnswer>) {
        match &mut self.active {
            Some(active) => active.wanted = Some(Wanted { table, settlement, done }),
            None => {
                let _ = done.send(Err("the comparison took too long".into()));
            }
        }
    }
}

impl Thread {
    /// Answers a comparison for which everything has arrived; ends one that has lasted too long.
    pub(super) fn settle_hold(&mut self) {
        let Some(active) = &self.hold.active else { return };
        let arrived = active.wanted.as_ref().is_some_and(|wanted| active.reached >= wanted.settlement.position);
        if arrived {
            let Some(Active { mut held, wanted: Some(wanted), .. }) = self.hold.active.take() else { return };
            let table = wanted.table;
            let _ = wanted.done.send(self.rows_as_seen(table, &wanted.settlement, &mut held));
            self.replay(held);
            // It was stamped with the snapshot's position, below which there may be commits that only follow now.
            self.refresh(&[table]);
        } else if active.since.elapsed() > LONGEST_HOLD {
            self.release_hold();
        }
    }

    pub(super) fn release_hold(&mut self) {
        let Some(active) = self.hold.active.take() else { return };
        if let Some(wanted) = active.wanted {
            let _ = wanted.done.send(Err("the stream did not reach the snapshot in time".into()));
        }
        self.replay(active.held);
    }

    fn replay(&mut self, held: Vec<Work>) {
        for work in held {
            self.take(work);
        }
    }

    /// Applies those held commits that the snapshot sees (and takes them out of `held`), brings the table to that state.
    /// Transactions that touch the same row are ordered by visibility, so leaving out unseen ones in between is right.
    fn rows_as_seen(&mut self, table: RelationId, settlement: &Settlement, held: &mut [Work]) -> HoldAnswer {
        let data = |work: &Work| {
            matches!(work, Work::Commits { .. } | Work::Frontier(_) | Work::Refresh { .. } | Work::LetGo { .. })
        };
        if !held.iter().all(data) {
            return Err("the set of stream tables or watched tables was changing".into());
        }
        for work in held {
            if let Work::Commits { commits, .. } = work {
                let (seen, unseen): (Vec<_>, Vec<_>) =
                    commits.drain(..).partition(|commit| settlement.sees(commit.xid));
                *commits = unseen;
                self.apply_commits(seen);
            }
        }
        if self.views.is_evaluated(table) {
            let rows = snapshot_of(&self.published.load(), table)?;
            return Ok(Held { rows, moved: self.views.is_moved(table) });
        }
        self.clock = settlement.clock.unwrap_or(self.clock);
        self.refresh(&[table]);
        // Not for readers: this state is no prefix of the stream. The next publication follows the rest of the commits; if
        // none of them changes the table, it is right at the snapshot's position.
        self.publisher.stamp_during(table, settlement.position, self.engine.clock_span(table));
        let rows = snapshot_of(&self.publisher.publish(self.frontier), table);
        self.set_clock();
        Ok(Held { rows: rows?, moved: false })
    }
}

fn snapshot_of(snapshot: &Snapshot, table: RelationId) -> Result<Arc<TableVersion>, String> {
    snapshot.tables.get(&table).cloned().ok_or_else(|| "the stream table is not in memory".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_sees_what_ended_before_it() {
        let settlement = Settlement::parse("10:15:12,13", Position(7)).expect("well-formed");
        assert!(settlement.sees(9) && settlement.sees(10) && settlement.sees(14));
        assert!(!settlement.sees(12) && !settlement.sees(13) && !settlement.sees(15));
        assert!(Settlement::parse("10:15:", Position(7)).expect("no running ones").running.is_empty());
        assert!(Settlement::parse("10", Position(7)).is_none());
    }

    #[test]
    fn transaction_ids_are_extended_by_the_nearest_epoch() {
        let epoch = 1u64 << 32;
        assert_eq!(extend(5, epoch * 3 + 9), epoch * 3 + 5);
        assert_eq!(extend(u32::MAX, epoch * 3 + 9), epoch * 3 - 1);
        assert_eq!(extend(2, epoch * 3 - 4), epoch * 3 + 2);
    }
}
