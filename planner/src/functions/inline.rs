//! What stands around the body of a user's function, and around what else is written otherwise than in Postgres: no functions of
//! Postgres'. The first argument is the value.

use super::Function;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};

#[cold]
fn without_body() -> EvalError {
    EvalError::unsupported("a call without a body")
}

/// The others are the call's own arguments, an error of which is one of the whole.
pub(super) static BODY: Function = Function {
    symbol: "body",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| args.first().map(|body| (*body).clone()).ok_or_else(without_body),
};

/// NULL when an argument is.
/// The same, NULL when an argument is.
pub(super) static STRICT_BODY: Function = Function {
    symbol: "body of a strict function",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| match args {
        [_, rest @ ..] if rest.iter().any(|arg| arg.is_null()) => Ok(Null),
        [body, ..] => Ok(Value::clone(body)),
        [] => Err(without_body()),
    },
};

/// The second is what it costs in Postgres ([`crate::cost`]).
pub(super) static COSTING: Function = Function {
    symbol: "what costs",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| args.first().map(|value| Value::clone(value)).ok_or_else(without_body),
};
