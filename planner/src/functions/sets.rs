//! Set-returning functions. Each gives what it returns for one row as an array; [`crate::eval::set_rows`] makes rows of it.

use super::Function;
use super::define::wrong_arguments;
use super::timestamp::{add_interval, add_interval_in_zone};
use super::{jsonb, jsonpath};
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{Array, EvalError, Numeric};
use std::cmp::Ordering;
use std::sync::Arc;

/// Rows of one call for one row; a longer series is better kept by Postgres than in memory.
const MAX_SET_ROWS: usize = 100_000;

pub(super) static FUNCTIONS: &[Function] = &[
    set("array_unnest", SettingSet::NONE, |args, _| match *args {
        [array @ Array(_)] => Ok(array.clone()),
        _ => Err(wrong_arguments("array_unnest", args)),
    }),
    set("generate_series_int4", SettingSet::NONE, |args, _| integers("generate_series_int4", args)),
    set("generate_series_step_int4", SettingSet::NONE, |args, _| integers("generate_series_step_int4", args)),
    set("generate_series_int8", SettingSet::NONE, |args, _| integers("generate_series_int8", args)),
    set("generate_series_step_int8", SettingSet::NONE, |args, _| integers("generate_series_step_int8", args)),
    set("generate_series_numeric", SettingSet::NONE, |args, _| numerics("generate_series_numeric", args)),
    set("generate_series_step_numeric", SettingSet::NONE, |args, _| numerics("generate_series_step_numeric", args)),
    set("generate_series_timestamp", SettingSet::NONE, |args, _| match *args {
        [&Timestamp(start), &Timestamp(end), Interval(step)] => {
            let next = |at: i64| add_interval(at, step);
            Ok(list(oid::TIMESTAMP, instants(start, end, step.span().cmp(&0), next)?.map(Timestamp)))
        }
        _ => Err(wrong_arguments("generate_series_timestamp", args)),
    }),
    set("generate_series_timestamptz", SettingSet::TIME_ZONE, |args, ctx| match *args {
        [&TimestampTz(start), &TimestampTz(end), Interval(step)] => {
            let next = |at: i64| add_interval_in_zone(at, step, ctx);
            Ok(list(oid::TIMESTAMPTZ, instants(start, end, step.span().cmp(&0), next)?.map(TimestampTz)))
        }
        _ => Err(wrong_arguments("generate_series_timestamptz", args)),
    }),
    set("jsonb_object_keys", SettingSet::NONE, |args, _| match *args {
        [Jsonb(json)] => Ok(list(oid::TEXT, jsonb::keys(json)?.into_iter())),
        _ => Err(wrong_arguments("jsonb_object_keys", args)),
    }),
    set("jsonb_array_elements", SettingSet::NONE, |args, _| match *args {
        [Jsonb(json)] => Ok(list(oid::JSONB, jsonb::elements(json)?.into_iter().map(jsonb::image_of))),
        _ => Err(wrong_arguments("jsonb_array_elements", args)),
    }),
    set("jsonb_array_elements_text", SettingSet::NONE, |args, _| match *args {
        [Jsonb(json)] => {
            let texts = jsonb::elements(json)?.into_iter().map(|element| jsonb::part_text(Some(element)));
            Ok(list(oid::TEXT, texts.collect::<Result<Vec<Value>, EvalError>>()?.into_iter()))
        }
        _ => Err(wrong_arguments("jsonb_array_elements_text", args)),
    }),
    set("jsonb_path_query", SettingSet::NONE, |args, _| jsonpath::query(args)),
    set("generate_subscripts_nodir", SettingSet::NONE, |args, _| subscripts("generate_subscripts_nodir", args)),
    set("generate_subscripts", SettingSet::NONE, |args, _| subscripts("generate_subscripts", args)),
];

/// All of them are strict: a NULL argument gives no row.
const fn set(
    symbol: &'static str,
    settings: SettingSet,
    eval: fn(&[&Value], &EvalContext) -> Result<Value, EvalError>,
) -> Function {
    Function { symbol, strict: true, settings, eval }
}

fn list(element: u32, values: impl Iterator<Item = Value>) -> Value {
    Array(Arc::new(Array::list(element, values.collect())))
}

fn step_is_zero() -> EvalError {
    EvalError::invalid_parameter("step size cannot equal zero")
}

fn too_long() -> EvalError {
    EvalError::unsupported(format!("a series of more than {MAX_SET_ROWS} rows"))
}

/// int.c, int8.c: a step beyond the type's range ends the series.
fn integers(symbol: &str, args: &[&Value]) -> Result<Value, EvalError> {
    let (element, bounds) = match *args {
        [&Int4(start), &Int4(end)] => (oid::INT4, [start.into(), end.into(), 1]),
        [&Int4(start), &Int4(end), &Int4(step)] => (oid::INT4, [start.into(), end.into(), step.into()]),
        [&Int8(start), &Int8(end)] => (oid::INT8, [start, end, 1]),
        [&Int8(start), &Int8(end), &Int8(step)] => (oid::INT8, [start, end, step]),
        _ => return Err(wrong_arguments(symbol, args)),
    };
    let [start, end, step] = bounds;
    if step == 0 {
        return Err(step_is_zero());
    }
    let mut values = Vec::new();
    let mut at = Some(start);
    while let Some(current) = at.filter(|at| if step > 0 { *at <= end } else { *at >= end }) {
        if values.len() == MAX_SET_ROWS {
            return Err(too_long());
        }
        // An int4 that has left its type is beyond every bound of it.
        values.push(if element == oid::INT4 { Int4(current as i32) } else { Int8(current) });
        at = current.checked_add(step);
    }
    Ok(list(element, values.into_iter()))
}

/// `generate_series_step_numeric` (numeric.c): every value after the first has the scale of a sum.
fn numerics(symbol: &str, args: &[&Value]) -> Result<Value, EvalError> {
    let one = Numeric::new(1, 0);
    let (start, end, step) = match *args {
        [Numeric(start), Numeric(end)] => (start, end, &one),
        [Numeric(start), Numeric(end), Numeric(step)] => (start, end, step),
        _ => return Err(wrong_arguments(symbol, args)),
    };
    for (what, value) in [("start", start), ("stop", end), ("step", step)] {
        let noun = if what == "step" { "step size" } else { &format!("{what} value") };
        if value.is_nan() {
            return Err(EvalError::invalid_parameter(format!("{noun} cannot be NaN")));
        }
        if !value.is_finite() {
            return Err(EvalError::invalid_parameter(format!("{noun} cannot be infinity")));
        }
    }
    if step.is_zero() {
        return Err(step_is_zero());
    }
    let beyond = if step.signum() > 0 { Ordering::Greater } else { Ordering::Less };
    let mut values = Vec::new();
    let mut at = start.clone();
    while at.compare(end) != beyond {
        if values.len() == MAX_SET_ROWS {
            return Err(too_long());
        }
        let next = at.add(step)?;
        values.push(Numeric(std::mem::replace(&mut at, next)));
    }
    Ok(list(oid::NUMERIC, values.into_iter()))
}

/// `generate_series_timestamp` (timestamp.c): the next value is computed, and may fail, before one is returned.
fn instants(
    start: i64,
    end: i64,
    sign: Ordering,
    next: impl Fn(i64) -> Result<i64, EvalError>,
) -> Result<impl Iterator<Item = i64>, EvalError> {
    if sign == Ordering::Equal {
        return Err(step_is_zero());
    }
    let beyond = if sign == Ordering::Greater { Ordering::Greater } else { Ordering::Less };
    let mut values = Vec::new();
    let mut at = start;
    while at.cmp(&end) != beyond {
        if values.len() == MAX_SET_ROWS {
            return Err(too_long());
        }
        values.push(at);
        at = next(at)?;
    }
    Ok(values.into_iter())
}

/// `generate_subscripts` (arrayfuncs.c): no row for a dimension that is not there.
fn subscripts(symbol: &str, args: &[&Value]) -> Result<Value, EvalError> {
    let (array, dimension, reverse) = match *args {
        [Array(array), &Int4(dimension)] => (array, dimension, false),
        [Array(array), &Int4(dimension), &Bool(reverse)] => (array, dimension, reverse),
        _ => return Err(wrong_arguments(symbol, args)),
    };
    let found = usize::try_from(dimension).ok().and_then(|at| array.dimensions.get(at.checked_sub(1)?));
    let (length, lower) = found.copied().unwrap_or((0, 1));
    let mut values: Vec<Value> = (lower..lower.saturating_add(length)).map(Int4).collect();
    if reverse {
        values.reverse();
    }
    Ok(list(oid::INT4, values.into_iter()))
}
