//! Exact sums of floating-point numbers that can also be taken back.

/// A sum kept as an expansion of non-overlapping parts (Shewchuk, "Adaptive Precision Floating-Point Arithmetic"),
/// so that subtracting a number that was added leaves no trace and the error does not grow with time: the result is
/// the true sum rounded once. Postgres rounds after every addition, in row order, which no order of ours could follow.
#[derive(Clone, Debug, Default)]
pub struct FloatSum {
    /// Increasing magnitude, no zeros.
    parts: Vec<f64>,
    positive_infinities: i64,
    negative_infinities: i64,
    nans: i64,
    /// The sum of nothing else is one.
    negative_zeros: i64,
    /// The exact sum left the range of float8 while parts were added; only Postgres' own order can decide.
    overflowed: bool,
}

impl FloatSum {
    /// Adds `value` `weight` times (or takes it back).
    pub fn add(&mut self, value: f64, weight: i64) {
        if value.is_nan() {
            self.nans += weight;
        } else if value == f64::INFINITY {
            self.positive_infinities += weight;
        } else if value == f64::NEG_INFINITY {
            self.negative_infinities += weight;
        } else if value == 0.0 {
            self.negative_zeros += if value.is_sign_negative() { weight } else { 0 };
        } else {
            let signed = if weight < 0 { -value } else { value };
            for _ in 0..weight.unsigned_abs() {
                self.add_finite(signed);
            }
        }
    }

    fn add_finite(&mut self, value: f64) {
        let mut carry = value;
        let mut kept = 0;
        for index in 0..self.parts.len() {
            let part = self.parts[index];
            let (sum, error) = two_sum(carry, part);
            if error != 0.0 {
                self.parts[kept] = error;
                kept += 1;
            }
            carry = sum;
        }
        self.parts.truncate(kept);
        if !carry.is_finite() {
            self.overflowed = true;
            self.parts.clear();
        } else if carry != 0.0 {
            self.parts.push(carry);
        }
    }

    /// How many of the values are -0.
    pub fn negative_zeros(&self) -> i64 {
        self.negative_zeros
    }

    /// The sum rounded to nearest, where zeros have no sign; None when it cannot be told (overflow on the way).
    pub fn value(&self) -> Option<f64> {
        if self.nans > 0 || (self.positive_infinities > 0 && self.negative_infinities > 0) {
            return Some(f64::NAN);
        }
        if self.positive_infinities > 0 {
            return Some(f64::INFINITY);
        }
        if self.negative_infinities > 0 {
            return Some(f64::NEG_INFINITY);
        }
        if self.overflowed {
            return None;
        }
        let mut parts = self.parts.iter().rev().copied();
        let mut sum = parts.next().unwrap_or(0.0);
        while let Some(part) = parts.next() {
            let (high, low) = two_sum(sum, part);
            sum = high;
            if low != 0.0 {
                // Exactly half way: the next part decides the direction.
                if let Some(next) = parts.next()
                    && (low > 0.0) == (next > 0.0)
                {
                    let doubled = low * 2.0;
                    if (sum + doubled) - sum == doubled {
                        sum += doubled;
                    }
                }
                break;
            }
        }
        Some(sum)
    }

    pub fn bytes(&self) -> usize {
        self.parts.capacity() * size_of::<f64>()
    }
}

/// Sum and rounding error, exactly (Knuth).
#[inline]
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let b_rounded = sum - a;
    let a_rounded = sum - b_rounded;
    (sum, (a - a_rounded) + (b - b_rounded))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn what_is_taken_back_leaves_no_trace() {
        let mut random = rand::rngs::StdRng::seed_from_u64(7);
        let mut sum = FloatSum::default();
        sum.add(0.1, 1);
        let values: Vec<f64> =
            (0..1000).map(|_| random.random_range(-1.0..1.0) * 10f64.powi(random.random_range(-200..200))).collect();
        values.iter().for_each(|&value| sum.add(value, 1));
        values.iter().rev().for_each(|&value| sum.add(value, -1));
        assert_eq!(sum.value(), Some(0.1));
        assert_eq!(sum.parts, vec![0.1]);
    }

    #[test]
    fn rounds_once() {
        let mut sum = FloatSum::default();
        for value in [1e16, 1.0, 1.0, -1e16] {
            sum.add(value, 1);
        }
        assert_eq!(sum.value(), Some(2.0));
        let mut tenth = FloatSum::default();
        tenth.add(0.1, 10);
        assert_eq!(tenth.value(), Some(1.0));
    }

    #[test]
    fn infinities_and_nan_can_be_taken_back() {
        let mut sum = FloatSum::default();
        sum.add(2.5, 1);
        sum.add(f64::INFINITY, 1);
        assert_eq!(sum.value(), Some(f64::INFINITY));
        sum.add(f64::NEG_INFINITY, 1);
        assert!(sum.value().is_some_and(f64::is_nan));
        sum.add(f64::INFINITY, -1);
        assert_eq!(sum.value(), Some(f64::NEG_INFINITY));
        sum.add(f64::NEG_INFINITY, -1);
        assert_eq!(sum.value(), Some(2.5));
    }

    #[test]
    fn overflow_is_told_not_guessed() {
        let mut sum = FloatSum::default();
        sum.add(f64::MAX, 2);
        assert_eq!(sum.value(), None);
    }
}
