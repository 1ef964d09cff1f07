//! Ranges (rangetypes.c): bounds, order, containment, construction. The two-valued tests are of one range type.

use super::Function;
use super::define::wrong_arguments;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{self, Bounds, EvalError, Place, RangeBound, compare};
use std::cmp::Ordering;
use std::sync::Arc;

type Eval = fn(&[&Value], &EvalContext) -> Result<Value, EvalError>;

const fn entry(symbol: &'static str, strict: bool, eval: Eval) -> Function {
    Function { symbol, strict, settings: SettingSet::NONE, eval }
}

/// Of one range; `name` is the symbol.
macro_rules! of_range {
    ($name:literal, $eval:expr) => {
        entry($name, true, |args, _| match *args {
            [Range(range)] => {
                let of: fn(&value::Range) -> Value = $eval;
                Ok(of(range))
            }
            _ => Err(wrong_arguments($name, args)),
        })
    };
}

/// A test of two ranges, which is false where one is empty.
macro_rules! of_bounds {
    ($name:literal, $eval:expr) => {
        entry($name, true, |args, _| match *args {
            [Range(a), Range(b)] => {
                let of: fn(&Bounds, &Bounds) -> bool = $eval;
                Ok(Bool(a.bounds.as_ref().zip(b.bounds.as_ref()).is_some_and(|(a, b)| of(a, b))))
            }
            _ => Err(wrong_arguments($name, args)),
        })
    };
}

macro_rules! of_ranges {
    ($name:literal, $eval:expr) => {
        entry($name, true, |args, _| match *args {
            [Range(a), Range(b)] => {
                let of: fn(&value::Range, &value::Range) -> bool = $eval;
                Ok(Bool(of(a, b)))
            }
            _ => Err(wrong_arguments($name, args)),
        })
    };
}

pub(super) static FUNCTIONS: &[Function] = &[
    of_range!("range_lower", |range| bound(range, |bounds| &bounds.lower)
        .and_then(|b| b.value.clone())
        .unwrap_or(Null)),
    of_range!("range_upper", |range| bound(range, |bounds| &bounds.upper)
        .and_then(|b| b.value.clone())
        .unwrap_or(Null)),
    of_range!("range_empty", |range| Bool(range.bounds.is_none())),
    of_range!("range_lower_inc", |range| Bool(bound(range, |bounds| &bounds.lower).is_some_and(|b| b.inclusive))),
    of_range!("range_upper_inc", |range| Bool(bound(range, |bounds| &bounds.upper).is_some_and(|b| b.inclusive))),
    of_range!("range_lower_inf", |range| Bool(bound(range, |bounds| &bounds.lower).is_some_and(|b| b.value.is_none()))),
    of_range!("range_upper_inf", |range| Bool(bound(range, |bounds| &bounds.upper).is_some_and(|b| b.value.is_none()))),
    of_ranges!("range_eq", |a, b| a.compare(b).is_eq()),
    of_ranges!("range_ne", |a, b| a.compare(b).is_ne()),
    of_ranges!("range_lt", |a, b| a.compare(b).is_lt()),
    of_ranges!("range_le", |a, b| a.compare(b).is_le()),
    of_ranges!("range_gt", |a, b| a.compare(b).is_gt()),
    of_ranges!("range_ge", |a, b| a.compare(b).is_ge()),
    of_ranges!("range_contains", contains),
    of_ranges!("range_contained_by", |a, b| contains(b, a)),
    of_bounds!("range_overlaps", overlaps),
    of_bounds!("range_before", |a, b| Place::upper(a).compare(&Place::lower(b)).is_lt()),
    of_bounds!("range_after", |a, b| Place::lower(a).compare(&Place::upper(b)).is_gt()),
    of_bounds!("range_overleft", |a, b| Place::upper(a).compare(&Place::upper(b)).is_le()),
    of_bounds!("range_overright", |a, b| Place::lower(a).compare(&Place::lower(b)).is_ge()),
    of_bounds!("range_adjacent", |a, b| touch(&a.upper, &b.lower) || touch(&b.upper, &a.lower)),
    entry("range_contains_elem", true, |args, _| match *args {
        [Range(range), element] => Ok(Bool(holds(range, element))),
        _ => Err(wrong_arguments("range_contains_elem", args)),
    }),
    entry("elem_contained_by_range", true, |args, _| match *args {
        [element, Range(range)] => Ok(Bool(holds(range, element))),
        _ => Err(wrong_arguments("elem_contained_by_range", args)),
    }),
    entry("range_intersect", true, |args, _| match *args {
        [Range(a), Range(b)] => match a.bounds.as_ref().zip(b.bounds.as_ref()) {
            Some((x, y)) if overlaps(x, y) => {
                let lower = if Place::lower(x).compare(&Place::lower(y)).is_ge() { &x.lower } else { &y.lower };
                let upper = if Place::upper(x).compare(&Place::upper(y)).is_le() { &x.upper } else { &y.upper };
                made(a.element, lower.clone(), upper.clone())
            }
            _ => Ok(Range(Arc::new(value::Range::empty(a.element)))),
        },
        _ => Err(wrong_arguments("range_intersect", args)),
    }),
    entry("range_merge", true, |args, _| match *args {
        [Range(a), Range(b)] => match (&a.bounds, &b.bounds) {
            (None, _) => Ok(Range(b.clone())),
            (_, None) => Ok(Range(a.clone())),
            (Some(x), Some(y)) => {
                let lower = if Place::lower(x).compare(&Place::lower(y)).is_lt() { &x.lower } else { &y.lower };
                let upper = if Place::upper(x).compare(&Place::upper(y)).is_gt() { &x.upper } else { &y.upper };
                made(a.element, lower.clone(), upper.clone())
            }
        },
        _ => Err(wrong_arguments("range_merge", args)),
    }),
    entry("range_constructor2", false, |args, _| match *args {
        [lower, upper] => constructed(lower, upper, (true, false)),
        _ => Err(wrong_arguments("range_constructor2", args)),
    }),
    entry("range_constructor3", false, |args, _| match *args {
        [lower, upper, Text(flags)] => match &**flags {
            "[]" => constructed(lower, upper, (true, true)),
            "[)" => constructed(lower, upper, (true, false)),
            "(]" => constructed(lower, upper, (false, true)),
            "()" => constructed(lower, upper, (false, false)),
            _ => Err(EvalError::unsupported("a range with bounds of an unknown kind")),
        },
        [_, _, Null] => Err(EvalError::unsupported("a range with bounds of an unknown kind")),
        _ => Err(wrong_arguments("range_constructor3", args)),
    }),
];

fn bound(range: &value::Range, which: fn(&Bounds) -> &RangeBound) -> Option<&RangeBound> {
    range.bounds.as_ref().map(which)
}

fn contains(whole: &value::Range, part: &value::Range) -> bool {
    match (&whole.bounds, &part.bounds) {
        (_, None) => true,
        (None, _) => false,
        (Some(whole), Some(part)) => {
            Place::lower(whole).compare(&Place::lower(part)).is_le()
                && Place::upper(whole).compare(&Place::upper(part)).is_ge()
        }
    }
}

fn overlaps(a: &Bounds, b: &Bounds) -> bool {
    let begins_in = |a: &Bounds, b: &Bounds| {
        Place::lower(a).compare(&Place::lower(b)).is_ge() && Place::lower(a).compare(&Place::upper(b)).is_le()
    };
    begins_in(a, b) || begins_in(b, a)
}

/// `bounds_adjacent`, of canonical ranges: nothing lies between an upper and a lower bound, and nothing in both.
fn touch(upper: &RangeBound, lower: &RangeBound) -> bool {
    let same = upper.value.as_ref().zip(lower.value.as_ref()).is_some_and(|(a, b)| compare(a, b).is_eq());
    same && upper.inclusive != lower.inclusive
}

fn holds(range: &value::Range, element: &Value) -> bool {
    let Some(bounds) = &range.bounds else { return false };
    let after = bounds.lower.value.as_ref().is_none_or(|lower| match compare(lower, element) {
        Ordering::Less => true,
        Ordering::Equal => bounds.lower.inclusive,
        Ordering::Greater => false,
    });
    let before = bounds.upper.value.as_ref().is_none_or(|upper| match compare(element, upper) {
        Ordering::Less => true,
        Ordering::Equal => bounds.upper.inclusive,
        Ordering::Greater => false,
    });
    after && before
}

fn made(element: u32, lower: RangeBound, upper: RangeBound) -> Result<Value, EvalError> {
    Ok(Range(Arc::new(value::Range::new(element, lower, upper)?)))
}

/// A NULL bound is an infinite one. Of two the type is not to be seen.
fn constructed(lower: &Value, upper: &Value, (from, to): (bool, bool)) -> Result<Value, EvalError> {
    let element = match if lower.is_null() { upper } else { lower } {
        Int4(_) => oid::INT4,
        Int8(_) => oid::INT8,
        Numeric(_) => oid::NUMERIC,
        Date(_) => oid::DATE,
        Timestamp(_) => oid::TIMESTAMP,
        TimestampTz(_) => oid::TIMESTAMPTZ,
        _ => return Err(EvalError::unsupported("a range without bounds, or of another type")),
    };
    let bound = |value: &Value, inclusive| RangeBound::new((!value.is_null()).then(|| value.clone()), inclusive);
    made(element, bound(lower, from), bound(upper, to))
}
