//! To and from integers and floating point.

use super::{Numeric, View, rounding};
use crate::value::EvalError;
use num_traits::ToPrimitive;

/// Powers of ten that a double holds exactly.
const EXACT_POW10: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];
/// Integers up to here are exact in a double.
const EXACT_INTEGER: u128 = 1 << 53;

impl From<i64> for Numeric {
    #[inline]
    fn from(value: i64) -> Numeric {
        Numeric::new(value as i128, 0)
    }
}

impl From<i128> for Numeric {
    fn from(value: i128) -> Numeric {
        Numeric::new(value, 0)
    }
}

impl Numeric {
    /// `float8_numeric`: 15 significant digits.
    pub fn from_f64(value: f64) -> Numeric {
        if value.is_nan() {
            Numeric::NAN
        } else if value.is_infinite() {
            if value > 0.0 { Numeric::INFINITY } else { Numeric::NEG_INFINITY }
        } else {
            from_scientific(&format!("{value:.14e}"))
        }
    }

    /// `float4_numeric`: 6 significant digits.
    pub fn from_f32(value: f32) -> Numeric {
        if value.is_finite() { from_scientific(&format!("{value:.5e}")) } else { Numeric::from_f64(value as f64) }
    }

    /// The nearest integer (half away from zero) of a finite value, if it fits.
    fn to_rounded_i128(&self) -> Option<i128> {
        match self.view() {
            View::Small(m, 0) => Some(m),
            View::Small(m, s) => {
                Some(super::POW10.get(s as usize).map_or(0, |power| rounding::divide_round(m, *power)))
            }
            View::Big(m, s) => rounding::shift_round(m.clone(), s).to_i128(),
            _ => None,
        }
    }

    fn to_integer_of<T: TryFrom<i128>>(&self, type_name: &str) -> Result<T, EvalError> {
        match self.view() {
            View::NaN => Err(EvalError::new("0A000", format!("cannot convert NaN to {type_name}"))),
            View::PosInf | View::NegInf => {
                Err(EvalError::new("0A000", format!("cannot convert infinity to {type_name}")))
            }
            _ => self
                .to_rounded_i128()
                .and_then(|value| T::try_from(value).ok())
                .ok_or_else(|| EvalError::out_of_range(format!("{type_name} out of range"))),
        }
    }

    /// `numeric_int8`. Errors 22003, 0A000 (NaN, infinity).
    pub fn to_i64(&self) -> Result<i64, EvalError> {
        self.to_integer_of("bigint")
    }

    /// `numeric_int4`.
    pub fn to_i32(&self) -> Result<i32, EvalError> {
        self.to_integer_of("integer")
    }

    /// `numeric_int2`.
    pub fn to_i16(&self) -> Result<i16, EvalError> {
        self.to_integer_of("smallint")
    }

    /// `numeric_float8`: nearest double. Error 22003 when it overflows or underflows to zero.
    pub fn to_f64(&self) -> Result<f64, EvalError> {
        match self.view() {
            View::NaN => Ok(f64::NAN),
            View::PosInf => Ok(f64::INFINITY),
            View::NegInf => Ok(f64::NEG_INFINITY),
            // A correctly rounded quotient of two exact doubles is the nearest double to the decimal.
            View::Small(m, s) if m.unsigned_abs() <= EXACT_INTEGER && (s as usize) < EXACT_POW10.len() => {
                Ok(m as f64 / EXACT_POW10[s as usize])
            }
            _ => {
                let text = self.to_string();
                let value: f64 = text.parse().expect("a decimal number");
                if value.is_infinite() || (value == 0.0 && !self.is_zero()) {
                    return Err(EvalError::out_of_range(format!(
                        "\"{text}\" is out of range for type double precision"
                    )));
                }
                Ok(value)
            }
        }
    }

    /// `numeric_float4`.
    pub fn to_f32(&self) -> Result<f32, EvalError> {
        if !self.is_finite() {
            return self.to_f64().map(|v| v as f32);
        }
        let text = self.to_string();
        let value: f32 = text.parse().expect("a decimal number");
        if value.is_infinite() || (value == 0.0 && !self.is_zero()) {
            return Err(EvalError::out_of_range(format!("\"{text}\" is out of range for type real")));
        }
        Ok(value)
    }
}

/// Reads `d.ddde±x`, dropping trailing zeros as `%g` does.
fn from_scientific(text: &str) -> Numeric {
    let (digits, exponent) = text.split_once('e').expect("scientific notation");
    let digits = if digits.contains('.') { digits.trim_end_matches('0').trim_end_matches('.') } else { digits };
    Numeric::parse(&format!("{digits}e{exponent}")).expect("a double is within numeric's range")
}
