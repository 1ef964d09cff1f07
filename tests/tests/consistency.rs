//! A session never goes back in time, whichever way its reads are answered; one read never shows half a commit.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::scenario::FRAUD;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

const TRIES: usize = 10_000;
const READERS: usize = 4;
const WRITERS: usize = 3;
/// A cache that forwards more than this share of such reads proves nothing here.
const LEAST_FROM_MEMORY: f64 = 0.5;

/// Runs writers until all readers have made their tries; returns how many of the readers' reads memory answered.
fn beside_writers(
    weir: &TestWeir,
    write: impl Fn(&mut RawClient, &mut StdRng) + Sync,
    read: impl Fn(&mut RawClient, usize, &AtomicU64) + Sync,
) -> f64 {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let (done, memory) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for at in 0..WRITERS {
            let (done, write) = (&done, &write);
            scope.spawn(move || {
                let mut client = RawClient::superuser(&weir.address());
                let mut rng = StdRng::seed_from_u64(seed ^ at as u64);
                while !done.load(Ordering::Relaxed) {
                    write(&mut client, &mut rng);
                }
            });
        }
        let readers: Vec<_> = (0..READERS)
            .map(|_| {
                let (read, memory) = (&read, &memory);
                scope.spawn(move || read(&mut RawClient::superuser(&weir.address()), TRIES / READERS, memory))
            })
            .collect();
        let outcomes: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        done.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.expect("what a reader saw was consistent");
        }
    });
    let share = memory.into_inner() as f64 / TRIES as f64;
    eprintln!("{:.1} % of the cached reads came from memory", share * 100.0);
    share
}

/// Every commit adds one to the counter; the stream table shows it, and so does the base table.
#[test]
fn no_going_back_between_cached_and_forwarded() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut setup = RawClient::superuser(&weir.address());
    setup.execute("CREATE TABLE counter (id int PRIMARY KEY, n bigint NOT NULL); INSERT INTO counter VALUES (1, 0)");
    setup.execute(
        "SELECT pgtrickle.create_stream_table(name => 'counted', query => 'SELECT id, n FROM counter', \
         schedule => '1s', refresh_mode => 'DIFFERENTIAL')",
    );
    weir.wait_until_live(&["counted"]);
    let value = |client: &mut RawClient, sql: &str| -> i64 { client.execute(sql).scalar().parse().expect("a bigint") };
    let share = beside_writers(
        &weir,
        |client, _| drop(client.execute("UPDATE counter SET n = n + 1 WHERE id = 1")),
        |client, tries, memory| {
            let mut seen = 0;
            for _ in 0..tries {
                let cached = value(client, "SELECT n FROM counted WHERE id = 1");
                let route = client.last_route();
                memory.fetch_add(u64::from(route.starts_with("memory")), Ordering::Relaxed);
                assert!(cached >= seen, "cached read went back from {seen} to {cached}, route {route}");
                let forwarded = value(client, "SELECT n FROM counter WHERE id = 1");
                assert!(forwarded >= cached, "forwarded read went back from {cached} to {forwarded}");
                seen = forwarded;
            }
        },
    );
    assert!(share >= LEAST_FROM_MEMORY, "only {:.1} % came from memory", share * 100.0);
}

/// The totals that different fraud tables derive from the same transactions agree in every single read.
#[test]
fn no_torn_reads_of_the_fraud_totals() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    FRAUD.install(&mut RawClient::superuser(&weir.address()));
    weir.wait_until_live(FRAUD.tables);
    let share = beside_writers(
        &weir,
        |client, rng| {
            let mut insert = || {
                let (user, merchant) = (rng.random_range(1..=30), rng.random_range(1..=15));
                let amount = rng.random_range(1..4000);
                format!("INSERT INTO transactions (user_id, merchant_id, amount) VALUES ({user}, {merchant}, {amount})")
            };
            let (one, two) = (insert(), insert());
            client.execute(&format!(
                "BEGIN; {one}; {two}; DELETE FROM transactions WHERE id = currval('transactions_id_seq') - 40; COMMIT"
            ));
        },
        |client, tries, memory| {
            let sql = "SELECT a.n, r.n, m.n, c.n, u.n \
                 FROM (SELECT SUM(txn_count) AS n FROM alert_summary) a, \
                      (SELECT COUNT(*) AS n FROM risk_scores) r, \
                      (SELECT SUM(total_txns) AS n FROM top_risky_merchants) m, \
                      (SELECT SUM(txn_count) AS n FROM category_volume) c, \
                      (SELECT SUM(txn_count) AS n FROM user_velocity) u";
            for _ in 0..tries {
                let row = client.execute(sql).texts().remove(0);
                let route = client.last_route();
                memory.fetch_add(u64::from(route.starts_with("memory")), Ordering::Relaxed);
                assert!(row.iter().all(|value| *value == row[0]), "torn read: {row:?}, route {route}");
            }
        },
    );
    assert!(share >= LEAST_FROM_MEMORY, "only {:.1} % came from memory", share * 100.0);
}

/// Money moves between two tables in one transaction: no read sees it in both or in neither.
#[test]
fn transfers_between_tables_keep_the_total() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut setup = RawClient::superuser(&weir.address());
    for side in ["left_side", "right_side"] {
        setup.execute(&format!(
            "CREATE TABLE {side} (id int PRIMARY KEY, balance bigint NOT NULL); \
             INSERT INTO {side} SELECT n, 100 FROM generate_series(1, 20) n"
        ));
        setup.execute(&format!(
            "SELECT pgtrickle.create_stream_table('{side}_total', 'SELECT SUM(balance) AS total FROM {side}', '1s')"
        ));
    }
    weir.wait_until_live(&["left_side_total", "right_side_total"]);
    let share = beside_writers(
        &weir,
        |client, rng| {
            let (from, to) = if rng.random() { ("left_side", "right_side") } else { ("right_side", "left_side") };
            let (payer, payee, sum) = (rng.random_range(1..=20), rng.random_range(1..=20), rng.random_range(1..10));
            client.execute("BEGIN");
            // One order of locks for both directions; a deadlock here would be the test's, not Weir's.
            client.execute("SELECT pg_advisory_xact_lock(1)");
            client.execute(&format!("UPDATE {from} SET balance = balance - {sum} WHERE id = {payer}"));
            client.execute(&format!("UPDATE {to} SET balance = balance + {sum} WHERE id = {payee}"));
            client.execute(if rng.random_range(0..5) == 0 { "ROLLBACK" } else { "COMMIT" });
        },
        |client, tries, memory| {
            for _ in 0..tries {
                let sql = "SELECT l.total + r.total FROM left_side_total l, right_side_total r";
                let total = client.execute(sql).scalar();
                let route = client.last_route();
                memory.fetch_add(u64::from(route.starts_with("memory")), Ordering::Relaxed);
                assert_eq!(total, "4000", "route {route}");
            }
        },
    );
    assert!(share >= LEAST_FROM_MEMORY, "only {:.1} % came from memory", share * 100.0);
}
