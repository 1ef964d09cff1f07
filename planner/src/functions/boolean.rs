//! Booleans to and from other types. AND, OR and NOT are expressions of their own.

use super::define::strict_functions;
use crate::value::Value::{self, *};

strict_functions! {
    "booltext" (&Bool(a)) => Ok(Value::text(if a { "true" } else { "false" }));
    "bool_int4" (&Bool(a)) => Ok(Int4(a as i32));
    "int4_bool" (&Int4(a)) => Ok(Bool(a != 0));
}
