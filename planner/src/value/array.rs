//! Arrays of types with known operations (`src/include/utils/array.h`).

use super::binary::{DecodeError, decode_binary, encode_binary};
use super::{EncodeError, Value, compare_nulls};
use crate::types::oid;
use std::cmp::Ordering;

/// An array: dimensions and, row-major, elements that are NULL or of the one element type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Array {
    /// `pg_type.oid` of the elements.
    pub element: u32,
    /// Length and lower bound per dimension; none for the empty array.
    pub dimensions: Box<[(i32, i32)]>,
    pub elements: Box<[Value]>,
    /// It is held with a bitmap of NULLs although no element is NULL, as slices are; `array_send` tells.
    pub bitmap: bool,
}

impl Array {
    /// A one-dimensional array from 1, as `ARRAY[…]` and `array_agg` make it; empty without elements.
    pub fn list(element: u32, elements: Vec<Value>) -> Array {
        let length = i32::try_from(elements.len()).expect("a list is shorter than Postgres' longest array");
        let dimensions = if length == 0 { Box::default() } else { Box::from([(length, 1)]) };
        Array { element, dimensions, elements: elements.into(), bitmap: false }
    }

    /// `array_cmp`: by the elements, NULL after all others, then by their number and the dimensions.
    pub fn compare(&self, other: &Array) -> Ordering {
        let pairs = self.elements.iter().zip(&other.elements);
        let elements = pairs.map(|(a, b)| compare_nulls(a, b, false, false)).find(|order| order.is_ne());
        let bounds = |array: &Array| {
            let (lengths, lowers): (Vec<i32>, Vec<i32>) = array.dimensions.iter().copied().unzip();
            (array.elements.len(), array.dimensions.len(), lengths, lowers)
        };
        elements.unwrap_or_else(|| bounds(self).cmp(&bounds(other)))
    }

    pub(super) fn is_canonical(&self) -> bool {
        !self.bitmap && self.elements.iter().all(Value::is_canonical)
    }

    /// The representative of the arrays that are equal to this one.
    pub(super) fn canonical(&self) -> Array {
        let elements = self.elements.iter().map(Value::canonical).collect();
        Array { element: self.element, dimensions: self.dimensions.clone(), elements, bitmap: false }
    }
}

/// (array, element) OIDs of `pg_type.dat`.
const ARRAYS: &[(u32, u32)] = &[
    (1000, oid::BOOL),
    (1001, oid::BYTEA),
    (1003, oid::NAME),
    (1005, oid::INT2),
    (1007, oid::INT4),
    (1009, oid::TEXT),
    (1014, oid::BPCHAR),
    (1015, oid::VARCHAR),
    (1016, oid::INT8),
    (1021, oid::FLOAT4),
    (1022, oid::FLOAT8),
    (1115, oid::TIMESTAMP),
    (1182, oid::DATE),
    (1183, oid::TIME),
    (1185, oid::TIMESTAMPTZ),
    (1187, oid::INTERVAL),
    (1231, oid::NUMERIC),
    (2951, oid::UUID),
];

/// The element type of an array type whose elements have known operations.
pub fn element_type(array: u32) -> Option<u32> {
    ARRAYS.iter().find(|(of, _)| *of == array).map(|(_, element)| *element)
}

/// The array type over an element type, where arrays of it are known.
pub fn array_type(element: u32) -> Option<u32> {
    ARRAYS.iter().find(|(_, of)| *of == element).map(|(array, _)| *array)
}

/// `MAXDIM` of `src/include/utils/array.h`.
const MAX_DIMENSIONS: i32 = 6;

/// What `array_recv` reads.
pub(super) fn decode(type_oid: u32, element: u32, bytes: &[u8]) -> Result<Value, DecodeError> {
    let malformed = || DecodeError::Malformed { type_oid };
    let mut rest = bytes;
    let mut word = || -> Option<i32> {
        let (head, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        Some(i32::from_be_bytes(*head))
    };
    let (dimension_count, has_nulls) = (word().ok_or_else(malformed)?, word().ok_or_else(malformed)?);
    if !(0..=MAX_DIMENSIONS).contains(&dimension_count) || word().ok_or_else(malformed)? as u32 != element {
        return Err(malformed());
    }
    let mut dimensions = Vec::with_capacity(dimension_count as usize);
    let mut length: usize = usize::from(dimension_count > 0);
    for _ in 0..dimension_count {
        let (size, lower) = (word().ok_or_else(malformed)?, word().ok_or_else(malformed)?);
        length = usize::try_from(size).ok().and_then(|size| length.checked_mul(size)).ok_or_else(malformed)?;
        dimensions.push((size, lower));
    }
    // Every element has at least its length word.
    if length > bytes.len() / 4 {
        return Err(malformed());
    }
    let mut elements = Vec::with_capacity(length);
    for _ in 0..length {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        rest = tail;
        let size = i32::from_be_bytes(*head);
        if size == -1 {
            elements.push(Value::Null);
            continue;
        }
        let size = usize::try_from(size).map_err(|_| malformed())?;
        let (image, tail) = rest.split_at_checked(size).ok_or_else(malformed)?;
        rest = tail;
        elements.push(decode_binary(element, image)?);
    }
    if !rest.is_empty() {
        return Err(malformed());
    }
    let bitmap = has_nulls != 0 && !elements.iter().any(Value::is_null);
    Ok(Value::Array(Array { element, dimensions: dimensions.into(), elements: elements.into(), bitmap }.into()))
}

/// What `array_send` writes.
pub(super) fn encode(array: &Array, type_oid: u32, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    out.extend_from_slice(&(array.dimensions.len() as i32).to_be_bytes());
    out.extend_from_slice(&i32::from(array.bitmap || array.elements.iter().any(Value::is_null)).to_be_bytes());
    out.extend_from_slice(&array.element.to_be_bytes());
    for (size, lower) in &array.dimensions {
        out.extend_from_slice(&size.to_be_bytes());
        out.extend_from_slice(&lower.to_be_bytes());
    }
    for element in &array.elements {
        let at = out.len();
        out.extend_from_slice(&(-1i32).to_be_bytes());
        if element.is_null() {
            continue;
        }
        encode_binary(element, array.element, out)?;
        let too_long = EncodeError { type_oid, value: "an array element of two gigabytes" };
        let size = i32::try_from(out.len() - at - 4).map_err(|_| too_long)?;
        out[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_back_and_odd_ones_stay() {
        let array = Array::list(oid::INT4, vec![Value::Int4(1), Value::Null, Value::Int4(-3)]);
        let mut image = Vec::new();
        encode(&array, 1007, &mut image).unwrap();
        assert_eq!(decode_binary(1007, &image), Ok(Value::Array(array.into())));
        let mut empty = Vec::new();
        encode(&Array::list(oid::TEXT, vec![]), 1009, &mut empty).unwrap();
        assert_eq!(empty.len(), 12);
        // A null bitmap without a null in it.
        let mut flagged = empty.clone();
        flagged[7] = 1;
        let kept = decode_binary(1009, &flagged).unwrap();
        let mut again = Vec::new();
        encode_binary(&kept, 1009, &mut again).unwrap();
        assert_eq!(again, flagged);
        assert_ne!(decode_binary(1009, &empty), Ok(kept.clone()));
        assert_eq!(decode_binary(1009, &empty), Ok(kept.canonical()));
        image.truncate(image.len() - 1);
        assert!(decode_binary(1007, &image).is_err());
    }
}
