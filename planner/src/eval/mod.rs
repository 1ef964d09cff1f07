//! Evaluation of expressions over a row (or over the two halves of a join's row).
//!
//! Errors are values: they propagate through whatever Postgres would have evaluated, and AND, OR, CASE and
//! COALESCE leave unevaluated what Postgres leaves (execExprInterp.c). No function's own semantics live here.

mod expression;

use crate::settings::Settings;
use crate::value::Value;

/// What evaluation may read besides the row.
#[derive(Clone, Debug, Default)]
pub struct EvalContext {
    /// External parameters `$1…`, in order.
    pub params: Vec<Value>,
    pub settings: Settings,
    /// Transaction time in microseconds since 2000-01-01 UTC.
    pub now_micros: i64,
}

/// A row, or the concatenation of two rows without copying.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a> {
    pub left: &'a [Value],
    pub right: &'a [Value],
}

impl<'a> Tuple<'a> {
    #[inline]
    pub fn single(row: &'a [Value]) -> Tuple<'a> {
        Tuple { left: row, right: &[] }
    }

    #[inline]
    pub fn pair(left: &'a [Value], right: &'a [Value]) -> Tuple<'a> {
        Tuple { left, right }
    }

    #[inline]
    pub fn get(&self, index: usize) -> &'a Value {
        if index < self.left.len() { &self.left[index] } else { &self.right[index - self.left.len()] }
    }
}
