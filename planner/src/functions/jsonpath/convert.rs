//! Methods of a path that make a value of another type of a scalar.

use super::compute::shown;
use super::run::{Failure, Item, failure, number};
use super::tree::Conversion;
use crate::functions::jsonb::{type_name, unescaped};
use crate::parse::decode_text;
use crate::render::json::encode_json_string;
use crate::settings::Settings;
use crate::types::oid;
use crate::value::{EvalError, Numeric, Value};
use std::borrow::Cow;

impl Conversion {
    pub fn name(self) -> &'static str {
        match self {
            Conversion::Double => "double",
            Conversion::Bigint => "bigint",
            Conversion::Integer => "integer",
            Conversion::Number => "number",
            Conversion::Boolean => "boolean",
            Conversion::String => "string",
        }
    }

    /// Of one item, which is no array where the path is lax.
    pub fn of<'a>(self, json: &Item<'a>) -> Result<Item<'a>, Failure> {
        let kind = type_name(json);
        match (self, kind) {
            (Conversion::Boolean, "boolean") | (Conversion::String, "string") => return Ok(json.clone()),
            (Conversion::String, "number" | "boolean") => return Ok(quoted(json)),
            (Conversion::Boolean, "number") => return self.read(json, oid::INT4),
            (Conversion::String, _) => {}
            (_, "string") => return self.read(&unescaped(json)?, self.type_oid()),
            (_, "number") => {
                if let Some(number) = number(json)? {
                    return self.of_number(json, &number);
                }
            }
            _ => {}
        }
        let of = match self {
            Conversion::Boolean => "boolean, string, or numeric",
            Conversion::String => "boolean, string, numeric, or datetime",
            _ => "string or numeric",
        };
        Err(failure("22036", format!("jsonpath item method .{}() can only be applied to a {of} value", self.name())))
    }

    fn of_number<'a>(self, json: &Item<'a>, number: &Numeric) -> Result<Item<'a>, Failure> {
        let converted = match self {
            Conversion::Double => number.to_f64().map(|double| double.is_finite().then(|| json.clone())),
            Conversion::Bigint => number.to_i64().map(|number| Some(Cow::Owned(number.to_string()))),
            Conversion::Integer => number.to_i32().map(|number| Some(Cow::Owned(number.to_string()))),
            _ => Ok(Some(json.clone())),
        };
        self.unless_invalid(converted, json)
    }

    fn type_oid(self) -> u32 {
        match self {
            Conversion::Double => oid::FLOAT8,
            Conversion::Bigint => oid::INT8,
            Conversion::Integer => oid::INT4,
            Conversion::Number => oid::NUMERIC,
            Conversion::Boolean => oid::BOOL,
            Conversion::String => oid::TEXT,
        }
    }

    /// What a type's input makes of the text.
    fn read<'a>(self, text: &str, type_oid: u32) -> Result<Item<'a>, Failure> {
        let read = decode_text(type_oid, -1, text, &Settings::default()).map(|value| match value {
            Value::Float8(double) if double.is_finite() => Some(shown(&Numeric::from_f64(double))),
            Value::Int8(number) => Some(Cow::Owned(number.to_string())),
            Value::Int4(number) if matches!(self, Conversion::Boolean) => Some(truth(number != 0)),
            Value::Int4(number) => Some(Cow::Owned(number.to_string())),
            Value::Numeric(number) if number.is_finite() => Some(shown(&number)),
            Value::Bool(value) => Some(truth(value)),
            _ => None,
        });
        self.unless_invalid(read, text)
    }

    fn unless_invalid<'a>(self, read: Result<Option<Item<'a>>, EvalError>, text: &str) -> Result<Item<'a>, Failure> {
        match read {
            Ok(Some(item)) => Ok(item),
            Err(error) if error.is_unsupported() => Err(Failure::Refused(error)),
            _ => {
                let name = self.name();
                Err(failure("22036", format!("argument \"{text}\" of jsonpath item method .{name}() is invalid")))
            }
        }
    }
}

fn truth<'a>(value: bool) -> Item<'a> {
    Cow::Borrowed(if value { "true" } else { "false" })
}

fn quoted<'a>(text: &str) -> Item<'a> {
    let mut out = Vec::with_capacity(text.len() + 2);
    encode_json_string(text.as_bytes(), &mut out);
    Cow::Owned(String::from_utf8_lossy(&out).into_owned())
}
