//! How much work the engine thread takes in before a step.

use std::time::Duration;

/// Work taken in before a step: bounds how long a reader waits behind a burst.
const WORK: usize = 256;
/// Taking in work for longer than this ends the intake of a step.
const TIME: Duration = Duration::from_millis(3);

/// A step that rewrites a large table takes seconds, whatever it has to catch up with: behind a backlog there must be few
/// of them, not one for every few milliseconds of commits. So after a long step as much time goes to intake, and a reader
/// waits at most twice as long.
pub(super) struct IntakeLimit {
    work: usize,
    time: Duration,
}

impl IntakeLimit {
    pub(super) fn after(last_step: Duration) -> IntakeLimit {
        let work = if last_step > TIME { usize::MAX } else { WORK };
        IntakeLimit { work, time: TIME.max(last_step) }
    }

    pub(super) fn is_reached(&self, taken: usize, spent: Duration) -> bool {
        taken >= self.work || spent > self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_step_is_followed_by_a_long_intake() {
        let short = IntakeLimit::after(Duration::from_micros(40));
        assert!(short.is_reached(WORK, Duration::ZERO) && short.is_reached(1, TIME * 2));
        assert!(!short.is_reached(WORK - 1, TIME));
        let long = IntakeLimit::after(Duration::from_secs(10));
        assert!(!long.is_reached(WORK * 1000, Duration::from_secs(10)));
        assert!(long.is_reached(1, Duration::from_secs(11)));
    }
}
