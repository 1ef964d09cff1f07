//! Window functions over copies of rows: what one window gives a copy, and what another does, are pairs that only Postgres can
//! tell; over one and the same window they are not in question.

use rand::Rng;
use std::time::Duration;
use weir_tests::oracle::{Order, compare, settled};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Over one window.
const SAME: [&str; 3] = [
    "SELECT a, lead(a) OVER w AS l, row_number() OVER w AS n FROM t WINDOW w AS (ORDER BY a, b)",
    "SELECT a, b, row_number() OVER w AS n, lag(b) OVER w AS l FROM t WINDOW w AS (ORDER BY b DESC, a)",
    "SELECT a, b, row_number() OVER w AS n, sum(b) OVER (w ROWS UNBOUNDED PRECEDING) AS s, rank() OVER w AS r FROM t \
     WINDOW w AS (PARTITION BY a ORDER BY b)",
];

/// Over two.
const DIFFERENT: [&str; 4] = [
    "SELECT a, b, lead(b) OVER (PARTITION BY a ORDER BY b) AS l, row_number() OVER (ORDER BY a, b DESC) AS n FROM t",
    "SELECT a, b, row_number() OVER (PARTITION BY b ORDER BY a) AS n, row_number() OVER (ORDER BY a, b) AS m FROM t",
    "SELECT a, b, sum(b) OVER (ORDER BY b, a ROWS UNBOUNDED PRECEDING) AS s, row_number() OVER (PARTITION BY a ORDER BY b) AS n FROM t",
    "SELECT a, b, row_number() OVER (ORDER BY b, a) AS n, lag(b) OVER (PARTITION BY a ORDER BY b) AS l FROM t",
];

#[test]
fn copies_are_numbered_as_postgres_numbers_them() {
    let mut random = rng::seeded("windows");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    direct.execute("CREATE TABLE t (a int, b int)");
    let all: Vec<&str> = SAME.into_iter().chain(DIFFERENT).collect();
    for (at, query) in all.iter().enumerate() {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => 'kept{at}', query => $q$ {query} $q$, schedule => '1s', \
             refresh_mode => 'DIFFERENTIAL')"
        ));
    }
    through.execute(
        "SELECT pgtrickle.create_stream_table(name => 'plain', query => 'SELECT a, b FROM t', schedule => '1s')",
    );
    through.execute("SET weir.consistency = 'latest'");
    for round in 0..rng::rounds(12, 300) {
        for _ in 0..random.random_range(1..6) {
            let (a, b) = (random.random_range(0..4), random.random_range(0..3));
            direct.execute(&match random.random_range(0..6) {
                0 => format!("DELETE FROM t WHERE ctid IN (SELECT min(ctid) FROM t WHERE a = {a})"),
                1 => format!("UPDATE t SET b = {b} WHERE ctid IN (SELECT max(ctid) FROM t WHERE a = {a})"),
                _ => format!("INSERT INTO t VALUES ({a}, NULLIF({b}, 2))"),
            });
        }
        let has_copies = round % 3 != 0;
        if !has_copies {
            direct.execute("DELETE FROM t WHERE ctid NOT IN (SELECT min(ctid) FROM t GROUP BY a, b)");
        }
        for (at, query) in all.iter().enumerate() {
            for sql in [format!("SELECT * FROM kept{at}"), query.replace("FROM t", "FROM plain")] {
                if has_copies && at >= SAME.len() {
                    // From wherever: the second time the statement has been analysed.
                    for _ in 0..3 {
                        compare(&mut through, &mut direct, &sql, Order::Any).unwrap();
                        std::thread::sleep(Duration::from_millis(2));
                    }
                } else {
                    settled(&mut through, &mut direct, &sql);
                }
            }
        }
    }
}

/// Lists and sums of intervals, in each of these frames.
const FRAMES: [&str; 7] = [
    "",
    "ROWS BETWEEN 2 PRECEDING AND CURRENT ROW",
    "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW",
    "GROUPS BETWEEN 1 PRECEDING AND 1 FOLLOWING EXCLUDE TIES",
    "RANGE BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE GROUP",
    "ROWS BETWEEN 3 FOLLOWING AND 4 FOLLOWING",
    "RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING",
];

const LISTS: &str = "string_agg(s, s || '-') OVER w AS a, array_agg(v) OVER w AS b, json_agg(s) OVER w AS c, jsonb_agg(i) OVER w AS d, \
    json_object_agg(g, v) OVER w AS e, jsonb_object_agg(v % 3, id) FILTER (WHERE v IS NOT NULL) OVER w AS f, sum(i) OVER w AS h, avg(i) OVER w AS j, \
    regr_count(v, id) OVER w AS k, string_agg(s, ',') FILTER (WHERE v > 1) OVER w AS l";

#[test]
fn lists_and_intervals_over_frames() {
    let mut random = rng::seeded("lists over frames");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    direct.execute("CREATE TABLE t (id int PRIMARY KEY, g int NOT NULL, v int, s text, i interval)");
    // By a key, and by what leaves rows tied: where those differ, Postgres answers.
    let query = |at: usize, order: &str| {
        format!("SELECT id, g, v, s, i, {LISTS} FROM t WINDOW w AS (PARTITION BY g ORDER BY {order} {})", FRAMES[at])
    };
    let mut queries: Vec<(String, bool)> =
        (0..FRAMES.len()).map(|at| (query(at, "v DESC NULLS LAST, id"), true)).collect();
    queries.extend((0..FRAMES.len()).map(|at| (query(at, "v"), false)));
    for (at, (query, _)) in queries.iter().enumerate() {
        through.execute(&format!(
            "SELECT pgtrickle.create_stream_table('lists{at}', $q$ {query} $q$, '1s', 'DIFFERENTIAL')"
        ));
    }
    through.execute("SELECT pgtrickle.create_stream_table('plain', 'SELECT * FROM t', '1s', 'DIFFERENTIAL')");
    through.execute("SET weir.consistency = 'latest'");
    for _ in 0..rng::rounds(6, 150) {
        for _ in 0..random.random_range(1..8) {
            let (id, g, v) = (random.random_range(0..20), random.random_range(0..2), random.random_range(0..5));
            let s = ["'a'", "'b'", "''", "NULL", "'é'"][random.random_range(0..5)];
            direct.execute(&match random.random_range(0..4) {
                0 => format!("DELETE FROM t WHERE id = {id}"),
                _ => format!(
                    "INSERT INTO t VALUES ({id}, {g}, nullif({v}, 4), {s}, nullif({v}, 2) * interval '1 day 2 h') \
                     ON CONFLICT (id) DO UPDATE SET v = excluded.v, s = excluded.s"
                ),
            });
        }
        for (at, (query, is_total)) in queries.iter().enumerate() {
            for sql in [format!("SELECT * FROM lists{at}"), query.replace("FROM t", "FROM plain")] {
                if *is_total {
                    settled(&mut through, &mut direct, &sql);
                } else {
                    compare(&mut through, &mut direct, &sql, Order::Any).unwrap();
                }
            }
        }
    }
}
