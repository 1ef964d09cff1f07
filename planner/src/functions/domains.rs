//! What a value that a domain does not take raises (`ExecEvalConstraintNotNull`, `ExecEvalConstraintCheck` in execExprInterp.c).

use super::Function;
use super::define::wrong_arguments;
use crate::settings::SettingSet;
use crate::value::EvalError;
use crate::value::Value::Text;

/// The value, a domain and a constraint; without a constraint, the value is NULL and must not be. (The value is an argument so that
/// nobody takes the call for a constant.)
pub(super) static VIOLATION: Function = Function {
    symbol: "domain_violation",
    strict: false,
    settings: SettingSet::NONE,
    eval: |args, _| match *args {
        [_, Text(domain)] => Err(EvalError::new("23502", format!("domain {domain} does not allow null values"))),
        [_, Text(domain), Text(constraint)] => {
            let message = format!("value for domain {domain} violates check constraint \"{constraint}\"");
            Err(EvalError::new("23514", message))
        }
        _ => Err(wrong_arguments("domain_violation", args)),
    },
};
