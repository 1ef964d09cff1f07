//! Text input: what each type's input function reads, for parameters in text format and casts through text.
//!
//! Spellings are accepted only where every supported server reads them alike; others are
//! [`EvalError::unsupported`], so that Postgres reads them. Errors are Postgres' own.

mod array;
mod date_time;
mod number;
mod range;

pub(crate) use date_time::round_to_precision;

use crate::settings::Settings;
use crate::types::oid;
use crate::value::{EvalError, Inet, IpVersion, Numeric, Value, bound_type, element_type};
use std::net::IpAddr;
use std::sync::Arc;

/// Reads a text image as the type's input function does, with the type modifier applied (-1 for none).
pub fn decode_text(type_oid: u32, typmod: i32, text: &str, settings: &Settings) -> Result<Value, EvalError> {
    Ok(match type_oid {
        oid::BOOL => Value::Bool(boolean(text)?),
        oid::INT2 => Value::Int2(number::integer(text, "smallint")?),
        oid::INT4 => Value::Int4(number::integer(text, "integer")?),
        oid::INT8 => Value::Int8(number::integer(text, "bigint")?),
        oid::FLOAT4 => Value::Float4(number::float4(text)?),
        oid::FLOAT8 => Value::Float8(number::float8(text)?),
        oid::NUMERIC => Value::Numeric(Numeric::parse(text)?.apply_typmod(typmod)?),
        oid::TEXT | oid::UNKNOWN => Value::text(text),
        oid::VARCHAR => Value::text(varchar(text, typmod)?),
        oid::BPCHAR if typmod < VARHDRSZ => Value::Bpchar(Arc::from(text)),
        oid::BYTEA => Value::Bytea(bytea(text)?),
        oid::UUID => Value::Uuid(Arc::new(uuid(text)?)),
        oid::DATE => Value::Date(date_time::date(text)?),
        oid::TIME => Value::Time(date_time::time(text, typmod)?),
        oid::TIMESTAMP => Value::Timestamp(date_time::timestamp(text, typmod)?),
        oid::TIMESTAMPTZ => Value::TimestampTz(date_time::timestamptz(text, typmod, &settings.time_zone)?),
        oid::INET => Value::Inet(inet(text)?),
        oid::OID => match text.parse::<u32>() {
            Ok(oid) if text.starts_with(|c: char| c.is_ascii_digit()) => Value::Opaque(oid.to_be_bytes().into()),
            _ => return Err(EvalError::unsupported("oid input of an unusual form")),
        },
        _ => match (element_type(type_oid), bound_type(type_oid)) {
            (Some(element), _) => array::array(element, typmod, text, settings)?,
            (_, Some(element)) => range::range(element, text, settings)?,
            (None, None) => return Err(EvalError::unsupported(format!("text input of type {type_oid}"))),
        },
    })
}

/// `inet_in` of whole addresses, perhaps with a number of bits. Shorter forms are left to Postgres.
fn inet(text: &str) -> Result<Inet, EvalError> {
    let left = || EvalError::unsupported("inet input of an unusual form");
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) if bits.bytes().all(|byte| byte.is_ascii_digit()) => (address, Some(bits)),
        Some(_) => return Err(left()),
        None => (text, None),
    };
    let (version, bytes) = match address.parse().map_err(|_| left())? {
        IpAddr::V4(address) => (IpVersion::V4, address.octets().to_vec()),
        IpAddr::V6(address) => (IpVersion::V6, address.octets().to_vec()),
    };
    let bits = bits.map_or(Ok(version.width()), |bits| bits.parse().map_err(|_| left()))?;
    Inet::new(version, bits, &bytes).ok_or_else(left)
}

/// Offset of a length typmod.
const VARHDRSZ: i32 = 4;

/// Without what `isspace` takes off both ends in the C locale.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}')
}

/// `boolin`: unique prefixes of true, false, yes, no; on, off, 1, 0.
fn boolean(text: &str) -> Result<bool, EvalError> {
    let word = trim(text).to_ascii_lowercase();
    let prefix_of = |whole: &str| !word.is_empty() && whole.starts_with(word.as_str());
    if prefix_of("true") || prefix_of("yes") || word == "on" || word == "1" {
        Ok(true)
    } else if prefix_of("false") || prefix_of("no") || word == "of" || word == "off" || word == "0" {
        Ok(false)
    } else {
        Err(EvalError::invalid_text("boolean", text))
    }
}

/// `varcharin`: blanks beyond the length are cut, anything else there is error 22001.
fn varchar(text: &str, typmod: i32) -> Result<&str, EvalError> {
    if typmod < VARHDRSZ {
        return Ok(text);
    }
    let limit = (typmod - VARHDRSZ) as usize;
    match text.char_indices().nth(limit) {
        None => Ok(text),
        Some((end, _)) if text[end..].bytes().all(|b| b == b' ') => Ok(&text[..end]),
        Some(_) => Err(EvalError::new("22001", format!("value too long for type character varying({limit})"))),
    }
}

/// `byteain`, hexadecimal form only.
fn bytea(text: &str) -> Result<Arc<[u8]>, EvalError> {
    let digits = text.strip_prefix("\\x").ok_or_else(|| EvalError::unsupported("bytea input in escape format"))?;
    let bytes = digits.as_bytes();
    if bytes.len() % 2 != 0 {
        return Err(EvalError::unsupported("bytea input with an odd number of digits or blanks"));
    }
    bytes
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect::<Option<Arc<[u8]>>>()
        .ok_or_else(|| EvalError::unsupported("bytea input with something else than digits"))
}

fn nibble(digit: u8) -> Option<u8> {
    (digit as char).to_digit(16).map(|value| value as u8)
}

/// `string_to_uuid`: 32 hexadecimal digits, a hyphen allowed after every four, braces around allowed.
fn uuid(text: &str) -> Result<[u8; 16], EvalError> {
    let invalid = || EvalError::invalid_text("uuid", text);
    let inner = match text.strip_prefix('{') {
        Some(rest) => rest.strip_suffix('}').ok_or_else(invalid)?,
        None => text,
    };
    let mut bytes = inner.bytes();
    let mut value = [0u8; 16];
    for (i, byte) in value.iter_mut().enumerate() {
        let mut digit = || bytes.next().and_then(nibble).ok_or_else(invalid);
        *byte = digit()? << 4 | digit()?;
        if i % 2 == 1 && i < 15 && bytes.clone().next() == Some(b'-') {
            bytes.next();
        }
    }
    if bytes.next().is_some() { Err(invalid()) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(type_oid: u32, text: &str) -> Result<Value, &'static str> {
        decode_text(type_oid, -1, text, &Settings::default()).map_err(|error| error.sqlstate)
    }

    #[test]
    fn booleans() {
        for text in ["t", "TRUE", " yes ", "on", "1", "tr"] {
            assert_eq!(read(oid::BOOL, text), Ok(Value::Bool(true)), "{text}");
        }
        for text in ["f", "of", "No", "0"] {
            assert_eq!(read(oid::BOOL, text), Ok(Value::Bool(false)), "{text}");
        }
        for text in ["", "o", "truee", "2"] {
            assert_eq!(read(oid::BOOL, text), Err("22P02"), "{text}");
        }
    }

    #[test]
    fn uuids() {
        let plain = read(oid::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11");
        assert!(plain.is_ok());
        assert_eq!(read(oid::UUID, "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}"), plain);
        assert_eq!(read(oid::UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1"), Err("22P02"));
    }

    #[test]
    fn lengths() {
        assert!(decode_text(oid::VARCHAR, 7, "abc  ", &Settings::default()) == Ok(Value::text("abc")));
        assert_eq!(decode_text(oid::VARCHAR, 7, "abcd", &Settings::default()).unwrap_err().sqlstate, "22001");
    }
}
