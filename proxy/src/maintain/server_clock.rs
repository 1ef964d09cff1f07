//! Postgres' clock, as exactly as a round trip tells it. Filters on the time are kept, and their reads answered, by it.
//!
//! What the server said lies between the moments of asking and of the reply. From there on the local monotonic clock is
//! relied on, and a drift between the two is allowed for. A clock that somebody sets is noticed at the next question.

use crate::control::{self, ControlError};
use crate::upstream::Upstream;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio_postgres::{Client, Statement};

/// How often it is asked while somebody cares.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// An answer is relied on for so long.
const TRUST: Duration = Duration::from_secs(1);
/// A question whose reply took longer than this is asked again at once, a few times: the moment it tells is a vague one.
const QUICK: Duration = Duration::from_micros(500);
const ATTEMPTS: usize = 3;
/// A broken connection is tried again after this long.
const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
/// Clocks that are disciplined are slewed by at most this, in parts per million (`MAXFREQ` of adjtimex).
const DRIFT_PPM: i64 = 500;

/// Microseconds since 2000-01-01 UTC.
const QUESTION: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 946684800000000";

/// The server's clock is at none before and at none after these, in microseconds since 2000-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub earliest: i64,
    pub latest: i64,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    sent: Instant,
    received: Instant,
    server_micros: i64,
}

impl Sample {
    /// What the clock shows at a later moment.
    fn reading(&self, at: Instant) -> Option<Reading> {
        let since = |then: Instant| at.saturating_duration_since(then).as_micros() as i64;
        let longest = since(self.sent);
        if longest > TRUST.as_micros() as i64 {
            return None;
        }
        let drift = longest * DRIFT_PPM / 1_000_000 + 1;
        Some(Reading {
            earliest: self.server_micros + since(self.received) - drift,
            // What has been cut off from microseconds on either side.
            latest: self.server_micros + longest + drift + 1,
        })
    }

    fn width(&self) -> Duration {
        self.received - self.sent
    }
}

#[derive(Default)]
pub struct ServerClock {
    sample: ArcSwapOption<Sample>,
    wanted: AtomicBool,
    wake: Notify,
}

impl ServerClock {
    /// None: it is not known well enough at the moment.
    pub fn now(&self) -> Option<Reading> {
        self.sample.load().as_deref()?.reading(Instant::now())
    }

    /// Whether somebody cares from now on.
    pub fn want(&self, wanted: bool) {
        if self.wanted.swap(wanted, Ordering::AcqRel) != wanted && wanted {
            self.wake.notify_one();
        }
    }

    /// Asks the server for as long as it is wanted. Never ends.
    pub(super) async fn follow(self: Arc<ServerClock>, upstream: Upstream) {
        let mut asker: Option<(Client, Statement)> = None;
        loop {
            while !self.wanted.load(Ordering::Acquire) {
                asker = None;
                self.wake.notified().await;
            }
            // A connection that says nothing is no better than a broken one.
            let asked = tokio::time::timeout(TRUST, self.ask(&upstream, &mut asker)).await;
            if let Err(error) = asked.unwrap_or(Err(ControlError::Gone)) {
                tracing::debug!(%error, "the server's clock could not be asked");
                asker = None;
                tokio::time::sleep(RECONNECT_PAUSE).await;
                continue;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    async fn ask(&self, upstream: &Upstream, asker: &mut Option<(Client, Statement)>) -> Result<(), ControlError> {
        if asker.is_none() {
            let client = control::connect(upstream, "clock").await?;
            let statement = client.prepare(QUESTION).await?;
            *asker = Some((client, statement));
        }
        let Some((client, statement)) = asker else { return Err(ControlError::Gone) };
        let mut best: Option<Sample> = None;
        for _ in 0..ATTEMPTS {
            let sent = Instant::now();
            let row = client.query_one(&*statement, &[]).await?;
            let sample = Sample { sent, received: Instant::now(), server_micros: row.try_get(0)? };
            if best.is_none_or(|best| sample.width() < best.width()) {
                best = Some(sample);
            }
            if sample.width() <= QUICK {
                break;
            }
        }
        self.sample.store(best.map(Arc::new));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_holds_the_servers_clock_whenever_the_server_read_it() {
        let sent = Instant::now();
        let received = sent + Duration::from_micros(400);
        let sample = Sample { sent, received, server_micros: 5_000_000 };
        for (read_after, asked_after) in [(0, 400), (400, 400), (250, 90_000)] {
            let true_now = 5_000_000 + asked_after - read_after;
            let reading = sample.reading(sent + Duration::from_micros(asked_after as u64)).expect("fresh");
            assert!(reading.earliest <= true_now && true_now <= reading.latest, "{reading:?} {true_now}");
            assert!(reading.latest - reading.earliest < 600);
        }
        assert_eq!(sample.reading(sent + TRUST + Duration::from_millis(1)), None);
    }
}
