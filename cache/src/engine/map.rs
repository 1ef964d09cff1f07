//! Operators that look at one row at a time and keep nothing: filter, watch for errors, projection, union all, constants.

use super::graph::NodeId;
use super::operator::{Batch, Operator, Output, StepContext, evaluate_row, is_consolidated, rows};
use crate::Delta;
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::{Expr, Row, Value};

/// Rows whose predicate is true. A failing predicate leaves the row undecided.
pub(crate) struct Filter {
    pub predicate: Expr,
}

impl Filter {
    #[inline]
    fn passes(&self, row: &Row, context: &EvalContext) -> Option<bool> {
        passes(&self.predicate, row, context)
    }
}

/// True: the row passes; false: it is dropped; None: undecided.
#[inline]
pub(super) fn passes(condition: &Expr, row: &[Value], context: &EvalContext) -> Option<bool> {
    match &*condition.eval_ref(Tuple::single(row), context) {
        Value::Bool(pass) => Some(*pass),
        Value::Error(_) => None,
        _ => Some(false),
    }
}

impl Operator for Filter {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        out.consolidated = is_consolidated(&inputs[0]);
        for batch in &inputs[0] {
            if batch.pass {
                out.rows.extend_from_slice(&batch.rows);
                continue;
            }
            for (row, weight) in &batch.rows {
                match self.passes(row, context.eval) {
                    Some(true) => out.rows.push((row.clone(), *weight)),
                    Some(false) => {}
                    None => out.errors += weight,
                }
            }
        }
    }

    fn condition(&self) -> Option<&Expr> {
        Some(&self.predicate)
    }

    fn select(&self, rows: &Delta, context: &EvalContext, into: &mut Delta) -> bool {
        let mut pass = true;
        for (row, weight) in rows {
            let passes = self.passes(row, context);
            pass &= passes.is_some();
            if passes != Some(false) {
                into.push((row.clone(), *weight));
            }
        }
        pass
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        let mut errors = 0;
        context.graph.content(inputs[0], &mut |row, weight| match self.passes(row, context.eval) {
            Some(true) => f(row, weight),
            Some(false) => {}
            None => errors += weight,
        });
        errors
    }
}

/// All rows, where those above are dropped though Postgres raises the errors that they carry: a row with such an error in one
/// of these columns leaves undecided whether there is an answer at all. A value that is one of several is no such error.
pub(crate) struct Raised {
    pub columns: Vec<usize>,
}

impl Raised {
    #[inline]
    fn is_raised(&self, row: &Row) -> bool {
        self.columns.iter().any(|&column| matches!(&row[column], Value::Error(error) if error.may_be_raised()))
    }
}

impl Operator for Raised {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], _context: &StepContext<'_>, out: &mut Output) {
        out.consolidated = is_consolidated(&inputs[0]);
        for (row, weight) in rows(&inputs[0]) {
            if self.is_raised(row) {
                out.errors += weight;
            }
            out.rows.push((row.clone(), weight));
        }
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        let mut errors = 0;
        context.graph.content(inputs[0], &mut |row, weight| {
            if self.is_raised(row) {
                errors += weight;
            }
            f(row, weight);
        });
        errors
    }
}

/// One output row per input row. A failing expression is an error value in its column.
pub(crate) struct Map {
    pub exprs: Vec<Expr>,
}

impl Operator for Map {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], context: &StepContext<'_>, out: &mut Output) {
        for (row, weight) in rows(&inputs[0]) {
            out.push(evaluate_row(&self.exprs, Tuple::single(row), context.eval), weight);
        }
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        context.graph.content(inputs[0], &mut |row, weight| {
            f(&evaluate_row(&self.exprs, Tuple::single(row), context.eval), weight);
        });
        0
    }
}

/// All rows of all inputs.
pub(crate) struct Union;

impl Operator for Union {
    fn step(&mut self, inputs: &[Vec<Arc<Batch>>], _context: &StepContext<'_>, out: &mut Output) {
        for input in inputs {
            out.rows.extend(rows(input).map(|(row, weight)| (row.clone(), weight)));
        }
    }

    fn content(&self, inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for &input in inputs {
            context.graph.content(input, f);
        }
        0
    }
}

/// A constant bag.
pub(crate) struct Values {
    pub rows: Vec<Vec<Expr>>,
}

impl Operator for Values {
    fn step(&mut self, _inputs: &[Vec<Arc<Batch>>], _context: &StepContext<'_>, _out: &mut Output) {}

    fn content(&self, _inputs: &[NodeId], context: &StepContext<'_>, f: &mut dyn FnMut(&Row, i64)) -> i64 {
        for row in &self.rows {
            f(&evaluate_row(row, Tuple::single(&[]), context.eval), 1);
        }
        0
    }
}
