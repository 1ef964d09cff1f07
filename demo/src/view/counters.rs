//! Weir's counters, from `/metrics` (Prometheus text format).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(2);

/// Samples by name and labels, as they are written: `weir_forwarded_total{reason="…"}`.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    samples: BTreeMap<String, f64>,
}

impl Counters {
    /// GET /metrics.
    pub fn fetch(address: &str) -> io::Result<Counters> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.write_all(format!("GET /metrics HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        match answer.split_once("\r\n\r\n") {
            Some((head, body)) if head.split(' ').nth(1) == Some("200") => Ok(Counters::parse(body)),
            _ => Err(io::Error::other("no metrics")),
        }
    }

    fn parse(text: &str) -> Counters {
        let sample = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        Counters { samples: text.lines().filter(|line| !line.starts_with('#')).filter_map(sample).collect() }
    }

    /// The sum of all samples of a metric, whatever their labels.
    pub fn total(&self, metric: &str) -> f64 {
        let of = |name: &str| name == metric || name.strip_prefix(metric).is_some_and(|rest| rest.starts_with('{'));
        self.samples.iter().filter(|(name, _)| of(name)).fold(0.0, |sum, (_, value)| sum + value)
    }

    /// Samples of a metric with a label's value, largest first.
    fn by_label(&self, metric: &str, label: &str) -> Vec<(String, f64)> {
        let prefix = format!("{metric}{{");
        let mut found: Vec<_> = self
            .samples
            .iter()
            .filter_map(|(name, value)| {
                let labels = name.strip_prefix(&prefix)?;
                let (_, rest) = labels.split_once(&format!("{label}=\""))?;
                Some((rest.split('"').next()?.to_owned(), *value))
            })
            .collect();
        found.sort_by(|left, right| right.1.total_cmp(&left.1));
        found
    }

    /// Counts by the bounds of Weir's buckets: `[{"up_to_micros": 64, "count": 3}, …]`; the last bucket has no bound.
    fn commit_to_visible(&self) -> Vec<serde_json::Value> {
        let mut buckets: Vec<(Option<u64>, f64)> = self
            .by_label(COMMIT_TO_VISIBLE, "le")
            .into_iter()
            .map(|(bound, count)| (bound.parse().ok(), count))
            .collect();
        buckets.sort_by_key(|(bound, _)| bound.unwrap_or(u64::MAX));
        // Each of Weir's buckets counts those below it, too.
        let mut below = 0.0;
        let bucket = |(bound, count): (Option<u64>, f64)| serde_json::json!({ "up_to_micros": bound, "count": count - std::mem::replace(&mut below, count) });
        buckets.into_iter().map(bucket).collect()
    }

    /// Totals, and the forwarded statements by reason, most frequent first.
    pub fn to_json(&self) -> serde_json::Value {
        let reasons: Vec<_> = self
            .by_label(FORWARDED, "reason")
            .into_iter()
            .map(|(reason, count)| serde_json::json!({ "reason": reason, "count": count }))
            .collect();
        serde_json::json!({
            "answered": self.total(ANSWERED), "forwarded": self.total(FORWARDED), "passed_through": self.total(PASSED),
            "commits": self.total(COMMITS), "forwarded_by_reason": reasons, "subscriptions": self.total(SUBSCRIPTIONS),
            "subscription_rows": self.total(SUBSCRIPTION_ROWS), "commit_to_visible": self.commit_to_visible(),
        })
    }

    /// One line for the screen.
    pub fn line(&self, before: Option<&(Instant, Counters)>) -> String {
        let rate = |metric: &str| {
            let Some((at, before)) = before else { return String::new() };
            let passed = at.elapsed().as_secs_f64().max(1e-3);
            format!(" ({:.0}/s)", (self.total(metric) - before.total(metric)) / passed)
        };
        let reasons: Vec<_> = self
            .by_label(FORWARDED, "reason")
            .into_iter()
            .take(3)
            .map(|(reason, count)| format!("{reason} {count}"))
            .collect();
        format!(
            "from memory {}{}   forwarded {}{}   passed through {}{}   commits applied {}{}",
            self.total(ANSWERED),
            rate(ANSWERED),
            self.total(FORWARDED),
            if reasons.is_empty() { String::new() } else { format!(": {}", reasons.join(", ")) },
            self.total(PASSED),
            rate(PASSED),
            self.total(COMMITS),
            rate(COMMITS),
        )
    }
}

const ANSWERED: &str = "weir_statements_answered_total";
const FORWARDED: &str = "weir_statements_forwarded_total";
const PASSED: &str = "weir_statements_passed_total";
const COMMITS: &str = "weir_commits_applied_total";
const SUBSCRIPTIONS: &str = "weir_subscriptions_total";
const SUBSCRIPTION_ROWS: &str = "weir_subscription_rows_total";
const COMMIT_TO_VISIBLE: &str = "weir_commit_to_visible_microseconds_bucket";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_summed_and_sorted() {
        let text = "# HELP x\nweir_forwarded_total{reason=\"a\"} 2\nweir_forwarded_total{reason=\"b\"} 3\nother 1\n";
        let counters = Counters::parse(text);
        assert_eq!(counters.total("weir_forwarded_total"), 5.0);
        assert_eq!(counters.by_label("weir_forwarded_total", "reason")[0], ("b".to_owned(), 3.0));
        assert_eq!(counters.total("weir_forwarded"), 0.0);
        let text = format!("{0}{{le=\"128\"}} 5\n{0}{{le=\"64\"}} 2\n{0}{{le=\"+Inf\"}} 6\n", COMMIT_TO_VISIBLE);
        let counts: Vec<_> =
            Counters::parse(&text).commit_to_visible().iter().map(|bucket| bucket["count"].as_f64()).collect();
        assert_eq!(counts, [Some(2.0), Some(3.0), Some(1.0)]);
    }
}
