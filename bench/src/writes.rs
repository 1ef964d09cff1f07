//! Writers: what they keep of their throughput when Weir captures their tables.

use crate::dataset::Dataset;
use crate::latencies::Latencies;
use crate::load::{Protocol, Statement, run};
use std::time::Duration;

const CLIENTS: usize = 8;

pub struct Writes {
    /// A server without Weir.
    pub bare: Latencies,
    /// Straight to the server that Weir captures from.
    pub captured: Latencies,
    /// Through Weir.
    pub through: Latencies,
}

/// Eight clients insert single transactions; the three ways take turns.
pub fn measure(dataset: &Dataset, slice: Duration, repetitions: u32) -> Writes {
    let sql = format!(
        "INSERT INTO transactions (user_id, merchant_id, amount) VALUES ({{}}, 1 + (random() * {})::int, 12.50)",
        dataset.merchants - 1
    );
    let statement = Statement { sql, keys: Some(dataset.users) };
    let mut writes =
        Writes { bare: Latencies::default(), captured: Latencies::default(), through: Latencies::default() };
    for _ in 0..repetitions {
        let insert = |address: &str| run(address, &statement, Protocol::Prepared, CLIENTS, slice);
        writes.bare.add(insert(&dataset.bare.address()));
        writes.captured.add(insert(&dataset.server.address()));
        writes.through.add(insert(&dataset.weir.address()));
    }
    writes
}
