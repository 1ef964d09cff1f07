//! JSON put together from parts that are JSON already (json.c, jsonb.c). Postgres does this within functions of any arguments,
//! so these have no place in the registry.

use super::Function;
use crate::render::json::encode_json_string;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};
use std::collections::BTreeMap;

/// What the parts become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonParts {
    /// Elements of a json.
    JsonArray,
    JsonbArray,
    /// Keys, each with its value.
    JsonObject,
    JsonbObject,
    /// The same as a json made of a row, without blanks (`composite_to_json`).
    JsonRow,
}

/// The function that puts the parts together.
pub fn json_of_parts(parts: JsonParts) -> &'static Function {
    match parts {
        JsonParts::JsonArray => &JSON_ARRAY,
        JsonParts::JsonbArray => &JSONB_ARRAY,
        JsonParts::JsonObject => &JSON_OBJECT,
        JsonParts::JsonbObject => &JSONB_OBJECT,
        JsonParts::JsonRow => &JSON_ROW,
    }
}

/// One of those that [`json_of_parts`] gives.
pub(super) fn is_builder(function: &Function) -> bool {
    [&JSON_ARRAY, &JSONB_ARRAY, &JSON_OBJECT, &JSONB_OBJECT, &JSON_ROW].contains(&function)
}

static JSON_ARRAY: Function = Function {
    symbol: "json of elements",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| Ok(Opaque(array(args).into())),
};

static JSONB_ARRAY: Function = Function {
    symbol: "jsonb of elements",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| jsonb(array(args)),
};

static JSON_OBJECT: Function = Function {
    symbol: "json of members",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| Ok(Opaque(object(members(args)?.into_iter(), b", ", b" : ").into())),
};

static JSON_ROW: Function = Function {
    symbol: "json of a row",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| Ok(Opaque(object(members(args)?.into_iter(), b",", b":").into())),
};

/// Members by the length of their keys, then bytes, each with its last value.
static JSONB_OBJECT: Function = Function {
    symbol: "jsonb of members",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| {
        let sorted: BTreeMap<(usize, &[u8]), &[u8]> =
            members(args)?.into_iter().map(|(key, value)| ((key.len(), key), value)).collect();
        jsonb(object(sorted.into_iter().map(|((_, key), value)| (key, value)), b", ", b": "))
    },
};

/// NULL is JSON's.
fn part(value: &Value) -> &[u8] {
    match value {
        Opaque(image) => image,
        Jsonb(text) => text.as_bytes(),
        _ => b"null",
    }
}

fn array(args: &[&Value]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (at, arg) in args.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b", " } else { b"" });
        out.extend_from_slice(part(arg));
    }
    out.push(b']');
    out
}

/// A key and a value.
type Member<'a> = (&'a [u8], &'a [u8]);

/// A NULL key is an error of Postgres', in the words of its version.
fn members<'a>(args: &[&'a Value]) -> Result<Vec<Member<'a>>, EvalError> {
    let member = |pair: &[&'a Value]| match pair {
        [Opaque(key), value] => Ok((&**key, part(value))),
        _ => Err(EvalError::unsupported("a JSON object with a NULL key")),
    };
    args.chunks(2).map(member).collect()
}

fn object<'a>(members: impl Iterator<Item = (&'a [u8], &'a [u8])>, comma: &[u8], colon: &[u8]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for (key, value) in members {
        out.extend_from_slice(if out.len() > 1 { comma } else { b"" });
        encode_json_string(key, &mut out);
        out.extend_from_slice(colon);
        out.extend_from_slice(value);
    }
    out.push(b'}');
    out
}

fn jsonb(text: Vec<u8>) -> Result<Value, EvalError> {
    match String::from_utf8(text) {
        Ok(text) => Ok(Jsonb(text.into())),
        Err(_) => Err(EvalError::unsupported("a jsonb that is not UTF-8")),
    }
}
