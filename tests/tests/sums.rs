//! Sums and averages of intervals, which Postgres adds up field by field, and of zeros, which have a sign.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_tests::oracle::{Order, compare};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;

const VIEWS: &[&str] = &[
    "SELECT k, sum(i) AS s, avg(i) AS a, sum(i) FILTER (WHERE n > 1) AS f, count(i) AS c FROM spans GROUP BY k",
    "SELECT sum(i) AS s, avg(-i) AS a, max(i) AS m FROM spans",
    "SELECT k, avg(t - timestamp '2024-01-01') AS a, sum(age(t, timestamp '2020-02-29')) AS s FROM spans GROUP BY k HAVING sum(i) > interval '1 day'",
    "SELECT k, n, sum(i) AS s FROM spans GROUP BY GROUPING SETS ((k), (n), ())",
    "SELECT s.k, (SELECT avg(i) FROM spans u WHERE u.k = s.k AND u.n < s.n) AS a FROM spans s",
];

fn interval(random: &mut StdRng) -> String {
    match random.random_range(0..6) {
        0 => "NULL".into(),
        1 => format!("interval '{} mons'", random.random_range(-30..30)),
        2 => format!(
            "interval '{} days {} us'",
            random.random_range(-99..99),
            random.random_range(-9_999_999..9_999_999)
        ),
        3 => format!("interval '{} years -1 day 12:34:56.789'", random.random_range(-9..9)),
        _ => format!("interval '{}:{:02}:00'", random.random_range(0..99), random.random_range(0..60)),
    }
}

#[test]
fn intervals_are_added_up_as_postgres_does() {
    let mut random = rng::seeded("sums");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute("CREATE TABLE spans (id int PRIMARY KEY, k int, n int, i interval, t timestamp)");
    pair.stream("kept", "SELECT * FROM spans");
    for (at, query) in VIEWS.iter().enumerate() {
        pair.stream(&format!("sums{at}"), query);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    let reads: Vec<String> = (0..VIEWS.len())
        .map(|at| format!("SELECT * FROM sums{at}"))
        .chain(VIEWS.iter().map(|view| view.replace("FROM spans", "FROM kept")))
        .collect();
    for _ in 0..rng::rounds(6, 200) {
        for _ in 0..random.random_range(1..8) {
            let (id, k, n) = (random.random_range(0..40), random.random_range(0..3), random.random_range(0..4));
            let (i, hours) = (interval(&mut random), random.random_range(0..9999));
            pair.direct.execute(&format!(
                "INSERT INTO spans VALUES ({id}, {k}, {n}, {i}, timestamp '2024-02-28' + {hours} * interval '1 h') \
                 ON CONFLICT (id) DO UPDATE SET i = excluded.i, k = excluded.k"
            ));
        }
        if random.random_bool(0.5) {
            pair.direct.execute(&format!("DELETE FROM spans WHERE id % 4 = {}", random.random_range(0..4)));
        }
        reads.iter().for_each(|read| pair.settled(read));
    }
    // Near the end of the range it depends on the order of rows whether there is a sum: Postgres says so. It heals.
    let extremes = ["interval '178000000 years'", "interval '2000000000 days'", "interval '2000000000:00:00'"];
    for extreme in extremes {
        for sign in ["", "-"] {
            pair.direct.execute(&format!(
                "INSERT INTO spans SELECT 100 + n, 1, 1, {sign}{extreme}, NULL FROM generate_series(1, 2) n"
            ));
            let ways = [&reads[0], &reads[1], &reads[VIEWS.len() + 1]];
            ways.iter().for_each(|read| compare(&mut pair.through, &mut pair.direct, read, Order::Any).unwrap());
            pair.direct.execute("DELETE FROM spans WHERE id > 100");
            ways.iter().for_each(|read| pair.settled(read));
        }
    }
    let infinite = ["interval 'infinity'", "interval '-infinity'"].choose(&mut random).expect("not empty");
    if pair.direct.query(&format!("INSERT INTO spans VALUES (200, 1, 1, {infinite}, NULL)")).error.is_none() {
        reads.iter().for_each(|read| compare(&mut pair.through, &mut pair.direct, read, Order::Any).unwrap());
        pair.direct.execute("DELETE FROM spans WHERE id = 200");
        reads.iter().for_each(|read| pair.settled(read));
    }
}

#[test]
fn a_sum_of_negative_zeros_is_one() {
    let mut random = rng::seeded("zeros");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute("CREATE TABLE zeros (id int PRIMARY KEY, k int, f float8, g float4)");
    let views = [
        "SELECT * FROM zeros",
        "SELECT k, sum(f) AS a, avg(f) AS b, sum(g) AS c, avg(g) AS d FROM zeros GROUP BY k",
        "SELECT sum(f) AS a FROM zeros WHERE id % 2 = 1",
        "SELECT id, sum(f) OVER (ORDER BY id) AS s, avg(g) OVER (ORDER BY id ROWS 1 PRECEDING) AS v FROM zeros",
    ];
    for (at, query) in views.iter().enumerate() {
        pair.stream(&format!("zeros{at}"), query);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    for _ in 0..rng::rounds(10, 200) {
        for _ in 0..random.random_range(1..5) {
            let (id, k) = (random.random_range(0..12), random.random_range(0..3));
            let mut zero = || ["-0", "-0", "-0", "0", "NULL"].choose(&mut random).expect("not empty").to_string();
            let (f, g) = (zero(), zero());
            let quoted = |zero: &str| if zero == "NULL" { zero.to_owned() } else { format!("'{zero}'") };
            pair.direct.execute(&format!(
                "INSERT INTO zeros VALUES ({id}, {k}, {}, {}) ON CONFLICT (id) DO UPDATE SET f = excluded.f, g = excluded.g",
                quoted(&f),
                quoted(&g)
            ));
        }
        pair.direct.execute(&format!("DELETE FROM zeros WHERE id = {}", random.random_range(0..12)));
        for (at, view) in views.iter().enumerate() {
            pair.settled(&format!("SELECT * FROM zeros{at}"));
            pair.settled(&view.replace("FROM zeros", "FROM zeros0"));
        }
    }
}
