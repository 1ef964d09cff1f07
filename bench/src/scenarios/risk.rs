//! `risk_scores`, of which one transaction truly changes a tenth of the rows, beside a thousand inserts a second.

use super::report;
use crate::latencies::Latencies;
use crate::metrics::metric;
use crate::processor;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::path::Path;
use std::time::{Duration, Instant};
use weir_tests::postgres::TestServer;
use weir_tests::scenario::FRAUD;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Rows that `risk_scores` starts with.
const TRANSACTIONS: u32 = 100_000;
/// Enough that one which waits for its commit does not hold up the rate.
const WRITERS: u32 = 8;
/// Inserts a second of all writers together.
const RATE: u32 = 1_000;
/// Between two reads of the freshness.
const LOOK: Duration = Duration::from_millis(250);
/// They have fallen behind if the last commit takes longer to be seen: the refresh under way when it came, and one more.
const CATCH_UP_GOAL: Duration = Duration::from_secs(5);
/// They fall behind if the reads of the last third of the run come later than those of the first by more than this, beyond
/// what the table has grown by meanwhile (a refresh costs by its rows). A queue that grows steadily would show as five
/// times the first.
const STEADY: f64 = 1.5;
/// The writers have not been held up if they reached so much of the rate.
const RATE_REACHED: f64 = 0.98;
const POPULATION: Duration = Duration::from_secs(120);

/// One run.
pub(super) struct KeepingUp {
    pub users: u32,
    pub merchants: u32,
    pub inserts: u32,
    /// Until the last writer had its last commit.
    pub elapsed: Duration,
    /// A read of `alert_summary` at `latest`, four a second while the writers write: how far behind memory is.
    pub behind: Latencies,
    /// The same of the first and of the last third of the run.
    pub thirds: [Latencies; 2],
    /// From the last commit until all nine tables had it.
    pub caught_up: Duration,
    /// Processor time of the engine's thread and of all of Weir over the run.
    pub engine: Duration,
    pub weir: Duration,
    pub refreshes: f64,
    pub rows_changed: f64,
    pub resident: u64,
}

impl KeepingUp {
    /// Inserts a second that the writers reached.
    pub(super) fn rate(&self) -> f64 {
        f64::from(self.inserts) / self.elapsed.as_secs_f64()
    }

    /// Every insert came at the rate, and what had come waited no longer at the end than at the beginning. What share of a
    /// processor the engine takes says nothing of it: a refresh takes in all commits that wait, and a reader at `latest`
    /// has the next one follow at once, so the thread is busy whenever it is asked more often than it can answer.
    pub(super) fn keeps_up(&self) -> bool {
        let [first, last] = self.thirds.each_ref().map(|third| third.quantile(0.5));
        f64::from(RATE) * RATE_REACHED <= self.rate()
            && last <= first * self.growth() * STEADY
            && self.caught_up <= CATCH_UP_GOAL
    }

    /// By how much `risk_scores` is larger in the middle of the last third of the run than in that of the first.
    fn growth(&self) -> f64 {
        let rows = |share: f64| f64::from(TRANSACTIONS) + f64::from(self.inserts) * share;
        rows(5.0 / 6.0) / rows(1.0 / 6.0)
    }
}

pub fn measure(seconds: u32, output: &Path) -> std::io::Result<()> {
    // The seed's people and shops, and ten times as many.
    let runs = [(30, 15), (300, 150)].map(|(users, merchants)| {
        let run = keep_up(users, merchants, seconds);
        println!("{}", report::risk_line(&run));
        run
    });
    report::risk(output, &runs, RATE, TRANSACTIONS)
}

fn keep_up(users: u32, merchants: u32, seconds: u32) -> KeepingUp {
    let server = TestServer::options().conf("max_wal_size = 4GB").conf("autovacuum = off").start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(FRAUD.schema);
    direct.execute(&crate::dataset::fill(u64::from(TRANSACTIONS), u64::from(users), u64::from(merchants)));
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    through.execute(FRAUD.stream_tables);
    weir.wait_until_live_within(FRAUD.tables, POPULATION);
    let mut reader = RawClient::superuser(&weir.address());
    reader.execute("SET weir.consistency = 'latest'");
    let total = "SELECT SUM(txn_count) FROM alert_summary";
    let spent = |thread| processor::spent(weir.process_id(), thread);
    let counters = || [metric(&weir, "weir_refreshes_total"), metric(&weir, "weir_rows_changed_total")];
    reader.execute(total);
    let before = (spent(Some("weir-engine")), spent(None), counters());
    let started = Instant::now();
    let (mut behind, mut thirds) = (Latencies::default(), [Latencies::default(), Latencies::default()]);
    let third = Duration::from_secs(u64::from(seconds)) / 3;
    let each = RATE * seconds / WRITERS;
    let elapsed = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let address = weir.address();
                scope.spawn(move || write(&address, writer, each, users, merchants))
            })
            .collect();
        while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
            let asked = Instant::now();
            reader.execute(total);
            behind.record(asked.elapsed());
            match asked - started {
                at if at < third => thirds[0].record(asked.elapsed()),
                at if at >= third * 2 => thirds[1].record(asked.elapsed()),
                _ => {}
            }
            std::thread::sleep(LOOK.saturating_sub(asked.elapsed()));
        }
        let ended = writers.into_iter().map(|writer| writer.join().expect("it writes"));
        ended.max().expect("there are writers") - started
    });
    let asked = Instant::now();
    let expected = (TRANSACTIONS + each * WRITERS).to_string();
    for sql in [
        total,
        "SELECT COUNT(*) FROM risk_scores",
        "SELECT SUM(total_txns) FROM top_risky_merchants",
        "SELECT SUM(txn_count) FROM user_velocity",
        "SELECT SUM(txn_count) FROM category_volume",
    ] {
        assert_eq!(reader.execute(sql).scalar(), expected, "{sql}");
    }
    let after = counters();
    KeepingUp {
        users,
        merchants,
        inserts: each * WRITERS,
        elapsed,
        behind,
        thirds,
        caught_up: asked.elapsed(),
        engine: spent(Some("weir-engine")) - before.0,
        weir: spent(None) - before.1,
        refreshes: after[0] - before.2[0],
        rows_changed: after[1] - before.2[1],
        resident: processor::resident_bytes(weir.process_id()),
    }
}

/// `count` single inserts, evenly over the time that the rate gives them; late ones follow at once. When the last was there.
fn write(address: &str, writer: u32, count: u32, users: u32, merchants: u32) -> Instant {
    let mut client = RawClient::superuser(address);
    let mut rng = StdRng::seed_from_u64(u64::from(writer));
    let interval = Duration::from_secs(1) * WRITERS / RATE;
    let started = Instant::now();
    for at in 0..count {
        std::thread::sleep((interval * at).saturating_sub(started.elapsed()));
        client.execute(&format!(
            "INSERT INTO transactions (user_id, merchant_id, amount) VALUES ({}, {}, {}.25)",
            rng.random_range(1..=users),
            rng.random_range(1..=merchants),
            rng.random_range(10..900)
        ));
    }
    Instant::now()
}
