//! Text images of values, as each type's output function prints them under a session's settings.
//!
//! A [`Renderer`] is the settings, resolved once per session. What it cannot print exactly as Postgres would
//! is an [`Unrenderable`] with its reason, and the statement goes to Postgres.

mod array;
mod date_time;
mod float;
mod image;
pub mod inet;
mod interval;
pub mod json;
mod range;

use crate::datetime::Zone;
use crate::settings::Settings;
use crate::types::{Collation, ColumnType, oid};
use crate::value::Value;
use std::io::Write;

pub use interval::IntervalStyle;

/// Why a value has no text image here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrenderable {
    #[error("NULL has no text image")]
    Null,
    #[error("the value is an error: {0}")]
    Error(String),
    #[error("text output of type {0} is not implemented")]
    Type(u32),
    #[error("time zone {0:?} is not known")]
    TimeZone(String),
    #[error("DateStyle {0:?} is not implemented")]
    DateStyle(String),
    #[error("IntervalStyle {0:?} is not known")]
    IntervalStyle(String),
    #[error("a timestamp beyond the years the time zone database covers")]
    TimestampRange,
    #[error("an interval that only newer servers print")]
    InfiniteInterval,
}

/// A session's output settings, resolved.
#[derive(Clone, Debug)]
pub struct Renderer {
    zone: Result<Zone, Unrenderable>,
    date_style: Result<(), Unrenderable>,
    interval_style: Result<IntervalStyle, Unrenderable>,
    extra_float_digits: i32,
    bytea_escape: bool,
}

/// Appends the text image of a non-null value. For one value; a session keeps a [`Renderer`].
pub fn encode_text(
    value: &Value,
    kind: &ColumnType,
    settings: &Settings,
    out: &mut Vec<u8>,
) -> Result<(), Unrenderable> {
    Renderer::new(settings).encode(value, kind, out)
}

impl Renderer {
    /// Settings that are not known make the values that need them unrenderable, not the renderer.
    pub fn new(settings: &Settings) -> Renderer {
        let is_iso =
            settings.date_style.split(',').next().is_some_and(|style| style.trim().eq_ignore_ascii_case("iso"));
        Renderer {
            zone: Zone::named(&settings.time_zone).ok_or_else(|| Unrenderable::TimeZone(settings.time_zone.clone())),
            date_style: if is_iso { Ok(()) } else { Err(Unrenderable::DateStyle(settings.date_style.clone())) },
            interval_style: IntervalStyle::named(&settings.interval_style)
                .ok_or_else(|| Unrenderable::IntervalStyle(settings.interval_style.clone())),
            extra_float_digits: settings.extra_float_digits,
            bytea_escape: settings.bytea_output.eq_ignore_ascii_case("escape"),
        }
    }

    fn float8(&self, value: f64, out: &mut Vec<u8>) {
        float::float8(value, self.extra_float_digits, out);
    }

    /// Appends the text image of a non-null value of that type.
    pub fn encode(&self, value: &Value, kind: &ColumnType, out: &mut Vec<u8>) -> Result<(), Unrenderable> {
        match value {
            Value::Bool(v) => out.push(if *v { b't' } else { b'f' }),
            Value::Int2(v) => integer(*v as i64, out),
            Value::Int4(v) => integer(*v as i64, out),
            Value::Int8(v) => integer(*v, out),
            Value::Float4(v) => float::float4(*v, self.extra_float_digits, out),
            Value::Float8(v) => self.float8(*v, out),
            Value::Numeric(v) => infallible(write!(out, "{v}")),
            Value::Text(v) | Value::Bpchar(v) | Value::Jsonb(v) => out.extend_from_slice(v.as_bytes()),
            Value::Bytea(v) => bytea(v, self.bytea_escape, out),
            Value::Date(v) => {
                self.date_style.clone()?;
                date_time::date(*v, out);
            }
            Value::Time(v) => date_time::time(*v, out),
            Value::Timestamp(v) => {
                self.date_style.clone()?;
                date_time::timestamp(*v, out);
            }
            Value::TimestampTz(v) => {
                self.date_style.clone()?;
                date_time::timestamptz(*v, self.zone.as_ref().map_err(Clone::clone)?, out)?;
            }
            Value::Interval(v) => interval::interval(v, self.interval_style.clone()?, out)?,
            Value::Uuid(v) => uuid(v, out),
            Value::Array(v) => array::array(self, v, out)?,
            Value::Inet(v) => inet::encode_inet(v, kind.oid == oid::CIDR, out),
            Value::TimeTz(micros, west) => date_time::timetz(*micros, *west, out),
            Value::Range(v) => range::range(self, v, out)?,
            // The binary image of an enum is its label.
            Value::Opaque(v) if kind.collation == Collation::Labels => out.extend_from_slice(v),
            Value::Opaque(v) => image::image(self, v, kind.oid, out)?,
            Value::Null => return Err(Unrenderable::Null),
            Value::Error(error) => return Err(Unrenderable::Error(error.to_string())),
        }
        Ok(())
    }
}

/// Writing into memory does not fail.
fn infallible(result: std::io::Result<()>) {
    result.expect("writing to a Vec cannot fail");
}

fn integer(value: i64, out: &mut Vec<u8>) {
    /// Digits of the longest 64-bit integer, with its sign.
    const LONGEST: usize = 20;
    let mut buffer = [0u8; LONGEST];
    let mut at = LONGEST;
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        buffer[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        buffer[at] = b'-';
    }
    out.extend_from_slice(&buffer[at..]);
}

const HEX: &[u8; 16] = b"0123456789abcdef";

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    for b in bytes {
        out.push(HEX[(b >> 4) as usize]);
        out.push(HEX[(b & 15) as usize]);
    }
}

/// `byteaout`.
fn bytea(bytes: &[u8], escape: bool, out: &mut Vec<u8>) {
    if !escape {
        out.extend_from_slice(b"\\x");
        return hex(bytes, out);
    }
    for b in bytes {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x20..=0x7e => out.push(*b),
            _ => infallible(write!(out, "\\{b:03o}")),
        }
    }
}

/// `uuid_out`.
fn uuid(bytes: &[u8; 16], out: &mut Vec<u8>) {
    for (i, b) in bytes.iter().enumerate() {
        if matches!(i, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        hex(&[*b], out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn text(value: Value, type_oid: u32, settings: &Settings) -> String {
        let mut out = Vec::new();
        encode_text(&value, &ColumnType::new(type_oid), settings, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn simple_types() {
        let settings = Settings::default();
        assert_eq!(text(Value::Bool(true), oid::BOOL, &settings), "t");
        assert_eq!(text(Value::Int8(i64::MIN), oid::INT8, &settings), "-9223372036854775808");
        assert_eq!(text(Value::Bytea([0u8, 0xab].into()), oid::BYTEA, &settings), "\\x00ab");
        let escape = Settings { bytea_output: "escape".into(), ..Settings::default() };
        assert_eq!(text(Value::Bytea(b"a\\\x00".as_slice().into()), oid::BYTEA, &escape), "a\\\\\\000");
    }

    #[test]
    fn refusals_name_the_setting() {
        let settings = Settings { date_style: "German, DMY".into(), ..Settings::default() };
        let refused = encode_text(&Value::Date(0), &ColumnType::new(oid::DATE), &settings, &mut Vec::new());
        assert_eq!(refused, Err(Unrenderable::DateStyle("German, DMY".into())));
    }
}
