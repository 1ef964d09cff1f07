//! Lengths of strings, in characters and bytes.

use super::define::strict_functions;
use crate::value::Value::{self, *};

fn characters(text: &str) -> Value {
    Int4(text.chars().count() as i32)
}

strict_functions! {
    "textlen" (Text(a)) => Ok(characters(a));
    "bpcharlen" (Text(a) | Bpchar(a)) => Ok(characters(a.trim_end_matches(' ')));
    "bit_length(text)" (Text(a)) => Ok(Int4(8 * a.len() as i32));
    "bit_length(bytea)" (Bytea(a)) => Ok(Int4(8 * a.len() as i32));
    "textoctetlen" (Text(a)) => Ok(Int4(a.len() as i32));
    "bpcharoctetlen" (Text(a) | Bpchar(a)) => Ok(Int4(a.len() as i32));
}
