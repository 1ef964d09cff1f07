//! What a commit costs the engine, and how soon others see it.

use crate::dataset::Dataset;
use crate::latencies::Latencies;
use crate::metrics::metric;
use crate::processor;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};
use weir_tests::wire::RawClient;

/// Between two inserts of the visibility measurement: 100 a second.
const INTERVAL: Duration = Duration::from_millis(10);

/// The engine's own clock over one-row commits.
pub struct Engine {
    pub commits: f64,
    /// Time in the engine alone, in microseconds: taking the commit in, and the operators.
    pub engine_micros_per_commit: f64,
    /// Time of the refreshes that a commit causes, in microseconds: the operators and the tables to be published.
    pub micros_per_commit: f64,
    /// Processor time of the engine's thread per commit, publication and all, in microseconds.
    pub processor_micros_per_commit: f64,
    /// Rows of stream tables that a commit added or removed.
    pub rows_per_commit: f64,
    /// Commit and a read at `latest` together, as the client saw them.
    pub round_trip: Latencies,
}

/// `commits` one-row transactions, each followed by a read that needs it applied.
pub fn engine(dataset: &Dataset, read: &str, commits: u32) -> Engine {
    let mut client = RawClient::superuser(&dataset.weir.address());
    let mut rng = StdRng::seed_from_u64(7);
    client.execute("SET weir.consistency = 'latest'");
    let sql = format!("SELECT COUNT(*) FROM {read}");
    client.execute(&sql);
    let counters = || {
        ["commits_applied", "engine_nanoseconds", "refresh_microseconds", "rows_changed"]
            .map(|name| metric(&dataset.weir, &format!("weir_{name}_total")))
    };
    let thread = || processor::spent(dataset.weir.process_id(), Some("weir-engine"));
    let (before, thread_before) = (counters(), thread());
    let mut round_trip = Latencies::default();
    for _ in 0..commits {
        let started = Instant::now();
        client.execute(&insert(dataset, &mut rng));
        client.execute(&sql);
        round_trip.record(started.elapsed());
    }
    let processor_micros = (thread() - thread_before).as_secs_f64() * 1e6;
    let after = counters();
    let commits = (after[0] - before[0]).max(1.0);
    let per_commit = |counter: usize| (after[counter] - before[counter]) / commits;
    Engine {
        commits,
        engine_micros_per_commit: per_commit(1) / 1e3,
        micros_per_commit: per_commit(2),
        processor_micros_per_commit: processor_micros / commits,
        rows_per_commit: per_commit(3),
        round_trip,
    }
}

fn insert(dataset: &Dataset, rng: &mut StdRng) -> String {
    format!(
        "INSERT INTO transactions (user_id, merchant_id, amount) VALUES ({}, {}, {}.25)",
        rng.random_range(1..=dataset.users),
        rng.random_range(1..=dataset.merchants),
        rng.random_range(10..900)
    )
}

/// From the moment a commit returned to the writer until another session's read has answered with it.
pub struct Visibility {
    /// The reader asks at the level `latest`.
    pub latest: Latencies,
    /// The reader polls at the default level.
    pub default_level: Latencies,
}

/// `tries` inserts for each level, 100 a second, of one user whose count another session reads.
pub fn visibility(dataset: &Dataset, table: &str, tries: u32) -> Visibility {
    let measure = |level: &str| {
        let mut writer = RawClient::superuser(&dataset.weir.address());
        let mut reader = RawClient::superuser(&dataset.weir.address());
        reader.execute(&format!("SET weir.consistency = '{level}'"));
        let sql = format!("SELECT txn_count FROM {table} WHERE user_id = 1");
        let count = |reader: &mut RawClient| reader.execute(&sql).scalar().parse::<u64>().expect("a bigint");
        let mut latencies = Latencies::default();
        writer.execute("SELECT 1");
        let mut expected: u64 = {
            let sql = "SELECT count(*) FROM transactions WHERE user_id = 1";
            writer.execute(sql).scalar().parse().expect("a bigint")
        };
        let started = Instant::now();
        for at in 0..tries {
            let due = INTERVAL * at;
            std::thread::sleep(due.saturating_sub(started.elapsed()));
            writer.execute("INSERT INTO transactions (user_id, merchant_id, amount) VALUES (1, 1, 42)");
            expected += 1;
            let committed = Instant::now();
            while count(&mut reader) < expected {}
            latencies.record(committed.elapsed());
        }
        latencies
    };
    // A read at the default level may wait for the schedule, so fewer tries do.
    Visibility { latest: measure("latest"), default_level: measure("session") }
}
