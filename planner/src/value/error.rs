//! Errors of evaluation: what Postgres would have raised, or what Weir refuses to compute or to choose.

use std::borrow::Cow;

/// What Postgres would have raised, or (SQLSTATE [`EvalError::UNSUPPORTED`]) what Weir cannot compute exactly, or
/// ([`EvalError::UNSETTLED`]) which of several values Postgres has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    pub sqlstate: &'static str,
    pub message: Cow<'static, str>,
}

impl EvalError {
    /// No SQLSTATE of Postgres: the value is one whose exact result Weir does not know; Postgres must answer.
    pub const UNSUPPORTED: &'static str = "WEIR0";

    /// No SQLSTATE of Postgres: there is a value, and which of several it is depends on the order in which Postgres meets rows.
    pub const UNSETTLED: &'static str = "WEIR1";

    pub fn new(sqlstate: &'static str, message: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError { sqlstate, message: message.into() }
    }

    /// The result is not one Weir can prove; `what` names the reason.
    pub fn unsupported(what: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError::new(EvalError::UNSUPPORTED, what)
    }

    /// The result is one of several; `what` names the reason.
    pub fn unsettled(what: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError::new(EvalError::UNSETTLED, what)
    }

    /// Whether Postgres may raise an error here.
    pub fn may_be_raised(&self) -> bool {
        self.sqlstate != EvalError::UNSETTLED
    }

    /// Whether Postgres may well have an answer where Weir has none.
    pub fn is_unsupported(&self) -> bool {
        self.sqlstate == EvalError::UNSUPPORTED
    }

    /// 22003, `numeric_value_out_of_range`.
    pub fn out_of_range(message: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError::new("22003", message)
    }

    /// 22012.
    pub fn division_by_zero() -> EvalError {
        EvalError::new("22012", "division by zero")
    }

    /// 22P02, as every type's input function words it.
    pub fn invalid_text(type_name: &str, text: &str) -> EvalError {
        EvalError::new("22P02", format!("invalid input syntax for type {type_name}: \"{text}\""))
    }

    /// 22008, `datetime_field_overflow`.
    pub fn datetime_overflow(message: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError::new("22008", message)
    }

    /// 22023, `invalid_parameter_value`.
    pub fn invalid_parameter(message: impl Into<Cow<'static, str>>) -> EvalError {
        EvalError::new("22023", message)
    }
}
