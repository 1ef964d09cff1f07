//! Random schemas, queries and changes: after every change each stream table, and random reads over them, answer through
//! Weir what Postgres answers directly, rows, type OIDs and bytes. A failure is shrunk and printed with its seed;
//! `WEIR_TEST_SEED` repeats a series, `WEIR_FUZZ_CASES` says how many cases it has, `WEIR_FUZZ_FROM` passes over those before,
//! `WEIR_FUZZ_ROUTES` prints which way each read went.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use weir_tests::fuzz::case::{Case, Sides};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Queries in one case: as many stream tables, and reads after each of its steps.
const VIEWS: usize = 6;
const STEPS: usize = 4;
const READS: usize = 4;

#[test]
fn stream_tables_and_reads_equal_postgres() {
    let seed = rng::seed();
    eprintln!("oracle fuzz: WEIR_TEST_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    // Compiling the small queries of a case takes the server five times as long as everything else together.
    let server = TestServer::options().conf("jit = off").start();
    let weir = TestWeir::start(&server);
    let mut sides = Sides::new(RawClient::superuser(&weir.address()), RawClient::superuser(&server.address()));
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let (given, from) = (number("WEIR_FUZZ_CASES"), number("WEIR_FUZZ_FROM").unwrap_or(0));
    // Nearly 22 queries each: some hundred in `make test`, 20,000 in `make test-long`.
    let cases = given.unwrap_or(rng::rounds(12, 940));
    for number in 0..cases {
        let seed_of_case = random.random();
        if number < from {
            continue;
        }
        eprintln!("case {number}: {:?}", sides.counts);
        let case = Case::random(seed_of_case, VIEWS, STEPS, READS);
        if let Err(failure) = sides.check(&case) {
            panic!("case {number}, WEIR_TEST_SEED={seed}\n{}\n\n{}", failure.case.to_sql(), failure.difference);
        }
    }
    println!("{:?}", sides.counts);
    assert!(!weir.log().contains("panicked"), "a defect was quarantined:\n{}", weir.log());
    let counts = sides.counts;
    assert!(counts.from_memory * 2 > counts.comparisons, "memory answers less than half: {counts:?}");
    assert!(counts.failing_by_plan * 200 <= counts.comparisons.max(200), "too much is left aside: {counts:?}");
}
