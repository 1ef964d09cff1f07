//! What a statement costs that Weir only forwards, beside PgBouncer and a direct connection: `pgbench -S`, large results,
//! COPY. The three ways take turns. `pgbench` and `bulk` are the loads, `pgbouncer` runs the peer, `report` writes the
//! tables.

mod bulk;
mod pgbench;
mod pgbouncer;
mod report;

use crate::latencies::Latencies;
use crate::load::Protocol;
use crate::processor;
use pgbouncer::PgBouncer;
use std::path::Path;
use std::time::Duration;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;

const CLIENTS: [usize; 3] = [1, 8, 64];

/// Least length of a slice of `pgbench`. Direct and through Weir every run begins with as many new backends as clients,
/// which fill their catalogue caches at first; PgBouncer keeps those of the run before. In slices of 2 s with 64 clients
/// that start is a fifth of the figure; what is compared here is a statement on a session that lives.
const LEAST_SLICE: Duration = Duration::from_secs(10);

/// Repetitions of every COPY.
const COPIES: u32 = 3;

/// A way to the server.
struct Way {
    name: &'static str,
    port: u16,
    /// The proxy's process.
    process: Option<u32>,
}

impl Way {
    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Measures one slice, and the proxy's processor time meanwhile.
    fn measure(&self, slice: impl FnOnce() -> Latencies) -> Cost {
        let spent = || self.process.map(|process| processor::spent(process, None)).unwrap_or_default();
        let before = spent();
        let latencies = slice();
        Cost { latencies, processor: spent() - before }
    }
}

/// What a load cost on one way.
#[derive(Clone, Default)]
struct Cost {
    latencies: Latencies,
    /// Of the proxy.
    processor: Duration,
}

impl Cost {
    fn add(&mut self, other: Cost) {
        self.latencies.add(other.latencies);
        self.processor += other.processor;
    }

    /// Processor time of the proxy per statement, in microseconds.
    fn processor_micros(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.latencies.count() as f64
    }
}

/// One load on all ways, direct first.
struct Comparison {
    load: String,
    clients: usize,
    /// Statements of a few rows, as opposed to bulk.
    is_short: bool,
    costs: Vec<Cost>,
}

/// Runs everything and writes `forwarding.md`. Without pgbench or PgBouncer nothing is measured, and it says so.
pub fn measure(slice: Duration, repetitions: u32, output: &Path) -> std::io::Result<()> {
    let (true, Some((program, version))) = (pgbench::is_installed(), pgbouncer::installed()) else {
        println!("forwarding is not measured: pgbench and pgbouncer are needed (scripts/prepare.sh bench)");
        return Ok(());
    };
    let options = TestServer::options().conf("shared_buffers = 512MB").conf("max_wal_size = 8GB");
    let options = options.conf(&format!("max_connections = {MAX_CONNECTIONS}"));
    let server = options.conf("checkpoint_timeout = 1h").conf("autovacuum = off").start();
    pgbench::initialise(server.port());
    bulk::initialise(&server.address());
    let weir = TestWeir::start(&server);
    // First: memory that earlier connections have left behind would be used again.
    let idle_bytes = idle_bytes(&weir);
    let bouncer = PgBouncer::start(program, &server);
    let port = |address: String| address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("host:port");
    let ways = [
        Way { name: "direct", port: server.port(), process: None },
        Way { name: "PgBouncer", port: port(bouncer.address()), process: Some(bouncer.process_id()) },
        Way { name: "Weir", port: weir.port(), process: Some(weir.process_id()) },
    ];
    let mut comparisons = Vec::new();
    for protocol in pgbench::PROTOCOLS {
        for clients in CLIENTS {
            println!("forwarding: pgbench -S -M {protocol} -c {clients}");
            let load = format!("pgbench -S, {protocol}");
            comparisons.push(compare(&ways, load, clients, true, repetitions, |way| {
                pgbench::select_only(way.port, protocol, clients, slice.max(LEAST_SLICE))
            }));
        }
    }
    println!("forwarding: large results and COPY");
    for protocol in [Protocol::Simple, Protocol::Prepared] {
        let load = format!("{} rows, {}", bulk::RESULT_ROWS, protocol.name());
        let result = |way: &Way| bulk::result(&way.address(), protocol, slice);
        comparisons.push(compare(&ways, load, 1, false, repetitions, result));
    }
    let copied = format!("COPY of {} rows", bulk::ROWS);
    comparisons.push(compare(&ways, format!("{copied} out"), 1, false, COPIES, |way| bulk::copy_out(&way.address())));
    comparisons.push(compare(&ways, format!("{copied} in"), 1, false, COPIES, |way| bulk::copy_in(&way.address())));
    report::write(output, &version, &ways, &comparisons, idle_bytes)
}

fn compare(
    ways: &[Way],
    load: String,
    clients: usize,
    is_short: bool,
    repetitions: u32,
    slice: impl Fn(&Way) -> Latencies,
) -> Comparison {
    let mut costs = vec![Cost::default(); ways.len()];
    for _ in 0..repetitions {
        for (way, cost) in ways.iter().zip(&mut costs) {
            cost.add(way.measure(|| slice(way)));
        }
    }
    Comparison { load, clients, is_short, costs }
}

/// Connections of the server: pgbench's clients, and those that sit idle.
const MAX_CONNECTIONS: usize = 700;

/// Resident bytes of Weir per idle connection: the growth by five hundred that have each run one statement, beyond the
/// first hundred. Those are met by a program that is still starting: its catalogue is read, pages of its own are touched
/// for the first time and others given back, megabytes that have nothing to do with how many connections there are.
fn idle_bytes(weir: &TestWeir) -> f64 {
    const FIRST: usize = 100;
    const CONNECTIONS: usize = 500;
    let open = || {
        let mut client = weir_tests::wire::RawClient::superuser(&weir.address());
        client.execute("SELECT 1");
        client
    };
    let _first: Vec<_> = (0..FIRST).map(|_| open()).collect();
    let before = processor::resident_bytes(weir.process_id());
    let clients: Vec<_> = (0..CONNECTIONS).map(|_| open()).collect();
    let grown = processor::resident_bytes(weir.process_id()).saturating_sub(before);
    grown as f64 / clients.len() as f64
}
