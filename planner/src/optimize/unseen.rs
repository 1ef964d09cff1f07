//! Errors that Postgres raises though the rows that carry them go unseen.
//!
//! Postgres pulls a plain subquery up and computes its columns where they are read, so a row that is dropped before takes
//! its errors along. A subquery that groups, orders with a limit, or evaluates window functions is executed as it stands: its
//! columns are computed whatever becomes of the rows. The same holds of the branches of a UNION ALL below a join, and of
//! expressions on an outer join's optional side that are not NULL by themselves where nothing matches.

use super::certainty::{Certainty, Relations};
use super::safety::{cannot_fail, is_null_when};
use crate::expr::Expr;
use crate::plan::{Node, Plan, WindowKind};

/// What drops rows of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropper {
    /// `optional`: of this side, rows of NULLs are put where nothing matches.
    Join {
        optional: bool,
    },
    Limit,
    /// A filter, a grouping that reads some columns, a set of no rows.
    Other,
}

/// By column of the plan: Postgres may raise an error of it for rows that are dropped.
pub fn unseen(plan: &Plan, dropper: Dropper, relations: &dyn Relations) -> Vec<bool> {
    let certainty = Certainty { relations };
    let mut raised = raised(plan, relations);
    if dropper != Dropper::Other {
        raised
            .iter_mut()
            .enumerate()
            .for_each(|(column, raised)| *raised |= is_computed(plan, column, dropper, &certainty));
    }
    raised
}

/// By column of the plan: an error of it is raised by everything that reads some of the plan's rows. What is counted where
/// rows are dropped inside the plan ([`unseen`]) is not told again.
pub fn raised(plan: &Plan, relations: &dyn Relations) -> Vec<bool> {
    let certainty = Certainty { relations };
    let none = || vec![false; plan.columns.len()];
    match &plan.node {
        Node::Scan { relation, columns } => match relations.raised(*relation) {
            None => none(),
            Some(raised) => columns.iter().map(|column| raised.get(*column).is_none_or(|raised| *raised)).collect(),
        },
        Node::Values { rows } => {
            (0..plan.columns.len()).map(|column| !rows.iter().all(|row| cannot_fail(&row[column]))).collect()
        }
        Node::Sort { input, limit: None, offset: None, .. } | Node::Distinct { input } => raised(input, relations),
        // The last column is how often the row is repeated.
        Node::Repeat { input } => raised(input, relations)[..plan.columns.len()].to_vec(),
        Node::Filter { .. } | Node::Sort { .. } | Node::Join(_) | Node::ProjectSet(_) => none(),
        Node::Project { input, exprs } => {
            let below = raised(input, relations);
            let of_expr = |expr: &Expr| match expr {
                Expr::Column(column) => below[*column],
                expr => is_executed_apart(input) && !certainty.of_expr(expr, input),
            };
            exprs.iter().map(of_expr).collect()
        }
        Node::Aggregate { input, keys, aggregates } => {
            let calls = aggregates.iter().map(|call| !certainty.of_call(call, input));
            std::iter::repeat_n(false, keys.len()).chain(calls).collect()
        }
        Node::Window { input, functions } => {
            let is_number = |kind: &WindowKind| {
                use WindowKind::*;
                matches!(kind, RowNumber | Rank | DenseRank | PercentRank | CumeDist)
            };
            let functions = functions.iter().map(|call| !is_number(&call.kind));
            // What is sorted for them is computed before.
            let below = raised(input, relations).into_iter().enumerate();
            let below = below.map(|(column, raised)| raised || is_computed(input, column, Dropper::Limit, &certainty));
            below.chain(functions).collect()
        }
        Node::Fence { input } => {
            let below = raised(input, relations).into_iter().enumerate();
            below.map(|(column, raised)| raised || is_computed(input, column, Dropper::Limit, &certainty)).collect()
        }
        Node::UnionAll { inputs } => {
            let mut any = none();
            for input in inputs {
                any.iter_mut().zip(raised(input, relations)).for_each(|(any, raised)| *any |= raised);
            }
            any
        }
    }
}

/// Postgres does not merge this with the query around it.
pub fn is_executed_apart(plan: &Plan) -> bool {
    match &plan.node {
        Node::Filter { input, .. } | Node::Project { input, .. } => is_executed_apart(input),
        Node::Sort { input, limit, offset, .. } => limit.is_some() || offset.is_some() || is_executed_apart(input),
        Node::Aggregate { .. }
        | Node::Distinct { .. }
        | Node::Window { .. }
        | Node::Repeat { .. }
        | Node::ProjectSet(_) => true,
        // What is over a fence is the query's that names it.
        Node::Scan { .. } | Node::Values { .. } | Node::Join(_) | Node::UnionAll { .. } | Node::Fence { .. } => false,
    }
}

/// The column is an expression that may fail and that Postgres computes before this dropper.
fn is_computed(plan: &Plan, column: usize, dropper: Dropper, certainty: &Certainty<'_>) -> bool {
    match &plan.node {
        Node::Filter { input, .. } | Node::Sort { input, limit: None, offset: None, .. } => {
            is_computed(input, column, dropper, certainty)
        }
        Node::Project { input, exprs } => match &exprs[column] {
            Expr::Column(below) => is_computed(input, *below, dropper, certainty),
            expr => {
                let computed = match dropper {
                    Dropper::Limit => true,
                    Dropper::Join { optional } => optional && !is_null_when(expr, &|_| true),
                    Dropper::Other => false,
                };
                computed && !certainty.of_expr(expr, input)
            }
        },
        Node::UnionAll { inputs } => inputs.iter().any(|input| is_computed(input, column, Dropper::Limit, certainty)),
        _ => false,
    }
}
