//! Sums and averages of floating-point numbers from which rows can be taken back.
//!
//! Postgres rounds after every addition, and another order of rows gives other last digits. Here the sum is exact, so that its
//! error does not grow with time, and the result is the true one, rounded once. It is given where Postgres' own cannot be
//! farther from it than a tolerance, in whatever order its rows come; Postgres decides the rest, as where nearly all of the
//! sum cancels out.

use super::expansion::Expansion;
use weir_planner::EvalError;

/// With which precision Postgres adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Precision {
    /// `sum(float4)`.
    Single,
    Double,
}

/// By how much, relative to its size, a result of float8 may differ from what Postgres computes.
pub const DOUBLE_TOLERANCE: f64 = 1e-9;
/// The same of float4: the digits the type is good for.
pub const SINGLE_TOLERANCE: f64 = 1e-5;

impl Precision {
    pub fn tolerance(self) -> f64 {
        match self {
            Precision::Single => SINGLE_TOLERANCE,
            Precision::Double => DOUBLE_TOLERANCE,
        }
    }

    fn largest(self) -> f64 {
        match self {
            Precision::Single => f64::from(f32::MAX),
            Precision::Double => f64::MAX,
        }
    }

    /// The rounding error of one addition, relative to its result.
    fn unit(self) -> f64 {
        match self {
            Precision::Single => f64::from(f32::EPSILON) / 2.0,
            Precision::Double => f64::EPSILON / 2.0,
        }
    }

    /// Up to which size of all its values together a sum of multiples of [`GRID`] is exact in every order.
    fn exact_below(self) -> f64 {
        GRID / (2.0 * self.unit())
    }
}

/// Halves, quarters and eighths are multiples of it.
const GRID: f64 = 1.0 / 256.0;
/// Up to which size Postgres' squares, which it also computes for averages, stay in the range of float8.
const LARGEST_SQUARED: f64 = 1e100;

/// The sum of a bag of numbers.
#[derive(Clone, Debug, Default)]
pub(super) struct FloatSum {
    positive: Expansion,
    negative: Expansion,
    /// How many values are finite.
    finite: i64,
    positive_infinities: i64,
    negative_infinities: i64,
    nans: i64,
    /// The sum of nothing else is one.
    negative_zeros: i64,
    /// How many are no multiple of [`GRID`].
    off_grid: i64,
    /// How many are beyond [`LARGEST_SQUARED`].
    large: i64,
}

impl FloatSum {
    /// Adds `value` `weight` times, or takes it back.
    pub fn add(&mut self, value: f64, weight: i64) {
        if value.is_nan() {
            self.nans += weight;
            return;
        } else if value == f64::INFINITY {
            self.positive_infinities += weight;
            return;
        } else if value == f64::NEG_INFINITY {
            self.negative_infinities += weight;
            return;
        }
        self.finite += weight;
        if value == 0.0 {
            self.negative_zeros += if value.is_sign_negative() { weight } else { 0 };
            return;
        }
        let sum = if value > 0.0 { &mut self.positive } else { &mut self.negative };
        sum.add_times(value, weight);
        if (value / GRID).fract() != 0.0 {
            self.off_grid += weight;
        }
        if value.abs() > LARGEST_SQUARED {
            self.large += weight;
        }
    }

    /// Numbers whose exact sum is that of the finite values.
    pub fn parts(&self) -> impl Iterator<Item = f64> + Clone {
        self.positive.parts().iter().chain(self.negative.parts()).copied()
    }

    /// The sum of at least one value. Errors: 22003 where it may leave the range of float8 on the way, unsettled where it depends on
    /// the order of rows.
    pub fn value(&self, precision: Precision) -> Result<f64, EvalError> {
        if self.nans > 0 || (self.positive_infinities > 0 && self.negative_infinities > 0) {
            return Ok(f64::NAN);
        }
        if self.positive_infinities > 0 {
            return Ok(f64::INFINITY);
        }
        if self.negative_infinities > 0 {
            return Ok(f64::NEG_INFINITY);
        }
        if self.negative_zeros > 0 && self.negative_zeros == self.finite {
            return Ok(-0.0);
        }
        // What is added up on the way is somewhere between these.
        let in_range = |sum: f64| (sum.abs() <= precision.largest()).then_some(sum);
        let sides = (self.positive.value().and_then(in_range), self.negative.value().and_then(in_range));
        let (Some(positive), Some(negative)) = sides else {
            return Err(EvalError::out_of_range("value out of range: overflow"));
        };
        let mut sum = self.positive.clone();
        self.negative.parts().iter().for_each(|&part| sum.add(part));
        let sum = sum.value().unwrap_or(f64::NAN);
        let size = positive - negative;
        let is_exact = self.off_grid == 0 && size <= precision.exact_below();
        let error = self.finite as f64 * precision.unit() * size;
        match is_exact || error <= precision.tolerance() * sum.abs() {
            true => Ok(sum),
            false => Err(EvalError::unsettled("a sum of floats whose digits depend on the order of rows")),
        }
    }

    /// The average of `count` values.
    pub fn average(&self, count: i64) -> Result<f64, EvalError> {
        if self.large > 0 && count > 1 {
            return Err(EvalError::unsupported("an average of floats beyond 1e100"));
        }
        // (It begins with 0 and is never -0.)
        self.value(Precision::Double).map(|sum| (sum + 0.0) / count as f64)
    }

    pub fn bytes(&self) -> usize {
        self.positive.bytes() + self.negative.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};

    fn double(sum: &FloatSum) -> Option<f64> {
        sum.value(Precision::Double).ok()
    }

    #[test]
    fn infinities_and_nan_can_be_taken_back() {
        let mut sum = FloatSum::default();
        sum.add(2.5, 1);
        sum.add(f64::INFINITY, 1);
        assert_eq!(double(&sum), Some(f64::INFINITY));
        sum.add(f64::NEG_INFINITY, 1);
        assert!(double(&sum).is_some_and(f64::is_nan));
        sum.add(f64::INFINITY, -1);
        assert_eq!(double(&sum), Some(f64::NEG_INFINITY));
        sum.add(f64::NEG_INFINITY, -1);
        assert_eq!(double(&sum), Some(2.5));
    }

    #[test]
    fn what_cancels_out_is_not_guessed() {
        let mut sum = FloatSum::default();
        [1e16, 1.0, -1e16].iter().for_each(|&value| sum.add(value, 1));
        assert_eq!(double(&sum), None);
        let mut cents = FloatSum::default();
        [0.1, 0.2, -0.3].iter().for_each(|&value| cents.add(value, 1));
        assert_eq!(double(&cents), None);
        cents.add(1.0, 1);
        assert_eq!(double(&cents), Some(1.0));
        let mut halves = FloatSum::default();
        [1.5, -2.25, 0.75].iter().for_each(|&value| halves.add(value, 1));
        assert_eq!(double(&halves), Some(0.0));
        assert_eq!(halves.value(Precision::Single).ok(), Some(0.0));
    }

    #[test]
    fn overflow_is_told_not_guessed() {
        let mut sum = FloatSum::default();
        sum.add(f64::MAX, 2);
        assert_eq!(double(&sum), None);
        // In float4 it depends on the order.
        let mut wide = FloatSum::default();
        [3e38, 3e38, -3e38].iter().for_each(|&value| wide.add(value, 1));
        assert_eq!((wide.value(Precision::Single).ok(), double(&wide)), (None, Some(3e38)));
        let mut squares = FloatSum::default();
        squares.add(1e200, 1);
        assert_eq!(squares.average(1).ok(), Some(1e200));
        squares.add(3e200, 1);
        assert_eq!((squares.average(2).ok(), double(&squares)), (None, Some(4e200)));
    }

    /// In whatever order Postgres adds.
    #[test]
    fn what_is_given_is_what_postgres_adds_up() {
        let seed: u64 = rand::random();
        println!("seed {seed}");
        let mut random = StdRng::seed_from_u64(seed);
        let (mut given, mut asked) = ([0, 0], 0);
        for _ in 0..2000 {
            let kind = random.random_range(0..4);
            let count = [1, 2, 5, 100, 1000][random.random_range(0..5)];
            let mut values: Vec<f32> = (0..count)
                .map(|_| match kind {
                    0 => random.random_range(-40..40) as f32 / 8.0,
                    1 => random.random_range(0.0..100.0),
                    2 => random.random_range(-1.0..1.0),
                    _ => random.random_range(-1.0..1.0) * 10f32.powi(random.random_range(-9..9)),
                })
                .collect();
            let mut sum = FloatSum::default();
            values.iter().for_each(|&value| sum.add(f64::from(value), 1));
            for _ in 0..3 {
                asked += 1;
                values.shuffle(&mut random);
                let wide = values.iter().map(|&value| f64::from(value)).sum::<f64>();
                let narrow = f64::from(values.iter().sum::<f32>());
                for (at, (precision, postgres)) in
                    [(Precision::Double, wide), (Precision::Single, narrow)].into_iter().enumerate()
                {
                    let Ok(value) = sum.value(precision) else { continue };
                    given[at] += 1;
                    let allowed = precision.tolerance() * value.abs() * (1.0 + 1e-3);
                    assert!((value - postgres).abs() <= allowed, "{value} for {postgres} of {values:?}");
                    assert!(kind > 0 || value == postgres, "{value} for {postgres} of {values:?}");
                }
            }
        }
        assert!(given[0] * 10 > asked * 8 && given[1] * 10 > asked * 3, "{given:?} of {asked}");
    }
}
