//! Set-returning functions of a row's own values: each input row becomes as many as they return.

use super::graph::NodeId;
use super::operator::{Batch, Operator, Output, StepContext, rows};
use std::sync::Arc;
use weir_planner::Row;
use weir_planner::eval::{EvalContext, set_rows};
use weir_planner::plan::SetCalls;

/// The first `width` values of a row, then what the functions give for it. A failing one leaves it undecided which rows
/// there are.
pub(crate) struct ProjectSet {
    pub calls: SetCalls,
    pub width: usize,
}

impl ProjectSet {
    /// Calls `f` with each row; false when that failed.
    fn expand(&self, row: &Row, context: &EvalContext, f: &mut dyn FnMut(Row)) -> bool {
        let row = &row[..self.width];
        match set_rows(&self.calls, row, context) {
            Ok(added) => {
                added.into_iter().for_each(|added| f(row.iter().cloned().chain(added).collect()));
                true
            }
            Err(_) => false,
        }
    }
}

impl Operator for ProjectSet {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        for (row, weight) in rows(&inputs[0]) {
            if !self.expand(row, context.eval, &mut |row| out.rows.push((row, weight))) {
                out.errors += weight;
            }
        }
        // A changed row comes as what the functions gave for the old one and give for the new one: much of it the same.
        crate::delta::consolidate(&mut out.rows);
        out.consolidated = true;
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        let mut errors = 0;
        context.graph.content(inputs[0], &mut |row, weight| {
            if !self.expand(row, context.eval, &mut |row| f(&row, weight)) {
                errors += weight;
            }
        });
        errors
    }
}
