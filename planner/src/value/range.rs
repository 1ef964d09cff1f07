//! Ranges over types with known order (`src/backend/utils/adt/rangetypes.c`). Multiranges, and ranges that users make, are
//! passed on as they are.

use super::binary::{DecodeError, decode_binary, encode_binary};
use super::{EncodeError, EvalError, Value, compare};
use crate::datetime::{END_DATE, is_infinite_date};
use crate::types::oid;
use std::cmp::Ordering;
use std::sync::Arc;

/// A range in its type's canonical form: over integers and dates from an inclusive to an exclusive bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Range {
    /// `pg_type.oid` of the bounds' type.
    pub element: u32,
    /// None: empty.
    pub bounds: Option<Bounds>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bounds {
    pub lower: RangeBound,
    pub upper: RangeBound,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RangeBound {
    /// None: infinite, and then never inclusive.
    pub value: Option<Value>,
    pub inclusive: bool,
}

/// (range, bound) OIDs of `pg_type.dat`.
const RANGES: &[(u32, u32)] = &[
    (oid::INT4RANGE, oid::INT4),
    (oid::NUMRANGE, oid::NUMERIC),
    (oid::TSRANGE, oid::TIMESTAMP),
    (oid::TSTZRANGE, oid::TIMESTAMPTZ),
    (oid::DATERANGE, oid::DATE),
    (oid::INT8RANGE, oid::INT8),
];

/// The type of the bounds of a range type that is known.
pub fn bound_type(range: u32) -> Option<u32> {
    RANGES.iter().find(|(of, _)| *of == range).map(|(_, bound)| *bound)
}

/// Flags of a range's binary image and datum (`rangetypes.h`).
const EMPTY: u8 = 0x01;
const LOWER_INCLUSIVE: u8 = 0x02;
const UPPER_INCLUSIVE: u8 = 0x04;
const LOWER_INFINITE: u8 = 0x08;
const UPPER_INFINITE: u8 = 0x10;

impl RangeBound {
    pub fn infinite() -> RangeBound {
        RangeBound { value: None, inclusive: false }
    }

    pub fn new(value: Option<Value>, inclusive: bool) -> RangeBound {
        let inclusive = inclusive && value.is_some();
        RangeBound { value, inclusive }
    }
}

impl Range {
    pub fn empty(element: u32) -> Range {
        Range { element, bounds: None }
    }

    /// `make_range`: empty where nothing lies between the bounds, canonical otherwise.
    pub fn new(element: u32, lower: RangeBound, upper: RangeBound) -> Result<Range, EvalError> {
        if let (Some(low), Some(high)) = (&lower.value, &upper.value) {
            match compare(low, high) {
                Ordering::Greater => {
                    let message = "range lower bound must be less than or equal to range upper bound";
                    return Err(EvalError::new("22000", message));
                }
                Ordering::Equal if !(lower.inclusive && upper.inclusive) => return Ok(Range::empty(element)),
                _ => {}
            }
        }
        let lower = if lower.inclusive { lower } else { RangeBound::new(next(lower.value.as_ref())?, true).or(lower) };
        let upper = if upper.inclusive { RangeBound::new(next(upper.value.as_ref())?, false).or(upper) } else { upper };
        // (1,2) of integers is [2,2).
        if let (Some(low), Some(high)) = (&lower.value, &upper.value)
            && compare(low, high).is_eq()
            && !(lower.inclusive && upper.inclusive)
        {
            return Ok(Range::empty(element));
        }
        Ok(Range { element, bounds: Some(Bounds { lower, upper }) })
    }

    /// The representative of the ranges that are equal to this one.
    pub(super) fn canonical(&self) -> Range {
        let of = |bound: &RangeBound| RangeBound {
            value: bound.value.as_ref().map(Value::canonical),
            inclusive: bound.inclusive,
        };
        let bounds = self.bounds.as_ref();
        Range {
            element: self.element,
            bounds: bounds.map(|bounds| Bounds { lower: of(&bounds.lower), upper: of(&bounds.upper) }),
        }
    }

    /// `range_cmp`: an empty range before all others, then by the lower bounds, then by the upper ones.
    pub fn compare(&self, other: &Range) -> Ordering {
        match (&self.bounds, &other.bounds) {
            (None, None) => Ordering::Equal,
            (None, _) => Ordering::Less,
            (_, None) => Ordering::Greater,
            (Some(a), Some(b)) => {
                Place::lower(a).compare(&Place::lower(b)).then(Place::upper(a).compare(&Place::upper(b)))
            }
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        let of = |bound: &RangeBound| bound.value.as_ref().map_or(0, Value::heap_size);
        size_of::<Range>() + self.bounds.as_ref().map_or(0, |bounds| of(&bounds.lower) + of(&bounds.upper))
    }
}

impl RangeBound {
    /// This one if it has a value, else the other.
    fn or(self, other: RangeBound) -> RangeBound {
        if self.value.is_some() { self } else { other }
    }
}

/// The value after this one, where the type has such; None where it has not.
fn next(value: Option<&Value>) -> Result<Option<Value>, EvalError> {
    let out_of_range = |name: &str| EvalError::out_of_range(format!("{name} out of range"));
    Ok(Some(match value {
        Some(Value::Int4(value)) => Value::Int4(value.checked_add(1).ok_or_else(|| out_of_range("integer"))?),
        Some(Value::Int8(value)) => Value::Int8(value.checked_add(1).ok_or_else(|| out_of_range("bigint"))?),
        Some(Value::Date(value)) if !is_infinite_date(*value) => {
            if value + 1 >= END_DATE {
                return Err(EvalError::datetime_overflow("date out of range"));
            }
            Value::Date(value + 1)
        }
        _ => return Ok(None),
    }))
}

/// A bound and which one it is.
pub struct Place<'r> {
    bound: &'r RangeBound,
    is_lower: bool,
}

impl<'r> Place<'r> {
    pub fn lower(bounds: &'r Bounds) -> Place<'r> {
        Place { bound: &bounds.lower, is_lower: true }
    }

    pub fn upper(bounds: &'r Bounds) -> Place<'r> {
        Place { bound: &bounds.upper, is_lower: false }
    }

    /// `range_cmp_bounds`.
    pub fn compare(&self, other: &Place<'_>) -> Ordering {
        // Where the bound lies by its kind alone: an infinite or exclusive lower one, or an upper one.
        let outside = |is_lower: bool| if is_lower { Ordering::Less } else { Ordering::Greater };
        let inside = |is_lower: bool| outside(is_lower).reverse();
        match (&self.bound.value, &other.bound.value) {
            (None, None) if self.is_lower == other.is_lower => Ordering::Equal,
            (None, _) => outside(self.is_lower),
            (_, None) => outside(other.is_lower).reverse(),
            (Some(a), Some(b)) => compare(a, b).then_with(|| match (self.bound.inclusive, other.bound.inclusive) {
                (true, true) => Ordering::Equal,
                (false, false) if self.is_lower == other.is_lower => Ordering::Equal,
                (false, _) => inside(self.is_lower),
                (true, false) => inside(other.is_lower).reverse(),
            }),
        }
    }
}

/// What `range_recv` reads, if it is as `range_send` writes it.
pub(super) fn decode(type_oid: u32, element: u32, bytes: &[u8]) -> Result<Value, DecodeError> {
    let malformed = || DecodeError::Malformed { type_oid };
    let (&flags, mut rest) = bytes.split_first().ok_or_else(malformed)?;
    let mut bound = || -> Result<Value, DecodeError> {
        let (size, tail) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
        let size = usize::try_from(i32::from_be_bytes(*size)).map_err(|_| malformed())?;
        let (image, tail) = tail.split_at_checked(size).ok_or_else(malformed)?;
        rest = tail;
        decode_binary(element, image)
    };
    let has = |flag: u8| flags & flag != 0;
    let lower = if has(EMPTY | LOWER_INFINITE) { None } else { Some(bound()?) };
    let upper = if has(EMPTY | UPPER_INFINITE) { None } else { Some(bound()?) };
    let range = of_flags(element, flags, lower, upper).ok_or_else(malformed)?;
    if rest.is_empty() { Ok(Value::Range(Arc::new(range))) } else { Err(malformed()) }
}

/// The range of these flags and bounds, if that is its canonical form.
pub fn of_flags(element: u32, flags: u8, lower: Option<Value>, upper: Option<Value>) -> Option<Range> {
    let has = |flag: u8| flags & flag != 0;
    if flags == EMPTY {
        return Some(Range::empty(element));
    }
    if flags & !(LOWER_INCLUSIVE | UPPER_INCLUSIVE | LOWER_INFINITE | UPPER_INFINITE) != 0 {
        return None;
    }
    let bounds = Bounds {
        lower: RangeBound { value: lower, inclusive: has(LOWER_INCLUSIVE) },
        upper: RangeBound { value: upper, inclusive: has(UPPER_INCLUSIVE) },
    };
    let given = Range { element, bounds: Some(bounds.clone()) };
    let made = Range::new(element, bounds.lower, bounds.upper).ok()?;
    (made == given).then_some(given)
}

/// Whether bounds of these flags are there, lower and upper.
pub fn present(flags: u8) -> (bool, bool) {
    (flags & (EMPTY | LOWER_INFINITE) == 0, flags & (EMPTY | UPPER_INFINITE) == 0)
}

/// What `range_send` writes.
pub(super) fn encode(range: &Range, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let Some(bounds) = &range.bounds else {
        out.push(EMPTY);
        return Ok(());
    };
    let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
    let (lower, upper) = (&bounds.lower, &bounds.upper);
    out.push(
        flag(lower.inclusive, LOWER_INCLUSIVE)
            | flag(upper.inclusive, UPPER_INCLUSIVE)
            | flag(lower.value.is_none(), LOWER_INFINITE)
            | flag(upper.value.is_none(), UPPER_INFINITE),
    );
    for value in [lower, upper].into_iter().filter_map(|bound| bound.value.as_ref()) {
        let at = out.len();
        out.extend_from_slice(&[0; 4]);
        encode_binary(value, range.element, out)?;
        let size = (out.len() - at - 4) as u32;
        out[at..at + 4].copy_from_slice(&size.to_be_bytes());
    }
    Ok(())
}
