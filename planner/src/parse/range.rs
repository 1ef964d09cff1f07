//! `range_in` (`src/backend/utils/adt/rangetypes.c`) of ranges written plainly. Quotes, escapes, and anything that is no
//! range, are left to Postgres.

use super::{decode_text, trim};
use crate::settings::Settings;
use crate::value::{EvalError, Range, RangeBound, Value};
use std::sync::Arc;

/// `[1,5)`, `(,3]`, `empty`.
pub(super) fn range(element: u32, text: &str, settings: &Settings) -> Result<Value, EvalError> {
    let left = || EvalError::unsupported("range input of an unusual form");
    let plain = trim(text);
    if plain.eq_ignore_ascii_case("empty") {
        return Ok(Value::Range(Arc::new(Range::empty(element))));
    }
    let lower_inclusive = match plain.chars().next() {
        Some('[') => true,
        Some('(') => false,
        _ => return Err(left()),
    };
    let upper_inclusive = match plain.chars().last() {
        Some(']') => true,
        Some(')') => false,
        _ => return Err(left()),
    };
    let inner = plain.get(1..plain.len() - 1).ok_or_else(left)?;
    let (lower, upper) = inner.split_once(',').ok_or_else(left)?;
    if inner.contains(['"', '\\', '(', ')', '[', ']']) || upper.contains(',') {
        return Err(left());
    }
    let bound = |text: &str, inclusive| -> Result<RangeBound, EvalError> {
        let value = if text.is_empty() { None } else { Some(decode_text(element, -1, text, settings)?) };
        Ok(RangeBound::new(value, inclusive))
    };
    let range = Range::new(element, bound(lower, lower_inclusive)?, bound(upper, upper_inclusive)?)?;
    Ok(Value::Range(Arc::new(range)))
}
