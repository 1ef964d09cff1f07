//! `json_agg`, `jsonb_agg`, `json_object_agg`, `jsonb_object_agg` (json.c, jsonb.c), over arguments that are JSON already.

use super::listed::ListedValues;
use std::collections::BTreeMap;
use weir_planner::plan::AggregateCall;
use weir_planner::render::json::encode_json_string;
use weir_planner::types::oid;
use weir_planner::value::element_type;
use weir_planner::{ColumnType, EvalError, Value};

/// The text of an argument; NULL is JSON's.
fn part(value: &Value) -> &[u8] {
    match value {
        Value::Opaque(image) => image,
        Value::Jsonb(text) => text.as_bytes(),
        _ => b"null",
    }
}

/// An array of the first arguments; NULL without rows.
pub(super) fn json_array(listed: &ListedValues, call: &AggregateCall, binary: bool) -> Result<Value, EvalError> {
    // `json_agg_transfn` begins a line for each array and row but the first.
    let is_long = |kind: &ColumnType| kind.oid == oid::RECORD || element_type(kind.oid).is_some();
    let in_lines = !binary && call.input.as_ref().is_some_and(is_long);
    let mut out: Vec<u8> = Vec::new();
    listed.for_each(call.distinct, |arguments| {
        out.extend_from_slice(if out.is_empty() { b"[" } else { b", " });
        let Some(value) = arguments.first() else { return };
        if in_lines && out.len() > 1 && !value.is_null() {
            out.extend_from_slice(b"\n ");
        }
        out.extend_from_slice(part(value));
    })?;
    if out.is_empty() {
        return Ok(Value::Null);
    }
    out.push(b']');
    image(out, binary)
}

/// An object of keys and values as they came; NULL without rows.
pub(super) fn json_object(listed: &ListedValues, call: &AggregateCall) -> Result<Value, EvalError> {
    let mut out: Vec<u8> = Vec::new();
    each_member(listed, call, |key, value| {
        out.extend_from_slice(if out.is_empty() { b"{ " } else { b", " });
        encode_json_string(key, &mut out);
        out.extend_from_slice(b" : ");
        out.extend_from_slice(value);
    })?;
    if out.is_empty() {
        return Ok(Value::Null);
    }
    out.extend_from_slice(b" }");
    image(out, false)
}

/// The same as jsonb: keys by length, then bytes (`lengthCompareJsonbStringValue`), each with its last value.
pub(super) fn jsonb_object(listed: &ListedValues, call: &AggregateCall) -> Result<Value, EvalError> {
    let mut members: BTreeMap<(usize, &[u8]), &[u8]> = BTreeMap::new();
    each_member(listed, call, |key, value| {
        members.insert((key.len(), key), value);
    })?;
    let mut out: Vec<u8> = Vec::new();
    for ((_, key), value) in &members {
        out.extend_from_slice(if out.is_empty() { b"{" } else { b", " });
        encode_json_string(key, &mut out);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
    }
    if out.is_empty() {
        return Ok(Value::Null);
    }
    out.push(b'}');
    image(out, true)
}

fn each_member<'a>(
    listed: &'a ListedValues,
    call: &AggregateCall,
    mut f: impl FnMut(&'a [u8], &'a [u8]),
) -> Result<(), EvalError> {
    // Postgres raises an error, in the words of its version, also where the order of rows is open.
    if listed.has_null() {
        return Err(EvalError::unsupported("a JSON object with a NULL key"));
    }
    listed.for_each(call.distinct, |arguments| {
        if let [Value::Opaque(key), value] = arguments {
            f(key, part(value));
        }
    })
}

fn image(text: Vec<u8>, binary: bool) -> Result<Value, EvalError> {
    if !binary {
        return Ok(Value::Opaque(text.into()));
    }
    match String::from_utf8(text) {
        Ok(text) => Ok(Value::Jsonb(text.into())),
        Err(_) => Err(EvalError::unsupported("a jsonb that is not UTF-8")),
    }
}
