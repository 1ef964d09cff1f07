//! TPC-H: all 22 queries are maintained row by row, and after every change of a cycle each stream table read through
//! Weir is what Postgres computes: rows, types, bytes, from memory.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::tpch::{self, Changes, HUNDREDTH, QUERIES, Scale, TENTH};
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Population of a table of 600,000 rows by a debug build on a busy machine.
const POPULATION: Duration = Duration::from_secs(300);

struct Stage {
    through: RawClient,
    direct: RawClient,
    weir: TestWeir,
    /// Stopped last.
    _server: TestServer,
}

impl Stage {
    fn new(scale: Scale) -> Stage {
        let server = TestServer::start();
        let runtime = tokio::runtime::Runtime::new().expect("threads can be started");
        runtime.block_on(tpch::load(&server, scale));
        let weir = TestWeir::start(&server);
        let mut through = RawClient::superuser(&weir.address());
        let direct = RawClient::superuser(&server.address());
        through.execute("SET weir.consistency = 'latest'");
        Stage { through, direct, weir, _server: server }
    }

    fn maintain(&mut self, queries: &[(&str, &str)], scale: Scale) {
        for (name, query) in queries {
            self.through.execute(&tpch::create(name, query, scale));
        }
        let names: Vec<&str> = queries.iter().map(|(name, _)| *name).collect();
        self.weir.wait_until_live_within(&names, POPULATION);
    }

    /// Every stream table equals its query.
    fn compare(&mut self, queries: &[(&str, &str)], when: &str) {
        for (name, _) in queries {
            self.wait_until_caught_up(name);
            let sql = format!("SELECT * FROM {name}");
            if let Err(difference) = compare_from_memory(&mut self.through, &mut self.direct, &sql, Order::Any) {
                panic!("{when}:\n{difference}");
            }
        }
    }

    /// A debug build may take longer over a change than a read waits for it; the read is then Postgres' to answer.
    fn wait_until_caught_up(&mut self, name: &str) {
        let started = Instant::now();
        loop {
            self.through.execute(&format!("SELECT FROM {name} LIMIT 0"));
            if self.through.last_route() != "forwarded: behind" {
                return;
            }
            assert!(started.elapsed() < POPULATION, "{name} does not catch up");
        }
    }
}

fn cycles(scale: Scale, cycles: u32) {
    let mut stage = Stage::new(scale);
    stage.maintain(&QUERIES, scale);
    stage.compare(&QUERIES, "after population");
    for (name, _) in QUERIES {
        let rows = stage.direct.execute(&format!("SELECT * FROM {name}")).rows.len();
        assert!(rows > 0, "{name} is empty and shows nothing");
    }
    for cycle in 0..cycles {
        let changes = Changes { cycle };
        for (what, sql) in [("RF1", changes.insert()), ("RF2", changes.delete()), ("updates", changes.update())] {
            // One of the two ways of writing, in turn.
            let writer = if cycle % 2 == 0 { &mut stage.through } else { &mut stage.direct };
            let started = Instant::now();
            writer.execute(&sql);
            stage.compare(&QUERIES, &format!("cycle {cycle}, {what}"));
            eprintln!("cycle {cycle}, {what}: {:?}", started.elapsed());
        }
    }
}

/// Whether there is data to check with. `make test-long` fails without; `make test` does not hang on a download.
fn has_data(scale: Scale) -> bool {
    let Err(reason) = tpch::fetch(scale) else { return true };
    assert!(!rng::is_long(), "{reason}");
    eprintln!("TPC-H IS NOT CHECKED: {reason}");
    false
}

#[test]
fn all_queries_are_maintained_at_scale_001() {
    if !has_data(HUNDREDTH) {
        return;
    }
    cycles(HUNDREDTH, 2);
}

#[test]
fn all_queries_are_maintained_at_scale_01() {
    if rng::is_long() {
        cycles(TENTH, 3);
    }
}

/// Orders that come, change and go together with their line items: what EXISTS found and what it did not must both
/// leave, whichever of the two changes is looked at first.
#[test]
fn q04_with_orders_and_line_items_in_one_transaction() {
    if !has_data(HUNDREDTH) {
        return;
    }
    let mut stage = Stage::new(HUNDREDTH);
    let query = [QUERIES[3]];
    stage.maintain(&query, HUNDREDTH);
    let line = "1, 1, 17, 1000, 0.05, 0.02, 'N', 'O', '1993-08-01'";
    let rest = "'NONE', 'MAIL', ''";
    let late = format!("{line}, '1993-08-05', '1993-08-10', {rest}");
    let on_time = format!("{line}, '1993-08-10', '1993-08-05', {rest}");
    let order = |key: u32, priority: &str| {
        format!("INSERT INTO orders VALUES ({key}, 1, 'O', 100, '1993-07-15', '{priority}', 'Clerk', 0, '')")
    };
    let item = |key: u32, number: u32, line: &str| {
        format!(
            "INSERT INTO lineitem SELECT {key}, a, b, {number}, c, d, e, f, g, h, i::date, j::date, k::date, l, m, n \
                 FROM (VALUES ({line})) AS v (a, b, c, d, e, f, g, h, i, j, k, l, m, n)"
        )
    };
    let steps = [
        // An order with two late lines counts once, one with a punctual line not at all.
        [order(9, "1-URGENT"), item(9, 1, &late), item(9, 2, &late), order(10, "2-HIGH"), item(10, 1, &on_time)]
            .join(";"),
        // Lines first, then their order.
        [item(11, 1, &late), order(11, "1-URGENT"), item(12, 1, &on_time), order(12, "2-HIGH")].join(";"),
        // One goes with its lines, another comes under the same key.
        format!(
            "DELETE FROM lineitem WHERE l_orderkey = 9; DELETE FROM orders WHERE o_orderkey = 9; {}; {}",
            order(9, "5-LOW"),
            item(9, 1, &late)
        ),
        // The order goes before its lines; the other's only line becomes late.
        "DELETE FROM orders WHERE o_orderkey = 11; DELETE FROM lineitem WHERE l_orderkey = 11; \
         UPDATE lineitem SET l_receiptdate = '1993-09-01' WHERE l_orderkey = 10"
            .to_owned(),
        // Both sides of the EXISTS change for the same orders.
        "UPDATE lineitem SET l_commitdate = l_receiptdate WHERE l_orderkey = 9; \
         UPDATE orders SET o_orderpriority = '3-MEDIUM' WHERE o_orderkey IN (9, 10); \
         UPDATE lineitem SET l_orderkey = 12, l_linenumber = 7 WHERE l_orderkey = 10"
            .to_owned(),
        // Whatever there is in the quarter goes, with its lines.
        "DELETE FROM lineitem WHERE l_orderkey IN (SELECT o_orderkey FROM orders WHERE o_orderdate < '1993-10-01'); \
         DELETE FROM orders WHERE o_orderdate < '1993-10-01'"
            .to_owned(),
    ];
    for (at, step) in steps.iter().enumerate() {
        let before = stage.direct.execute("SELECT * FROM q04").rows;
        stage.direct.execute(&format!("BEGIN; {step}; COMMIT"));
        assert_ne!(stage.direct.execute("SELECT * FROM q04").rows, before, "step {at} changes nothing");
        stage.compare(&query, &format!("step {at}"));
    }
}
