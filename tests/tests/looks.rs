//! Equal values that look different (numeric 1.0 and 1.00, -0 and 0, a day and 24 hours): of a group of them, of DISTINCT and of
//! set operations Postgres shows the look that it meets first. Memory answers while all look alike, and leaves the rest to it.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;

const QUERIES: &[&str] = &[
    "SELECT n, count(*) AS c FROM held GROUP BY n",
    "SELECT DISTINCT f, i FROM held",
    "SELECT i, max(id) AS m FROM held GROUP BY i",
    "SELECT j, count(*) AS c FROM held GROUP BY j",
    "SELECT n FROM held UNION SELECT o FROM held",
    "SELECT n FROM held INTERSECT SELECT o FROM held",
    "SELECT n FROM held EXCEPT SELECT o FROM held",
    "SELECT sum(DISTINCT n) AS s, avg(DISTINCT f) AS a, count(DISTINCT n) AS c FROM held",
    "SELECT a, count(*) AS c FROM held GROUP BY a",
    "SELECT max(n) AS most, min(i) AS least, max(f) AS float FROM held",
    "SELECT n, f, count(*) AS c FROM held GROUP BY ROLLUP (n, f)",
    "SELECT k, count(*) AS c FROM held GROUP BY k",
];

/// What each column holds: looks of few values. The first ones are alike.
const LOOKS: [(&str, [&str; 4]); 5] = [
    ("n", ["1.0", "2.50", "1.00", "2.5"]),
    ("f", ["0", "1.5", "-0", "1.5"]),
    ("i", ["interval '1 day'", "interval '1 mon'", "interval '24:00'", "interval '30 days'"]),
    ("j", ["'[1.0]'", "'{\"a\": 2}'", "'[1.00]'", "'{\"a\": 2.0}'"]),
    ("a", ["ARRAY[1.5]", "ARRAY[2, NULL]", "ARRAY[1.50]", "ARRAY[2.0, NULL]"]),
];

fn row(id: i32, others: bool, random: &mut StdRng) -> String {
    let mut value = |at: usize| {
        let (column, looks) = LOOKS[at];
        let looks = if others { &looks[..] } else { &looks[..2] };
        (column, if random.random_bool(0.1) { "NULL" } else { looks.choose(random).expect("not empty") })
    };
    let (columns, values): (Vec<&str>, Vec<&str>) = (0..LOOKS.len()).map(&mut value).unzip();
    let (_, other) = value(0);
    format!(
        "INSERT INTO held (id, k, o, {}) VALUES ({id}, {}, {other}, {}) ON CONFLICT (id) DO UPDATE SET n = excluded.n, f = excluded.f, \
         i = excluded.i, j = excluded.j, a = excluded.a, o = excluded.o",
        columns.join(", "),
        id % 5,
        values.join(", ")
    )
}

#[test]
fn of_equal_values_the_look_is_postgres() {
    let mut random = rng::seeded("looks");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute("CREATE TABLE held (id int PRIMARY KEY, k numeric(6,2), n numeric, o numeric, f float8, i interval, j jsonb, a numeric[])");
    pair.stream("kept", "SELECT * FROM held");
    for (at, query) in QUERIES.iter().enumerate() {
        pair.stream(&format!("looks{at}"), query);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    let reads: Vec<String> = (0..QUERIES.len())
        .map(|at| format!("SELECT * FROM looks{at}"))
        .chain(QUERIES.iter().map(|query| query.replace("FROM held", "FROM kept")))
        .collect();
    let mut left_to_postgres = vec![0; reads.len()];
    for round in 0..rng::rounds(8, 120) {
        let others = round % 2 == 1;
        for _ in 0..random.random_range(1..12) {
            pair.direct.execute(&row(random.random_range(0..30), others, &mut random));
        }
        if !others {
            // All alike again.
            pair.direct.execute("DELETE FROM held");
            (0..20).for_each(|id| drop(pair.direct.execute(&row(id, false, &mut random))));
            reads.iter().for_each(|read| pair.settled(read));
            continue;
        }
        for (read, left) in reads.iter().zip(&mut left_to_postgres) {
            let started = Instant::now();
            loop {
                compare(&mut pair.through, &mut pair.direct, read, Order::Any)
                    .unwrap_or_else(|found| panic!("{found}"));
                let route = pair.through.last_route();
                if !["analysis", "populating", "behind"].iter().any(|passing| route.contains(passing)) {
                    *left += usize::from(!route.starts_with("memory"));
                    break;
                }
                assert!(started.elapsed() < Duration::from_secs(20), "{read}: {route}");
            }
        }
    }
    let (last, rest) = left_to_postgres.split_last().expect("there are reads");
    assert_eq!(*last, 0, "of numeric(6,2) all look alike");
    assert!(rest.iter().filter(|left| **left > 0).count() > QUERIES.len(), "{rest:?}");
}
