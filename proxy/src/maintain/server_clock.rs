//! Postgres' clock, as exactly as a round trip tells it. Filters on the time are kept, and their reads answered, by it.
//!
//! What the server said lies between the moments of asking and of the reply. From there on the local monotonic clock is
//! relied on, and a drift between the two is allowed for. A clock that somebody sets is noticed at the next question; the
//! clock of this machine, which is the server's where both run on one, at once.

use crate::control::{self, ControlError};
use crate::upstream::Upstream;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};
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
/// A local clock that is set by less than this goes unnoticed, and is allowed for.
const UNNOTICED: Duration = Duration::from_micros(10);

/// Microseconds since 2000-01-01 UTC.
const QUESTION: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 946684800000000";

/// The server's clock is at none before and at none after these, in microseconds since 2000-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub earliest: i64,
    pub latest: i64,
}

/// The local clocks: the one that is set was read between two readings of the one that is not.
#[derive(Clone, Copy, Debug)]
struct Local {
    before: Instant,
    wall: SystemTime,
    after: Instant,
}

impl Local {
    fn now() -> Local {
        Local { before: Instant::now(), wall: SystemTime::now(), after: Instant::now() }
    }

    /// Whether somebody has set the clock between an earlier moment and this one. Slewing moves both clocks alike.
    fn is_set_since(&self, earlier: &Local) -> bool {
        let Ok(passed) = self.wall.duration_since(earlier.wall) else { return true };
        let least = self.before.saturating_duration_since(earlier.after);
        let most = self.after.saturating_duration_since(earlier.before);
        passed + UNNOTICED < least || passed > most + UNNOTICED
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    sent: Instant,
    received: Local,
    server_micros: i64,
}

impl Sample {
    fn is_trusted(&self, at: Instant) -> bool {
        at.saturating_duration_since(self.sent) <= TRUST
    }

    /// What the clock shows at a later moment.
    fn reading(&self, at: &Local) -> Option<Reading> {
        if !self.is_trusted(at.after) || at.is_set_since(&self.received) {
            return None;
        }
        let since = |then: Instant| at.after.saturating_duration_since(then).as_micros() as i64;
        let longest = since(self.sent);
        let drift = longest * DRIFT_PPM / 1_000_000 + 1 + UNNOTICED.as_micros() as i64;
        Some(Reading {
            earliest: self.server_micros + since(self.received.before) - drift,
            // What has been cut off from microseconds on either side.
            latest: self.server_micros + longest + drift + 1,
        })
    }

    fn width(&self) -> Duration {
        self.received.before - self.sent
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
        let at = Local::now();
        let sample = self.sample.load();
        let reading = sample.as_deref()?.reading(&at);
        if reading.is_none() && sample.as_deref()?.is_trusted(at.after) {
            // The clock has been set: the server is asked now, and not in its turn.
            self.wake.notify_one();
        }
        reading
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
            // Elapsed or woken, it is asked again.
            let _ = tokio::time::timeout(ASK_EVERY, self.wake.notified()).await;
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
            let sample = Sample { sent, received: Local::now(), server_micros: row.try_get(0)? };
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

    const ASKED: Duration = Duration::from_micros(400);

    /// The local clocks so many microseconds after the question, read within four; the one that is set ahead by so many.
    fn local(sent: Instant, wall: SystemTime, after: u64, ahead: i64) -> Local {
        let (from, to) = (Duration::from_micros(after), Duration::from_micros(after + 4));
        let shown = wall + from + Duration::from_micros(1_000_000) + Duration::from_micros(2);
        let wall = match ahead {
            0.. => shown + Duration::from_micros(ahead.unsigned_abs()),
            _ => shown - Duration::from_micros(ahead.unsigned_abs()),
        };
        Local { before: sent + from, wall, after: sent + to }
    }

    fn sample(sent: Instant, wall: SystemTime) -> Sample {
        Sample { sent, received: local(sent, wall, ASKED.as_micros() as u64, 0), server_micros: 5_000_000 }
    }

    #[test]
    fn a_reading_holds_the_servers_clock_whenever_the_server_read_it() {
        let (sent, wall) = (Instant::now(), SystemTime::now());
        for (read_after, asked_after) in [(0, 404), (400, 404), (250, 90_000)] {
            let true_now = 5_000_000 + asked_after + 4 - read_after;
            let reading = sample(sent, wall).reading(&local(sent, wall, asked_after as u64, 0)).expect("fresh");
            assert!(reading.earliest <= true_now && true_now <= reading.latest, "{reading:?} {true_now}");
            assert!(reading.latest - reading.earliest < 600);
        }
        assert_eq!(sample(sent, wall).reading(&local(sent, wall, 1_001_000, 0)), None);
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_at_once() {
        let (sent, wall) = (Instant::now(), SystemTime::now());
        for ahead in [-2_000_000, -200, -19, 19, 200, 2_000_000] {
            assert_eq!(sample(sent, wall).reading(&local(sent, wall, 90_000, ahead)), None, "{ahead}");
        }
        let unnoticed = sample(sent, wall).reading(&local(sent, wall, 90_000, 9)).expect("as good as right");
        assert!(unnoticed.latest >= 5_000_000 + 90_004 + 9);
    }
}
