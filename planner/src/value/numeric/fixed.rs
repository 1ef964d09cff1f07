//! Exponential and logarithm in fixed point: integers over a power of two, with bits to spare.

use num_bigint::BigInt;
use num_traits::{One, Signed, Zero};

/// Bits for so many decimal digits, and enough more that all errors of the series together stay below the last of them.
pub(super) fn bits_for(digits: i64) -> u64 {
    const SPARE_BITS: u64 = 96;
    (digits.max(0) as u64) * 10 / 3 + SPARE_BITS
}

/// `numerator / denominator`.
pub(super) fn ratio(numerator: &BigInt, denominator: &BigInt, bits: u64) -> BigInt {
    (numerator << bits) / denominator
}

pub(super) fn multiply(a: &BigInt, b: &BigInt, bits: u64) -> BigInt {
    (a * b) >> bits
}

/// e to the power of x: the series for x over a power of two, squared as often.
pub(super) fn exp(x: &BigInt, bits: u64) -> BigInt {
    /// The series' argument is below one over two to this power.
    const SMALL: u64 = 8;
    let one = BigInt::one() << bits;
    if x.is_negative() {
        return (&one << bits) / exp(&-x, bits);
    }
    let halvings = SMALL + (x >> bits).bits();
    let small = x >> halvings;
    let (mut sum, mut term, mut n) = (one.clone(), one, 0u32);
    loop {
        n += 1;
        term = multiply(&term, &small, bits) / n;
        if term.is_zero() {
            break;
        }
        sum += &term;
    }
    for _ in 0..halvings {
        sum = multiply(&sum, &sum, bits);
    }
    sum
}

/// The natural logarithm of a positive number: of what is left near 1 when powers of two are taken out, by the series of
/// the inverse hyperbolic tangent.
pub(super) fn ln(x: &BigInt, bits: u64) -> BigInt {
    let one = BigInt::one() << bits;
    // x = near · 2^power with near between 3/4 and 3/2.
    let mut power = x.bits() as i64 - 1 - bits as i64;
    let mut near = shifted(x, -power);
    if &near * 2u32 > &one * 3u32 {
        power += 1;
        near = shifted(x, -power);
    }
    let z = ((&near - &one) << bits) / (&near + &one);
    let ln_near = inverse_tanh(&z, bits) * 2u32;
    if power == 0 {
        return ln_near;
    }
    let third = &one / 3u32;
    ln_near + inverse_tanh(&third, bits) * 2u32 * power
}

fn shifted(x: &BigInt, left: i64) -> BigInt {
    if left >= 0 { x << left as u64 } else { x >> left.unsigned_abs() }
}

/// z + z³/3 + z⁵/5 + …
fn inverse_tanh(z: &BigInt, bits: u64) -> BigInt {
    let square = multiply(z, z, bits);
    let (mut sum, mut power, mut n) = (z.clone(), z.clone(), 1u32);
    loop {
        power = multiply(&power, &square, bits);
        n += 2;
        let term = &power / n;
        // A negative power ends at -1, whose parts are zero.
        if term.is_zero() {
            break;
        }
        sum += term;
    }
    sum
}
