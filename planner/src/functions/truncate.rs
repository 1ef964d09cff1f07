//! date_trunc (`timestamp_trunc`, `timestamptz_trunc`, `interval_trunc`) and date_bin.

use super::define::strict_functions;
use super::interval::is_infinite_interval;
use super::time_unit::{Unit, unit};
use super::timestamp::valid;
use super::zone::{instant, local_of, named_zone, session_zone};
use crate::datetime::{
    Civil, MICROS_PER_DAY, MICROS_PER_HOUR, MICROS_PER_MINUTE, MICROS_PER_SECOND, Zone, civil_from_days,
    days_from_civil, is_infinite_timestamp, split_timestamp,
};
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

#[cold]
fn no_such_unit(unit: Unit) -> EvalError {
    EvalError::unsupported(format!("truncation to {unit:?}"))
}

/// Length of a unit below the day.
fn clock_unit(unit: Unit) -> Option<i64> {
    Some(match unit {
        Unit::Microseconds => 1,
        Unit::Milliseconds => 1_000,
        Unit::Second => MICROS_PER_SECOND,
        Unit::Minute => MICROS_PER_MINUTE,
        Unit::Hour => MICROS_PER_HOUR,
        _ => return None,
    })
}

/// First day of the unit that a day is in. Years here are astronomical; the formulas are those of
/// `timestamp_trunc`, which start centuries and millennia at 1 and decades at 0.
fn first_day(days: i64, unit: Unit) -> Result<i64, EvalError> {
    let Civil { year, month, .. } = civil_from_days(days);
    let first = |year, month| days_from_civil(Civil { year, month, day: 1 });
    Ok(match unit {
        Unit::Day => days,
        // 2000-01-01 was a Saturday, the sixth day of a week that begins on Monday.
        Unit::Week => days - (days + 5).rem_euclid(7),
        Unit::Month => first(year, month),
        Unit::Quarter => first(year, (month - 1) / 3 * 3 + 1),
        Unit::Year => first(year, 1),
        Unit::Decade => first(if year > 0 { year / 10 * 10 } else { -((8 - (year - 1)) / 10) * 10 }, 1),
        Unit::Century => {
            first(if year > 0 { (year + 99) / 100 * 100 - 99 } else { -((99 - (year - 1)) / 100) * 100 + 1 }, 1)
        }
        Unit::Millennium => {
            first(if year > 0 { (year + 999) / 1000 * 1000 - 999 } else { -((999 - (year - 1)) / 1000) * 1000 + 1 }, 1)
        }
        other => return Err(no_such_unit(other)),
    })
}

/// `timestamp_trunc`.
fn truncate(micros: i64, unit: Unit) -> Result<i64, EvalError> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    valid(Some(truncate_finite(micros, unit)?))
}

fn truncate_finite(micros: i64, unit: Unit) -> Result<i64, EvalError> {
    match clock_unit(unit) {
        Some(length) => Ok(micros - micros.rem_euclid(length)),
        None => Ok(first_day(split_timestamp(micros).0, unit)? * MICROS_PER_DAY),
    }
}

/// `timestamptz_trunc_internal`: below the day the offset of the given moment is kept; from the day up the
/// offset at the result counts.
fn truncate_in_zone(micros: i64, unit: Unit, zone: &Zone) -> Result<i64, EvalError> {
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    let local = local_of(zone, micros)?;
    let truncated = truncate_finite(local, unit)?;
    if clock_unit(unit).is_some() { valid(micros.checked_sub(local - truncated)) } else { instant(zone, truncated) }
}

/// `timestamp_bin`: the start of the stride-long bin, counted from the origin, that the timestamp is in.
fn bin(stride: &value::Interval, micros: i64, origin: i64) -> Result<i64, EvalError> {
    if is_infinite_interval(stride) {
        return Err(EvalError::unsupported("an infinite interval"));
    }
    if is_infinite_timestamp(micros) {
        return Ok(micros);
    }
    if is_infinite_timestamp(origin) {
        return Err(EvalError::datetime_overflow("origin out of range"));
    }
    if stride.months != 0 {
        return Err(EvalError::new("0A000", "timestamps cannot be binned into intervals containing months or years"));
    }
    let length = (stride.days as i64)
        .checked_mul(MICROS_PER_DAY)
        .and_then(|days| days.checked_add(stride.micros))
        .ok_or_else(|| EvalError::unsupported("a very long stride"))?;
    if length <= 0 {
        return Err(EvalError::datetime_overflow("stride must be greater than zero"));
    }
    let distance = micros.checked_sub(origin).ok_or_else(|| EvalError::unsupported("distant timestamps"))?;
    distance
        .checked_sub(distance.rem_euclid(length))
        .and_then(|whole_bins| origin.checked_add(whole_bins))
        // Some releases raise an error here, others let the sum wrap round to the right bin.
        .ok_or_else(|| EvalError::unsupported("a bin that lies far from its origin"))
        .and_then(|start| valid(Some(start)).map_err(|_| EvalError::unsupported("a bin that starts out of range")))
}

/// `interval_trunc`: lower fields become zero.
fn truncate_interval(interval: &value::Interval, unit: Unit) -> Result<Value, EvalError> {
    if is_infinite_interval(interval) {
        return Err(EvalError::unsupported("an infinite interval"));
    }
    if let Some(length) = clock_unit(unit) {
        return Ok(Value::interval(interval.months, interval.days, interval.micros - interval.micros % length));
    }
    let months = interval.months;
    Ok(match unit {
        Unit::Day => Value::interval(months, interval.days, 0),
        Unit::Month => Value::interval(months, 0, 0),
        Unit::Year => Value::interval(months / 12 * 12, 0, 0),
        Unit::Decade => Value::interval(months / 120 * 120, 0, 0),
        Unit::Century => Value::interval(months / 1_200 * 1_200, 0, 0),
        Unit::Millennium => Value::interval(months / 12_000 * 12_000, 0, 0),
        other => return Err(no_such_unit(other)),
    })
}

strict_functions! {
    "timestamp_trunc" (Text(name), &Timestamp(a)) => truncate(a, unit(name)?).map(Timestamp);
    "timestamptz_trunc" (Text(name), &TimestampTz(a)) uses TIME_ZONE in ctx =>
        truncate_in_zone(a, unit(name)?, &session_zone(ctx)?).map(TimestampTz);
    "timestamptz_trunc_zone" (Text(name), &TimestampTz(a), Text(zone)) =>
        truncate_in_zone(a, unit(name)?, &named_zone(zone)?).map(TimestampTz);
    "interval_trunc" (Text(name), Interval(a)) => truncate_interval(a, unit(name)?);
    "timestamp_bin" (Interval(stride), &Timestamp(a), &Timestamp(origin)) => bin(stride, a, origin).map(Timestamp);
    "timestamptz_bin" (Interval(stride), &TimestampTz(a), &TimestampTz(origin)) =>
        bin(stride, a, origin).map(TimestampTz);
}
