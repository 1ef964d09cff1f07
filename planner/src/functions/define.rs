//! The notation in which functions are registered.

use crate::value::{EvalError, Value};

/// Declares a family: `"symbol" (patterns) => result;`, one per function, all strict.
///
/// A pattern matches one argument (`&Int4(a)` by value, `Text(a)` by reference). `uses SETTING` names what the
/// result depends on besides its arguments; `in ctx` gives the body the [`EvalContext`](crate::eval::EvalContext).
macro_rules! strict_functions {
    ($($symbol:literal ($($arg:pat),*) $(uses $setting:ident)? $(in $ctx:ident)? => $body:expr;)*) => {
        pub(in crate::functions) static FUNCTIONS: &[$crate::functions::Function] = &[$(
            $crate::functions::Function {
                symbol: $symbol,
                strict: true,
                settings: $crate::functions::define::setting!($($setting)?),
                eval: |args, _ctx| {
                    match *args {
                        [$($arg),*] => {
                            $(let $ctx = _ctx;)?
                            $body
                        }
                        _ => Err($crate::functions::define::wrong_arguments($symbol, args)),
                    }
                },
            },
        )*];
    };
}

macro_rules! setting {
    () => {
        $crate::settings::SettingSet::NONE
    };
    ($setting:ident) => {
        $crate::settings::SettingSet::$setting
    };
}

pub(in crate::functions) use {setting, strict_functions};

/// The plan passed values of types the function is not declared for.
#[cold]
pub(in crate::functions) fn wrong_arguments(symbol: &str, args: &[&Value]) -> EvalError {
    EvalError::unsupported(format!("{symbol} called with {args:?}"))
}
