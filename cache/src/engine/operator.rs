//! What an operator is to the graph: it turns input deltas into an output delta, and can enumerate its present output.

use super::graph::{Graph, NodeId};
use crate::Delta;
use crate::clock::ClockSpan;
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::{Expr, Row, Value};

/// A delta on its way from a producer to its consumers, shared by all of them.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub rows: Delta,
    /// No row appears twice and no weight is zero.
    pub consolidated: bool,
    /// Every row is known to pass the filter that is its only reader.
    pub pass: bool,
}

/// What a step reads besides its input deltas.
pub(crate) struct StepContext<'a> {
    pub graph: &'a Graph,
    pub eval: &'a EvalContext,
}

/// What a step produces.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub rows: Delta,
    /// Change in the number of rows whose *existence* could not be decided here (rule in [`super`]).
    pub errors: i64,
    /// Set by operators that never emit a row twice.
    pub consolidated: bool,
}

impl Output {
    /// Emits a row. A row that directly follows its own opposite cancels at once: the common case of an update
    /// whose change does not reach this operator's output.
    #[inline]
    pub fn push(&mut self, row: Row, weight: i64) {
        if let Some((last, last_weight)) = self.rows.last()
            && *last_weight == -weight
            && *last == row
        {
            self.rows.pop();
            return;
        }
        self.rows.push((row, weight));
    }
}

/// An operator with its state. Single-threaded; a panic in `step` costs the node and all that depend on it.
pub(crate) trait Operator: Send {
    /// Input deltas, per port, as lists of batches in the order they came. Arrangements of the inputs are already at
    /// the state after those deltas.
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output);

    /// Calls `f` with every row of the present output, possibly in pieces of one row. Returns the number of rows
    /// whose existence is undecided at this node. Stateless operators derive it from their inputs' content.
    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64;

    /// The condition of an operator that looks at each row alone and does nothing at all about those for which it is surely
    /// not true: [`Operator::select`] says which.
    fn condition(&self) -> Option<&Expr> {
        None
    }

    /// Appends those of the rows that are of consequence here; true when each of them is known to pass.
    fn select(&self, rows: &Delta, _context: &EvalContext, into: &mut Delta) -> bool {
        into.extend_from_slice(rows);
        false
    }

    /// True when the operator keeps what it needs of its input; a backfill must then run the input through `step`.
    fn is_stateful(&self) -> bool {
        false
    }

    /// Tells the operator that its output is what some view publishes, and is these rows (None: no longer): they are
    /// held by the snapshot, so that keeping them costs a pointer each.
    fn set_published(&mut self, _rows: Option<&Delta>) {}

    /// The clock's values for which its output is what it was after the last step; None: the clock does not matter.
    fn clock_span(&self) -> Option<ClockSpan> {
        None
    }

    /// Bytes of state.
    fn bytes(&self) -> usize {
        0
    }
}

/// All rows of a port, in order.
pub(crate) fn rows(batches: &[Arc<Batch>]) -> impl Iterator<Item = (&Row, i64)> {
    batches.iter().flat_map(|batch| batch.rows.iter().map(|(row, weight)| (row, *weight)))
}

/// How many they are.
pub(crate) fn count(batches: &[Arc<Batch>]) -> usize {
    batches.iter().map(|batch| batch.rows.len()).sum()
}

/// True when the port's input, taken together, is consolidated.
pub(crate) fn is_consolidated(batches: &[Arc<Batch>]) -> bool {
    match batches {
        [] => true,
        [one] => one.consolidated,
        _ => false,
    }
}

/// Evaluates an expression; plain columns are copied without a call.
#[inline]
pub(crate) fn evaluate(expr: &Expr, tuple: Tuple<'_>, context: &EvalContext) -> Value {
    match expr {
        Expr::Column(index) => tuple.get(*index).clone(),
        other => other.eval(tuple, context),
    }
}

/// A new row of these expressions, in one allocation.
#[inline]
pub(crate) fn evaluate_row(exprs: &[Expr], tuple: Tuple<'_>, context: &EvalContext) -> Row {
    exprs.iter().map(|expr| evaluate(expr, tuple, context)).collect()
}
