//! How far the stream is, for readers who wait: asks the server for a keepalive, at most one at a time, and when the
//! server cannot say yet (its WAL is not flushed so far: asynchronous commit, a record that ends on the next page) pushes
//! it with one transactional logical message, which flushes everything before it.

use crate::control::{ControlError, Standing};
use std::time::{Duration, Instant};
use weir_cache::Position;

/// Answers below the wanted position before the server is pushed. Each takes a round trip (0.05–0.1 ms), in which a
/// commit that is just being flushed arrives by itself.
const ANSWERS_BEFORE_PUSH: u32 = 3;

/// From then on: asks no faster than this, pushes no faster than that.
const ASK_PAUSE: Duration = Duration::from_millis(1);
const PUSH_PAUSE: Duration = Duration::from_millis(20);

/// A position that is not reached in this time is beyond the server's WAL (of another timeline, say) and is forgotten.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// Prefix of the pushing message; not a mark.
const PUSH_PREFIX: &str = "weir-frontier";

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Nothing,
    /// Ask the server for a keepalive.
    Ask,
    /// Ask, and emit the pushing message.
    AskAndPush,
    /// Come back then.
    WaitUntil(Instant),
}

/// The wishes of all readers, coalesced.
#[derive(Debug, Default)]
pub(super) struct FrontierRequests {
    /// Someone wants to know, whatever the answer.
    once: bool,
    /// Someone wants at least this; and since when the furthest has been wanted.
    target: Option<(Position, Instant)>,
    in_flight: bool,
    answers_below: u32,
    answered: Option<Instant>,
    pushed: Option<Instant>,
}

impl FrontierRequests {
    pub(super) fn request(&mut self) {
        self.once = true;
    }

    pub(super) fn reach(&mut self, position: Position, received: Position, now: Instant) {
        if position > received && self.target.is_none_or(|(target, _)| position > target) {
            // Readers that keep coming must not put off the push that the first of them needs.
            if self.target.is_none() {
                self.answers_below = 0;
            }
            self.target = Some((position, now));
        }
    }

    /// The stream has been received up to here; `answer`: by a keepalive that was asked for.
    pub(super) fn received(&mut self, position: Position, answer: bool, now: Instant) {
        if answer {
            self.in_flight = false;
            self.answers_below += 1;
            self.answered = Some(now);
        }
        if self.target.is_some_and(|(target, since)| target <= position || now - since > GIVE_UP_AFTER) {
            self.target = None;
        }
    }

    /// The next step; noted as taken.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if self.in_flight {
            return Step::Nothing;
        }
        if self.target.is_some() && self.answers_below >= ANSWERS_BEFORE_PUSH {
            let due = self.answered.map_or(now, |answered| answered + ASK_PAUSE);
            if due > now {
                return Step::WaitUntil(due);
            }
            self.in_flight = true;
            self.once = false;
            if self.pushed.is_none_or(|pushed| now - pushed >= PUSH_PAUSE) {
                self.pushed = Some(now);
                return Step::AskAndPush;
            }
            return Step::Ask;
        }
        if self.target.is_some() || self.once {
            self.in_flight = true;
            self.once = false;
            return Step::Ask;
        }
        Step::Nothing
    }
}

/// Flushes the WAL up to now. Does not wait for standbys.
pub(super) async fn push(control: &Standing) -> Result<(), ControlError> {
    let client = control.client().await?;
    let text = format!("SET synchronous_commit = local; SELECT pg_logical_emit_message(true, '{PUSH_PREFIX}', '')");
    client.batch_execute(&text).await?;
    Ok(())
}

/// Most bytes the WAL is brought forward by: a session whose bookmark lies further is told to ask Postgres, once.
const LONGEST_PASS: u64 = 1 << 20;

/// Writes as many bytes of WAL as `behind` says are wanted at the insert position.
pub(super) async fn pass(control: &Standing, behind: impl Fn(Position) -> u64) -> Result<(), ControlError> {
    let client = control.client().await?;
    let row = client.query_one("SELECT pg_current_wal_insert_lsn()::text", &[]).await?;
    let insert: Position = row.try_get::<_, String>(0)?.parse().unwrap_or_default();
    let bytes = behind(insert).min(LONGEST_PASS);
    if bytes > 0 {
        let text = format!("SELECT pg_logical_emit_message(true, '{PUSH_PREFIX}', repeat(' ', {bytes}))");
        client.batch_execute(&text).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_request_in_flight_whoever_asks() {
        let (mut requests, now) = (FrontierRequests::default(), Instant::now());
        assert_eq!(requests.step(now), Step::Nothing);
        requests.request();
        requests.request();
        assert_eq!((requests.step(now), requests.step(now)), (Step::Ask, Step::Nothing));
        // asked again meanwhile: the answer on its way may be too old
        requests.request();
        assert_eq!(requests.step(now), Step::Nothing);
        requests.received(Position(5), true, now);
        assert_eq!((requests.step(now), requests.step(now)), (Step::Ask, Step::Nothing));
    }

    #[test]
    fn a_server_that_stays_behind_is_pushed_once_then_asked_slowly() {
        let (mut requests, now) = (FrontierRequests::default(), Instant::now());
        requests.reach(Position(100), Position(50), now);
        for _ in 0..ANSWERS_BEFORE_PUSH {
            assert_eq!(requests.step(now), Step::Ask);
            requests.received(Position(50), true, now);
        }
        let later = now + ASK_PAUSE;
        assert_eq!((requests.step(now), requests.step(later)), (Step::WaitUntil(later), Step::AskAndPush));
        requests.received(Position(99), true, later);
        assert_eq!(requests.step(later + ASK_PAUSE), Step::Ask);
        requests.received(Position(100), true, later);
        assert_eq!(requests.step(later + ASK_PAUSE), Step::Nothing);
    }

    #[test]
    fn a_reached_or_impossible_position_is_not_asked_for() {
        let (mut requests, now) = (FrontierRequests::default(), Instant::now());
        requests.reach(Position(50), Position(50), now);
        assert_eq!(requests.step(now), Step::Nothing);
        requests.reach(Position(u64::MAX), Position(50), now);
        assert_eq!(requests.step(now), Step::Ask);
        requests.received(Position(60), true, now + GIVE_UP_AFTER + ASK_PAUSE);
        assert_eq!(requests.step(now + GIVE_UP_AFTER + ASK_PAUSE), Step::Nothing);
    }
}
