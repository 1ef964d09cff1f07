//! Random statements and DDL over partitioned tables, and over tables that inherit; every stream table must be its view whenever the
//! writers pause, and comes back to memory after every change of which tables there are.

use crate::{family, shape};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::{TestWeir, by_triggers};
use weir_tests::wire::RawClient;

const WRITERS: u64 = 3;
/// Rounds between two waits until memory answers everything.
const SETTLE_EVERY: usize = 3;

/// What is played.
struct Play {
    setup: &'static str,
    /// Names and definitions.
    streams: &'static [(&'static str, &'static str)],
    /// A statement that writes rows, perhaps by MERGE; it may fail.
    write: fn(&mut StdRng, bool) -> String,
    /// Statements, run one by one, that change which tables there are; each may fail.
    change: fn(&mut StdRng) -> Vec<String>,
    /// Now and then, so that rows stay few enough for every comparison to be quick.
    trim: &'static str,
}

#[test]
fn partitions_come_and_go() {
    play(&Play {
        setup: shape::SETUP,
        streams: &shape::STREAMS,
        write: shape::write,
        change: shape::change,
        trim: "DELETE FROM facts WHERE v % 4 <> 0",
    });
}

#[test]
fn heirs_come_and_go() {
    // (Triggers do not see what is written through whom a table inherits from.)
    if !by_triggers() {
        play(&Play {
            setup: family::SETUP,
            streams: &family::STREAMS,
            write: family::write,
            change: family::change,
            trim: "DELETE FROM folk WHERE v % 4 <> 0",
        });
    }
}

fn play(play: &Play) {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let server = TestServer::start();
    let mut weir = TestWeir::start(&server);
    let (mut app, mut direct) = (RawClient::superuser(&weir.address()), RawClient::superuser(&server.address()));
    app.execute(play.setup);
    for (name, query) in play.streams {
        app.execute(&format!("SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, '1s', 'DIFFERENTIAL')"));
    }
    settle(play, &mut weir, &mut app, &mut direct, "at the start");
    let (done, pause, written) = (AtomicBool::new(false), RwLock::new(()), AtomicU64::new(0));
    let merge = server.major() >= 15;
    std::thread::scope(|scope| {
        // A failed comparison must not leave the writers running.
        let ended = Ended(&done);
        for at in 0..WRITERS {
            // The last one is connected straight to Postgres.
            let address = if at + 1 == WRITERS { server.address() } else { weir.address() };
            let rng = StdRng::seed_from_u64(seed ^ (1000 + at));
            let (done, pause, written) = (&done, &pause, &written);
            scope.spawn(move || write(play, &address, rng, merge, done, pause, written));
        }
        let mut changed = 0;
        for round in 0..rng::rounds(36, 500) {
            let through = if rng.random() { &mut app } else { &mut direct };
            through.execute("SET lock_timeout = '3s'");
            let mut story = Vec::new();
            for _ in 0..rng.random_range(0..3) {
                for statement in (play.change)(&mut rng) {
                    let answer = through.query(&statement);
                    changed += usize::from(answer.error.is_none());
                    if let Some(error) = &answer.error {
                        through.query("ROLLBACK");
                        story.push(format!("{statement}  -- {}", error.message));
                    } else {
                        story.push(statement);
                    }
                }
            }
            std::thread::sleep(std::time::Duration::from_millis(rng.random_range(0..60)));
            let _writers_pause = pause.write();
            let what = format!("round {round}, seed {seed}, after\n{}", story.join("\n"));
            for (name, _) in play.streams {
                app.execute("SET weir.consistency = 'latest'");
                let sql = format!("SELECT * FROM {name}");
                if let Err(difference) = compare(&mut app, &mut direct, &sql, Order::Any) {
                    panic!("{what}\n{difference}\n{}\n{}", app.last_route(), weir.log());
                }
            }
            if round % SETTLE_EVERY == 0 {
                settle(play, &mut weir, &mut app, &mut direct, &what);
            }
        }
        drop(ended);
        eprintln!("{} statements wrote, {changed} statements changed the tables", written.load(Ordering::Relaxed));
        assert!(written.load(Ordering::Relaxed) > 200 && changed > 20);
    });
}

/// Everything is in memory again, and right.
fn settle(play: &Play, weir: &mut TestWeir, app: &mut RawClient, direct: &mut RawClient, what: &str) {
    app.execute("SET weir.consistency = 'latest'");
    let names: Vec<&str> = play.streams.iter().map(|(name, _)| *name).collect();
    weir.wait_until_live(&names);
    for name in names {
        if let Err(difference) = compare_from_memory(app, direct, &format!("SELECT * FROM {name}"), Order::Any) {
            panic!("{what}\n{difference}\n{}", weir.log());
        }
    }
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Writes single statements and transactions, some of which are undone in part or whole.
fn write(
    play: &Play,
    address: &str,
    mut rng: StdRng,
    merge: bool,
    done: &AtomicBool,
    pause: &RwLock<()>,
    written: &AtomicU64,
) {
    let mut client = RawClient::superuser(address);
    while !done.load(Ordering::Relaxed) {
        let _writing = pause.read();
        let mut text = (play.write)(&mut rng, merge);
        if rng.random_range(0..3) == 0 {
            let (second, third) = ((play.write)(&mut rng, merge), (play.write)(&mut rng, merge));
            let undo = ["ROLLBACK TO s", "RELEASE s"][rng.random_range(0..2)];
            let end = ["COMMIT", "COMMIT", "COMMIT", "ROLLBACK"][rng.random_range(0..4)];
            text = format!("BEGIN; {text}; SAVEPOINT s; {second}; {undo}; {third}; {end}");
        }
        match client.query(&text).error {
            None => drop(written.fetch_add(1, Ordering::Relaxed)),
            Some(_) => drop(client.query("ROLLBACK")),
        }
        if rng.random_range(0..40) == 0 {
            client.query(play.trim);
        }
    }
}
