//! `weir-demo check`: rounds of writing, each followed by a pause in which every answer is compared with Postgres' own.
//!
//! While the writers write, single reads over several stream tables must keep the scenario's invariants.

mod invariants;

use crate::dashboard::panels;
use crate::generator::{self, Pace};
use crate::stack::Stack;
use invariants::Invariant;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::rng;
use weir_tests::wire::RawClient;

/// Pauses for comparison in one check.
const ROUNDS: u32 = 3;
/// Between two reads of a table that reads the time, a row may leave it: rows do so every twenty seconds at most.
const AGING_ATTEMPTS: u32 = 5;

pub struct Options {
    /// All rounds of writing together.
    pub duration: Duration,
    pub writers: usize,
    pub pace: Pace,
}

/// What the readers saw while the writers wrote.
#[derive(Default)]
struct Seen {
    reads: u64,
    from_memory: u64,
}

pub async fn run(stack: &Stack, options: &Options, stop: watch::Receiver<bool>) -> Result<(), String> {
    let name = stack.scenario.name;
    let seed = rng::seed();
    println!("{name}: WEIR_TEST_SEED={seed}");
    // Before the first write, too: how soon that comes depends on the machine.
    tokio::task::block_in_place(|| compare_all(stack))?;
    let mut commits = 0;
    let mut seen = Seen::default();
    for round in 0..ROUNDS {
        let (pause, paused) = watch::channel(false);
        let writers: Vec<_> = (0..options.writers)
            .map(|writer| {
                let rng = StdRng::seed_from_u64(seed ^ (u64::from(round) << 32) ^ writer as u64);
                generator::spawn(stack.scenario, options.pace, stack.weir.config(), rng, paused.clone())
            })
            .collect();
        let reading = read_while(stack, options.duration / ROUNDS, stop.clone()).await;
        pause.send_replace(true);
        for writer in writers {
            commits += writer.finish().await;
        }
        let reading = reading?;
        seen.reads += reading.reads;
        seen.from_memory += reading.from_memory;
        if *stop.borrow() {
            return Err("interrupted".to_owned());
        }
        let compared = tokio::task::block_in_place(|| compare_all(stack))?;
        println!("{name}: round {}: {commits} commits so far, {compared} answers equal to Postgres'", round + 1);
    }
    if commits == 0 {
        return Err("no writer has committed anything".to_owned());
    }
    // Reads beside writers may be forwarded, but a cache that never answers them is not one.
    if seen.from_memory * 2 < seen.reads {
        return Err(format!("only {} of {} reads beside writers came from memory", seen.from_memory, seen.reads));
    }
    if let Some(sql) = invariants::reached(name) {
        let answer = RawClient::superuser(&stack.weir.address()).execute(sql).scalar();
        if answer != "t" {
            return Err(format!("the writers have not got there: {sql}"));
        }
    }
    println!(
        "{name}: OK: {} stream tables, {commits} commits, {} reads while writing kept all {} invariants ({} from memory)",
        stack.scenario.tables.len(),
        seen.reads,
        invariants::of(name).len(),
        seen.from_memory
    );
    Ok(())
}

/// Reads the invariants for `duration` on a thread of their own.
async fn read_while(stack: &Stack, duration: Duration, stop: watch::Receiver<bool>) -> Result<Seen, String> {
    let address = stack.weir.address();
    let invariants = invariants::of(stack.scenario.name);
    let over = Arc::new(AtomicBool::new(false));
    let ended = over.clone();
    let reader = tokio::task::spawn_blocking(move || {
        let mut client = RawClient::superuser(&address);
        let mut seen = Seen::default();
        let started = Instant::now();
        while started.elapsed() < duration && !ended.load(Ordering::Relaxed) {
            for invariant in invariants {
                holds(&mut client, invariant)?;
                seen.reads += 1;
                seen.from_memory += u64::from(client.last_route().starts_with("memory"));
            }
        }
        Ok(seen)
    });
    let mut stop = stop;
    let watcher = tokio::spawn(async move {
        // An error means that nobody can send the signal any more.
        let _ = stop.wait_for(|&stop| stop).await;
        over.store(true, Ordering::Relaxed);
    });
    let seen = reader.await.map_err(|error| format!("the reader broke: {error}"))?;
    watcher.abort();
    seen
}

/// Every row's columns are equal to each other.
fn holds(client: &mut RawClient, invariant: &Invariant) -> Result<(), String> {
    let table = client.query(invariant.sql);
    if let Some(error) = table.error {
        return Err(format!("{error:?}: {}", invariant.sql));
    }
    for row in table.texts() {
        if row.iter().any(|value| *value != row[0]) {
            return Err(format!("broken in one read: {}\n  {}\n  {}", invariant.says, row.join(" | "), invariant.sql));
        }
    }
    Ok(())
}

/// With all writers paused: every stream table, the dashboard's panels, the seeds' reads, and Weir's own verification.
fn compare_all(stack: &Stack) -> Result<usize, String> {
    let mut weir = RawClient::superuser(&stack.weir.address());
    let mut direct = RawClient::superuser(&stack.postgres.address());
    // The writers' commits are not this session's own: ask for everything visible anywhere.
    weir.execute("SET weir.consistency = 'latest'");
    let mut compared = 0;
    for table in stack.scenario.tables {
        compare_from_memory(&mut weir, &mut direct, &format!("SELECT * FROM {table}"), Order::Any)?;
        verify(&mut weir, table)?;
        compared += 1;
    }
    for table in stack.scenario.timed {
        compare_timed(stack, &mut direct, table)?;
        compared += 1;
    }
    let reads = invariants::reads(stack.scenario.name).iter().copied();
    for sql in panels::statements(stack.scenario.name).chain(reads) {
        compare(&mut weir, &mut direct, sql, Order::Exact)?;
        compared += 1;
    }
    for invariant in invariants::of(stack.scenario.name) {
        compare(&mut weir, &mut direct, invariant.sql, Order::Any)?;
        holds(&mut weir, invariant)?;
        compared += 1;
    }
    for (maintained, base) in invariants::at_rest(stack.scenario.name) {
        let (maintained_total, base_total) = (weir.execute(maintained).scalar(), direct.execute(base).scalar());
        if maintained_total != base_total {
            return Err(format!("{maintained}: {maintained_total}\n{base}: {base_total}"));
        }
        compared += 1;
    }
    Ok(compared)
}

/// A table that reads the time: memory has what Postgres says now, unless a row has aged out between the two reads. The rows
/// of its last refresh are those of the present after another one.
fn compare_timed(stack: &Stack, direct: &mut RawClient, table: &str) -> Result<(), String> {
    let sql = format!("SELECT * FROM {table}");
    let mut latest = RawClient::superuser(&stack.weir.address());
    latest.execute("SET weir.consistency = 'latest'");
    let mut scheduled = RawClient::superuser(&stack.weir.address());
    scheduled.execute("SET weir.consistency = 'scheduled'");
    let mut problem = String::new();
    for _ in 0..AGING_ATTEMPTS {
        latest.execute(&format!("SELECT pgtrickle.refresh_stream_table('{table}')"));
        let compared = compare_from_memory(&mut latest, direct, &sql, Order::Any)
            .and_then(|()| compare_from_memory(&mut scheduled, direct, &sql, Order::Any));
        match compared {
            Ok(()) => return Ok(()),
            Err(difference) => problem = difference,
        }
    }
    Err(problem)
}

/// `pgtrickle.verify_stream_table` must answer that memory and view agree.
fn verify(weir: &mut RawClient, table: &str) -> Result<(), String> {
    let sql = format!("SELECT ok, missing, extra FROM pgtrickle.verify_stream_table('{table}')");
    let answer = weir.query(&sql);
    if let Some(error) = answer.error {
        return Err(format!("{sql}: {error:?}"));
    }
    match answer.texts().as_slice() {
        [row] if row[0] == "t" => Ok(()),
        rows => Err(format!("{sql} says {rows:?}")),
    }
}
