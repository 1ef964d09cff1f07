//! jsonb as a whole: equality, containment, concatenation, deletion (jsonb_op.c, jsonfuncs.c).

use super::define::strict_functions;
use super::jsonb::{Shape, image_of, malformed, shape, unescaped};
use crate::value::EvalError;
use crate::value::Value::{self, *};
use crate::value::jsonb::is_equal;
use crate::value::{Array, Numeric, compare};

/// Containment goes down so many levels; Postgres has room for many thousand on its stack.
const MAX_DEPTH: usize = 500;

/// Two scalars: numbers by value, whatever their zeros.
fn same_scalar(a: &str, b: &str) -> Result<bool, EvalError> {
    let is_number = |text: &str| text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    if !is_number(a) || !is_number(b) {
        return Ok(a == b);
    }
    Ok(Numeric::parse(a)?.compare(&Numeric::parse(b)?).is_eq())
}

fn all<T>(items: impl Iterator<Item = T>, test: impl Fn(T) -> Result<bool, EvalError>) -> Result<bool, EvalError> {
    for item in items {
        if !test(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `@>`: at the top a scalar may stand for an array of it on the right.
fn contains(whole: &str, part: &str) -> Result<bool, EvalError> {
    match (shape(whole)?, shape(part)?) {
        (Shape::Scalar, Shape::Scalar) => same_scalar(whole, part),
        (Shape::Array(elements), Shape::Scalar) => holds(&elements, part, 0),
        _ => contains_nested(whole, part, 0),
    }
}

/// `JsonbDeepContains`.
fn contains_nested(whole: &str, part: &str, depth: usize) -> Result<bool, EvalError> {
    if depth > MAX_DEPTH {
        return Err(EvalError::unsupported("containment of a jsonb nested that deeply"));
    }
    match (shape(whole)?, shape(part)?) {
        (Shape::Scalar, Shape::Scalar) => same_scalar(whole, part),
        (Shape::Array(elements), Shape::Array(sought)) => {
            all(sought.into_iter(), |sought| holds(&elements, sought, depth + 1))
        }
        (Shape::Object(members), Shape::Object(sought)) => {
            all(sought.into_iter(), |(key, sought)| match members.iter().find(|(name, _)| *name == key) {
                Some((_, value)) => contains_nested(value, sought, depth + 1),
                None => Ok(false),
            })
        }
        _ => Ok(false),
    }
}

fn holds(elements: &[&str], sought: &str, depth: usize) -> Result<bool, EvalError> {
    for element in elements {
        if contains_nested(element, sought, depth)? {
            return Ok(true);
        }
    }
    Ok(false)
}

pub(super) fn array(elements: &[&str]) -> Value {
    image_of(&format!("[{}]", elements.join(", ")))
}

pub(super) fn object(members: &[(&str, &str)]) -> Value {
    let members: Vec<String> = members.iter().map(|(key, value)| format!("{key}: {value}")).collect();
    image_of(&format!("{{{}}}", members.join(", ")))
}

/// `||`.
fn concatenated(a: &str, b: &str) -> Result<Value, EvalError> {
    Ok(match (shape(a)?, shape(b)?) {
        (Shape::Object(first), Shape::Object(second)) => {
            let mut members: Vec<(String, &str, &str)> = Vec::with_capacity(first.len() + second.len());
            let kept = first.into_iter().filter(|(key, _)| second.iter().all(|(other, _)| other != key));
            for (key, value) in kept.chain(second.iter().copied()) {
                members.push((unescaped(key)?, key, value));
            }
            // Shorter keys first (`lengthCompareJsonbStringValue`).
            members.sort_by(|(a, ..), (b, ..)| (a.len(), a.as_bytes()).cmp(&(b.len(), b.as_bytes())));
            let members: Vec<(&str, &str)> = members.iter().map(|(_, key, value)| (*key, *value)).collect();
            object(&members)
        }
        (Shape::Array(first), Shape::Array(second)) => array(&[first, second].concat()),
        (Shape::Array(first), _) => array(&[&first[..], &[b]].concat()),
        (_, Shape::Array(second)) => array(&[&[a], &second[..]].concat()),
        (Shape::Scalar, Shape::Scalar) => array(&[a, b]),
        _ => return Err(EvalError::unsupported("concatenation of an object and a scalar")),
    })
}

#[cold]
fn of_scalar() -> EvalError {
    EvalError::invalid_parameter("cannot delete from scalar")
}

/// `- key`, `- keys`: members of those names, or elements that are those strings.
fn without(text: &str, keys: &[Value]) -> Result<Value, EvalError> {
    let is_key = |quoted: &str| -> Result<bool, EvalError> {
        let name = unescaped(quoted)?;
        Ok(keys.iter().any(|key| matches!(key, Text(key) if **key == *name)))
    };
    match shape(text)? {
        Shape::Scalar => Err(of_scalar()),
        Shape::Array(elements) => {
            let mut kept = Vec::with_capacity(elements.len());
            for element in elements {
                if !element.starts_with('"') || !is_key(element)? {
                    kept.push(element);
                }
            }
            Ok(array(&kept))
        }
        Shape::Object(members) => {
            let mut kept = Vec::with_capacity(members.len());
            for (key, value) in members {
                if !is_key(key)? {
                    kept.push((key, value));
                }
            }
            Ok(object(&kept))
        }
    }
}

/// `- index`.
fn without_element(text: &str, index: i32) -> Result<Value, EvalError> {
    match shape(text)? {
        Shape::Scalar => Err(of_scalar()),
        Shape::Object(_) => Err(EvalError::invalid_parameter("cannot delete from object using integer index")),
        Shape::Array(mut elements) => {
            let index = i64::from(index);
            let place = if index < 0 { index + elements.len() as i64 } else { index };
            match usize::try_from(place) {
                Ok(place) if place < elements.len() => drop(elements.remove(place)),
                _ => {}
            }
            Ok(array(&elements))
        }
    }
}

pub(super) fn keys(array: &Array) -> Result<&[Value], EvalError> {
    match *array.dimensions {
        [] | [_] => Ok(&array.elements),
        _ => Err(malformed()),
    }
}

strict_functions! {
    "jsonb_eq" (Jsonb(a), Jsonb(b)) => Ok(Bool(is_equal(a, b)));
    "jsonb_ne" (Jsonb(a), Jsonb(b)) => Ok(Bool(!is_equal(a, b)));
    "jsonb_lt" (a @ Jsonb(_), b @ Jsonb(_)) => Ok(Bool(compare(a, b).is_lt()));
    "jsonb_le" (a @ Jsonb(_), b @ Jsonb(_)) => Ok(Bool(compare(a, b).is_le()));
    "jsonb_gt" (a @ Jsonb(_), b @ Jsonb(_)) => Ok(Bool(compare(a, b).is_gt()));
    "jsonb_ge" (a @ Jsonb(_), b @ Jsonb(_)) => Ok(Bool(compare(a, b).is_ge()));
    "jsonb_contains" (Jsonb(a), Jsonb(b)) => contains(a, b).map(Bool);
    "jsonb_contained" (Jsonb(a), Jsonb(b)) => contains(b, a).map(Bool);
    "jsonb_concat" (Jsonb(a), Jsonb(b)) => concatenated(a, b);
    "jsonb_delete" (Jsonb(a), key @ Text(_)) => without(a, std::slice::from_ref(key));
    "jsonb_delete_array" (Jsonb(a), Array(names)) => without(a, keys(names)?);
    "jsonb_delete_idx" (Jsonb(a), &Int4(index)) => without_element(a, index);
}
