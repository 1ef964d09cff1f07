//! Rows as often as their last column says: what INTERSECT ALL and EXCEPT ALL leave of each row.

use super::graph::NodeId;
use super::operator::{Batch, Operator, Output, StepContext, rows};
use std::sync::Arc;
use weir_planner::{Row, Value};

/// Drops the last of `width` columns, a bigint, and multiplies the row's weight by it.
pub(crate) struct Repeat {
    pub width: usize,
}

impl Repeat {
    /// The row and its factor; none for a count below one, which is no row, and for a failed one, which is undecided.
    fn repeated(&self, row: &Row) -> Result<Option<(Row, i64)>, ()> {
        match &row[self.width - 1] {
            Value::Int8(count) if *count > 0 => Ok(Some((row[..self.width - 1].into(), *count))),
            Value::Error(_) => Err(()),
            _ => Ok(None),
        }
    }
}

impl Operator for Repeat {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], _context: &StepContext<'_>, out: &mut Output) {
        for (row, weight) in rows(&inputs[0]) {
            match self.repeated(row) {
                Ok(Some((row, count))) => out.rows.push((row, weight * count)),
                Ok(None) => {}
                Err(()) => out.errors += weight,
            }
        }
        // A row whose count has changed comes as its old and its new count.
        crate::delta::consolidate(&mut out.rows);
        out.consolidated = true;
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        let mut errors = 0;
        context.graph.content(inputs[0], &mut |row, weight| match self.repeated(row) {
            Ok(Some((row, count))) => f(&row, weight * count),
            Ok(None) => {}
            Err(()) => errors += weight,
        });
        errors
    }
}
