//! Outer joins that do not read what set functions return come before these. A condition that may fail over such a join (with
//! a subquery in it) is asked by Postgres before the functions in FROM are called, which may return no row that goes on.

use crate::expr::Expr;
use crate::plan::{Join, JoinKind, Node, Plan, ProjectSet};

/// A left join over set functions as set functions over that join; everything else as it is.
pub(super) fn joined_below(plan: Plan) -> Plan {
    let Plan { node: Node::Join(mut join), columns } = plan else { return plan };
    if join.kind != JoinKind::Left {
        return Plan { node: Node::Join(join), columns };
    }
    join.left = joined_below(join.left);
    let Some(chosen) = chosen(&join.left).filter(|chosen| !reads_sets(&join, chosen)) else {
        return Plan { node: Node::Join(join), columns };
    };
    let (set, of_sets) = match join.left {
        Plan { node: Node::ProjectSet(set), columns } => (*set, columns),
        Plan { node: Node::Project { input, .. }, .. } => match *input {
            Plan { node: Node::ProjectSet(set), columns } => (*set, columns),
            _ => unreachable!("its columns were chosen"),
        },
        _ => unreachable!("its columns were chosen"),
    };
    let (width, left, right) = (set.input.columns.len(), chosen.len(), join.right.columns.len());
    let ProjectSet { input, mut calls } = set;
    let mut below = input.columns.clone();
    below.extend_from_slice(&join.right.columns);
    let on_left = |expr: &Expr| expr.map_columns(&mut |column| chosen[column]);
    let on_both =
        |expr: Expr| expr.map_columns(&mut |column| if column < left { chosen[column] } else { column - left + width });
    let join = Join {
        kind: JoinKind::Left,
        left: input,
        right: join.right,
        equal: join.equal.into_iter().map(|(of_left, of_right)| (on_left(&of_left), of_right)).collect(),
        residual: join.residual.map(on_both),
    };
    // What the functions return stands behind the join's right side now.
    let shifted = |column: usize| if column < width { column } else { column + right };
    calls.left = calls.left.map(|condition| condition.map_columns(&mut |column| shifted(column)));
    let exprs = chosen.iter().map(|column| shifted(*column)).chain(width..width + right).map(Expr::Column).collect();
    let sets = Plan {
        columns: below.iter().chain(&of_sets[width..]).cloned().collect(),
        node: Node::ProjectSet(Box::new(ProjectSet {
            input: Plan { node: Node::Join(Box::new(join)), columns: below },
            calls,
        })),
    };
    Plan { node: Node::Project { input: Box::new(sets), exprs }, columns }
}

/// Set functions over an input, or some of the columns of such: which.
fn chosen(plan: &Plan) -> Option<Vec<usize>> {
    match &plan.node {
        Node::ProjectSet(_) => Some((0..plan.columns.len()).collect()),
        Node::Project { input, exprs } if matches!(input.node, Node::ProjectSet(_)) => exprs
            .iter()
            .map(|expr| match expr {
                Expr::Column(column) => Some(*column),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

/// What is joined depends on what the functions return.
fn reads_sets(join: &Join, chosen: &[usize]) -> bool {
    let set = match &join.left.node {
        Node::Project { input, .. } => &input.node,
        node => node,
    };
    let Node::ProjectSet(set) = set else { return true };
    let width = set.input.columns.len();
    let reads = |expr: &Expr| expr.columns().iter().any(|column| chosen.get(*column).is_some_and(|c| *c >= width));
    join.equal.iter().any(|(left, _)| reads(left)) || join.residual.as_ref().is_some_and(reads)
}
