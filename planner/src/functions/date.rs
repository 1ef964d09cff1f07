//! Dates and times of day: arithmetic and casts (date.c).

use super::define::strict_functions;
use super::timestamp::{add_interval, negated, timestamp_of, valid};
use crate::datetime::{
    Civil, END_DATE, MICROS_PER_DAY, MIN_DATE, days_from_civil, days_in_month, is_infinite_date, is_infinite_timestamp,
};
use crate::parse::round_to_precision;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// `date_pli`; the infinities absorb.
fn add_days(date: i32, days: i64) -> Result<Value, EvalError> {
    if is_infinite_date(date) {
        return Ok(Date(date));
    }
    let result = date as i64 + days;
    if (MIN_DATE as i64..END_DATE as i64).contains(&result) {
        Ok(Date(result as i32))
    } else {
        Err(EvalError::datetime_overflow("date out of range"))
    }
}

fn difference(a: i32, b: i32) -> Result<Value, EvalError> {
    if is_infinite_date(a) || is_infinite_date(b) {
        return Err(EvalError::datetime_overflow("cannot subtract infinite dates"));
    }
    Ok(Int4(a - b))
}

/// `datetime_timestamp`: date plus time of day.
fn at_time(date: i32, time: i64) -> Result<Value, EvalError> {
    let midnight = timestamp_of(date)?;
    if is_infinite_timestamp(midnight) {
        return Ok(Timestamp(midnight));
    }
    valid(midnight.checked_add(time)).map(Timestamp)
}

/// `make_date`; negative years are BC. The messages name the astronomical year.
fn make_date(year: i32, month: i32, day: i32) -> Result<Value, EvalError> {
    let astronomical = if year < 0 { year as i64 + 1 } else { year as i64 };
    let day_is_valid = (1..=12).contains(&month) && day >= 1 && day as i64 <= days_in_month(astronomical, month as i64);
    if year == 0 || !day_is_valid {
        let message = format!("date field value out of range: {astronomical}-{month:02}-{day:02}");
        return Err(EvalError::datetime_overflow(message));
    }
    let days = days_from_civil(Civil { year: astronomical, month: month as i64, day: day as i64 });
    if (MIN_DATE as i64..END_DATE as i64).contains(&days) {
        Ok(Date(days as i32))
    } else {
        Err(EvalError::datetime_overflow(format!("date out of range: {astronomical}-{month:02}-{day:02}")))
    }
}

/// `time_pl_interval`: within the day, around midnight. Only the interval's time counts.
fn around_midnight(time: i64, micros: Option<i64>) -> Result<Value, EvalError> {
    match micros.and_then(|micros| time.checked_add(micros)) {
        Some(sum) => Ok(Time(sum.rem_euclid(MICROS_PER_DAY))),
        None => Err(EvalError::unsupported("time of day with an interval at the end of its range")),
    }
}

strict_functions! {
    "date_pli" (&Date(a), &Int4(days)) => add_days(a, days as i64);
    "date_mii" (&Date(a), &Int4(days)) => add_days(a, -(days as i64));
    "integer_pl_date(int4,date)" (&Int4(days), &Date(a)) => add_days(a, days as i64);
    "date_mi" (&Date(a), &Date(b)) => difference(a, b);
    "date_pl_interval" (&Date(a), Interval(b)) => add_interval(timestamp_of(a)?, b).map(Timestamp);
    "date_mi_interval" (&Date(a), Interval(b)) => add_interval(timestamp_of(a)?, &negated(b)?).map(Timestamp);
    "date_timestamp" (&Date(a)) => timestamp_of(a).map(Timestamp);
    "datetime_timestamp" (&Date(a), &Time(b)) => at_time(a, b);
    "make_date" (&Int4(year), &Int4(month), &Int4(day)) => make_date(year, month, day);
    "time_scale" (&Time(a), &Int4(precision)) => Ok(Time(round_to_precision(a, precision)));
    "time_interval" (&Time(a)) => Ok(Value::interval(0, 0, a));
    "time_mi_time" (&Time(a), &Time(b)) => Ok(Value::interval(0, 0, a - b));
    "time_pl_interval" (&Time(a), Interval(b)) => around_midnight(a, Some(b.micros));
    "time_mi_interval" (&Time(a), Interval(b)) => around_midnight(a, b.micros.checked_neg());
}
