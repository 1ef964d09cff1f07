//! Column pruning and fusing of projections.
//!
//! Columns nobody reads are not carried: scans list only what is needed, and a join's inputs are narrowed before they
//! are indexed. A bag stays the same bag when unread columns go, except under DISTINCT, which compares whole rows.
//! Two projections in a row become one where nothing is computed twice.

use super::certainty::is_sound_over;
use crate::expr::Expr;
use crate::plan::{AggregateCall, Join, JoinKind, Node, Plan, ProjectSet, SortKey, WindowCall};
use std::collections::BTreeSet;

pub fn prune(plan: Plan) -> Plan {
    let all = (0..plan.columns.len()).collect();
    let width = plan.columns.len();
    let (plan, place) = narrow(plan, &all);
    arrange(plan, (0..width).map(|column| place[column]).collect())
}

/// Old column → new column; meaningless for columns that were not asked for.
type Place = Vec<usize>;

/// A plan that yields at least the `needed` columns, and where they are.
fn narrow(plan: Plan, needed: &BTreeSet<usize>) -> (Plan, Place) {
    let width = plan.columns.len();
    match plan.node {
        Node::Scan { relation, columns } => {
            let kept: Vec<usize> = needed.iter().copied().collect();
            let node = Node::Scan { relation, columns: kept.iter().map(|column| columns[*column]).collect() };
            let columns = kept.iter().map(|column| plan.columns[*column].clone()).collect();
            (Plan { node, columns }, place_of(&kept, width))
        }
        Node::Values { rows } => {
            let kept: Vec<usize> = needed.iter().copied().collect();
            let rows = rows.iter().map(|row| kept.iter().map(|c| row[*c].clone()).collect()).collect();
            let columns = kept.iter().map(|column| plan.columns[*column].clone()).collect();
            (Plan { node: Node::Values { rows }, columns }, place_of(&kept, width))
        }
        Node::Filter { input, predicate } => {
            let (input, place) = narrow(*input, &with(needed, [&predicate]));
            let predicate = moved(&predicate, &place);
            let columns = input.columns.clone();
            (Plan { node: Node::Filter { input: Box::new(input), predicate }, columns }, place)
        }
        Node::Project { input, exprs } => {
            let kept: Vec<usize> = needed.iter().copied().collect();
            let exprs: Vec<Expr> = kept.iter().map(|column| exprs[*column].clone()).collect();
            let columns = kept.iter().map(|column| plan.columns[*column].clone()).collect();
            let (input, place) = narrow(*input, &with(&BTreeSet::new(), &exprs));
            let exprs = exprs.iter().map(|expr| moved(expr, &place)).collect();
            (fused(input, exprs, columns), place_of(&kept, width))
        }
        Node::Join(join) => narrow_join(*join, needed),
        Node::Aggregate { input, keys, aggregates } => {
            let kept: Vec<usize> =
                (0..width).filter(|column| *column < keys.len() || needed.contains(column)).collect();
            let aggregates: Vec<AggregateCall> =
                kept.iter().filter(|c| **c >= keys.len()).map(|c| aggregates[*c - keys.len()].clone()).collect();
            let read = keys.iter().chain(aggregates.iter().flat_map(AggregateCall::exprs));
            let (input, place) = narrow(*input, &with(&BTreeSet::new(), read));
            let keys = keys.iter().map(|key| moved(key, &place)).collect();
            let aggregates = aggregates.iter().map(|call| call.map(|expr| moved(expr, &place))).collect();
            let columns = kept.iter().map(|column| plan.columns[*column].clone()).collect();
            let node = over_projection(input, keys, aggregates);
            (Plan { node, columns }, place_of(&kept, width))
        }
        Node::Distinct { input } => {
            let input = prune(*input);
            let columns = input.columns.clone();
            (Plan { node: Node::Distinct { input: Box::new(input) }, columns }, (0..width).collect())
        }
        Node::Window { input, functions } => narrow_window(*input, functions, needed),
        Node::Sort { input, keys, limit, offset } => {
            let (input, place) = narrow(*input, &with(needed, keys.iter().map(|key| &key.expr)));
            let keys = keys.iter().map(|key| moved_key(key, &place)).collect();
            let columns = input.columns.clone();
            (Plan { node: Node::Sort { input: Box::new(input), keys, limit, offset }, columns }, place)
        }
        Node::ProjectSet(set) => narrow_set(*set, plan.columns, needed),
        Node::Repeat { input } => {
            let mut kept: Vec<usize> = needed.iter().copied().collect();
            let place = place_of(&kept, width);
            kept.push(width);
            let input = exactly(*input, &kept);
            let columns = input.columns[..kept.len() - 1].to_vec();
            (Plan { node: Node::Repeat { input: Box::new(input) }, columns }, place)
        }
        // Postgres computes all of them.
        Node::Fence { input } => {
            let all: Vec<usize> = (0..width).collect();
            let input = exactly(*input, &all);
            let columns = input.columns.clone();
            (Plan { node: Node::Fence { input: Box::new(input) }, columns }, place_of(&all, width))
        }
        Node::UnionAll { inputs } => {
            let kept: Vec<usize> = needed.iter().copied().collect();
            let inputs = inputs.into_iter().map(|input| exactly(input, &kept)).collect();
            let columns = kept.iter().map(|column| plan.columns[*column].clone()).collect();
            (Plan { node: Node::UnionAll { inputs }, columns }, place_of(&kept, width))
        }
    }
}

fn narrow_join(join: Join, needed: &BTreeSet<usize>) -> (Plan, Place) {
    let left_width = join.left.columns.len();
    let residual = with(&BTreeSet::new(), &join.residual);
    let mut left: BTreeSet<usize> = needed.iter().chain(&residual).copied().filter(|c| *c < left_width).collect();
    let mut right: BTreeSet<usize> =
        needed.iter().chain(&residual).filter(|c| **c >= left_width).map(|c| *c - left_width).collect();
    left = with(&left, join.equal.iter().map(|(l, _)| l));
    right = with(&right, join.equal.iter().map(|(_, r)| r));
    let total = left_width + join.right.columns.len();
    let (left, right): (Vec<usize>, Vec<usize>) = (left.into_iter().collect(), right.into_iter().collect());
    let left_place = place_of(&left, left_width);
    let right_place = place_of(&right, total - left_width);
    let place: Place = (0..total)
        .map(|c| if c < left_width { left_place[c] } else { left.len() + right_place[c - left_width] })
        .collect();
    let equal = join.equal.iter().map(|(l, r)| (moved(l, &left_place), moved(r, &right_place))).collect();
    let residual = join.residual.as_ref().map(|residual| moved(residual, &place));
    let (left, right) = (exactly(join.left, &left), exactly(join.right, &right));
    let columns = match join.kind {
        JoinKind::Semi | JoinKind::Anti => left.columns.clone(),
        _ => left.columns.iter().chain(&right.columns).cloned().collect(),
    };
    let node = Node::Join(Box::new(Join { kind: join.kind, left, right, equal, residual }));
    (Plan { node, columns }, place)
}

fn narrow_window(input: Plan, functions: Vec<WindowCall>, needed: &BTreeSet<usize>) -> (Plan, Place) {
    let width = input.columns.len();
    // What rows are sorted by is computed for a function that nobody reads, too.
    let sorts_surely = |call: &WindowCall| {
        let keys = call.partition.iter().chain(call.order.iter().map(|key| &key.expr));
        keys.into_iter().all(|key| is_sound_over(key, &input))
    };
    let is_kept = |i: &usize| needed.contains(&(width + i)) || !sorts_surely(&functions[*i]);
    let kept: Vec<usize> = (0..functions.len()).filter(is_kept).collect();
    let read: Vec<&Expr> = kept.iter().flat_map(|i| functions[*i].exprs()).collect();
    let below: BTreeSet<usize> = needed.iter().copied().filter(|column| *column < width).collect();
    let (input, mut place) = narrow(input, &with(&below, read));
    let new_width = input.columns.len();
    place.truncate(width);
    place.extend((0..functions.len()).map(|i| new_width + kept.iter().position(|k| *k == i).unwrap_or(0)));
    if kept.is_empty() {
        return (input, place);
    }
    let functions: Vec<WindowCall> = kept.iter().map(|i| functions[*i].map(|expr| moved(expr, &place))).collect();
    let columns = input.columns.iter().chain(functions.iter().map(|call| &call.output)).cloned().collect();
    (Plan { node: Node::Window { input: Box::new(input), functions }, columns }, place)
}

/// All calls stay: together they say how many rows there are.
fn narrow_set(set: ProjectSet, columns: Vec<crate::ColumnType>, needed: &BTreeSet<usize>) -> (Plan, Place) {
    let width = set.input.columns.len();
    let read = with(needed, set.calls.exprs());
    let (input, mut place) = narrow(set.input, &read.into_iter().filter(|column| *column < width).collect());
    let own = input.columns.len();
    place.truncate(width);
    place.extend((0..columns.len() - width).map(|at| own + at));
    let calls = set.calls.map(|expr| moved(expr, &place));
    let columns = input.columns.iter().cloned().chain(columns.into_iter().skip(width)).collect();
    let set = ProjectSet { input, calls };
    (Plan { node: Node::ProjectSet(Box::new(set)), columns }, place)
}

/// The plan narrowed to exactly these columns in this order.
fn exactly(plan: Plan, kept: &[usize]) -> Plan {
    let (plan, place) = narrow(plan, &kept.iter().copied().collect());
    arrange(plan, kept.iter().map(|column| place[*column]).collect())
}

fn arrange(plan: Plan, order: Vec<usize>) -> Plan {
    let columns = order.iter().map(|column| plan.columns[*column].clone()).collect();
    fused(plan, order.into_iter().map(Expr::Column).collect(), columns)
}

/// A projection of `input`, put into one that is already there where no computed column is used twice.
fn fused(input: Plan, exprs: Vec<Expr>, columns: Vec<crate::ColumnType>) -> Plan {
    let identity = exprs.len() == input.columns.len()
        && exprs.iter().enumerate().all(|(index, expr)| *expr == Expr::Column(index));
    if identity {
        return Plan { node: input.node, columns };
    }
    let Node::Project { input: below, exprs: inner } = input.node else {
        return Plan { node: Node::Project { input: Box::new(input), exprs }, columns };
    };
    let mut uses = vec![0usize; inner.len()];
    for expr in &exprs {
        expr.visit(&mut |part| {
            if let Expr::Column(column) = part {
                uses[*column] += 1;
            }
        });
    }
    let is_cheap = |expr: &Expr| matches!(expr, Expr::Column(_) | Expr::Const(_) | Expr::Param(_));
    if uses.iter().zip(&inner).any(|(uses, expr)| *uses > 1 && !is_cheap(expr)) {
        let input = Plan { node: Node::Project { input: below, exprs: inner }, columns: input.columns };
        return Plan { node: Node::Project { input: Box::new(input), exprs }, columns };
    }
    let exprs: Vec<Expr> = exprs
        .iter()
        .map(|expr| {
            expr.replace(&mut |part| match part {
                Expr::Column(column) => Some(inner[*column].clone()),
                _ => None,
            })
        })
        .collect();
    fused(*below, exprs, columns)
}

/// An aggregate that reads what a projection of plain columns would have passed on.
fn over_projection(input: Plan, keys: Vec<Expr>, aggregates: Vec<AggregateCall>) -> Node {
    let Node::Project { input: below, exprs } = &input.node else {
        return Node::Aggregate { input: Box::new(input), keys, aggregates };
    };
    if !exprs.iter().all(|expr| matches!(expr, Expr::Column(_))) {
        return Node::Aggregate { input: Box::new(input), keys, aggregates };
    }
    let through = |expr: &Expr| {
        expr.replace(&mut |part| match part {
            Expr::Column(column) => Some(exprs[*column].clone()),
            _ => None,
        })
    };
    let keys = keys.iter().map(through).collect();
    let aggregates = aggregates.iter().map(|call| call.map(through)).collect();
    Node::Aggregate { input: below.clone(), keys, aggregates }
}

fn with<'a>(needed: &BTreeSet<usize>, exprs: impl IntoIterator<Item = &'a Expr>) -> BTreeSet<usize> {
    needed.iter().copied().chain(exprs.into_iter().flat_map(Expr::columns)).collect()
}

fn place_of(kept: &[usize], width: usize) -> Place {
    let mut place = vec![0; width];
    for (new, old) in kept.iter().enumerate() {
        place[*old] = new;
    }
    place
}

fn moved(expr: &Expr, place: &[usize]) -> Expr {
    expr.map_columns(&mut |column| place[column])
}

fn moved_key(key: &SortKey, place: &[usize]) -> SortKey {
    SortKey { expr: moved(&key.expr, place), ..key.clone() }
}
