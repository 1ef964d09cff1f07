//! Rows compared with a time: `key op T(now)`. They lie ordered by their key, and as T moves over keys, in either direction,
//! the rows between leave or come; or, where the comparison is a part of something else, change what is marked beside them.
//!
//! T is followed in pieces ([`Piece`]) in which it stands still or runs with the clock; so it is known until when no row
//! passes T next, and since when none has.

use super::bag::{Bag, Identity};
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

pub(crate) struct TemporalOperator {
    bound: TimeBound,
    /// The outcome stands behind so many columns of every row; None: rows that pass are the output.
    mark: Option<usize>,
    context: EvalContext,
    /// Marked rows whose outcome is not a matter of time: NULL, or an error.
    timeless: Bag,
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

impl TemporalOperator {
    pub fn new(bound: TimeBound, mark: Option<usize>, context: EvalContext) -> TemporalOperator {
        TemporalOperator {
            bound,
            mark,
            context,
            timeless: Bag::default(),
            rows: BTreeMap::new(),
            window: 0..0,
            clock: None,
            time: None,
            span: ClockSpan::ALWAYS,
            heap: 0,
        }
    }

    /// The output for a row with this outcome.
    fn outcome(&self, row: &Row, passes: Value) -> Option<Row> {
        match (self.mark, passes) {
            (Some(width), passes) => Some(row[..width].iter().cloned().chain([passes]).collect()),
            (None, Value::Bool(true)) => Some(row.clone()),
            (None, _) => None,
        }
    }

    fn emit(&self, row: &Row, passes: Value, weight: i64, out: &mut Output) {
        if let Some(row) = self.outcome(row, passes) {
            out.rows.push((row, weight));
        }
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
        for (moved, passes) in [(difference(&before, &self.window), false), (difference(&self.window, &before), true)] {
            for keys in moved {
                self.in_range(keys, &mut |row, count| {
                    self.emit(row, Value::Bool(!passes), -count, out);
                    self.emit(row, Value::Bool(passes), count, out);
                });
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
            match self.mark {
                Some(_) => {
                    self.timeless.add(row, weight, &Identity::Whole);
                    self.emit(row, value, weight, out);
                }
                None => out.errors += if matches!(value, Value::Null) { 0 } else { weight },
            }
            return;
        };
        let bag = self.rows.entry(key).or_default();
        bag.add(row, weight, &Identity::Whole);
        if bag.is_empty() {
            self.rows.remove(&key);
        }
        let size = (ENTRY_BYTES + row_bytes(row)) as isize * weight as isize;
        self.heap = self.heap.saturating_add_signed(size);
        self.emit(row, Value::Bool(self.window.contains(&key)), weight, out);
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
        let passed = |key: i128, edge: i128| match i64::try_from(key) {
            // Infinity is passed by no time.
            Ok(infinite @ (i64::MIN | i64::MAX)) => infinite,
            _ => {
                let at = i128::from(clock) + (key - edge) + 1;
                i64::try_from(at).unwrap_or(if at < 0 { i64::MIN } else { i64::MAX })
            }
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

impl Operator for TemporalOperator {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        self.advance(context.graph.clock, out);
        for (row, weight) in rows(&inputs[0]) {
            self.add(row, weight, out);
        }
        self.span = self.settled_span();
    }

    fn content(&self, _inputs: &[NodeId], _context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        if self.mark.is_none() {
            self.in_range(self.window.clone(), f);
            return 0;
        }
        let mut tell = |row: &Row, passes: Value, weight: i64| {
            if let Some(row) = self.outcome(row, passes) {
                f(&row, weight);
            }
        };
        for (key, bag) in &self.rows {
            bag.for_each(|row, weight| tell(row, Value::Bool(self.window.contains(key)), weight));
        }
        self.timeless.for_each(|row, weight| {
            tell(row, evaluate(&self.bound.key, Tuple::single(row), &self.context), weight);
        });
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
