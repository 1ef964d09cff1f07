//! Random message sequences to Weir and to Postgres: the reply streams must be equal, message by message and byte by
//! byte. Masked: the OIDs of temporary tables, which each session has of its own; the line of Postgres' source that
//! refuses to execute or describe a portal in a failed block (see `play::is_lost_portal`); and which message it was that ended a
//! session because a copy had begun (see `play::is_stray_in_copy`). `WEIR_TEST_SEQUENCES` sets their
//! number, for runs of any length under any seed.

mod found_before;
mod interleavings;
mod stage;

use crate::stage::{Pair, stack};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use weir_tests::postgres::TestServer;
use weir_tests::protocol::dangling::may_crash_postgres;
use weir_tests::protocol::play::{End, difference};
use weir_tests::protocol::shrink::shrink;
use weir_tests::protocol::{Sequence, Step, generate};
use weir_tests::rng::{rounds, seed};
use weir_tests::weir::TestWeir;

/// Threads, each with its own schema and connections.
const THREADS: usize = 3;
/// Sequences over one connection before it is opened anew.
const PER_CONNECTION: usize = 40;
/// At least so many of a hundred reads of stream tables must have been answered from memory.
const MEMORY_SHARE: u64 = 25;
/// At most so many of a thousand sequences may leave a session that is only forwarded from then on. It happens where a
/// client goes on without waiting behind a copy that failed with a Sync in it: once or twice in ten thousand.
const GIVEN_UP: usize = 10;

/// Between two sequences.
const RESETS: [&str; 2] =
    ["DISCARD ALL", "RESET SESSION AUTHORIZATION; RESET ALL; CLOSE ALL; UNLISTEN *; DEALLOCATE ALL; DISCARD TEMP"];

struct Run {
    seed: u64,
    wanted: usize,
    next: AtomicUsize,
    failed: AtomicBool,
    report: Mutex<String>,
    /// What each thread plays now, as the seed that makes it the first.
    playing: [AtomicU64; THREADS],
}

fn work(run: &Run, server: &TestServer, weir: &TestWeir, thread: usize) {
    let mut pair = Pair::new(server, weir, thread);
    // What was played over this connection.
    let mut before: Vec<(Sequence, u64)> = Vec::new();
    while !run.failed.load(Ordering::Relaxed) {
        let number = run.next.fetch_add(1, Ordering::Relaxed);
        if number >= run.wanted {
            return;
        }
        if before.len() == PER_CONNECTION {
            pair.reconnect();
            before.clear();
        }
        let sequence_seed = run.seed.wrapping_add(number as u64);
        run.playing[thread].store(sequence_seed, Ordering::Relaxed);
        let mut rng = StdRng::seed_from_u64(sequence_seed);
        let mut sequence = generate::sequence(&mut rng);
        if !sequence.is_fatal() {
            // The sessions forget what was.
            let reset = RESETS[rng.random_range(0..RESETS.len())].split("; ").map(|sql| Step::Query(sql.to_owned()));
            sequence
                .0
                .extend([Step::CopyFail, Step::Sync, Step::Query("ROLLBACK".to_owned())].into_iter().chain(reset));
        }
        let pieces = rng.random();
        if std::env::var_os("SHOW").is_some() {
            eprintln!("{sequence}");
        }
        let (through, direct) = pair.play(&sequence, pieces);
        if let Some(found) = difference(&through, &direct) {
            run.failed.store(true, Ordering::Relaxed);
            eprintln!("found under WEIR_TEST_SEED={sequence_seed}; making it small: {found}");
            let told = tell(&mut pair, &before, &sequence, pieces, &found);
            let mut report = run.report.lock().expect("no panic holds it");
            report.push_str(&format!("\nWEIR_TEST_SEED={sequence_seed} finds it first.\n{told}"));
            return;
        }
        before.push((sequence, pieces));
        if through.end != End::Marker {
            pair.reconnect();
            before.clear();
        }
    }
}

fn tell(pair: &mut Pair<'_>, before: &[(Sequence, u64)], sequence: &Sequence, pieces: u64, found: &str) -> String {
    if pair.fails(sequence, pieces).is_none() {
        return tell_with_those_before(pair, before, sequence, pieces, found);
    }
    let small = shrink(sequence, |candidate| !may_crash_postgres(candidate) && pair.fails(candidate, pieces).is_some());
    let found = pair.fails(&small, pieces).unwrap_or_else(|| format!("not always; at first {found}"));
    format!("{found}\nThe sequence, made small:\n{small}")
}

/// Which of the sequences before it on the connection does it take?
fn tell_with_those_before(
    pair: &mut Pair<'_>,
    before: &[(Sequence, u64)],
    sequence: &Sequence,
    pieces: u64,
    found: &str,
) -> String {
    let mut fails_behind = |before: &[(Sequence, u64)]| {
        pair.reconnect();
        before.iter().for_each(|(sequence, pieces)| drop(pair.play(sequence, *pieces)));
        let (through, direct) = pair.play(sequence, pieces);
        difference(&through, &direct).is_some()
    };
    if !fails_behind(before) {
        let shown: Vec<String> = before.iter().map(|(sequence, _)| sequence.to_string()).collect();
        return format!(
            "{found}\nNot on a fresh connection, and not always behind those before it:\n{}\nThe sequence:\n{sequence}",
            shown.join("\n--\n")
        );
    }
    let mut needed = before.to_vec();
    for at in (0..needed.len()).rev() {
        let mut fewer = needed.clone();
        fewer.remove(at);
        if fails_behind(&fewer) {
            needed = fewer;
        }
    }
    let shown: Vec<String> = needed.iter().map(|(sequence, _)| sequence.to_string()).collect();
    format!("{found}\nBehind these on the same connection:\n{}\nThe sequence:\n{sequence}", shown.join("\n--\n"))
}

fn counter(weir: &TestWeir, name: &str) -> u64 {
    let metrics = weir.metrics();
    let values = metrics.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().expect("a number") as u64).sum()
}

fn sequences() -> usize {
    match std::env::var("WEIR_TEST_SEQUENCES") {
        Ok(number) => number.parse().expect("WEIR_TEST_SEQUENCES is a number"),
        Err(_) => rounds(2000, 100_000),
    }
}

#[test]
fn random_sequences() {
    let (server, weir) = stack(THREADS);
    let seed = seed();
    eprintln!("random_sequences: WEIR_TEST_SEED={seed}");
    let run = Run {
        seed,
        wanted: sequences(),
        next: AtomicUsize::new(0),
        failed: AtomicBool::new(false),
        report: Mutex::new(String::new()),
        playing: Default::default(),
    };
    let before = (counter(&weir, "weir_statements_answered_total"), counter(&weir, "weir_statements_forwarded_total"));
    let worked: Vec<_> = std::thread::scope(|scope| {
        let (run, server, weir) = (&run, &server, &weir);
        let threads: Vec<_> = (0..THREADS).map(|thread| scope.spawn(move || work(run, server, weir, thread))).collect();
        threads.into_iter().map(|thread| thread.join()).collect()
    });
    // All sessions are gone with a backend that died, so this is told before what the threads make of it.
    if let Some(crash) = server.log().lines().find(|line| line.contains("was terminated by signal")) {
        panic!("the server crashed ({crash}) under one of WEIR_TEST_SEED={:?}", run.playing);
    }
    worked.into_iter().for_each(|worked| worked.unwrap_or_else(|panic| resume_unwind(panic)));
    let log = weir.log();
    let distrusted =
        log.lines().filter(|line| line.contains("replies do not match")).inspect(|line| eprintln!("{line}"));
    let distrusted = distrusted.count();
    let report = run.report.into_inner().expect("no panic holds it");
    assert!(report.is_empty(), "{report}");
    assert!(distrusted * 1000 <= GIVEN_UP * run.wanted, "{distrusted} sessions of {} given up", run.wanted);
    let memory = counter(&weir, "weir_statements_answered_total") - before.0;
    let forwarded = counter(&weir, "weir_statements_forwarded_total") - before.1;
    eprintln!(
        "{} sequences; reads of stream tables: {memory} from memory, {forwarded} forwarded; \
         {distrusted} sessions given up",
        run.wanted
    );
    assert!(
        memory * 100 >= MEMORY_SHARE * (memory + forwarded),
        "too few answers from memory: {memory} of {}",
        memory + forwarded
    );
}
