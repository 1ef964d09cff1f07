//! Arrays (arrayfuncs.c, array_userfuncs.c): bounds, membership, search, concatenation. Elements are compared by SQL
//! equality of their type, and NULL elements equal nothing except where Postgres looks for them.

use super::Function;
use super::define::wrong_arguments;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError, compare};
use std::sync::Arc;

type Eval = fn(&[&Value], &EvalContext) -> Result<Value, EvalError>;

const fn entry(symbol: &'static str, strict: bool, eval: Eval) -> Function {
    Function { symbol, strict, settings: SettingSet::NONE, eval }
}

pub(super) static FUNCTIONS: &[Function] = &[
    entry("array_ndims", true, |args, _| match *args {
        [Array(array)] => Ok(count(array.dimensions.len()).unwrap_or(Null)),
        _ => Err(wrong_arguments("array_ndims", args)),
    }),
    entry("array_cardinality", true, |args, _| match *args {
        [Array(array)] => Ok(Int4(array.elements.len() as i32)),
        _ => Err(wrong_arguments("array_cardinality", args)),
    }),
    entry("array_length", true, |args, _| bound("array_length", args, |length, _| length)),
    entry("array_lower", true, |args, _| bound("array_lower", args, |_, lower| lower)),
    entry("array_upper", true, |args, _| bound("array_upper", args, |length, lower| lower + length - 1)),
    entry("array_eq", true, |args, _| pair("array_eq", args, equal)),
    entry("array_ne", true, |args, _| pair("array_ne", args, |a, b| !equal(a, b))),
    entry("array_lt", true, |args, _| pair("array_lt", args, |a, b| a.compare(b).is_lt())),
    entry("array_le", true, |args, _| pair("array_le", args, |a, b| a.compare(b).is_le())),
    entry("array_gt", true, |args, _| pair("array_gt", args, |a, b| a.compare(b).is_gt())),
    entry("array_ge", true, |args, _| pair("array_ge", args, |a, b| a.compare(b).is_ge())),
    entry("arraycontains", true, |args, _| pair("arraycontains", args, contains)),
    entry("arraycontained", true, |args, _| pair("arraycontained", args, |a, b| contains(b, a))),
    entry("arrayoverlap", true, |args, _| {
        pair("arrayoverlap", args, |a, b| a.elements.iter().any(|element| holds(b, element)))
    }),
    entry("array_position", false, |args, _| match *args {
        [Null, _] => Ok(Null),
        [Array(array), sought] => {
            let lower = one_dimension(array, "searching for elements in multidimensional arrays is not supported")?;
            let place = array.elements.iter().position(|element| is_same(element, sought));
            Ok(place.map_or(Null, |place| Int4(lower + place as i32)))
        }
        _ => Err(wrong_arguments("array_position", args)),
    }),
    entry("array_positions", false, |args, _| match *args {
        [Null, _] => Ok(Null),
        [Array(array), sought] => {
            let lower = one_dimension(array, "searching for elements in multidimensional arrays is not supported")?;
            let found = array.elements.iter().enumerate().filter(|(_, element)| is_same(element, sought));
            let places = found.map(|(place, _)| Int4(lower + place as i32)).collect();
            Ok(Array(Arc::new(value::Array::list(oid::INT4, places))))
        }
        _ => Err(wrong_arguments("array_positions", args)),
    }),
    entry("array_remove", false, |args, _| match *args {
        [Null, _] => Ok(Null),
        [Array(array), sought] => {
            let lower = one_dimension(array, "removing elements from multidimensional arrays is not supported")?;
            held_plainly(array)?;
            let left: Vec<Value> = array.elements.iter().filter(|element| !is_same(element, sought)).cloned().collect();
            Ok(line(array.element, left, lower))
        }
        _ => Err(wrong_arguments("array_remove", args)),
    }),
    entry("array_append", false, |args, _| match *args {
        [Array(array), added] => {
            let lower = extensible(array)?;
            Ok(line(array.element, array.elements.iter().cloned().chain([added.clone()]).collect(), lower))
        }
        _ => Err(wrong_arguments("array_append", args)),
    }),
    entry("array_prepend", false, |args, _| match *args {
        [added, Array(array)] => {
            let lower = extensible(array)?;
            Ok(line(array.element, std::iter::once(added).chain(&array.elements).cloned().collect(), lower))
        }
        _ => Err(wrong_arguments("array_prepend", args)),
    }),
    entry("array_cat", false, |args, _| match *args {
        [Null, other] | [other, Null] => Ok(other.clone()),
        [Array(a), Array(b)] if a.bitmap || b.bitmap => held_plainly(a).and(held_plainly(b)).map(|()| Null),
        [Array(a), Array(b)] => match (&*a.dimensions, &*b.dimensions) {
            ([], _) => Ok(Array(b.clone())),
            (_, []) => Ok(Array(a.clone())),
            ([(_, lower)], [_]) => Ok(line(a.element, a.elements.iter().chain(&b.elements).cloned().collect(), *lower)),
            _ => Err(EvalError::unsupported("concatenation of arrays of several dimensions")),
        },
        _ => Err(wrong_arguments("array_cat", args)),
    }),
];

/// `array[i]…` (`array_get_element`): NULL for a NULL subscript, one out of bounds, or another number of them than there
/// are dimensions.
pub(super) static SUBSCRIPT: Function = entry("array_get_element", true, |args, _| match *args {
    [Array(array), ref subscripts @ ..] => {
        if subscripts.len() != array.dimensions.len() {
            return Ok(Null);
        }
        let mut place = 0;
        for (subscript, (length, lower)) in subscripts.iter().zip(&array.dimensions) {
            let Int4(subscript) = subscript else { return Err(wrong_arguments("array subscript", args)) };
            let at = i64::from(*subscript) - i64::from(*lower);
            if at < 0 || at >= i64::from(*length) {
                return Ok(Null);
            }
            place = place * *length as usize + at as usize;
        }
        array.elements.get(place).cloned().ok_or_else(|| wrong_arguments("array subscript", args))
    }
    _ => Err(wrong_arguments("array subscript", args)),
});

fn count(number: usize) -> Option<Value> {
    (number > 0).then_some(Int4(number as i32))
}

/// A bound of one dimension; NULL where it is not there.
fn bound(symbol: &str, args: &[&Value], of: fn(i32, i32) -> i32) -> Result<Value, EvalError> {
    let [Array(array), Int4(dimension)] = *args else { return Err(wrong_arguments(symbol, args)) };
    let at = usize::try_from(*dimension).ok().and_then(|dimension| dimension.checked_sub(1));
    let found = at.and_then(|at| array.dimensions.get(at));
    Ok(found.map_or(Null, |(length, lower)| Int4(of(*length, *lower))))
}

fn pair(symbol: &str, args: &[&Value], test: fn(&value::Array, &value::Array) -> bool) -> Result<Value, EvalError> {
    match *args {
        [Array(a), Array(b)] => Ok(Bool(test(a, b))),
        _ => Err(wrong_arguments(symbol, args)),
    }
}

/// `array_eq`: bounds count, and NULLs are equal to each other.
fn equal(a: &value::Array, b: &value::Array) -> bool {
    a.dimensions == b.dimensions && a.elements.iter().zip(&b.elements).all(|(a, b)| is_same(a, b))
}

/// `array_contain_compare`: a NULL is contained nowhere.
fn contains(a: &value::Array, b: &value::Array) -> bool {
    b.elements.iter().all(|element| holds(a, element))
}

fn holds(array: &value::Array, sought: &Value) -> bool {
    !sought.is_null() && array.elements.iter().any(|element| is_same(element, sought))
}

/// Equal, or both NULL.
fn is_same(a: &Value, b: &Value) -> bool {
    match (a.is_null(), b.is_null()) {
        (false, false) => compare(a, b).is_eq(),
        (a, b) => a && b,
    }
}

/// The lower bound of an array that is empty or has one dimension.
fn one_dimension(array: &value::Array, refusal: &'static str) -> Result<i32, EvalError> {
    match &*array.dimensions {
        [] => Ok(1),
        [(_, lower)] => Ok(*lower),
        _ => Err(EvalError::new("0A000", refusal)),
    }
}

/// Whether the bitmap of a slice goes on with what is made of it differs from function to function.
fn held_plainly(array: &value::Array) -> Result<(), EvalError> {
    if array.bitmap {
        Err(EvalError::unsupported("an array made of a slice that a NULL was cut off from"))
    } else {
        Ok(())
    }
}

fn extensible(array: &value::Array) -> Result<i32, EvalError> {
    held_plainly(array)?;
    match &*array.dimensions {
        [] => Ok(1),
        [(_, lower)] => Ok(*lower),
        _ => Err(EvalError::unsupported("an element added to an array of several dimensions")),
    }
}

/// A one-dimensional array from this subscript.
fn line(element: u32, elements: Vec<Value>, lower: i32) -> Value {
    let mut array = value::Array::list(element, elements);
    if let [(_, bound)] = &mut *array.dimensions {
        *bound = lower;
    }
    Array(Arc::new(array))
}
