//! Dates, times and intervals made of their parts (`make_timestamp`, `make_time`, `make_interval`), and `age`.
//!
//! What Postgres refuses is left to it.

use super::define::strict_functions;
use super::timestamp::valid;
use super::zone::{instant, local_instant, local_of, named_zone, session_zone};
use crate::datetime::{
    Civil, Clock, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, civil_from_days,
    days_from_civil, days_in_month, is_infinite_timestamp, split_timestamp,
};
use crate::eval::EvalContext;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// The last year that is tried; the range of timestamps ends in it.
const LAST_YEAR: i32 = 294_276;
const DAYS_PER_WEEK: i32 = 7;
const MONTHS_PER_YEAR: i32 = 12;

#[cold]
fn refused(what: &'static str) -> EvalError {
    EvalError::unsupported(what)
}

/// A time of day; 24:00 is one.
fn time_of(hour: i32, minute: i32, second: f64) -> Result<i64, EvalError> {
    let fields = (0..=24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&second);
    if fields {
        let micros = (second * MICROS_PER_SECOND as f64).round_ties_even() as i64;
        let time = hour as i64 * MICROS_PER_HOUR + minute as i64 * MICROS_PER_MINUTE + micros;
        if time <= MICROS_PER_DAY {
            return Ok(time);
        }
    }
    Err(refused("fields that are no time of day"))
}

/// Year, month, day, hour, minute.
type Parts = (i32, i32, i32, i32, i32);

/// `make_timestamp_internal`. Years before Christ are read in their own way by each version.
fn timestamp_of((year, month, day, hour, minute): Parts, second: f64) -> Result<i64, EvalError> {
    let months = (1..=LAST_YEAR).contains(&year) && (1..=12).contains(&month);
    if !months || day < 1 || day as i64 > days_in_month(year.into(), month.into()) {
        return Err(refused("fields that are no date after Christ"));
    }
    let days = days_from_civil(Civil { year: year.into(), month: month.into(), day: day.into() });
    let time = time_of(hour, minute, second)?;
    valid(Some(days * MICROS_PER_DAY + time)).map_err(|_| refused("fields beyond the range of timestamps"))
}

fn in_zone(parts: Parts, second: f64, zone: &str) -> Result<Value, EvalError> {
    let local = timestamp_of(parts, second)?;
    instant(&named_zone(zone)?, local).map(TimestampTz)
}

/// `make_interval`; up to 16 its sums wrap round.
fn interval_of(years: i32, months: i32, weeks: i32, days: i32, time: (i32, i32, f64)) -> Result<Value, EvalError> {
    let (hours, minutes, seconds) = time;
    let months = years.checked_mul(MONTHS_PER_YEAR).and_then(|years| years.checked_add(months));
    let days = weeks.checked_mul(DAYS_PER_WEEK).and_then(|weeks| weeks.checked_add(days));
    let micros = (seconds * MICROS_PER_SECOND as f64).round_ties_even();
    // Not at the end of 64 bits, where rounding decides.
    let micros = (micros.abs() < 9.2e18).then(|| {
        let (hours, minutes) = (hours as i64 * MICROS_PER_HOUR, minutes as i64 * MICROS_PER_MINUTE);
        (hours + minutes).checked_add(micros as i64)
    });
    match (months, days, micros.flatten()) {
        (Some(months), Some(days), Some(micros)) => Ok(Value::interval(months, days, micros)),
        _ => Err(refused("make_interval beyond its range")),
    }
}

/// `timestamp_age`: the difference in years, months, days and time. Days that are borrowed are those of the month that the
/// earlier of the two is in. `forward` is whether the first is not earlier than the second.
fn age(first: i64, second: i64, forward: bool) -> Result<Value, EvalError> {
    if is_infinite_timestamp(first) || is_infinite_timestamp(second) {
        return Err(refused("age of infinite timestamps"));
    }
    let fields = |at: i64| {
        let (days, time) = split_timestamp(at);
        (civil_from_days(days), Clock::from_micros(time))
    };
    let ((later, later_time), (earlier, earlier_time)) =
        if forward { (fields(first), fields(second)) } else { (fields(second), fields(first)) };
    let mut micros = later_time.to_micros() - earlier_time.to_micros();
    let mut days = later.day - earlier.day;
    let mut months = (later.year - earlier.year) * 12 + later.month - earlier.month;
    while micros < 0 {
        micros += MICROS_PER_DAY;
        days -= 1;
    }
    while days < 0 {
        days += days_in_month(earlier.year, earlier.month);
        months -= 1;
    }
    // Only where local times run against the instants they stand for.
    if months < 0 {
        return Err(refused("age across a change of the zone's offset"));
    }
    let sign = if forward { 1 } else { -1 };
    Ok(Value::interval((sign * months) as i32, (sign * days) as i32, sign * micros))
}

fn age_in_zone(first: i64, second: i64, ctx: &EvalContext) -> Result<Value, EvalError> {
    let zone = session_zone(ctx)?;
    age(local_of(&zone, first)?, local_of(&zone, second)?, first >= second)
}

strict_functions! {
    "make_timestamp" (&Int4(y), &Int4(m), &Int4(d), &Int4(hour), &Int4(minute), &Float8(second)) =>
        timestamp_of((y, m, d, hour, minute), second).map(Timestamp);
    "make_timestamptz" (&Int4(y), &Int4(m), &Int4(d), &Int4(hour), &Int4(minute), &Float8(second)) uses TIME_ZONE in ctx =>
        local_instant(timestamp_of((y, m, d, hour, minute), second)?, ctx).map(TimestampTz);
    "make_timestamptz_at_timezone"
        (&Int4(y), &Int4(m), &Int4(d), &Int4(hour), &Int4(minute), &Float8(second), Text(zone)) =>
        in_zone((y, m, d, hour, minute), second, zone);
    "make_time" (&Int4(hour), &Int4(minute), &Float8(second)) => time_of(hour, minute, second).map(Time);
    "make_interval"
        (&Int4(y), &Int4(m), &Int4(weeks), &Int4(days), &Int4(hours), &Int4(minutes), &Float8(seconds)) =>
        interval_of(y, m, weeks, days, (hours, minutes, seconds));
    "timestamp_age" (&Timestamp(a), &Timestamp(b)) => age(a, b, a >= b);
    "timestamptz_age" (&TimestampTz(a), &TimestampTz(b)) uses TIME_ZONE in ctx => age_in_zone(a, b, ctx);
}
