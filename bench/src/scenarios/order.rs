//! What a change costs where order matters, over the number of rows that are in order: the extreme of MIN and MAX goes, the
//! first of a TopK goes, rows come to the front and to the end of one partition of a window.

use super::report;
use crate::metrics::metric;
use std::path::Path;
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Rows of the one table, and of the one partition of each window.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// A window whose numbers all change rewrites all its rows: beyond this, minutes.
const LARGEST_PARTITION: u32 = 100_000;

struct Case {
    name: &'static str,
    query: &'static str,
    /// One commit; `{}` is its number.
    change: &'static str,
    commits: u32,
    largest: u32,
}

/// Reads until one must have come from memory.
const MAX_READS: u32 = 10_000;

const FRONT: &str = "INSERT INTO item VALUES (-{0}, -{0}, 1)";
const BACK: &str = "INSERT INTO item VALUES (10000000 + {0}, 10000000 + {0}, 1)";
const IN_PLACE: &str = "UPDATE item SET n = n + 1 WHERE id = (SELECT id FROM item ORDER BY v OFFSET {0} LIMIT 1)";

const CASES: [Case; 12] = [
    case(
        "MAX, the greatest goes",
        "SELECT max(v) AS m FROM item",
        "DELETE FROM item WHERE v = (SELECT max(v) FROM item)",
        200,
    ),
    case(
        "MIN, the least goes",
        "SELECT min(v) AS m FROM item",
        "DELETE FROM item WHERE v = (SELECT min(v) FROM item)",
        200,
    ),
    case(
        "TopK, the first of 10 goes",
        "SELECT id, v, n FROM item ORDER BY v, id LIMIT 10",
        "DELETE FROM item WHERE v = (SELECT min(v) FROM item)",
        200,
    ),
    window(
        "ROW_NUMBER, a row at the end",
        "SELECT id, n, row_number() OVER (ORDER BY v, id) AS p FROM item",
        BACK,
        200,
    ),
    window(
        "ROW_NUMBER, a row at the front",
        "SELECT id, n, row_number() OVER (ORDER BY v, id) AS p FROM item",
        FRONT,
        5,
    ),
    window(
        "ROW_NUMBER, a value in place",
        "SELECT id, n, row_number() OVER (ORDER BY v, id) AS p FROM item",
        IN_PLACE,
        200,
    ),
    window("RANK, a row at the end", "SELECT id, n, rank() OVER (ORDER BY v) AS p FROM item", BACK, 20),
    window("RANK, a row at the front", "SELECT id, n, rank() OVER (ORDER BY v) AS p FROM item", FRONT, 5),
    window(
        "running SUM, a row at the end",
        "SELECT id, sum(n) OVER (ORDER BY v, id ROWS UNBOUNDED PRECEDING) AS p FROM item",
        BACK,
        200,
    ),
    window(
        "running SUM, a row at the front",
        "SELECT id, sum(n) OVER (ORDER BY v, id ROWS UNBOUNDED PRECEDING) AS p FROM item",
        FRONT,
        5,
    ),
    window(
        "AVG of 7 rows, a value in place",
        "SELECT id, n, avg(n) OVER (ORDER BY v, id ROWS 6 PRECEDING) AS p FROM item",
        IN_PLACE,
        200,
    ),
    window("lag, a row at the front", "SELECT id, n, lag(n) OVER (ORDER BY v, id) AS p FROM item", FRONT, 200),
];

const fn case(name: &'static str, query: &'static str, change: &'static str, commits: u32) -> Case {
    Case { name, query, change, commits, largest: SIZES[SIZES.len() - 1] }
}

const fn window(name: &'static str, query: &'static str, change: &'static str, commits: u32) -> Case {
    Case { name, query, change, commits, largest: LARGEST_PARTITION }
}

/// One case at one size.
pub(super) struct Point {
    pub rows: u32,
    /// Of the engine, per commit.
    pub micros: f64,
    /// Rows of the stream table that changed, per commit.
    pub changed: f64,
}

pub fn measure(output: &Path) -> std::io::Result<()> {
    let mut lines: Vec<(&'static str, Vec<Point>)> = CASES.iter().map(|case| (case.name, Vec::new())).collect();
    for rows in SIZES {
        let server = TestServer::start();
        let mut direct = RawClient::superuser(&server.address());
        direct.execute(&format!(
            "CREATE TABLE item (id bigint PRIMARY KEY, v bigint, n bigint); CREATE INDEX ON item (v); \
             INSERT INTO item SELECT n, n, n % 100 FROM generate_series(1, {rows}) n; ANALYZE"
        ));
        let weir = TestWeir::start(&server);
        let mut through = RawClient::superuser(&weir.address());
        through.execute("SET weir.consistency = 'latest'");
        for (case, (_, points)) in CASES.iter().zip(&mut lines) {
            if rows <= case.largest {
                points.push(play(case, rows, &weir, &mut through));
            }
        }
    }
    report::order(output, &lines)
}

fn play(case: &Case, rows: u32, weir: &TestWeir, through: &mut RawClient) -> Point {
    through.execute(&format!(
        "SELECT pgtrickle.create_stream_table(name => 'of_case', query => $q$ {} $q$, schedule => '1s', \
         refresh_mode => 'DIFFERENTIAL')",
        case.query
    ));
    weir.wait_until_live(&["of_case"]);
    // Each commit is a step of its own where a read from memory follows it.
    let read = |through: &mut RawClient| {
        let from_memory = (0..MAX_READS).any(|_| {
            through.execute("SELECT count(*) FROM of_case");
            through.last_route() == "memory"
        });
        assert!(from_memory, "{}: {}", case.name, through.last_route());
    };
    read(through);
    let counters = || ["weir_engine_nanoseconds_total", "weir_rows_changed_total"].map(|name| metric(weir, name));
    let before = counters();
    for number in 1..=case.commits {
        through.execute(&case.change.replace("{0}", &number.to_string()));
        read(through);
    }
    let [nanoseconds, changed] = [0, 1].map(|at| (counters()[at] - before[at]) / f64::from(case.commits));
    through.execute("SELECT pgtrickle.drop_stream_table('of_case')");
    through.execute(&format!("DELETE FROM item WHERE id < 0 OR id > {}", SIZES[SIZES.len() - 1]));
    Point { rows, micros: nanoseconds / 1e3, changed }
}
