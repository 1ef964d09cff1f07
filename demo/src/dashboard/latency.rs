//! How long reads took, as counts in buckets that double.

use serde_json::{Value as Json, json};
use std::time::Duration;

/// Upper bounds double from 8 µs; the last bucket has none.
const FIRST_BOUND_MICROS: u64 = 8;
const BUCKETS: usize = 16;

/// Counts of latencies by bucket.
#[derive(Clone, Debug, Default)]
pub struct Histogram {
    counts: [u64; BUCKETS],
}

impl Histogram {
    pub fn record(&mut self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        let bucket = (0..BUCKETS - 1).find(|bucket| micros <= bound(*bucket)).unwrap_or(BUCKETS - 1);
        self.counts[bucket] += 1;
    }

    /// `[{"up_to_micros": 8, "count": 3}, …]`; the last bucket has no bound.
    pub fn to_json(&self) -> Json {
        let bucket = |(at, count): (usize, &u64)| json!({ "up_to_micros": (at < BUCKETS - 1).then(|| bound(at)), "count": count });
        Json::Array(self.counts.iter().enumerate().map(bucket).collect())
    }
}

fn bound(bucket: usize) -> u64 {
    FIRST_BOUND_MICROS << bucket
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_has_one_bucket() {
        let mut histogram = Histogram::default();
        for micros in [0, 8, 9, 16, 1_000, u64::MAX / 2] {
            histogram.record(Duration::from_micros(micros));
        }
        assert_eq!(histogram.counts.iter().sum::<u64>(), 6);
        assert_eq!(histogram.counts[0], 2);
        assert_eq!(histogram.counts[1], 2);
        assert_eq!(histogram.counts[7], 1, "1,000 µs is within 1,024 µs");
        assert_eq!(histogram.counts[BUCKETS - 1], 1);
    }
}
