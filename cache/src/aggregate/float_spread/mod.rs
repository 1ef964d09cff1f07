//! Variances, covariances and regressions of floating-point numbers, from which rows can be taken back.
//!
//! Postgres updates such a state row by row (Youngs and Cramer; `float8_accum`, `float8_regr_accum`), and another order of
//! rows gives other last digits. Here the sums are exact and the result is the true one, rounded. As with sums, it is given
//! where Postgres' own cannot be farther from it than a tolerance, in whatever order its rows come; Postgres decides the rest.

use super::expansion::Expansion;
use super::float_sum::{FloatSum, Precision};
use weir_planner::plan::PairStatistic;
use weir_planner::value::Spread;
use weir_planner::{EvalError, Value};

/// Magnitudes between which sums of products are exact and none of Postgres' steps leaves the range of float8.
const SMALLEST: f64 = 1e-75;
const LARGEST: f64 = 1e75;
/// The same, of products of two sums of squares.
const PRODUCT: std::ops::Range<f64> = 1e-280..1e280;

/// `var_pop`, `var_samp`, `stddev_pop` and `stddev_samp` of one variable.
#[derive(Clone, Debug, Default)]
pub(super) struct FloatSpread {
    count: i64,
    x: Variable,
}

impl FloatSpread {
    /// Adds `weight` copies, or takes them back.
    pub fn add(&mut self, value: f64, weight: i64) {
        self.count += weight;
        self.x.add(value, weight);
    }

    pub fn value(&self, spread: Spread) -> Value {
        if self.count <= i64::from(spread.sample) {
            return Value::Null;
        }
        let divisor = (self.count - i64::from(spread.sample)) as f64;
        self.x.check().and_then(|()| self.x.centred(self.count).sure()).map_or_else(Value::from, |(sum, _)| {
            let variance = sum / divisor;
            Value::Float8(if spread.deviation { variance.sqrt() } else { variance })
        })
    }

    pub fn bytes(&self) -> usize {
        self.x.bytes()
    }
}

/// `covar_…`, `corr` and `regr_…` of pairs without a NULL.
#[derive(Clone, Debug, Default)]
pub(super) struct FloatPairs {
    count: i64,
    y: Variable,
    x: Variable,
    products: Expansion,
}

impl FloatPairs {
    /// Adds `weight` copies of a pair, or takes them back.
    pub fn add(&mut self, y: f64, x: f64, weight: i64) {
        self.count += weight;
        self.y.add(y, weight);
        self.x.add(x, weight);
        if is_exact(y) && is_exact(x) {
            self.products.add_product(y, x, weight);
        }
    }

    pub fn value(&self, statistic: PairStatistic) -> Value {
        let least = if statistic == PairStatistic::CovarSamp { 2 } else { 1 };
        if self.count < least {
            return Value::Null;
        }
        let value = self.y.check().and_then(|()| self.x.check()).and_then(|()| self.of_known(statistic));
        value.map_or_else(Value::from, |value| value.map_or(Value::Null, Value::Float8))
    }

    /// The statistic of pairs that are all within range, or NaN or infinite; None for NULL.
    fn of_known(&self, statistic: PairStatistic) -> Result<Option<f64>, EvalError> {
        let count = self.count as f64;
        let (x, y) = (self.x.centred(self.count), self.y.centred(self.count));
        let value = match statistic {
            PairStatistic::AvgX => self.x.sum.average(self.count)?,
            PairStatistic::AvgY => self.y.sum.average(self.count)?,
            PairStatistic::Sxx => x.sure()?.0,
            PairStatistic::Syy => y.sure()?.0,
            PairStatistic::Sxy => self.centred_product(x, y)?.sure()?.0,
            PairStatistic::CovarPop => self.centred_product(x, y)?.sure()?.0 / count,
            PairStatistic::CovarSamp => self.centred_product(x, y)?.sure()?.0 / (count - 1.0),
            PairStatistic::Corr | PairStatistic::R2 => return self.correlation(statistic, x, y),
            PairStatistic::Slope | PairStatistic::Intercept => return self.line(statistic, x, y),
        };
        Ok(Some(value))
    }

    /// NULL for vertical lines; for horizontal ones NULL as `corr`, and 1 as `regr_r2`.
    fn correlation(&self, statistic: PairStatistic, x: Centred, y: Centred) -> Result<Option<f64>, EvalError> {
        let is_corr = statistic == PairStatistic::Corr;
        if x == Centred::Zero || (is_corr && y == Centred::Zero) {
            return Ok(None);
        }
        let (sxx, xx_error) = x.sure()?;
        if y == Centred::Zero {
            return Ok(Some(1.0));
        }
        let (syy, yy_error) = y.sure()?;
        let (sxy, xy_error) = self.centred_product(x, y)?.known()?;
        let size = sxx * syy;
        if sxy.is_nan() {
            return Ok(Some(sxy));
        }
        let error = xy_error + (xx_error + yy_error) / 2.0;
        if error > tolerance() / 2.0 || !PRODUCT.contains(&size) {
            return Err(open());
        }
        let corr = sxy / size.sqrt();
        Ok(Some(if is_corr { corr.clamp(-1.0, 1.0) } else { (sxy * sxy / size).min(1.0) }))
    }

    /// `regr_slope` and `regr_intercept`; NULL for vertical lines.
    fn line(&self, statistic: PairStatistic, x: Centred, y: Centred) -> Result<Option<f64>, EvalError> {
        if x == Centred::Zero {
            return Ok(None);
        }
        let (sxx, xx_error) = x.sure()?;
        let (sxy, xy_error) = self.centred_product(x, y)?.known()?;
        let slope = sxy / sxx;
        let slope_error = xx_error + xy_error;
        if statistic == PairStatistic::Slope || slope.is_nan() {
            return if slope_error > tolerance() { Err(open()) } else { Ok(Some(slope)) };
        }
        let count = self.count as f64;
        let (sum_y, sum_x) = (self.y.total()?, self.x.total()?);
        let shift = sum_x * slope;
        let intercept = (sum_y - shift) / count;
        let error = self.y.total_error(self.count)
            + self.x.total_error(self.count) * slope.abs()
            + shift.abs() * (slope_error + f64::EPSILON);
        // (Of a slope that nothing is known of: infinite, or NaN.)
        if error <= tolerance() * (sum_y - shift).abs() { Ok(Some(intercept)) } else { Err(open()) }
    }

    /// Σ (x - x̄)(y - ȳ).
    fn centred_product(&self, x: Centred, y: Centred) -> Result<Centred, EvalError> {
        match (x, y) {
            (Centred::Nan, _) | (_, Centred::Nan) => return Ok(Centred::Nan),
            (Centred::Zero, _) | (_, Centred::Zero) => return Ok(Centred::Zero),
            _ => {}
        }
        let ((sxx, _), (syy, _)) = (x.known()?, y.known()?);
        let sum = centred_sum(self.count, &self.products, &self.x.sum, &self.y.sum).ok_or_else(open)?;
        let steps = steps(self.count) * (self.x.length() * syy.sqrt() + self.y.length() * sxx.sqrt());
        Ok(Centred::Known { sum, error: steps / sum.abs() })
    }

    pub fn bytes(&self) -> usize {
        self.y.bytes() + self.x.bytes() + self.products.bytes()
    }
}

/// Sums of one variable's values and squares.
#[derive(Clone, Debug, Default)]
struct Variable {
    sum: FloatSum,
    squares: Expansion,
    /// How many are NaN or infinite.
    special: i64,
    /// How many are neither that nor among those that are summed.
    outside: i64,
}

impl Variable {
    fn add(&mut self, value: f64, weight: i64) {
        if !value.is_finite() {
            self.special += weight;
            self.sum.add(value, weight);
        } else if is_exact(value) {
            self.sum.add(value, weight);
            self.squares.add_product(value, value, weight);
        } else {
            self.outside += weight;
        }
    }

    /// Beyond the range Postgres may also raise 22003.
    fn check(&self) -> Result<(), EvalError> {
        match self.outside {
            0 => Ok(()),
            _ => Err(EvalError::unsupported("a variance, covariance or regression of very large or very small floats")),
        }
    }

    /// Σ (x - x̄)², of at least one value.
    fn centred(&self, count: i64) -> Centred {
        if self.special > 0 {
            return Centred::Nan;
        }
        let Some(sum) = centred_sum(count, &self.squares, &self.sum, &self.sum) else { return Centred::Open };
        if sum > 0.0 {
            return Centred::Known { sum, error: 2.0 * steps(count) * self.length() / sum.sqrt() };
        }
        // All are one value. Its multiples are exact, or the first three are (2v is, and 3v is rounded once either way):
        // then nothing is ever left of the differences.
        let value = exact_total(&self.sum).map(|sum| sum / count as f64);
        match value {
            Some(value) if count <= 3 || count < (1 << 53) && is_multiple_exact(value, count as u64) => Centred::Zero,
            _ => Centred::Open,
        }
    }

    /// √Σx².
    fn length(&self) -> f64 {
        self.squares.value().map_or(f64::INFINITY, f64::sqrt)
    }

    /// Of finite values.
    fn total(&self) -> Result<f64, EvalError> {
        exact_total(&self.sum).ok_or_else(open)
    }

    /// How far from the total Postgres' can be.
    fn total_error(&self, count: i64) -> f64 {
        steps(count) * (count as f64).sqrt() * self.length()
    }

    fn bytes(&self) -> usize {
        self.sum.bytes() + self.squares.bytes()
    }
}

/// A sum of squares or products of differences from the mean.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Centred {
    /// NaN, in any order of rows.
    Nan,
    /// Exactly 0, in any order of rows.
    Zero,
    /// Which value it is, and how far, relative to it, Postgres' can be.
    Known { sum: f64, error: f64 },
    /// 0, where Postgres may have some rounding error instead.
    Open,
}

impl Centred {
    /// Value and error.
    fn known(self) -> Result<(f64, f64), EvalError> {
        match self {
            Centred::Nan => Ok((f64::NAN, 0.0)),
            Centred::Zero => Ok((0.0, 0.0)),
            Centred::Known { sum, error } => Ok((sum, error)),
            Centred::Open => Err(open()),
        }
    }

    /// The same, of what is within the tolerance.
    fn sure(self) -> Result<(f64, f64), EvalError> {
        // (Of 0 the error is infinite, or NaN.)
        self.known().and_then(|(sum, error)| if error <= tolerance() { Ok((sum, error)) } else { Err(open()) })
    }
}

/// Rounding errors of a sum of `count` numbers, in units of it. The bound on Σ(x - x̄)² by Youngs and Cramer's updates is √2·n of
/// these times √(Σx² Σ(x - x̄)²), as the error of each difference is that of the sum so far; the rest is for the steps that do
/// not add up, and for partial sums that parallel workers put together.
fn steps(count: i64) -> f64 {
    (2.0 * count as f64 + 5.0) * (f64::EPSILON / 2.0)
}

/// `ab - a·b / count`, from exact sums; None beyond the range of float8.
fn centred_sum(count: i64, products: &Expansion, a: &FloatSum, b: &FloatSum) -> Option<f64> {
    let mut scaled = Expansion::default();
    products.parts().iter().for_each(|&part| scaled.add_product(part, count as f64, 1));
    for part in a.parts() {
        b.parts().for_each(|other| scaled.add_product(part, -other, 1));
    }
    scaled.value().map(|sum| sum / count as f64)
}

fn tolerance() -> f64 {
    Precision::Double.tolerance()
}

fn exact_total(sum: &FloatSum) -> Option<f64> {
    let mut exact = Expansion::default();
    sum.parts().for_each(|part| exact.add(part));
    exact.value()
}

fn is_exact(value: f64) -> bool {
    value == 0.0 || (SMALLEST..=LARGEST).contains(&value.abs())
}

/// Whether all multiples of a float up to this one are floats.
fn is_multiple_exact(value: f64, count: u64) -> bool {
    let mantissa = if value == 0.0 { 0 } else { (value.to_bits() & ((1 << 52) - 1)) | 1 << 52 };
    let odd = if mantissa == 0 { 0 } else { mantissa >> mantissa.trailing_zeros() };
    u128::from(odd) * u128::from(count) <= 1 << 53
}

fn open() -> EvalError {
    EvalError::unsettled("a variance, covariance or regression of floats whose digits depend on the order of rows")
}

#[cfg(test)]
mod tests;
