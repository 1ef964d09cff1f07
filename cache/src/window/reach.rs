//! How far a change of one row reaches: which other rows of its partition may get another value from a call.

use super::functions::PreparedCall;
use super::range_frame::{Edge, Frame};
use crate::aggregate::Accumulator;
use weir_planner::eval::EvalContext;
use weir_planner::plan::{FrameMode, WindowKind};
use weir_planner::{Expr, Value};

/// Offsets beyond this many rows are taken for the whole partition: nothing is won by less.
const FAR_ROWS: i64 = 1 << 20;

/// In rows, counted from the peers of the changed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// So many rows before and behind.
    Near { before: usize, behind: usize },
    /// The rows whose frames, counted in values of the sort key, hold it: [`PreparedCall::is_ahead_of_frame`] and
    /// [`PreparedCall::is_behind_frame`] tell.
    Keys,
    /// Every row behind: the value follows from a state that grows from row to row.
    Running,
    /// Any row.
    Partition,
}

impl PreparedCall {
    /// Whether `row` lies before the first row of the frame of `current`. None: an offset cannot be added to its key.
    pub(crate) fn is_ahead_of_frame(&self, current: &[Value], row: &[Value], context: &EvalContext) -> Option<bool> {
        self.frame().holds(true, current, row, context).map(|holds| !holds)
    }

    /// Whether `row` lies behind the last row of the frame of `current`.
    pub(crate) fn is_behind_frame(&self, current: &[Value], row: &[Value], context: &EvalContext) -> Option<bool> {
        self.frame().holds(false, current, row, context).map(|holds| !holds)
    }

    pub(crate) fn reach(&self) -> Reach {
        let (call, frame) = (self.call(), self.frame());
        match call.kind {
            WindowKind::Lag => offset(&call.args).map_or(Reach::Partition, |by| near(by.min(0).abs(), by.max(0))),
            WindowKind::Lead => offset(&call.args).map_or(Reach::Partition, |by| near(by.max(0), by.min(0).abs())),
            WindowKind::FirstValue | WindowKind::LastValue | WindowKind::NthValue => of_rows(frame),
            WindowKind::Aggregate(kind) => {
                let grows = frame.start == Edge::Unbounded && frame.end == Edge::CurrentRow;
                if grows && Accumulator::is_small(kind) { Reach::Running } else { of_rows(frame) }
            }
            _ => Reach::Partition,
        }
    }
}

/// `lag` and `lead` by a constant.
fn offset(args: &[Expr]) -> Option<i64> {
    match args.get(1) {
        None => Some(1),
        Some(Expr::Const(Value::Int4(by))) => Some(i64::from(*by)),
        Some(_) => None,
    }
}

/// A row sees as far back as a change reaches forward, and the other way round.
fn near(before: i64, behind: i64) -> Reach {
    if before > FAR_ROWS || behind > FAR_ROWS {
        return Reach::Partition;
    }
    Reach::Near { before: before as usize, behind: behind as usize }
}

/// Frames whose edges are counted in rows, or are the current row.
fn of_rows(frame: &Frame) -> Reach {
    let edge = |edge: &Edge| match edge {
        Edge::CurrentRow => Some(0),
        Edge::Offset { amount: Value::Int8(amount), preceding } if frame.mode == FrameMode::Rows => {
            Some(if *preceding { amount.saturating_neg() } else { *amount })
        }
        _ => None,
    };
    if frame.counts_in_keys() {
        return Reach::Keys;
    }
    match (edge(&frame.start), edge(&frame.end)) {
        // An empty frame, its end before its start, is looked at like another.
        (Some(start), Some(end)) => near(end.max(start).max(0), start.min(end).min(0).saturating_neg()),
        _ => Reach::Partition,
    }
}
