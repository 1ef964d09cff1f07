//! From a logical plan to the physical one: done once per statement.

use super::ReadError;
use super::op::{Join, Lazy, Op, Scan, Sort};
use super::proof::Proof;
use super::rewrite::{column_range, conjuncts, shift, shift_down, size, substitute};
use weir_planner::optimize::{as_asked, is_certain, is_executed_apart};
use weir_planner::plan::{AggregateCall, JoinKind, Node, SortKey, WindowCall};
use weir_planner::types::oid;
use weir_planner::{Collation, Expr, Plan};

/// Expressions folded into their users may grow to this many nodes; beyond, they are evaluated once and kept.
const FOLDED_NODES: usize = 64;

pub(super) fn compile(plan: &Plan) -> Result<Lazy, ReadError> {
    Ok(match &plan.node {
        Node::Scan { relation, columns } => {
            let width = columns.iter().max().map_or(0, |greatest| greatest + 1);
            let scan = Scan::new(*relation, width);
            Lazy { op: Op::Scan(scan), outputs: columns.iter().map(|&column| Expr::Column(column)).collect() }
        }
        Node::Values { rows } => {
            Lazy { op: Op::Values(rows.clone()), outputs: (0..plan.columns.len()).map(Expr::Column).collect() }
        }
        Node::Filter { input, predicate } => {
            let Lazy { op, outputs } = compile_below(input)?;
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
            let Lazy { op, outputs } = compile_below(input)?;
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
            // Postgres computes what it shows before it sorts. Where it sorts nothing it ends with the last row that is wanted.
            let drops_rows = (limit.is_some() || offset.is_some()) && !keys.is_empty();
            let Lazy { op, outputs } = match compile(input)? {
                lazy if drops_rows && !matches!(lazy.op, Op::Scan(_)) => whole(lazy),
                lazy => lazy,
            };
            let unseen = if drops_rows { Proof::of(&outputs) } else { Proof::of([]) };
            let keys =
                keys.iter().map(|key| SortKey { expr: substitute(&key.expr, &outputs), ..key.clone() }).collect();
            let width = outputs.len();
            let sort = Sort { input: op, keys, outputs, limit: limit.clone(), offset: offset.clone(), unseen };
            columns(Op::Sort(Box::new(sort)), width)
        }
        Node::Repeat { input } => {
            let width = input.columns.len();
            columns(Op::Repeat { input: Box::new(compile_single(input)?), width }, width - 1)
        }
        Node::Fence { input } => whole(compile(input)?),
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

/// As [`compile`], for the input of what drops rows: columns that Postgres computes before, and that may fail, are computed for
/// every row.
fn compile_below(plan: &Plan) -> Result<Lazy, ReadError> {
    let lazy = compile(plan)?;
    Ok(if is_executed_apart(plan) { whole(lazy) } else { lazy })
}

/// Computes all columns for every row if some may fail.
fn whole(lazy: Lazy) -> Lazy {
    if lazy.outputs.iter().all(is_certain) {
        return lazy;
    }
    let width = lazy.outputs.len();
    columns(Op::Project { input: Box::new(lazy.op), exprs: lazy.outputs, is_whole: true }, width)
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
    Op::Project { input: Box::new(lazy.op), exprs: lazy.outputs, is_whole: false }
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
            scan.add(parts);
            Op::Scan(scan)
        }
        Op::Join(mut join) => {
            let into_left = !matches!(join.kind, JoinKind::Right | JoinKind::Full);
            let into_right = matches!(join.kind, JoinKind::Inner | JoinKind::Right);
            let (left, right, rest) = by_side(parts, join.left_width, into_left, into_right);
            if !left.is_empty() {
                join.left = filter(join.left, left);
            }
            if !right.is_empty() {
                join.right = filter(join.right, right);
            }
            remaining(Op::Join(join), rest)
        }
        Op::Project { input, exprs, is_whole: false } => {
            let parts = parts.iter().map(|part| substitute(part, &exprs)).collect();
            Op::Project { input: Box::new(filter(*input, parts)), exprs, is_whole: false }
        }
        other => remaining(other, parts),
    }
}

fn remaining(op: Op, mut parts: Vec<Expr>) -> Op {
    as_asked(&mut parts);
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
    let conditions = join.residual.as_ref().map_or(vec![], |residual| conjuncts(substitute(residual, &outputs)));
    if matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
        outputs = left.outputs.clone();
    }
    let (of_left, of_right, mut residual) = sides_of_conditions(join.kind, left_width, conditions);
    as_asked(&mut residual);
    let op = Join {
        kind: join.kind,
        left_keys: join.equal.iter().map(|(key, _)| substitute(key, &left.outputs)).collect(),
        right_keys: join.equal.iter().map(|(_, key)| substitute(key, &right.outputs)).collect(),
        left: filter(left.op, of_left),
        left_width,
        right: filter(right.op, of_right),
        right_width,
        residual: Expr::conjunction(residual),
    };
    Ok(Lazy { op: Op::Join(Box::new(op)), outputs })
}

/// Conditions of a join that can be asked of one side's rows before it, and the others. Postgres asks them there, of rows that
/// nothing matches, too.
fn sides_of_conditions(kind: JoinKind, left_width: usize, conditions: Vec<Expr>) -> (Vec<Expr>, Vec<Expr>, Vec<Expr>) {
    let of_left = matches!(kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Right);
    let of_right = matches!(kind, JoinKind::Inner | JoinKind::Semi | JoinKind::Anti | JoinKind::Left);
    by_side(conditions, left_width, of_left, of_right)
}

/// Conditions over pairs: over left rows alone and right rows alone, where they may go there, and the rest.
fn by_side(
    conditions: Vec<Expr>,
    left_width: usize,
    into_left: bool,
    into_right: bool,
) -> (Vec<Expr>, Vec<Expr>, Vec<Expr>) {
    let (mut left, mut right, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for condition in conditions {
        match column_range(&condition) {
            Some((_, high)) if high < left_width && into_left => left.push(condition),
            Some((low, _)) if low >= left_width && into_right => right.push(shift_down(&condition, left_width)),
            _ => rest.push(condition),
        }
    }
    (left, right, rest)
}

/// One side of a join as single slices. Where the join puts NULLs in place of the side, its columns must be plain: an
/// expression over absent columns would not be NULL by itself.
fn side(plan: &Plan, may_be_null: bool) -> Result<Lazy, ReadError> {
    let lazy = compile_below(plan)?;
    let is_plain = lazy.outputs.iter().all(|expr| matches!(expr, Expr::Column(_)));
    if width(&lazy.op).is_some() && (is_plain || !may_be_null) {
        return Ok(lazy);
    }
    let width = lazy.outputs.len();
    Ok(columns(Op::Project { input: Box::new(lazy.op), exprs: lazy.outputs, is_whole: false }, width))
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
