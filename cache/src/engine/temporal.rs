//! Rows compared with a time: `key op T(now)`. They lie ordered by their key, and as T moves over keys, in either direction,
//! the rows between leave or come.
//!
//! T is followed in pieces ([`Piece`]) in which it stands still or runs with the clock; so it is known until when no row
//! passes T next, and since when none has.

use super::bag::Bag;
use super::graph::NodeId;
use super::memory::{ENTRY_BYTES, row_bytes};
use super::operator::{Batch, Operator, Output, StepContext, evaluate, rows};
use crate::clock::ClockSpan;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use weir_planner::Row;
use weir_planner::Value;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::functions::{Course, Piece};
use weir_planner::temporal::{Comparison, TimeBound};

/// A time that could not be computed is tried again this much later (microseconds).
const TRY_AGAIN: i64 = 1_000_000;

pub(crate) struct TemporalFilter {
    bound: TimeBound,
    context: EvalContext,
    /// All rows whose key is a point in time, by it.
    rows: BTreeMap<i128, Bag>,
    /// Keys that pass at `clock`.
    window: Range<i128>,
    clock: Option<i64>,
    time: Option<Time>,
    span: ClockSpan,
    heap: usize,
}

/// T in its present piece.
#[derive(Clone, Copy)]
struct Time {
    point: i64,
    at: i64,
    course: Course,
    piece: ClockSpan,
}

impl Time {
    fn of(bound: &TimeBound, context: &EvalContext) -> Option<Time> {
        let piece = Piece::of(&bound.time, context).ok()?;
        let point = TimeBound::point(&piece.value).filter(|point| !matches!(*point, i64::MIN | i64::MAX))?;
        let span = ClockSpan { from: piece.since, until: piece.until };
        Some(Time { point, at: context.now_micros, course: piece.course, piece: span })
    }

    fn point_at(&self, clock: i64) -> i128 {
        i128::from(self.point)
            + if self.course == Course::Running { i128::from(clock) - i128::from(self.at) } else { 0 }
    }
}

/// Keys that pass while T is this.
fn window(comparison: Comparison, time: i128) -> Range<i128> {
    match comparison {
        Comparison::Less => i128::MIN..time,
        Comparison::LessOrEqual => i128::MIN..time + 1,
        Comparison::Equal => time..time + 1,
        Comparison::GreaterOrEqual => time..i128::MAX,
        Comparison::Greater => time + 1..i128::MAX,
    }
}

/// What is in `of` and not in `without`.
fn difference(of: &Range<i128>, without: &Range<i128>) -> [Range<i128>; 2] {
    [of.start..of.end.min(without.start), of.start.max(without.end)..of.end]
}

impl TemporalFilter {
    pub fn new(bound: TimeBound, context: EvalContext) -> TemporalFilter {
        let (rows, heap) = (BTreeMap::new(), 0);
        TemporalFilter { bound, context, rows, window: 0..0, clock: None, time: None, span: ClockSpan::ALWAYS, heap }
    }

    /// Moves T to where it is at this clock; emits the rows it has passed.
    fn advance(&mut self, clock: i64, out: &mut Output) {
        if self.clock == Some(clock) {
            return;
        }
        let has_failed = self.clock.is_some() && self.time.is_none();
        self.clock = Some(clock);
        if !self.time.is_some_and(|time| time.piece.contains(clock)) {
            self.context.now_micros = clock;
            self.time = Time::of(&self.bound, &self.context);
        }
        let passing = match &self.time {
            Some(time) => window(self.bound.comparison, time.point_at(clock)),
            None => 0..0,
        };
        // Whether any row passes is then undecided.
        out.errors += i64::from(self.time.is_none()) - i64::from(has_failed);
        let before = std::mem::replace(&mut self.window, passing);
        for (gone, weight) in [(difference(&before, &self.window), -1), (difference(&self.window, &before), 1)] {
            for keys in gone {
                self.in_range(keys, &mut |row, count| out.rows.push((row.clone(), weight * count)));
            }
        }
    }

    fn in_range(&self, keys: Range<i128>, f: &mut dyn FnMut(&Row, i64)) {
        if keys.start < keys.end {
            self.rows.range(keys).for_each(|(_, bag)| bag.for_each(&mut *f));
        }
    }

    fn add(&mut self, row: &Row, weight: i64, out: &mut Output) {
        let value = evaluate(&self.bound.key, Tuple::single(row), &self.context);
        let Some(key) = TimeBound::point(&value).map(i128::from) else {
            // NULL passes no comparison.
            out.errors += if matches!(value, Value::Null) { 0 } else { weight };
            return;
        };
        let bag = self.rows.entry(key).or_default();
        bag.add(row, weight);
        if bag.is_empty() {
            self.rows.remove(&key);
        }
        let size = (ENTRY_BYTES + row_bytes(row)) as isize * weight as isize;
        self.heap = self.heap.saturating_add_signed(size);
        if self.window.contains(&key) {
            out.rows.push((row.clone(), weight));
        }
    }

    /// Since when and until when T passes no key.
    fn settled_span(&self) -> ClockSpan {
        let clock = self.clock.unwrap_or_default();
        let Some(time) = &self.time else { return ClockSpan { from: clock, until: clock.saturating_add(TRY_AGAIN) } };
        let mut span = time.piece;
        if time.course == Course::Still {
            return span;
        }
        // A key is not below an edge that runs until the clock is past the moment in which the two are equal.
        let passed = |key: i128, edge: i128| {
            let at = i128::from(clock) + (key - edge) + 1;
            i64::try_from(at).unwrap_or(if at < 0 { i64::MIN } else { i64::MAX })
        };
        for edge in [self.window.start, self.window.end] {
            if matches!(edge, i128::MIN | i128::MAX) {
                continue;
            }
            if let Some((key, _)) = self.rows.range(edge..).next() {
                span.until = span.until.min(passed(*key, edge));
            }
            if let Some((key, _)) = self.rows.range(..edge).next_back() {
                span.from = span.from.max(passed(*key, edge));
            }
        }
        span
    }
}

impl Operator for TemporalFilter {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        self.advance(context.graph.clock, out);
        for (row, weight) in rows(&inputs[0]) {
            self.add(row, weight, out);
        }
        self.span = self.settled_span();
    }

    fn content(&self, _inputs: &[NodeId], _context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        self.in_range(self.window.clone(), f);
        0
    }

    fn is_stateful(&self) -> bool {
        true
    }

    fn clock_span(&self) -> Option<ClockSpan> {
        Some(self.span)
    }

    fn bytes(&self) -> usize {
        self.heap
    }
}
