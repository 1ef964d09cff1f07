//! `pgbench -S`: the select-only transaction by primary key, in its three protocols.

use crate::latencies::Latencies;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use weir_tests::postgres::SUPERUSER;

/// Rows of `pgbench_accounts` divided by 100,000.
const SCALE: u32 = 10;

const PROGRAM: &str = "pgbench";

/// How pgbench sends its statement (`-M`).
pub const PROTOCOLS: [&str; 3] = ["simple", "extended", "prepared"];

pub fn is_installed() -> bool {
    Command::new(PROGRAM).arg("--version").output().is_ok_and(|said| said.status.success())
}

fn command(port: u16) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string(), "-U", SUPERUSER]).env("PGPASSWORD", SUPERUSER);
    command
}

fn run(command: &mut Command) {
    let done = command.output().expect("pgbench can be run");
    assert!(done.status.success(), "pgbench: {}", String::from_utf8_lossy(&done.stderr));
}

/// Creates and fills its tables.
pub fn initialise(port: u16) {
    run(command(port).args(["-i", "-q", "-s", &SCALE.to_string(), "postgres"]));
}

/// `clients` sessions for `length`; every latency from pgbench's own log.
pub fn select_only(port: u16, protocol: &str, clients: usize, length: Duration) -> Latencies {
    let directory = std::env::temp_dir().join(format!("weir-pgbench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("the temporary directory is writable");
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut command = command(port);
    command.args(["-n", "-S", "-M", protocol, "-c", &clients.to_string(), "-j", &clients.min(cores).to_string()]);
    command.args(["-T", &length.as_secs().max(1).to_string(), "-l", "--log-prefix=log", "postgres"]);
    run(command.current_dir(&directory));
    let micros = logged(&directory);
    let _ = std::fs::remove_dir_all(&directory);
    // pgbench takes whole seconds.
    Latencies::seen(micros, Duration::from_secs(length.as_secs().max(1)))
}

/// The third word of each line is the latency in microseconds.
fn logged(directory: &Path) -> Vec<f64> {
    let files = std::fs::read_dir(directory).expect("pgbench has logged");
    let texts = files.map(|file| std::fs::read_to_string(file.expect("a listed file").path()).expect("a log is text"));
    let latency = |line: &str| line.split(' ').nth(2).and_then(|word| word.parse().ok());
    texts.flat_map(|text| text.lines().filter_map(latency).collect::<Vec<f64>>()).collect()
}
