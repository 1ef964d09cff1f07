//! jsonb by path (jsonfuncs.c, jsonb_op.c): members, elements, existence of keys.
//!
//! A jsonb is held as its text in the one form `jsonb_out` writes: members are unique and sorted, one space follows `:` and `,`, and only control characters, quotes and backslashes are escaped. A
//! part of a jsonb is written as it is written within the whole, so that it is a slice of that text.

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// Array or object that a slice is, or neither.
pub(crate) enum Shape<'j> {
    /// Texts of the elements.
    Array(Vec<&'j str>),
    /// Keys, as written, and texts of the values.
    Object(Vec<(&'j str, &'j str)>),
    Scalar,
}

#[cold]
pub(super) fn malformed() -> EvalError {
    EvalError::unsupported("a jsonb of an unknown form")
}

pub(super) fn image_of(text: &str) -> Value {
    Jsonb(text.into())
}

/// `->`: a part, or NULL for none.
fn part(found: Option<&str>) -> Result<Value, EvalError> {
    Ok(found.map_or(Null, image_of))
}

/// `->>`: strings without quotes and escapes, JSON's null as NULL.
pub(super) fn part_text(found: Option<&str>) -> Result<Value, EvalError> {
    match found {
        None | Some("null") => Ok(Null),
        Some(text) if text.starts_with('"') => Ok(Value::text(&unescaped(text)?)),
        Some(text) => Ok(Value::text(text)),
    }
}

/// The characters of a string as written by `escape_json`.
pub(crate) fn unescaped(quoted: &str) -> Result<String, EvalError> {
    let inner = quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')).ok_or_else(malformed)?;
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match rest.next().ok_or_else(malformed)? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let digits: String = rest.by_ref().take(4).collect();
                u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32).ok_or_else(malformed)?
            }
            c @ ('"' | '\\' | '/') => c,
            _ => return Err(malformed()),
        });
    }
    Ok(out)
}

/// Takes a jsonb apart, one level deep.
pub(crate) fn shape(text: &str) -> Result<Shape<'_>, EvalError> {
    let inner = |open, close| text.strip_prefix(open).and_then(|text: &str| text.strip_suffix(close));
    if let Some(inner) = inner('[', ']') {
        return Ok(Shape::Array(pieces(inner)?));
    }
    let Some(inner) = inner('{', '}') else { return Ok(Shape::Scalar) };
    let mut members = Vec::new();
    for member in pieces(inner)? {
        let end = end_of_string(member.as_bytes(), 0).ok_or_else(malformed)?;
        let value = member.get(end..).and_then(|rest| rest.strip_prefix(": ")).ok_or_else(malformed)?;
        members.push((&member[..end], value));
    }
    Ok(Shape::Object(members))
}

/// What the commas of the outermost level separate.
fn pieces(inner: &str) -> Result<Vec<&str>, EvalError> {
    let mut found = Vec::new();
    if inner.is_empty() {
        return Ok(found);
    }
    let bytes = inner.as_bytes();
    let (mut start, mut at, mut depth) = (0, 0, 0usize);
    while at < bytes.len() {
        match bytes[at] {
            b'"' => {
                at = end_of_string(bytes, at).ok_or_else(malformed)?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.checked_sub(1).ok_or_else(malformed)?,
            b',' if depth == 0 => {
                found.push(inner.get(start..at).ok_or_else(malformed)?);
                start = at + 2;
            }
            _ => {}
        }
        at += 1;
    }
    found.push(inner.get(start..).ok_or_else(malformed)?);
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

pub(super) fn member<'j>(text: &'j str, key: &str) -> Result<Option<&'j str>, EvalError> {
    let Shape::Object(members) = shape(text)? else { return Ok(None) };
    for (name, value) in members {
        if unescaped(name)? == key {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// `-> index`: a negative one counts from the end. A scalar is kept as an array of itself (`JB_ROOT_IS_SCALAR`), and read
/// as one.
fn element(text: &str, index: i32) -> Result<Option<&str>, EvalError> {
    let elements = match shape(text)? {
        Shape::Array(elements) => elements,
        Shape::Scalar => vec![text],
        Shape::Object(_) => return Ok(None),
    };
    let index = i64::from(index);
    let place = if index < 0 { index + elements.len() as i64 } else { index };
    Ok(usize::try_from(place).ok().and_then(|place| elements.get(place).copied()))
}

/// A step of a path as an array's index, if it is one. `strtoint` also takes blanks and signs that are rarely meant: those
/// are Postgres' to read.
pub(super) fn array_index(step: &str) -> Result<Option<i32>, EvalError> {
    let plain = step.strip_prefix('-').unwrap_or(step);
    if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_digit()) {
        if step.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(EvalError::unsupported("an array index of an unusual form in a path"));
        }
        return Ok(None);
    }
    Ok(step.parse::<i32>().ok())
}

/// `#>` (`get_jsonb_path_all`): a NULL in the path gives NULL, an empty path the whole.
fn at_path<'j>(text: &'j str, path: &[Value]) -> Result<Option<&'j str>, EvalError> {
    if path.iter().any(Value::is_null) {
        return Ok(None);
    }
    let mut at = text;
    for step in path {
        let Text(step) = step else { return Err(malformed()) };
        let found = match shape(at)? {
            Shape::Object(_) => member(at, step)?,
            Shape::Array(_) => match array_index(step)? {
                Some(index) => element(at, index)?,
                None => None,
            },
            Shape::Scalar => return Ok(None),
        };
        match found {
            Some(found) => at = found,
            None => return Ok(None),
        }
    }
    Ok(Some(at))
}

/// `?`: a key of an object, a string among an array's elements, or the string itself.
fn exists(text: &str, key: &str) -> Result<bool, EvalError> {
    let is_key = |quoted: &str| Ok::<bool, EvalError>(quoted.starts_with('"') && unescaped(quoted)? == key);
    match shape(text)? {
        Shape::Object(_) => Ok(member(text, key)?.is_some()),
        Shape::Array(elements) => elements.into_iter().map(is_key).try_fold(false, |found, is| Ok(found || is?)),
        Shape::Scalar => is_key(text),
    }
}

/// `?|` and `?&`; NULLs among the keys are passed over.
fn exist(text: &str, keys: &[Value], all: bool) -> Result<Value, EvalError> {
    for key in keys {
        if let Text(key) = key
            && exists(text, key)? != all
        {
            return Ok(Bool(!all));
        }
    }
    Ok(Bool(all))
}

/// What `json_typeof` and `jsonb_typeof` call a value that begins like this.
pub(super) fn type_name(text: &str) -> &'static str {
    match text.as_bytes().first() {
        Some(b'{') => "object",
        Some(b'[') => "array",
        Some(b'"') => "string",
        Some(b't' | b'f') => "boolean",
        Some(b'n') => "null",
        _ => "number",
    }
}

/// The elements of an array.
pub(super) fn elements(text: &str) -> Result<Vec<&str>, EvalError> {
    match shape(text)? {
        Shape::Array(elements) => Ok(elements),
        Shape::Object(_) => Err(EvalError::invalid_parameter("cannot extract elements from an object")),
        Shape::Scalar => Err(EvalError::invalid_parameter("cannot extract elements from a scalar")),
    }
}

/// The keys of an object.
pub(super) fn keys(text: &str) -> Result<Vec<Value>, EvalError> {
    match shape(text)? {
        Shape::Object(members) => members.iter().map(|(key, _)| Ok(Value::text(&unescaped(key)?))).collect(),
        Shape::Array(_) => Err(EvalError::invalid_parameter("cannot call jsonb_object_keys on an array")),
        Shape::Scalar => Err(EvalError::invalid_parameter("cannot call jsonb_object_keys on a scalar")),
    }
}

fn array_length(text: &str) -> Result<Value, EvalError> {
    match shape(text)? {
        Shape::Array(elements) => Ok(Int4(elements.len() as i32)),
        Shape::Object(_) => Err(EvalError::invalid_parameter("cannot get array length of a non-array")),
        Shape::Scalar => Err(EvalError::invalid_parameter("cannot get array length of a scalar")),
    }
}

strict_functions! {
    "jsonb_object_field" (Jsonb(json), Text(key)) => part(member(json, key)?);
    "jsonb_object_field_text" (Jsonb(json), Text(key)) => part_text(member(json, key)?);
    "jsonb_array_element" (Jsonb(json), &Int4(index)) => part(element(json, index)?);
    "jsonb_array_element_text" (Jsonb(json), &Int4(index)) => part_text(element(json, index)?);
    "jsonb_extract_path" (Jsonb(json), Array(path)) => part(at_path(json, &path.elements)?);
    "jsonb_extract_path_text" (Jsonb(json), Array(path)) => part_text(at_path(json, &path.elements)?);
    "jsonb_exists" (Jsonb(json), Text(key)) => Ok(Bool(exists(json, key)?));
    "jsonb_exists_any" (Jsonb(json), Array(keys)) => exist(json, &keys.elements, false);
    "jsonb_exists_all" (Jsonb(json), Array(keys)) => exist(json, &keys.elements, true);
    "jsonb_typeof" (Jsonb(json)) => Ok(Value::text(type_name(json)));
    "jsonb_array_length" (Jsonb(json)) => array_length(json);
}
