//! Rounding: half away from zero (`round_var`), towards zero (`trunc_var`), up and down.

use super::{Numeric, POW10, View, big_pow10};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, Zero};

/// `m / 10^digits`, half away from zero.
pub(super) fn shift_round(m: BigInt, digits: u16) -> BigInt {
    let power = big_pow10(digits);
    let half = &power / 2u32;
    let negative = m.is_negative();
    let quotient = (m.abs() + half) / power;
    if negative { -quotient } else { quotient }
}

/// `numerator / denominator`, half away from zero.
#[inline]
pub(super) fn divide_round(numerator: i128, denominator: i128) -> i128 {
    if let (Ok(n), Ok(d)) = (i64::try_from(numerator), i64::try_from(denominator))
        && n != i64::MIN
    {
        let (quotient, remainder) = (n / d, n % d);
        let up = remainder.unsigned_abs() >= d.unsigned_abs() - remainder.unsigned_abs();
        let direction = if (n < 0) == (d < 0) { 1 } else { -1 };
        return quotient as i128 + if up { direction } else { 0 };
    }
    let (quotient, remainder) = (numerator / denominator, numerator % denominator);
    let up = remainder.unsigned_abs() >= denominator.unsigned_abs() - remainder.unsigned_abs();
    let direction = if (numerator < 0) == (denominator < 0) { 1 } else { -1 };
    quotient + if up { direction } else { 0 }
}

impl Numeric {
    /// `round(numeric, int)`: to `scale` digits after the point, half away from zero; a negative scale rounds
    /// before the point. NaN and infinities stay. `scale` must be within ±16383.
    #[inline]
    pub fn round(&self, scale: i32) -> Numeric {
        match self.view() {
            View::Small(m, s) if scale >= 0 && scale <= s as i32 => {
                let drop = (s as i32 - scale) as usize;
                if drop == 0 {
                    return self.clone();
                }
                match POW10.get(drop) {
                    Some(power) => Numeric::new(divide_round(m, *power), scale as u16),
                    // |m| < 1.8e38 = 0.18 of the next power of ten.
                    None => Numeric::new(0, scale as u16),
                }
            }
            View::Small(..) | View::Big(..) => self.rescale(scale, shift_round),
            _ => self.clone(),
        }
    }

    /// `trunc(numeric, int)`: as [`Numeric::round`], towards zero.
    pub fn trunc(&self, scale: i32) -> Numeric {
        match self.view() {
            View::Small(m, s) if scale >= 0 && scale <= s as i32 => {
                let kept = POW10.get((s as i32 - scale) as usize).map_or(0, |power| m / power);
                Numeric::new(kept, scale as u16)
            }
            View::Small(..) | View::Big(..) => self.rescale(scale, |m, digits| m / big_pow10(digits)),
            _ => self.clone(),
        }
    }

    fn rescale(&self, scale: i32, shorten: impl Fn(BigInt, u16) -> BigInt) -> Numeric {
        let Some((mantissa, dscale)) = self.big() else { return self.clone() };
        if scale >= dscale as i32 {
            return Numeric::from_big(mantissa * big_pow10((scale - dscale as i32) as u16), scale as u16);
        }
        let kept = shorten(mantissa, (dscale as i32 - scale) as u16);
        if scale >= 0 {
            Numeric::from_big(kept, scale as u16)
        } else {
            Numeric::from_big(kept * big_pow10(-scale as u16), 0)
        }
    }

    /// `numeric_ceil`.
    pub fn ceil(&self) -> Numeric {
        self.to_integer(|m, power| m.div_ceil(power))
    }

    /// `numeric_floor`.
    pub fn floor(&self) -> Numeric {
        self.to_integer(|m, power| m.div_floor(power))
    }

    fn to_integer(&self, divide: impl Fn(&BigInt, &BigInt) -> BigInt) -> Numeric {
        match self.big() {
            Some((mantissa, dscale)) => Numeric::from_big(divide(&mantissa, &big_pow10(dscale)), 0),
            None => self.clone(),
        }
    }

    /// `numeric_min_scale`: digits after the point that are needed to show the value exactly.
    pub fn min_scale(&self) -> Option<u16> {
        self.is_finite().then(|| self.canonical().dscale())
    }

    /// Whether the finite value has no fraction.
    pub fn is_integer(&self) -> bool {
        match self.big() {
            Some((mantissa, dscale)) => (mantissa % big_pow10(dscale)).is_zero(),
            None => false,
        }
    }
}
