//! The meaning of a plan: nested loops over bags, from scratch, nothing shared with the engine but expressions.

use crate::aggregate::Accumulator;
use std::cmp::Ordering;
use std::collections::HashMap;
use weir_planner::eval::{EvalContext, Tuple, set_rows};
use weir_planner::plan::{
    AggregateCall, AggregateKind, Bound, Exclusion, Join, JoinKind, Node, WindowCall, WindowKind,
};
use weir_planner::value::{NumericSpread, compare, compare_nulls, compare_sort_keys};
use weir_planner::{EvalError, Expr, Numeric, Plan, RelationId, Row, Value};

/// Base tables by content, views by definition.
#[derive(Default)]
pub struct Oracle {
    pub tables: HashMap<RelationId, Vec<Row>>,
    pub views: HashMap<RelationId, Plan>,
    /// The clock as of which plans are evaluated.
    pub now_micros: i64,
}

/// Rows, or that some row's existence cannot be decided.
pub type Answer = Result<Vec<Row>, Undecided>;

#[derive(Debug)]
pub struct Undecided;

fn canonical_row(values: &[Value]) -> Vec<Value> {
    values.iter().map(Value::canonical).collect()
}

/// Rows in a form in which bags can be compared: canonical values, errors alike, sorted.
pub fn normal_form(rows: impl IntoIterator<Item = Row>) -> Vec<String> {
    let error = "error".to_owned();
    let show = |value: &Value| if value.is_error() { error.clone() } else { format!("{:?}", value.canonical()) };
    let mut rows: Vec<String> =
        rows.into_iter().map(|row| row.iter().map(show).collect::<Vec<_>>().join(" | ")).collect();
    rows.sort();
    rows
}

impl Oracle {
    pub fn evaluate(&self, plan: &Plan) -> Answer {
        let context = EvalContext { now_micros: self.now_micros, ..EvalContext::default() };
        let eval = |expr: &Expr, row: &[Value]| expr.eval(Tuple::single(row), &context);
        match &plan.node {
            Node::Scan { relation, columns } => {
                let rows = match self.views.get(relation) {
                    Some(view) => self.evaluate(view)?,
                    None => self.tables[relation].clone(),
                };
                Ok(rows.iter().map(|row| columns.iter().map(|&column| row[column].clone()).collect()).collect())
            }
            Node::Values { rows } => {
                Ok(rows.iter().map(|row| row.iter().map(|expr| eval(expr, &[])).collect()).collect())
            }
            Node::Filter { input, predicate } => {
                let mut out = vec![];
                for row in self.evaluate(input)? {
                    match eval(predicate, &row) {
                        Value::Bool(true) => out.push(row),
                        Value::Error(_) => return Err(Undecided),
                        _ => {}
                    }
                }
                Ok(out)
            }
            Node::Project { input, exprs } => {
                let rows = self.evaluate(input)?;
                Ok(rows.iter().map(|row| exprs.iter().map(|expr| eval(expr, row)).collect()).collect())
            }
            Node::Join(join) => self.join(join),
            Node::Aggregate { input, keys, aggregates } => {
                let mut groups: Vec<(Vec<Value>, Row, Vec<Row>)> = vec![];
                if keys.is_empty() {
                    groups.push((vec![], [].into(), vec![]));
                }
                for row in self.evaluate(input)? {
                    let image: Row = keys.iter().map(|key| eval(key, &row)).collect();
                    if image.iter().any(Value::is_error) {
                        return Err(Undecided);
                    }
                    let key = canonical_row(&image);
                    match groups.iter_mut().find(|(other, ..)| *other == key) {
                        Some((_, shown, rows)) => {
                            *shown = alike(shown, &image);
                            rows.push(row);
                        }
                        None => groups.push((key, image, vec![row])),
                    }
                }
                let now = Expr::Const(Value::TimestampTz(self.now_micros));
                let is_now = |expr: &Expr| matches!(expr, Expr::Call { function, .. } if function.symbol == "now");
                let at_once = |expr: &Expr| expr.replace(&mut |part| is_now(part).then(|| now.clone()));
                let aggregates: Vec<AggregateCall> = aggregates.iter().map(|call| call.map(at_once)).collect();
                let results = |rows: &[Row]| aggregates.iter().map(|call| aggregate(call, rows)).collect::<Vec<_>>();
                Ok(groups.iter().map(|(_, image, rows)| image.iter().cloned().chain(results(rows)).collect()).collect())
            }
            Node::Distinct { input } => {
                let mut out: Vec<(Vec<Value>, Row)> = vec![];
                for row in self.evaluate(input)? {
                    if row.iter().any(Value::is_error) {
                        return Err(Undecided);
                    }
                    let key = canonical_row(&row);
                    match out.iter_mut().find(|(other, _)| *other == key) {
                        Some((_, shown)) => *shown = alike(shown, &row),
                        None => out.push((key, row)),
                    }
                }
                Ok(out.into_iter().map(|(_, row)| row).collect())
            }
            Node::Window { input, functions } => {
                let rows = self.evaluate(input)?;
                let mut columns = vec![];
                for call in functions {
                    columns.push(window(call, &rows)?);
                }
                let numbered = rows.iter().enumerate().map(|(index, row)| {
                    row.iter().cloned().chain(columns.iter().map(|column| column[index].clone())).collect()
                });
                Ok(numbered.collect())
            }
            Node::ProjectSet(set) => {
                let mut out: Vec<Row> = vec![];
                for row in self.evaluate(&set.input)? {
                    let added = set_rows(&set.calls, &row, &EvalContext::default()).map_err(|_| Undecided)?;
                    out.extend(added.into_iter().map(|added| row.iter().cloned().chain(added).collect::<Row>()));
                }
                Ok(out)
            }
            Node::Fence { input } => self.evaluate(input),
            Node::Repeat { input } => {
                let mut out: Vec<Row> = vec![];
                for row in self.evaluate(input)? {
                    let (times, rest) = row.split_last().expect("a repeated row has its count");
                    match times {
                        Value::Int8(times) => (0..*times).for_each(|_| out.push(rest.into())),
                        Value::Error(_) => return Err(Undecided),
                        _ => {}
                    }
                }
                Ok(out)
            }
            Node::Sort { input, keys, limit, offset } => {
                let mut rows = self.evaluate(input)?;
                let count = |expr: &Option<Expr>| match expr.as_ref().map(|expr| eval(expr, &[])) {
                    Some(Value::Int8(count)) => Some(count as usize),
                    _ => None,
                };
                let (limit, offset) = (count(limit), count(offset));
                if limit.is_none() && offset.is_none() {
                    return Ok(rows);
                }
                if rows.iter().any(|row| keys.iter().any(|key| eval(&key.expr, row).is_error())) {
                    return Err(Undecided);
                }
                rows.sort_by(|a, b| {
                    keys.iter()
                        .map(|key| {
                            compare_nulls(&eval(&key.expr, a), &eval(&key.expr, b), key.descending, key.nulls_first)
                        })
                        .find(|order| order.is_ne())
                        .unwrap_or(Ordering::Equal)
                });
                Ok(rows.into_iter().skip(offset.unwrap_or(0)).take(limit.unwrap_or(usize::MAX)).collect())
            }
            Node::UnionAll { inputs } => {
                let mut out = vec![];
                for input in inputs {
                    out.extend(self.evaluate(input)?);
                }
                Ok(out)
            }
        }
    }

    fn join(&self, join: &Join) -> Answer {
        let context = EvalContext::default();
        let (left, right) = (self.evaluate(&join.left)?, self.evaluate(&join.right)?);
        let keys = |row: &[Value], left: bool| {
            let values: Vec<Value> = join
                .equal
                .iter()
                .map(|(l, r)| (if left { l } else { r }).eval(Tuple::single(row), &context).canonical())
                .collect();
            if values.iter().any(Value::is_error) { Err(Undecided) } else { Ok(values) }
        };
        let left_keys = left.iter().map(|row| keys(row, true)).collect::<Result<Vec<_>, _>>()?;
        let right_keys = right.iter().map(|row| keys(row, false)).collect::<Result<Vec<_>, _>>()?;
        let mut right_matched = vec![false; right.len()];
        let mut out: Vec<Row> = vec![];
        for (l, left_key) in left.iter().zip(&left_keys) {
            let mut matched = false;
            for (index, r) in right.iter().enumerate() {
                if left_key.iter().any(Value::is_null) || *left_key != right_keys[index] {
                    continue;
                }
                if let Some(residual) = &join.residual {
                    match residual.eval(Tuple::pair(l, r), &context) {
                        Value::Bool(true) => {}
                        Value::Error(_) => return Err(Undecided),
                        _ => continue,
                    }
                }
                matched = true;
                right_matched[index] = true;
                if !matches!(join.kind, JoinKind::Semi | JoinKind::Anti) {
                    out.push(l.iter().chain(r.iter()).cloned().collect());
                }
            }
            match join.kind {
                JoinKind::Left | JoinKind::Full if !matched => {
                    let nulls = vec![Value::Null; join.right.columns.len()];
                    out.push(l.iter().cloned().chain(nulls).collect());
                }
                JoinKind::Semi if matched => out.push(l.clone()),
                JoinKind::Anti if !matched => out.push(l.clone()),
                _ => {}
            }
        }
        if matches!(join.kind, JoinKind::Right | JoinKind::Full) {
            for (r, _) in right.iter().zip(&right_matched).filter(|(_, matched)| !**matched) {
                let nulls = vec![Value::Null; join.left.columns.len()];
                out.push(nulls.into_iter().chain(r.iter().cloned()).collect());
            }
        }
        Ok(out)
    }
}

/// Of equal rows that look different Postgres shows the one it meets first.
fn alike(a: &Row, b: &Row) -> Row {
    let column = |(a, b): (&Value, &Value)| if a == b { a.clone() } else { EvalError::unsettled("looks").into() };
    a.iter().zip(b.iter()).map(column).collect()
}

fn aggregate(call: &AggregateCall, rows: &[Row]) -> Value {
    if call.kind == AggregateKind::StringAgg {
        return string_agg(call, rows);
    }
    let context = EvalContext::default();
    let mut values: Vec<Value> = vec![];
    for row in rows {
        match call.filter.as_ref().map(|filter| filter.eval(Tuple::single(row), &context)) {
            None | Some(Value::Bool(true)) => {}
            Some(error @ Value::Error(_)) => return error,
            Some(_) => continue,
        }
        let value = call.args.first().map_or(Value::Bool(true), |arg| arg.eval(Tuple::single(row), &context));
        match value {
            Value::Error(_) => return value,
            Value::Null => {}
            _ => values.push(value),
        }
    }
    let is_extreme = matches!(call.kind, AggregateKind::Min | AggregateKind::Max);
    if call.distinct && !is_extreme {
        let mut distinct: Vec<Value> = vec![];
        let mut is_settled = true;
        for value in values {
            match distinct.iter().find(|other| other.canonical() == value.canonical()) {
                Some(other) => is_settled &= *other == value,
                None => distinct.push(value),
            }
        }
        if !is_settled && call.kind != AggregateKind::Count {
            return EvalError::unsettled("looks").into();
        }
        values = distinct;
    }
    if matches!(call.kind, AggregateKind::CountRows | AggregateKind::Count) {
        return Value::Int8(values.len() as i64);
    }
    if values.is_empty() {
        return Value::Null;
    }
    let integers = || values.iter().map(|value| if let Value::Int8(value) = value { *value } else { 0 });
    let floats = || values.iter().map(|value| if let Value::Float8(value) = value { *value } else { 0.0 });
    let numerics = || {
        values.iter().fold(Numeric::ZERO, |sum, value| match value {
            Value::Numeric(value) => sum.add(value).expect("small test values do not overflow"),
            _ => sum,
        })
    };
    let parse = |number: i64| Numeric::parse(&number.to_string()).expect("an integer is a numeric");
    match call.kind {
        AggregateKind::SumInt => Value::Int8(integers().sum()),
        AggregateKind::SumInt8 => Value::Numeric(parse(integers().sum())),
        AggregateKind::AvgInt => {
            let count = parse(values.len() as i64);
            Value::Numeric(parse(integers().sum()).div(&count).expect("a group with values has a count"))
        }
        AggregateKind::SumNumeric => Value::Numeric(numerics()),
        AggregateKind::SumFloat => Value::Float8(floats().sum()),
        AggregateKind::AvgFloat => Value::Float8(floats().sum::<f64>() / values.len() as f64),
        AggregateKind::Min | AggregateKind::Max => {
            values.sort_by(compare);
            let outermost = if call.kind == AggregateKind::Min { &values[0] } else { &values[values.len() - 1] };
            match values.iter().any(|other| compare(other, outermost).is_eq() && other != outermost) {
                true => weir_planner::EvalError::unsupported("several looks of the extreme").into(),
                false => outermost.clone(),
            }
        }
        AggregateKind::Spread(spread) => {
            let mut state = NumericSpread::default();
            for value in &values {
                match value {
                    Value::Numeric(value) => state.add(value, 1),
                    Value::Int8(value) => state.add_integer(*value, 1),
                    _ => {}
                }
            }
            match state.value(spread) {
                Some(value) => Value::Numeric(value.expect("small test values do not overflow")),
                None => Value::Null,
            }
        }
        // (What it computes is tested where it is; here, that rows come and go.)
        AggregateKind::FloatSpread(_) => {
            let mut state = Accumulator::new(call);
            values.iter().for_each(|value| state.add(value, 1));
            state.result(call, &context)
        }
        AggregateKind::Mode | AggregateKind::PercentileDisc => {
            let key = &call.order[0];
            values.sort_by(|a, b| compare_nulls(a, b, key.descending, key.nulls_first));
            let count = |value: &Value| values.iter().filter(|other| *other == value).count();
            let most = values.iter().map(count).max();
            match call.args.get(1) {
                Some(Expr::Const(Value::Float8(fraction))) => {
                    let number = (fraction * values.len() as f64).ceil() as usize;
                    values[number.max(1) - 1].clone()
                }
                _ => values.iter().find(|value| Some(count(value)) == most).cloned().unwrap_or(Value::Null),
            }
        }
        AggregateKind::BitAnd => Value::Int8(integers().fold(-1, |all, value| all & value)),
        AggregateKind::BitOr => Value::Int8(integers().fold(0, |all, value| all | value)),
        AggregateKind::BitXor => Value::Int8(integers().fold(0, |all, value| all ^ value)),
        AggregateKind::BoolAnd => Value::Bool(!values.contains(&Value::Bool(false))),
        AggregateKind::BoolOr => Value::Bool(values.contains(&Value::Bool(true))),
        other => unreachable!("not generated: {other:?}"),
    }
}

/// Sorted by the keys; that rows which tie differ is an error.
fn string_agg(call: &AggregateCall, rows: &[Row]) -> Value {
    let context = EvalContext::default();
    let mut kept: Vec<(Vec<Value>, Value)> = vec![];
    for row in rows {
        let eval = |expr: &Expr| expr.eval(Tuple::single(row), &context);
        match call.filter.as_ref().map(eval) {
            None | Some(Value::Bool(true)) => {}
            Some(error @ Value::Error(_)) => return error,
            Some(_) => continue,
        }
        let keys: Vec<Value> = call.order.iter().map(|key| eval(&key.expr)).collect();
        let value = eval(&call.args[0]);
        if let Some(error) = keys.iter().chain([&value]).find(|value| value.is_error()) {
            return error.clone();
        }
        if !value.is_null() {
            kept.push((keys, value));
        }
    }
    kept.sort_by(|(a, _), (b, _)| compare_sort_keys(a, b, &call.order));
    let ties = |a: &[Value], b: &[Value]| compare_sort_keys(a, b, &call.order) == Ordering::Equal;
    if kept.windows(2).any(|pair| ties(&pair[0].0, &pair[1].0) && pair[0].1 != pair[1].1) {
        return weir_planner::EvalError::unsupported("ties").into();
    }
    if call.distinct {
        kept.dedup_by(|a, b| ties(&a.0, &b.0));
    }
    let texts = kept.iter().map(|(_, value)| if let Value::Text(text) = value { &**text } else { "" });
    let texts: Vec<&str> = texts.collect();
    if texts.is_empty() { Value::Null } else { Value::text(&texts.join("-")) }
}

fn window(call: &WindowCall, rows: &[Row]) -> Result<Vec<Value>, Undecided> {
    let context = EvalContext::default();
    let eval = |expr: &Expr, row: &Row| expr.eval(Tuple::single(row), &context);
    let partition = |row: &Row| canonical_row(&call.partition.iter().map(|expr| eval(expr, row)).collect::<Vec<_>>());
    let order = |a: &Row, b: &Row| {
        call.order
            .iter()
            .map(|key| compare_nulls(&eval(&key.expr, a), &eval(&key.expr, b), key.descending, key.nulls_first))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    };
    for row in rows {
        let failed = |expr: &Expr| eval(expr, row).is_error();
        if call.partition.iter().any(failed) || call.order.iter().any(|key| failed(&key.expr)) {
            return Err(Undecided);
        }
    }
    let mut numbers = vec![];
    for (index, row) in rows.iter().enumerate() {
        let peers: Vec<(usize, &Row)> =
            rows.iter().enumerate().filter(|(_, other)| partition(other) == partition(row)).collect();
        let before: Vec<&Row> =
            peers.iter().filter(|(_, other)| order(other, row) == Ordering::Less).map(|(_, other)| *other).collect();
        // Peer groups in front of this row, each by one of its rows.
        let mut classes: Vec<&Row> = vec![];
        for other in &before {
            if !classes.iter().any(|class| order(class, other) == Ordering::Equal) {
                classes.push(other);
            }
        }
        numbers.push(match call.kind {
            WindowKind::RowNumber => {
                let ties = peers.iter().filter(|(i, other)| *i < index && order(other, row) == Ordering::Equal);
                Value::Int8((before.len() + ties.count()) as i64 + 1)
            }
            WindowKind::Rank => Value::Int8(before.len() as i64 + 1),
            WindowKind::DenseRank => Value::Int8(classes.len() as i64 + 1),
            WindowKind::PercentRank if peers.len() == 1 => Value::Float8(0.0),
            WindowKind::PercentRank => Value::Float8(before.len() as f64 / (peers.len() - 1) as f64),
            WindowKind::CumeDist => {
                let until = peers.iter().filter(|(_, other)| order(other, row) != Ordering::Greater).count();
                Value::Float8(until as f64 / peers.len() as f64)
            }
            WindowKind::Aggregate(kind) => {
                let steps = |bound: &Bound, unbounded: i64| match bound {
                    Bound::Unbounded => unbounded,
                    Bound::CurrentRow => 0,
                    Bound::Preceding(by) | Bound::Following(by) => match (by, bound) {
                        (Expr::Const(Value::Int8(by)), Bound::Preceding(_)) => -by,
                        (Expr::Const(Value::Int8(by)), _) => *by,
                        other => unreachable!("not generated: {other:?}"),
                    },
                };
                let (start, end) = (steps(&call.frame.start, i64::MIN), steps(&call.frame.end, i64::MAX));
                // How many peer groups `other` is behind this row's.
                let distance = |other: &Row| {
                    let (from, to, sign) = match order(other, row) {
                        Ordering::Equal => return 0,
                        Ordering::Less => (other, row, -1),
                        Ordering::Greater => (row, other, 1),
                    };
                    let mut between: Vec<&Row> = vec![];
                    for (_, third) in &peers {
                        let inside = order(third, from) != Ordering::Less && order(third, to) == Ordering::Less;
                        if inside && !between.iter().any(|class| order(class, third) == Ordering::Equal) {
                            between.push(third);
                        }
                    }
                    sign * between.len() as i64
                };
                let in_frame = |(i, other): &&(usize, &Row)| {
                    let tie = order(other, row) == Ordering::Equal;
                    let excluded = match call.frame.exclusion {
                        Exclusion::None => false,
                        Exclusion::CurrentRow => *i == index,
                        Exclusion::Group => tie,
                        Exclusion::Ties => tie && *i != index,
                    };
                    (start..=end).contains(&distance(other)) && !excluded
                };
                let frame: Vec<Row> = peers.iter().filter(in_frame).map(|(_, other)| (*other).clone()).collect();
                let call = AggregateCall {
                    kind,
                    args: call.args.clone(),
                    distinct: false,
                    filter: call.filter.clone(),
                    order: vec![],
                    input: call.input.clone(),
                    output: call.output.clone(),
                };
                aggregate(&call, &frame)
            }
            other => unreachable!("not generated: {other:?}"),
        });
    }
    Ok(numbers)
}
