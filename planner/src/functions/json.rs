//! json by path (jsonfuncs.c). A json travels as the text it was given as: blanks, repeated members and escapes are kept,
//! and a part is written as it stands. Of members of one name the last counts.

use super::define::strict_functions;
use super::jsonb::{array_index, unescaped};
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// One step into a json.
enum Step<'s> {
    Member(&'s str),
    Element(i32),
}

#[cold]
fn malformed() -> EvalError {
    EvalError::unsupported("a json of an unknown form")
}

/// The text without blanks around it. Postgres reads every escape of it, of other parts too, and fails on one that is no
/// character: zero, and halves of surrogate pairs that are none. Those are left to it.
fn text_of(image: &[u8]) -> Result<&str, EvalError> {
    let text = std::str::from_utf8(image).map_err(|_| malformed())?;
    for code in escapes(text) {
        let is_character = u32::from_str_radix(code, 16).is_ok_and(|code| code != 0 && char::from_u32(code).is_some());
        if !is_character {
            return Err(EvalError::unsupported("a json with an escape that alone is no character"));
        }
    }
    Ok(trimmed(text))
}

/// What follows each `\u`.
fn escapes(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices("\\u").map(|(at, _)| text.get(at + 2..at + 6).unwrap_or(""))
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn trimmed(text: &str) -> &str {
    text.trim_matches(is_blank)
}

/// The pieces between the commas of an array or object, without its brackets and the blanks around them.
fn pieces(text: &str) -> Result<Vec<&str>, EvalError> {
    let inner = text.get(1..text.len().saturating_sub(1)).ok_or_else(malformed)?;
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0usize);
    let bytes = inner.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = end_of_string(bytes, at).ok_or_else(malformed)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1).ok_or_else(malformed)?,
            b',' if depth == 0 => {
                found.push(trimmed(&inner[start..at]));
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    let last = trimmed(&inner[start..]);
    if !found.is_empty() || !last.is_empty() {
        found.push(last);
    }
    Ok(found)
}

/// The place after a string that begins at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// One step. Members of one name on a path of several (`along`) are mixed up by Postgres, and left to it.
fn take<'j>(text: &'j str, step: &Step<'_>, along: bool) -> Result<Option<&'j str>, EvalError> {
    match (step, text.as_bytes().first()) {
        (Step::Member(key), Some(b'{')) => {
            let mut found = None;
            for member in pieces(text)? {
                let end = end_of_string(member.as_bytes(), 0).ok_or_else(malformed)?;
                let value = trimmed(&member[end..]).strip_prefix(':').ok_or_else(malformed)?;
                if unescaped(&member[..end])? == *key {
                    if along && found.is_some() {
                        return Err(EvalError::unsupported("members of one name on the path into a json"));
                    }
                    found = Some(trimmed(value));
                }
            }
            Ok(found)
        }
        (Step::Element(index), Some(b'[')) => {
            let elements = pieces(text)?;
            let index = i64::from(*index);
            let place = if index < 0 { index + elements.len() as i64 } else { index };
            Ok(usize::try_from(place).ok().and_then(|place| elements.get(place).copied()))
        }
        _ => Ok(None),
    }
}

/// A subscript of `array`, which lies within `whole` and that many containers. Postgres (`get_array_start`) counts a negative
/// one from the end of the first array at that level, on the path or not, that has so many elements, and then it stays.
fn from_start(whole: &str, array: &str, level: usize, index: i32) -> Result<i32, EvalError> {
    if index >= 0 {
        return Ok(index);
    }
    let bytes = whole.as_bytes();
    let end = array.as_ptr().addr() - whole.as_ptr().addr();
    let (mut at, mut depth) = (0, 0usize);
    while at < end {
        match bytes[at] {
            b'"' => {
                at = end_of_string(bytes, at).ok_or_else(malformed)?;
                continue;
            }
            open @ (b'[' | b'{') => {
                let count = if open == b'[' && depth == level { element_count(&bytes[at..])? } else { 0 };
                if let Some(index) = index.checked_add(count).filter(|index| *index >= 0) {
                    return Ok(index);
                }
                depth += 1;
            }
            b']' | b'}' => depth = depth.checked_sub(1).ok_or_else(malformed)?,
            _ => {}
        }
        at += 1;
    }
    Ok(index)
}

/// Elements of the array that the text begins with.
fn element_count(text: &[u8]) -> Result<i32, EvalError> {
    let (mut at, mut depth, mut commas, mut is_empty) = (0, 0usize, 0, true);
    while let Some(&byte) = text.get(at) {
        is_empty &= at == 0 || byte == b']' || is_blank(char::from(byte));
        match byte {
            b'"' => {
                at = end_of_string(text, at).ok_or_else(malformed)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth == 1 => return Ok(if is_empty { 0 } else { commas + 1 }),
            b']' | b'}' => depth -= 1,
            b',' if depth == 1 => commas += 1,
            _ => {}
        }
        at += 1;
    }
    Err(malformed())
}

/// `#>`: a NULL in the path gives NULL, an empty path the whole (of a scalar with the blanks before it).
fn at_path<'j>(image: &'j [u8], path: &[Value]) -> Result<Option<&'j str>, EvalError> {
    let text = text_of(image)?;
    if path.is_empty() && image.first() != text.as_bytes().first() {
        return Err(EvalError::unsupported("the whole of a json that begins with blanks"));
    }
    if path.iter().any(Value::is_null) {
        return Ok(None);
    }
    let mut at = text;
    let along = path.len() > 1;
    for (level, step) in path.iter().enumerate() {
        let Text(step) = step else { return Err(malformed()) };
        let found = match at.as_bytes().first() {
            Some(b'{') => take(at, &Step::Member(step), along)?,
            Some(b'[') => match array_index(step)? {
                Some(index) => take(at, &Step::Element(from_start(text, at, level, index)?), along)?,
                None => None,
            },
            _ => None,
        };
        match found {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// `->`.
fn part(found: Option<&str>) -> Result<Value, EvalError> {
    Ok(found.map_or(Null, |text| Opaque(text.as_bytes().into())))
}

/// `->>`.
fn part_text(found: Option<&str>) -> Result<Value, EvalError> {
    match found {
        None | Some("null") => Ok(Null),
        Some(text) if text.starts_with('"') => Ok(Value::text(&unescaped(text)?)),
        Some(text) => Ok(Value::text(text)),
    }
}

fn array_length(text: &str) -> Result<Value, EvalError> {
    match text.as_bytes().first() {
        Some(b'[') => Ok(Int4(pieces(text)?.len() as i32)),
        Some(b'{') => Err(EvalError::invalid_parameter("cannot get array length of a non-array")),
        _ => Err(EvalError::invalid_parameter("cannot get array length of a scalar")),
    }
}

strict_functions! {
    "json_object_field" (Opaque(json), Text(key)) => part(take(text_of(json)?, &Step::Member(key), false)?);
    "json_object_field_text" (Opaque(json), Text(key)) => part_text(take(text_of(json)?, &Step::Member(key), false)?);
    "json_array_element" (Opaque(json), &Int4(index)) => part(take(text_of(json)?, &Step::Element(index), false)?);
    "json_array_element_text" (Opaque(json), &Int4(index)) => part_text(take(text_of(json)?, &Step::Element(index), false)?);
    "json_extract_path" (Opaque(json), Array(path)) => part(at_path(json, &path.elements)?);
    "json_extract_path_text" (Opaque(json), Array(path)) => part_text(at_path(json, &path.elements)?);
    "json_typeof" (Opaque(json)) => Ok(Value::text(super::jsonb::type_name(text_of(json)?)));
    "json_array_length" (Opaque(json)) => array_length(text_of(json)?);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscripts_from_the_end_count_as_postgres_counts_them() {
        for (text, path, expected) in [
            (r#"{"b":[1,2], "a":[[false]]}"#, ["a", "-1"], None),
            (r#"{"b":[ ], "a":[[false]]}"#, ["a", "-1"], Some("[false]")),
            (r#"{"b":[1,"],"], "a":[3,4,5]}"#, ["a", "-1"], Some("4")),
            (r#"{"a":[3,4,5], "b":[1,2]}"#, ["a", "-1"], Some("5")),
            ("[[1,2], [3,4,5]]", ["1", "-1"], Some("4")),
            ("[[1,2], [3,4,5]]", ["-1", "-1"], Some("4")),
            ("[[1], [3,4,5]]", ["-1", "-2"], Some("4")),
            (r#"{"b":[[1,2]], "a":[3,4,5]}"#, ["a", "-1"], Some("3")),
        ] {
            let found = at_path(text.as_bytes(), &path.map(Value::text)).unwrap();
            assert_eq!(found, expected, "{text} {path:?}");
        }
    }
}
