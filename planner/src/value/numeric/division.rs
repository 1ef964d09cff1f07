//! Quotient and remainder, with the display scale Postgres chooses.

use super::rounding::divide_round;
use super::{Numeric, View, big_pow10, digit_count, scale_up};
use crate::value::EvalError;
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive};

/// `NUMERIC_MIN_SIG_DIGITS`: significant digits a quotient has at least.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// `NUMERIC_MAX_DISPLAY_SCALE`.
const MAX_DISPLAY_SCALE: i64 = 1000;
/// `DEC_DIGITS`: decimal digits per stored digit.
const DEC_DIGITS: i64 = 4;

impl Numeric {
    /// `numeric_div`: rounded half away from zero at the scale of [`select_div_scale`]. Errors 22012, 22003.
    pub fn div(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        match (self.view(), other.view()) {
            (View::Small(a, sa), View::Small(b, sb)) => {
                if b == 0 {
                    return Err(EvalError::division_by_zero());
                }
                let scale = select_div_scale(leading_digit(a, sa), sa, leading_digit(b, sb), sb);
                let shift = scale as i32 + sb as i32 - sa as i32;
                if shift >= 0
                    && let Some(numerator) = scale_up(a, shift as u16)
                {
                    // i128::MIN / -1 is the only quotient that does not fit.
                    if numerator != i128::MIN {
                        return Ok(Numeric::new(divide_round(numerator, b), scale));
                    }
                }
                divide_big(BigInt::from(a), BigInt::from(b), shift, scale)
            }
            (View::NaN, _) | (_, View::NaN) => Ok(Numeric::NAN),
            (View::PosInf | View::NegInf, View::PosInf | View::NegInf) => Ok(Numeric::NAN),
            (View::PosInf | View::NegInf, _) => match self.signum() * other.signum() {
                0 => Err(EvalError::division_by_zero()),
                1 => Ok(Numeric::INFINITY),
                _ => Ok(Numeric::NEG_INFINITY),
            },
            (_, View::PosInf | View::NegInf) => Ok(Numeric::ZERO),
            _ => {
                let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) else {
                    unreachable!("specials were handled above")
                };
                if other.is_zero() {
                    return Err(EvalError::division_by_zero());
                }
                let scale = select_div_scale(leading_digit_big(&a, sa), sa, leading_digit_big(&b, sb), sb);
                divide_big(a, b, scale as i32 + sb as i32 - sa as i32, scale)
            }
        }
    }

    /// `numeric_div_trunc` (`div(numeric, numeric)`): integer quotient towards zero. Errors 22012, 22003.
    pub fn div_trunc(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        match (self.big(), other.big()) {
            (Some(_), Some(_)) => {
                if other.is_zero() {
                    return Err(EvalError::division_by_zero());
                }
                Numeric::checked_from_big(self.integer_quotient(other), 0)
            }
            // Infinities and NaN behave as in ordinary division.
            _ => self.div(other),
        }
    }

    /// `numeric_mod`: the remainder has the dividend's sign and the larger display scale. Error 22012.
    pub fn rem(&self, other: &Numeric) -> Result<Numeric, EvalError> {
        match (self.view(), other.view()) {
            (View::NaN, _) | (_, View::NaN) => Ok(Numeric::NAN),
            (View::PosInf | View::NegInf, _) => {
                if other.is_zero() {
                    Err(EvalError::division_by_zero())
                } else {
                    Ok(Numeric::NAN)
                }
            }
            (_, View::PosInf | View::NegInf) => Ok(self.clone()),
            _ if other.is_zero() => Err(EvalError::division_by_zero()),
            (View::Small(a, sa), View::Small(b, sb))
                if let scale = sa.max(sb)
                    && let (Some(a), Some(b)) = (scale_up(a, scale - sa), scale_up(b, scale - sb))
                    && b != -1 =>
            {
                Ok(Numeric::new(a % b, scale))
            }
            _ => {
                let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) else {
                    unreachable!("specials were handled above")
                };
                let scale = sa.max(sb);
                let remainder = (a * big_pow10(scale - sa)) % (b * big_pow10(scale - sb));
                Ok(Numeric::from_big(remainder, scale))
            }
        }
    }

    /// Quotient of finite values towards zero; `other` is not zero.
    fn integer_quotient(&self, other: &Numeric) -> BigInt {
        let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) else {
            unreachable!("the caller has finite values")
        };
        let scale = sa.max(sb);
        (a * big_pow10(scale - sa)) / (b * big_pow10(scale - sb))
    }
}

/// `a·10^shift / b`, half away from zero, as a numeric of that display scale.
fn divide_big(a: BigInt, b: BigInt, shift: i32, scale: u16) -> Result<Numeric, EvalError> {
    let (numerator, denominator) =
        if shift >= 0 { (a * big_pow10(shift as u16), b) } else { (a, b * big_pow10(-shift as u16)) };
    let negative = numerator.is_negative() != denominator.is_negative();
    let (numerator, denominator) = (numerator.abs(), denominator.abs());
    let quotient: BigInt = (numerator * 2u32 + &denominator) / (denominator * 2u32);
    Numeric::checked_from_big(if negative { -quotient } else { quotient }, scale)
}

/// `select_div_scale` in numeric.c: at least 16 significant digits and no fewer decimals than either operand.
/// The leading digits are (weight, value) of the first base-10000 digit.
fn select_div_scale(a: (i64, u32), sa: u16, b: (i64, u32), sb: u16) -> u16 {
    let mut weight = a.0 - b.0;
    if a.1 <= b.1 {
        weight -= 1;
    }
    (MIN_SIGNIFICANT_DIGITS - weight * DEC_DIGITS).max(sa as i64).max(sb as i64).clamp(0, MAX_DISPLAY_SCALE) as u16
}

/// Weight (power of 10000) and value of the first nonzero base-10000 digit; (0, 0) for zero.
#[inline]
fn leading_digit(m: i128, dscale: u16) -> (i64, u32) {
    if m == 0 {
        return (0, 0);
    }
    let magnitude = m.unsigned_abs();
    let digits = match u64::try_from(magnitude) {
        Ok(word) => word.ilog10(),
        Err(_) => magnitude.ilog10(),
    } as i64
        + 1;
    let weight = (digits - dscale as i64 - 1).div_euclid(DEC_DIGITS);
    let exponent = dscale as i64 + weight * DEC_DIGITS;
    let first =
        if exponent >= 0 { magnitude / 10u128.pow(exponent as u32) } else { magnitude * 10u128.pow(-exponent as u32) };
    (weight, first as u32)
}

pub(super) fn leading_digit_big(m: &BigInt, dscale: u16) -> (i64, u32) {
    if let Some(small) = m.to_i128() {
        return leading_digit(small, dscale);
    }
    let weight = (digit_count(m) as i64 - dscale as i64 - 1).div_euclid(DEC_DIGITS);
    let exponent = dscale as i64 + weight * DEC_DIGITS;
    // More than 38 digits: the exponent of the first of them is positive.
    let first = m.abs() / BigInt::from(10u32).pow(exponent as u32);
    (weight, first.to_u32().expect("one base-10000 digit"))
}

/// The scale Postgres gives a square root of a finite, non-negative value (`numeric_sqrt`).
pub(super) fn sqrt_scale(value: &Numeric) -> u16 {
    let (weight, _) = match value.big() {
        Some((m, s)) => leading_digit_big(&m, s),
        None => (0, 0),
    };
    // The result has a little over half the weight, so this gives at least 16 significant digits.
    let sweight = if weight >= 0 { (weight + 1) * DEC_DIGITS / 2 - 1 } else { 1 - (1 - weight * DEC_DIGITS) / 2 };
    (MIN_SIGNIFICANT_DIGITS - sweight).max(value.dscale() as i64).clamp(0, MAX_DISPLAY_SCALE) as u16
}
