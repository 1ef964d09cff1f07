//! The writers: each scenario's stream of events at the seed's pace, or a multiple of it.
//!
//! A scenario's file says what one event is and how long to pause after it; this file repeats that over one autocommit
//! connection and connects again when it breaks.

mod ecommerce;
mod finance;
mod fraud;
mod leaderboard;
mod onebox;

use rand::rngs::StdRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio_postgres::{Client, Config, Error};
use weir_tests::postgres::try_connect;
use weir_tests::scenario::Scenario;

/// Pause before connecting again, as the seed's generator does.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// How fast, and how often something special happens.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The seed's pauses are divided by this.
    pub rate: f64,
    /// Normal events between two bursts.
    pub burst_every: u64,
    /// Normal events between two changes of reference data.
    pub change_every: u64,
    /// Finance: trade with all accounts and instruments, not only with the seed's first 20 and 15.
    pub whole_book: bool,
    /// Finance: the seed's quantities are multiplied by this.
    pub quantity_scale: i64,
}

impl Pace {
    /// The seed's intervals: a burst about every 45 seconds, a change of reference data every 30 events.
    pub fn of(scenario: Scenario, rate: f64) -> Pace {
        let burst_every = match scenario.name {
            // 1.25 s per order.
            "ecommerce" => 36,
            "finance" => 60,
            _ => 45,
        };
        Pace { rate, burst_every, change_every: 30, whole_book: false, quantity_scale: 1 }
    }

    pub fn with_intervals(mut self, burst_every: Option<u64>, change_every: Option<u64>) -> Pace {
        self.burst_every = burst_every.unwrap_or(self.burst_every).max(1);
        self.change_every = change_every.unwrap_or(self.change_every).max(1);
        self
    }

    pub fn with_book(mut self, whole_book: bool, quantity_scale: u32) -> Pace {
        self.whole_book = whole_book;
        self.quantity_scale = i64::from(quantity_scale.max(1));
        self
    }
}

/// A running writer.
pub struct Writer {
    task: tokio::task::JoinHandle<()>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Events committed so far.
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    pub fn abort(&self) {
        self.task.abort();
    }

    /// Waits for the event in hand, after the stop signal.
    pub async fn finish(self) -> u64 {
        // An aborted task has nothing to say.
        let _ = self.task.await;
        self.commits.load(Ordering::Relaxed)
    }
}

/// Writes until `stop` becomes true.
pub fn spawn(
    scenario: Scenario,
    pace: Pace,
    config: Config,
    mut rng: StdRng,
    mut stop: watch::Receiver<bool>,
) -> Writer {
    let commits = Arc::new(AtomicU64::new(0));
    let counter = commits.clone();
    let task = tokio::spawn(async move {
        while !*stop.borrow() {
            if write(scenario, pace, &config, &mut rng, &counter, &mut stop).await.is_err() {
                pause(RECONNECT_PAUSE, &mut stop).await;
            }
        }
    });
    Writer { task, commits }
}

async fn write(
    scenario: Scenario,
    pace: Pace,
    config: &Config,
    rng: &mut StdRng,
    commits: &AtomicU64,
    stop: &mut watch::Receiver<bool>,
) -> Result<(), Error> {
    let client = try_connect(config).await?;
    let mut events = Events::prepare(scenario, &client, pace).await?;
    while !*stop.borrow() {
        let (written, rest) = events.next(&client, rng).await?;
        commits.fetch_add(written, Ordering::Relaxed);
        pause(rest.div_f64(pace.rate), stop).await;
    }
    Ok(())
}

async fn pause(length: Duration, stop: &mut watch::Receiver<bool>) {
    // Either the pause is over or the writer is to stop: both end it.
    let _ = tokio::time::timeout(length, stop.wait_for(|&stop| stop)).await;
}

enum Events {
    Ecommerce(ecommerce::Orders),
    Finance(finance::Trades),
    Fraud(fraud::Transactions),
    Leaderboard(leaderboard::Scores),
    OneBox(onebox::Shop),
}

impl Events {
    async fn prepare(scenario: Scenario, client: &Client, pace: Pace) -> Result<Events, Error> {
        Ok(match scenario.name {
            "ecommerce" => Events::Ecommerce(ecommerce::Orders::prepare(client, pace).await?),
            "finance" => Events::Finance(finance::Trades::prepare(client, pace).await?),
            "fraud" => Events::Fraud(fraud::Transactions::prepare(client, pace).await?),
            "leaderboard" => Events::Leaderboard(leaderboard::Scores::prepare(client).await?),
            "onebox" => Events::OneBox(onebox::Shop::prepare(client, pace).await?),
            other => unreachable!("scenario {other} has no generator"),
        })
    }

    /// Writes one event. Returns the commits it took and the seed's pause after it.
    async fn next(&mut self, client: &Client, rng: &mut StdRng) -> Result<(u64, Duration), Error> {
        match self {
            Events::Ecommerce(orders) => orders.next(client, rng).await,
            Events::Finance(trades) => trades.next(client, rng).await,
            Events::Fraud(transactions) => transactions.next(client, rng).await,
            Events::Leaderboard(scores) => scores.next(client, rng).await,
            Events::OneBox(shop) => shop.next(client, rng).await,
        }
    }
}

/// A pause in seconds, uniform in `range`.
fn seconds(rng: &mut StdRng, range: std::ops::Range<f64>) -> Duration {
    use rand::Rng;
    Duration::from_secs_f64(rng.random_range(range))
}

/// Box and Muller's transformation of two uniform numbers.
fn standard_normal(rng: &mut StdRng) -> f64 {
    use rand::Rng;
    let radius = (-2.0 * rng.random_range(f64::MIN_POSITIVE..1.0).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.random::<f64>()).cos()
}
