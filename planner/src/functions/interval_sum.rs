//! Sums of intervals by their fields: each field is a sum of its own. No functions of Postgres'.

use super::Function;
use super::define::wrong_arguments;
use super::interval::finite;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};

/// Months, days and microseconds, then what they are without their signs: while the sum of those fits, no order of adding
/// the fields up leaves their range.
pub(crate) const FIELDS: i32 = 6;

/// An interval and the number of a field, to that field as a bigint.
pub(super) static FIELD: Function = Function {
    symbol: "interval_field",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [Interval(interval), &Int4(field)] => {
            let interval = finite(interval)?;
            let fields = [i64::from(interval.months), i64::from(interval.days), interval.micros];
            let value = fields[(field % 3) as usize];
            match if field < 3 { Some(value) } else { value.checked_abs() } {
                Some(value) => Ok(Int8(value)),
                None => Err(too_large()),
            }
        }
        _ => Err(wrong_arguments("interval_field", args)),
    },
};

/// The sums of the fields, to the interval.
pub(super) static OF_FIELDS: Function = Function {
    symbol: "interval_of_fields",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [
            Numeric(months),
            Numeric(days),
            Numeric(micros),
            Numeric(all_months),
            Numeric(all_days),
            Numeric(all_micros),
        ] => {
            let fit = all_months.to_i32().is_ok() && all_days.to_i32().is_ok() && all_micros.to_i64().is_ok();
            if !fit {
                return Err(too_large());
            }
            Ok(Value::interval(months.to_i32()?, days.to_i32()?, micros.to_i64()?))
        }
        _ => Err(wrong_arguments("interval_of_fields", args)),
    },
};

/// Whether Postgres has a sum then depends on the order of the rows.
fn too_large() -> EvalError {
    EvalError::unsupported("a sum of intervals near the end of their range")
}
