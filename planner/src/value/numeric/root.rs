//! Square root, exactly rounded as in Postgres 14 and later (`sqrt_var`).

use super::division::sqrt_scale;
use super::{Numeric, big_pow10};
use crate::value::EvalError;

impl Numeric {
    /// `numeric_sqrt`: at least 16 significant digits, half away from zero. Error 2201F for negatives.
    pub fn sqrt(&self) -> Result<Numeric, EvalError> {
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        if self.signum() < 0 {
            return Err(EvalError::new("2201F", "cannot take square root of a negative number"));
        }
        Ok(self.root(sqrt_scale(self)).unwrap_or(Numeric::INFINITY))
    }

    /// The root of a finite, non-negative value with that many decimals (`sqrt_var`); none of an infinity.
    pub(super) fn root(&self, scale: u16) -> Option<Numeric> {
        let (mantissa, dscale) = self.big()?;
        // One digit more than wanted decides the rounding: the root of an integer is never exactly between.
        let guarded = 2 * (scale as i32 + 1) - dscale as i32;
        let radicand =
            if guarded >= 0 { mantissa * big_pow10(guarded as u16) } else { mantissa / big_pow10(-guarded as u16) };
        Some(Numeric::from_big((radicand.sqrt() + 5u32) / 10u32, scale))
    }
}
