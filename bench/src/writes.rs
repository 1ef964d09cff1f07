//! Writers: what they keep of their throughput when Weir captures their tables.

use crate::dataset::Dataset;
use crate::latencies::Latencies;
use crate::load::{Protocol, Statement, run};
use crate::processor;
use std::time::Duration;
use weir_tests::wire::RawClient;

const CLIENTS: usize = 8;

pub struct Writes {
    /// A server without Weir.
    pub bare: Latencies,
    /// Straight to the server that Weir captures from.
    pub captured: Latencies,
    /// Through Weir.
    pub through: Latencies,
    /// What captured commits of clients past Weir cost others.
    pub capture: CaptureCost,
}

/// Processor time over all captured commits.
#[derive(Default)]
pub struct CaptureCost {
    pub weir: Duration,
    pub walsender: Duration,
}

/// Eight clients insert single transactions; the three ways take turns.
pub fn measure(dataset: &Dataset, slice: Duration, repetitions: u32) -> Writes {
    let sql = format!(
        "INSERT INTO transactions (user_id, merchant_id, amount) VALUES ({{}}, 1 + (random() * {})::int, 12.50)",
        dataset.merchants - 1
    );
    let statement = Statement { sql, keys: Some(dataset.users) };
    let mut writes = Writes {
        bare: Latencies::default(),
        captured: Latencies::default(),
        through: Latencies::default(),
        capture: CaptureCost::default(),
    };
    let walsender = {
        let mut client = RawClient::superuser(&dataset.server.address());
        client.execute("SELECT pid FROM pg_stat_replication").scalar().parse().expect("a process id")
    };
    let spent = || (processor::spent(dataset.weir.process_id(), None), processor::spent(walsender, None));
    for _ in 0..repetitions {
        let insert = |address: &str| run(address, &statement, Protocol::Prepared, CLIENTS, slice);
        writes.bare.add(insert(&dataset.bare.address()));
        let before = spent();
        writes.captured.add(insert(&dataset.server.address()));
        let after = spent();
        writes.capture.weir += after.0 - before.0;
        writes.capture.walsender += after.1 - before.1;
        writes.through.add(insert(&dataset.weir.address()));
    }
    writes
}
