//! From a logical plan to the physical one: done once per statement.

use super::ReadError;
use super::comparison::comparison;
use super::op::{Join, Lazy, Op, Scan, Sort};
use super::rewrite::{column_range, conjuncts, shift, shift_down, size, substitute};
use weir_planner::plan::{AggregateCall, JoinKind, Node, SortKey, WindowCall};
use weir_planner::types::oid;
use weir_planner::{Collation, Expr, Plan};

/// Expressions folded into their users may grow to this many nodes; beyond, they are evaluated once and kept.
const FOLDED_NODES: usize = 64;

pub(super) fn compile(plan: &Plan) -> Result<Lazy, ReadError> {
    Ok(match &plan.node {
        Node::Scan { relation, columns } => {
            let width = columns.iter().max().map_or(0, |greatest| greatest + 1);
            let scan = Scan { relation: *relation, width, filters: Vec::new(), comparisons: Vec::new() };
            Lazy { op: Op::Scan(scan), outputs: columns.iter().map(|&column| Expr::Column(column)).collect() }
        }
        Node::Values { rows } => {
            Lazy { op: Op::Values(rows.clone()), outputs: (0..plan.columns.len()).map(Expr::Column).collect() }
        }
        Node::Filter { input, predicate } => {
            let Lazy { op, outputs } = compile(input)?;
            let predicate = substitute(predicate, &outputs);
            Lazy { op: filter(op, conjuncts(predicate)), outputs }
        }
        Node::Project { input, exprs } => {
            let Lazy { op, outputs } = compile(input)?;
            let folded: Vec<Expr> = exprs.iter().map(|expr| substitute(expr, &outputs)).collect();
            if folded.iter().map(size).sum::<usize>() <= FOLDED_NODES + folded.len() {
                return Ok(Lazy { op, outputs: folded });
            }
            let input = single(Lazy { op, outputs });
            Lazy { op: input, outputs: exprs.clone() }
        }
        Node::Join(join) => return compile_join(join),
        Node::Aggregate { input, keys, aggregates } => {
            let Lazy { op, outputs } = compile(input)?;
            let keys: Vec<Expr> = keys.iter().map(|key| substitute(key, &outputs)).collect();
            let aggregates: Vec<AggregateCall> = aggregates.iter().map(|call| over(call, &outputs)).collect();
            let width = keys.len() + aggregates.len();
            columns(Op::Aggregate { input: Box::new(op), keys, aggregates }, width)
        }
        Node::Distinct { input } => {
            let width = input.columns.len();
            columns(Op::Distinct { input: Box::new(compile_single(input)?), width }, width)
        }
        Node::Window { input, functions } => {
            functions.iter().try_for_each(|function| sortable(&function.order))?;
            let width = input.columns.len();
            let total = width + functions.len();
            let input = Box::new(compile_single(input)?);
            columns(Op::Window { input, width, functions: functions.iter().map(WindowCall::clone).collect() }, total)
        }
        Node::Sort { input, keys, limit, offset } => {
            sortable(keys)?;
            let Lazy { op, outputs } = compile(input)?;
            let keys = keys.iter().map(|key| SortKey { expr: substitute(&key.expr, &outputs), ..key.clone() });
            let width = outputs.len();
            let sort = Sort { input: op, keys: keys.collect(), outputs, limit: limit.clone(), offset: offset.clone() };
            columns(Op::Sort(Box::new(sort)), width)
        }
        Node::Repeat { input } => {
            let width = input.columns.len();
            columns(Op::Repeat { input: Box::new(compile_single(input)?), width }, width - 1)
        }
        Node::ProjectSet(set) => {
            let width = set.input.columns.len();
            let input = Box::new(compile_single(&set.input)?);
            columns(Op::ProjectSet { input, width, calls: set.calls.clone() }, width + set.calls.width())
        }
        Node::UnionAll { inputs } => {
            let ops = inputs.iter().map(compile_single).collect::<Result<Vec<Op>, ReadError>>()?;
            columns(Op::Union(ops), plan.columns.len())
        }
    })
}

/// As [`compile`], yielding single slices of exactly the plan's columns.
pub(super) fn compile_single(plan: &Plan) -> Result<Op, ReadError> {
    Ok(single(compile(plan)?))
}

fn columns(op: Op, width: usize) -> Lazy {
    Lazy { op, outputs: (0..width).map(Expr::Column).collect() }
}

/// An operator whose slices are the logical columns.
fn single(lazy: Lazy) -> Op {
    let is_plain = lazy.outputs.iter().enumerate().all(|(index, expr)| *expr == Expr::Column(index));
    if is_plain && width(&lazy.op) == Some(lazy.outputs.len()) {
        return lazy.op;
    }
    Op::Project { input: Box::new(lazy.op), exprs: lazy.outputs }
}

/// Width of the single slices an operator yields; None for pairs.
fn width(op: &Op) -> Option<usize> {
    match op {
        Op::Scan(scan) => Some(scan.width),
        Op::Values(rows) => rows.first().map(Vec::len),
        Op::Filter { input, .. } => width(input),
        Op::Project { exprs, .. } => Some(exprs.len()),
        Op::Join(join) => matches!(join.kind, JoinKind::Semi | JoinKind::Anti).then_some(join.left_width),
        Op::Aggregate { keys, aggregates, .. } => Some(keys.len() + aggregates.len()),
        Op::Distinct { width, .. } => Some(*width),
        Op::Window { width, functions, .. } => Some(width + functions.len()),
        Op::Sort(sort) => Some(sort.outputs.len()),
        Op::Union(inputs) => inputs.first().and_then(width),
        Op::Repeat { width, .. } => Some(*width - 1),
        Op::ProjectSet { width, calls, .. } => Some(*width + calls.width()),
    }
}

/// Puts conjuncts as deep as they go: into scans, and into the sides of joins that do not add NULLs to them.
fn filter(op: Op, parts: Vec<Expr>) -> Op {
    match op {
        Op::Scan(mut scan) => {
            for part in parts {
                scan.comparisons.extend(comparison(&part));
                scan.filters.push(part);
            }
            Op::Scan(scan)
        }
        Op::Join(mut join) => {
            let into_left = !matches!(join.kind, JoinKind::Right | JoinKind::Full);
            let into_right = matches!(join.kind, JoinKind::Inner | JoinKind::Right);
            let (mut left, mut right, mut rest) = (Vec::new(), Vec::new(), Vec::new());
            for part in parts {
                match column_range(&part) {
                    Some((_, high)) if high < join.left_width && into_left => left.push(part),
                    Some((low, _)) if low >= join.left_width && into_right => {
                        right.push(shift_down(&part, join.left_width));
                    }
                    _ => rest.push(part),
                }
            }
            if !left.is_empty() {
                join.left = filter(join.left, left);
            }
            if !right.is_empty() {
                join.right = filter(join.right, right);
            }
            remaining(Op::Join(join), rest)
        }
        Op::Project { input, exprs } => {
            let parts = parts.iter().map(|part| substitute(part, &exprs)).collect();
            Op::Project { input: Box::new(filter(*input, parts)), exprs }
        }
        other => remaining(other, parts),
    }
}

fn remaining(op: Op, mut parts: Vec<Expr>) -> Op {
    let predicate = match parts.len() {
        0 => return op,
        1 => parts.remove(0),
        _ => Expr::And(parts),
    };
    Op::Filter { input: Box::new(op), predicate }
}

fn compile_join(join: &weir_planner::plan::Join) -> Result<Lazy, ReadError> {
    let left_may_be_null = matches!(join.kind, JoinKind::Right | JoinKind::Full);
    let right_may_be_null = matches!(join.kind, JoinKind::Left | JoinKind::Full);
    let left = side(&join.left, left_may_be_null)?;
    let right = side(&join.right, right_may_be_null)?;
    let left_width = width(&left.op).expect("a join's side yields single slices");
    let right_width = width(&right.op).expect("a join's side yields single slices");
    let mut outputs = left.outputs.clone();
    outputs.extend(right.outputs.iter().map(|expr| shift(expr, left_width)));
    let residual = join.residual.as_ref().map(|residual| substitute(residual, &outputs));
    if matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
        outputs = left.outputs.clone();
    }
    let op = Join {
        kind: join.kind,
        left_keys: join.equal.iter().map(|(key, _)| substitute(key, &left.outputs)).collect(),
        right_keys: join.equal.iter().map(|(_, key)| substitute(key, &right.outputs)).collect(),
        left: left.op,
        left_width,
        right: right.op,
        right_width,
        residual,
    };
    Ok(Lazy { op: Op::Join(Box::new(op)), outputs })
}

/// One side of a join as single slices. Where the join puts NULLs in place of the side, its columns must be plain: an
/// expression over absent columns would not be NULL by itself.
fn side(plan: &Plan, may_be_null: bool) -> Result<Lazy, ReadError> {
    let lazy = compile(plan)?;
    let is_plain = lazy.outputs.iter().all(|expr| matches!(expr, Expr::Column(_)));
    if width(&lazy.op).is_some() && (is_plain || !may_be_null) {
        return Ok(lazy);
    }
    let width = lazy.outputs.len();
    Ok(columns(Op::Project { input: Box::new(lazy.op), exprs: lazy.outputs }, width))
}

fn over(call: &AggregateCall, outputs: &[Expr]) -> AggregateCall {
    call.map(|expr| substitute(expr, outputs))
}

/// Text in a collation whose order is not known cannot be sorted here.
fn sortable(keys: &[SortKey]) -> Result<(), ReadError> {
    let is_text = |kind: u32| matches!(kind, oid::TEXT | oid::VARCHAR | oid::BPCHAR | oid::NAME);
    match keys.iter().find(|key| key.kind.collation == Collation::Unordered && is_text(key.kind.oid)) {
        Some(_) => Err(ReadError::Unsupported("ORDER BY in a collation that is not bytewise".into())),
        None => Ok(()),
    }
}
