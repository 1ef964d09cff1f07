//! EXTRACT (numeric results, 14 and later) and date_part (double precision) from timestamps, dates and intervals.

use super::define::strict_functions;
use super::interval::is_infinite_interval;
use super::time_unit::{Unit, unit};
use super::timestamp::timestamp_of;
use super::zone::{local_of, session_zone};
use crate::datetime::{
    Civil, Clock, MICROS_PER_SECOND, UNIX_EPOCH_DAYS, UNIX_EPOCH_SECONDS, civil_from_days, days_from_civil,
    is_infinite_date, is_infinite_timestamp, split_timestamp,
};
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

/// Decimals of a number of microseconds in seconds.
const MICROS_SCALE: u16 = 6;

/// A field, from which the numeric and the floating point result are computed each in its own way.
enum Field {
    Integer(i64),
    /// Seconds and microseconds within the minute, in seconds (scale 6) or milliseconds (scale 3).
    WithinMinute(Clock, u16),
    /// Seconds since 1970, from microseconds.
    Epoch(i128),
    /// Seconds of an interval, whose year has 365.25 days.
    Span(value::Interval),
    /// A field that grows for ever, of an infinite value.
    Infinite(bool),
    /// A field that goes round, of an infinite value.
    Unknown,
}

impl Field {
    fn numeric(self) -> Value {
        match self {
            Field::Integer(v) => Numeric(v.into()),
            Field::WithinMinute(clock, scale) => {
                Numeric(value::Numeric::new(micros_within_minute(clock) as i128, scale))
            }
            Field::Epoch(micros) => Numeric(seconds_of(micros)),
            Field::Span(interval) => {
                let (years, months) = (interval.months as i128 / 12, interval.months as i128 % 12);
                // Quarter days keep 365.25 an integer.
                let quarter_days = 1461 * years + 120 * months + 4 * interval.days as i128;
                let micros = quarter_days * 21_600 * MICROS_PER_SECOND as i128 + interval.micros as i128;
                Numeric(value::Numeric::new(micros, MICROS_SCALE))
            }
            Field::Infinite(true) => Numeric(value::Numeric::INFINITY),
            Field::Infinite(false) => Numeric(value::Numeric::NEG_INFINITY),
            Field::Unknown => Null,
        }
    }

    /// As `timestamp_part` and `interval_part` compute it, operation by operation.
    fn double(self) -> Value {
        match self {
            Field::Integer(v) => Float8(v as f64),
            Field::WithinMinute(Clock { second, micros, .. }, MICROS_SCALE) => {
                Float8(second as f64 + micros as f64 / 1e6)
            }
            Field::WithinMinute(Clock { second, micros, .. }, _) => {
                Float8(second as f64 * 1000.0 + micros as f64 / 1000.0)
            }
            Field::Epoch(micros) => Float8(micros as f64 / 1e6),
            Field::Span(interval) => {
                let mut seconds = interval.micros as f64 / 1e6;
                seconds += 365.25 * 86_400.0 * (interval.months / 12) as f64;
                seconds += 30.0 * 86_400.0 * (interval.months % 12) as f64;
                seconds += 86_400.0 * interval.days as f64;
                Float8(seconds)
            }
            Field::Infinite(true) => Float8(f64::INFINITY),
            Field::Infinite(false) => Float8(f64::NEG_INFINITY),
            Field::Unknown => Null,
        }
    }
}

#[cold]
fn no_such_unit(unit: Unit) -> EvalError {
    EvalError::unsupported(format!("extraction of {unit:?}"))
}

/// `NonFiniteTimestampTzPart`.
fn of_infinity(unit: Unit, positive: bool) -> Field {
    match unit {
        Unit::Year | Unit::Decade | Unit::Century | Unit::Millennium | Unit::IsoYear | Unit::Epoch => {
            Field::Infinite(positive)
        }
        _ => Field::Unknown,
    }
}

/// Monday of the first ISO week of an astronomical year: the week with 4 January.
pub(super) fn iso_year_start(year: i64) -> i64 {
    let fourth = days_from_civil(Civil { year, month: 1, day: 4 });
    fourth - (fourth + 5).rem_euclid(7)
}

/// The ISO year (astronomical) and week a day is in.
pub(super) fn iso_week(days: i64) -> (i64, i64) {
    let mut year = civil_from_days(days).year + 1;
    while iso_year_start(year) > days {
        year -= 1;
    }
    (year, (days - iso_year_start(year)) / 7 + 1)
}

/// Years are shown without a year zero.
pub(super) fn shown_year(year: i64) -> i64 {
    if year > 0 { year } else { year - 1 }
}

/// Fields of a calendar day.
fn of_day(days: i64, unit: Unit) -> Option<i64> {
    let Civil { year, month, day } = civil_from_days(days);
    Some(match unit {
        Unit::Day => day,
        Unit::Month => month,
        Unit::Quarter => (month - 1) / 3 + 1,
        Unit::Week => iso_week(days).1,
        Unit::Year => shown_year(year),
        Unit::Decade => {
            if year >= 0 {
                year / 10
            } else {
                -((8 - (year - 1)) / 10)
            }
        }
        Unit::Century => {
            if year > 0 {
                (year + 99) / 100
            } else {
                -((99 - (year - 1)) / 100)
            }
        }
        Unit::Millennium => {
            if year > 0 {
                (year + 999) / 1000
            } else {
                -((999 - (year - 1)) / 1000)
            }
        }
        Unit::IsoYear => shown_year(iso_week(days).0),
        // 2000-01-01 was a Saturday.
        Unit::DayOfWeek => (days + 6).rem_euclid(7),
        Unit::IsoDayOfWeek => (days + 5).rem_euclid(7) + 1,
        Unit::DayOfYear => days - days_from_civil(Civil { year, month: 1, day: 1 }) + 1,
        _ => return None,
    })
}

/// Exact while the microseconds fit 64 bits; beyond, Postgres divides numerics, which rounds to 16 digits.
fn seconds_of(micros: i128) -> value::Numeric {
    let exact = value::Numeric::new(micros, MICROS_SCALE);
    if i64::try_from(micros).is_ok() {
        return exact;
    }
    match value::Numeric::from(micros).div(&value::Numeric::from(MICROS_PER_SECOND)) {
        Ok(rounded) => rounded.round(MICROS_SCALE as i32),
        Err(_) => exact,
    }
}

fn micros_within_minute(clock: Clock) -> i64 {
    clock.second * MICROS_PER_SECOND + clock.micros
}

/// Fields of a time of day (or of an interval's time part).
fn of_clock(clock: Clock, unit: Unit) -> Option<Field> {
    Some(match unit {
        Unit::Microseconds => Field::Integer(micros_within_minute(clock)),
        Unit::Milliseconds => Field::WithinMinute(clock, 3),
        Unit::Second => Field::WithinMinute(clock, MICROS_SCALE),
        Unit::Minute => Field::Integer(clock.minute),
        Unit::Hour => Field::Integer(clock.hour),
        _ => return None,
    })
}

fn of_timestamp(name: &str, local: i64, instant: i64) -> Result<Field, EvalError> {
    let unit = unit(name)?;
    if is_infinite_timestamp(local) {
        return Ok(of_infinity(unit, local > 0));
    }
    if unit == Unit::Epoch {
        return Ok(Field::Epoch(instant as i128 + UNIX_EPOCH_SECONDS as i128 * MICROS_PER_SECOND as i128));
    }
    let (days, time) = split_timestamp(local);
    of_day(days, unit)
        .map(Field::Integer)
        .or_else(|| of_clock(Clock::from_micros(time), unit))
        .ok_or_else(|| no_such_unit(unit))
}

/// `extract_date`: units of the clock are an error there.
fn of_date(name: &str, days: i32) -> Result<Field, EvalError> {
    let unit = unit(name)?;
    if of_clock(Clock::from_micros(0), unit).is_some() {
        return Err(EvalError::unsupported("a unit of the clock, of a date"));
    }
    if is_infinite_date(days) {
        return Ok(of_infinity(unit, days > 0));
    }
    if unit == Unit::Epoch {
        return Ok(Field::Integer((days as i64 + UNIX_EPOCH_DAYS) * 86_400));
    }
    of_day(days as i64, unit).map(Field::Integer).ok_or_else(|| no_such_unit(unit))
}

fn of_time(name: &str, micros: i64) -> Result<Field, EvalError> {
    match unit(name)? {
        Unit::Epoch => Ok(Field::Epoch(micros as i128)),
        unit => of_clock(Clock::from_micros(micros), unit).ok_or_else(|| no_such_unit(unit)),
    }
}

/// `extract_interval`.
fn of_interval(name: &str, interval: &value::Interval) -> Result<Field, EvalError> {
    if is_infinite_interval(interval) {
        return Err(EvalError::unsupported("an infinite interval"));
    }
    let (years, months) = (interval.months as i64 / 12, interval.months as i64 % 12);
    let unit = unit(name)?;
    Ok(match unit {
        Unit::Day => Field::Integer(interval.days as i64),
        Unit::Month => Field::Integer(months),
        Unit::Year => Field::Integer(years),
        Unit::Decade => Field::Integer(years / 10),
        Unit::Century => Field::Integer(years / 100),
        Unit::Millennium => Field::Integer(years / 1000),
        Unit::Epoch => Field::Span(*interval),
        _ => return of_clock(Clock::from_micros(interval.micros), unit).ok_or_else(|| no_such_unit(unit)),
    })
}

strict_functions! {
    "extract_timestamp" (Text(name), &Timestamp(a)) => of_timestamp(name, a, a).map(Field::numeric);
    "extract_timestamptz" (Text(name), &TimestampTz(a)) uses TIME_ZONE in ctx =>
        of_timestamp(name, local_of(&session_zone(ctx)?, a)?, a).map(Field::numeric);
    "extract_date" (Text(name), &Date(a)) => of_date(name, a).map(Field::numeric);
    "extract_time" (Text(name), &Time(a)) => of_time(name, a).map(Field::numeric);
    "extract_interval" (Text(name), Interval(a)) => of_interval(name, a).map(Field::numeric);
    "timestamp_part" (Text(name), &Timestamp(a)) => of_timestamp(name, a, a).map(Field::double);
    "timestamptz_part" (Text(name), &TimestampTz(a)) uses TIME_ZONE in ctx =>
        of_timestamp(name, local_of(&session_zone(ctx)?, a)?, a).map(Field::double);
    "date_part(text,date)" (Text(name), &Date(a)) => {
        let midnight = timestamp_of(a)?;
        of_timestamp(name, midnight, midnight).map(Field::double)
    };
    "time_part" (Text(name), &Time(a)) => of_time(name, a).map(Field::double);
    "interval_part" (Text(name), Interval(a)) => of_interval(name, a).map(Field::double);
}
