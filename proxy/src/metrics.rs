//! Counters a user can see: every fallback has a name. Rendered at `/metrics` in the Prometheus text format.

use dashmap::DashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Parts of a counter that every statement bumps. Threads share them in turn, so more cores than this contend a little.
const PARTS: usize = 16;

/// A counter that threads on different cores bump without handing one cache line to and fro.
#[derive(Default)]
pub struct Counter {
    parts: [Part; PARTS],
}

/// Aligned so that no two lie in one cache line, nor in a pair of lines that is fetched together.
#[derive(Default)]
#[repr(align(128))]
struct Part(AtomicU64);

impl Counter {
    pub fn add(&self, n: u64) {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static PART: usize = THREADS.fetch_add(1, Ordering::Relaxed) % PARTS;
        }
        PART.with(|part| self.parts[*part].0.fetch_add(n, Ordering::Relaxed));
    }
    pub fn get(&self) -> u64 {
        self.parts.iter().map(|part| part.0.load(Ordering::Relaxed)).sum()
    }
}

/// Upper bounds of [`Histogram`]'s buckets in microseconds: they double from 64 µs to a minute; the last bucket has none.
const FIRST_BOUND_MICROS: u64 = 64;
const BUCKETS: usize = 22;

/// Times by size. One thread writes it.
#[derive(Default)]
pub struct Histogram {
    counts: [AtomicU64; BUCKETS],
    sum_micros: AtomicU64,
}

impl Histogram {
    pub fn record(&self, micros: u64) {
        let bucket = (0..BUCKETS - 1).find(|at| micros <= FIRST_BOUND_MICROS << at).unwrap_or(BUCKETS - 1);
        self.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }

    /// In the Prometheus text format, where each bucket counts all that are smaller, too.
    fn render(&self, name: &str, help: &str, out: &mut String) {
        use std::fmt::Write;
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} histogram\n");
        let mut total = 0;
        for (at, count) in self.counts.iter().enumerate() {
            total += count.load(Ordering::Relaxed);
            let _ = match at < BUCKETS - 1 {
                true => writeln!(out, "{name}_bucket{{le=\"{}\"}} {total}", FIRST_BOUND_MICROS << at),
                false => writeln!(out, "{name}_bucket{{le=\"+Inf\"}} {total}"),
            };
        }
        let sum = self.sum_micros.load(Ordering::Relaxed);
        let _ = write!(out, "{name}_sum {sum}\n{name}_count {total}\n");
    }
}

/// Process-wide counters; cheap to bump from any session.
#[derive(Default)]
pub struct Metrics {
    /// Statements answered from memory.
    pub answered: Counter,
    /// Executions on threads of their own, because they look at many rows.
    pub executed_elsewhere: Counter,
    /// Statements that mention a stream table and were forwarded, by reason.
    pub forwarded_by_reason: DashMap<&'static str, AtomicU64>,
    /// Statements that mention no stream table.
    pub passed_through: Counter,
    /// Subscriptions begun, and rows that ended ones were told.
    pub subscriptions: AtomicU64,
    pub subscription_rows: AtomicU64,
    /// Statements analysed, successfully or not.
    pub analyses: AtomicU64,
    /// Client connections accepted.
    pub connections: AtomicU64,
    /// Committed transactions applied.
    pub commits_applied: AtomicU64,
    /// Row changes applied.
    pub changes_applied: AtomicU64,
    /// Refreshes done, and their total duration in microseconds.
    pub refreshes: AtomicU64,
    pub refresh_micros: AtomicU64,
    /// Time in the engine, in nanoseconds: taking commits in, and the operators' part of refreshes.
    pub engine_nanos: AtomicU64,
    /// Rows that refreshes added to or removed from views.
    pub rows_changed: AtomicU64,
    /// Old and new rows of changes that nobody needs: no condition over their table lets them through, or nothing that is
    /// read differs.
    pub rows_left_out: AtomicU64,
    /// Base tables whose rows were let go, ever and at present.
    pub tables_let_go: AtomicU64,
    pub base_tables_let_go: AtomicU64,
    /// From a commit, by the server's clock, to the publication of a snapshot that has it, by this machine's.
    pub commit_to_visible: Histogram,
}

impl Metrics {
    pub fn forwarded(&self, reason: &'static str) {
        match self.forwarded_by_reason.get(reason) {
            Some(count) => count.fetch_add(1, Ordering::Relaxed),
            None => self.forwarded_by_reason.entry(reason).or_default().fetch_add(1, Ordering::Relaxed),
        };
    }
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}

impl Metrics {
    /// The Prometheus text format (exposition format 0.0.4).
    pub fn render(&self) -> String {
        use std::fmt::Write;
        let mut out = String::new();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let plain = [
            ("weir_statements_answered_total", "Statements answered from memory.", self.answered.get()),
            (
                "weir_reads_executed_elsewhere_total",
                "Reads from memory that looked at so many rows that they were executed beside the sessions' threads.",
                self.executed_elsewhere.get(),
            ),
            ("weir_statements_passed_total", "Statements that mention no stream table.", self.passed_through.get()),
            ("weir_client_connections_total", "Client connections accepted.", get(&self.connections)),
            ("weir_subscriptions_total", "Subscriptions begun.", get(&self.subscriptions)),
            (
                "weir_subscription_rows_total",
                "Rows and changes that subscribers were told.",
                get(&self.subscription_rows),
            ),
            ("weir_commits_applied_total", "Committed transactions applied.", get(&self.commits_applied)),
            ("weir_changes_applied_total", "Row changes applied.", get(&self.changes_applied)),
            ("weir_refreshes_total", "Refreshes done.", get(&self.refreshes)),
            ("weir_refresh_microseconds_total", "Time spent in refreshes.", get(&self.refresh_micros)),
            (
                "weir_engine_nanoseconds_total",
                "Time spent in the engine: taking commits in, and the operators' part of refreshes.",
                get(&self.engine_nanos),
            ),
            (
                "weir_rows_left_out_total",
                "Old and new rows of changes left out: no condition over their table passes them, or nothing that is read differs.",
                get(&self.rows_left_out),
            ),
            ("weir_base_tables_let_go_total", "Times that a base table's rows were let go.", get(&self.tables_let_go)),
            ("weir_rows_changed_total", "Rows added to or removed from views.", get(&self.rows_changed)),
        ];
        for (name, help, value) in plain {
            // Writing to a String does not fail.
            let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n");
        }
        let (name, help) = ("weir_base_tables_let_go", "Base tables whose rows are not kept at present.");
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {}\n", get(&self.base_tables_let_go));
        let help = "Time from a commit to the publication of a snapshot with it.";
        self.commit_to_visible.render("weir_commit_to_visible_microseconds", help, &mut out);
        let name = "weir_statements_forwarded_total";
        let help = "Statements that mention a stream table and were forwarded, by reason.";
        let _ = write!(out, "# HELP {name} {help}\n# TYPE {name} counter\n");
        for (reason, count) in self.forwarded_counts() {
            let _ = writeln!(out, "{name}{{reason=\"{reason}\"}} {count}");
        }
        out
    }

    /// Forwarded statements per reason, by name.
    pub fn forwarded_counts(&self) -> Vec<(&'static str, u64)> {
        let mut counts: Vec<_> =
            self.forwarded_by_reason.iter().map(|e| (*e.key(), e.value().load(Ordering::Relaxed))).collect();
        counts.sort_unstable();
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let metrics = Metrics::default();
        metrics.forwarded("behind");
        metrics.forwarded("behind");
        metrics.answered.add(3);
        [0, 64, 65, u64::MAX / 2].iter().for_each(|micros| metrics.commit_to_visible.record(*micros));
        let text = metrics.render();
        assert!(text.contains("weir_statements_answered_total 3\n"));
        assert!(text.contains("_bucket{le=\"64\"} 2\n") && text.contains("_bucket{le=\"128\"} 3\n"), "{text}");
        assert!(text.contains("_bucket{le=\"+Inf\"} 4\n") && text.contains("_count 4\n"), "{text}");
        assert!(text.contains("weir_statements_forwarded_total{reason=\"behind\"} 2\n"));
        for line in text.lines().filter(|line| !line.starts_with("# ")) {
            let (_, value) = line.rsplit_once(' ').expect("a sample has a value");
            value.parse::<u64>().expect("a counter is a number");
        }
    }

    #[test]
    fn a_counter_is_the_sum_over_all_threads() {
        let counter = Counter::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| (0..1000).for_each(|_| counter.add(2)));
            }
        });
        assert_eq!(counter.get(), 2 * PARTS as u64 * 2000);
    }
}
