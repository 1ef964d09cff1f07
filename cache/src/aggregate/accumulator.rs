//! One aggregate call's state over one group.

use super::distinct::DistinctValues;
use super::float_sum::FloatSum;
use super::ordered::OrderedValues;
use super::single::SingleValue;
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::{AggregateCall, AggregateKind};
use weir_planner::types::oid;
use weir_planner::value::NumericSum;
use weir_planner::{EvalError, Expr, Value};

/// State of one aggregate over one group of rows with weights.
#[derive(Debug)]
pub struct Accumulator {
    state: State,
    failures: Option<Box<Failures>>,
}

/// Rows whose filter or argument failed.
#[derive(Debug)]
struct Failures {
    rows: i64,
    /// One of them; which one is not said.
    example: Arc<EvalError>,
}

#[derive(Debug)]
enum State {
    Count(i64),
    Integer { count: i64, sum: i128 },
    Numeric(Box<NumericSum>),
    Float { count: i64, sum: Box<FloatSum> },
    Ordered(Box<OrderedValues>),
    Bool { trues: i64, falses: i64 },
    Single(Box<SingleValue>),
    Distinct { values: Box<DistinctValues>, over: Box<Accumulator> },
}

impl Accumulator {
    /// The state of an empty group.
    pub fn new(call: &AggregateCall) -> Accumulator {
        let plain = Accumulator { state: State::plain(call.kind), failures: None };
        // Duplicates do not change these.
        let indifferent = matches!(
            call.kind,
            AggregateKind::Min | AggregateKind::Max | AggregateKind::BoolAnd | AggregateKind::BoolOr
        );
        if !call.distinct || indifferent {
            return plain;
        }
        Accumulator { state: State::Distinct { values: Box::default(), over: Box::new(plain) }, failures: None }
    }

    /// Adds a row `weight` times, or takes it back when negative: evaluates the call's filter and argument over it.
    #[inline]
    pub fn update(&mut self, call: &AggregateCall, row: Tuple<'_>, weight: i64, context: &EvalContext) {
        if let Some(filter) = &call.filter {
            match filter.eval(row, context) {
                Value::Bool(true) => {}
                Value::Error(error) => return self.fail(error, weight),
                _ => return,
            }
        }
        match call.args.first() {
            None => self.add_row(weight),
            Some(Expr::Column(index)) => self.add(row.get(*index), weight),
            Some(arg) => self.add(&arg.eval(row, context), weight),
        }
    }

    /// Adds an argument value that has passed the filter.
    #[inline]
    pub fn add(&mut self, value: &Value, weight: i64) {
        match value {
            Value::Null => {
                if let State::Single(single) = &mut self.state {
                    single.add(value, weight);
                }
            }
            Value::Error(error) => self.fail(error.clone(), weight),
            _ => self.add_value(value, weight),
        }
    }

    /// `count(*)`.
    #[inline]
    fn add_row(&mut self, weight: i64) {
        if let State::Count(count) = &mut self.state {
            *count += weight;
        }
    }

    fn add_value(&mut self, value: &Value, weight: i64) {
        match &mut self.state {
            State::Count(count) => *count += weight,
            State::Integer { count, sum } => match integer(value) {
                Some(integer) => {
                    *count += weight;
                    *sum += i128::from(integer) * i128::from(weight);
                }
                None => self.unexpected(value, weight),
            },
            State::Numeric(sum) => match value {
                Value::Numeric(numeric) => sum.add(numeric, weight),
                other => match integer(other) {
                    Some(integer) => sum.add_integer(integer, weight),
                    None => self.unexpected(value, weight),
                },
            },
            State::Float { count, sum } => {
                let float = match value {
                    Value::Float8(float) => *float,
                    Value::Float4(float) => f64::from(*float),
                    _ => return self.unexpected(value, weight),
                };
                *count += weight;
                sum.add(float, weight);
            }
            State::Ordered(values) => values.add(value, weight),
            State::Single(single) => single.add(value, weight),
            State::Bool { trues, falses } => match value {
                Value::Bool(true) => *trues += weight,
                Value::Bool(false) => *falses += weight,
                _ => self.unexpected(value, weight),
            },
            State::Distinct { values, over } => {
                if let Some((image, change)) = values.add(value, weight) {
                    over.add_value(&image, change);
                }
            }
        }
    }

    /// A plan whose argument type does not fit its aggregate: never guessed at, the group is in error.
    #[cold]
    fn unexpected(&mut self, value: &Value, weight: i64) {
        let error = EvalError::new("XX000", format!("unexpected aggregate argument {value:?}"));
        self.fail(Arc::new(error), weight);
    }

    #[cold]
    fn fail(&mut self, error: Arc<EvalError>, weight: i64) {
        let failures = self.failures.get_or_insert_with(|| Box::new(Failures { rows: 0, example: error }));
        failures.rows += weight;
        if failures.rows == 0 {
            self.failures = None;
        }
    }

    /// The aggregate's value over the rows in the group.
    pub fn result(&mut self, call: &AggregateCall) -> Value {
        if let Some(failures) = &self.failures {
            return Value::Error(failures.example.clone());
        }
        match &mut self.state {
            State::Distinct { values, over } => match call.kind {
                AggregateKind::Count => Value::Int8(values.len()),
                _ => over.result(call),
            },
            State::Count(count) => Value::Int8(*count),
            State::Integer { count: 0, .. } => Value::Null,
            State::Integer { sum, .. } => match i64::try_from(*sum) {
                Ok(sum) => Value::Int8(sum),
                Err(_) => EvalError::new("22003", "bigint out of range").into(),
            },
            State::Numeric(sum) => {
                let value = match call.kind {
                    AggregateKind::AvgInt | AggregateKind::AvgNumeric => sum.avg(),
                    _ => sum.sum(),
                };
                match value {
                    None => Value::Null,
                    Some(Ok(numeric)) => Value::Numeric(numeric),
                    Some(Err(error)) => error.into(),
                }
            }
            State::Float { count: 0, .. } => Value::Null,
            State::Float { count, sum } => float_result(sum, *count, call),
            State::Ordered(values) => {
                let extreme = if call.kind == AggregateKind::Min { values.min() } else { values.max() };
                extreme.unwrap_or(Value::Null)
            }
            State::Single(single) => single.value(),
            State::Bool { trues: 0, falses: 0 } => Value::Null,
            State::Bool { trues, falses } => {
                Value::Bool(if call.kind == AggregateKind::BoolAnd { *falses == 0 } else { *trues > 0 })
            }
        }
    }

    /// Bytes owned on the heap.
    pub fn heap_size(&self) -> usize {
        match &self.state {
            State::Count(_) | State::Integer { .. } | State::Bool { .. } => 0,
            State::Numeric(sum) => size_of::<NumericSum>() + sum.heap_size(),
            State::Float { sum, .. } => size_of::<FloatSum>() + sum.bytes(),
            State::Ordered(values) => values.bytes(),
            State::Single(single) => size_of::<SingleValue>() + single.bytes(),
            State::Distinct { values, over } => values.bytes() + size_of::<Accumulator>() + over.heap_size(),
        }
    }
}

impl State {
    fn plain(kind: AggregateKind) -> State {
        match kind {
            AggregateKind::CountRows | AggregateKind::Count => State::Count(0),
            AggregateKind::SumInt => State::Integer { count: 0, sum: 0 },
            AggregateKind::SumInt8 | AggregateKind::SumNumeric | AggregateKind::AvgInt | AggregateKind::AvgNumeric => {
                State::Numeric(Box::default())
            }
            AggregateKind::SumFloat | AggregateKind::AvgFloat => State::Float { count: 0, sum: Box::default() },
            AggregateKind::Min | AggregateKind::Max => State::Ordered(Box::default()),
            AggregateKind::Single => State::Single(Box::default()),
            AggregateKind::BoolAnd | AggregateKind::BoolOr => State::Bool { trues: 0, falses: 0 },
        }
    }
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Int2(integer) => Some(i64::from(*integer)),
        Value::Int4(integer) => Some(i64::from(*integer)),
        Value::Int8(integer) => Some(*integer),
        _ => None,
    }
}

/// `float8_avg`, `float8pl`, `float4pl`: a finite input that overflows is an error, an infinite one is not.
fn float_result(sum: &FloatSum, count: i64, call: &AggregateCall) -> Value {
    let overflow = || EvalError::new("22003", "value out of range: overflow").into();
    let Some(total) = sum.value() else { return overflow() };
    if call.kind == AggregateKind::AvgFloat {
        return Value::Float8(total / count as f64);
    }
    if call.output.oid != oid::FLOAT4 {
        return Value::Float8(total);
    }
    let narrow = total as f32;
    if narrow.is_infinite() && total.is_finite() { overflow() } else { Value::Float4(narrow) }
}
