//! Random writers in every shape, through Weir and past it; at every pause each stream table read through Weir equals
//! its view read directly: rows, types, bytes, and memory has answered.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_tests::oracle::compare_scenario;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::scenario::{ECOMMERCE, FINANCE, FRAUD, LEADERBOARD, Scenario};
use weir_tests::weir::{TestWeir, keeps_nothing};
use weir_tests::wire::RawClient;
use weir_tests::workload::Writer;

const WRITERS: usize = 4;
/// The last of the writers is connected straight to Postgres.
const DIRECT_WRITER: usize = WRITERS - 1;

fn run(scenario: Scenario) {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    run_on(scenario, &server, &weir, rng::rounds(200, 800));
}

/// The same where nothing can be captured from the WAL.
fn run_by_triggers(scenario: Scenario) {
    let server = TestServer::options().conf("wal_level = replica").start();
    let weir = TestWeir::start(&server);
    run_on(scenario, &server, &weir, rng::rounds(40, 800));
}

fn run_on(scenario: Scenario, server: &TestServer, weir: &TestWeir, rounds: usize) {
    let seed = rng::seed();
    eprintln!("{}: WEIR_TEST_SEED={seed}", scenario.name);
    let mut random = StdRng::seed_from_u64(seed);
    scenario.install_hostile(&mut RawClient::superuser(&weir.address()));
    weir.wait_until_live(scenario.tables);
    let mut writers: Vec<_> = (0..WRITERS)
        .map(|at| {
            let address = if at == DIRECT_WRITER { server.address() } else { weir.address() };
            let rng = StdRng::seed_from_u64(random.random());
            Writer::new(scenario, RawClient::superuser(&address), rng, &format!("writer-{at}"))
        })
        .collect();
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    for round in 0..rounds {
        let actions = random.random_range(1..4);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                scope.spawn(move || (0..actions).for_each(|_| writer.act().expect("the connection holds")));
            }
        });
        if keeps_nothing() || rng::is_long() {
            // What a TRUNCATE has taken away from a table that was let go is copied again, and Postgres answers until then. A long
            // run outlasts the minute after which tables are let go.
            weir.wait_until_live(scenario.tables);
        }
        if let Err(difference) = compare_scenario(&mut through, &mut direct, scenario, &mut random) {
            panic!("{} round {round}, WEIR_TEST_SEED={seed}:\n{difference}", scenario.name);
        }
    }
}

#[test]
fn ecommerce() {
    run(ECOMMERCE);
}

#[test]
fn fraud() {
    run(FRAUD);
}

#[test]
fn finance() {
    run(FINANCE);
}

#[test]
fn leaderboard() {
    run(LEADERBOARD);
}

#[test]
fn ecommerce_by_triggers() {
    run_by_triggers(ECOMMERCE);
}

#[test]
fn fraud_by_triggers() {
    run_by_triggers(FRAUD);
}

#[test]
fn finance_by_triggers() {
    run_by_triggers(FINANCE);
}

#[test]
fn leaderboard_by_triggers() {
    run_by_triggers(LEADERBOARD);
}
