//! Clients that repeat one statement. They share the cores with what they measure, so they cost as little as they can: a
//! thread per core drives its share of the sessions by readiness, and a statement is one write, one read, no allocation.

use crate::latencies::Latencies;
use crate::session::Session;
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};

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

/// `clients` sessions repeat the statement for `length`. Panics when the server answers with an error.
pub fn run(address: &str, statement: &Statement, protocol: Protocol, clients: usize, length: Duration) -> Latencies {
    run_after(WARM_UP, address, statement, protocol, clients, length)
}

/// As [`run`], after so many executions of each session that are not counted; at least one of each is.
pub fn run_after(
    warm_up: usize,
    address: &str,
    statement: &Statement,
    protocol: Protocol,
    clients: usize,
    length: Duration,
) -> Latencies {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut threads: Vec<(Runtime, Vec<Session>)> = (0..clients.min(cores))
        .map(|_| (Builder::new_current_thread().enable_io().build().expect("a thread may wait for sockets"), vec![]))
        .collect();
    let count = threads.len();
    for at in 0..clients {
        let (runtime, sessions) = &mut threads[at % count];
        // Registered with that runtime's reactor.
        let _entered = runtime.enter();
        let mut session = Session::open(address, statement, protocol, at as u64);
        // Plans, analyses and indexes on demand come into being before the clock runs.
        runtime.block_on(async {
            for _ in 0..warm_up {
                session.once().await;
            }
        });
        sessions.push(session);
    }
    let started = Instant::now();
    let mut micros = Vec::new();
    std::thread::scope(|scope| {
        let running: Vec<_> = threads
            .into_iter()
            .map(|(runtime, sessions)| scope.spawn(move || drive(&runtime, sessions, started, length)))
            .collect();
        for thread in running {
            micros.extend(thread.join().expect("a session that is answered does not panic"));
        }
    });
    Latencies::seen(micros, started.elapsed())
}

/// Runs the sessions of one thread to their end; their latencies in microseconds.
fn drive(runtime: &Runtime, sessions: Vec<Session>, started: Instant, length: Duration) -> Vec<f64> {
    let tasks: Vec<_> = sessions.into_iter().map(|session| runtime.spawn(repeat(session, started, length))).collect();
    runtime.block_on(async {
        let mut all = Vec::new();
        for task in tasks {
            all.extend(task.await.expect("a session that is answered does not panic"));
        }
        all
    })
}

async fn repeat(mut session: Session, started: Instant, length: Duration) -> Vec<f64> {
    let mut micros = Vec::new();
    let mut sent = Instant::now();
    loop {
        session.once().await;
        let answered = Instant::now();
        micros.push((answered - sent).as_secs_f64() * 1e6);
        sent = answered;
        if answered - started >= length {
            return micros;
        }
    }
}
