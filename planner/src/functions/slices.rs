//! Slices of arrays (`array_get_slice`).

use super::Function;
use super::define::wrong_arguments;
use crate::settings::SettingSet;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};
use std::sync::Arc;

/// The array, then a lower and an upper bound for each of its first dimensions: an integer, or a boolean for one that is
/// left out.
pub(super) static SLICE: Function = Function {
    symbol: "array_get_slice",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [Array(array), ref bounds @ ..] if bounds.len() % 2 == 0 => slice(array, bounds, args),
        _ => Err(wrong_arguments("array slice", args)),
    },
};

fn slice(array: &value::Array, bounds: &[&Value], args: &[&Value]) -> Result<Value, EvalError> {
    let empty = || Ok(Array(Arc::new(value::Array::list(array.element, vec![]))));
    if array.dimensions.is_empty() || array.dimensions.len() < bounds.len() / 2 {
        return empty();
    }
    // Per dimension the first place and how many.
    let mut spans = Vec::with_capacity(array.dimensions.len());
    for (at, (length, first)) in array.dimensions.iter().enumerate() {
        let (first, last) = (i64::from(*first), i64::from(*first) + i64::from(*length) - 1);
        let bound = |place: usize, default: i64| match bounds.get(2 * at + place) {
            None | Some(Bool(_)) => Ok(default),
            Some(Int4(bound)) => Ok(i64::from(*bound)),
            Some(_) => Err(wrong_arguments("array slice", args)),
        };
        let (lower, upper) = (bound(0, first)?.max(first), bound(1, last)?.min(last));
        if lower > upper {
            return empty();
        }
        spans.push(((lower - first) as usize, (upper - lower + 1) as usize));
    }
    let mut elements = Vec::with_capacity(spans.iter().map(|(_, count)| count).product());
    collect(array, &spans, 0, 0, &mut elements);
    let has_nulls = array.bitmap || array.elements.iter().any(Value::is_null);
    let bitmap = has_nulls && !elements.iter().any(Value::is_null);
    let dimensions = spans.iter().map(|(_, count)| (*count as i32, 1)).collect();
    Ok(Array(Arc::new(value::Array { element: array.element, dimensions, elements: elements.into(), bitmap })))
}

/// The elements of the slice in the dimensions from `at` on, whose block is the `block`th of its size.
fn collect(array: &value::Array, spans: &[(usize, usize)], at: usize, block: usize, out: &mut Vec<Value>) {
    let Some((start, count)) = spans.get(at) else {
        out.extend(array.elements.get(block).cloned());
        return;
    };
    let length = array.dimensions[at].0 as usize;
    for place in *start..start + count {
        collect(array, spans, at + 1, block * length + place, out);
    }
}
