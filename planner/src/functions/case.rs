//! Functions that fold case. The planner hands them the number of their collation's letters as a last argument.

use super::define::strict_functions;
use super::letters::{Letters, numbered};
use super::like::like;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// What is compared are both sides in lower case (`Generic_Text_IC_like` in `like.c`, for encodings of several bytes).
fn ilike(text: &str, pattern: &str, number: i32) -> Result<bool, EvalError> {
    let letters = numbered(number)?;
    like(&letters.lower(text)?, &letters.lower(pattern)?)
}

/// Of words of letters and digits of ASCII: which others are any is not told. Where only ASCII is known, words end elsewhere
/// (ICU: `don't` is one).
fn capitals(text: &str, letters: &Letters) -> Result<Value, EvalError> {
    if !text.is_ascii() || !letters.knows('\u{80}') {
        return Err(EvalError::unsupported("capitals beyond ASCII, or under a collation with words of its own"));
    }
    let mut within = false;
    let mut capitals = String::with_capacity(text.len());
    let mut buffer = [0; 4];
    for c in text.chars() {
        let c = c.encode_utf8(&mut buffer);
        capitals.push_str(&if within { letters.lower(c)? } else { letters.upper(c)? });
        within = capitals.ends_with(|c: char| c.is_ascii_alphanumeric());
    }
    if capitals.is_ascii() { Ok(Value::text(&capitals)) } else { Err(EvalError::unsupported("capitals beyond ASCII")) }
}

strict_functions! {
    "initcap" (Text(a), &Int4(number)) => capitals(a, numbered(number)?);
    "lower" (Text(a), &Int4(number)) => numbered(number)?.lower(a).map(|text| Value::text(&text));
    "upper" (Text(a), &Int4(number)) => numbered(number)?.upper(a).map(|text| Value::text(&text));
    "texticlike" (Text(a) | Bpchar(a), Text(pattern), &Int4(number)) => ilike(a, pattern, number).map(Bool);
    "texticnlike" (Text(a) | Bpchar(a), Text(pattern), &Int4(number)) => {
        ilike(a, pattern, number).map(|matches| Bool(!matches))
    };
}
