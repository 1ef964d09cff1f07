//! What ordering asks for within expressions: no functions of Postgres'.

use super::Function;
use super::define::wrong_arguments;
use crate::settings::SettingSet;
use crate::value::Value::*;
use crate::value::{EvalError, compare_nulls};
use std::cmp::Ordering;

/// Where a row lies beside another by ORDER BY: -1, 0 or 1. Per key whether it is descending, whether NULLs come first, and
/// both values.
pub(super) static PLACE: Function = Function {
    symbol: "place in an order",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| {
        for key in args.chunks(4) {
            let [&Bool(descending), &Bool(nulls_first), a, b] = *key else {
                return Err(wrong_arguments("place in an order", args));
            };
            match compare_nulls(a, b, descending, nulls_first) {
                Ordering::Less => return Ok(Int4(-1)),
                Ordering::Greater => return Ok(Int4(1)),
                Ordering::Equal => {}
            }
        }
        Ok(Int4(0))
    },
};

/// NULL, which as a LIMIT is none, for a number of rows that FETCH FIRST … WITH TIES takes.
pub(super) static ROW_COUNT_OF_TIES: Function = Function {
    symbol: "row count with ties",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [&Int8(0..)] => Ok(Null),
        _ => Err(EvalError::unsupported("FETCH FIRST of a negative number, or of none, WITH TIES")),
    },
};
