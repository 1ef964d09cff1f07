//! Constants: a datum's bytes as they lie in memory on a little-endian server (`outDatum`).

use super::constant_json::jsonb;
use super::error::LowerError;
use super::expr::{ExprLowerer, Typed};
use super::kinds::{Representation, representation};
use super::unsupported;
use crate::expr::Expr;
use crate::tree::{Node, Tree};
use crate::types::{Collation, oid};
use crate::value::datum::{DatumError, fixed, numeric, varlena};
use crate::value::{Array, Inet, Interval, IpVersion, Value, element_type, of_flags, present};
use std::sync::Arc;

impl ExprLowerer<'_, '_> {
    pub(super) fn constant(&mut self, node: &Node) -> Result<Typed, LowerError> {
        let collation = node.oid("constcollid")?;
        let kind = self.lowering.kind(node.oid("consttype")?, node.int32("consttypmod")?, collation)?;
        let value = match node.field("constvalue")? {
            Tree::Datum { bytes, .. } if !node.bool("constisnull")? && kind.collation == Collation::Labels => {
                match self.lowering.enum_constant(bytes, &kind) {
                    Some(value) => value,
                    None => return unsupported("constant of an enum without that label"),
                }
            }
            Tree::Datum { bytes, .. } if !node.bool("constisnull")? => match datum(bytes, kind.oid) {
                Ok(value) => value,
                Err(error) => {
                    return unsupported(format!("constant of type {} ({error})", self.lowering.type_name(kind.oid)));
                }
            },
            _ if node.bool("constisnull")? => Value::Null,
            _ => return unsupported("a constant without a value"),
        };
        Ok(Typed { expr: Expr::Const(value), kind, collation })
    }
}

/// A datum of a base type, or of an array of one.
fn datum(bytes: &[u8], type_oid: u32) -> Result<Value, DatumError> {
    if type_oid == oid::JSON {
        // The text as it was written.
        return Ok(Value::Opaque(utf8(varlena(bytes)?)?.as_bytes().into()));
    }
    let Some(element) = element_type(type_oid) else { return decode(bytes, type_oid) };
    let elements = decode_array(bytes, element)?;
    // Its subscripts may begin elsewhere: the lower bound follows the length.
    let lower = bytes.get(20..24).filter(|_| !elements.is_empty()).map(fixed).transpose()?;
    if lower.is_some_and(|lower| i32::from_le_bytes(lower) != 1) {
        return Err(DatumError::UnknownType);
    }
    Ok(Value::Array(Array::list(element, elements).into()))
}

/// A datum of a base type as a value.
pub fn decode(bytes: &[u8], type_oid: u32) -> Result<Value, DatumError> {
    Ok(match representation(type_oid) {
        Representation::Bool => Value::Bool(bytes.first().ok_or(DatumError::Malformed)? & 1 == 1),
        Representation::Int2 => Value::Int2(i16::from_le_bytes(fixed(bytes)?)),
        Representation::Int4 => Value::Int4(i32::from_le_bytes(fixed(bytes)?)),
        Representation::Int8 => Value::Int8(i64::from_le_bytes(fixed(bytes)?)),
        Representation::Float4 => Value::Float4(f32::from_le_bytes(fixed(bytes)?)),
        Representation::Float8 => Value::Float8(f64::from_le_bytes(fixed(bytes)?)),
        Representation::Numeric => Value::Numeric(numeric(varlena(bytes)?)?),
        // `name` is a fixed array, zero-padded; `unknown` a C string.
        Representation::Text if matches!(type_oid, crate::types::oid::NAME | crate::types::oid::UNKNOWN) => {
            let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
            Value::Text(utf8(&bytes[..end])?)
        }
        Representation::Text => Value::Text(utf8(varlena(bytes)?)?),
        Representation::Bpchar => Value::Bpchar(utf8(varlena(bytes)?)?),
        Representation::Bytea => Value::Bytea(varlena(bytes)?.into()),
        Representation::Date => Value::Date(i32::from_le_bytes(fixed(bytes)?)),
        Representation::Time => Value::Time(i64::from_le_bytes(fixed(bytes)?)),
        Representation::Timestamp => Value::Timestamp(i64::from_le_bytes(fixed(bytes)?)),
        Representation::TimestampTz => Value::TimestampTz(i64::from_le_bytes(fixed(bytes)?)),
        Representation::Interval => {
            let (micros, rest) = bytes.split_at_checked(8).ok_or(DatumError::Malformed)?;
            let (days, months) = rest.split_at_checked(4).ok_or(DatumError::Malformed)?;
            Value::Interval(Arc::new(Interval {
                months: i32::from_le_bytes(fixed(months)?),
                days: i32::from_le_bytes(fixed(days)?),
                micros: i64::from_le_bytes(fixed(micros)?),
            }))
        }
        Representation::Uuid => Value::Uuid(Arc::new(fixed(bytes)?)),
        Representation::Jsonb => jsonb(bytes)?,
        Representation::Inet => Value::Inet(inet(varlena(bytes)?)?),
        Representation::TimeTz => {
            let (micros, west) = bytes.split_at_checked(8).ok_or(DatumError::Malformed)?;
            Value::TimeTz(i64::from_le_bytes(fixed(micros)?), i32::from_le_bytes(fixed(west)?))
        }
        Representation::Image(oid::OID) => Value::Opaque(u32::from_le_bytes(fixed(bytes)?).to_be_bytes().into()),
        Representation::Image(of) => {
            let length = if of == oid::MACADDR { 6 } else { 8 };
            Value::Opaque(bytes.get(..length).ok_or(DatumError::Malformed)?.into())
        }
        Representation::Range(bound) => range(bytes, bound)?,
        Representation::Array(_) => return Err(DatumError::UnknownType),
        Representation::Opaque => return Err(DatumError::UnknownType),
    })
}

/// The elements of a one-dimensional array datum (`src/include/utils/array.h`).
pub fn decode_array(bytes: &[u8], element: u32) -> Result<Vec<Value>, DatumError> {
    // After the length word: ndim, data offset (0 without nulls), element type, dimensions, lower bounds.
    let word = |at: usize| -> Result<i32, DatumError> {
        Ok(i32::from_le_bytes(fixed(bytes.get(at..at + 4).ok_or(DatumError::Malformed)?)?))
    };
    varlena(bytes)?;
    let (dimensions, data_offset) = (word(4)?, word(8)?);
    if dimensions == 0 {
        return Ok(vec![]);
    }
    if dimensions != 1 {
        return Err(DatumError::UnknownType);
    }
    let length = usize::try_from(word(16)?).map_err(|_| DatumError::Malformed)?;
    if length > bytes.len() * 8 {
        return Err(DatumError::Malformed);
    }
    let nulls = if data_offset == 0 { None } else { Some(bytes.get(24..).ok_or(DatumError::Malformed)?) };
    let mut at = match usize::try_from(data_offset) {
        Ok(0) => 24,
        Ok(offset) => offset,
        Err(_) => return Err(DatumError::Malformed),
    };
    let mut values = Vec::with_capacity(length);
    for index in 0..length {
        // A set bit in the bitmap means not null.
        if let Some(bitmap) = nulls
            && bitmap.get(index / 8).ok_or(DatumError::Malformed)? & (1 << (index % 8)) == 0
        {
            values.push(Value::Null);
            continue;
        }
        let (size, alignment) = element_layout(element)?;
        at = at.next_multiple_of(alignment);
        let size = match size {
            Some(size) => size,
            None => usize::try_from(word(at)? as u32 >> 2).map_err(|_| DatumError::Malformed)?,
        };
        values.push(decode(bytes.get(at..at + size).ok_or(DatumError::Malformed)?, element)?);
        at += size;
    }
    Ok(values)
}

/// Size (None: a length word says) and alignment of an array element in bytes.
fn element_layout(element: u32) -> Result<(Option<usize>, usize), DatumError> {
    Ok(match representation(element) {
        Representation::Bool => (Some(1), 1),
        Representation::Int2 => (Some(2), 2),
        Representation::Int4 | Representation::Float4 | Representation::Date => (Some(4), 4),
        Representation::Int8
        | Representation::Float8
        | Representation::Time
        | Representation::Timestamp
        | Representation::TimestampTz => (Some(8), 8),
        Representation::Interval => (Some(16), 8),
        Representation::Uuid => (Some(16), 1),
        Representation::Text if element == crate::types::oid::NAME => (Some(64), 1),
        Representation::Text | Representation::Bpchar | Representation::Numeric | Representation::Bytea => (None, 4),
        // No arrays of them are known.
        Representation::Jsonb
        | Representation::Inet
        | Representation::TimeTz
        | Representation::Image(_)
        | Representation::Array(_)
        | Representation::Range(_)
        | Representation::Opaque => return Err(DatumError::UnknownType),
    })
}

/// `inet_struct`: version, bits, and as much of the address as there is.
fn inet(bytes: &[u8]) -> Result<Inet, DatumError> {
    let [version, bits, address @ ..] = bytes else { return Err(DatumError::Malformed) };
    let version = IpVersion::of_code(*version).ok_or(DatumError::Malformed)?;
    let address = address.get(..version.length()).ok_or(DatumError::Malformed)?;
    Inet::new(version, *bits, address).ok_or(DatumError::Malformed)
}

/// A range datum (`range_serialize`): the type's OID, the bounds that are there, and the flags last.
fn range(bytes: &[u8], bound: u32) -> Result<Value, DatumError> {
    let flags = *varlena(bytes)?.last().ok_or(DatumError::Malformed)?;
    let mut at = 8;
    let mut next = || -> Result<Value, DatumError> {
        let (size, alignment) = element_layout(bound)?;
        // A numeric of few bytes has a header of one, which is odd, and is not aligned.
        let short = size.is_none().then(|| bytes.get(at)).flatten().filter(|byte| **byte & 1 == 1);
        if let Some(header) = short {
            let end = at + usize::from(header >> 1);
            let value = numeric(bytes.get(at + 1..end).ok_or(DatumError::Malformed)?)?;
            at = end;
            return Ok(Value::Numeric(value));
        }
        at = at.next_multiple_of(alignment);
        let rest = bytes.get(at..).ok_or(DatumError::Malformed)?;
        let size = match size {
            Some(size) => size,
            None => (u32::from_le_bytes(fixed(rest)?) >> 2) as usize,
        };
        at += size;
        decode(rest.get(..size).ok_or(DatumError::Malformed)?, bound)
    };
    let (has_lower, has_upper) = present(flags);
    let lower = has_lower.then(&mut next).transpose()?;
    let upper = has_upper.then(&mut next).transpose()?;
    let range = of_flags(bound, flags, lower, upper).ok_or(DatumError::Malformed)?;
    Ok(Value::Range(Arc::new(range)))
}

fn utf8(bytes: &[u8]) -> Result<Arc<str>, DatumError> {
    std::str::from_utf8(bytes).map(Arc::from).map_err(|_| DatumError::Malformed)
}
