//! numeric(precision, scale): the length coercion `numeric(numeric, int4)`.

use super::{Numeric, View, digit_count};
use crate::value::EvalError;

/// Offset of a length typmod (`VARHDRSZ`).
const VARHDRSZ: i32 = 4;

impl Numeric {
    /// Rounds to the typmod's scale and checks its precision (`apply_typmod`). Error 22003. A typmod below 4
    /// means none.
    pub fn apply_typmod(&self, typmod: i32) -> Result<Numeric, EvalError> {
        if typmod < VARHDRSZ {
            return Ok(self.clone());
        }
        let packed = typmod - VARHDRSZ;
        let precision = (packed >> 16) & 0xffff;
        // Eleven bits in two's complement; negative scales exist from 15 on.
        let scale = ((packed & 0x7ff) ^ 1024) - 1024;
        if self.is_nan() {
            return Ok(Numeric::NAN);
        }
        if !self.is_finite() {
            return Err(EvalError::out_of_range("numeric field overflow"));
        }
        let rounded = self.round(scale);
        let digits = match rounded.view() {
            View::Small(0, _) => return Ok(rounded),
            View::Small(m, _) => m.unsigned_abs().ilog10() as i64 + 1,
            View::Big(m, _) => digit_count(m) as i64,
            _ => unreachable!("only finite values get here"),
        };
        if digits - rounded.dscale() as i64 > (precision - scale) as i64 {
            return Err(EvalError::out_of_range("numeric field overflow"));
        }
        Ok(rounded)
    }
}
