//! `ARRAY[…]` of arrays, which makes one of a dimension more (`ExecEvalArrayExpr`).

use super::Function;
use super::define::wrong_arguments;
use crate::settings::SettingSet;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};
use std::sync::Arc;

/// The elements' type (`pg_type.oid`), then the arrays.
pub(super) static NESTED: Function = Function {
    symbol: "array_of_arrays",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| match args {
        [Int4(element), arrays @ ..] => nested(*element as u32, arrays),
        _ => Err(wrong_arguments("ARRAY[…] of arrays", args)),
    },
};

/// `MAXDIM` of `src/include/utils/array.h`.
const MOST_DIMENSIONS: usize = 6;

fn nested(element: u32, arrays: &[&Value]) -> Result<Value, EvalError> {
    // NULL is as an array without elements.
    let is_empty = |array: &&value::Array| array.dimensions.is_empty();
    let mut known = Vec::with_capacity(arrays.len());
    for array in arrays {
        match array {
            Null => {}
            Array(array) if array.element == element => known.push(&**array),
            _ => return Err(EvalError::unsupported("ARRAY[…] of arrays of another type")),
        }
    }
    known.retain(|array| !is_empty(array));
    let Some(first) = known.first() else {
        return Ok(Array(Arc::new(value::Array::list(element, vec![]))));
    };
    let count = first.dimensions.len() + 1;
    if count > MOST_DIMENSIONS {
        let message = format!("number of array dimensions ({count}) exceeds the maximum allowed ({MOST_DIMENSIONS})");
        return Err(EvalError::new("54000", message));
    }
    if known.len() < arrays.len() || known.iter().any(|array| array.dimensions != first.dimensions) {
        let message = "multidimensional arrays must have array expressions with matching dimensions";
        return Err(EvalError::new("2202E", message));
    }
    let dimensions = [(known.len() as i32, 1)].iter().chain(&first.dimensions).copied().collect();
    let elements: Box<[Value]> = known.iter().flat_map(|array| &array.elements).cloned().collect();
    let bitmap = known.iter().any(|array| array.bitmap) && !elements.iter().any(Value::is_null);
    Ok(Array(Arc::new(value::Array { element, dimensions, elements, bitmap })))
}
