//! Timestamps: arithmetic with intervals, casts, precision, the transaction's clock (timestamp.c).

use super::define::strict_functions;
use super::interval::is_infinite_interval;
use super::zone::{instant, local_of, session_zone};
use crate::datetime::{
    Civil, MICROS_PER_DAY, Zone, civil_from_days, days_from_civil, days_in_month, is_infinite_date,
    is_infinite_timestamp, is_valid_timestamp, split_timestamp,
};
use crate::eval::EvalContext;
use crate::parse::round_to_precision;
use crate::value;
use crate::value::EvalError;
use crate::value::Value::{self, *};

#[cold]
pub(super) fn timestamp_out_of_range() -> EvalError {
    EvalError::datetime_overflow("timestamp out of range")
}

/// The final check of every result.
pub(super) fn valid(micros: Option<i64>) -> Result<i64, EvalError> {
    micros.filter(|micros| is_valid_timestamp(*micros)).ok_or_else(timestamp_out_of_range)
}

/// Midnight of a date; error 22008 beyond the range of timestamps.
pub(super) fn timestamp_of(days: i32) -> Result<i64, EvalError> {
    match days {
        i32::MIN => Ok(i64::MIN),
        i32::MAX => Ok(i64::MAX),
        _ => (days as i64)
            .checked_mul(MICROS_PER_DAY)
            .filter(|micros| is_valid_timestamp(*micros))
            .ok_or_else(|| EvalError::datetime_overflow("date out of range for timestamp")),
    }
}

/// The day a timestamp is in.
pub(super) fn date_of(micros: i64) -> i32 {
    match micros {
        i64::MIN => i32::MIN,
        i64::MAX => i32::MAX,
        _ => micros.div_euclid(MICROS_PER_DAY) as i32,
    }
}

/// `timestamp_pl_interval`: months first (the day is cut to the month's length), then days, then time.
pub(super) fn add_interval(micros: i64, interval: &value::Interval) -> Result<i64, EvalError> {
    refuse_infinite_interval(interval)?;
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let shifted = valid(add_days(valid(add_months(micros, interval.months))?, interval.days))?;
    valid(shifted.checked_add(interval.micros))
}

fn add_months(micros: i64, months: i32) -> Option<i64> {
    if months == 0 {
        return Some(micros);
    }
    let (days, clock) = split_timestamp(micros);
    let civil = civil_from_days(days);
    let counted = civil.year * 12 + civil.month - 1 + months as i64;
    let (year, month) = (counted.div_euclid(12), counted.rem_euclid(12) + 1);
    let day = civil.day.min(days_in_month(year, month));
    days_from_civil(Civil { year, month, day }).checked_mul(MICROS_PER_DAY)?.checked_add(clock)
}

fn add_days(micros: i64, days: i32) -> Option<i64> {
    (days as i64).checked_mul(MICROS_PER_DAY)?.checked_add(micros)
}

/// `timestamptz_pl_interval`: months and days in local time, the rest in absolute time.
pub(super) fn add_interval_in_zone(
    micros: i64,
    interval: &value::Interval,
    ctx: &EvalContext,
) -> Result<i64, EvalError> {
    refuse_infinite_interval(interval)?;
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let mut at = micros;
    if interval.months != 0 || interval.days != 0 {
        let zone = session_zone(ctx)?;
        // Each step goes to local time and back, as Postgres does: a gap may move the first result.
        if interval.months != 0 {
            at = moved(&zone, at, |local| add_months(local, interval.months))?;
        }
        if interval.days != 0 {
            at = moved(&zone, at, |local| add_days(local, interval.days))?;
        }
    }
    valid(at.checked_add(interval.micros))
}

/// Moves an instant in local time. Beyond the range of timestamps it is left to Postgres to say what is wrong.
fn moved(zone: &Zone, at: i64, shift: impl Fn(i64) -> Option<i64>) -> Result<i64, EvalError> {
    let local = shift(local_of(zone, at)?).ok_or_else(|| EvalError::unsupported("a timestamp far out of range"))?;
    instant(zone, local)
}

/// Infinite intervals exist from 17 on.
fn refuse_infinite_interval(interval: &value::Interval) -> Result<(), EvalError> {
    if is_infinite_interval(interval) { Err(EvalError::unsupported("an infinite interval")) } else { Ok(()) }
}

/// For subtraction.
pub(super) fn negated(interval: &value::Interval) -> Result<value::Interval, EvalError> {
    let parts = (interval.months.checked_neg(), interval.days.checked_neg(), interval.micros.checked_neg());
    match parts {
        (Some(months), Some(days), Some(micros)) => Ok(value::Interval { months, days, micros }),
        _ => Err(EvalError::unsupported("subtraction of an interval at the end of its range")),
    }
}

/// `timestamp_mi`: whole days and time, no months.
fn difference(a: i64, b: i64) -> Result<Value, EvalError> {
    if is_infinite_timestamp(a) || is_infinite_timestamp(b) {
        return Err(EvalError::unsupported("subtraction of infinite timestamps"));
    }
    let micros = a.checked_sub(b).ok_or_else(|| EvalError::unsupported("difference of distant timestamps"))?;
    Ok(Value::interval(0, (micros / MICROS_PER_DAY) as i32, micros % MICROS_PER_DAY))
}

/// `timestamp_scale`, `timestamptz_scale`.
fn to_precision(micros: i64, precision: i32) -> Result<i64, EvalError> {
    if is_infinite_timestamp(micros) { Ok(micros) } else { Ok(round_to_precision(micros, precision)) }
}

fn time_of(micros: i64) -> Value {
    if is_infinite_timestamp(micros) { Null } else { Time(split_timestamp(micros).1) }
}

strict_functions! {
    "timestamp_pl_interval" (&Timestamp(a), Interval(b)) => add_interval(a, b).map(Timestamp);
    "timestamp_mi_interval" (&Timestamp(a), Interval(b)) => add_interval(a, &negated(b)?).map(Timestamp);
    "timestamptz_pl_interval" (&TimestampTz(a), Interval(b)) uses TIME_ZONE in ctx =>
        add_interval_in_zone(a, b, ctx).map(TimestampTz);
    "timestamptz_mi_interval" (&TimestampTz(a), Interval(b)) uses TIME_ZONE in ctx =>
        add_interval_in_zone(a, &negated(b)?, ctx).map(TimestampTz);
    "timestamp_mi" (&Timestamp(a) | &TimestampTz(a), &Timestamp(b) | &TimestampTz(b)) => difference(a, b);
    "timestamp_scale" (&Timestamp(a), &Int4(precision)) => to_precision(a, precision).map(Timestamp);
    "timestamptz_scale" (&TimestampTz(a), &Int4(precision)) => to_precision(a, precision).map(TimestampTz);
    "timestamp_date" (&Timestamp(a)) => Ok(Date(date_of(a)));
    "timestamp_time" (&Timestamp(a)) => Ok(time_of(a));
    "timestamp_finite" (&Timestamp(a) | &TimestampTz(a)) => Ok(Bool(!is_infinite_timestamp(a)));
    "date_finite" (&Date(a)) => Ok(Bool(!is_infinite_date(a)));
    "now" () uses CLOCK in ctx => Ok(TimestampTz(ctx.now_micros));
}
