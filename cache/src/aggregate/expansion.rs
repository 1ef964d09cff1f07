//! Exact sums of finite floating-point numbers.

/// A sum of non-overlapping parts (Shewchuk, "Adaptive Precision Floating-Point Arithmetic"): what is subtracted after it was
/// added leaves no trace.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Expansion {
    /// Increasing magnitude, no zeros.
    parts: Vec<f64>,
    /// The exact sum left the range of float8 while numbers were added.
    overflowed: bool,
}

impl Expansion {
    pub fn add(&mut self, value: f64) {
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

    /// Adds `value` `weight` times, or takes it back.
    pub fn add_times(&mut self, value: f64, weight: i64) {
        let signed = if weight < 0 { -value } else { value };
        (0..weight.unsigned_abs()).for_each(|_| self.add(signed));
    }

    /// Adds `a * b` `weight` times; exact where the product is within the range of float8, also 106 bits below it.
    pub fn add_product(&mut self, a: f64, b: f64, weight: i64) {
        let product = a * b;
        self.add_times(product, weight);
        self.add_times(a.mul_add(b, -product), weight);
    }

    /// Numbers whose sum this is.
    pub fn parts(&self) -> &[f64] {
        &self.parts
    }

    /// The sum rounded to nearest, where zeros have no sign; None when it has left the range of float8.
    pub fn value(&self) -> Option<f64> {
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
        let mut sum = Expansion::default();
        sum.add(0.1);
        let values: Vec<f64> =
            (0..1000).map(|_| random.random_range(-1.0..1.0) * 10f64.powi(random.random_range(-200..200))).collect();
        values.iter().for_each(|&value| sum.add(value));
        values.iter().rev().for_each(|&value| sum.add(-value));
        assert_eq!(sum.value(), Some(0.1));
        assert_eq!(sum.parts, vec![0.1]);
    }

    #[test]
    fn rounds_once() {
        let mut sum = Expansion::default();
        [1e16, 1.0, 1.0, -1e16].iter().for_each(|&value| sum.add(value));
        assert_eq!(sum.value(), Some(2.0));
        let mut tenth = Expansion::default();
        tenth.add_times(0.1, 10);
        assert_eq!(tenth.value(), Some(1.0));
    }

    #[test]
    fn products_are_exact() {
        let mut sum = Expansion::default();
        sum.add_product(0.1, 0.1, 3);
        sum.add(-0.010000000000000002);
        sum.add_product(0.1, -0.1, 3);
        assert_eq!(sum.value(), Some(-0.010000000000000002));
    }

    #[test]
    fn overflow_is_told_not_guessed() {
        let mut sum = Expansion::default();
        sum.add_times(f64::MAX, 2);
        assert_eq!(sum.value(), None);
    }
}
