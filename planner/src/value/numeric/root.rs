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
        let Some((mantissa, dscale)) = self.big() else { return Ok(Numeric::INFINITY) };
        let scale = sqrt_scale(self);
        // One digit more than wanted decides the rounding: the root of an integer is never exactly between.
        let guarded = 2 * (scale as i32 + 1) - dscale as i32;
        let radicand =
            if guarded >= 0 { mantissa * big_pow10(guarded as u16) } else { mantissa / big_pow10(-guarded as u16) };
        Ok(Numeric::from_big((radicand.sqrt() + 5u32) / 10u32, scale))
    }
}
