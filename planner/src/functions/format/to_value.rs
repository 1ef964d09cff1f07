//! `to_date`, `to_timestamp` and `to_number` (`do_to_timestamp`).

use super::date_in::{Fields, read};
use super::number_in;
use super::to_char::{date_template, number_template};
use crate::datetime::{
    Civil, Clock, EPOCH_JULIAN_DAY, MICROS_PER_DAY, MICROS_PER_SECOND, UNIX_EPOCH_SECONDS, civil_from_days,
    days_from_civil, days_in_month, is_leap_year, is_valid_date, is_valid_timestamp,
};
use crate::eval::EvalContext;
use crate::functions::define::strict_functions;
use crate::functions::extract::iso_year_start;
use crate::functions::zone::local_instant;
use crate::parse::round_to_precision;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// Beyond these the arithmetic of dates overflows in Postgres, each version in its own way.
const YEARS: std::ops::Range<i64> = -4_000..290_000;
const DAYS_OF_YEAR: [i32; 13] = [0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365];
const LONGEST_MONTH: i64 = 31;

/// A day and the time in it.
struct Read {
    days: i64,
    micros: i64,
    precision: u32,
}

/// Which parts of the date the text gave: what is given is checked.
#[derive(Default)]
struct Given {
    year: bool,
    month: bool,
    day: bool,
}

#[cold]
fn refused(text: &str, template: &str) -> EvalError {
    EvalError::unsupported(format!("{text:?} by the template {template:?}"))
}

fn read_by(text: &str, template: &str) -> Result<Read, EvalError> {
    read(&date_template(template), text).and_then(resolve).ok_or_else(|| refused(text, template))
}

fn time_of(fields: &Fields) -> Option<i64> {
    let mut clock = Clock::from_micros(i64::from(fields.seconds_of_day) * MICROS_PER_SECOND);
    for (given, own) in
        [(fields.second, &mut clock.second), (fields.minute, &mut clock.minute), (fields.hour, &mut clock.hour)]
    {
        if given != 0 {
            *own = i64::from(given);
        }
    }
    if fields.twelve_hours {
        if !(1..=12).contains(&clock.hour) {
            return None;
        }
        clock.hour = clock.hour % 12 + if fields.afternoon != 0 { 12 } else { 0 };
    }
    clock.micros = i64::from(fields.milliseconds) * 1000 + i64::from(fields.microseconds);
    let valid = (0..24).contains(&clock.hour)
        && (0..60).contains(&clock.minute)
        && (0..60).contains(&clock.second)
        && (0..MICROS_PER_SECOND).contains(&clock.micros);
    valid.then(|| clock.to_micros())
}

/// The astronomical year, if the text gave one.
fn year_of(fields: &Fields) -> Option<i64> {
    let (year, before_christ) = (i64::from(fields.year), fields.before_christ != 0);
    let century = if before_christ { -i64::from(fields.century) } else { i64::from(fields.century) };
    if year == 0 {
        return match century {
            0 => None,
            1.. => Some((century - 1) * 100 + 1),
            _ => Some(century * 100 + 1),
        };
    }
    if century != 0 && fields.year_digits <= 2 {
        return Some(match (year % 100, century >= 0) {
            (0, true) => century * 100,
            (0, false) => century * 100 + 1,
            (year, true) => year + (century - 1) * 100,
            (year, false) => (century + 1) * 100 - year + 1,
        });
    }
    let year = if before_christ { -year } else { year };
    Some(if year < 0 { year + 1 } else { year })
}

fn resolve(fields: Fields) -> Option<Read> {
    let micros = time_of(&fields)?;
    let mut given = Given::default();
    let mut date = Civil { year: 0, month: 1, day: 1 };
    if let Some(year) = year_of(&fields) {
        (date.year, given.year) = (year, true);
    }
    let whole = |days: i64, date: &mut Civil, given: &mut Given| {
        *date = civil_from_days(days);
        *given = Given { year: true, month: true, day: true };
    };
    if fields.julian < 0 || !YEARS.contains(&date.year) {
        return None;
    }
    if fields.julian > 0 {
        whole(i64::from(fields.julian) - EPOCH_JULIAN_DAY, &mut date, &mut given);
    }
    let iso = fields.iso == Some(true);
    let mut day_of_year = i64::from(fields.day_of_year);
    if fields.week != 0 {
        let week = (i64::from(fields.week) - 1) * 7;
        if iso {
            // Of the week's days Sunday, the first by number, is the last.
            let weekday = match fields.weekday {
                0 => 0,
                day if day > 1 => i64::from(day) - 2,
                _ => 6,
            };
            whole(iso_year_start(date.year) + week + weekday, &mut date, &mut given);
        } else {
            day_of_year = week + 1;
        }
    }
    let day = if fields.week_of_month != 0 { (i64::from(fields.week_of_month) - 1) * 7 + 1 } else { fields.day.into() };
    if day != 0 {
        (date.day, given.day) = (day, true);
    }
    if fields.month != 0 {
        (date.month, given.month) = (fields.month.into(), true);
    }
    if day_of_year != 0 && (date.month <= 1 || date.day <= 1) {
        if date.year == 0 && fields.before_christ == 0 {
            return None;
        }
        if iso {
            whole(iso_year_start(date.year) - 1 + day_of_year, &mut date, &mut given);
        } else {
            let before =
                |month: usize| i64::from(DAYS_OF_YEAR[month]) + i64::from(month >= 2 && is_leap_year(date.year));
            let month = (1..=12).find(|month| day_of_year <= before(*month))?;
            let day = day_of_year - before(month - 1);
            date.month = if date.month <= 1 { month as i64 } else { date.month };
            date.day = if date.day <= 1 { day } else { date.day };
            (given.month, given.day) = (true, true);
        }
    }
    let invalid = (given.month && !(1..=12).contains(&date.month))
        || (given.day && !(1..=LONGEST_MONTH).contains(&date.day))
        || (given.year && given.month && given.day && date.day > days_in_month(date.year, date.month));
    if invalid || !YEARS.contains(&date.year) {
        return None;
    }
    Some(Read { days: days_from_civil(date), micros, precision: fields.precision })
}

fn to_date(text: &str, template: &str) -> Result<Value, EvalError> {
    let days = read_by(text, template)?.days as i32;
    if is_valid_date(days) { Ok(Date(days)) } else { Err(refused(text, template)) }
}

fn to_timestamp(text: &str, template: &str, ctx: &EvalContext) -> Result<Value, EvalError> {
    let Read { days, micros, precision } = read_by(text, template)?;
    let at = local_instant(days * MICROS_PER_DAY + micros, ctx)?;
    let at = if precision == 0 { at } else { round_to_precision(at, precision as i32) };
    if is_valid_timestamp(at) { Ok(TimestampTz(at)) } else { Err(refused(text, template)) }
}

/// `float8_timestamptz`: seconds since 1970.
fn of_seconds(seconds: f64) -> Result<Value, EvalError> {
    if seconds.is_nan() {
        return Err(EvalError::datetime_overflow("timestamp cannot be NaN"));
    }
    if seconds.is_infinite() {
        return Ok(TimestampTz(if seconds > 0.0 { i64::MAX } else { i64::MIN }));
    }
    let micros = ((seconds - UNIX_EPOCH_SECONDS as f64) * MICROS_PER_SECOND as f64).round_ties_even();
    // A number beyond 64 bits stays at their end, which is no valid timestamp.
    if is_valid_timestamp(micros as i64) {
        Ok(TimestampTz(micros as i64))
    } else {
        Err(EvalError::unsupported("a number of seconds beyond the range of timestamps"))
    }
}

fn to_number(text: &str, template: &str) -> Result<Value, EvalError> {
    if template.is_empty() {
        return Ok(Null);
    }
    match &*number_template(template) {
        Ok(parsed) => number_in::read(parsed, text).map(Numeric).ok_or_else(|| refused(text, template)),
        Err(error) => Err(error.clone()),
    }
}

strict_functions! {
    "to_date" (Text(a), Text(template)) => to_date(a, template);
    "to_timestamp" (Text(a), Text(template)) uses TIME_ZONE in ctx => to_timestamp(a, template, ctx);
    "float8_timestamptz" (&Float8(a)) => of_seconds(a);
    "numeric_to_number" (Text(a), Text(template)) => to_number(a, template);
}
