//! What Postgres computes while it plans (`eval_const_expressions` in `clauses.c`): parts of expressions without columns. Their
//! errors are raised whether or not any row would have asked for them (`CASE WHEN n > 100 THEN 1 / 0 ELSE n END`).

use super::safety::cannot_fail;
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::plan::{Node, Plan};
use crate::temporal::reads_clock;
use crate::value::{EvalError, Value};

/// The largest such parts that may fail; their parameters are constants to Postgres, too. Parts that read settings are among them,
/// for the estimate of how many rows pass a condition computes them. Of a CASE whose branch is known, Postgres does not look at
/// the others; here they count.
pub fn computed_in_planning(plan: &Plan) -> Vec<Expr> {
    let mut found = vec![];
    constants(plan, &mut found);
    found
}

/// The error of a part that is the same whoever asks.
pub fn failure_in_planning(plan: &Plan) -> Option<EvalError> {
    let is_the_same_for_all = |part: &Expr| {
        let mut same = true;
        part.visit(&mut |part| {
            same &= match part {
                Expr::Call { function, .. } => function.settings.is_empty(),
                Expr::Param(_) | Expr::ViaText { .. } => false,
                _ => true,
            }
        });
        same
    };
    let parts = computed_in_planning(plan).into_iter().filter(is_the_same_for_all);
    parts
        .filter_map(|part| match part.eval(Tuple::single(&[]), &EvalContext::default()) {
            Value::Error(error) if error.may_be_raised() && !error.is_unsupported() => Some((*error).clone()),
            _ => None,
        })
        .next()
}

/// Collects the parts in `plan` and below. By column: what it is over every row, where Postgres may put that in the column's
/// place because it pulls subqueries up.
fn constants(plan: &Plan, found: &mut Vec<Expr>) -> Vec<Option<Expr>> {
    let mut inputs: Vec<Vec<Option<Expr>>> = plan.inputs().into_iter().map(|input| constants(input, found)).collect();
    let mut columns = match &plan.node {
        Node::Join(join) => {
            for (left, right) in &join.equal {
                collect(&shown(left, &inputs[0]), found);
                collect(&shown(right, &inputs[1]), found);
            }
            let both = inputs.concat();
            join.residual.iter().for_each(|condition| collect(&shown(condition, &both), found));
            both
        }
        Node::UnionAll { .. } | Node::Scan { .. } => vec![],
        node => {
            let input = inputs.pop().unwrap_or_default();
            let exprs: Vec<Expr> = exprs(node).into_iter().map(|expr| shown(expr, &input)).collect();
            exprs.iter().for_each(|expr| collect(expr, found));
            let known =
                |count: usize| exprs.iter().take(count).map(|expr| is_constant(expr).then(|| expr.clone())).collect();
            match node {
                Node::Project { exprs, .. } => known(exprs.len()),
                Node::Aggregate { keys, .. } => known(keys.len()),
                Node::Values { rows } if rows.len() == 1 => known(rows[0].len()),
                Node::Values { .. } | Node::Distinct { .. } => vec![],
                _ => input,
            }
        }
    };
    columns.resize(plan.columns.len(), None);
    columns
}

/// What the node computes over its one input's rows; of the keys of a grouping, the keys first.
fn exprs(node: &Node) -> Vec<&Expr> {
    match node {
        Node::Values { rows } => rows.iter().flatten().collect(),
        Node::Filter { predicate, .. } => vec![predicate],
        Node::Project { exprs, .. } => exprs.iter().collect(),
        Node::Aggregate { keys, aggregates, .. } => {
            keys.iter().chain(aggregates.iter().flat_map(|call| call.exprs())).collect()
        }
        Node::Window { functions, .. } => functions.iter().flat_map(|call| call.exprs()).collect(),
        Node::Sort { keys, limit, offset, .. } => keys.iter().map(|key| &key.expr).chain(limit).chain(offset).collect(),
        Node::ProjectSet(set) => set.calls.exprs().collect(),
        Node::Scan { .. }
        | Node::Join(_)
        | Node::Distinct { .. }
        | Node::UnionAll { .. }
        | Node::Repeat { .. }
        | Node::Fence { .. } => vec![],
    }
}

fn shown(expr: &Expr, columns: &[Option<Expr>]) -> Expr {
    expr.replace(&mut |part| match part {
        Expr::Column(column) => columns.get(*column).cloned().flatten(),
        _ => None,
    })
}

fn is_constant(expr: &Expr) -> bool {
    expr.columns().is_empty() && !reads_clock(expr)
}

fn collect(expr: &Expr, found: &mut Vec<Expr>) {
    if !is_constant(expr) {
        expr.children().into_iter().for_each(|child| collect(child, found));
    } else if !cannot_fail(expr) && !found.contains(expr) {
        found.push(expr.clone());
    }
}
