//! Strings: search, parts (varlena.c, oracle_compat.c). Positions and lengths are in characters.

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// Results longer than this are left to Postgres, which has limits of its own (1 GB).
const LONGEST_RESULT: usize = 1 << 24;

/// Byte offset of the character at that 0-based position, or the end.
fn offset(text: &str, position: usize) -> usize {
    if text.is_ascii() {
        return position.min(text.len());
    }
    text.char_indices().nth(position).map_or(text.len(), |(at, _)| at)
}

/// `text_substring`: from 1-based `start`, `length` characters or to the end.
fn substring(text: &str, start: i32, length: Option<i32>) -> Result<Value, EvalError> {
    let from = offset(text, start.max(1) as usize - 1);
    let Some(length) = length else { return Ok(Value::text(&text[from..])) };
    if length < 0 {
        return Err(EvalError::new("22011", "negative substring length not allowed"));
    }
    let Some(end) = start.checked_add(length) else { return Ok(Value::text(&text[from..])) };
    if end < 1 {
        return Ok(Value::text(""));
    }
    let count = (end - start.max(1)).max(0) as usize;
    let rest = &text[from..];
    Ok(Value::text(&rest[..offset(rest, count)]))
}

/// Characters counted from the front, or all but so many at the end when negative.
fn left(text: &str, count: i32) -> Value {
    let keep = if count >= 0 { count as usize } else { shortened(text, count) };
    Value::text(&text[..offset(text, keep)])
}

fn right(text: &str, count: i32) -> Result<Value, EvalError> {
    if count == i32::MIN {
        return Err(EvalError::unsupported("right() with a count that has no negative"));
    }
    let skip = if count < 0 { count.unsigned_abs() as usize } else { shortened(text, -count) };
    Ok(Value::text(&text[offset(text, skip)..]))
}

/// Number of characters less `-negative`, at least 0.
fn shortened(text: &str, negative: i32) -> usize {
    text.chars().count().saturating_sub(negative.unsigned_abs() as usize)
}

/// `text_position`: 1-based position of the first occurrence, 0 for none.
fn position(text: &str, part: &str) -> Value {
    Int4(text.find(part).map_or(0, |at| text[..at].chars().count() as i32 + 1))
}

fn replace(text: &str, from: &str, to: &str) -> Result<Value, EvalError> {
    if text.is_empty() || from.is_empty() {
        return Ok(Value::text(text));
    }
    if text.len().saturating_mul(to.len().max(1)) > LONGEST_RESULT * 16 {
        return Err(EvalError::unsupported("replacement in a very long text"));
    }
    Ok(Value::text(&text.replace(from, to)))
}

fn repeat(text: &str, count: i32) -> Result<Value, EvalError> {
    let count = count.max(0) as usize;
    if text.len().saturating_mul(count) > LONGEST_RESULT {
        return Err(EvalError::unsupported("very long repetition"));
    }
    Ok(Value::text(&text.repeat(count)))
}

/// `lpad`, `rpad`: to `length` characters; a longer text is cut at its end in both.
fn pad(text: &str, length: i32, fill: &str, before: bool) -> Result<Value, EvalError> {
    let length = length.max(0) as usize;
    let present = text.chars().count();
    if present >= length || fill.is_empty() {
        return Ok(Value::text(&text[..offset(text, length)]));
    }
    if length > LONGEST_RESULT {
        return Err(EvalError::unsupported("very long padding"));
    }
    let padding: String = fill.chars().cycle().take(length - present).collect();
    Ok(Value::text(&if before { padding + text } else { text.to_owned() + &padding }))
}

/// `split_part`: the n-th field, counted from the end when negative.
fn split_part(text: &str, separator: &str, field: i32) -> Result<Value, EvalError> {
    if field == 0 {
        return Err(EvalError::invalid_parameter("field position must not be zero"));
    }
    if text.is_empty() {
        return Ok(Value::text(""));
    }
    if separator.is_empty() {
        return Ok(Value::text(if matches!(field, 1 | -1) { text } else { "" }));
    }
    let fields: Vec<&str> = text.split(separator).collect();
    let at = if field > 0 { field as usize - 1 } else { fields.len().wrapping_sub(field.unsigned_abs() as usize) };
    Ok(Value::text(fields.get(at).copied().unwrap_or("")))
}

/// `text_overlay`: what stands in `length` characters from the 1-based start gives way.
fn overlay(text: &str, other: &str, start: i32, length: i32) -> Result<Value, EvalError> {
    if start <= 0 {
        return Err(EvalError::new("22011", "negative substring length not allowed"));
    }
    let behind = start.checked_add(length).ok_or_else(|| EvalError::out_of_range("integer out of range"))?;
    let rest = &text[offset(text, behind.max(1) as usize - 1)..];
    Ok(Value::text(&[&text[..offset(text, start as usize - 1)], other, rest].concat()))
}

/// `translate`: each character of `from` becomes the one at its place in `to`, or vanishes.
fn translate(text: &str, from: &str, to: &str) -> Value {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    let mapped: String = text
        .chars()
        .filter_map(|c| match from.iter().position(|f| *f == c) {
            Some(at) => to.get(at).copied(),
            None => Some(c),
        })
        .collect();
    Value::text(&mapped)
}

strict_functions! {
    "text_substr" (Text(a), &Int4(start), &Int4(length)) => substring(a, start, Some(length));
    "text_substr_no_len" (Text(a), &Int4(start)) => substring(a, start, None);
    "text_left" (Text(a), &Int4(count)) => Ok(left(a, count));
    "text_right" (Text(a), &Int4(count)) => right(a, count);
    "textpos" (Text(a), Text(part)) => Ok(position(a, part));
    "text_starts_with" (Text(a), Text(prefix)) => Ok(Bool(a.starts_with(&**prefix)));
    "replace_text" (Text(a), Text(from), Text(to)) => replace(a, from, to);
    "repeat" (Text(a), &Int4(count)) => repeat(a, count);
    "text_reverse" (Text(a)) => Ok(Value::text(&a.chars().rev().collect::<String>()));
    "lpad" (Text(a), &Int4(length), Text(fill)) => pad(a, length, fill, true);
    "rpad" (Text(a), &Int4(length), Text(fill)) => pad(a, length, fill, false);
    "lpad(text,int4)" (Text(a), &Int4(length)) => pad(a, length, " ", true);
    "rpad(text,int4)" (Text(a), &Int4(length)) => pad(a, length, " ", false);
    "split_part" (Text(a), Text(separator), &Int4(field)) => split_part(a, separator, field);
    "translate" (Text(a), Text(from), Text(to)) => Ok(translate(a, from, to));
    "textoverlay" (Text(a), Text(other), &Int4(start), &Int4(length)) => overlay(a, other, start, length);
    "textoverlay_no_len" (Text(a), Text(other), &Int4(start)) => overlay(a, other, start, other.chars().count() as i32);
    // (Of numbers below zero, what is refused differs between majors.)
    "chr" (&Int4(point)) => match u32::try_from(point).map(char::from_u32) {
        Ok(Some('\0')) => Err(EvalError::new("54000", "null character not permitted")),
        Ok(Some(c)) => Ok(Value::text(c.encode_utf8(&mut [0; 4]))),
        Ok(None) if point > 0x10_FFFF => {
            Err(EvalError::new("54000", format!("requested character too large for encoding: {point}")))
        }
        Ok(None) => Err(EvalError::new("54000", format!("requested character not valid for encoding: {point}"))),
        Err(_) => Err(EvalError::unsupported("a character of a negative number")),
    };
    "ascii" (Text(a)) => Ok(Int4(a.chars().next().map_or(0, |c| c as i32)));
    "to_hex32" (&Int4(a)) => Ok(Value::text(&format!("{a:x}")));
    "to_hex64" (&Int8(a)) => Ok(Value::text(&format!("{a:x}")));
}
