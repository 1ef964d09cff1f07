//! Nexmark: the queries are maintained row by row, and after every batch of events, and of corrections to old ones, each
//! stream table read through Weir is what Postgres computes: rows, types, bytes, from memory.

use weir_tests::nexmark::{self, QUERIES, SCHEMA};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Events in a batch: 20, 60 and 920.
const BATCH: u64 = 1000;

fn compare(through: &mut RawClient, direct: &mut RawClient, when: &str) {
    for (name, _) in QUERIES {
        let sql = format!("SELECT * FROM {name}");
        if let Err(difference) = compare_from_memory(through, direct, &sql, Order::Any) {
            panic!("{when}:\n{difference}");
        }
    }
}

#[test]
fn all_queries_are_maintained() {
    let server = TestServer::start();
    let mut direct = RawClient::superuser(&server.address());
    direct.execute(SCHEMA);
    direct.execute(&nexmark::events(0, 5 * BATCH));
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    through.execute("SET weir.consistency = 'latest'");
    for (name, query) in QUERIES {
        through.execute(&nexmark::create(name, query));
    }
    weir.wait_until_live(&QUERIES.map(|(name, _)| name));
    compare(&mut through, &mut direct, "after population");
    for (name, _) in QUERIES {
        let rows = direct.execute(&format!("SELECT * FROM {name}")).rows.len();
        assert!(rows > 0, "{name} is empty and shows nothing");
    }
    for round in 0..rng::rounds(3, 30) as u64 {
        let from = (5 + round) * BATCH;
        through.execute(&nexmark::events(from, from + BATCH));
        compare(&mut through, &mut direct, &format!("round {round}, events"));
        for correction in nexmark::corrections(round) {
            direct.execute(&correction);
            compare(&mut through, &mut direct, &format!("round {round}, {correction}"));
        }
    }
}
