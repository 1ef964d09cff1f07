//! The writers: each scenario's stream of events at the seed's pace, or a multiple of it.
//!
//! A scenario's file says what one event is and how long to pause after it; this file repeats that over one autocommit
//! connection and connects again when it breaks.

mod ecommerce;
mod finance;
mod fraud;
mod leaderboard;
mod onebox;

use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error};
use weir_tests::postgres::try_connect;
use weir_tests::scenario::Scenario;

/// Pause before connecting again, as the seed's generator does.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);
/// The runtime's timer keeps no shorter time.
const TIMER: Duration = Duration::from_millis(1);
/// A writer that fell further behind its rate (Postgres was down) does not try to make up for it.
const LONGEST_BACKLOG: Duration = Duration::from_secs(1);

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
    /// Events in one transaction.
    pub batch: u32,
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
        Pace { rate, burst_every, change_every: 30, whole_book: false, quantity_scale: 1, batch: 1 }
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

impl Pace {
    pub fn with_batch(mut self, batch: u32) -> Pace {
        self.batch = batch.max(1);
        self
    }
}

/// A running writer.
pub struct Writer {
    task: tokio::task::JoinHandle<()>,
    commits: Arc<AtomicU64>,
}

impl Writer {
    /// Several writers as one: their events are counted together.
    pub fn spawn_many(
        count: usize,
        scenario: Scenario,
        pace: Pace,
        config: &Config,
        stop: &watch::Receiver<bool>,
    ) -> Writer {
        let commits = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..count.max(1))
            .map(|_| run(scenario, pace, config.clone(), StdRng::from_os_rng(), stop.clone(), commits.clone()))
            .collect();
        let task = tokio::spawn(async move {
            let mut all: tokio::task::JoinSet<()> = tasks.into_iter().collect();
            while all.join_next().await.is_some() {}
        });
        Writer { task, commits }
    }

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
pub fn spawn(scenario: Scenario, pace: Pace, config: Config, rng: StdRng, stop: watch::Receiver<bool>) -> Writer {
    let commits = Arc::new(AtomicU64::new(0));
    let task = tokio::spawn(run(scenario, pace, config, rng, stop, commits.clone()));
    Writer { task, commits }
}

async fn run(
    scenario: Scenario,
    pace: Pace,
    config: Config,
    mut rng: StdRng,
    mut stop: watch::Receiver<bool>,
    commits: Arc<AtomicU64>,
) {
    while !*stop.borrow() {
        if write(scenario, pace, &config, &mut rng, &commits, &mut stop).await.is_err() {
            pause(RECONNECT_PAUSE, &mut stop).await;
        }
    }
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
    let mut due = Instant::now();
    while !*stop.borrow() {
        let (written, rest) = match transaction(&mut events, &client, rng, pace.batch).await {
            Ok(done) => done,
            // Two writers that change the same rows in another order: the one that Postgres chose begins anew.
            Err(error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED) => {
                client.batch_execute("ROLLBACK").await?;
                continue;
            }
            Err(error) => return Err(error),
        };
        commits.fetch_add(written, Ordering::Relaxed);
        // Pauses are counted from when the event was due: what writing takes does not slow the stream down.
        due = (due + rest.div_f64(pace.rate)).max(Instant::now().checked_sub(LONGEST_BACKLOG).unwrap_or(due));
        let left = due.saturating_duration_since(Instant::now());
        // Shorter pauses than the timer's are kept together.
        if left >= TIMER {
            pause(left, stop).await;
        }
    }
    Ok(())
}

/// `batch` events in one transaction; a single one commits by itself. Returns the events and the seed's pause after them.
async fn transaction(
    events: &mut Events,
    client: &Client,
    rng: &mut StdRng,
    batch: u32,
) -> Result<(u64, Duration), Error> {
    if batch == 1 {
        return events.next(client, rng).await;
    }
    client.batch_execute("BEGIN").await?;
    let (mut written, mut rest) = (0, Duration::ZERO);
    for _ in 0..batch {
        let (more, pause) = events.next(client, rng).await?;
        written += more;
        rest += pause;
    }
    client.batch_execute("COMMIT").await?;
    Ok((written, rest))
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
