//! `now() - key < interval`, `CURRENT_DATE - key < days` and their mirror images, as comparisons of the key.
//!
//! Intervals are compared by their length with days of 24 hours and months of 30 days (`interval_cmp_value`), and the
//! difference of two timestamps has that of the microseconds between them: so both sides are numbers, and the key can stand
//! alone exactly.

use super::bound::{Comparison, TimeBound};
use super::{is_time, reads_clock};
use crate::datetime::{MICROS_PER_DAY, is_infinite_date, is_infinite_timestamp};
use crate::eval::{EvalContext, Tuple};
use crate::expr::Expr;
use crate::functions::{Function, lookup};
use crate::settings::SettingSet;
use crate::value::{EvalError, Value};

/// The value unless it is an infinity, of which Postgres makes an error or an infinite interval, by its version.
static FINITE: Function = Function {
    symbol: "finite time",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args: &[&Value], _: &EvalContext| {
        let infinite = match args[0] {
            Value::Date(days) => is_infinite_date(*days),
            Value::Timestamp(micros) | Value::TimestampTz(micros) => is_infinite_timestamp(*micros),
            _ => true,
        };
        if infinite { Err(EvalError::unsupported("subtraction of infinite times")) } else { Ok(args[0].clone()) }
    },
};

/// The comparison of these two sides by the function of that symbol, if one is such a difference and the other a constant.
pub(super) fn bound(symbol: &str, left: &Expr, right: &Expr) -> Option<TimeBound> {
    let name = symbol.strip_prefix("interval_").or_else(|| symbol.strip_prefix("int4"))?;
    let comparison = Comparison::of(name)?;
    match (left, right) {
        (Expr::Call { function, args }, Expr::Const(length)) => of(comparison, function.symbol, args, length),
        (Expr::Const(length), Expr::Call { function, args }) => {
            of(comparison.commuted(), function.symbol, args, length)
        }
        _ => None,
    }
}

/// `minuend - subtrahend comparison length`.
fn of(comparison: Comparison, symbol: &str, args: &[Expr], length: &Value) -> Option<TimeBound> {
    let [minuend, subtrahend] = args else { return None };
    let is_key = |expr: &Expr| !reads_clock(expr);
    let (time, key, is_time_first) = match () {
        () if is_time(minuend) && is_key(subtrahend) => (minuend, subtrahend, true),
        () if is_key(minuend) && is_time(subtrahend) => (subtrahend, minuend, false),
        () => return None,
    };
    let (backward, forward, by) = match (symbol, kind(time)?, length) {
        ("timestamp_mi", Value::TimestampTz(_), Value::Interval(_)) => {
            ("timestamptz_mi_interval", "timestamptz_pl_interval", micros(length)?)
        }
        ("timestamp_mi", Value::Timestamp(_), Value::Interval(_)) => {
            ("timestamp_mi_interval", "timestamp_pl_interval", micros(length)?)
        }
        ("date_mi", Value::Date(_), Value::Int4(_)) => ("date_mii", "date_pli", length.clone()),
        _ => return None,
    };
    // time - key < length is key > time - length; key - time < length is key < time + length.
    let (shift, comparison) = if is_time_first { (backward, comparison.commuted()) } else { (forward, comparison) };
    let time = Expr::Call { function: lookup(shift)?, args: vec![time.clone(), Expr::Const(by)] };
    Some(TimeBound { key: Expr::Call { function: &FINITE, args: vec![key.clone()] }, comparison, time })
}

/// A value of the type of this time.
fn kind(time: &Expr) -> Option<Value> {
    let value = time.eval(Tuple::single(&[]), &EvalContext::default());
    TimeBound::point(&value).map(|_| value)
}

/// The same length in microseconds alone.
fn micros(length: &Value) -> Option<Value> {
    let Value::Interval(length) = length else { return None };
    let days = i64::from(length.months) * 30 + i64::from(length.days);
    let micros = days.checked_mul(MICROS_PER_DAY)?.checked_add(length.micros)?;
    // Infinite ones, of 17 and later, are at the ends of their range.
    (micros.unsigned_abs() < i64::MAX as u64 / 16).then(|| Value::interval(0, 0, micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(symbol: &str, args: Vec<Expr>) -> Expr {
        Expr::Call { function: lookup(symbol).expect(symbol), args }
    }

    /// Every form says of every key what the comparison of the difference says.
    #[test]
    fn a_difference_is_compared_as_the_key_is() {
        let now_micros = 800_000_000_000_000;
        let context = EvalContext { now_micros, ..EvalContext::default() };
        let now = || call("now", vec![]);
        let lengths = [(0, 0, 5), (0, 1, 0), (1, -3, 7), (0, -1, 0)].map(|(months, days, micros)| {
            let length = Value::interval(months, days, micros);
            let Some(Value::Interval(in_micros)) = super::micros(&length) else { panic!("a finite length") };
            (length, in_micros.micros)
        });
        for name in ["lt", "le", "eq", "ge", "gt"] {
            for (length, micros) in &lengths {
                let interval = || Expr::Const(length.clone());
                let symbol = format!("interval_{name}");
                let forms = [
                    call(&symbol, vec![call("timestamp_mi", vec![now(), Expr::Column(0)]), interval()]),
                    call(&symbol, vec![call("timestamp_mi", vec![Expr::Column(0), now()]), interval()]),
                    call(&symbol, vec![interval(), call("timestamp_mi", vec![now(), Expr::Column(0)])]),
                ];
                for form in forms {
                    let bound = TimeBound::of(&form).expect("a bound");
                    for near in [now_micros - micros, now_micros + micros] {
                        for key in [near - 1, near, near + 1] {
                            let row = [Value::TimestampTz(key)];
                            let point = |expr: &Expr| TimeBound::point(&expr.eval(Tuple::single(&row), &context));
                            let (key, time) = (point(&bound.key).unwrap(), point(&bound.time).unwrap());
                            let ours = match bound.comparison {
                                Comparison::Less => key < time,
                                Comparison::LessOrEqual => key <= time,
                                Comparison::Equal => key == time,
                                Comparison::GreaterOrEqual => key >= time,
                                Comparison::Greater => key > time,
                            };
                            assert_eq!(form.eval(Tuple::single(&row), &context), Value::Bool(ours), "{form:?} {key}");
                        }
                    }
                }
            }
        }
        let days = call(
            "int4le",
            vec![
                call("date_mi", vec![call("timestamptz_date", vec![now()]), Expr::Column(0)]),
                Expr::Const(Value::Int4(7)),
            ],
        );
        let bound = TimeBound::of(&days).expect("a bound");
        assert_eq!(
            (bound.comparison, TimeBound::point(&bound.time.eval(Tuple::single(&[]), &context))),
            (Comparison::GreaterOrEqual, Some(9_252))
        );
        let infinite = [Value::Date(i32::MAX)];
        assert!(bound.key.eval(Tuple::single(&infinite), &context).is_error());
    }
}
