//! Floating point operators and functions (float.c). Only operations that IEEE 754 defines to the last bit;
//! transcendental ones depend on the server's C library.

use super::define::strict_functions;
use crate::value::EvalError;
use crate::value::Value::*;

#[cold]
fn overflow() -> EvalError {
    EvalError::out_of_range("value out of range: overflow")
}

#[cold]
fn underflow() -> EvalError {
    EvalError::out_of_range("value out of range: underflow")
}

/// Which bits come of two NaNs is up to the order that a compiler has put the operands in.
#[cold]
fn of_two_nans() -> EvalError {
    EvalError::unsupported("an operation on two NaNs of different bits")
}

/// The checks of float.h, for both widths.
macro_rules! checked_arithmetic {
    ($float:ty, $checked:ident, $add:ident, $sub:ident, $mul:ident, $div:ident) => {
        /// What `a` and `b` came to, unless its bits are not settled, or it is infinite and `may` not be.
        #[inline]
        fn $checked(result: $float, a: $float, b: $float, may: bool) -> Result<$float, EvalError> {
            if result.is_nan() && a.is_nan() && b.is_nan() && a.to_bits() != b.to_bits() {
                Err(of_two_nans())
            } else if result.is_infinite() && !may {
                Err(overflow())
            } else {
                Ok(result)
            }
        }

        #[inline]
        fn $add(a: $float, b: $float) -> Result<$float, EvalError> {
            $checked(a + b, a, b, a.is_infinite() || b.is_infinite())
        }

        #[inline]
        fn $sub(a: $float, b: $float) -> Result<$float, EvalError> {
            $checked(a - b, a, b, a.is_infinite() || b.is_infinite())
        }

        #[inline]
        fn $mul(a: $float, b: $float) -> Result<$float, EvalError> {
            let result = $checked(a * b, a, b, a.is_infinite() || b.is_infinite())?;
            if result == 0.0 && a != 0.0 && b != 0.0 { Err(underflow()) } else { Ok(result) }
        }

        #[inline]
        fn $div(a: $float, b: $float) -> Result<$float, EvalError> {
            if b == 0.0 && !a.is_nan() {
                return Err(EvalError::division_by_zero());
            }
            let result = $checked(a / b, a, b, a.is_infinite())?;
            if result == 0.0 && a != 0.0 && !b.is_infinite() { Err(underflow()) } else { Ok(result) }
        }
    };
}

checked_arithmetic!(f32, checked4, add4, sub4, mul4, div4);
checked_arithmetic!(f64, checked8, add8, sub8, mul8, div8);

fn square_root(a: f64) -> Result<f64, EvalError> {
    if a < 0.0 { Err(EvalError::new("2201F", "cannot take square root of a negative number")) } else { Ok(a.sqrt()) }
}

/// As `float.c` writes it.
#[allow(clippy::excessive_precision)]
const RADIANS_PER_DEGREE: f64 = 0.0174532925199432957692;

strict_functions! {
    "float4pl" (&Float4(a), &Float4(b)) => add4(a, b).map(Float4);
    "float4mi" (&Float4(a), &Float4(b)) => sub4(a, b).map(Float4);
    "float4mul" (&Float4(a), &Float4(b)) => mul4(a, b).map(Float4);
    "float4div" (&Float4(a), &Float4(b)) => div4(a, b).map(Float4);
    "float8pl" (&Float8(a), &Float8(b)) => add8(a, b).map(Float8);
    "float8mi" (&Float8(a), &Float8(b)) => sub8(a, b).map(Float8);
    "float8mul" (&Float8(a), &Float8(b)) => mul8(a, b).map(Float8);
    "float8div" (&Float8(a), &Float8(b)) => div8(a, b).map(Float8);
    "float48pl" (&Float4(a), &Float8(b)) => add8(a as f64, b).map(Float8);
    "float48mi" (&Float4(a), &Float8(b)) => sub8(a as f64, b).map(Float8);
    "float48mul" (&Float4(a), &Float8(b)) => mul8(a as f64, b).map(Float8);
    "float48div" (&Float4(a), &Float8(b)) => div8(a as f64, b).map(Float8);
    "float84pl" (&Float8(a), &Float4(b)) => add8(a, b as f64).map(Float8);
    "float84mi" (&Float8(a), &Float4(b)) => sub8(a, b as f64).map(Float8);
    "float84mul" (&Float8(a), &Float4(b)) => mul8(a, b as f64).map(Float8);
    "float84div" (&Float8(a), &Float4(b)) => div8(a, b as f64).map(Float8);

    "float4um" (&Float4(a)) => Ok(Float4(-a));
    "float8um" (&Float8(a)) => Ok(Float8(-a));
    "float4up" (&Float4(a)) => Ok(Float4(a));
    "float8up" (&Float8(a)) => Ok(Float8(a));
    "float4abs" (&Float4(a)) => Ok(Float4(a.abs()));
    "float8abs" (&Float8(a)) => Ok(Float8(a.abs()));

    "dround" (&Float8(a)) => Ok(Float8(a.round_ties_even()));
    "dtrunc" (&Float8(a)) => Ok(Float8(a.trunc()));
    "dceil" (&Float8(a)) => Ok(Float8(a.ceil()));
    "dfloor" (&Float8(a)) => Ok(Float8(a.floor()));
    "dsign" (&Float8(a)) => Ok(Float8(if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { 0.0 }));
    "degrees" (&Float8(a)) => div8(a, RADIANS_PER_DEGREE).map(Float8);
    "radians" (&Float8(a)) => mul8(a, RADIANS_PER_DEGREE).map(Float8);
    "dpi" () => Ok(Float8(std::f64::consts::PI));
    "dsqrt" (&Float8(a)) => square_root(a).map(Float8);
}
