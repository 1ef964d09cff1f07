//! One aggregate call's state over one group.

use super::distinct::DistinctValues;
use super::float_spread::{FloatPairs, FloatSpread};
use super::float_sum::{FloatSum, Precision};
use super::listed::ListedValues;
use super::mode::ModeValues;
use super::ordered::OrderedValues;
use super::ranked::RankedValues;
use super::single::SingleValue;
use std::sync::Arc;
use weir_planner::eval::{EvalContext, Tuple};
use weir_planner::plan::{AggregateCall, AggregateKind};
use weir_planner::types::oid;
use weir_planner::value::{NumericSpread, NumericSum};
use weir_planner::{EvalError, Expr, Numeric, Value};

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
    Integer {
        count: i64,
        sum: i128,
    },
    Numeric(Box<NumericSum>),
    Spread(Box<NumericSpread>),
    Float {
        count: i64,
        sum: Box<FloatSum>,
    },
    FloatSpread(Box<FloatSpread>),
    FloatPairs(Box<FloatPairs>),
    Ordered(Box<OrderedValues>),
    Bool {
        trues: i64,
        falses: i64,
    },
    Single(Box<SingleValue>),
    Listed(Box<ListedValues>),
    Ranked(Box<RankedValues>),
    Mode(Box<ModeValues>),
    /// How many values there are, and how many have each bit set.
    Bits {
        count: i64,
        ones: Box<[i64; 64]>,
    },
    Distinct {
        values: Box<DistinctValues>,
        over: Box<Accumulator>,
    },
}

impl Accumulator {
    /// The state of an empty group.
    pub fn new(call: &AggregateCall) -> Accumulator {
        if call.kind.is_listed() {
            let listed = Box::new(ListedValues::new(call));
            return Accumulator { state: State::Listed(listed), failures: None };
        }
        let plain = Accumulator { state: State::plain(call.kind), failures: None };
        // Duplicates do not change these.
        let indifferent = matches!(
            call.kind,
            AggregateKind::Min
                | AggregateKind::Max
                | AggregateKind::BoolAnd
                | AggregateKind::BoolOr
                | AggregateKind::BitAnd
                | AggregateKind::BitOr
        );
        if !call.distinct || indifferent {
            return plain;
        }
        Accumulator { state: State::Distinct { values: Box::default(), over: Box::new(plain) }, failures: None }
    }

    /// The state of an empty group that rows only come to.
    pub fn of_read(call: &AggregateCall) -> Accumulator {
        let mut empty = Accumulator::new(call);
        if let State::Ordered(values) = &mut empty.state {
            **values = OrderedValues::outermost(call.kind == AggregateKind::Max);
        }
        empty
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
        if let State::Listed(listed) = &mut self.state {
            return match listed.update(call, row, weight, context) {
                Ok(()) => {}
                Err(error) => self.fail(error, weight),
            };
        }
        match &call.args[..] {
            [] => self.add_row(weight),
            [y, x] if let State::FloatPairs(_) = &self.state => {
                self.add_pair(&y.eval(row, context), &x.eval(row, context), weight);
            }
            [Expr::Column(index), ..] => self.add(row.get(*index), weight),
            [arg, ..] => self.add(&arg.eval(row, context), weight),
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

    /// Adds both arguments of a statistic over pairs.
    fn add_pair(&mut self, y: &Value, x: &Value, weight: i64) {
        match (y, x, &mut self.state) {
            (Value::Error(error), ..) | (_, Value::Error(error), _) => self.fail(error.clone(), weight),
            (Value::Null, ..) | (_, Value::Null, _) => {}
            (Value::Float8(y), Value::Float8(x), State::FloatPairs(pairs)) => pairs.add(*y, *x, weight),
            _ => self.unexpected(y, weight),
        }
    }

    /// Adds `count` numbers that are not NULL: integers, or mantissas of this display scale, whose sum is `total`. For counts, sums
    /// and averages, not over different values.
    pub fn add_total(&mut self, count: i64, total: i128, dscale: u16) {
        match &mut self.state {
            State::Count(known) => *known += count,
            State::Integer { count: known, sum } => {
                *known += count;
                *sum += total;
            }
            State::Numeric(sum) => sum.add_total(count, total, dscale),
            _ => self.unexpected(&Value::Int8(count), count),
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
            State::Spread(spread) => match value {
                Value::Numeric(numeric) => spread.add(numeric, weight),
                other => match integer(other) {
                    Some(integer) => spread.add_integer(integer, weight),
                    None => self.unexpected(value, weight),
                },
            },
            State::Float { count, sum } => match float(value) {
                Some(float) => {
                    *count += weight;
                    sum.add(float, weight);
                }
                None => self.unexpected(value, weight),
            },
            State::FloatSpread(spread) => match float(value) {
                Some(float) => spread.add(float, weight),
                None => self.unexpected(value, weight),
            },
            State::Ordered(values) => values.add(value, weight),
            State::Ranked(values) => values.add(value, weight),
            State::Mode(values) => values.add(value, weight),
            State::Single(single) => single.add(value, weight),
            State::Bits { count, ones } => match integer(value) {
                Some(integer) => {
                    *count += weight;
                    for (bit, ones) in ones.iter_mut().enumerate() {
                        *ones += weight * (integer >> bit & 1);
                    }
                }
                None => self.unexpected(value, weight),
            },
            // Rows come by `update`, with all their arguments and keys.
            State::Listed(_) | State::FloatPairs(_) => self.unexpected(value, weight),
            State::Bool { trues, falses } => match value {
                Value::Bool(true) => *trues += weight,
                Value::Bool(false) => *falses += weight,
                _ => self.unexpected(value, weight),
            },
            State::Distinct { values, over } => {
                values.add(value, weight, |look, change| over.add_value(look, change));
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
    pub fn result(&mut self, call: &AggregateCall, context: &EvalContext) -> Value {
        if let Some(failures) = &self.failures {
            return Value::Error(failures.example.clone());
        }
        match &mut self.state {
            State::Distinct { values, over } => match call.kind {
                AggregateKind::Count => Value::Int8(values.len()),
                _ if !values.is_settled() => {
                    EvalError::unsettled("an aggregate of distinct values that are one of several looks").into()
                }
                _ => over.result(call, context),
            },
            State::Count(count) => Value::Int8(*count),
            State::Integer { count: 0, .. } => Value::Null,
            State::Integer { sum, .. } => match i64::try_from(*sum) {
                Ok(sum) => Value::Int8(sum),
                Err(_) => EvalError::new("22003", "bigint out of range").into(),
            },
            State::Numeric(sum) => numeric_result(match call.kind {
                AggregateKind::AvgInt | AggregateKind::AvgNumeric => sum.avg(),
                _ => sum.sum(),
            }),
            State::Spread(state) => match call.kind {
                AggregateKind::Spread(spread) => numeric_result(state.value(spread)),
                _ => Value::Null,
            },
            State::FloatSpread(state) => match call.kind {
                AggregateKind::FloatSpread(spread) => state.value(spread),
                _ => Value::Null,
            },
            State::FloatPairs(state) => match call.kind {
                AggregateKind::FloatPairs(statistic) => state.value(statistic),
                _ => Value::Null,
            },
            State::Float { count: 0, .. } => Value::Null,
            State::Float { count, sum } => float_result(sum, *count, call),
            State::Ordered(values) => {
                let extreme = if call.kind == AggregateKind::Min { values.min() } else { values.max() };
                extreme.into()
            }
            State::Single(single) => single.value(),
            State::Listed(listed) => listed.value(call).into(),
            State::Ranked(values) => values.value(call, context).into(),
            State::Mode(values) => values.value(call.order.first().is_some_and(|key| key.descending)).into(),
            State::Bits { count: 0, .. } => Value::Null,
            State::Bits { count, ones } => {
                let is_set = |ones: i64| match call.kind {
                    AggregateKind::BitAnd => ones == *count,
                    AggregateKind::BitOr => ones > 0,
                    _ => ones % 2 != 0,
                };
                let bits = ones.iter().enumerate().filter(|(_, ones)| is_set(**ones));
                of_width(bits.fold(0, |bits, (bit, _)| bits | 1 << bit), call.output.oid)
            }
            State::Bool { trues: 0, falses: 0 } => Value::Null,
            State::Bool { trues, falses } => {
                Value::Bool(if call.kind == AggregateKind::BoolAnd { *falses == 0 } else { *trues > 0 })
            }
        }
    }

    /// Whether the state takes no more room the more rows there are.
    pub fn is_small(kind: AggregateKind) -> bool {
        use AggregateKind::*;
        matches!(
            kind,
            CountRows
                | Count
                | SumInt
                | SumInt8
                | SumNumeric
                | SumFloat
                | AvgInt
                | AvgNumeric
                | AvgFloat
                | BoolAnd
                | BoolOr
        ) || matches!(kind, Spread(_) | FloatSpread(_) | FloatPairs(_))
    }

    /// A copy, of [small](Accumulator::is_small) states.
    pub fn small_copy(&self) -> Option<Accumulator> {
        let state = match &self.state {
            State::Count(count) => State::Count(*count),
            State::Integer { count, sum } => State::Integer { count: *count, sum: *sum },
            State::Numeric(sum) => State::Numeric(sum.clone()),
            State::Spread(spread) => State::Spread(spread.clone()),
            State::Float { count, sum } => State::Float { count: *count, sum: sum.clone() },
            State::FloatSpread(spread) => State::FloatSpread(spread.clone()),
            State::FloatPairs(pairs) => State::FloatPairs(pairs.clone()),
            State::Bool { trues, falses } => State::Bool { trues: *trues, falses: *falses },
            _ => return None,
        };
        let failures = self.failures.as_ref();
        let failures = failures.map(|all| Box::new(Failures { rows: all.rows, example: all.example.clone() }));
        Some(Accumulator { state, failures })
    }

    /// Bytes owned on the heap.
    pub fn heap_size(&self) -> usize {
        match &self.state {
            State::Count(_) | State::Integer { .. } | State::Bool { .. } => 0,
            State::Numeric(sum) => size_of::<NumericSum>() + sum.heap_size(),
            State::Float { sum, .. } => size_of::<FloatSum>() + sum.bytes(),
            State::Spread(spread) => size_of::<NumericSpread>() + spread.heap_size(),
            State::FloatSpread(spread) => size_of::<FloatSpread>() + spread.bytes(),
            State::FloatPairs(pairs) => size_of::<FloatPairs>() + pairs.bytes(),
            State::Ordered(values) => values.bytes(),
            State::Single(single) => size_of::<SingleValue>() + single.bytes(),
            State::Listed(listed) => size_of::<ListedValues>() + listed.bytes(),
            State::Ranked(values) => size_of::<RankedValues>() + values.bytes(),
            State::Mode(values) => size_of::<ModeValues>() + values.bytes(),
            State::Bits { .. } => size_of::<[i64; 64]>(),
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
            AggregateKind::Spread(_) => State::Spread(Box::default()),
            AggregateKind::FloatSpread(_) => State::FloatSpread(Box::default()),
            AggregateKind::FloatPairs(_) => State::FloatPairs(Box::default()),
            AggregateKind::Single => State::Single(Box::default()),
            AggregateKind::BitAnd | AggregateKind::BitOr | AggregateKind::BitXor => {
                State::Bits { count: 0, ones: Box::new([0; 64]) }
            }
            AggregateKind::PercentileCont | AggregateKind::PercentileDisc => State::Ranked(Box::default()),
            AggregateKind::Mode => State::Mode(Box::default()),
            AggregateKind::StringAgg
            | AggregateKind::ArrayAgg
            | AggregateKind::JsonAgg
            | AggregateKind::JsonbAgg
            | AggregateKind::JsonObjectAgg
            | AggregateKind::JsonbObjectAgg => {
                unreachable!("lists need their call's order and are made by Accumulator::new")
            }
            AggregateKind::BoolAnd | AggregateKind::BoolOr => State::Bool { trues: 0, falses: 0 },
        }
    }
}

fn numeric_result(value: Option<Result<Numeric, EvalError>>) -> Value {
    match value {
        None => Value::Null,
        Some(Ok(numeric)) => Value::Numeric(numeric),
        Some(Err(error)) => error.into(),
    }
}

/// The low bits as that integer type, by two's complement.
fn of_width(bits: i64, type_oid: u32) -> Value {
    match type_oid {
        oid::INT2 => Value::Int2(bits as i16),
        oid::INT4 => Value::Int4(bits as i32),
        _ => Value::Int8(bits),
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

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float8(float) => Some(*float),
        Value::Float4(float) => Some(f64::from(*float)),
        _ => None,
    }
}

/// `float8_avg`, `float8pl`, `float4pl`: a finite input that overflows is an error, an infinite one is not.
fn float_result(sum: &FloatSum, count: i64, call: &AggregateCall) -> Value {
    let value = if call.kind == AggregateKind::AvgFloat {
        sum.average(count).map(Value::Float8)
    } else if call.output.oid == oid::FLOAT4 {
        sum.value(Precision::Single).map(|sum| Value::Float4(sum as f32))
    } else {
        sum.value(Precision::Double).map(Value::Float8)
    };
    value.into()
}
