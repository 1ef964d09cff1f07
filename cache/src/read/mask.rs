//! Conditions asked of a chunk's columns: a bit for each row that passes. Numbers are compared side by side; a condition over
//! one column whose values repeat is evaluated once for each of them; all else is evaluated row by row.

use super::comparison::{NumberOperator, Operator, number_comparison};
use super::op::Scan;
use super::rewrite::column_range;
use super::run::{Run, Stop};
use crate::snapshot::{Chunk, Codes, Column, Kind, Mask, Numbers, offsets};
use std::ops::ControlFlow::{self, Continue};
use weir_planner::eval::Tuple;
use weir_planner::{Expr, Value};

/// One conjunct of a scan.
pub(super) struct Test<'p> {
    expr: &'p Expr,
    /// The one column it is about.
    column: Option<usize>,
    /// It compares that column with this value.
    number: Option<(NumberOperator, Value)>,
}

impl Run<'_> {
    pub(super) fn tests<'p>(&self, scan: &'p Scan) -> Vec<Test<'p>> {
        let test = |expr: &'p Expr| {
            let column = column_range(expr).filter(|(low, high)| low == high).map(|(column, _)| column);
            let number = number_comparison(expr).map(|(operator, value)| {
                // An error, or NULL, fits no column's numbers: the rows' evaluation says what comes of it.
                (operator, value.eval(Tuple::single(&[]), self.context))
            });
            Test { expr, column, number }
        };
        scan.filters.iter().map(test).collect()
    }

    /// The live rows that pass all tests, asked in their order: a row that fails one is not asked the next.
    pub(super) fn mask(&self, tests: &[Test<'_>], chunk: &Chunk) -> ControlFlow<Stop, Mask> {
        let mut mask = chunk.mask();
        for test in tests {
            match test.column.and_then(|column| chunk.column(column)) {
                Some(Column::Numbers(numbers))
                    if let Some((operator, value)) = &test.number
                        && let Some(bound) = bound(numbers.kind, value) =>
                {
                    keep_numbers(&mut mask, numbers, *operator, bound);
                }
                Some(Column::Codes(codes)) if let Some(passing) = self.passing(test, codes, &mask) => {
                    keep(&mut mask, |offset| passing[usize::from(codes.codes[offset])]);
                }
                _ => {
                    let asked = mask;
                    for offset in offsets(&asked) {
                        if !self.passes(test.expr, Tuple::single(chunk.row(offset)))? {
                            mask[offset / 64] &= !(1 << (offset % 64));
                        }
                    }
                }
            }
        }
        Continue(mask)
    }

    /// Which of a column's values pass. None: one of them fails to be evaluated, and perhaps no row asks for it; or there are
    /// more values than rows that ask.
    fn passing(&self, test: &Test<'_>, codes: &Codes, mask: &Mask) -> Option<Vec<bool>> {
        let column = test.column?;
        if mask.iter().map(|word| word.count_ones() as usize).sum::<usize>() < codes.values.len() {
            return None;
        }
        let mut row = vec![Value::Null; column + 1];
        let mut passing = Vec::with_capacity(codes.values.len());
        for value in &codes.values {
            row[column] = value.clone();
            passing.push(test.expr.eval_bool(Tuple::single(&row), self.context).ok()?);
        }
        Some(passing)
    }
}

fn keep(mask: &mut Mask, passes: impl Fn(usize) -> bool) {
    let asked = *mask;
    for offset in offsets(&asked).filter(|offset| !passes(*offset)) {
        mask[offset / 64] &= !(1 << (offset % 64));
    }
}

/// The value as a number of that kind; None where they are not compared as numbers.
fn bound(kind: Kind, value: &Value) -> Option<i64> {
    let is_integer = |kind| matches!(kind, Kind::Int2 | Kind::Int4 | Kind::Int8);
    let (of, number) = Kind::of(value)?;
    match (kind, of) {
        (Kind::Numeric(scale), Kind::Numeric(given)) if given <= scale => {
            10_i64.checked_pow(u32::from(scale - given)).and_then(|factor| number.checked_mul(factor))
        }
        _ if kind == of || (is_integer(kind) && is_integer(of)) => Some(number),
        _ => None,
    }
}

fn keep_numbers(mask: &mut Mask, numbers: &Numbers, operator: NumberOperator, bound: i64) {
    match operator {
        NumberOperator::NotEqual => keep_where(mask, numbers, |value| value != bound),
        NumberOperator::Is(Operator::Equal) => keep_where(mask, numbers, |value| value == bound),
        NumberOperator::Is(Operator::Less) => keep_where(mask, numbers, |value| value < bound),
        NumberOperator::Is(Operator::LessOrEqual) => keep_where(mask, numbers, |value| value <= bound),
        NumberOperator::Is(Operator::Greater) => keep_where(mask, numbers, |value| value > bound),
        NumberOperator::Is(Operator::GreaterOrEqual) => keep_where(mask, numbers, |value| value >= bound),
    }
}

#[inline]
fn keep_where(mask: &mut Mask, numbers: &Numbers, passes: impl Fn(i64) -> bool) {
    for (word, values) in numbers.values.chunks(64).enumerate() {
        if mask[word] == 0 {
            continue;
        }
        let passing =
            values.iter().enumerate().fold(0_u64, |bits, (bit, value)| bits | u64::from(passes(*value)) << bit);
        // Whatever NULL is compared with, it does not pass.
        let nulls = numbers.nulls.as_ref().map_or(0, |nulls| nulls[word]);
        mask[word] &= passing & !nulls;
    }
}
