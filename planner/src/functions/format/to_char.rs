//! `to_char` of every type that has it.

use super::date_out::{self, Moment};
use super::date_template::{self, Node};
use super::number_out;
use super::number_template::{self, Template};
use super::number_text::{DOUBLE_DIGITS, Digits, SINGLE_DIGITS, of_float, of_int4, of_int8, of_numeric};
use super::parsed;
use crate::datetime::{MICROS_PER_HOUR, is_infinite_timestamp};
use crate::eval::EvalContext;
use crate::functions::define::strict_functions;
use crate::functions::interval::is_infinite_interval;
use crate::functions::zone::{local_of, session_zone};
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};
use std::cell::RefCell;
use std::rc::Rc;

/// A number's template, or why there is none.
type NumberTemplate = Result<Template, EvalError>;

thread_local! {
    static LAST_DATE: RefCell<Option<(String, Rc<Vec<Node>>)>> = const { RefCell::new(None) };
    static LAST_NUMBER: RefCell<Option<(String, Rc<NumberTemplate>)>> = const { RefCell::new(None) };
}

/// The template of a date or time.
pub(super) fn date_template(text: &str) -> Rc<Vec<Node>> {
    parsed(&LAST_DATE, text, date_template::parse)
}

/// The template of a number.
pub(super) fn number_template(text: &str) -> Rc<NumberTemplate> {
    parsed(&LAST_NUMBER, text, number_template::parse)
}

fn of_timestamp(
    local: i64,
    template: &str,
    zone: impl FnOnce() -> Result<(i32, String), EvalError>,
) -> Result<Value, EvalError> {
    if template.is_empty() || is_infinite_timestamp(local) {
        return Ok(Null);
    }
    let (offset, name) = zone()?;
    date_out::write(&date_template(template), &Moment::of_timestamp(local, offset, name)).map(|text| Value::text(&text))
}

fn of_timestamptz(at: i64, template: &str, ctx: &EvalContext) -> Result<Value, EvalError> {
    let zone = session_zone(ctx)?;
    of_timestamp(local_of(&zone, at)?, template, || {
        zone.offset_and_name(at).ok_or_else(|| EvalError::unsupported("a timestamp beyond the time zone database"))
    })
}

fn of_interval(interval: &value::Interval, template: &str) -> Result<Value, EvalError> {
    // 17 and later have no text for an infinity; earlier ones have none of it.
    if is_infinite_interval(interval) {
        return Err(EvalError::unsupported("an infinite interval"));
    }
    if template.is_empty() {
        return Ok(Null);
    }
    // Before 15 these are an error.
    if (interval.micros / MICROS_PER_HOUR).abs() > i32::MAX as i64 {
        return Err(EvalError::unsupported("to_char of an interval of so many hours"));
    }
    date_out::write(&date_template(template), &Moment::of_interval(interval)).map(|text| Value::text(&text))
}

fn of_number(text: &str, digits: impl FnOnce(&Template) -> Result<Digits, EvalError>) -> Result<Value, EvalError> {
    match &*number_template(text) {
        Ok(template) => number_out::write(template, &digits(template)?).map(|text| Value::text(&text)),
        Err(refused) => Err(refused.clone()),
    }
}

strict_functions! {
    "timestamp_to_char" (&Timestamp(a), Text(template)) => of_timestamp(a, template, || Ok((0, String::new())));
    "timestamptz_to_char" (&TimestampTz(a), Text(template)) uses TIME_ZONE in ctx => of_timestamptz(a, template, ctx);
    "interval_to_char" (Interval(a), Text(template)) => of_interval(a, template);
    "numeric_to_char" (Numeric(a), Text(template)) => of_number(template, |template| of_numeric(template, a));
    "int4_to_char" (&Int4(a), Text(template)) => of_number(template, |template| of_int4(template, a));
    "int8_to_char" (&Int8(a), Text(template)) => of_number(template, |template| of_int8(template, a));
    "float4_to_char" (&Float4(a), Text(template)) =>
        of_number(template, |template| of_float(template, a as f64, SINGLE_DIGITS));
    "float8_to_char" (&Float8(a), Text(template)) =>
        of_number(template, |template| of_float(template, a, DOUBLE_DIGITS));
}
