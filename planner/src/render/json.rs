//! Values as JSON (`datum_to_json` of json.c, `datum_to_jsonb` of jsonb.c).

use super::{Unrenderable, date_time, encode_text, infallible, integer};
use crate::datetime::Zone;
use crate::settings::Settings;
use crate::types::ColumnType;
use crate::value::{Array, Numeric, Value};
use std::io::Write;

/// Which JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonForm {
    /// `json`: text as it was put together.
    Json,
    /// `jsonb`: as `jsonb_out` prints it.
    Jsonb,
}

/// Appends the value as an element of an array or a member of an object. The planner lets only types pass whose JSON
/// follows from their [`Value`] alone; an opaque image is a json's.
pub fn encode_json(value: &Value, form: JsonForm, settings: &Settings, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int2(_) | Value::Int4(_) | Value::Int8(_) => plain(value, settings, out)?,
        Value::Numeric(number) if number.is_finite() => plain(value, settings, out)?,
        Value::Float4(number) if number.is_finite() => float(value, form, settings, out)?,
        Value::Float8(number) if number.is_finite() => float(value, form, settings, out)?,
        Value::Array(elements) => array(elements, form, settings, out)?,
        Value::Opaque(text) => out.extend_from_slice(text),
        Value::Jsonb(text) => out.extend_from_slice(text.as_bytes()),
        _ => {
            let mut text = Vec::new();
            plain(value, settings, &mut text)?;
            encode_json_string(&text, out);
        }
    }
    Ok(())
}

/// Appends the value's text as JSON has it, without quotes: as an object's key.
pub fn encode_json_key(value: &Value, settings: &Settings, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    match value {
        Value::Bool(_) => encode_json(value, JsonForm::Json, settings, out),
        _ => plain(value, settings, out),
    }
}

/// The type's output, but with dates and times as XML Schema has them (`JsonEncodeDateTime`).
fn plain(value: &Value, settings: &Settings, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    match value {
        Value::Int2(number) => integer(i64::from(*number), out),
        Value::Int4(number) => integer(i64::from(*number), out),
        Value::Int8(number) => integer(*number, out),
        Value::Numeric(number) => infallible(write!(out, "{number}")),
        Value::Text(text) | Value::Bpchar(text) => out.extend_from_slice(text.as_bytes()),
        Value::Date(days) => date_time::date(*days, out),
        Value::Timestamp(micros) => {
            let start = out.len();
            date_time::timestamp(*micros, out);
            divide_by_t(&mut out[start..]);
        }
        Value::TimestampTz(micros) => {
            let zone = Zone::named(&settings.time_zone);
            let zone = zone.ok_or_else(|| Unrenderable::TimeZone(settings.time_zone.clone()))?;
            let mut text = Vec::new();
            date_time::timestamptz(*micros, &zone, &mut text)?;
            divide_by_t(&mut text);
            let end = text.strip_suffix(b" BC").map_or(text.len(), <[u8]>::len);
            // Minutes of the offset are written even when they are zero.
            if end >= 3 && matches!(text[end - 3], b'+' | b'-') {
                text.splice(end..end, *b":00");
            }
            out.extend_from_slice(&text);
        }
        // The type tells apart opaque images only, and none comes here.
        _ => encode_text(value, &ColumnType::new(0), settings, out)?,
    }
    Ok(())
}

fn divide_by_t(text: &mut [u8]) {
    if let Some(space) = text.iter().position(|byte| *byte == b' ') {
        text[space] = b'T';
    }
}

/// A finite float: json keeps its text, jsonb reads that text as a numeric.
fn float(value: &Value, form: JsonForm, settings: &Settings, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    let start = out.len();
    plain(value, settings, out)?;
    if form == JsonForm::Jsonb {
        let text = String::from_utf8_lossy(&out[start..]);
        let number = Numeric::parse(&text).map_err(|error| Unrenderable::Error(error.to_string()))?;
        out.truncate(start);
        infallible(write!(out, "{number}"));
    }
    Ok(())
}

/// `array_to_json_internal`; jsonb puts a blank behind each comma.
fn array(array: &Array, form: JsonForm, settings: &Settings, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
    let separator: &[u8] = if form == JsonForm::Json { b"," } else { b", " };
    if array.dimensions.is_empty() {
        out.extend_from_slice(b"[]");
        return Ok(());
    }
    let mut elements = array.elements.iter();
    super::array::nested(
        &super::array::Brackets { open: b'[', close: b']', separator },
        &array.dimensions,
        &mut elements,
        &mut |value, out| encode_json(value, form, settings, out),
        out,
    )
}

/// `escape_json`.
pub fn encode_json_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => infallible(write!(out, "\\u{byte:04x}")),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(value: Value, zone: &str) -> String {
        let mut out = Vec::new();
        let settings = Settings { time_zone: zone.into(), date_style: "German".into(), ..Settings::default() };
        encode_json(&value, JsonForm::Json, &settings, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn times_follow_xml_schema() {
        assert_eq!(json(Value::Timestamp(120_000), "UTC"), "\"2000-01-01T00:00:00.12\"");
        assert_eq!(json(Value::TimestampTz(0), "UTC"), "\"2000-01-01T00:00:00+00:00\"");
        assert_eq!(json(Value::TimestampTz(0), "Asia/Kolkata"), "\"2000-01-01T05:30:00+05:30\"");
        assert_eq!(json(Value::TimestampTz(i64::MIN), "UTC"), "\"-infinity\"");
    }

    #[test]
    fn strings_are_escaped() {
        assert_eq!(json(Value::text("a\"\\\n\u{1}é"), "UTC"), "\"a\\\"\\\\\\n\\u0001é\"");
        assert_eq!(json(Value::Numeric(Numeric::NAN), "UTC"), "\"NaN\"");
    }
}
