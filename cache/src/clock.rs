//! The values of the server's clock for which rows that depend on it are right.

/// From the first value up to, not including, the second: microseconds since 2000-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClockSpan {
    pub from: i64,
    pub until: i64,
}

impl ClockSpan {
    /// Nothing of the time.
    pub const ALWAYS: ClockSpan = ClockSpan { from: i64::MIN, until: i64::MAX };

    pub fn contains(self, now_micros: i64) -> bool {
        self.from <= now_micros && now_micros < self.until
    }

    /// What both hold for; empty where `from` is not before `until`.
    pub fn intersect(self, other: ClockSpan) -> ClockSpan {
        ClockSpan { from: self.from.max(other.from), until: self.until.min(other.until) }
    }

    pub fn is_always(self) -> bool {
        self == ClockSpan::ALWAYS
    }
}

impl Default for ClockSpan {
    fn default() -> ClockSpan {
        ClockSpan::ALWAYS
    }
}
