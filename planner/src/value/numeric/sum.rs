//! Retractable sums: `sum(numeric)`, `avg(numeric)`, `sum(int8)`, `avg(integers)` under insertion and deletion.

use super::{Numeric, View, big_pow10, scale_up};
use crate::value::EvalError;
use num_bigint::BigInt;
use smallvec::SmallVec;

/// State of a sum over a bag of numerics from which rows may be taken again.
///
/// Postgres' result shows as many decimals as the widest present input (`numeric_accum`), so the state keeps
/// one exact sum per display scale, and counts NaN and infinities apart. Equal bags have equal results,
/// whatever the history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NumericSum {
    /// One per display scale, in no order; columns with a typmod have exactly one.
    buckets: SmallVec<[Bucket; 1]>,
    nan: i64,
    positive_infinity: i64,
    negative_infinity: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Bucket {
    dscale: u16,
    count: i64,
    total: Total,
}

/// The exact sum of mantissas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Total {
    Small(i128),
    Big(Box<BigInt>),
}

impl Total {
    pub(super) fn is_zero(&self) -> bool {
        matches!(self, Total::Small(0))
    }

    /// Adds `weight` times `m`.
    #[inline]
    pub(super) fn add(&mut self, m: i128, weight: i64) {
        let small = match self {
            Total::Small(total) => match weight {
                1 => total.checked_add(m),
                -1 => total.checked_sub(m),
                _ => m.checked_mul(weight as i128).and_then(|change| total.checked_add(change)),
            },
            Total::Big(_) => None,
        };
        match small {
            Some(total) => *self = Total::Small(total),
            None => self.add_big(BigInt::from(m) * weight),
        }
    }

    pub(super) fn add_big(&mut self, change: BigInt) {
        *self = Total::from_big(self.to_big() + change);
    }

    /// Bytes owned on the heap.
    pub(super) fn heap_size(&self) -> usize {
        match self {
            Total::Small(_) => 0,
            Total::Big(m) => size_of::<BigInt>() + (m.bits() as usize).div_ceil(8),
        }
    }

    pub(super) fn to_big(&self) -> BigInt {
        match self {
            Total::Small(m) => BigInt::from(*m),
            Total::Big(m) => (**m).clone(),
        }
    }

    fn from_big(m: BigInt) -> Total {
        match i128::try_from(&m) {
            Ok(small) => Total::Small(small),
            Err(_) => Total::Big(Box::new(m)),
        }
    }
}

impl NumericSum {
    pub fn new() -> NumericSum {
        NumericSum::default()
    }

    /// Adds `weight` copies of the value; negative weights take copies away.
    #[inline]
    pub fn add(&mut self, value: &Numeric, weight: i64) {
        match value.view() {
            View::Small(m, s) => self.add_mantissa(m, s, weight),
            View::Big(m, s) => {
                let bucket = self.bucket(s);
                bucket.total.add_big(m * weight);
                bucket.count += weight;
                self.drop_empty(s);
            }
            View::NaN => self.nan += weight,
            View::PosInf => self.positive_infinity += weight,
            View::NegInf => self.negative_infinity += weight,
        }
    }

    /// Adds `weight` copies of an integer (`sum(int8)`, `avg(int)`).
    #[inline]
    pub fn add_integer(&mut self, value: i64, weight: i64) {
        self.add_mantissa(value as i128, 0, weight);
    }

    /// Adds `count` values of one display scale whose mantissas have this sum.
    pub fn add_total(&mut self, count: i64, total: i128, dscale: u16) {
        if count == 0 {
            return;
        }
        let bucket = self.bucket(dscale);
        bucket.count += count;
        bucket.total.add(total, 1);
        self.drop_empty(dscale);
    }

    /// Adds everything the other state holds.
    pub fn merge(&mut self, other: &NumericSum) {
        for theirs in &other.buckets {
            let bucket = self.bucket(theirs.dscale);
            bucket.total = match (&bucket.total, &theirs.total) {
                (Total::Small(a), Total::Small(b)) if a.checked_add(*b).is_some() => Total::Small(a + b),
                (a, b) => Total::from_big(a.to_big() + b.to_big()),
            };
            bucket.count += theirs.count;
            self.drop_empty(theirs.dscale);
        }
        self.nan += other.nan;
        self.positive_infinity += other.positive_infinity;
        self.negative_infinity += other.negative_infinity;
    }

    #[inline]
    fn add_mantissa(&mut self, m: i128, dscale: u16, weight: i64) {
        let bucket = self.bucket(dscale);
        bucket.count += weight;
        bucket.total.add(m, weight);
        if bucket.count == 0 {
            self.drop_empty(dscale);
        }
    }

    #[inline]
    fn bucket(&mut self, dscale: u16) -> &mut Bucket {
        let at = match self.buckets.iter().position(|bucket| bucket.dscale == dscale) {
            Some(at) => at,
            None => {
                self.buckets.push(Bucket { dscale, count: 0, total: Total::Small(0) });
                self.buckets.len() - 1
            }
        };
        &mut self.buckets[at]
    }

    fn drop_empty(&mut self, dscale: u16) {
        self.buckets.retain(|bucket| bucket.dscale != dscale || bucket.count != 0 || !bucket.total.is_zero());
    }

    /// Number of inputs present.
    #[inline]
    pub fn count(&self) -> i64 {
        self.buckets.iter().map(|bucket| bucket.count).sum::<i64>()
            + self.nan
            + self.positive_infinity
            + self.negative_infinity
    }

    #[inline]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// `numeric_sum` (also `int8_sum` by way of numeric): `None` over no inputs, which is SQL's NULL.
    pub fn sum(&self) -> Option<Result<Numeric, EvalError>> {
        if self.is_empty() {
            return None;
        }
        if self.nan != 0 || (self.positive_infinity != 0 && self.negative_infinity != 0) {
            return Some(Ok(Numeric::NAN));
        }
        if self.positive_infinity != 0 {
            return Some(Ok(Numeric::INFINITY));
        }
        if self.negative_infinity != 0 {
            return Some(Ok(Numeric::NEG_INFINITY));
        }
        Some(self.total())
    }

    /// `numeric_avg`, `int8_avg`: the sum divided by the count under numeric's division rules.
    pub fn avg(&self) -> Option<Result<Numeric, EvalError>> {
        let count = Numeric::from(self.count());
        Some(self.sum()?.and_then(|sum| if sum.is_finite() { sum.div(&count) } else { Ok(sum) }))
    }

    /// The sum of the finite inputs as a big integer over `10^dscale`, the widest present display scale.
    pub(super) fn exact(&self) -> (BigInt, u16) {
        let dscale = self.buckets.iter().map(|bucket| bucket.dscale).max().unwrap_or(0);
        let sum = self.buckets.iter().map(|bucket| bucket.total.to_big() * big_pow10(dscale - bucket.dscale)).sum();
        (sum, dscale)
    }

    /// NaN or an infinity is present.
    pub(super) fn has_specials(&self) -> bool {
        self.nan != 0 || self.positive_infinity != 0 || self.negative_infinity != 0
    }

    fn total(&self) -> Result<Numeric, EvalError> {
        if let [Bucket { dscale, total: Total::Small(m), .. }] = self.buckets[..] {
            return Ok(Numeric::new(m, dscale));
        }
        let dscale = self.buckets.iter().map(|bucket| bucket.dscale).max().unwrap_or(0);
        let mut small = Some(0i128);
        for bucket in &self.buckets {
            small = match &bucket.total {
                Total::Small(m) => {
                    scale_up(*m, dscale - bucket.dscale).zip(small).and_then(|(m, sum)| sum.checked_add(m))
                }
                Total::Big(_) => None,
            };
        }
        if let Some(m) = small {
            return Ok(Numeric::new(m, dscale));
        }
        let (sum, dscale) = self.exact();
        Numeric::checked_from_big(sum, dscale)
    }

    /// Bytes owned on the heap, for memory accounts.
    pub fn heap_size(&self) -> usize {
        let spilled = if self.buckets.spilled() { self.buckets.capacity() * size_of::<Bucket>() } else { 0 };
        spilled + self.buckets.iter().map(|bucket| bucket.total.heap_size()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(values: &[(&str, i64)]) -> NumericSum {
        let mut sum = NumericSum::new();
        for (value, weight) in values {
            sum.add(&Numeric::parse(value).unwrap(), *weight);
        }
        sum
    }

    #[test]
    fn display_scale_follows_what_is_present() {
        assert_eq!(sum_of(&[("1", 1), ("2.50", 1)]).sum().unwrap().unwrap().to_string(), "3.50");
        assert_eq!(sum_of(&[("1", 1), ("2.50", 1), ("2.50", -1)]).sum().unwrap().unwrap().to_string(), "1");
        assert_eq!(sum_of(&[("1", 1), ("0.000", 1), ("0.000", -1)]).sum().unwrap().unwrap().to_string(), "1");
        assert!(sum_of(&[("1.0", 1), ("1.0", -1)]).sum().is_none());
        // Retraction before insertion passes through a negative count.
        assert_eq!(sum_of(&[("1.0", -1), ("1.0", 1), ("7", 2)]).sum().unwrap().unwrap().to_string(), "14");
    }

    #[test]
    fn specials_count() {
        assert!(sum_of(&[("NaN", 1), ("1", 1)]).sum().unwrap().unwrap().is_nan());
        assert_eq!(sum_of(&[("NaN", 1), ("1", 1), ("NaN", -1)]).sum().unwrap().unwrap().to_string(), "1");
        assert!(sum_of(&[("Infinity", 1), ("-Infinity", 1)]).sum().unwrap().unwrap().is_nan());
        assert_eq!(sum_of(&[("Infinity", 1), ("-5", 1)]).avg().unwrap().unwrap().to_string(), "Infinity");
    }

    #[test]
    fn averages_use_the_division_rules() {
        assert_eq!(sum_of(&[("1", 1), ("2", 1), ("2", 1)]).avg().unwrap().unwrap().to_string(), "1.6666666666666667");
        assert_eq!(sum_of(&[("10.00", 3)]).avg().unwrap().unwrap().to_string(), "10.0000000000000000");
    }

    #[test]
    fn totals_beyond_128_bits_come_back() {
        let mut sum = sum_of(&[("170141183460469231731687303715884105727", 3), ("5", 1)]);
        assert_eq!(sum.sum().unwrap().unwrap().to_string(), "510423550381407695195061911147652317186");
        sum.add(&Numeric::parse("170141183460469231731687303715884105727").unwrap(), -3);
        assert_eq!(sum, sum_of(&[("5", 1)]));
    }
}
