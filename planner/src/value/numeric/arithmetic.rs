//! Sum, difference, product, sign.

use super::{MAX_DSCALE, Numeric, View, big_pow10, scale_up};
use crate::value::EvalError;

impl Numeric {
    /// `numeric_add`: the display scale is the larger of the two. Error 22003 beyond the format.
    #[inline]
    pub fn add(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (View::Small(a, sa), View::Small(b, sb)) = (self.view(), other.view()) {
            if sa == sb {
                if let Some(sum) = a.checked_add(b) {
                    return Ok(Numeric::new(sum, sa));
                }
            } else {
                let scale = sa.max(sb);
                if let (Some(a), Some(b)) = (scale_up(a, scale - sa), scale_up(b, scale - sb))
                    && let Some(sum) = a.checked_add(b)
                {
                    return Ok(Numeric::new(sum, scale));
                }
            }
        }
        self.add_slow(other)
    }

    #[cold]
    fn add_slow(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) {
            let scale = sa.max(sb);
            return Numeric::checked_from_big(a * big_pow10(scale - sa) + b * big_pow10(scale - sb), scale);
        }
        Ok(match (self.view(), other.view()) {
            (View::NaN, _) | (_, View::NaN) => Numeric::NAN,
            (View::PosInf, View::NegInf) | (View::NegInf, View::PosInf) => Numeric::NAN,
            (View::PosInf, _) | (_, View::PosInf) => Numeric::INFINITY,
            _ => Numeric::NEG_INFINITY,
        })
    }

    /// `numeric_sub`.
    #[inline]
    pub fn sub(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        self.add(&other.neg())
    }

    /// `numeric_mul`: the display scales add up, rounded at the format's limit. Error 22003 beyond the format.
    #[inline]
    pub fn mul(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (View::Small(a, sa), View::Small(b, sb)) = (self.view(), other.view())
            && sa + sb <= MAX_DSCALE
        {
            let product = match (i64::try_from(a), i64::try_from(b)) {
                (Ok(a), Ok(b)) => Some(a as i128 * b as i128),
                _ => a.checked_mul(b),
            };
            if let Some(product) = product {
                return Ok(Numeric::new(product, sa + sb));
            }
        }
        self.mul_slow(other)
    }

    #[cold]
    fn mul_slow(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        if let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) {
            let scale = sa + sb;
            let product = a * b;
            return if scale > MAX_DSCALE {
                Numeric::checked_from_big(super::rounding::shift_round(product, scale - MAX_DSCALE), MAX_DSCALE)
            } else {
                Numeric::checked_from_big(product, scale)
            };
        }
        if self.is_nan() || other.is_nan() {
            return Ok(Numeric::NAN);
        }
        // At least one infinity; times zero it is NaN.
        Ok(match self.signum() * other.signum() {
            0 => Numeric::NAN,
            1 => Numeric::INFINITY,
            _ => Numeric::NEG_INFINITY,
        })
    }

    /// `numeric_uminus`.
    #[inline]
    pub fn neg(&self) -> Numeric {
        match self.view() {
            View::Small(m, s) => match m.checked_neg() {
                Some(m) => Numeric::new(m, s),
                None => Numeric::from_big(-num_bigint::BigInt::from(m), s),
            },
            View::Big(m, s) => Numeric::from_big(-m, s),
            View::NaN => Numeric::NAN,
            View::PosInf => Numeric::NEG_INFINITY,
            View::NegInf => Numeric::INFINITY,
        }
    }

    /// `numeric_abs`.
    #[inline]
    pub fn abs(&self) -> Numeric {
        if self.signum() < 0 { self.neg() } else { self.clone() }
    }
}
