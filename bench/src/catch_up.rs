//! Waiting until memory has everything that was committed.

use std::time::{Duration, Instant};
use weir_tests::wire::RawClient;

/// Reads a stream table, at `latest` if the session says so, until memory answers. Panics when that takes longer than this.
pub fn catch_up(through: &mut RawClient, name: &str, patience: Duration) {
    let started = Instant::now();
    loop {
        through.execute(&format!("SELECT FROM {name} LIMIT 0"));
        let route = through.last_route();
        if route == "memory" {
            return;
        }
        assert!(started.elapsed() < patience, "{name} is not answered from memory: {route}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
