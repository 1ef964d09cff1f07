//! `#-`: a jsonb without what lies at a path (`setPath` of jsonfuncs.c).

use super::define::strict_functions;
use super::jsonb::{Shape, array_index, image_of, shape, unescaped};
use super::jsonb_whole::{array, keys, object};
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// Containers in containers; Postgres has room for many more on its stack.
const DEEPEST: usize = 300;

fn without(text: &str, path: &[Value]) -> Result<Value, EvalError> {
    match shape(text)? {
        Shape::Scalar => Err(EvalError::invalid_parameter("cannot delete path in scalar")),
        // There is nothing to look for, whatever the path is.
        Shape::Array(elements) if elements.is_empty() => Ok(array(&[])),
        Shape::Object(members) if members.is_empty() => Ok(object(&[])),
        _ if path.is_empty() => Ok(image_of(text)),
        _ => cut(text, path, 0),
    }
}

/// What is left of a value on the path, whose steps from this level on lead into it.
fn cut(text: &str, path: &[Value], level: usize) -> Result<Value, EvalError> {
    if level > DEEPEST {
        return Err(EvalError::unsupported("deletion in a jsonb nested that deeply"));
    }
    let Some(Text(step)) = path.get(level) else {
        return Err(EvalError::new("22004", format!("path element at position {} is null", level + 1)));
    };
    let is_last = level + 1 == path.len();
    match shape(text)? {
        Shape::Scalar => Ok(image_of(text)),
        Shape::Object(members) => {
            let (mut kept, mut changed) = (Vec::with_capacity(members.len()), None);
            for (key, value) in members {
                if unescaped(key)? != **step {
                    kept.push((key, value));
                } else if !is_last {
                    changed = Some((kept.len(), cut(value, path, level + 1)?));
                    kept.push((key, value));
                }
            }
            if let Some((at, Jsonb(value))) = &changed {
                kept[*at].1 = value;
            }
            Ok(object(&kept))
        }
        Shape::Array(mut elements) => {
            let place = match array_index(step)? {
                Some(index) if index < 0 => i64::from(index) + elements.len() as i64,
                Some(index) => i64::from(index),
                None => {
                    let message = format!("path element at position {} is not an integer: \"{step}\"", level + 1);
                    return Err(EvalError::new("22P02", message));
                }
            };
            let Some(at) = usize::try_from(place).ok().filter(|at| *at < elements.len()) else {
                return Ok(image_of(text));
            };
            if is_last {
                elements.remove(at);
                return Ok(array(&elements));
            }
            let changed = cut(elements[at], path, level + 1)?;
            if let Jsonb(value) = &changed {
                elements[at] = value;
            }
            Ok(array(&elements))
        }
    }
}

strict_functions! {
    "jsonb_delete_path" (Jsonb(json), Array(path)) => without(json, keys(path)?);
}
