//! Representatives of SQL equality: two non-null values of one type are equal in SQL exactly when their
//! canonical images are identical. Grouping, DISTINCT and join keys hash these.

use super::{Interval, Value, element_type, jsonb};
use crate::types::oid;
use std::sync::Arc;

/// Equal values of the type can look different: 1.0 and 1.00.
pub fn has_many_images(type_oid: u32) -> bool {
    let varies = [oid::NUMERIC, oid::FLOAT4, oid::FLOAT8, oid::BPCHAR, oid::INTERVAL, oid::NUMRANGE, oid::JSONB];
    // An array may be held with a bitmap of NULLs that it needs not.
    varies.contains(&type_oid) || element_type(type_oid).is_some()
}

impl Value {
    /// Whether this value is its own representative; true for all but a few images of a few types.
    #[inline]
    pub fn is_canonical(&self) -> bool {
        match self {
            Value::Numeric(v) => v.is_canonical(),
            Value::Float4(v) => v.to_bits() == canonical_f32(*v).to_bits(),
            Value::Float8(v) => v.to_bits() == canonical_f64(*v).to_bits(),
            Value::Bpchar(v) => !v.ends_with(' '),
            Value::Interval(v) => **v == v.canonical(),
            Value::Array(v) => v.is_canonical(),
            Value::Jsonb(v) => jsonb::canonical(v).is_none(),
            Value::Range(v) => v.element != oid::NUMERIC || **v == v.canonical(),
            _ => true,
        }
    }

    /// The representative of this value's class under the type's default equality: numerics without trailing
    /// zeros, one NaN, no negative zero, char(n) without padding, intervals by their span.
    #[inline]
    pub fn canonical(&self) -> Value {
        match self {
            Value::Numeric(v) => Value::Numeric(v.canonical()),
            Value::Float4(v) => Value::Float4(canonical_f32(*v)),
            Value::Float8(v) => Value::Float8(canonical_f64(*v)),
            Value::Bpchar(v) if v.ends_with(' ') => Value::Bpchar(Arc::from(v.trim_end_matches(' '))),
            Value::Interval(v) => {
                let canonical = v.canonical();
                if canonical == **v { self.clone() } else { Value::Interval(Arc::new(canonical)) }
            }
            Value::Jsonb(v) => match jsonb::canonical(v) {
                Some(canonical) => Value::Jsonb(canonical.into()),
                None => self.clone(),
            },
            Value::Array(v) if !v.is_canonical() => Value::Array(Arc::new(v.canonical())),
            Value::Range(v) if v.element == oid::NUMERIC => Value::Range(Arc::new(v.canonical())),
            _ => self.clone(),
        }
    }
}

fn canonical_f32(v: f32) -> f32 {
    if v.is_nan() {
        f32::NAN
    } else if v == 0.0 {
        0.0
    } else {
        v
    }
}

fn canonical_f64(v: f64) -> f64 {
    if v.is_nan() {
        f64::NAN
    } else if v == 0.0 {
        0.0
    } else {
        v
    }
}

/// `USECS_PER_DAY`.
const MICROS_PER_DAY: i128 = 86_400_000_000;
/// `DAYS_PER_MONTH`: a month is thirty days in comparisons.
const DAYS_PER_MONTH: i128 = 30;

impl Interval {
    /// The span in microseconds by which intervals compare (`interval_cmp_value` in timestamp.c).
    #[inline]
    pub fn span(&self) -> i128 {
        (self.months as i128 * DAYS_PER_MONTH + self.days as i128) * MICROS_PER_DAY + self.micros as i128
    }

    /// The one interval chosen to stand for all of this span.
    pub fn canonical(&self) -> Interval {
        let span = self.span();
        let month = DAYS_PER_MONTH * MICROS_PER_DAY;
        // Saturating greedily always leaves a rest that fits: the span came from three such fields.
        let months = (span / month).clamp(i32::MIN as i128, i32::MAX as i128);
        let rest = span - months * month;
        let days = (rest / MICROS_PER_DAY).clamp(i32::MIN as i128, i32::MAX as i128);
        Interval { months: months as i32, days: days as i32, micros: (rest - days * MICROS_PER_DAY) as i64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_spans_have_one_representative() {
        let day = Interval { months: 0, days: 1, micros: 0 };
        let hours = Interval { months: 0, days: 0, micros: 86_400_000_000 };
        assert_eq!(day.canonical(), hours.canonical());
        let month = Interval { months: 1, days: 0, micros: 0 };
        let days = Interval { months: 0, days: 30, micros: 0 };
        assert_eq!(month.canonical(), days.canonical());
        let extreme = Interval { months: i32::MAX, days: i32::MAX, micros: i64::MAX };
        assert_eq!(extreme.canonical().span(), extreme.span());
        let extreme = Interval { months: i32::MIN, days: i32::MIN, micros: i64::MIN };
        assert_eq!(extreme.canonical().span(), extreme.span());
    }

    #[test]
    fn signed_zero_and_nan_fold() {
        assert_eq!(Value::Float8(-0.0).canonical(), Value::Float8(0.0));
        assert_eq!(Value::Float8(-f64::NAN).canonical(), Value::Float8(f64::NAN));
        assert_eq!(Value::Bpchar("a  ".into()).canonical(), Value::Bpchar("a".into()));
        assert_eq!(Value::Text("a  ".into()).canonical(), Value::Text("a  ".into()));
    }
}
