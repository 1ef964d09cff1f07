//! Arithmetic and bit operations on int2, int4 and int8 (int.c, int8.c). Mixed widths yield the wider type.

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// A result that may not fit.
trait Checked {
    fn checked(self) -> Result<Value, EvalError>;
}

impl Checked for Option<i16> {
    #[inline]
    fn checked(self) -> Result<Value, EvalError> {
        self.map(Int2).ok_or_else(|| EvalError::out_of_range("smallint out of range"))
    }
}

impl Checked for Option<i32> {
    #[inline]
    fn checked(self) -> Result<Value, EvalError> {
        self.map(Int4).ok_or_else(|| EvalError::out_of_range("integer out of range"))
    }
}

impl Checked for Option<i64> {
    #[inline]
    fn checked(self) -> Result<Value, EvalError> {
        self.map(Int8).ok_or_else(|| EvalError::out_of_range("bigint out of range"))
    }
}

/// Division by anything but zero; only the smallest integer by -1 does not fit.
macro_rules! quotient {
    ($a:expr, $b:expr) => {
        if $b == 0 { Err(EvalError::division_by_zero()) } else { $a.checked_div($b).checked() }
    };
}

/// The remainder has the dividend's sign; by -1 it is 0 for every dividend.
macro_rules! remainder {
    ($variant:ident, $a:expr, $b:expr) => {
        if $b == 0 { Err(EvalError::division_by_zero()) } else { Ok($variant($a.wrapping_rem($b))) }
    };
}

/// The greatest common divisor of magnitudes; none beyond `most`.
fn gcd(a: i128, b: i128, most: i128) -> Option<i128> {
    Some(num_integer::gcd(a, b)).filter(|divisor| *divisor <= most)
}

/// `int4lcm`, `int8lcm`: none beyond `most`.
fn lcm(a: i128, b: i128, most: i128) -> Option<i128> {
    if a == 0 || b == 0 {
        return Some(0);
    }
    let divisor = gcd(a, b, most)?;
    (a.abs() / divisor).checked_mul(b.abs()).filter(|multiple| *multiple <= most)
}

fn of_int4(result: Option<i128>) -> Result<Value, EvalError> {
    result.map(|v| Int4(v as i32)).ok_or_else(|| EvalError::out_of_range("integer out of range"))
}

fn of_int8(result: Option<i128>) -> Result<Value, EvalError> {
    result.map(|v| Int8(v as i64)).ok_or_else(|| EvalError::out_of_range("bigint out of range"))
}

strict_functions! {
    "int4gcd" (&Int4(a), &Int4(b)) => of_int4(gcd(a.into(), b.into(), i32::MAX.into()));
    "int8gcd" (&Int8(a), &Int8(b)) => of_int8(gcd(a.into(), b.into(), i64::MAX.into()));
    "int4lcm" (&Int4(a), &Int4(b)) => of_int4(lcm(a.into(), b.into(), i32::MAX.into()));
    "int8lcm" (&Int8(a), &Int8(b)) => of_int8(lcm(a.into(), b.into(), i64::MAX.into()));
    "int2pl" (&Int2(a), &Int2(b)) => a.checked_add(b).checked();
    "int2mi" (&Int2(a), &Int2(b)) => a.checked_sub(b).checked();
    "int2mul" (&Int2(a), &Int2(b)) => a.checked_mul(b).checked();
    "int2div" (&Int2(a), &Int2(b)) => quotient!(a, b);
    "int2mod" (&Int2(a), &Int2(b)) => remainder!(Int2, a, b);
    "int2um" (&Int2(a)) => a.checked_neg().checked();
    "int2up" (&Int2(a)) => Ok(Int2(a));
    "int2abs" (&Int2(a)) => a.checked_abs().checked();
    "int2and" (&Int2(a), &Int2(b)) => Ok(Int2(a & b));
    "int2or" (&Int2(a), &Int2(b)) => Ok(Int2(a | b));
    "int2xor" (&Int2(a), &Int2(b)) => Ok(Int2(a ^ b));
    // The processor takes the distance modulo the width of the register; an int2 is shifted in one of an int4.
    "int2shl" (&Int2(a), &Int4(by)) => Ok(Int2(i32::from(a).wrapping_shl(by as u32) as i16));
    "int2shr" (&Int2(a), &Int4(by)) => Ok(Int2(i32::from(a).wrapping_shr(by as u32) as i16));
    "int4shl" (&Int4(a), &Int4(by)) => Ok(Int4(a.wrapping_shl(by as u32)));
    "int4shr" (&Int4(a), &Int4(by)) => Ok(Int4(a.wrapping_shr(by as u32)));
    "int8shl" (&Int8(a), &Int4(by)) => Ok(Int8(a.wrapping_shl(by as u32)));
    "int8shr" (&Int8(a), &Int4(by)) => Ok(Int8(a.wrapping_shr(by as u32)));
    "int2not" (&Int2(a)) => Ok(Int2(!a));

    "int4pl" (&Int4(a), &Int4(b)) => a.checked_add(b).checked();
    "int4mi" (&Int4(a), &Int4(b)) => a.checked_sub(b).checked();
    "int4mul" (&Int4(a), &Int4(b)) => a.checked_mul(b).checked();
    "int4div" (&Int4(a), &Int4(b)) => quotient!(a, b);
    "int4mod" (&Int4(a), &Int4(b)) => remainder!(Int4, a, b);
    "int4um" (&Int4(a)) => a.checked_neg().checked();
    "int4up" (&Int4(a)) => Ok(Int4(a));
    "int4abs" (&Int4(a)) => a.checked_abs().checked();
    "int4and" (&Int4(a), &Int4(b)) => Ok(Int4(a & b));
    "int4or" (&Int4(a), &Int4(b)) => Ok(Int4(a | b));
    "int4xor" (&Int4(a), &Int4(b)) => Ok(Int4(a ^ b));
    "int4not" (&Int4(a)) => Ok(Int4(!a));

    "int8pl" (&Int8(a), &Int8(b)) => a.checked_add(b).checked();
    "int8mi" (&Int8(a), &Int8(b)) => a.checked_sub(b).checked();
    "int8mul" (&Int8(a), &Int8(b)) => a.checked_mul(b).checked();
    "int8div" (&Int8(a), &Int8(b)) => quotient!(a, b);
    "int8mod" (&Int8(a), &Int8(b)) => remainder!(Int8, a, b);
    "int8um" (&Int8(a)) => a.checked_neg().checked();
    "int8up" (&Int8(a)) => Ok(Int8(a));
    "int8abs" (&Int8(a)) => a.checked_abs().checked();
    "int8and" (&Int8(a), &Int8(b)) => Ok(Int8(a & b));
    "int8or" (&Int8(a), &Int8(b)) => Ok(Int8(a | b));
    "int8xor" (&Int8(a), &Int8(b)) => Ok(Int8(a ^ b));
    "int8not" (&Int8(a)) => Ok(Int8(!a));

    "int24pl" (&Int2(a), &Int4(b)) => i32::from(a).checked_add(b).checked();
    "int24mi" (&Int2(a), &Int4(b)) => i32::from(a).checked_sub(b).checked();
    "int24mul" (&Int2(a), &Int4(b)) => i32::from(a).checked_mul(b).checked();
    "int24div" (&Int2(a), &Int4(b)) => quotient!(i32::from(a), b);

    "int42pl" (&Int4(a), &Int2(b)) => a.checked_add(i32::from(b)).checked();
    "int42mi" (&Int4(a), &Int2(b)) => a.checked_sub(i32::from(b)).checked();
    "int42mul" (&Int4(a), &Int2(b)) => a.checked_mul(i32::from(b)).checked();
    "int42div" (&Int4(a), &Int2(b)) => quotient!(a, i32::from(b));

    "int28pl" (&Int2(a), &Int8(b)) => i64::from(a).checked_add(b).checked();
    "int28mi" (&Int2(a), &Int8(b)) => i64::from(a).checked_sub(b).checked();
    "int28mul" (&Int2(a), &Int8(b)) => i64::from(a).checked_mul(b).checked();
    "int28div" (&Int2(a), &Int8(b)) => quotient!(i64::from(a), b);

    "int82pl" (&Int8(a), &Int2(b)) => a.checked_add(i64::from(b)).checked();
    "int82mi" (&Int8(a), &Int2(b)) => a.checked_sub(i64::from(b)).checked();
    "int82mul" (&Int8(a), &Int2(b)) => a.checked_mul(i64::from(b)).checked();
    "int82div" (&Int8(a), &Int2(b)) => quotient!(a, i64::from(b));

    "int48pl" (&Int4(a), &Int8(b)) => i64::from(a).checked_add(b).checked();
    "int48mi" (&Int4(a), &Int8(b)) => i64::from(a).checked_sub(b).checked();
    "int48mul" (&Int4(a), &Int8(b)) => i64::from(a).checked_mul(b).checked();
    "int48div" (&Int4(a), &Int8(b)) => quotient!(i64::from(a), b);

    "int84pl" (&Int8(a), &Int4(b)) => a.checked_add(i64::from(b)).checked();
    "int84mi" (&Int8(a), &Int4(b)) => a.checked_sub(i64::from(b)).checked();
    "int84mul" (&Int8(a), &Int4(b)) => a.checked_mul(i64::from(b)).checked();
    "int84div" (&Int8(a), &Int4(b)) => quotient!(a, i64::from(b));
}
