//! A tree of inner joins as a set of inputs and conditions, and back: inner joins may be done in any order.
//!
//! The order written is kept, except that an input is taken earlier when it can be looked up by an equality and the
//! next one written could not: `FROM a, b, c WHERE a.x = c.x AND c.y = b.y` is not a product of a and b.

use super::disjunction::{factored, implied};
use super::equality::{Side, side};
use super::pushdown::push;
use super::safety::{cannot_fail, may_move};
use super::{filter, split_equalities};
use crate::expr::Expr;
use crate::plan::{Join, JoinKind, Node, Plan};

/// An inner join each of whose equalities compares one input with another, so that it can be placed in any order.
pub(super) fn is_dissolvable(join: &Join) -> bool {
    let of_one = |expr: &Expr, widths: &[usize]| {
        let columns = expr.columns();
        let (Some(first), Some(last)) = (columns.first(), columns.last()) else { return false };
        let mut end = 0;
        widths.iter().any(|width| {
            let start = end;
            end += width;
            (start..end).contains(first) && (start..end).contains(last)
        })
    };
    join.kind == JoinKind::Inner && {
        let (left, right) = (input_widths(&join.left), input_widths(&join.right));
        join.equal.iter().all(|(l, r)| of_one(l, &left) && of_one(r, &right))
    }
}

/// Widths of the inputs that [`Region::add`] makes of a plan.
fn input_widths(plan: &Plan) -> Vec<usize> {
    match &plan.node {
        Node::Join(join) if is_dissolvable(join) => {
            let mut widths = input_widths(&join.left);
            widths.extend(input_widths(&join.right));
            widths
        }
        Node::Filter { input, .. } if matches!(&input.node, Node::Join(j) if is_dissolvable(j)) => input_widths(input),
        _ => vec![plan.columns.len()],
    }
}

/// Inputs side by side and what must hold of their joined row.
#[derive(Default)]
pub(super) struct Region {
    inputs: Vec<Plan>,
    /// Over the columns of all inputs in order.
    pairs: Vec<(Expr, Expr)>,
    pub conditions: Vec<Expr>,
    width: usize,
}

impl Region {
    /// Adds a plan to the right of those already there; inner joins are taken apart.
    pub fn add(&mut self, plan: Plan) {
        match plan.node {
            Node::Join(join) if is_dissolvable(&join) => {
                let Join { left, right, equal, residual, .. } = *join;
                let offset = self.width;
                let middle = offset + left.columns.len();
                self.add(left);
                self.add(right);
                for (left, right) in equal {
                    self.pairs.push((left.map_columns(&mut |c| c + offset), right.map_columns(&mut |c| c + middle)));
                }
                for condition in residual.map(Expr::into_conjuncts).unwrap_or_default() {
                    self.conditions.push(condition.map_columns(&mut |c| c + offset));
                }
            }
            Node::Filter { input, predicate } if matches!(&input.node, Node::Join(j) if is_dissolvable(j)) => {
                let offset = self.width;
                self.add(*input);
                let conditions = predicate.into_conjuncts();
                self.conditions.extend(conditions.into_iter().map(|c| c.map_columns(&mut |c| c + offset)));
            }
            node => {
                self.width += plan.columns.len();
                self.inputs.push(Plan { node, columns: plan.columns });
            }
        }
    }

    /// First column of each input.
    fn offsets(&self) -> Vec<usize> {
        let widths = self.inputs.iter().map(|input| input.columns.len());
        widths.scan(0, |at, width| Some(std::mem::replace(at, *at + width))).collect()
    }
}

/// The joins of a region as a left-deep tree whose columns stand as in the region.
pub(super) fn rebuild(mut region: Region) -> Plan {
    let offsets = region.offsets();
    let input_of = |column: usize| offsets.partition_point(|offset| *offset <= column) - 1;
    let inputs_of = |expr: &Expr| -> Vec<usize> {
        let mut inputs: Vec<usize> = expr.columns().into_iter().map(input_of).collect();
        inputs.dedup();
        inputs
    };
    // Conditions of one input go below; equalities between two become pairs; what may fail and is of several waits till the end.
    let mut own: Vec<Vec<Expr>> = vec![vec![]; region.inputs.len()];
    let mut last = Vec::new();
    let mut waiting = Vec::new();
    for condition in std::mem::take(&mut region.conditions).into_iter().flat_map(factored) {
        for input in inputs_of(&condition) {
            let range = offsets[input]..offsets[input] + region.inputs[input].columns.len();
            own[input].extend(implied(&condition, &range).map(|part| part.map_columns(&mut |c| c - range.start)));
        }
        match (inputs_of(&condition).as_slice(), cannot_fail(&condition)) {
            ([input], _) if may_move(&condition) => {
                own[*input].push(condition.map_columns(&mut |column| column - offsets[*input]));
            }
            ([_, _, ..], true) => waiting.push(condition),
            _ => last.push(condition),
        }
    }
    // An equality of columns of two inputs is found by splitting at the later one.
    let mut others = Vec::new();
    for condition in waiting {
        let inputs = inputs_of(&condition);
        let boundary = offsets[inputs[inputs.len() - 1]];
        match split_equalities(vec![condition.clone()], boundary).0.pop() {
            Some((left, right)) if inputs_of(&left).len() == 1 => {
                region.pairs.push((left, right.map_columns(&mut |column| column + boundary)));
            }
            _ => others.push(condition),
        }
    }
    let order = join_order(region.inputs.len(), &region.pairs, &inputs_of);
    let mut plans: Vec<Option<Plan>> =
        region.inputs.into_iter().zip(own).map(|(input, conditions)| Some(push(input, conditions))).collect();
    // Where the region's columns stand in the plan built so far.
    let mut place: Vec<Option<usize>> = vec![None; region.width];
    let mut pairs: Vec<Option<(Expr, Expr)>> = region.pairs.into_iter().map(Some).collect();
    let mut others: Vec<Option<Expr>> = others.into_iter().map(Some).collect();
    let mut built: Option<Plan> = None;
    for index in order {
        let Some(input) = plans[index].take() else { continue };
        let at = built.as_ref().map_or(0, |plan: &Plan| plan.columns.len());
        for column in 0..input.columns.len() {
            place[offsets[index] + column] = Some(at + column);
        }
        let Some(left) = built else {
            built = Some(input);
            continue;
        };
        let ready = |expr: &Expr| expr.columns().iter().all(|column| place[*column].is_some());
        let placed = |expr: &Expr| expr.map_columns(&mut |column| place[column].unwrap_or(column));
        let mut equal = Vec::new();
        for slot in &mut pairs {
            let Some((first, second)) = slot.as_ref().filter(|(a, b)| ready(a) && ready(b)) else { continue };
            let (first, second) = (placed(first), placed(second));
            let shift = |expr: &Expr| expr.map_columns(&mut |column| column - at);
            match (side(&first, at), side(&second, at)) {
                (Some(Side::Left), Some(Side::Right)) => equal.push((first.clone(), shift(&second))),
                (Some(Side::Right), Some(Side::Left)) => equal.push((second.clone(), shift(&first))),
                _ => continue,
            }
            *slot = None;
        }
        let mut residual = Vec::new();
        for slot in &mut others {
            if slot.as_ref().is_some_and(ready) {
                residual.extend(slot.take().map(|condition| placed(&condition)));
            }
        }
        let columns = left.columns.iter().chain(&input.columns).cloned().collect();
        let residual = Expr::conjunction(residual);
        let join = Join { kind: JoinKind::Inner, left, right: input, equal, residual };
        built = Some(Plan { node: Node::Join(Box::new(join)), columns });
    }
    let plan = built.unwrap_or_else(super::empty);
    let place: Vec<usize> = place.into_iter().enumerate().map(|(column, at)| at.unwrap_or(column)).collect();
    let last = last.iter().map(|condition| condition.map_columns(&mut |column| place[column])).collect();
    let plan = filter(plan, last);
    if place.iter().enumerate().all(|(column, at)| column == *at) {
        return plan;
    }
    let columns = place.iter().map(|at| plan.columns[*at].clone()).collect();
    let exprs = place.into_iter().map(Expr::Column).collect();
    Plan { node: Node::Project { input: Box::new(plan), exprs }, columns }
}

/// The order in which inputs are joined: as written, preferring those that an equality connects.
fn join_order(count: usize, pairs: &[(Expr, Expr)], inputs_of: &dyn Fn(&Expr) -> Vec<usize>) -> Vec<usize> {
    let pairs: Vec<(Vec<usize>, Vec<usize>)> = pairs.iter().map(|(a, b)| (inputs_of(a), inputs_of(b))).collect();
    let mut order: Vec<usize> = Vec::with_capacity(count);
    while order.len() < count {
        let open: Vec<usize> = (0..count).filter(|input| !order.contains(input)).collect();
        let connects = |input: &usize| {
            let reach = |inputs: &[usize]| inputs.iter().all(|i| order.contains(i));
            pairs.iter().any(|(a, b)| (a == &[*input] && reach(b)) || (b == &[*input] && reach(a)))
        };
        let next = open.iter().find(|input| connects(input)).or(open.first());
        order.extend(next.copied());
    }
    order
}
