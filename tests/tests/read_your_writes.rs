//! A session that writes and at once reads the affected stream table sees its write: every time, under load, at the
//! default consistency level.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::scenario::ECOMMERCE;
use weir_tests::weir::TestWeir;
use weir_tests::wire::{RawClient, Table};

const SESSIONS: usize = 8;
const TRIES: usize = 10_000;
const BACKGROUND_WRITERS: usize = 2;
/// A cache that forwards more than this share of such reads proves nothing here.
const LEAST_FROM_MEMORY: f64 = 0.5;

#[test]
fn ten_thousand_of_ten_thousand() {
    let server = TestServer::start();
    every_write_is_seen(&server, TRIES);
}

/// The same where nothing can be captured from the WAL; commits are visible before they are flushed.
#[test]
fn by_triggers_too() {
    let server = TestServer::options().conf("wal_level = replica").conf("synchronous_commit = off").start();
    every_write_is_seen(&server, rng::rounds(TRIES / 4, TRIES));
}

fn every_write_is_seen(server: &TestServer, tries: usize) {
    let seed = rng::seed();
    eprintln!("WEIR_TEST_SEED={seed}");
    let weir = TestWeir::start(server);
    ECOMMERCE.install(&mut RawClient::superuser(&weir.address()));
    let mut setup = RawClient::superuser(&weir.address());
    setup.execute(
        "INSERT INTO customers (id, name, country) SELECT 1000 + n, 'session ' || n, 'XX' FROM generate_series(0, 63) n; \
         CREATE FUNCTION spend(who bigint) RETURNS void LANGUAGE sql AS \
         $$ INSERT INTO orders (customer_id, product_id, unit_price) VALUES (who, 1, 1.00) $$",
    );
    weir.wait_until_live(ECOMMERCE.tables);
    let (done, memory) = (AtomicBool::new(false), AtomicU64::new(0));
    let tries = tries / SESSIONS;
    std::thread::scope(|scope| {
        for at in 0..BACKGROUND_WRITERS {
            let (weir, done) = (&weir, &done);
            scope.spawn(move || load(weir, done, StdRng::seed_from_u64(seed ^ (99 + at as u64))));
        }
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|at| {
                let (weir, memory) = (&weir, &memory);
                scope.spawn(move || session(weir, 1000 + at, tries, memory, StdRng::seed_from_u64(seed ^ at as u64)))
            })
            .collect();
        let outcomes: Vec<_> = sessions.into_iter().map(|session| session.join()).collect();
        done.store(true, Ordering::Relaxed);
        for outcome in outcomes {
            outcome.expect("every session sees every one of its writes");
        }
    });
    let share = memory.into_inner() as f64 / (tries * SESSIONS) as f64;
    eprintln!("{:.1} % of the reads came from memory", share * 100.0);
    assert!(share >= LEAST_FROM_MEMORY, "only {:.1} % of the reads came from memory", share * 100.0);
}

/// Other people's writes.
fn load(weir: &TestWeir, done: &AtomicBool, mut rng: StdRng) {
    let mut client = RawClient::superuser(&weir.address());
    while !done.load(Ordering::Relaxed) {
        client.execute(&format!(
            "INSERT INTO orders (customer_id, product_id, unit_price) VALUES ({}, {}, {}.50)",
            rng.random_range(1..=30),
            rng.random_range(1..=15),
            rng.random_range(1..500)
        ));
    }
}

/// Writes one order of this session's own customer in a random way, reads at once, `tries` times.
fn session(weir: &TestWeir, customer: usize, tries: usize, memory: &AtomicU64, mut rng: StdRng) {
    let mut client = RawClient::superuser(&weir.address());
    let insert = format!("INSERT INTO orders (customer_id, product_id, unit_price) VALUES ({customer}, 1, 1.00)");
    for written in 1..=tries {
        let way = rng.random_range(0..6);
        match way {
            0 => drop(client.execute(&insert)),
            1 => drop(client.execute(&format!("BEGIN; {insert}; COMMIT"))),
            2 => {
                for sql in ["BEGIN", &insert, "COMMIT"] {
                    client.execute(sql);
                }
            }
            3 => drop(client.execute(&format!("SELECT spend({customer})"))),
            4 => {
                let answer = Table::read(&client.extended(&insert, &[], 1));
                assert!(answer.error.is_none(), "{answer:?}");
            }
            _ => drop(client.execute(&format!("WITH t AS ({insert} RETURNING id) SELECT count(*) FROM t"))),
        }
        let sql = format!("SELECT order_count, total_spent FROM customer_stats WHERE customer_id = {customer}");
        let answer = if rng.random() {
            client.query(&sql)
        } else {
            let sql = "SELECT order_count, total_spent FROM customer_stats WHERE customer_id = $1";
            Table::read(&client.extended(sql, &[Some(&customer.to_string())], 0))
        };
        let expected = [[written.to_string(), format!("{written}.00")]];
        assert_eq!(
            answer.texts(),
            expected,
            "customer {customer}, written in way {way}, route {}",
            client.last_route()
        );
        memory.fetch_add(u64::from(client.last_route().starts_with("memory")), Ordering::Relaxed);
    }
}
