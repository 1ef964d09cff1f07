//! Operations on bytea.

use super::define::strict_functions;
use crate::value::Value::*;

strict_functions! {
    "byteacat" (Bytea(a), Bytea(b)) => Ok(Bytea([&a[..], &b[..]].concat().into()));
    "byteaoctetlen" (Bytea(a)) => Ok(Int4(a.len() as i32));
}
