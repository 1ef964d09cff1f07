//! Base tables are let go and brought in again while they are written, truncated and read by ever new stream tables: every
//! answer is Postgres', and everything comes back to memory.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::{TestWeir, by_triggers};
use weir_tests::wire::RawClient;

const WRITERS: u64 = 3;
const ROWS: u32 = 5_000;
const PATIENCE: Duration = Duration::from_secs(60);

const FACTS: &str =
    "CREATE TABLE fact (id bigint PRIMARY KEY, key int NOT NULL, amount numeric(10,2) NOT NULL, name text, note text)";
type Standing = [(&'static str, &'static str); 3];
const STANDING: Standing = [
    ("by_key", "SELECT key, count(*) AS n, sum(amount) AS total, max(name) AS name FROM fact GROUP BY key"),
    ("large", "SELECT id, amount FROM fact WHERE amount > 40"),
    ("keys", "SELECT count(*) AS n, sum(n) AS facts FROM by_key"),
];
/// Only these conditions stand between the table and what is kept: rows that neither lets through are not decoded.
const FILTERED: Standing = [
    (
        "by_key",
        "SELECT key, count(*) AS n, sum(amount) AS total, max(name) AS name FROM fact \
         WHERE amount < 30 AND name <> 'name 7' GROUP BY key",
    ),
    ("large", "SELECT id, amount, note FROM fact WHERE amount > 70 OR name LIKE '%9' AND key < 20"),
    ("keys", "SELECT count(*) AS n, sum(n) AS facts FROM by_key"),
];
/// One of these comes and goes.
const PASSING: [&str; 4] = [
    "SELECT DISTINCT name FROM fact",
    "SELECT id, amount FROM fact ORDER BY amount DESC, id LIMIT 10",
    "SELECT f.id, k.total FROM fact f JOIN by_key k ON k.key = f.key WHERE f.amount < 2",
    "SELECT key, max(amount) AS highest FROM fact GROUP BY key",
];

fn create(client: &mut RawClient, name: &str, query: &str) {
    client.execute(&format!("SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, '1s', 'DIFFERENTIAL')"));
}

fn fill(client: &mut RawClient) {
    client.execute(&format!(
        "INSERT INTO fact SELECT n, n % 50, n % 9973 / 100.0, 'name ' || n % 30, \
         CASE WHEN n % 100 = 0 THEN (SELECT string_agg(md5(n::text || i::text), '') FROM generate_series(1, 400) i) END \
         FROM generate_series(1, {ROWS}) n ON CONFLICT DO NOTHING"
    ));
}

fn wait_until_let_go(weir: &TestWeir) {
    let started = Instant::now();
    while weir.counter("weir_base_tables_let_go") < 1.0 {
        assert!(started.elapsed() < PATIENCE, "the table is not let go\n{}", weir.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn let_go_and_brought_in_under_writers() {
    under_writers("let_go_and_brought_in_under_writers", STANDING);
}

#[test]
fn let_go_and_brought_in_under_writers_where_only_filters_read() {
    let left_out = under_writers("let_go_and_brought_in_under_writers_where_only_filters_read", FILTERED);
    // Captured by triggers, rows are decoded as they were recorded.
    assert!(left_out > 100.0 || by_triggers(), "{left_out}");
}

/// Returns how many rows were left out.
fn under_writers(test: &str, standing: Standing) -> f64 {
    let seed = rng::seed();
    eprintln!("{test}: WEIR_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let server = TestServer::start();
    let weir = TestWeir::start_with(&server, &["--let-go-after-ms", "30"]);
    let (mut app, mut direct) = (RawClient::superuser(&weir.address()), RawClient::superuser(&server.address()));
    app.execute(FACTS);
    fill(&mut app);
    standing.iter().for_each(|(name, query)| create(&mut app, name, query));
    weir.wait_until_live(&standing.map(|(name, _)| name));
    wait_until_let_go(&weir);
    app.execute("SET weir.consistency = 'latest'");
    let (done, pause) = (AtomicBool::new(false), RwLock::new(()));
    std::thread::scope(|scope| {
        let ended = Ended(&done);
        for at in 0..WRITERS {
            // The last one is connected straight to Postgres.
            let address = if at + 1 == WRITERS { server.address() } else { weir.address() };
            let (random, done, pause) = (StdRng::seed_from_u64(seed ^ (1000 + at)), &done, &pause);
            scope.spawn(move || write(&address, random, done, pause));
        }
        for round in 0..rng::rounds(16, 300) {
            let passing = random.random_bool(0.7).then(|| PASSING[random.random_range(0..PASSING.len())]);
            if let Some(query) = passing {
                create(&mut app, "passing", query);
            }
            if random.random_bool(0.4) {
                direct.execute("TRUNCATE fact");
                fill(&mut direct);
            }
            std::thread::sleep(Duration::from_millis(random.random_range(0..150)));
            let names: Vec<&str> = standing.iter().map(|(name, _)| *name).chain(passing.map(|_| "passing")).collect();
            {
                let _writers_pause = pause.write();
                for name in &names {
                    compare(&mut app, &mut direct, &format!("SELECT * FROM {name}"), Order::Any).unwrap_or_else(
                        |difference| panic!("round {round}, seed {seed}: {difference}\n{}", weir.log()),
                    );
                }
            }
            if round % 3 == 0 {
                weir.wait_until_live(&names);
                let _writers_pause = pause.write();
                weir.wait_until_live(&names);
                for name in &names {
                    compare_from_memory(&mut app, &mut direct, &format!("SELECT * FROM {name}"), Order::Any)
                        .unwrap_or_else(|difference| {
                            panic!("round {round}, seed {seed}: {difference}\n{}", weir.log())
                        });
                }
            }
            if passing.is_some() {
                app.execute("SELECT pgtrickle.drop_stream_table('passing')");
            }
        }
        drop(ended);
    });
    wait_until_let_go(&weir);
    assert!(weir.counter("weir_base_tables_let_go_total") > 3.0, "{}", weir.log());
    weir.counter("weir_rows_left_out_total")
}

struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn write(address: &str, mut random: StdRng, done: &AtomicBool, pause: &RwLock<()>) {
    let mut client = RawClient::superuser(address);
    while !done.load(Ordering::Relaxed) {
        // Two cores are to be enough for all: what is never at the present is not answered from memory.
        std::thread::sleep(Duration::from_millis(2));
        let _writing = pause.read();
        let (id, key) = (random.random_range(1..2 * ROWS), random.random_range(0..50));
        let statement = match random.random_range(0..6) {
            0 | 1 => format!(
                "INSERT INTO fact VALUES ({id}, {key}, 2 * {key}, 'new') ON CONFLICT (id) DO UPDATE SET amount = fact.amount + 1"
            ),
            2 | 3 => {
                format!("UPDATE fact SET key = {key}, name = 'name ' || id % 40 WHERE id BETWEEN {id} AND {id} + 20")
            }
            4 => format!("DELETE FROM fact WHERE id BETWEEN {id} AND {id} + 3"),
            _ => format!(
                "BEGIN; UPDATE fact SET amount = 1 WHERE id = {id}; DELETE FROM fact WHERE key = {key} AND id % 9 = 0; ROLLBACK"
            ),
        };
        // A deadlock with a TRUNCATE, or a statement that it has cancelled, is no concern of this test.
        if client.query(&statement).error.is_some() {
            client.query("ROLLBACK");
        }
    }
}
