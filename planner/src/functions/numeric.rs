//! NUMERIC operators and functions (numeric.c).

use super::define::strict_functions;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

/// Scales of `round` and `trunc` on which all supported servers agree (`NUMERIC_MAX_RESULT_SCALE` up to 16).
const COMMON_SCALES: std::ops::RangeInclusive<i32> = -2000..=2000;

fn wrap(result: Result<value::Numeric, EvalError>) -> Result<Value, EvalError> {
    result.map(Numeric)
}

fn scale(scale: i32) -> Result<i32, EvalError> {
    if COMMON_SCALES.contains(&scale) {
        Ok(scale)
    } else {
        Err(EvalError::unsupported("rounding to more than 2000 digits"))
    }
}

fn digits(count: Option<u16>) -> Value {
    count.map_or(Null, |count| Int4(count as i32))
}

strict_functions! {
    "numeric_add" (Numeric(a), Numeric(b)) => wrap(a.add(b));
    "numeric_sub" (Numeric(a), Numeric(b)) => wrap(a.sub(b));
    "numeric_mul" (Numeric(a), Numeric(b)) => wrap(a.mul(b));
    "numeric_div" (Numeric(a), Numeric(b)) => wrap(a.div(b));
    "numeric_div_trunc" (Numeric(a), Numeric(b)) => wrap(a.div_trunc(b));
    "numeric_mod" (Numeric(a), Numeric(b)) => wrap(a.rem(b));
    "numeric_uminus" (Numeric(a)) => Ok(Numeric(a.neg()));
    "numeric_uplus" (Numeric(a)) => Ok(Numeric(a.clone()));
    "numeric_abs" (Numeric(a)) => Ok(Numeric(a.abs()));
    "numeric_sign" (Numeric(a)) => Ok(Numeric(if a.is_nan() { a.clone() } else { (a.signum() as i64).into() }));
    "numeric_round" (Numeric(a), &Int4(digits)) => Ok(Numeric(a.round(scale(digits)?)));
    "round(numeric)" (Numeric(a)) => Ok(Numeric(a.round(0)));
    "numeric_trunc" (Numeric(a), &Int4(digits)) => Ok(Numeric(a.trunc(scale(digits)?)));
    "trunc(numeric)" (Numeric(a)) => Ok(Numeric(a.trunc(0)));
    "numeric_ceil" (Numeric(a)) => Ok(Numeric(a.ceil()));
    "numeric_floor" (Numeric(a)) => Ok(Numeric(a.floor()));
    "numeric_sqrt" (Numeric(a)) => wrap(a.sqrt());
    "numeric_exp" (Numeric(a)) => wrap(a.exp());
    "numeric_ln" (Numeric(a)) => wrap(a.ln());
    "numeric_log" (Numeric(base), Numeric(a)) => wrap(a.log(base));
    "log(numeric)" (Numeric(a)) => wrap(a.log(&10i64.into()));
    "log10(numeric)" (Numeric(a)) => wrap(a.log(&10i64.into()));
    "numeric_power" (Numeric(a), Numeric(b)) => wrap(a.power(b, true));
    "numeric_power (before 16)" (Numeric(a), Numeric(b)) => wrap(a.power(b, false));
    "numeric_gcd" (Numeric(a), Numeric(b)) => Ok(Numeric(a.gcd(b)));
    "numeric_lcm" (Numeric(a), Numeric(b)) => wrap(a.lcm(b));
    "numeric_fac" (&Int8(a)) => wrap(value::Numeric::factorial(a));
    "width_bucket_numeric" (Numeric(a), Numeric(low), Numeric(high), &Int4(count)) =>
        a.width_bucket(low, high, count).map(Int4);
    "numeric_inc" (Numeric(a)) => wrap(a.add(&1i64.into()));
    "numeric_scale" (Numeric(a)) => Ok(digits(a.is_finite().then(|| a.dscale())));
    "numeric_min_scale" (Numeric(a)) => Ok(digits(a.min_scale()));
    "numeric_trim_scale" (Numeric(a)) => Ok(Numeric(a.canonical()));
    "numeric" (Numeric(a), &Int4(typmod)) => wrap(a.apply_typmod(typmod));
}
