//! `in_range` of the btree operator classes: whether `value` lies within `offset` of `base` (`in_range_int4_int4`,
//! `in_range_numeric_numeric`, `in_range_timestamp_interval` and relatives).

use weir_planner::eval::EvalContext;
use weir_planner::functions::lookup;
use weir_planner::value::{compare, compare_floats};
use weir_planner::{EvalError, Value};

/// The sum is `base - offset` with `sub`, else `base + offset`; true when `value` is not beyond it (`less`), or not
/// before it. None of the three is NULL and the offset is not negative.
pub(super) fn in_range(
    value: &Value,
    base: &Value,
    offset: &Value,
    sub: bool,
    less: bool,
    context: &EvalContext,
) -> Result<bool, EvalError> {
    let keeps = |order: std::cmp::Ordering| if less { order.is_le() } else { order.is_ge() };
    // Sums beyond 64 bits are beyond every value, as Postgres decides on overflow.
    if let (Some(value), Some(base), Some(offset)) = (integer(value), integer(base), integer(offset)) {
        return Ok(keeps(value.cmp(&if sub { base - offset } else { base + offset })));
    }
    if let (Some(value), Some(base), Some(offset)) = (float(value), float(base), float(offset)) {
        // NaN equals itself and is beyond all others; opposite infinities would make a sum of nothing.
        if value.is_nan() || base.is_nan() {
            return Ok(keeps(compare_floats(value, base)));
        }
        if offset.is_infinite() && base.is_infinite() && (if sub { base > 0.0 } else { base < 0.0 }) {
            return Ok(true);
        }
        return Ok(keeps(compare_floats(value, if sub { base - offset } else { base + offset })));
    }
    let sum = match (base, offset) {
        (Value::Numeric(base_number), Value::Numeric(offset)) => {
            let is_nan = |value: &Value| matches!(value, Value::Numeric(number) if number.is_nan());
            if is_nan(value) || base_number.is_nan() {
                return Ok(keeps(compare(value, base)));
            }
            let opposite = if sub { base_number.signum() > 0 } else { base_number.signum() < 0 };
            if !offset.is_finite() && !base_number.is_finite() && opposite {
                return Ok(true);
            }
            Value::Numeric(if sub { base_number.sub(offset)? } else { base_number.add(offset)? })
        }
        (Value::Date(_), Value::Interval(_)) => {
            let nothing = Value::interval(0, 0, 0);
            let midnight = |date: &Value| called("date_pl_interval", &[date, &nothing], context);
            let (value, base) = (midnight(value)?, midnight(base)?);
            return in_range(&value, &base, offset, sub, less, context);
        }
        (Value::Timestamp(_), Value::Interval(_)) => {
            called(if sub { "timestamp_mi_interval" } else { "timestamp_pl_interval" }, &[base, offset], context)?
        }
        (Value::TimestampTz(_), Value::Interval(_)) => {
            called(if sub { "timestamptz_mi_interval" } else { "timestamptz_pl_interval" }, &[base, offset], context)?
        }
        _ => return Err(EvalError::unsupported("RANGE with an offset of these types")),
    };
    Ok(keeps(compare(value, &sum)))
}

/// The offset is below zero, or no number.
pub(super) fn is_negative(offset: &Value) -> bool {
    match offset {
        Value::Numeric(number) => number.is_nan() || number.signum() < 0,
        Value::Interval(interval) => interval.span() < 0,
        other => integer(other).is_some_and(|n| n < 0) || float(other).is_some_and(|n| n.is_nan() || n < 0.0),
    }
}

fn called(symbol: &str, args: &[&Value], context: &EvalContext) -> Result<Value, EvalError> {
    match lookup(symbol) {
        Some(function) => (function.eval)(args, context),
        None => Err(EvalError::unsupported(format!("RANGE with an offset needs {symbol}"))),
    }
}

fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Int2(n) => Some((*n).into()),
        Value::Int4(n) => Some((*n).into()),
        Value::Int8(n) => Some((*n).into()),
        _ => None,
    }
}

fn float(value: &Value) -> Option<f64> {
    match value {
        Value::Float4(n) => Some((*n).into()),
        Value::Float8(n) => Some(*n),
        _ => None,
    }
}
