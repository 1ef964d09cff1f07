//! Order-preserving 64-bit prefixes of values: `prefix(a) < prefix(b)` proves `a` before `b`; equal prefixes prove
//! nothing and the values themselves are compared.

use std::cmp::Ordering;
use weir_planner::value::compare_nulls;
use weir_planner::{Numeric, Value};

/// One column of an ordered index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OrderedColumn {
    /// Position in the stored row.
    pub column: usize,
    pub descending: bool,
    pub nulls_first: bool,
}

impl OrderedColumn {
    #[inline]
    pub(crate) fn compare(&self, a: &Value, b: &Value) -> Ordering {
        compare_nulls(a, b, self.descending, self.nulls_first)
    }

    /// The prefix of a value in this column's order: NULLs at one end, everything else between.
    pub(crate) fn prefix(&self, value: &Value) -> u64 {
        if value.is_null() {
            return if self.nulls_first { 0 } else { u64::MAX };
        }
        let ascending = value_prefix(value);
        let directed = if self.descending { !ascending } else { ascending };
        directed.clamp(1, u64::MAX - 1)
    }
}

/// Rows by their key columns, first column first.
#[inline]
pub(crate) fn compare_rows(columns: &[OrderedColumn], a: &[Value], b: &[Value]) -> Ordering {
    for column in columns {
        let order = column.compare(&a[column.column], &b[column.column]);
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// Monotone in the order of `compare` among values of one type.
fn value_prefix(value: &Value) -> u64 {
    match value {
        Value::Bool(v) => u64::from(*v),
        Value::Int2(v) => signed(i64::from(*v)),
        Value::Int4(v) | Value::Date(v) => signed(i64::from(*v)),
        Value::Int8(v) | Value::Time(v) | Value::Timestamp(v) | Value::TimestampTz(v) => signed(*v),
        Value::Float4(v) => float(f64::from(*v)),
        Value::Float8(v) => float(*v),
        Value::Text(v) => leading(v.as_bytes()),
        Value::Bpchar(v) => leading(v.trim_end_matches(' ').as_bytes()),
        Value::Bytea(v) | Value::Opaque(v) => leading(v),
        Value::Uuid(v) => leading(&v[..]),
        Value::Numeric(v) => float(nearest(v)),
        // Without a cheap prefix all values tie and are compared.
        Value::Null
        | Value::Interval(_)
        | Value::Array(_)
        | Value::Range(_)
        | Value::Jsonb(_)
        | Value::Inet(_)
        | Value::TimeTz(..)
        | Value::Error(_) => 1 << 63,
    }
}

fn signed(v: i64) -> u64 {
    (v as u64) ^ (1 << 63)
}

/// The nearest double; what has none is brought to the end or to the zero it lies next to.
fn nearest(v: &Numeric) -> f64 {
    match v.to_f64() {
        Ok(near) => near,
        Err(_) if v.trunc(0).is_zero() => 0.0,
        Err(_) => f64::INFINITY.copysign(f64::from(v.signum())),
    }
}

/// Total order of floats as Postgres has it: NaN last, the zeros equal.
fn float(v: f64) -> u64 {
    if v.is_nan() {
        return u64::MAX;
    }
    let bits = if v == 0.0 { 0 } else { v.to_bits() };
    if bits >> 63 == 0 { bits | (1 << 63) } else { !bits }
}

/// The first eight bytes, zeros behind a shorter value.
fn leading(bytes: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = bytes.len().min(8);
    first[..len].copy_from_slice(&bytes[..len]);
    u64::from_be_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every pair of values of one type: the prefix never contradicts the comparison.
    #[test]
    fn prefixes_follow_the_order() {
        let floats = [f64::NEG_INFINITY, -1.5, -0.0, 0.0, 1e-300, 2.0, f64::INFINITY, f64::NAN];
        let texts = ["", "a", "ab", "abcdefgh", "abcdefghi", "b", "ü"];
        let groups: Vec<Vec<Value>> = vec![
            [i64::MIN, -1, 0, 1, i64::MAX].iter().map(|&v| Value::Int8(v)).collect(),
            [i32::MIN, -7, 0, 9, i32::MAX].iter().map(|&v| Value::Int4(v)).collect(),
            floats.iter().map(|&v| Value::Float8(v)).collect(),
            texts.iter().map(|&v| Value::Text(v.into())).collect(),
            texts.iter().map(|&v| Value::Bpchar(format!("{v}  ").into())).collect(),
            vec![Value::Bool(false), Value::Bool(true)],
        ];
        let numerics = ["-1e400", "-2.50", "-1e-400", "0", "0.00", "1e-400", "0.1", "2.5", "2.50", "1e400", "NaN"];
        let numerics = numerics.iter().map(|text| Value::Numeric(Numeric::parse(text).expect("a number")));
        for mut group in groups.into_iter().chain([numerics.collect()]) {
            group.push(Value::Null);
            for descending in [false, true] {
                for nulls_first in [false, true] {
                    let column = OrderedColumn { column: 0, descending, nulls_first };
                    for a in &group {
                        for b in &group {
                            if column.prefix(a) < column.prefix(b) {
                                assert_eq!(column.compare(a, b), Ordering::Less, "{a:?} {b:?} {column:?}");
                            }
                        }
                    }
                }
            }
        }
    }
}
