//! NUMERIC: unlimited precision, Postgres' display scale and division rules (numeric.c), NaN and infinities.
//!
//! A finite value is `mantissa / 10^dscale`; the pair is its image. Mantissas that fit 128 bits are held in
//! place; others are big integers. All arithmetic is exact where Postgres' is.

mod arithmetic;
mod binary;
mod convert;
mod division;
mod fixed;
mod integral;
mod root;
mod rounding;
mod sum;
mod text;
mod transcendental;
mod typmod;
mod variance;

pub use sum::NumericSum;
pub use variance::{NumericSpread, Spread};

use super::EvalError;
use num_bigint::BigInt;
use num_traits::{Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::sync::Arc;

/// `NUMERIC_DSCALE_MAX`: digits after the decimal point that a stored numeric can have.
pub const MAX_DSCALE: u16 = 0x3FFF;
/// Digits before the decimal point: the weight of the first base-10000 digit is a 16-bit integer.
pub const MAX_INTEGER_DIGITS: u64 = 4 * (i16::MAX as u64 + 1);

/// A Postgres numeric. `Eq`/`Hash` are identity of images: 1.0 and 1.00 differ; [`Numeric::compare`] is SQL order.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Numeric(Repr);

/// The mantissa is split so that the whole is 8-byte aligned and a `Value` stays at 24 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Small { dscale: u16, high: i64, low: u64 },
    Big(Arc<Big>),
    NaN,
    PosInf,
    NegInf,
}

/// A finite value whose mantissa does not fit an `i128`.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Big {
    dscale: u16,
    mantissa: BigInt,
}

/// How a numeric looks to arithmetic.
enum View<'a> {
    Small(i128, u16),
    Big(&'a BigInt, u16),
    NaN,
    PosInf,
    NegInf,
}

impl Numeric {
    pub const NAN: Numeric = Numeric(Repr::NaN);
    pub const INFINITY: Numeric = Numeric(Repr::PosInf);
    pub const NEG_INFINITY: Numeric = Numeric(Repr::NegInf);
    pub const ZERO: Numeric = Numeric(Repr::Small { dscale: 0, high: 0, low: 0 });

    /// `mantissa / 10^dscale`, displayed with `dscale` digits after the point.
    #[inline]
    pub fn new(mantissa: i128, dscale: u16) -> Numeric {
        debug_assert!(dscale <= MAX_DSCALE, "display scale beyond Postgres' limit");
        Numeric(Repr::Small { dscale, high: (mantissa >> 64) as i64, low: mantissa as u64 })
    }

    /// As [`Numeric::new`], for any mantissa; the caller knows that it is within Postgres' format.
    fn from_big(mantissa: BigInt, dscale: u16) -> Numeric {
        match mantissa.to_i128() {
            Some(small) => Numeric::new(small, dscale),
            None => Numeric(Repr::Big(Arc::new(Big { dscale, mantissa }))),
        }
    }

    /// As [`Numeric::from_big`]; error 22003 when the value has more integer digits than the format holds.
    fn checked_from_big(mantissa: BigInt, dscale: u16) -> Result<Numeric, EvalError> {
        let value = Numeric::from_big(mantissa, dscale);
        if let View::Big(mantissa, dscale) = value.view()
            && digit_count(mantissa) > MAX_INTEGER_DIGITS + dscale as u64
        {
            return Err(overflow());
        }
        Ok(value)
    }

    #[inline]
    fn view(&self) -> View<'_> {
        match &self.0 {
            Repr::Small { dscale, high, low } => View::Small(((*high as i128) << 64) | *low as i128, *dscale),
            Repr::Big(big) => View::Big(&big.mantissa, big.dscale),
            Repr::NaN => View::NaN,
            Repr::PosInf => View::PosInf,
            Repr::NegInf => View::NegInf,
        }
    }

    /// The finite value as a big integer over `10^dscale`; `None` for NaN and infinities.
    fn big(&self) -> Option<(BigInt, u16)> {
        match self.view() {
            View::Small(m, s) => Some((BigInt::from(m), s)),
            View::Big(m, s) => Some((m.clone(), s)),
            _ => None,
        }
    }

    /// Mantissa and display scale of a finite value whose mantissa fits.
    #[inline]
    pub fn mantissa(&self) -> Option<(i128, u16)> {
        if let View::Small(mantissa, dscale) = self.view() { Some((mantissa, dscale)) } else { None }
    }

    #[inline]
    pub fn is_nan(&self) -> bool {
        matches!(self.0, Repr::NaN)
    }

    #[inline]
    pub fn is_finite(&self) -> bool {
        matches!(self.0, Repr::Small { .. } | Repr::Big(_))
    }

    #[inline]
    pub fn is_zero(&self) -> bool {
        matches!(self.0, Repr::Small { high: 0, low: 0, .. })
    }

    /// Digits shown after the decimal point; 0 for NaN and infinities.
    #[inline]
    pub fn dscale(&self) -> u16 {
        match &self.0 {
            Repr::Small { dscale, .. } => *dscale,
            Repr::Big(big) => big.dscale,
            _ => 0,
        }
    }

    /// -1, 0 or 1; infinities have their sign, NaN has 0.
    pub fn signum(&self) -> i32 {
        match self.view() {
            View::Small(m, _) => m.signum() as i32,
            View::Big(m, _) => {
                if m.is_negative() {
                    -1
                } else {
                    1
                }
            }
            View::NaN => 0,
            View::PosInf => 1,
            View::NegInf => -1,
        }
    }

    /// Whether no trailing zero could be dropped from the display.
    #[inline]
    pub fn is_canonical(&self) -> bool {
        match self.view() {
            View::Small(_, 0) | View::Big(_, 0) => true,
            View::Small(m, _) => m % 10 != 0,
            View::Big(m, _) => !(m % 10u32).is_zero(),
            _ => true,
        }
    }

    /// The equal value with the smallest display scale.
    pub fn canonical(&self) -> Numeric {
        match self.view() {
            View::Small(0, _) => Numeric::ZERO,
            View::Small(mut m, mut s) => {
                while s > 0 {
                    // The common mantissa fits a machine word, whose division is much cheaper.
                    if let Ok(word) = i64::try_from(m) {
                        let mut word = word;
                        while s > 0 && word % 10 == 0 {
                            word /= 10;
                            s -= 1;
                        }
                        return Numeric::new(word as i128, s);
                    }
                    if m % 10 != 0 {
                        break;
                    }
                    m /= 10;
                    s -= 1;
                }
                Numeric::new(m, s)
            }
            View::Big(m, s) => {
                let mut m = m.clone();
                let mut s = s;
                while s > 0 && (&m % 10u32).is_zero() {
                    m /= 10u32;
                    s -= 1;
                }
                Numeric::from_big(m, s)
            }
            _ => self.clone(),
        }
    }

    pub(super) fn heap_size(&self) -> usize {
        match &self.0 {
            Repr::Big(big) => 16 + size_of::<Big>() + (big.mantissa.bits() as usize).div_ceil(8),
            _ => 0,
        }
    }
}

impl Numeric {
    /// `numeric_cmp`: by value, infinities outermost, NaN greatest. 1.0 and 1.00 compare `Equal` although
    /// they are two images.
    #[inline]
    pub fn compare(&self, other: &Numeric) -> Ordering {
        match (self.view(), other.view()) {
            (View::Small(a, sa), View::Small(b, sb)) => {
                if sa == sb {
                    return a.cmp(&b);
                }
                let (scaled_a, scaled_b) =
                    if sa < sb { (scale_up(a, sb - sa), Some(b)) } else { (Some(a), scale_up(b, sa - sb)) };
                match (scaled_a, scaled_b) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    // The side that overflowed when scaled has the greater magnitude.
                    (None, _) => {
                        if a < 0 {
                            Ordering::Less
                        } else {
                            Ordering::Greater
                        }
                    }
                    (_, None) => {
                        if b < 0 {
                            Ordering::Greater
                        } else {
                            Ordering::Less
                        }
                    }
                }
            }
            (View::NaN, View::NaN) => Ordering::Equal,
            (View::NaN, _) => Ordering::Greater,
            (_, View::NaN) => Ordering::Less,
            (View::PosInf, View::PosInf) | (View::NegInf, View::NegInf) => Ordering::Equal,
            (View::PosInf, _) | (_, View::NegInf) => Ordering::Greater,
            (View::NegInf, _) | (_, View::PosInf) => Ordering::Less,
            _ => {
                let (Some((a, sa)), Some((b, sb))) = (self.big(), other.big()) else {
                    unreachable!("specials were handled above")
                };
                let scale = sa.max(sb);
                (a * big_pow10(scale - sa)).cmp(&(b * big_pow10(scale - sb)))
            }
        }
    }
}

impl std::fmt::Debug for Numeric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// 22003, as `make_result` in numeric.c raises it.
#[cold]
fn overflow() -> EvalError {
    EvalError::out_of_range("value overflows numeric format")
}

/// Powers of ten that fit.
const POW10: [i128; 39] = {
    let mut table = [1i128; 39];
    let mut i = 1;
    while i < 39 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// `m * 10^digits`, if it fits.
#[inline]
fn scale_up(m: i128, digits: u16) -> Option<i128> {
    match POW10.get(digits as usize) {
        Some(power) => {
            if let (Ok(a), Ok(b)) = (i64::try_from(m), i64::try_from(*power)) {
                return Some(a as i128 * b as i128);
            }
            m.checked_mul(*power)
        }
        None => (m == 0).then_some(0),
    }
}

fn big_pow10(digits: impl Into<u32>) -> BigInt {
    BigInt::from(10u32).pow(digits.into())
}

/// Decimal digits of a magnitude; 0 has none.
fn digit_count(m: &BigInt) -> u64 {
    if m.is_zero() {
        return 0;
    }
    // log10(2) as a fraction gives an estimate that is at most one too small for the sizes of the format.
    let estimate = ((m.bits() - 1) as f64 * std::f64::consts::LOG10_2) as u64;
    let power = BigInt::from(10u32).pow(estimate as u32);
    let magnitude = m.abs();
    if magnitude < power {
        estimate
    } else if magnitude < &power * 10u32 {
        estimate + 1
    } else {
        estimate + 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn n(text: &str) -> Numeric {
        Numeric::parse(text).unwrap()
    }

    #[test]
    fn images_and_equality() {
        assert_ne!(n("1.0"), n("1.00"));
        assert_eq!(n("1.0").canonical(), n("1.000").canonical());
        assert_eq!(n("100").canonical(), n("100"));
        assert_eq!(n("0.000").canonical(), n("0"));
        assert_eq!(n("1.0").compare(&n("1.00")), Ordering::Equal);
    }

    #[test]
    fn order_across_scales_and_sizes() {
        let sorted =
            ["-Infinity", "-1e60", "-2.5", "-2.49999", "0.00", "1e-20", "1", "1.5", "1e40", "1e60", "Infinity", "NaN"];
        for (i, a) in sorted.iter().enumerate() {
            for (j, b) in sorted.iter().enumerate() {
                assert_eq!(n(a).compare(&n(b)), i.cmp(&j), "{a} against {b}");
            }
        }
    }

    #[test]
    fn digit_counts() {
        for digits in [1u32, 17, 38, 39, 40, 1000, 4000] {
            let power = BigInt::from(10u32).pow(digits);
            assert_eq!(digit_count(&power), digits as u64 + 1);
            assert_eq!(digit_count(&(power - 1)), digits as u64);
        }
    }
}
