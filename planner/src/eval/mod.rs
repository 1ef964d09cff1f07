//! Evaluation of expressions over a row (or over the two halves of a join's row).
//!
//! Errors are values: they propagate through whatever Postgres would have evaluated, and AND, OR, CASE and
//! COALESCE leave unevaluated what Postgres leaves (execExprInterp.c). No function's own semantics live here.

mod expression;
mod sets;

pub use sets::set_rows;

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

/// A row, or the concatenation of several rows without copying.
#[derive(Clone, Copy, Debug)]
pub struct Tuple<'a> {
    pub left: &'a [Value],
    pub right: &'a [Value],
    /// Rows after the right one.
    rest: &'a [&'a [Value]],
}

impl<'a> Tuple<'a> {
    #[inline]
    pub fn single(row: &'a [Value]) -> Tuple<'a> {
        Tuple { left: row, right: &[], rest: &[] }
    }

    #[inline]
    pub fn pair(left: &'a [Value], right: &'a [Value]) -> Tuple<'a> {
        Tuple { left, right, rest: &[] }
    }

    /// These rows side by side.
    #[inline]
    pub fn concatenation(rows: &'a [&'a [Value]]) -> Tuple<'a> {
        match rows {
            [left, right, rest @ ..] => Tuple { left, right, rest },
            [row] => Tuple::single(row),
            [] => Tuple::single(&[]),
        }
    }

    #[inline]
    pub fn get(&self, index: usize) -> &'a Value {
        if index < self.left.len() {
            return &self.left[index];
        }
        let index = index - self.left.len();
        if index < self.right.len() { &self.right[index] } else { self.beyond(index - self.right.len()) }
    }

    /// The value at this position of the rest.
    fn beyond(&self, mut index: usize) -> &'a Value {
        for row in self.rest {
            match row.get(index) {
                Some(value) => return value,
                None => index -= row.len(),
            }
        }
        panic!("an expression reads a column that the row does not have")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_concatenation_is_read_as_one_row() {
        let values: Vec<Value> = (0..6).map(Value::Int4).collect();
        for cuts in [vec![], vec![4], vec![2, 2], vec![1, 3, 3], vec![0, 1, 4, 4, 5]] {
            let ends: Vec<usize> = cuts.into_iter().chain([values.len()]).collect();
            let rows: Vec<&[Value]> =
                ends.iter().scan(0, |start, &end| Some(&values[std::mem::replace(start, end)..end])).collect();
            let tuple = Tuple::concatenation(&rows);
            assert!(values.iter().enumerate().all(|(index, value)| tuple.get(index) == value), "{rows:?}");
        }
    }
}
