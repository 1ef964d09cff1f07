//! Frames: from the clause to the rows `[head, tail)` of each current row (`update_frameheadpos`, `update_frametailpos` of
//! nodeWindowAgg.c).

use super::in_range::{in_range, is_negative};
use super::partition::Partition;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::{Bound, Exclusion, FrameMode, SortKey, WindowCall};
use weir_planner::types::oid;
use weir_planner::value::compare_nulls;
use weir_planner::{EvalError, Value};

/// A frame whose offsets are known.
#[derive(Debug)]
pub(super) struct Frame {
    pub mode: FrameMode,
    pub start: Edge,
    pub end: Edge,
    pub exclusion: Exclusion,
    /// The one ORDER BY item of RANGE with offsets.
    key: Option<SortKey>,
}

#[derive(Debug, PartialEq)]
pub(super) enum Edge {
    Unbounded,
    CurrentRow,
    Offset { amount: Value, preceding: bool },
}

impl Frame {
    /// Errors are Postgres' to raise: offsets that are NULL, negative, or no constants.
    pub fn resolve(call: &WindowCall, context: &EvalContext) -> Result<Frame, String> {
        let edge = |bound: &Bound| {
            let (expr, preceding) = match bound {
                Bound::Unbounded => return Ok(Edge::Unbounded),
                Bound::CurrentRow => return Ok(Edge::CurrentRow),
                Bound::Preceding(expr) => (expr, true),
                Bound::Following(expr) => (expr, false),
            };
            match expr.eval(Tuple::single(&[]), context) {
                Value::Null | Value::Error(_) => Err("a frame offset that is no number".to_owned()),
                amount if is_negative(&amount) => Err("a negative frame offset".to_owned()),
                amount => Ok(Edge::Offset { amount, preceding }),
            }
        };
        let (start, end) = (edge(&call.frame.start)?, edge(&call.frame.end)?);
        let key = match (call.frame.mode, &call.order[..]) {
            (FrameMode::Range, [key]) => Some(key.clone()),
            _ => None,
        };
        Ok(Frame { mode: call.frame.mode, start, end, exclusion: call.frame.exclusion, key })
    }

    /// Both edges are the current row or an offset in values of the sort key that leaves keys in their order: months of
    /// different lengths, and days of different lengths where clocks are changed, may turn two around.
    pub fn counts_in_keys(&self) -> bool {
        let Some(key) = self.key.as_ref().filter(|_| self.mode == FrameMode::Range) else { return false };
        let is_even = |edge: &Edge| match edge {
            Edge::Unbounded => false,
            Edge::CurrentRow => true,
            Edge::Offset { amount: Value::Interval(by), .. } => {
                by.months == 0 && (by.days == 0 || key.kind.oid != oid::TIMESTAMPTZ)
            }
            Edge::Offset { .. } => true,
        };
        is_even(&self.start) && is_even(&self.end)
    }

    /// Whether `row` is not before the head of the frame of `current` (`is_head`), or not behind its tail; of frames that
    /// [count in keys](Frame::counts_in_keys). As rows go on, the first goes from false to true and the second back.
    pub fn holds(&self, is_head: bool, current: &[Value], row: &[Value], context: &EvalContext) -> Option<bool> {
        let key = self.key.as_ref()?;
        let [current, value] = [current, row].map(|row| key.expr.eval(Tuple::single(row), context));
        let order = compare_nulls(&value, &current, key.descending, key.nulls_first);
        let by_order = if is_head { order.is_ge() } else { order.is_le() };
        match if is_head { &self.start } else { &self.end } {
            Edge::Offset { .. } if value.is_error() || current.is_error() => None,
            Edge::Offset { amount, preceding } if !value.is_null() && !current.is_null() => {
                in_range(&value, &current, amount, *preceding != key.descending, is_head == key.descending, context)
                    .ok()
            }
            // NULLs are peers of each other, and beyond every offset from anything else.
            Edge::Offset { .. } | Edge::CurrentRow => Some(by_order),
            Edge::Unbounded => None,
        }
    }

    /// A frame edge can part peers from each other.
    pub fn parts_peers(&self) -> bool {
        let by_position = |edge: &Edge| *edge != Edge::Unbounded;
        self.mode == FrameMode::Rows && (by_position(&self.start) || by_position(&self.end))
    }

    /// `[head, tail)` for every row; an empty frame has its tail at its head. Neither goes back from row to row.
    pub fn bounds(&self, partition: &Partition<'_>, context: &EvalContext) -> Result<Vec<(usize, usize)>, EvalError> {
        let count = partition.len();
        let mut heads = self.edges(&self.start, true, partition, context)?;
        let tails = self.edges(&self.end, false, partition, context)?;
        Ok(heads
            .drain(..)
            .zip(tails)
            .map(|(head, tail)| (head.min(count), tail.min(count).max(head.min(count))))
            .collect())
    }

    fn edges(
        &self,
        edge: &Edge,
        is_head: bool,
        partition: &Partition<'_>,
        context: &EvalContext,
    ) -> Result<Vec<usize>, EvalError> {
        let rows = 0..partition.len();
        let (amount, preceding) = match (edge, self.mode) {
            (Edge::Unbounded, _) => return Ok(vec![if is_head { 0 } else { partition.len() }; partition.len()]),
            (Edge::CurrentRow, FrameMode::Rows) => {
                return Ok(rows.map(|row| row + usize::from(!is_head)).collect());
            }
            (Edge::CurrentRow, _) => {
                let peers = rows.map(|row| partition.peers(row));
                return Ok(peers.map(|peers| if is_head { peers.start } else { peers.end }).collect());
            }
            (Edge::Offset { amount, preceding }, _) => (amount, *preceding),
        };
        if self.mode == FrameMode::Range {
            return self.range_edges(amount, preceding, is_head, partition, context);
        }
        let Value::Int8(amount) = amount else {
            return Err(EvalError::unsupported("a frame offset that is no bigint"));
        };
        let moved = |from: usize| {
            let from = from as i64;
            if preceding { from.saturating_sub(*amount) } else { from.saturating_add(*amount) }
        };
        let clamped = |at: i64| usize::try_from(at.max(0)).unwrap_or(usize::MAX);
        Ok(match self.mode {
            FrameMode::Rows => rows.map(|row| clamped(moved(row).saturating_add(i64::from(!is_head)))).collect(),
            _ => rows
                .map(|row| {
                    // The first group of the frame, or the one after its last.
                    let group = clamped(moved(partition.group_of(row)).saturating_add(i64::from(!is_head)));
                    if group < partition.groups() { partition.group(group).start } else { partition.len() }
                })
                .collect(),
        })
    }

    fn range_edges(
        &self,
        amount: &Value,
        preceding: bool,
        is_head: bool,
        partition: &Partition<'_>,
        context: &EvalContext,
    ) -> Result<Vec<usize>, EvalError> {
        let Some(key) = &self.key else { return Err(EvalError::unsupported("RANGE with an offset over several keys")) };
        let values: Vec<Value> =
            (0..partition.len()).map(|row| key.expr.eval(Tuple::single(partition.row(row)), context)).collect();
        let sub = preceding != key.descending;
        let less = is_head == key.descending;
        let mut at = 0;
        let mut edges = Vec::with_capacity(values.len());
        for current in &values {
            while let Some(value) = values.get(at) {
                let stops = match (value.is_null(), current.is_null()) {
                    (false, false) => in_range(value, current, amount, sub, less, context)? == is_head,
                    // NULLs are peers of each other, and beyond every offset from anything else.
                    (value, current) if is_head => {
                        if key.nulls_first {
                            !value || current
                        } else {
                            value || !current
                        }
                    }
                    (value, current) => {
                        if key.nulls_first {
                            !value
                        } else {
                            !current
                        }
                    }
                };
                if stops {
                    break;
                }
                at += 1;
            }
            edges.push(at);
        }
        Ok(edges)
    }
}
