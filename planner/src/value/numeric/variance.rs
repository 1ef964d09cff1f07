//! Retractable variances and standard deviations of integers and numerics (`numeric_stddev_internal` of numeric.c).

use super::sum::{NumericSum, Total};
use super::{MAX_DSCALE, Numeric, View, big_pow10};
use crate::value::EvalError;
use num_bigint::BigInt;
use num_traits::Signed;
use smallvec::SmallVec;

/// Which measure of spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Spread {
    /// The variance's square root.
    pub deviation: bool,
    /// Divided by N-1 instead of N.
    pub sample: bool,
}

/// The count, the sum and the sum of squares of a bag of numerics from which rows may be taken again: all that Postgres
/// computes with, and all exact, so that equal bags have equal results whatever the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumericSpread {
    sum: NumericSum,
    /// Exact sums of squared mantissas, by the inputs' display scale.
    squares: SmallVec<[(u16, Total); 1]>,
}

impl NumericSpread {
    /// Adds `weight` copies of the value; negative weights take copies away.
    pub fn add(&mut self, value: &Numeric, weight: i64) {
        self.sum.add(value, weight);
        match value.view() {
            View::Small(m, dscale) => self.add_square(m, dscale, weight),
            View::Big(m, dscale) => self.change(dscale, |total| total.add_big(m * m * weight)),
            View::NaN | View::PosInf | View::NegInf => {}
        }
    }

    /// Adds `weight` copies of an integer.
    #[inline]
    pub fn add_integer(&mut self, value: i64, weight: i64) {
        self.sum.add_integer(value, weight);
        self.add_square(value as i128, 0, weight);
    }

    #[inline]
    fn add_square(&mut self, m: i128, dscale: u16, weight: i64) {
        self.change(dscale, |total| match m.checked_mul(m) {
            Some(square) => total.add(square, weight),
            None => total.add_big(BigInt::from(m) * m * weight),
        });
    }

    #[inline]
    fn change(&mut self, dscale: u16, change: impl FnOnce(&mut Total)) {
        let at = match self.squares.iter().position(|(own, _)| *own == dscale) {
            Some(at) => at,
            None => {
                self.squares.push((dscale, Total::Small(0)));
                self.squares.len() - 1
            }
        };
        change(&mut self.squares[at].1);
        if self.squares[at].1.is_zero() {
            self.squares.swap_remove(at);
        }
    }

    /// `None` is SQL's NULL: over no inputs, or one for a sample. NaN with any NaN or infinity. Error 22003 beyond
    /// numeric's format, and where Postgres computes with more digits than a [`Numeric`] here has.
    pub fn value(&self, spread: Spread) -> Option<Result<Numeric, EvalError>> {
        let count = self.sum.count();
        if count <= i64::from(spread.sample) {
            return None;
        }
        if self.sum.has_specials() {
            return Some(Ok(Numeric::NAN));
        }
        let (sum, dscale) = self.sum.exact();
        if dscale > MAX_DSCALE / 2 {
            return Some(Err(EvalError::unsupported("the variance of numerics with more than 8191 decimals")));
        }
        let scaled = |(own, total): &(u16, Total)| total.to_big() * big_pow10(2 * (dscale - own));
        let squares: BigInt = self.squares.iter().map(scaled).sum();
        let numerator = squares * count - &sum * &sum;
        if !numerator.is_positive() {
            return Some(Ok(Numeric::ZERO));
        }
        let pairs = BigInt::from(count) * (count - i64::from(spread.sample));
        // The root is taken of the rounded variance, and has as many decimals.
        let variance = Numeric::from_big(numerator, 2 * dscale).div(&Numeric::from_big(pairs, 0));
        Some(variance.map(|variance| match spread.deviation {
            true => variance.root(variance.dscale()).unwrap_or(Numeric::NAN),
            false => variance,
        }))
    }

    /// Bytes owned on the heap, for memory accounts.
    pub fn heap_size(&self) -> usize {
        let spilled = if self.squares.spilled() { self.squares.capacity() * size_of::<(u16, Total)>() } else { 0 };
        self.sum.heap_size() + spilled + self.squares.iter().map(|(_, total)| total.heap_size()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VARIANCE: Spread = Spread { deviation: false, sample: true };

    fn of(values: &[(&str, i64)]) -> NumericSpread {
        let mut state = NumericSpread::default();
        for (value, weight) in values {
            state.add(&Numeric::parse(value).unwrap(), *weight);
        }
        state
    }

    fn shown(state: &NumericSpread, spread: Spread) -> Option<String> {
        state.value(spread).map(|value| value.unwrap().to_string())
    }

    /// As PostgreSQL 15 prints them.
    #[test]
    fn as_postgres() {
        let state = of(&[("1", 1), ("2", 1), ("4", 1)]);
        assert_eq!(shown(&state, VARIANCE).as_deref(), Some("2.3333333333333333"));
        assert_eq!(shown(&state, Spread { deviation: true, sample: true }).as_deref(), Some("1.5275252316519467"));
        assert_eq!(shown(&of(&[("7", 1)]), VARIANCE), None);
        assert_eq!(shown(&of(&[("7.50", 2)]), VARIANCE).as_deref(), Some("0"));
        assert_eq!(shown(&of(&[("Infinity", 1), ("1", 1)]), VARIANCE).as_deref(), Some("NaN"));
    }

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let mut state = of(&[("1.5", 1), ("1e30", 2), ("NaN", 1), ("0.00001", 1)]);
        for (value, weight) in [("NaN", -1), ("1e30", -2), ("0.00001", -1), ("-3", 1)] {
            state.add(&Numeric::parse(value).unwrap(), weight);
        }
        assert_eq!(state, of(&[("1.5", 1), ("-3", 1)]));
    }
}
