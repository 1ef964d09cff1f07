//! Divisors, multiples, factorials and buckets.

use super::{Numeric, big_pow10, overflow};
use crate::value::EvalError;
use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;

/// One part of a bucket: a quotient so near the next one Postgres may round to it.
const DOUBTFUL: u32 = 10_000;

impl Numeric {
    /// `numeric_gcd`: the greatest number of which both are multiples.
    pub fn gcd(&self, other: &Numeric) -> Numeric {
        let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) else { return Numeric::NAN };
        let scale = sa.max(sb);
        let (a, b) = (a * big_pow10(scale - sa), b * big_pow10(scale - sb));
        Numeric::from_big(num_integer::Integer::gcd(&a, &b), scale)
    }

    /// `numeric_lcm`: the least multiple of both. Error 22003.
    pub fn lcm(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) else { return Ok(Numeric::NAN) };
        let scale = sa.max(sb);
        let (a, b) = (a * big_pow10(scale - sa), b * big_pow10(scale - sb));
        if a.is_zero() || b.is_zero() {
            return Ok(Numeric::new(0, scale));
        }
        Numeric::checked_from_big(num_integer::Integer::lcm(&a, &b), scale)
    }

    /// `numeric_fac`. Error 22003 for negatives and beyond the format.
    pub fn factorial(number: i64) -> Result<Numeric, EvalError> {
        /// The largest whose factorial the format holds, and the largest that is reckoned here.
        const LAST: i64 = 32_177;
        const MOST: i64 = 1_000;
        if number < 0 {
            return Err(EvalError::out_of_range("factorial of a negative number is undefined"));
        }
        if number > LAST {
            return Err(overflow());
        }
        if number > MOST {
            return Err(EvalError::unsupported("a factorial of so many digits"));
        }
        Numeric::checked_from_big((2..=number).fold(BigInt::one(), |product, factor| product * factor), 0)
    }

    /// `width_bucket_numeric`: of `count` equal buckets from `low` to `high`, the one it is in, from 1.
    pub fn width_bucket(&self, low: &Numeric, high: &Numeric, count: i32) -> Result<i32, EvalError> {
        let error = |message: &'static str| EvalError::new("2201G", message);
        if count <= 0 {
            return Err(error("count must be greater than zero"));
        }
        if self.is_nan() || low.is_nan() || high.is_nan() {
            return Err(error("operand, lower bound, and upper bound cannot be NaN"));
        }
        if !low.is_finite() || !high.is_finite() {
            return Err(error("lower and upper bounds must be finite"));
        }
        let ascending = match low.compare(high) {
            Ordering::Equal => return Err(error("lower bound cannot equal upper bound")),
            order => order == Ordering::Less,
        };
        let (before, beyond) = match ascending {
            true => (self.compare(low).is_lt(), self.compare(high).is_ge()),
            false => (self.compare(low).is_gt(), self.compare(high).is_le()),
        };
        if before {
            return Ok(0);
        }
        if beyond {
            return count.checked_add(1).ok_or_else(|| EvalError::out_of_range("integer out of range"));
        }
        let (Some((distance, sa)), Some((width, sb))) = (self.sub(low)?.big(), high.sub(low)?.big()) else {
            return Err(doubtful());
        };
        let (distance, width) = (distance.abs() * count * big_pow10(sb), width.abs() * big_pow10(sa));
        let (bucket, rest) = num_integer::Integer::div_rem(&distance, &width);
        // Postgres rounds the quotient: one so near the next bucket may be taken for it.
        if !rest.is_zero() && (&width - &rest) * DOUBTFUL < width {
            return Err(doubtful());
        }
        bucket.to_i32().and_then(|bucket| bucket.checked_add(1)).ok_or_else(doubtful)
    }
}

#[cold]
fn doubtful() -> EvalError {
    EvalError::unsupported("a bucket that rounding decides")
}
