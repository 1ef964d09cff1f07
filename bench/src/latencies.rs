//! Latencies as clients saw them.

use std::time::Duration;

/// Latencies of one or several slices.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    micros: Vec<f64>,
    elapsed: Duration,
}

impl Latencies {
    /// Latencies in microseconds, seen within `elapsed` by however many clients.
    pub fn seen(micros: Vec<f64>, elapsed: Duration) -> Latencies {
        Latencies { micros, elapsed }
    }

    pub fn add(&mut self, other: Latencies) {
        self.micros.extend(other.micros);
        self.elapsed += other.elapsed;
    }

    /// One more, of a single client.
    pub fn record(&mut self, latency: Duration) {
        self.micros.push(latency.as_secs_f64() * 1e6);
        self.elapsed += latency;
    }

    /// Microseconds below which `share` of the latencies lie.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            count => sorted[((count as f64 * share) as usize).min(count - 1)],
        }
    }

    /// Statements per second.
    pub fn throughput(&self) -> f64 {
        self.micros.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub fn count(&self) -> usize {
        self.micros.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_and_throughput() {
        let mut latencies = Latencies::default();
        [100, 300, 200, 400].into_iter().for_each(|micros| latencies.record(Duration::from_micros(micros)));
        assert_eq!(latencies.quantile(0.5), 300.0);
        assert_eq!(latencies.throughput(), 4000.0);
    }
}
