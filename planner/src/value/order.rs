//! SQL order: each type's default btree order, and ORDER BY over rows of keys.

use super::{Value, jsonb};
use crate::plan::SortKey;
use std::cmp::Ordering;

/// Orders two non-null values of one type as the type's default btree operator class does: NaN after all
/// numbers, text by bytes, char(n) without its padding, intervals by their span.
///
/// Total on anything: NULL comes last, then errors; values of different types order by type.
#[inline]
pub fn compare(a: &Value, b: &Value) -> Ordering {
    use Value::*;
    match (a, b) {
        (Int4(a), Int4(b)) | (Date(a), Date(b)) => a.cmp(b),
        (Int8(a), Int8(b)) | (Time(a), Time(b)) => a.cmp(b),
        (Timestamp(a), Timestamp(b)) | (TimestampTz(a), TimestampTz(b)) => a.cmp(b),
        (Text(a), Text(b)) => a.as_bytes().cmp(b.as_bytes()),
        (Numeric(a), Numeric(b)) => a.compare(b),
        (Int2(a), Int2(b)) => a.cmp(b),
        (Bool(a), Bool(b)) => a.cmp(b),
        (Float4(a), Float4(b)) => compare_floats(*a as f64, *b as f64),
        (Float8(a), Float8(b)) => compare_floats(*a, *b),
        (Bpchar(a), Bpchar(b)) => a.trim_end_matches(' ').as_bytes().cmp(b.trim_end_matches(' ').as_bytes()),
        (Bytea(a), Bytea(b)) | (Opaque(a), Opaque(b)) => a.cmp(b),
        (Interval(a), Interval(b)) => a.span().cmp(&b.span()),
        (Uuid(a), Uuid(b)) => a.cmp(b),
        (Range(a), Range(b)) => a.compare(b),
        (Array(a), Array(b)) => a.compare(b),
        (Inet(a), Inet(b)) => a.compare(b),
        // By the moment, then by the zone (`timetz_cmp_internal`).
        (TimeTz(a, west), TimeTz(b, other)) => {
            let moment = |micros: i64, west: i32| micros + i64::from(west) * 1_000_000;
            moment(*a, *west).cmp(&moment(*b, *other)).then(west.cmp(other))
        }
        (Jsonb(a), Jsonb(b)) => jsonb::compare(a, b),
        (Error(a), Error(b)) => (a.sqlstate, &a.message).cmp(&(b.sqlstate, &b.message)),
        _ => rank(a).cmp(&rank(b)),
    }
}

/// `float8_cmp_internal`: NaN equals NaN and exceeds everything, zeros are equal.
#[inline]
pub fn compare_floats(a: f64, b: f64) -> Ordering {
    match a.partial_cmp(&b) {
        Some(order) => order,
        None => a.is_nan().cmp(&b.is_nan()),
    }
}

/// Orders two rows of evaluated key values (`a[i]` is the value of `keys[i].expr`) as ORDER BY does.
#[inline]
pub fn compare_sort_keys(a: &[Value], b: &[Value], keys: &[SortKey]) -> Ordering {
    for (i, key) in keys.iter().enumerate() {
        let order = compare_nulls(&a[i], &b[i], key.descending, key.nulls_first);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Orders two possibly null values under one ORDER BY item.
#[inline]
pub fn compare_nulls(a: &Value, b: &Value, descending: bool, nulls_first: bool) -> Ordering {
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => {
            if nulls_first {
                Ordering::Less
            } else {
                Ordering::Greater
            }
        }
        (_, Value::Null) => {
            if nulls_first {
                Ordering::Greater
            } else {
                Ordering::Less
            }
        }
        _ => {
            let order = compare(a, b);
            if descending { order.reverse() } else { order }
        }
    }
}

fn rank(value: &Value) -> u8 {
    use Value::*;
    match value {
        Bool(_) => 0,
        Int2(_) => 1,
        Int4(_) => 2,
        Int8(_) => 3,
        Float4(_) => 4,
        Float8(_) => 5,
        Numeric(_) => 6,
        Text(_) => 7,
        Bpchar(_) => 8,
        Bytea(_) => 9,
        Date(_) => 10,
        Time(_) => 11,
        Timestamp(_) => 12,
        TimestampTz(_) => 13,
        Interval(_) => 14,
        Uuid(_) => 15,
        Opaque(_) => 16,
        Array(_) => 17,
        Range(_) => 18,
        Jsonb(_) => 19,
        Inet(_) => 20,
        TimeTz(..) => 21,
        Null => 22,
        Error(_) => 23,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nulls_and_direction() {
        let one = Value::Int4(1);
        let two = Value::Int4(2);
        assert_eq!(compare_nulls(&one, &two, false, false), Ordering::Less);
        assert_eq!(compare_nulls(&one, &two, true, false), Ordering::Greater);
        assert_eq!(compare_nulls(&Value::Null, &two, true, true), Ordering::Less);
        assert_eq!(compare_nulls(&Value::Null, &two, true, false), Ordering::Greater);
        assert_eq!(compare_nulls(&two, &Value::Null, false, true), Ordering::Greater);
    }

    #[test]
    fn nan_is_greatest_and_equal_to_itself() {
        let nan = Value::Float8(f64::NAN);
        assert_eq!(compare(&nan, &Value::Float8(f64::INFINITY)), Ordering::Greater);
        assert_eq!(compare(&nan, &Value::Float8(-f64::NAN)), Ordering::Equal);
        assert_eq!(compare(&Value::Float8(-0.0), &Value::Float8(0.0)), Ordering::Equal);
    }
}
