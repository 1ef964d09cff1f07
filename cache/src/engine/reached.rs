//! Which rows of a partition a change can give other values: some rows around it, those whose frames hold it, or all
//! behind it.

use super::order::OrderedBag;
use super::spec::OrderSpec;
use crate::window::{PreparedCall, Reach};
use std::cell::Cell;
use std::ops::Range;
use weir_planner::Row;
use weir_planner::eval::EvalContext;

/// What to evaluate: rows by position, of which those in `affected` may have other values than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slice {
    pub rows: Range<i64>,
    pub affected: Range<i64>,
}

impl Slice {
    pub const ALL: Slice = Slice { rows: 0..i64::MAX, affected: 0..i64::MAX };
}

fn hull(a: Range<i64>, b: Range<i64>) -> Range<i64> {
    a.start.min(b.start)..a.end.max(b.end)
}

/// A partition, and the first and the last of the rows that come or go, by its order.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub bag: &'a OrderedBag,
    pub order: &'a OrderSpec,
    pub first: &'a Row,
    pub last: &'a Row,
    pub eval: &'a EvalContext,
}

impl Change<'_> {
    /// What a change reaches by all of these calls together, before it is made or after; None: everything. `rows` are whole
    /// peer groups and hold the frames of all that is affected, but for what lies before a growing aggregate.
    pub fn reaches(&self, calls: &[PreparedCall]) -> Option<Slice> {
        let all = calls.iter().map(|call| self.affected_by(call));
        let affected = all.reduce(|a, b| Some(hull(a?, b?)))??;
        // The rows that one call affects are evaluated by all.
        let all = calls.iter().map(|call| self.seen_by(call, &affected));
        let rows = all.reduce(|a, b| Some(hull(a?, b?)))??;
        // What lies at an edge of a frame is looked at with all its peers.
        Some(Slice { rows: self.peers_at(rows.start).start..self.peers_at(rows.end).end, affected })
    }

    /// Rows that may get other values by this call.
    fn affected_by(&self, call: &PreparedCall) -> Option<Range<i64>> {
        let (bag, order) = (self.bag, self.order);
        let peers = bag.peers_begin(self.first, order)..bag.peers_finish(self.last, order);
        match call.reach() {
            Reach::Partition => None,
            Reach::Running => Some(peers.start..bag.total()),
            Reach::Near { before, behind } => {
                Some((peers.start - before as i64).max(0)..(peers.end + behind as i64).min(bag.total()))
            }
            Reach::Keys => {
                let search = Search::new(bag);
                let start = search.first_not(|row| call.is_behind_frame(row, self.first, self.eval));
                let end = search.first_not(|row| call.is_ahead_of_frame(row, self.last, self.eval).map(|ahead| !ahead));
                search.is_clear().then(|| hull(start..end, peers))
            }
        }
    }

    /// The rows that the values of these depend on, themselves among them.
    fn seen_by(&self, call: &PreparedCall, of: &Range<i64>) -> Option<Range<i64>> {
        match call.reach() {
            Reach::Partition => None,
            Reach::Running => Some(of.clone()),
            // A row sees as far back as a change reaches behind it, and as far ahead as one reaches before it.
            Reach::Near { before, behind } => {
                Some((of.start - behind as i64).max(0)..(of.end + before as i64).min(self.bag.total()))
            }
            Reach::Keys => {
                let search = Search::new(self.bag);
                let start = self
                    .row_at(of.start)
                    .map_or(of.start, |first| search.first_not(|row| call.is_ahead_of_frame(first, row, self.eval)));
                let end = self.row_at(of.end - 1).map_or(of.end, |last| {
                    search.first_not(|row| call.is_behind_frame(last, row, self.eval).map(|behind| !behind))
                });
                search.is_clear().then(|| hull(start..end, of.clone()))
            }
        }
    }

    fn row_at(&self, position: i64) -> Option<&Row> {
        self.bag.positions_from(position.max(0)).next().map(|(_, row, _)| row)
    }

    /// Positions of the peers of the row at a position; none at the end.
    fn peers_at(&self, position: i64) -> Range<i64> {
        match self.row_at(position) {
            Some(row) => self.bag.peers_begin(row, self.order)..self.bag.peers_finish(row, self.order),
            None => self.bag.total()..self.bag.total(),
        }
    }
}

/// A search by what may turn out not to be known: an offset that cannot be added to a key.
struct Search<'a> {
    bag: &'a OrderedBag,
    is_clear: Cell<bool>,
}

impl<'a> Search<'a> {
    fn new(bag: &'a OrderedBag) -> Search<'a> {
        Search { bag, is_clear: Cell::new(true) }
    }

    fn first_not(&self, is_before: impl Fn(&Row) -> Option<bool>) -> i64 {
        self.bag.first_not(|row| {
            let outcome = is_before(row);
            self.is_clear.set(self.is_clear.get() && outcome.is_some());
            outcome.unwrap_or(true)
        })
    }

    fn is_clear(&self) -> bool {
        self.is_clear.get()
    }
}
