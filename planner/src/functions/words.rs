//! Strings as lists and back, values as literals (varlena.c, quote.c), and how many of some values are NULL (misc.c).

use super::Function;
use super::concat::push_shown;
use super::define::wrong_arguments;
use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::types::oid;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};
use std::sync::Arc;

type Eval = fn(&[&Value], &EvalContext) -> Result<Value, EvalError>;

const fn entry(symbol: &'static str, strict: bool, eval: Eval) -> Function {
    Function { symbol, strict, settings: SettingSet::NONE, eval }
}

pub(super) static FUNCTIONS: &[Function] = &[
    entry("text_to_array", false, |args, _| match *args {
        [text, separator] => split(text, separator, &Null),
        _ => Err(wrong_arguments("text_to_array", args)),
    }),
    entry("text_to_array_null", false, |args, _| match *args {
        [text, separator, null] => split(text, separator, null),
        _ => Err(wrong_arguments("text_to_array_null", args)),
    }),
    entry("array_to_text", true, |args, _| match *args {
        [Array(array), Text(separator)] => join(array, separator, None),
        _ => Err(wrong_arguments("array_to_text", args)),
    }),
    entry("array_to_text_null", false, |args, _| match *args {
        [Null, ..] | [_, Null, _] => Ok(Null),
        [Array(array), Text(separator), Null] => join(array, separator, None),
        [Array(array), Text(separator), Text(null)] => join(array, separator, Some(null)),
        _ => Err(wrong_arguments("array_to_text_null", args)),
    }),
    entry("quote_literal", true, |args, _| match *args {
        [Text(text)] => Ok(Value::text(&literal(text))),
        _ => Err(wrong_arguments("quote_literal", args)),
    }),
    entry("quote_nullable", false, |args, _| match *args {
        [Null] => Ok(Value::text("NULL")),
        [Text(text)] => Ok(Value::text(&literal(text))),
        _ => Err(wrong_arguments("quote_nullable", args)),
    }),
    entry("pg_num_nulls", false, |args, _| Ok(count(args, true))),
    entry("pg_num_nonnulls", false, |args, _| Ok(count(args, false))),
];

fn count(args: &[&Value], nulls: bool) -> Value {
    Int4(args.iter().filter(|arg| arg.is_null() == nulls).count() as i32)
}

/// `split_text`: an empty text has no fields, an empty separator leaves it whole, none parts every character.
fn split(text: &Value, separator: &Value, null: &Value) -> Result<Value, EvalError> {
    let fields: Vec<&str> = match (text, separator) {
        (Null, _) => return Ok(Null),
        (Text(text), _) if text.is_empty() => vec![],
        (Text(text), Text(separator)) if separator.is_empty() => vec![text],
        (Text(text), Text(separator)) => text.split(&**separator).collect(),
        (Text(text), Null) => text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect(),
        _ => return Err(wrong_arguments("text_to_array", &[text, separator])),
    };
    let field = |field: &str| match null {
        Text(null) if **null == *field => Null,
        _ => Value::text(field),
    };
    Ok(Array(Arc::new(value::Array::list(oid::TEXT, fields.into_iter().map(field).collect()))))
}

/// The elements of all dimensions as their output functions show them.
fn join(array: &value::Array, separator: &str, null: Option<&str>) -> Result<Value, EvalError> {
    let mut joined = String::new();
    let mut is_first = true;
    for element in &array.elements {
        if element.is_null() && null.is_none() {
            continue;
        }
        if !std::mem::take(&mut is_first) {
            joined.push_str(separator);
        }
        match element {
            Null => joined.push_str(null.unwrap_or_default()),
            value => push_shown(&mut joined, value)?,
        }
    }
    Ok(Value::text(&joined))
}

/// `quote_literal_internal`.
pub(super) fn literal(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 3);
    if text.contains('\\') {
        quoted.push('E');
    }
    quoted.push('\'');
    for c in text.chars() {
        if matches!(c, '\'' | '\\') {
            quoted.push(c);
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}
