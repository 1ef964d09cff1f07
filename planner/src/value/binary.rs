//! Binary images of values: what each type's `typsend` writes and `typrecv` reads.

use super::{Inet, Interval, IpVersion, Numeric, Value, array, range};
use crate::datetime::{MICROS_PER_DAY, is_infinite_date, is_infinite_timestamp, is_valid_date, is_valid_timestamp};
use crate::types::oid;
use std::sync::Arc;

/// Bytes that are not an image of the type they came for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{length} bytes are not a binary image of type {type_oid}")]
    Length { type_oid: u32, length: usize },
    #[error("binary image of type {type_oid} holds text that is not UTF-8")]
    Encoding { type_oid: u32, source: std::str::Utf8Error },
    #[error("binary image of type {type_oid} is out of the type's range")]
    OutOfRange { type_oid: u32 },
    #[error("binary image of type {type_oid} is malformed")]
    Malformed { type_oid: u32 },
}

/// A value whose binary image under that type is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no binary image of {value} as type {type_oid}")]
pub struct EncodeError {
    pub type_oid: u32,
    /// The value's own variant, by name.
    pub value: &'static str,
}

/// `TZDISP_LIMIT`: a zone is nearer to Greenwich than that, in seconds.
const SECONDS_OF_ZONES: i32 = 16 * 3600;

/// First byte of a jsonb's binary image (`jsonb_send`).
const JSONB_VERSION: u8 = 1;

/// Reads a binary image. Types without known operations become [`Value::Opaque`].
pub fn decode_binary(type_oid: u32, bytes: &[u8]) -> Result<Value, DecodeError> {
    let fixed = |expected: usize| {
        if bytes.len() == expected { Ok(()) } else { Err(DecodeError::Length { type_oid, length: bytes.len() }) }
    };
    Ok(match type_oid {
        oid::BOOL => {
            fixed(1)?;
            Value::Bool(bytes[0] != 0)
        }
        oid::INT2 => Value::Int2(i16::from_be_bytes(fixed_width(type_oid, bytes)?)),
        oid::INT4 => Value::Int4(i32::from_be_bytes(fixed_width(type_oid, bytes)?)),
        oid::INT8 => Value::Int8(i64::from_be_bytes(fixed_width(type_oid, bytes)?)),
        oid::FLOAT4 => Value::Float4(f32::from_be_bytes(fixed_width(type_oid, bytes)?)),
        oid::FLOAT8 => Value::Float8(f64::from_be_bytes(fixed_width(type_oid, bytes)?)),
        oid::NUMERIC => Value::Numeric(Numeric::from_binary(bytes).ok_or(DecodeError::Malformed { type_oid })?),
        oid::TEXT | oid::VARCHAR | oid::NAME | oid::UNKNOWN => Value::Text(text(type_oid, bytes)?),
        oid::BPCHAR => Value::Bpchar(text(type_oid, bytes)?),
        oid::BYTEA => Value::Bytea(Arc::from(bytes)),
        oid::DATE => {
            let days = i32::from_be_bytes(fixed_width(type_oid, bytes)?);
            in_range(type_oid, is_valid_date(days) || is_infinite_date(days))?;
            Value::Date(days)
        }
        oid::TIME => {
            let micros = i64::from_be_bytes(fixed_width(type_oid, bytes)?);
            // 24:00:00 is a time.
            in_range(type_oid, (0..=MICROS_PER_DAY).contains(&micros))?;
            Value::Time(micros)
        }
        oid::TIMESTAMP => Value::Timestamp(timestamp(type_oid, bytes)?),
        oid::TIMESTAMPTZ => Value::TimestampTz(timestamp(type_oid, bytes)?),
        oid::INTERVAL => {
            let [a, b, c, d, e, f, g, h, days @ .., m, n, o, p] = fixed_width::<16>(type_oid, bytes)?;
            Value::Interval(Arc::new(Interval {
                micros: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
                days: i32::from_be_bytes(days),
                months: i32::from_be_bytes([m, n, o, p]),
            }))
        }
        oid::UUID => Value::Uuid(Arc::new(fixed_width(type_oid, bytes)?)),
        oid::INET | oid::CIDR => Value::Inet(inet(type_oid, bytes)?),
        oid::TIMETZ => {
            let [head @ .., a, b, c, d] = fixed_width::<12>(type_oid, bytes)?;
            let (micros, west) = (i64::from_be_bytes(head), i32::from_be_bytes([a, b, c, d]));
            in_range(type_oid, (0..=MICROS_PER_DAY).contains(&micros) && west.abs() < SECONDS_OF_ZONES)?;
            Value::TimeTz(micros, west)
        }
        // As `jsonb_send` writes it; what clients send need not be in this form.
        oid::JSONB => match bytes.split_first() {
            Some((&JSONB_VERSION, image)) => Value::Jsonb(text(type_oid, image)?),
            _ => return Err(DecodeError::Malformed { type_oid }),
        },
        _ => match (array::element_type(type_oid), range::bound_type(type_oid)) {
            (Some(element), _) => array::decode(type_oid, element, bytes)?,
            (_, Some(element)) => range::decode(type_oid, element, bytes)?,
            (None, None) => Value::Opaque(Arc::from(bytes)),
        },
    })
}

fn fixed_width<const N: usize>(type_oid: u32, bytes: &[u8]) -> Result<[u8; N], DecodeError> {
    bytes.try_into().map_err(|_| DecodeError::Length { type_oid, length: bytes.len() })
}

/// What `network_send` writes: version, bits, whether it is a cidr, the length, the address.
fn inet(type_oid: u32, bytes: &[u8]) -> Result<Inet, DecodeError> {
    let found = match bytes {
        [version, bits, is_cidr, length, address @ ..] if usize::from(*length) == address.len() => {
            let version = IpVersion::of_code(*version).filter(|_| (*is_cidr != 0) == (type_oid == oid::CIDR));
            version.and_then(|version| Inet::new(version, *bits, address))
        }
        _ => None,
    };
    found.ok_or(DecodeError::Malformed { type_oid })
}

fn timestamp(type_oid: u32, bytes: &[u8]) -> Result<i64, DecodeError> {
    let micros = i64::from_be_bytes(fixed_width(type_oid, bytes)?);
    in_range(type_oid, is_valid_timestamp(micros) || is_infinite_timestamp(micros))?;
    Ok(micros)
}

/// What `date_recv`, `time_recv` and `timestamp_recv` refuse with 22008.
fn in_range(type_oid: u32, is_valid: bool) -> Result<(), DecodeError> {
    if is_valid { Ok(()) } else { Err(DecodeError::OutOfRange { type_oid }) }
}

fn text(type_oid: u32, bytes: &[u8]) -> Result<Arc<str>, DecodeError> {
    let text = std::str::from_utf8(bytes).map_err(|source| DecodeError::Encoding { type_oid, source })?;
    Ok(Arc::from(text))
}

/// Appends the binary image of a value that is neither NULL nor an error.
pub fn encode_binary(value: &Value, type_oid: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match value {
        Value::Bool(v) => out.push(*v as u8),
        Value::Int2(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int4(v) | Value::Date(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::TimestampTz(v) => {
            out.extend_from_slice(&v.to_be_bytes())
        }
        Value::Float4(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Float8(v) => out.extend_from_slice(&v.to_be_bytes()),
        Value::Numeric(v) => v.to_binary(out),
        Value::Text(v) | Value::Bpchar(v) => out.extend_from_slice(v.as_bytes()),
        Value::Bytea(v) | Value::Opaque(v) => out.extend_from_slice(v),
        Value::Interval(v) => {
            out.extend_from_slice(&v.micros.to_be_bytes());
            out.extend_from_slice(&v.days.to_be_bytes());
            out.extend_from_slice(&v.months.to_be_bytes());
        }
        Value::Uuid(v) => out.extend_from_slice(&v[..]),
        Value::Array(v) => array::encode(v, type_oid, out)?,
        Value::Inet(v) => {
            let is_cidr = u8::from(type_oid == oid::CIDR);
            out.extend_from_slice(&[v.version.code(), v.bits, is_cidr, v.version.length() as u8]);
            out.extend_from_slice(v.bytes());
        }
        Value::TimeTz(micros, west) => {
            out.extend_from_slice(&micros.to_be_bytes());
            out.extend_from_slice(&west.to_be_bytes());
        }
        Value::Jsonb(v) => {
            out.push(JSONB_VERSION);
            out.extend_from_slice(v.as_bytes());
        }
        Value::Range(v) => range::encode(v, out)?,
        Value::Null => return Err(EncodeError { type_oid, value: "NULL" }),
        Value::Error(_) => return Err(EncodeError { type_oid, value: "an error" }),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_back() {
        let values = [
            (oid::BOOL, Value::Bool(true)),
            (oid::INT2, Value::Int2(-2)),
            (oid::INT4, Value::Int4(i32::MIN)),
            (oid::INT8, Value::Int8(7)),
            (oid::FLOAT4, Value::Float4(-0.0)),
            (oid::FLOAT8, Value::Float8(1.5)),
            (oid::NUMERIC, Value::Numeric(Numeric::new(-12345, 2))),
            (oid::VARCHAR, Value::text("häuser")),
            (oid::BPCHAR, Value::Bpchar("a  ".into())),
            (oid::BYTEA, Value::Bytea([0u8, 255].into())),
            (oid::DATE, Value::Date(-1)),
            (oid::TIMESTAMPTZ, Value::TimestampTz(i64::MAX)),
            (oid::INTERVAL, Value::interval(1, -2, 3)),
            (oid::UUID, Value::Uuid(Arc::new([7; 16]))),
            (600, Value::Opaque([1u8; 16].into())),
        ];
        for (type_oid, value) in values {
            let mut image = Vec::new();
            encode_binary(&value, type_oid, &mut image).unwrap();
            assert_eq!(decode_binary(type_oid, &image), Ok(value));
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert!(matches!(decode_binary(oid::INT4, &[1]), Err(DecodeError::Length { .. })));
        assert!(matches!(decode_binary(oid::TEXT, &[0xff]), Err(DecodeError::Encoding { .. })));
    }

    #[test]
    fn dates_and_times_that_receive_functions_refuse_are_refused() {
        let first_invalid = [
            (oid::DATE, (crate::datetime::END_DATE).to_be_bytes().to_vec()),
            (oid::TIME, (MICROS_PER_DAY + 1).to_be_bytes().to_vec()),
            (oid::TIME, (-1_i64).to_be_bytes().to_vec()),
            (oid::TIMESTAMP, (crate::datetime::MIN_TIMESTAMP - 1).to_be_bytes().to_vec()),
            (oid::TIMESTAMPTZ, (i64::MAX - 1).to_be_bytes().to_vec()),
        ];
        for (type_oid, image) in first_invalid {
            assert_eq!(decode_binary(type_oid, &image), Err(DecodeError::OutOfRange { type_oid }));
        }
    }
}
