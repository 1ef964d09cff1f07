//! Binary images: `numeric_recv` and `numeric_send` (base-10000 digits).

use super::{Numeric, View, big_pow10};
use num_bigint::BigInt;
use num_integer::Integer;
use num_traits::{Signed, Zero};

const SIGN_POSITIVE: u16 = 0x0000;
const SIGN_NEGATIVE: u16 = 0x4000;
const SIGN_NAN: u16 = 0xC000;
const SIGN_POSITIVE_INFINITY: u16 = 0xD000;
const SIGN_NEGATIVE_INFINITY: u16 = 0xF000;
/// `NBASE`.
const BASE: u32 = 10_000;

impl Numeric {
    /// Reads the image `numeric_send` writes. `None` for anything that is not such an image.
    pub fn from_binary(bytes: &[u8]) -> Option<Numeric> {
        let header: &[u8; 8] = bytes.first_chunk()?;
        let field = |i: usize| u16::from_be_bytes([header[2 * i], header[2 * i + 1]]);
        let (count, weight, sign, dscale) = (field(0) as usize, field(1) as i16 as i64, field(2), field(3));
        let digits = &bytes[8..];
        if digits.len() != 2 * count {
            return None;
        }
        match sign {
            SIGN_NAN => return Some(Numeric::NAN),
            SIGN_POSITIVE_INFINITY => return Some(Numeric::INFINITY),
            SIGN_NEGATIVE_INFINITY => return Some(Numeric::NEG_INFINITY),
            SIGN_POSITIVE | SIGN_NEGATIVE => {}
            _ => return None,
        }
        if dscale > super::MAX_DSCALE {
            return None;
        }
        let digit = |i: usize| u16::from_be_bytes([digits[2 * i], digits[2 * i + 1]]);
        if (0..count).any(|i| digit(i) as u32 >= BASE) {
            return None;
        }
        if count == 0 {
            return Some(Numeric::new(0, dscale));
        }
        // The digits are a whole number of units of 10^(4·(weight+1-count)).
        let exponent = 4 * (weight + 1 - count as i64) + dscale as i64;
        if weight >= 0 && 4 * (weight as u64 + 1) > super::MAX_INTEGER_DIGITS {
            return None;
        }
        // Nine digits are below 10^36; the shift below is checked.
        if count <= 9 {
            let mut mantissa = 0i128;
            for i in 0..count {
                mantissa = mantissa * BASE as i128 + digit(i) as i128;
            }
            let scaled = if exponent >= 0 {
                u16::try_from(exponent).ok().and_then(|digits| super::scale_up(mantissa, digits))
            } else {
                // Digits beyond the display scale are zeros in every stored value.
                super::POW10
                    .get(-exponent as usize)
                    .filter(|power| mantissa % **power == 0)
                    .map(|power| mantissa / power)
            };
            if let Some(m) = scaled {
                return Some(Numeric::new(if sign == SIGN_NEGATIVE { -m } else { m }, dscale));
            }
        }
        let mut mantissa = BigInt::zero();
        for i in 0..count {
            mantissa = mantissa * BASE + digit(i);
        }
        if exponent >= 0 {
            mantissa *= big_pow10(exponent as u32);
        } else {
            let (quotient, rest) = mantissa.div_rem(&big_pow10(-exponent as u32));
            if !rest.is_zero() {
                return None;
            }
            mantissa = quotient;
        }
        Some(Numeric::from_big(if sign == SIGN_NEGATIVE { -mantissa } else { mantissa }, dscale))
    }

    /// Appends the image `numeric_send` writes.
    pub fn to_binary(&self, out: &mut Vec<u8>) {
        // The sign field of a special value is its whole header; read as a scale it shows 0 or 32 (NUMERIC_DSCALE).
        let special = |sign: u16, out: &mut Vec<u8>| {
            out.extend_from_slice(&[0, 0, 0, 0]);
            out.extend_from_slice(&sign.to_be_bytes());
            out.extend_from_slice(&((sign & 0x1F80) >> 7).to_be_bytes());
        };
        match self.view() {
            View::NaN => special(SIGN_NAN, out),
            View::PosInf => special(SIGN_POSITIVE_INFINITY, out),
            View::NegInf => special(SIGN_NEGATIVE_INFINITY, out),
            View::Small(m, s) => {
                // Align the mantissa to whole base-10000 decimals; at most three more zeros.
                let decimals = s.div_ceil(4);
                match super::scale_up(m, decimals * 4 - s) {
                    Some(aligned) => {
                        let mut digits = smallvec::SmallVec::<[u16; 12]>::new();
                        let mut rest = aligned.unsigned_abs();
                        while rest > u64::MAX as u128 {
                            digits.push((rest % BASE as u128) as u16);
                            rest /= BASE as u128;
                        }
                        let mut rest = rest as u64;
                        while rest > 0 {
                            digits.push((rest % BASE as u64) as u16);
                            rest /= BASE as u64;
                        }
                        write_image(&digits, decimals, m < 0, s, out);
                    }
                    None => write_big(&BigInt::from(m), s, out),
                }
            }
            View::Big(m, s) => write_big(m, s, out),
        }
    }
}

fn write_big(m: &BigInt, dscale: u16, out: &mut Vec<u8>) {
    let decimals = dscale.div_ceil(4);
    let aligned = m.abs() * big_pow10(decimals * 4 - dscale);
    // Decimal text is converted in subquadratic time; its digits group by four.
    let text = aligned.to_string();
    let digits: Vec<u16> = text
        .as_bytes()
        .rchunks(4)
        .map(|group| group.iter().fold(0u16, |value, b| value * 10 + (b - b'0') as u16))
        .collect();
    write_image(&digits, decimals, m.is_negative(), dscale, out);
}

/// `digits` from the least significant; `decimals` of them are after the point.
fn write_image(digits: &[u16], decimals: u16, negative: bool, dscale: u16, out: &mut Vec<u8>) {
    let trailing = digits.iter().take_while(|d| **d == 0).count();
    let kept = &digits[trailing..];
    let weight = if kept.is_empty() { 0 } else { digits.len() as i64 - 1 - decimals as i64 };
    let weight = i16::try_from(weight).expect("integer digits are bounded when a numeric is made");
    let sign = if negative { SIGN_NEGATIVE } else { SIGN_POSITIVE };
    out.extend_from_slice(&(kept.len() as u16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&dscale.to_be_bytes());
    for digit in kept.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_back() {
        for text in [
            "0",
            "0.000",
            "1",
            "-1",
            "10000",
            "0.0001",
            "0.00001",
            "12345.678",
            "-99999999.99999",
            "1e60",
            "-1e-60",
            "1234567890123456789012345678901234567890.12345",
            "NaN",
            "Infinity",
            "-Infinity",
            "170141183460469231731687303715884105727",
            "-170141183460469231731687303715884105728",
        ] {
            let value = Numeric::parse(text).unwrap();
            let mut image = Vec::new();
            value.to_binary(&mut image);
            assert_eq!(Numeric::from_binary(&image), Some(value), "{text}");
        }
    }

    #[test]
    fn known_image() {
        let mut image = Vec::new();
        Numeric::parse("12345.678").unwrap().to_binary(&mut image);
        assert_eq!(image, [0, 3, 0, 1, 0, 0, 0, 3, 0, 1, 0x09, 0x29, 0x1a, 0x7c]);
    }

    #[test]
    fn garbage_is_refused() {
        assert_eq!(Numeric::from_binary(&[]), None);
        assert_eq!(Numeric::from_binary(&[0, 1, 0, 0, 0, 0, 0, 0]), None);
        assert_eq!(Numeric::from_binary(&[0, 1, 0, 0, 0, 0, 0, 0, 0x27, 0x10]), None);
    }
}
