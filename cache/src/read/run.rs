//! Running operators: each pushes its tuples with their multiplicities into a sink.

use super::ReadError;
use super::keys::KeySet;
use super::op::Op;
use super::rows::Flat;
use crate::Snapshot;
use std::cell::Cell;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::atomic::{AtomicBool, Ordering};
use weir_planner::eval::{EvalContext, Tuple, set_rows};
use weir_planner::{Expr, Value};

/// Rows one read may hold at once (answer, join sides, groups, sort buffers): at some 200 bytes each a fifth of a
/// gigabyte. A larger answer is better streamed by Postgres.
pub const MAX_HELD_ROWS: usize = 1_000_000;

/// Tuples a read may look at in nested loops and scans: some ten seconds of work, which no reader expects of memory.
pub const MAX_VISITED_ROWS: usize = 200_000_000;

/// What one execution may cost, and who may end it.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'b> {
    /// Tuples it may look at.
    visits: usize,
    /// Set by whoever does not wait for the answer any more.
    stop: Option<&'b AtomicBool>,
}

impl<'b> Budget<'b> {
    /// [`MAX_VISITED_ROWS`], and nobody ends it.
    pub const WHOLE: Budget<'static> = Budget { visits: MAX_VISITED_ROWS, stop: None };

    /// For a thread that others wait for: no more than `visits` tuples, then [`ReadError::TooLong`].
    pub const fn short(visits: usize) -> Budget<'static> {
        Budget { visits, stop: None }
    }

    /// [`Budget::WHOLE`], ended with [`ReadError::Stopped`] soon after `stop` has been set.
    pub fn until(stop: &'b AtomicBool) -> Budget<'b> {
        Budget { visits: MAX_VISITED_ROWS, stop: Some(stop) }
    }

    fn exceeded(&self) -> ReadError {
        if self.visits < MAX_VISITED_ROWS { ReadError::TooLong } else { ReadError::TooLarge }
    }
}

/// Why an operator stops early.
#[derive(Debug)]
pub(super) enum Stop {
    /// Whoever asked has all it needs.
    Enough,
    Failed(ReadError),
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Stop {
        Stop::Failed(error)
    }
}

pub(super) type Flow = ControlFlow<Stop>;
pub(super) type Sink<'f> = &'f mut dyn FnMut(Tuple<'_>, u64) -> Flow;

/// One execution.
pub(super) struct Run<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) context: &'a EvalContext,
    budget: Budget<'a>,
    held: Cell<usize>,
    visited: Cell<usize>,
}

pub(super) fn fail<T>(error: ReadError) -> ControlFlow<Stop, T> {
    Break(Stop::Failed(error))
}

impl<'a> Run<'a> {
    pub(super) fn new(snapshot: &'a Snapshot, context: &'a EvalContext, budget: Budget<'a>) -> Run<'a> {
        Run { snapshot, context, budget, held: Cell::new(0), visited: Cell::new(0) }
    }

    /// Accounts for rows about to be held.
    pub(super) fn hold(&self, rows: u64) -> Flow {
        let held = self.held.get().saturating_add(usize::try_from(rows).unwrap_or(usize::MAX));
        self.held.set(held);
        if held > MAX_HELD_ROWS { fail(ReadError::TooLarge) } else { Continue(()) }
    }

    /// Accounts for tuples looked at.
    #[inline]
    pub(super) fn visit(&self, tuples: usize) -> Flow {
        let visited = self.visited.get() + tuples;
        self.visited.set(visited);
        if visited > self.budget.visits {
            return fail(self.budget.exceeded());
        }
        match self.budget.stop {
            Some(stop) if stop.load(Ordering::Relaxed) => fail(ReadError::Stopped),
            _ => Continue(()),
        }
    }

    /// The value of an expression; an error ends the read.
    #[inline]
    pub(super) fn value(&self, expr: &Expr, tuple: Tuple<'_>) -> ControlFlow<Stop, Value> {
        match expr.eval(tuple, self.context) {
            Value::Error(error) => fail(ReadError::Eval((*error).clone())),
            value => Continue(value),
        }
    }

    /// Evaluates all expressions into `out`, which is emptied before.
    pub(super) fn values(&self, exprs: &[Expr], tuple: Tuple<'_>, out: &mut Vec<Value>) -> Flow {
        out.clear();
        for expr in exprs {
            out.push(self.value(expr, tuple)?);
        }
        Continue(())
    }

    #[inline]
    pub(super) fn passes(&self, predicate: &Expr, tuple: Tuple<'_>) -> ControlFlow<Stop, bool> {
        match predicate.eval_bool(tuple, self.context) {
            Ok(passes) => Continue(passes),
            Err(error) => fail(ReadError::Eval(error)),
        }
    }

    pub(super) fn run(&self, op: &Op, sink: Sink<'_>) -> Flow {
        match op {
            Op::Scan(scan) => self.scan(scan, &mut |row, count, _| sink(Tuple::single(&row[..scan.width]), count)),
            Op::Values(rows) => {
                let mut values = Vec::new();
                for row in rows {
                    self.values(row, Tuple::single(&[]), &mut values)?;
                    sink(Tuple::single(&values), 1)?;
                }
                Continue(())
            }
            Op::Filter { input, predicate } => self.run(input, &mut |tuple, count| {
                if self.passes(predicate, tuple)? { sink(tuple, count) } else { Continue(()) }
            }),
            Op::Project { input, exprs, .. } => {
                let mut values = Vec::with_capacity(exprs.len());
                self.run(input, &mut |tuple, count| {
                    self.values(exprs, tuple, &mut values)?;
                    sink(Tuple::single(&values), count)
                })
            }
            Op::Join(join) => self.join(join, sink),
            Op::Aggregate { input, keys, aggregates } => self.aggregate(input, keys, aggregates, sink),
            Op::Distinct { input, width } => {
                let mut seen = KeySet::new(*width);
                self.run(input, &mut |tuple, _| {
                    if !seen.number(tuple.left).1 {
                        return seen.settled().map_or_else(fail, Continue);
                    }
                    self.hold(1)?;
                    sink(tuple, 1)
                })
            }
            Op::Window { input, width, functions } => self.window(input, *width, functions, sink),
            Op::Sort(sort) => self.sort(sort, sink),
            Op::Union(inputs) => inputs.iter().try_for_each(|input| self.run(input, sink)),
            Op::ProjectSet { input, width, calls } => {
                let mut values = Vec::with_capacity(*width + calls.width());
                self.run(input, &mut |tuple, count| {
                    let added = match set_rows(calls, tuple.left, self.context) {
                        Ok(added) => added,
                        Err(error) => return fail(ReadError::Eval(error)),
                    };
                    self.visit(added.len())?;
                    for added in added {
                        values.clear();
                        values.extend_from_slice(&tuple.left[..*width]);
                        values.extend(added);
                        sink(Tuple::single(&values), count)?;
                    }
                    Continue(())
                })
            }
            Op::Repeat { input, width } => self.run(input, &mut |tuple, count| {
                let (row, times) = tuple.left.split_at(*width - 1);
                match times {
                    [Value::Int8(times)] if *times > 0 => sink(Tuple::single(row), count * times.unsigned_abs()),
                    _ => Continue(()),
                }
            }),
        }
    }

    /// The tuples of an operator that yields single slices, copied, with their multiplicities.
    pub(super) fn collect(&self, op: &Op, width: usize) -> ControlFlow<Stop, (Flat, Vec<u64>)> {
        let mut rows = Flat::new(width);
        let mut counts = Vec::new();
        self.run(op, &mut |tuple, count| {
            self.hold(1)?;
            rows.push(tuple.left.iter().cloned());
            counts.push(count);
            Continue(())
        })?;
        Continue((rows, counts))
    }
}
