//! Calls of users' functions of which only the body is evaluated: no functions of Postgres'. The first argument is the body,
//! the others are the call's own, an error of which is one of the whole.

use super::Function;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::{self, *};

#[cold]
fn without_body() -> EvalError {
    EvalError::unsupported("a call without a body")
}

pub(super) static BODY: Function = Function {
    symbol: "body",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| args.first().map(|body| (*body).clone()).ok_or_else(without_body),
};

/// NULL when an argument is.
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
