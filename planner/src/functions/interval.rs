//! Intervals: arithmetic field by field (timestamp.c).

use super::define::strict_functions;
use crate::datetime::{MICROS_PER_DAY, MICROS_PER_SECOND};
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

/// `DAYS_PER_MONTH`.
const DAYS_PER_MONTH: f64 = 30.0;
const MONTH_DAYS: i32 = 30;
/// `SECS_PER_DAY`.
const SECONDS_PER_DAY: f64 = 86_400.0;

/// Images that 17 and later read as infinities.
pub(super) fn is_infinite_interval(interval: &value::Interval) -> bool {
    matches!(
        *interval,
        value::Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX }
            | value::Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN }
    )
}

#[cold]
fn out_of_range() -> EvalError {
    EvalError::datetime_overflow("interval out of range")
}

pub(super) fn finite(interval: &value::Interval) -> Result<&value::Interval, EvalError> {
    if is_infinite_interval(interval) { Err(EvalError::unsupported("an infinite interval")) } else { Ok(interval) }
}

/// A result from checked fields.
fn checked(months: Option<i32>, days: Option<i32>, micros: Option<i64>) -> Result<Value, EvalError> {
    match (months, days, micros) {
        (Some(months), Some(days), Some(micros)) => {
            finite(&value::Interval { months, days, micros })?;
            Ok(Value::interval(months, days, micros))
        }
        _ => Err(out_of_range()),
    }
}

fn add(a: &value::Interval, b: &value::Interval) -> Result<Value, EvalError> {
    let (a, b) = (finite(a)?, finite(b)?);
    checked(a.months.checked_add(b.months), a.days.checked_add(b.days), a.micros.checked_add(b.micros))
}

fn subtract(a: &value::Interval, b: &value::Interval) -> Result<Value, EvalError> {
    let (a, b) = (finite(a)?, finite(b)?);
    checked(a.months.checked_sub(b.months), a.days.checked_sub(b.days), a.micros.checked_sub(b.micros))
}

fn negate(a: &value::Interval) -> Result<Value, EvalError> {
    let a = finite(a)?;
    checked(a.months.checked_neg(), a.days.checked_neg(), a.micros.checked_neg())
}

/// `TSROUND`: to microseconds, so that binary fractions do not leak into lower fields.
fn round_micros(seconds: f64) -> f64 {
    (seconds * 1e6).round_ties_even() / 1e6
}

/// Truncates towards zero into 32 bits (`FLOAT8_FITS_IN_INT32`: a fraction above the largest is let through, one below the least
/// is not).
fn whole(value: f64) -> Option<i32> {
    (value >= i32::MIN as f64 && value < -(i32::MIN as f64)).then_some(value as i32)
}

/// `interval_mul` and `interval_div`: fractions of months cascade into days, of days into time; never upwards.
/// `scale` multiplies or divides by the factor, whichever was asked for, so that rounding is the same.
fn scaled(interval: &value::Interval, scale: impl Fn(f64) -> f64) -> Result<Value, EvalError> {
    let interval = finite(interval)?;
    let scaled_months = scale(interval.months as f64);
    let scaled_days = scale(interval.days as f64);
    let (Some(months), Some(mut days)) = (whole(scaled_months), whole(scaled_days)) else {
        return Err(out_of_range());
    };
    let month_rest = round_micros((scaled_months - months as f64) * DAYS_PER_MONTH);
    let mut seconds = round_micros((scaled_days - days as f64 + month_rest - month_rest.trunc()) * SECONDS_PER_DAY);
    if seconds.abs() >= SECONDS_PER_DAY {
        let carried = (seconds / SECONDS_PER_DAY).trunc();
        days = days.checked_add(carried as i32).ok_or_else(out_of_range)?;
        seconds -= carried * SECONDS_PER_DAY;
    }
    let days = days.checked_add(month_rest as i32).ok_or_else(out_of_range)?;
    let micros = (scale(interval.micros as f64) + seconds * MICROS_PER_SECOND as f64).round_ties_even();
    // Both bounds are exact powers of two.
    if !(micros >= i64::MIN as f64 && micros < -(i64::MIN as f64)) {
        return Err(out_of_range());
    }
    checked(Some(months), Some(days), Some(micros as i64))
}

fn divide(interval: &value::Interval, divisor: f64) -> Result<Value, EvalError> {
    if divisor == 0.0 { Err(EvalError::division_by_zero()) } else { scaled(interval, |field| field / divisor) }
}

/// `interval_justify_hours`.
fn justify_hours(a: &value::Interval) -> Result<Value, EvalError> {
    let a = finite(a)?;
    let mut days = a.days as i64 + a.micros / MICROS_PER_DAY;
    let mut micros = a.micros % MICROS_PER_DAY;
    if days > 0 && micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    } else if days < 0 && micros > 0 {
        micros -= MICROS_PER_DAY;
        days += 1;
    }
    // Before 15 the days wrap round, later that is an error.
    let days = i32::try_from(days).map_err(|_| EvalError::unsupported("an interval of so many days"))?;
    checked(Some(a.months), Some(days), Some(micros))
}

/// Months with those that days make. Before 15 they wrap round beyond 32 bits, later that is an error.
fn with_months(months: i32, days: i32) -> Result<i32, EvalError> {
    months.checked_add(days / MONTH_DAYS).ok_or_else(|| EvalError::unsupported("an interval of so many months"))
}

/// `interval_justify_days`: thirty days make a month.
fn justify_days(a: &value::Interval) -> Result<Value, EvalError> {
    let a = finite(a)?;
    let mut months = with_months(a.months, a.days)?;
    let mut days = a.days % MONTH_DAYS;
    if months > 0 && days < 0 {
        (months, days) = (months - 1, days + MONTH_DAYS);
    } else if months < 0 && days > 0 {
        (months, days) = (months + 1, days - MONTH_DAYS);
    }
    checked(Some(months), Some(days), Some(a.micros))
}

/// `interval_justify_interval`: both at once, all fields of one sign.
fn justify_interval(a: &value::Interval) -> Result<Value, EvalError> {
    let a = finite(a)?;
    let mut micros = a.micros % MICROS_PER_DAY;
    let whole = a.days as i64 + a.micros / MICROS_PER_DAY;
    // Servers before 15 add these in 32 bits.
    let whole = i32::try_from(whole).map_err(|_| EvalError::unsupported("an interval of so many days"))?;
    let mut months = with_months(a.months, whole)?;
    let mut days = whole % MONTH_DAYS;
    if months > 0 && (days < 0 || (days == 0 && micros < 0)) {
        (months, days) = (months - 1, days + MONTH_DAYS);
    } else if months < 0 && (days > 0 || (days == 0 && micros > 0)) {
        (months, days) = (months + 1, days - MONTH_DAYS);
    }
    if days > 0 && micros < 0 {
        (days, micros) = (days - 1, micros + MICROS_PER_DAY);
    } else if days < 0 && micros > 0 {
        (days, micros) = (days + 1, micros - MICROS_PER_DAY);
    }
    checked(Some(months), Some(days), Some(micros))
}

strict_functions! {
    "interval_pl" (Interval(a), Interval(b)) => add(a, b);
    "interval_mi" (Interval(a), Interval(b)) => subtract(a, b);
    "interval_um" (Interval(a)) => negate(a);
    "interval_mul" (Interval(a), &Float8(factor)) => scaled(a, |field| field * factor);
    "mul_d_interval" (&Float8(factor), Interval(a)) => scaled(a, |field| field * factor);
    "interval_div" (Interval(a), &Float8(divisor)) => divide(a, divisor);
    "interval_justify_hours" (Interval(a)) => justify_hours(a);
    "interval_justify_days" (Interval(a)) => justify_days(a);
    "interval_justify_interval" (Interval(a)) => justify_interval(a);
    "interval_finite" (Interval(a)) => Ok(Bool(finite(a).is_ok()));
}
