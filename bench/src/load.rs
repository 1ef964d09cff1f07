//! Clients that repeat one statement, and the latencies they saw.

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::time::{Duration, Instant};
use weir_tests::wire::{RawClient, bind};

/// Executions of each session before the clock runs.
pub const WARM_UP: usize = 3;

/// How a statement is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Simple,
    /// Parsed once; Bind, Execute, Sync each time.
    Prepared,
}

impl Protocol {
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Simple => "simple",
            Protocol::Prepared => "prepared",
        }
    }
}

/// One statement; `{}` stands for a random number from 1 to `keys`.
#[derive(Clone, Debug)]
pub struct Statement {
    pub sql: String,
    pub keys: Option<u64>,
}

/// Latencies of one or several slices.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    micros: Vec<f64>,
    elapsed: Duration,
}

impl Latencies {
    pub fn add(&mut self, other: Latencies) {
        self.micros.extend(other.micros);
        self.elapsed += other.elapsed;
    }

    pub fn record(&mut self, latency: Duration) {
        self.micros.push(latency.as_secs_f64() * 1e6);
        self.elapsed += latency;
    }

    /// Microseconds below which `share` of the latencies lie.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.micros.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            count => sorted[((count as f64 * share) as usize).min(count - 1)],
        }
    }

    /// Statements per second.
    pub fn throughput(&self) -> f64 {
        self.micros.len() as f64 / self.elapsed.as_secs_f64()
    }

    pub fn count(&self) -> usize {
        self.micros.len()
    }
}

/// `clients` sessions repeat the statement for `length`. Panics when the server answers with an error.
pub fn run(address: &str, statement: &Statement, protocol: Protocol, clients: usize, length: Duration) -> Latencies {
    let mut sessions: Vec<_> = (0..clients).map(|at| Session::open(address, statement, protocol, at as u64)).collect();
    // Plans, analyses and indexes on demand come into being before the clock runs.
    for session in &mut sessions {
        (0..WARM_UP).for_each(|_| session.once());
    }
    let started = Instant::now();
    let mut all = Latencies::default();
    std::thread::scope(|scope| {
        let threads: Vec<_> = sessions
            .iter_mut()
            .map(|session| {
                scope.spawn(move || {
                    let mut micros = Vec::new();
                    while started.elapsed() < length {
                        let sent = Instant::now();
                        session.once();
                        micros.push(sent.elapsed().as_secs_f64() * 1e6);
                    }
                    micros
                })
            })
            .collect();
        for thread in threads {
            all.micros.extend(thread.join().expect("a session that is answered does not panic"));
        }
    });
    all.elapsed = started.elapsed();
    all
}

struct Session {
    client: RawClient,
    statement: Statement,
    protocol: Protocol,
    rng: StdRng,
    buffer: BytesMut,
}

impl Session {
    fn open(address: &str, statement: &Statement, protocol: Protocol, seed: u64) -> Session {
        let mut client = RawClient::superuser(address);
        let mut buffer = BytesMut::new();
        if protocol == Protocol::Prepared {
            let sql = statement.sql.replace("{}", "$1");
            frontend::parse("s", &sql, [], &mut buffer).expect("the statement has no zero byte");
            frontend::sync(&mut buffer);
            client.send(&buffer).expect("the connection holds");
            client.receive_until(b'Z').expect("the connection holds");
        }
        Session { client, statement: statement.clone(), protocol, rng: StdRng::seed_from_u64(seed), buffer }
    }

    fn once(&mut self) {
        self.buffer.clear();
        let key = self.statement.keys.map(|keys| self.rng.random_range(1..=keys).to_string());
        match self.protocol {
            Protocol::Simple => {
                let sql = key.map_or_else(|| self.statement.sql.clone(), |key| self.statement.sql.replace("{}", &key));
                frontend::query(&sql, &mut self.buffer).expect("the statement has no zero byte");
            }
            Protocol::Prepared => {
                let parameters: Vec<_> = key.iter().map(|key| Some(key.as_str())).collect();
                bind("", "s", &parameters, 0, &mut self.buffer);
                frontend::execute("", 0, &mut self.buffer).expect("the empty name has no zero byte");
                frontend::sync(&mut self.buffer);
            }
        }
        self.client.send(&self.buffer).expect("the connection holds");
        loop {
            let message = self.client.receive().expect("the connection holds");
            match message.tag {
                b'Z' => return,
                b'E' => panic!("{}: {}", self.statement.sql, String::from_utf8_lossy(&message.body)),
                _ => {}
            }
        }
    }
}
