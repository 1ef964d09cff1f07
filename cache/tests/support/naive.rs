//! Plans evaluated in the plainest way over lists of rows: nested loops, every row a copy, no indexes.

use std::cell::Cell;
use std::collections::HashMap;
use weir_cache::aggregate::Accumulator;
use weir_planner::eval::{EvalContext, Tuple, set_rows};
use weir_planner::plan::{JoinKind, Node, WindowKind};
use weir_planner::value::compare_sort_keys;
use weir_planner::{EvalError, Expr, Plan, RelationId, Value};

pub type Rows = Vec<Vec<Value>>;
pub type Tables = HashMap<RelationId, Rows>;

fn value(expr: &Expr, tuple: Tuple<'_>, context: &EvalContext) -> Result<Value, EvalError> {
    match expr.eval(tuple, context) {
        Value::Error(error) => Err((*error).clone()),
        value => Ok(value),
    }
}

fn values<'e>(
    exprs: impl IntoIterator<Item = &'e Expr>,
    tuple: Tuple<'_>,
    context: &EvalContext,
) -> Result<Vec<Value>, EvalError> {
    exprs.into_iter().map(|expr| value(expr, tuple, context)).collect()
}

/// Which of the looks of equal keys is shown: Postgres shows the one it meets first, whichever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    First,
    /// One that differs from the first, if there is one.
    Other,
}

thread_local! {
    static LOOK: Cell<Look> = const { Cell::new(Look::First) };
    static MET_SEVERAL: Cell<bool> = const { Cell::new(false) };
}

/// [`evaluate`] with this choice of looks, and whether there was one.
pub fn evaluate_showing(
    look: Look,
    plan: &Plan,
    tables: &Tables,
    context: &EvalContext,
) -> (Result<Rows, EvalError>, bool) {
    LOOK.set(look);
    MET_SEVERAL.set(false);
    let rows = evaluate(plan, tables, context);
    LOOK.set(Look::First);
    (rows, MET_SEVERAL.get())
}

/// `key` comes to an equal one that is shown so far.
fn show(shown: &mut Vec<Value>, key: Vec<Value>) {
    if *shown != key {
        MET_SEVERAL.set(true);
        if LOOK.get() == Look::Other {
            *shown = key;
        }
    }
}

fn canonical(key: &[Value]) -> Vec<Value> {
    key.iter().map(Value::canonical).collect()
}

pub fn evaluate(plan: &Plan, tables: &Tables, context: &EvalContext) -> Result<Rows, EvalError> {
    let single = |row: &'_ [Value], exprs: &[Expr]| values(exprs, Tuple::single(row), context);
    match &plan.node {
        Node::Scan { relation, columns } => {
            Ok(tables[relation].iter().map(|row| columns.iter().map(|&c| row[c].clone()).collect()).collect())
        }
        Node::Values { rows } => rows.iter().map(|row| single(&[], row)).collect(),
        Node::Filter { input, predicate } => {
            let mut out = Vec::new();
            for row in evaluate(input, tables, context)? {
                if predicate.eval_bool(Tuple::single(&row), context)? {
                    out.push(row);
                }
            }
            Ok(out)
        }
        Node::Project { input, exprs } => {
            evaluate(input, tables, context)?.iter().map(|row| single(row, exprs)).collect()
        }
        Node::UnionAll { inputs } => {
            let parts = inputs.iter().map(|input| evaluate(input, tables, context)).collect::<Result<Vec<_>, _>>()?;
            Ok(parts.into_iter().flatten().collect())
        }
        Node::Distinct { input } => {
            let mut seen: HashMap<Vec<Value>, Vec<Value>> = HashMap::new();
            for row in evaluate(input, tables, context)? {
                match seen.get_mut(&canonical(&row)) {
                    Some(shown) => show(shown, row),
                    None => drop(seen.insert(canonical(&row), row)),
                }
            }
            Ok(seen.into_values().collect())
        }
        Node::Join(_) => join(plan, tables, context),
        Node::Aggregate { input, keys, aggregates } => {
            let mut groups: Vec<(Vec<Value>, Rows)> = Vec::new();
            for row in evaluate(input, tables, context)? {
                let key = single(&row, keys)?;
                match groups.iter_mut().find(|(known, _)| canonical(known) == canonical(&key)) {
                    Some((shown, rows)) => {
                        show(shown, key);
                        rows.push(row);
                    }
                    None => groups.push((key, vec![row])),
                }
            }
            if keys.is_empty() && groups.is_empty() {
                groups.push((vec![], vec![]));
            }
            let mut out = Vec::new();
            for (mut result, rows) in groups {
                for call in aggregates {
                    let mut state = Accumulator::new(call);
                    rows.iter().for_each(|row| state.update(call, Tuple::single(row), 1, context));
                    match state.result(call, context) {
                        Value::Error(error) => return Err((*error).clone()),
                        value => result.push(value),
                    }
                }
                out.push(result);
            }
            Ok(out)
        }
        Node::Window { input, functions } => {
            let rows = evaluate(input, tables, context)?;
            let mut out = rows.clone();
            for function in functions {
                let mut peers = Vec::new();
                for row in &rows {
                    let order = values(function.order.iter().map(|key| &key.expr), Tuple::single(row), context)?;
                    peers.push((canonical(&single(row, &function.partition)?), order));
                }
                for (number, row) in out.iter_mut().enumerate() {
                    let (mine, others) = (&peers[number], peers.iter().enumerate());
                    let before: Vec<(usize, &Vec<Value>)> = others
                        .filter(|(_, other)| other.0 == mine.0)
                        .filter(|(at, other)| {
                            let order = compare_sort_keys(&other.1, &mine.1, &function.order);
                            order.is_lt() || (function.kind == WindowKind::RowNumber && order.is_eq() && *at < number)
                        })
                        .map(|(at, other)| (at, &other.1))
                        .collect();
                    let count = match function.kind {
                        WindowKind::RowNumber | WindowKind::Rank => before.len(),
                        _ => before
                            .iter()
                            .map(|(_, order)| canonical(order))
                            .collect::<std::collections::HashSet<_>>()
                            .len(),
                    };
                    row.push(Value::Int8(count as i64 + 1));
                }
            }
            Ok(out)
        }
        Node::ProjectSet(set) => {
            let mut out = Vec::new();
            for row in evaluate(&set.input, tables, context)? {
                for added in set_rows(&set.calls, &row, context)? {
                    out.push(row.iter().cloned().chain(added).collect());
                }
            }
            Ok(out)
        }
        Node::Fence { input } => evaluate(input, tables, context),
        Node::Repeat { input } => {
            let mut out = Vec::new();
            for mut row in evaluate(input, tables, context)? {
                if let Some(Value::Int8(times)) = row.pop() {
                    (0..times).for_each(|_| out.push(row.clone()));
                }
            }
            Ok(out)
        }
        Node::Sort { input, keys, limit, offset } => {
            let mut rows = Vec::new();
            for row in evaluate(input, tables, context)? {
                rows.push((values(keys.iter().map(|key| &key.expr), Tuple::single(&row), context)?, row));
            }
            rows.sort_by(|a, b| compare_sort_keys(&a.0, &b.0, keys));
            let count = |expr: &Option<Expr>| match expr.as_ref().map(|expr| value(expr, Tuple::single(&[]), context)) {
                Some(Ok(Value::Int8(count))) => Some(count as usize),
                Some(Err(error)) => panic!("a limit that fails: {error}"),
                _ => None,
            };
            let kept = rows.into_iter().map(|(_, row)| row).skip(count(offset).unwrap_or(0));
            Ok(kept.take(count(limit).unwrap_or(usize::MAX)).collect())
        }
    }
}

fn join(plan: &Plan, tables: &Tables, context: &EvalContext) -> Result<Rows, EvalError> {
    let Node::Join(join) = &plan.node else { unreachable!("called for a join") };
    let left = evaluate(&join.left, tables, context)?;
    let right = evaluate(&join.right, tables, context)?;
    let matches = |l: &[Value], r: &[Value]| -> Result<bool, EvalError> {
        for (left_key, right_key) in &join.equal {
            let (a, b) = (value(left_key, Tuple::single(l), context)?, value(right_key, Tuple::single(r), context)?);
            if a.is_null() || b.is_null() || a.canonical() != b.canonical() {
                return Ok(false);
            }
        }
        join.residual.as_ref().map_or(Ok(true), |residual| residual.eval_bool(Tuple::pair(l, r), context))
    };
    let nulls = |width: usize| vec![Value::Null; width];
    let mut out = Vec::new();
    let mut right_matched = vec![false; right.len()];
    for l in &left {
        let mut matched = false;
        for (number, r) in right.iter().enumerate() {
            if matches(l, r)? {
                matched = true;
                right_matched[number] = true;
                if !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                    out.push([l.clone(), r.clone()].concat());
                }
            }
        }
        match join.kind {
            JoinKind::Left | JoinKind::Full if !matched => {
                out.push([l.clone(), nulls(join.right.columns.len())].concat());
            }
            JoinKind::Semi if matched => out.push(l.clone()),
            JoinKind::Anti if !matched => out.push(l.clone()),
            _ => {}
        }
    }
    if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
        for (_, r) in right.iter().enumerate().filter(|(number, _)| !right_matched[*number]) {
            out.push([nulls(join.left.columns.len()), r.clone()].concat());
        }
    }
    Ok(out)
}
