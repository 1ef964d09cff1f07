//! `(start, end) OVERLAPS (start, end)` (timestamp.c, date.c): in any order of the two, half open, one instant being one.

use super::Function;
use super::define::wrong_arguments;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};

const fn entry(symbol: &'static str) -> Function {
    Function { symbol, strict: false, settings: SettingSet::NONE, eval: overlaps }
}

pub(super) static FUNCTIONS: &[Function] = &[entry("overlaps_timestamp"), entry("overlaps_time")];

fn overlaps(args: &[&Value], _: &EvalContext) -> Result<Value, EvalError> {
    let micros = |value: &Value| match value {
        Null => Ok(None),
        Timestamp(at) | TimestampTz(at) | Time(at) => Ok(Some(*at)),
        _ => Err(wrong_arguments("overlaps", args)),
    };
    let [a, b, c, d] = args else { return Err(wrong_arguments("overlaps", args)) };
    let (Some(first), Some(second)) = (period(micros(a)?, micros(b)?), period(micros(c)?, micros(d)?)) else {
        return Ok(Null);
    };
    let (earlier, later) = if first.0 <= second.0 { (first, second) } else { (second, first) };
    Ok(match (earlier, later) {
        // Both ends count, though the answer is known.
        ((a, e), (b, f)) if a == b => {
            if e.is_some() && f.is_some() {
                Bool(true)
            } else {
                Null
            }
        }
        ((_, None), _) => Null,
        ((_, Some(end)), (start, _)) if start < end => Bool(true),
        (_, (_, None)) => Null,
        _ => Bool(false),
    })
}

/// From the earlier of the two; the end that is not known is none. None where neither is.
fn period(a: Option<i64>, b: Option<i64>) -> Option<(i64, Option<i64>)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.min(b), Some(a.max(b)))),
        (Some(one), None) | (None, Some(one)) => Some((one, None)),
        (None, None) => None,
    }
}
