//! What each maintained view costs, what has changed in it since the history last heard, and which ones to refresh now.

use super::hold::Settlement;
use super::thread::Thread;
use super::work::How;
use crate::metrics::Metrics;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use weir_cache::{Delta, Engine, Position};
use weir_planner::RelationId;

/// Views are refreshed with every batch of commits as long as that takes no longer than this; the costly ones wait for
/// their schedule or for a reader. The promise "commit to visible within a few milliseconds" is made of it.
const CHEAP_MICROS: f64 = 1_500.0;
/// Weight of the newest measurement in a view's cost: a burst is forgotten after a few refreshes.
const COST_WEIGHT: f64 = 0.3;
/// Passes that measure each view on its own after a common pass was too long.
const MEASURED_PASSES: u32 = 8;
/// Commits remembered while Postgres evaluates a table; beyond, the table counts as moved.
const REMEMBERED_COMMITS: usize = 65_536;

/// One maintained (or Postgres-evaluated) stream table.
#[derive(Debug)]
pub(super) struct View {
    id: RelationId,
    sources: Vec<RelationId>,
    /// Moving average over refreshes, µs.
    cost_micros: f64,
    progress: Progress,
    /// Rows inserted and deleted since the last publication.
    unpublished: (u64, u64),
    evaluated: Option<Evaluated>,
    /// Not to be published any more.
    withheld: bool,
    /// As in [`super::work::NewView`].
    pub(super) generation: u64,
}

/// State of a table whose rows come from Postgres.
#[derive(Debug, Default)]
struct Evaluated {
    /// A source has changed since the snapshot of its rows.
    moved: bool,
    /// Transactions that changed a source since the running evaluation began, and where they were committed.
    since: Vec<(u32, Position)>,
    overflow: bool,
    /// Some source cannot be followed: it may always have moved.
    blind: bool,
}

impl Evaluated {
    fn before_the_first(blind: bool) -> Evaluated {
        Evaluated { moved: true, blind, ..Evaluated::default() }
    }
}

/// What happened to a view since the last report.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub table: RelationId,
    pub inserted: u64,
    pub deleted: u64,
    pub spent: Duration,
    /// Where the view is right now.
    pub position: Position,
    /// Postgres evaluates it and its sources have moved since.
    pub moved: bool,
}

impl Progress {
    pub(super) fn none(table: RelationId) -> Progress {
        Progress { table, inserted: 0, deleted: 0, spent: Duration::ZERO, position: Position::default(), moved: false }
    }
    pub(super) fn is_empty(&self) -> bool {
        self.inserted == 0 && self.deleted == 0
    }
}

impl View {
    pub(super) fn new(id: RelationId, sources: Vec<RelationId>, how: &How) -> View {
        let evaluated = match how {
            How::Maintained { .. } => None,
            How::Evaluated { blind } => Some(Evaluated::before_the_first(*blind)),
        };
        View {
            id,
            sources,
            cost_micros: 0.0,
            progress: Progress::none(id),
            unpublished: (0, 0),
            evaluated,
            withheld: false,
            generation: 0,
        }
    }

    pub(super) fn is_evaluated(&self) -> bool {
        self.evaluated.is_some()
    }
}

/// All views, ancestors before dependants (they are added in that order).
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    views: Vec<View>,
    /// Views refreshed with every batch, always the same list until a cost changes: the engine keeps its plan for it.
    cheap: Option<Arc<[RelationId]>>,
    /// Passes left that measure each view on its own.
    measuring: u32,
}

impl Upkeep {
    pub(super) fn contains(&self, id: RelationId) -> bool {
        self.views.iter().any(|view| view.id == id)
    }

    /// Which of the views that have had this id is there.
    pub(super) fn generation(&self, id: RelationId) -> Option<u64> {
        self.views.iter().find(|view| view.id == id).map(|view| view.generation)
    }

    pub(super) fn is_evaluated(&self, id: RelationId) -> bool {
        self.views.iter().any(|view| view.id == id && view.is_evaluated())
    }

    /// Postgres evaluates it, and what it reads has changed since it last did.
    pub(super) fn is_moved(&self, id: RelationId) -> bool {
        let view = self.views.iter().find(|view| view.id == id);
        view.and_then(|view| view.evaluated.as_ref()).is_some_and(|state| state.moved)
    }

    fn cheap(&mut self) -> Arc<[RelationId]> {
        let views = &self.views;
        let list = self.cheap.get_or_insert_with(|| {
            let kept = views.iter().enumerate().filter(|(_, view)| !view.withheld && !view.is_evaluated());
            let mut kept: Vec<(usize, f64, RelationId)> =
                kept.map(|(order, view)| (order, view.cost_micros, view.id)).collect();
            kept.sort_by(|a, b| a.1.total_cmp(&b.1));
            let mut budget = CHEAP_MICROS;
            kept.retain(|(_, cost, _)| {
                budget -= cost;
                budget >= 0.0
            });
            kept.sort_by_key(|(order, _, _)| *order);
            kept.into_iter().map(|(_, _, id)| id).collect()
        });
        list.clone()
    }

    pub(super) fn add(&mut self, view: View) {
        self.cheap = None;
        self.views.push(view);
    }

    pub(super) fn remove(&mut self, id: RelationId) -> Option<View> {
        let index = self.views.iter().position(|view| view.id == id)?;
        self.cheap = None;
        Some(self.views.remove(index))
    }

    fn get_mut(&mut self, id: RelationId) -> Option<&mut View> {
        self.views.iter_mut().find(|view| view.id == id)
    }

    /// Everything that reads `table`, directly or not.
    pub(super) fn above(&self, table: RelationId) -> Vec<RelationId> {
        let mut reached = vec![table];
        for view in &self.views {
            if view.sources.iter().any(|source| reached.contains(source)) {
                reached.push(view.id);
            }
        }
        reached.split_off(1)
    }

    pub(super) fn withhold(&mut self, id: RelationId) {
        self.cheap = None;
        if let Some(view) = self.get_mut(id) {
            view.withheld = true;
        }
    }

    pub(super) fn spend(&mut self, id: RelationId, spent: Duration) {
        if let Some(view) = self.get_mut(id) {
            view.progress.spent += spent;
        }
    }

    pub(super) fn account(&mut self, id: RelationId, delta: &Delta) {
        let Some(view) = self.get_mut(id) else { return };
        let (mut inserted, mut deleted) = (0, 0);
        for (_, weight) in delta {
            let count = if *weight > 0 { &mut inserted } else { &mut deleted };
            *count += weight.unsigned_abs();
        }
        view.progress.inserted += inserted;
        view.progress.deleted += deleted;
        view.unpublished.0 += inserted;
        view.unpublished.1 += deleted;
    }

    /// Views that have changed since this was last asked, with the rows inserted and deleted.
    pub(super) fn take_changes(&mut self) -> impl Iterator<Item = (RelationId, u64, u64)> {
        let changed = self.views.iter_mut().filter(|view| view.unpublished != (0, 0));
        changed.map(|view| {
            let (inserted, deleted) = std::mem::take(&mut view.unpublished);
            (view.id, inserted, deleted)
        })
    }

    pub(super) fn take_progress(&mut self, id: RelationId, position: Position) -> Option<Progress> {
        let view = self.get_mut(id).filter(|view| !view.withheld)?;
        let moved = view.evaluated.as_ref().is_some_and(|state| state.moved);
        Some(Progress { position, moved, ..std::mem::replace(&mut view.progress, Progress::none(id)) })
    }

    /// A relation changed: tables that Postgres evaluates over it are no longer of the present.
    pub(super) fn source_changed(&mut self, source: RelationId, xid: u32, position: Position) {
        let mut changed = vec![source];
        for view in &mut self.views {
            if !view.sources.iter().any(|source| changed.contains(source)) {
                continue;
            }
            changed.push(view.id);
            if let Some(state) = &mut view.evaluated {
                state.moved = true;
                if state.since.len() < REMEMBERED_COMMITS {
                    if state.since.last() != Some(&(xid, position)) {
                        state.since.push((xid, position));
                    }
                } else {
                    state.overflow = true;
                }
            }
        }
    }

    pub(super) fn begin_evaluation(&mut self, id: RelationId) {
        if let Some(state) = self.get_mut(id).and_then(|view| view.evaluated.as_mut()) {
            state.since.clear();
            state.overflow = false;
        }
    }

    /// Whether a commit that lies before the position of the snapshot was not visible to it yet: then its rows are right
    /// at no position. Known when everything up to there has been applied.
    pub(super) fn is_overtaken(&self, id: RelationId, settlement: &Settlement) -> bool {
        let view = self.views.iter().find(|view| view.id == id);
        view.and_then(|view| view.evaluated.as_ref()).is_some_and(|state| {
            state.since.iter().any(|&(xid, position)| position <= settlement.position && !settlement.sees(xid))
        })
    }

    /// New rows arrived: the table has moved only by what their snapshot does not see.
    pub(super) fn evaluated(&mut self, id: RelationId, settlement: &Settlement) {
        if let Some(state) = self.get_mut(id).and_then(|view| view.evaluated.as_mut()) {
            state.moved = state.blind || state.overflow || state.since.iter().any(|(xid, _)| !settlement.sees(*xid));
            state.since.clear();
        }
    }

    /// Views that the engine has not brought to the present.
    fn stale(&self, engine: &Engine) -> Vec<RelationId> {
        self.views.iter().map(|view| view.id).filter(|id| engine.is_stale(*id)).collect()
    }

    /// Tables that are right at the present: nothing they read has changed since they were brought there.
    pub(super) fn unmoved(&self, engine: &Engine) -> Vec<RelationId> {
        let right = |view: &&View| match &view.evaluated {
            Some(state) => !state.moved,
            None => !engine.is_stale(view.id) && !engine.is_in_error(view.id),
        };
        self.views.iter().filter(|view| !view.withheld).filter(right).map(|view| view.id).collect()
    }
}

impl Upkeep {
    /// Some view's rows come or leave by time alone.
    pub(super) fn is_any_timed(&self, engine: &Engine) -> bool {
        self.views.iter().any(|view| engine.is_timed(view.id))
    }

    /// The server's clock at which the next row of a view that is cheap to refresh comes or leaves by time alone; the costly
    /// ones wait for their schedule or for a reader.
    pub(super) fn next_due(&mut self, engine: &Engine) -> Option<i64> {
        let untils = self.cheap().iter().map(|view| engine.clock_span(*view).until).min();
        untils.filter(|until| *until < i64::MAX)
    }

    /// Views some of whose rows an error (a division by zero, say) leaves undecided: Postgres raises it or does not.
    pub(super) fn in_error(&self, engine: &Engine) -> Vec<RelationId> {
        self.views.iter().map(|view| view.id).filter(|id| engine.is_in_error(*id)).collect()
    }
}

impl Thread {
    /// Brings these views and their ancestors to the present.
    pub(super) fn refresh(&mut self, wanted: &[RelationId]) {
        let due: Vec<RelationId> = self
            .views
            .views
            .iter()
            .filter(|view| wanted.contains(&view.id) && !view.withheld && !view.is_evaluated())
            .map(|view| view.id)
            .filter(|id| self.engine.is_stale(*id) || self.engine.is_due(*id, self.clock))
            .collect();
        if due.is_empty() {
            return;
        }
        let stale = self.views.stale(&self.engine);
        for view in due {
            self.refresh_one(view);
        }
        self.touch(&stale);
    }

    /// Of these stale views, those that have come to the present: whatever has come of it, they may have been others meanwhile.
    /// (A view may come along that shares its operators with one that was asked for.)
    fn touch(&mut self, stale: &[RelationId]) {
        for view in stale.iter().filter(|view| !self.engine.is_stale(**view)) {
            self.publisher.touch(*view);
        }
    }

    /// Brings the cheap views to the present, all in one pass over the operators. When that takes too long, the next
    /// passes go view by view, which tells the costly ones.
    pub(super) fn refresh_cheap(&mut self) {
        let cheap = self.views.cheap();
        let moves = |view: &RelationId| self.engine.is_stale(*view) || self.engine.is_due(*view, self.clock);
        if !cheap.iter().any(moves) {
            return;
        }
        if self.views.measuring > 0 {
            self.views.measuring -= 1;
            self.refresh(&cheap);
            return;
        }
        let stale = self.views.stale(&self.engine);
        let spent = self.refresh_together(&cheap);
        self.touch(&stale);
        if spent.as_secs_f64() * 1e6 > CHEAP_MICROS {
            self.views.measuring = MEASURED_PASSES;
        }
    }

    fn refresh_one(&mut self, view: RelationId) {
        let spent = self.refresh_together(&[view]);
        if let Some(known) = self.views.get_mut(view) {
            known.cost_micros += COST_WEIGHT * (spent.as_secs_f64() * 1e6 - known.cost_micros);
            self.views.cheap = None;
        }
    }

    fn refresh_together(&mut self, views: &[RelationId]) -> Duration {
        let started = Instant::now();
        let changes = self.engine.refresh(views, self.clock);
        Metrics::add(&self.metrics.engine_nanos, started.elapsed().as_nanos() as u64);
        let rows: usize = changes.iter().map(|(_, change)| change.delta.len()).sum();
        Metrics::add(&self.metrics.rows_changed, rows as u64);
        let changed = u32::try_from(changes.len()).unwrap_or(u32::MAX).max(1);
        for (view, change) in &changes {
            self.publisher.apply(*view, &change.delta);
            self.views.account(*view, &change.delta);
        }
        let spent = started.elapsed();
        // Of a common pass each changed view is charged an equal part: the history's durations add up.
        changes.iter().for_each(|(view, _)| self.views.spend(*view, spent / changed));
        Metrics::add(&self.metrics.refreshes, u64::from(changed));
        Metrics::add(&self.metrics.refresh_micros, spent.as_micros() as u64);
        spent
    }

    /// The local clock, µs since 2000-01-01 UTC: never behind a commit that was applied.
    pub(super) fn now_micros(&self) -> i64 {
        /// Seconds from 1970 to 2000.
        const POSTGRES_EPOCH_SECONDS: i64 = 946_684_800;
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        (unix.as_micros() as i64 - POSTGRES_EPOCH_SECONDS * 1_000_000).max(self.newest_commit_micros)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: RelationId = RelationId(1);
    const VIEW: RelationId = RelationId(2);

    #[test]
    fn a_commit_before_the_position_of_a_snapshot_that_does_not_see_it_overtakes_it() {
        let mut upkeep = Upkeep::default();
        upkeep.add(View::new(VIEW, vec![TABLE], &How::Evaluated { blind: false }));
        let snapshot = |position| Settlement::parse("10:15:12", Position(position)).expect("well-formed");
        upkeep.begin_evaluation(VIEW);
        upkeep.source_changed(TABLE, 11, Position(5));
        upkeep.source_changed(TABLE, 16, Position(9));
        assert!(!upkeep.is_overtaken(VIEW, &snapshot(8)), "11 is seen, 16 lies behind");
        upkeep.source_changed(TABLE, 12, Position(6));
        assert!(upkeep.is_overtaken(VIEW, &snapshot(8)));
        upkeep.begin_evaluation(VIEW);
        assert!(!upkeep.is_overtaken(VIEW, &snapshot(8)), "the next evaluation's snapshot is a later one");
    }
}
