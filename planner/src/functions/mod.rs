//! The registry of exact functions, keyed by the C symbol in `pg_proc.prosrc` (`numeric_mul`, `int4pl`), or by
//! `name(argument types)` where Postgres has no symbol (SQL-language built-ins, aggregates).

use crate::eval::EvalContext;
use crate::settings::SettingSet;
use crate::value::{EvalError, Value};

/// An implemented function. Two are equal when they are the same entry.
pub struct Function {
    /// `pg_proc.prosrc` for language internal, else `name(type,type)`.
    pub symbol: &'static str,
    /// NULL in, NULL out (`pg_proc.proisstrict`): the evaluator handles it before the call.
    pub strict: bool,
    /// Settings the result depends on beyond the arguments.
    pub settings: SettingSet,
    /// The arguments are never errors and, for a strict function, never NULL.
    pub eval: fn(&[&Value], &EvalContext) -> Result<Value, EvalError>,
}

impl std::fmt::Debug for Function {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.symbol)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Function) -> bool {
        self.symbol == other.symbol
    }
}
impl Eq for Function {}
impl std::hash::Hash for Function {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.symbol.hash(state);
    }
}

/// The implemented function of that symbol, if any.
pub fn lookup(_symbol: &str) -> Option<&'static Function> {
    None
}
