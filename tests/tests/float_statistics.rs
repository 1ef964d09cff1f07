//! Sums, variances, covariances and regressions of floats, whose last digits depend in Postgres on the order of rows. Memory gives the
//! true value where Postgres' is next to it in any order, and leaves the rest to Postgres.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use std::time::{Duration, Instant};
use weir_tests::oracle::compare_close;
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;

/// How long until a table is in memory again.
const SETTLING: Duration = Duration::from_secs(20);

/// A row is not known to the last digit.
const FOR_THE_NUMBERS: [&str; 2] = ["forwarded: read not supported in memory", "forwarded: evaluation failed"];

/// Definitions, and by what their rows are ordered. `{t}` are the readings.
const VIEWS: &[(&str, &str)] = &[
    (
        "SELECT k, corr(y, x) AS a, covar_pop(y, x) AS b, covar_samp(y, x) AS c, regr_avgx(y, x) AS d, regr_avgy(y, x) AS e, \
         regr_intercept(y, x) AS f, regr_r2(y, x) AS g, regr_slope(y, x) AS h, regr_sxx(y, x) AS i, regr_sxy(y, x) AS j, \
         regr_syy(y, x) AS l, regr_count(y, x) AS m FROM {t} GROUP BY k",
        "k",
    ),
    (
        "SELECT k, variance(y) AS a, var_pop(x) AS b, var_samp(r) AS c, stddev(x) AS d, stddev_pop(r) AS e, \
         stddev_samp(DISTINCT x) AS f, sum(y) AS i, avg(r) AS j, sum(r) AS l, stddev(y) FILTER (WHERE x > 0) AS g, corr(y, x) FILTER (WHERE r > 0) AS h FROM {t} GROUP BY k",
        "k",
    ),
    ("SELECT k, id % 2 AS h, stddev(y) AS s, corr(x, y) AS c FROM {t} GROUP BY CUBE (k, id % 2)", "k, h"),
    (
        "SELECT id, var_pop(x) OVER (PARTITION BY k) AS a, stddev(y) OVER (PARTITION BY k ORDER BY id ROWS 4 PRECEDING) AS b, \
         regr_slope(y, x) OVER (PARTITION BY k ORDER BY id) AS c, \
         sum(x) OVER (PARTITION BY k ORDER BY id) AS d FROM {t}",
        "id",
    ),
    ("SELECT k, stddev(y) / nullif(avg(y), 0) AS s FROM {t} GROUP BY k HAVING count(*) > 1 AND stddev(y) > 0.5", "k"),
    ("SELECT t.id, (SELECT covar_pop(u.y, u.x) FROM {t} u WHERE u.k = t.k AND u.id <> t.id) AS c FROM {t} t", "id"),
];

struct Readings {
    pair: Pair,
    /// Every view as a stream table and as a read of one that has all readings.
    reads: Vec<String>,
}

impl Readings {
    fn start(server: &TestServer, weir: &TestWeir) -> Readings {
        let mut pair = Pair::superuser(server, weir);
        pair.direct.execute("CREATE TABLE reading (id int PRIMARY KEY, k int, y float8, x float8, r float4)");
        pair.stream("kept", "SELECT * FROM reading");
        let mut reads = vec![];
        for (at, (query, order)) in VIEWS.iter().enumerate() {
            pair.stream(&format!("statistics{at}"), &query.replace("{t}", "reading"));
            reads.push(format!("SELECT * FROM statistics{at} ORDER BY {order}"));
            reads.push(format!("{} ORDER BY {order}", query.replace("{t}", "kept")));
        }
        pair.through.execute("SET weir.consistency = 'latest'");
        Readings { pair, reads }
    }

    fn write(&mut self, id: i32, k: i32, [y, x, r]: [String; 3]) {
        self.pair.direct.execute(&format!(
            "INSERT INTO reading VALUES ({id}, {k}, {y}, {x}, {r}) \
             ON CONFLICT (id) DO UPDATE SET k = excluded.k, y = excluded.y, x = excluded.x, r = excluded.r"
        ));
    }

    /// The same, at every moment, and in the end from memory, or left to Postgres for the numbers. How many are.
    fn settled(&mut self) -> usize {
        let mut left = 0;
        for read in &self.reads {
            let started = Instant::now();
            loop {
                compare_close(&mut self.pair.through, &mut self.pair.direct, read)
                    .unwrap_or_else(|found| panic!("{found}"));
                let route = self.pair.through.last_route();
                if route.starts_with("memory") {
                    break;
                }
                if FOR_THE_NUMBERS.contains(&route.as_str()) {
                    left += 1;
                    break;
                }
                assert!(started.elapsed() < SETTLING, "{read}: {route}");
                std::thread::sleep(Duration::from_millis(3));
            }
        }
        left
    }

    /// The same, whoever answers; how many memory has answered.
    fn same(&mut self) -> usize {
        let mut from_memory = 0;
        for read in &self.reads {
            compare_close(&mut self.pair.through, &mut self.pair.direct, read)
                .unwrap_or_else(|found| panic!("{found}"));
            from_memory += usize::from(self.pair.through.last_route().starts_with("memory"));
        }
        from_memory
    }
}

/// Of the last, a float4, sums are only given where little cancels out.
fn ordinary(random: &mut StdRng) -> [String; 3] {
    [-20.0, -20.0, 1.0].map(|least| match random.random_bool(0.1) {
        true => "NULL".into(),
        false => format!("{}", random.random_range(least..80.0)),
    })
}

#[test]
fn ordinary_numbers_are_answered_from_memory() {
    let mut random = rng::seeded("float statistics");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut readings = Readings::start(&server, &weir);
    let (mut left, mut all) = (0, 0);
    for _ in 0..rng::rounds(8, 200) {
        for _ in 0..random.random_range(1..12) {
            let (id, k) = (random.random_range(0..60), random.random_range(0..3));
            readings.write(id, k, ordinary(&mut random));
        }
        let gone = random.random_range(0..60);
        readings.pair.direct.execute(&format!("DELETE FROM reading WHERE id BETWEEN {gone} AND {gone} + 5"));
        left += readings.settled();
        all += readings.reads.len();
    }
    // A covariance of ordinary numbers may come out near nothing, too.
    assert!(left * 50 <= all, "{left} of {all} reads were left to Postgres");
}

fn hard(random: &mut StdRng) -> String {
    let special =
        ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "0.1", "0.1", "1e30", "1e-30", "16777216", "3", "3", "NULL"];
    match random.random_range(0..4) {
        0 => special.choose(random).expect("not empty").to_string(),
        1 => format!("{}", 1e9 + random.random_range(0.0..1e-3)),
        _ => format!("{}", random.random_range(-2..3)),
    }
}

#[test]
fn hard_numbers_are_answered_as_postgres_does_and_heal() {
    let mut random = rng::seeded("hard float statistics");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut readings = Readings::start(&server, &weir);
    // With every read analysed, and every table copied, what memory leaves to Postgres is left for the numbers.
    readings.write(0, 0, ordinary(&mut random));
    assert_eq!(readings.settled(), 0);
    let (mut from_memory, rounds) = (0, rng::rounds(10, 300));
    for _ in 0..rounds {
        for _ in 0..random.random_range(1..6) {
            let (id, k) = (random.random_range(0..20), random.random_range(0..3));
            let values = [hard(&mut random), hard(&mut random), hard(&mut random)];
            readings.write(id, k, values);
        }
        readings.pair.direct.execute(&format!("DELETE FROM reading WHERE id % 5 = {}", random.random_range(0..5)));
        from_memory += readings.same();
    }
    assert!(from_memory > rounds, "{from_memory} answers from memory in {rounds} rounds");
    // Out of the range of what is squared, Postgres has an error, of averages too.
    for (y, other) in [("1e300", "-1e300"), ("1e200", "3e200"), ("1e16", "-1e16")] {
        readings.write(99, 1, [y.into(), "2".into(), "1".into()]);
        readings.same();
        readings.write(98, 1, [other.into(), "3".into(), "16777217".into()]);
        readings.same();
        let mut average =
            |sql: &str| compare_close(&mut readings.pair.through, &mut readings.pair.direct, sql).unwrap();
        (0..5).for_each(|_| average("SELECT avg(y) AS a FROM kept WHERE id > 97"));
        (0..5).for_each(|_| average("SELECT sum(y) AS s, sum(r) AS r FROM kept WHERE id > 0"));
    }
    for (id, r) in [(95, "3e38"), (96, "3e38"), (97, "-3e38")] {
        readings.write(id, 1, ["1".into(), "2".into(), r.into()]);
        readings.same();
    }
    readings.pair.direct.execute("DELETE FROM reading");
    for id in 0..30 {
        readings.write(id, id % 3, ordinary(&mut random));
    }
    readings.settled();
}
