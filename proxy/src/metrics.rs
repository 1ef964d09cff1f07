//! Counters a user can see: every fallback has a name. Rendered at `/metrics` in the Prometheus text format.

use dashmap::DashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Process-wide counters; cheap to bump from any session.
#[derive(Default)]
pub struct Metrics {
    /// Statements answered from memory.
    pub answered: AtomicU64,
    /// Statements that mention a stream table and were forwarded, by reason.
    pub forwarded_by_reason: DashMap<&'static str, AtomicU64>,
    /// Statements that mention no stream table.
    pub passed_through: AtomicU64,
    /// Client connections accepted.
    pub connections: AtomicU64,
    /// Committed transactions applied.
    pub commits_applied: AtomicU64,
    /// Row changes applied.
    pub changes_applied: AtomicU64,
    /// Refreshes done, and their total duration in microseconds.
    pub refreshes: AtomicU64,
    pub refresh_micros: AtomicU64,
}

impl Metrics {
    pub fn forwarded(&self, reason: &'static str) {
        self.forwarded_by_reason.entry(reason).or_default().fetch_add(1, Ordering::Relaxed);
    }
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }
}
