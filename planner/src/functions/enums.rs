//! Enums (enum.c). A value is its label; what orders labels is a further argument, all labels in their order.

use super::Function;
use super::define::strict_functions;
use super::define::wrong_arguments;
use crate::settings::SettingSet;
use crate::value::Value::{self, *};
use crate::value::{self, EvalError};

/// The place of a label among all of its enum. One that is not there was added or renamed since the plan was made.
fn place(label: &[u8], labels: &value::Array) -> Result<i32, EvalError> {
    let is_it = |known: &Value| matches!(known, Text(known) if known.as_bytes() == label);
    match labels.elements.iter().position(is_it) {
        Some(place) => Ok(place as i32),
        None => Err(EvalError::unsupported("an enum label that is not known yet")),
    }
}

/// Value and labels to the value's place.
pub(super) static RANK: Function = Function {
    symbol: "enum_rank",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [Opaque(label), Array(labels)] => place(label, labels).map(Int4),
        _ => Err(wrong_arguments("enum_rank", args)),
    },
};

/// Place and labels to the value there.
pub(super) static LABEL: Function = Function {
    symbol: "enum_label",
    strict: true,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [&Int4(place), Array(labels)] => match labels.elements.get(place as usize) {
            Some(Text(label)) => Ok(Opaque(label.as_bytes().into())),
            _ => Err(wrong_arguments("enum_label", args)),
        },
        _ => Err(wrong_arguments("enum_label", args)),
    },
};

strict_functions! {
    "enum_eq" (Opaque(a), Opaque(b)) => Ok(Bool(a == b));
    "enum_ne" (Opaque(a), Opaque(b)) => Ok(Bool(a != b));
    "enum_lt" (Opaque(a), Opaque(b), Array(labels)) => Ok(Bool(place(a, labels)? < place(b, labels)?));
    "enum_le" (Opaque(a), Opaque(b), Array(labels)) => Ok(Bool(place(a, labels)? <= place(b, labels)?));
    "enum_gt" (Opaque(a), Opaque(b), Array(labels)) => Ok(Bool(place(a, labels)? > place(b, labels)?));
    "enum_ge" (Opaque(a), Opaque(b), Array(labels)) => Ok(Bool(place(a, labels)? >= place(b, labels)?));
}
