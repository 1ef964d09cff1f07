//! exp, ln, log and power with the display scales that numeric.c chooses.
//!
//! Postgres sums series with eight digits more than it shows. Which of the truncated digits it drops differs between
//! versions; that it then rounds to the nearest does not. So the exact value is rounded, and one that lies so near the
//! middle of two neighbours that a truncated series might be on the other side is left to Postgres.

use super::division::leading_digit_big;
use super::fixed::{bits_for, exp, ln, multiply, ratio};
use super::{Numeric, big_pow10, digit_count};
use crate::value::EvalError;
use num_bigint::BigInt;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::f64::consts::{LN_10, LOG10_E};

/// `NUMERIC_MIN_SIG_DIGITS`.
const MIN_SIGNIFICANT_DIGITS: i64 = 16;
/// `NUMERIC_MAX_DISPLAY_SCALE`.
const MAX_DISPLAY_SCALE: i64 = 1000;
/// `DEC_DIGITS`.
const DEC_DIGITS: i64 = 4;
/// Digits of a result, beyond which it is left to Postgres.
const MOST_DIGITS: i64 = 700;
/// Digits beyond those that are shown.
const SPARE_DIGITS: i64 = 12;
/// One part of a last digit: so near its middle Postgres' series decides how it is rounded.
const DOUBTFUL: u32 = 10_000;
/// Estimates in floating point that are so near an integer may be truncated to either side of it.
const NEAR_INTEGER: f64 = 1e-6;

#[cold]
fn refused() -> EvalError {
    EvalError::unsupported("a power or logarithm whose last digit is in doubt, or too many")
}

/// `(int) estimate`, where it is certain.
fn truncated(estimate: f64) -> Result<i64, EvalError> {
    if !estimate.is_finite()
        || (estimate - estimate.round()).abs() < NEAR_INTEGER * estimate.abs().max(1.0) && estimate.round() != 0.0
    {
        return Err(refused());
    }
    Ok(estimate as i64)
}

/// At least 16 digits, no fewer decimals than the arguments have.
fn scale_for(weight: i64, scales: &[u16]) -> i64 {
    let given = scales.iter().map(|scale| i64::from(*scale)).max().unwrap_or(0);
    (MIN_SIGNIFICANT_DIGITS - weight).max(given).clamp(0, MAX_DISPLAY_SCALE)
}

/// A fixed-point number with that many decimals.
fn rounded(value: &BigInt, bits: u64, scale: i64) -> Result<Numeric, EvalError> {
    let scaled = value.abs() * big_pow10(scale as u32);
    let one = BigInt::one() << bits;
    let (whole, rest) = (&scaled >> bits, &scaled & (&one - 1u32));
    let half = &one >> 1u32;
    if (&rest - &half).abs() * DOUBTFUL < one {
        return Err(refused());
    }
    let magnitude = if rest > half { whole + 1u32 } else { whole };
    Numeric::checked_from_big(if value.is_negative() { -magnitude } else { magnitude }, scale as u16)
}

/// Exponent of the first decimal digit.
fn decimal_exponent(mantissa: &BigInt, scale: u16) -> i64 {
    digit_count(mantissa) as i64 - i64::from(scale) - 1
}

/// `numericvar_to_double_no_overflow`.
fn double(value: &Numeric) -> f64 {
    value.to_string().parse().unwrap_or(f64::NAN)
}

/// `estimate_ln_dweight`: about the decimal exponent of ln(value).
fn ln_weight(value: &Numeric) -> Result<i64, EvalError> {
    let Some((mantissa, scale)) = value.big().filter(|(mantissa, _)| mantissa.is_positive()) else { return Ok(0) };
    let power = big_pow10(scale);
    if &mantissa * 10u32 >= &power * 9u32 && &mantissa * 10u32 <= &power * 11u32 {
        let distance = mantissa - power;
        return Ok(if distance.is_zero() { 0 } else { decimal_exponent(&distance, scale) });
    }
    let (weight, first) = leading_digit_big(&mantissa, scale);
    // The second digit of base 10000.
    let below = i64::from(scale) + (weight - 1) * DEC_DIGITS;
    let digits = if below >= 0 { &mantissa / big_pow10(below as u32) } else { &mantissa * big_pow10(-below as u32) };
    debug_assert_eq!((&digits / 10_000u32).to_u32(), Some(first));
    let digits = digits.to_f64().unwrap_or(f64::NAN);
    truncated((digits.ln() + ((weight - 1) * DEC_DIGITS) as f64 * LN_10).abs().log10())
}

#[cold]
fn no_logarithm(sign: i32) -> EvalError {
    let of = if sign == 0 { "zero" } else { "a negative number" };
    EvalError::new("2201E", format!("cannot take logarithm of {of}"))
}

/// ln of a positive number in fixed point.
fn fixed_ln(value: &Numeric, bits: u64) -> Option<BigInt> {
    let (mantissa, scale) = value.big()?;
    Some(ln(&ratio(&mantissa, &big_pow10(scale), bits), bits))
}

/// Bits that a number's own digits need in fixed point, so that its relative error is as small as its absolute one.
fn extra_bits(value: &Numeric) -> u64 {
    value.big().map_or(0, |(mantissa, scale)| decimal_exponent(&mantissa, scale).unsigned_abs() * 4 + mantissa.bits())
}

impl Numeric {
    /// `numeric_exp`.
    pub fn exp(&self) -> Result<Numeric, EvalError> {
        let Some((mantissa, dscale)) = self.big() else {
            return Ok(if self.signum() < 0 { Numeric::ZERO } else { self.clone() });
        };
        let weight = truncated(double(self) * LOG10_E)?;
        let scale = scale_for(weight, &[dscale]);
        if weight.abs() + scale > MOST_DIGITS {
            return Err(refused());
        }
        let bits = bits_for(weight.abs() + scale + SPARE_DIGITS);
        rounded(&exp(&ratio(&mantissa, &big_pow10(dscale), bits), bits), bits, scale)
    }

    /// `numeric_ln`. Error 2201E for zero and negatives.
    pub fn ln(&self) -> Result<Numeric, EvalError> {
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.signum() <= 0 {
            return Err(no_logarithm(self.signum()));
        }
        if !self.is_finite() {
            return Ok(Numeric::INFINITY);
        }
        let scale = scale_for(ln_weight(self)?, &[self.dscale()]);
        if scale > MOST_DIGITS {
            return Err(refused());
        }
        let bits = bits_for(scale + SPARE_DIGITS) + extra_bits(self);
        let value = fixed_ln(self, bits).ok_or_else(refused)?;
        rounded(&value, bits, scale)
    }

    /// `numeric_log`: of `self` to the base. Errors 2201E, 22012.
    pub fn log(&self, base: &Numeric) -> Result<Numeric, EvalError> {
        if self.is_nan() || base.is_nan() {
            return Ok(Numeric::NAN);
        }
        if !self.is_finite() || !base.is_finite() {
            if self.signum() < 0 || base.signum() < 0 {
                return Err(no_logarithm(-1));
            }
            if self.signum() == 0 || base.signum() == 0 {
                return Err(no_logarithm(0));
            }
            return Ok(match (base.is_finite(), self.is_finite()) {
                (false, false) => Numeric::NAN,
                (false, true) => Numeric::ZERO,
                _ => Numeric::INFINITY,
            });
        }
        // The base's logarithm is taken first.
        for operand in [base, self] {
            if operand.signum() <= 0 {
                return Err(no_logarithm(operand.signum()));
            }
        }
        let (of_base, of_self) = (ln_weight(base)?, ln_weight(self)?);
        let scale = scale_for(of_self - of_base, &[base.dscale(), self.dscale()]);
        if scale + of_base.abs() + of_self.abs() > MOST_DIGITS {
            return Err(refused());
        }
        let digits = scale + 2 * (of_base.abs() + of_self.abs()) + SPARE_DIGITS;
        let bits = bits_for(digits) + extra_bits(base) + extra_bits(self);
        let (Some(of_base), Some(of_self)) = (fixed_ln(base, bits), fixed_ln(self, bits)) else {
            return Err(refused());
        };
        if base.compare(&Numeric::from(1i64)) == Ordering::Equal {
            return Err(EvalError::division_by_zero());
        }
        rounded(&ratio(&of_self, &of_base, bits), bits, scale)
    }

    /// `numeric_power`. From 16 on the scale of an integer power follows its size (`by_weight`), before it did not.
    pub fn power(&self, exponent: &Numeric, by_weight: bool) -> Result<Numeric, EvalError> {
        let (Some((mantissa, dscale)), Some((power, power_scale))) = (self.big(), exponent.big()) else {
            return self.special_power(exponent);
        };
        if self.is_zero() && exponent.signum() < 0 {
            return Err(EvalError::new("2201F", "zero raised to a negative power is undefined"));
        }
        if exponent.is_integer() {
            let power = (power / big_pow10(power_scale)).to_i32().ok_or_else(refused)?;
            return self.integer_power(power, power_scale, by_weight);
        }
        if self.is_zero() {
            return Ok(Numeric::new(0, MIN_SIGNIFICANT_DIGITS as u16));
        }
        if self.signum() < 0 {
            let message = "a negative number raised to a non-integer power yields a complex result";
            return Err(EvalError::new("2201F", message));
        }
        let estimate = double(self).ln() * double(exponent) * LOG10_E;
        let weight = truncated(estimate)?;
        let scale = scale_for(weight, &[dscale, power_scale]);
        if weight.abs() + scale > MOST_DIGITS {
            return Err(refused());
        }
        let bits = bits_for(weight.abs() + scale + SPARE_DIGITS) + extra_bits(self) + extra_bits(exponent);
        let base = ln(&ratio(&mantissa, &big_pow10(dscale), bits), bits);
        let exponent = ratio(&power, &big_pow10(power_scale), bits);
        rounded(&exp(&multiply(&base, &exponent, bits), bits), bits, scale)
    }

    /// `power_var_int`.
    fn integer_power(&self, power: i32, power_scale: u16, by_weight: bool) -> Result<Numeric, EvalError> {
        let Some((mantissa, dscale)) = self.big() else { return Err(refused()) };
        let estimate = if mantissa.is_zero() { 0.0 } else { self.power_weight(&mantissa, dscale, power)? };
        let scale = match by_weight {
            true => scale_for(truncated_power(estimate, &mantissa)?, &[dscale, power_scale]),
            false => scale_for(0, &[dscale]),
        };
        let fits = scale + estimate.abs() as i64 <= MOST_DIGITS;
        match power {
            0 => return Numeric::checked_from_big(big_pow10(scale as u32), scale as u16),
            1 => return Ok(self.round(scale as i32)),
            _ if mantissa.is_zero() => return Ok(Numeric::new(0, scale as u16)),
            _ if !fits => return Err(refused()),
            _ => {}
        }
        let bits = bits_for(scale + estimate.abs() as i64 + SPARE_DIGITS) + extra_bits(self);
        // A short power is had exactly.
        const SHORT: u64 = 20_000;
        let count = power.unsigned_abs();
        let value = if mantissa.bits() * u64::from(count) <= SHORT {
            let (numerator, denominator) = (mantissa.pow(count), big_pow10(u32::from(dscale) * count));
            if power > 0 { ratio(&numerator, &denominator, bits) } else { ratio(&denominator, &numerator, bits) }
        } else {
            let bits_more = bits + 64;
            let base = ln(&ratio(&mantissa.abs(), &big_pow10(dscale), bits_more), bits_more);
            let magnitude = exp(&(base * power), bits_more) >> 64u32;
            if mantissa.is_negative() && power % 2 != 0 { -magnitude } else { magnitude }
        };
        rounded(&value, bits, scale)
    }

    /// About the decimal exponent of the power, as `power_var_int` reckons it from the first digits.
    fn power_weight(&self, mantissa: &BigInt, dscale: u16, power: i32) -> Result<f64, EvalError> {
        let digits = mantissa.abs();
        let exponent = decimal_exponent(&digits, dscale);
        let fraction = Numeric::from_big(digits.clone(), (digit_count(&digits) - 1).min(u16::MAX.into()) as u16);
        let log = if is_power_of_ten(&digits) { 0.0 } else { double(&fraction).log10() };
        let estimate = f64::from(power) * (log + exponent as f64);
        if estimate.is_finite() && estimate.abs() < 1e6 { Ok(estimate) } else { Err(refused()) }
    }

    /// NaN and infinities, by the rules of POSIX.
    fn special_power(&self, exponent: &Numeric) -> Result<Numeric, EvalError> {
        let one = Numeric::from(1i64);
        let is = |value: &Numeric, other: &Numeric| value.is_finite() && value.compare(other) == Ordering::Equal;
        if self.is_nan() {
            return Ok(if exponent.is_zero() { one } else { Numeric::NAN });
        }
        if exponent.is_nan() {
            return Ok(if is(self, &one) { one } else { Numeric::NAN });
        }
        let (sign, direction) = (self.signum(), exponent.signum());
        if sign == 0 && direction < 0 {
            return Err(EvalError::new("2201F", "zero raised to a negative power is undefined"));
        }
        if sign < 0 && exponent.is_finite() && !exponent.is_integer() {
            let message = "a negative number raised to a non-integer power yields a complex result";
            return Err(EvalError::new("2201F", message));
        }
        if is(self, &one) || direction == 0 {
            return Ok(one);
        }
        if sign == 0 {
            return Ok(Numeric::ZERO);
        }
        if !exponent.is_finite() {
            if is(self, &Numeric::from(-1i64)) {
                return Ok(one);
            }
            let grows = !self.is_finite() || self.abs().compare(&one) == Ordering::Greater;
            return Ok(if grows == (direction > 0) { Numeric::INFINITY } else { Numeric::ZERO });
        }
        if direction < 0 {
            return Ok(Numeric::ZERO);
        }
        let is_odd = exponent.big().is_some_and(|(power, scale)| (power / big_pow10(scale)).bit(0));
        Ok(if sign < 0 && is_odd { Numeric::NEG_INFINITY } else { Numeric::INFINITY })
    }
}

/// `(int) f` of a power's weight: certain where it is far from integers, or exact because the base is a power of ten.
fn truncated_power(estimate: f64, mantissa: &BigInt) -> Result<i64, EvalError> {
    if is_power_of_ten(&mantissa.abs()) { Ok(estimate as i64) } else { truncated(estimate) }
}

fn is_power_of_ten(digits: &BigInt) -> bool {
    !digits.is_zero() && *digits == big_pow10((digit_count(digits) - 1) as u32)
}
