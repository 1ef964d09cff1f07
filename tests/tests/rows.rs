//! Rows compared by order, `(a, b) < (x, y)`: over every type that has one, in stream tables and in reads, with NULLs in any place and
//! parts that fail; and pages behind a key.

use rand::Rng;
use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::Table;

/// Columns of `things`: name, type, the value in row `n` (0 to 7, in which every other one comes twice).
const COLUMNS: &[(&str, &str, &str)] = &[
    ("i2", "int2", "(n / 2)::int2"),
    ("i8", "int8", "n / 2 * 10000000000"),
    ("c", "numeric", "CASE n WHEN 0 THEN 'NaN' WHEN 1 THEN 1.50 ELSE n / 2 * 1.5 END"),
    ("f", "float8", "CASE n WHEN 0 THEN '-0' WHEN 1 THEN 'NaN' ELSE (n / 2 - 1) * 0.5 END"),
    ("r", "float4", "n / 2 * 0.1"),
    ("t", "text", "repeat('z', n / 2)"),
    ("v", "varchar(5)", "'x' || n / 2"),
    ("p", "char(3)", "repeat('a', n / 2)"),
    ("y", "bytea", "decode(repeat('0f', n / 2), 'hex')"),
    ("b", "bool", "n / 2 % 2 = 0"),
    ("d", "date", "date '2024-02-28' + n / 2"),
    ("ts", "timestamp", "timestamp '2024-02-28' + n / 2 * interval '12 h'"),
    ("tz", "timestamptz", "timestamptz '2024-02-28 00:00+00' + n / 2 * interval '12 h'"),
    ("ti", "time", "time '10:00' + n / 2 * interval '1 h'"),
    (
        "iv",
        "interval",
        "CASE n WHEN 0 THEN interval '1 day' WHEN 1 THEN interval '24 h' ELSE n / 2 * interval '1 mon' END",
    ),
    ("u", "uuid", "md5((n / 2)::text)::uuid"),
    ("m", "mood", "(ARRAY['sad', 'ok', 'happy', 'b'])[n / 2 + 1]::mood"),
    ("l", "int[]", "ARRAY[n / 2, 1]"),
    ("g", "int4range", "int4range(n / 2, 5)"),
    ("j", "jsonb", "to_jsonb(n / 2)"),
    ("a", "inet", "inet '10.0.0.1' + n / 2"),
    ("rk", "rank", "n / 2 + 1"),
];

/// Pairs of columns of two types that one operator compares.
const MIXED: &[(&str, &str)] =
    &[("i2", "i8"), ("d", "ts"), ("d", "tz"), ("ts", "tz"), ("r", "f"), ("t", "v"), ("rk", "i2")];

const OPERATORS: [(&str, &str); 4] = [("lt", "<"), ("le", "<="), ("gt", ">"), ("ge", ">=")];

#[test]
fn rows_are_ordered_as_postgres_orders_them() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    let columns: Vec<String> = COLUMNS.iter().map(|(name, of, _)| format!("{name} {of}")).collect();
    let values: Vec<&str> = COLUMNS.iter().map(|(.., value)| *value).collect();
    pair.direct.execute(&format!(
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'b'); CREATE DOMAIN rank AS int CHECK (VALUE > 0); \
         CREATE TABLE things (id int, z int, {}); INSERT INTO things SELECT n, nullif(n % 3, 2), {} FROM generate_series(0, 7) n; \
         INSERT INTO things (id, z) VALUES (8, 1), (9, NULL)",
        columns.join(", "),
        values.join(", ")
    ));
    pair.stream("kept", "SELECT * FROM things");
    let names = COLUMNS.iter().map(|(name, ..)| (*name, *name)).chain(MIXED.iter().copied());
    let queries: Vec<String> = names
        .map(|(left, right)| {
            let comparisons: Vec<String> = OPERATORS
                .iter()
                .map(|(name, operator)| {
                    // Behind an equal pair, the second is compared in the opposite direction; the third may fail there.
                    format!(
                        "(l.{left}, r.z, l.id) {operator} (r.{right}, l.z, 5) AS {name}, (l.z, l.{left}) {operator} (1, r.{right}) AS {name}2, \
                         (l.{left}, l.z, 12 / (l.id - 3)) {operator} (r.{right}, r.z, 3) AS {name}3"
                    )
                })
                .collect();
            format!("SELECT l.id AS l, r.id AS r, {} FROM things l CROSS JOIN things r WHERE l.id <> 3", comparisons.join(", "))
        })
        .collect();
    for (at, query) in queries.iter().enumerate() {
        pair.stream(&format!("rows{at}"), query);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    let mut random = rng::seeded("rows");
    for round in 0..rng::rounds(3, 30) {
        for (at, query) in queries.iter().enumerate() {
            pair.settled(&format!("SELECT * FROM rows{at}"));
            pair.settled(&query.replace("things", "kept"));
        }
        let (id, from) = (random.random_range(0..10), random.random_range(0..10));
        let column = COLUMNS[random.random_range(0..COLUMNS.len())].0;
        pair.direct.execute(&format!(
            "UPDATE things SET {column} = (SELECT {column} FROM things WHERE id = {from} LIMIT 1), z = {round} % 2 WHERE id = {id}; \
             INSERT INTO things SELECT * FROM things WHERE id = {from} LIMIT 1; DELETE FROM things WHERE ctid IN (SELECT max(ctid) FROM things)"
        ));
    }
    // The third pair of row 3 fails wherever it is asked for, and nowhere else; and heals.
    let failing = "SELECT l.id, (l.i2, 12 / (l.id - 3)) < (r.i2, 3) AS lt FROM things l JOIN things r ON r.id = 0";
    pair.stream("failing", failing);
    for change in [
        "UPDATE things SET i2 = 5 WHERE id = 3",
        "UPDATE things SET i2 = 0 WHERE id IN (0, 3)",
        "DELETE FROM things WHERE id = 3",
    ] {
        pair.direct.execute(change);
        for sql in ["SELECT * FROM failing".to_owned(), failing.replace("things", "kept")] {
            let (through, direct) = (pair.through.query(&sql), pair.direct.query(&sql));
            assert_eq!(through.error.map(|e| e.code), direct.error.map(|e| e.code), "{change}: {sql}");
        }
    }
    pair.settled("SELECT * FROM failing");
}

/// Over `shops` (id, area, rank, best) and `sales` (id, area, rank, cents); the last ones have more rows at times.
const ROWS_OF_SUBQUERIES: &[&str] = &[
    "SELECT id FROM shops WHERE (area, rank) = (SELECT area, rank FROM sales ORDER BY cents DESC, id LIMIT 1)",
    "SELECT id, (area, rank) < (SELECT max(area), min(rank) FROM sales) AS below FROM shops",
    "SELECT id, (rank, area) >= (SELECT rank, area FROM sales WHERE id = 3) AS above FROM shops",
    "SELECT id, (area, rank) <> (SELECT area, rank FROM sales WHERE id = -1) AS none FROM shops",
    "SELECT id FROM shops h WHERE (rank, best) <= (SELECT s.rank, s.cents FROM sales s WHERE s.id = h.id)",
    "SELECT id FROM shops h WHERE NOT (area, best) = (SELECT s.area, max(s.cents) FROM sales s WHERE s.area = h.area GROUP BY s.area)",
    "SELECT id, CASE WHEN (h.rank, h.id) > (SELECT s.rank, s.id FROM sales s WHERE s.area = h.area ORDER BY s.id LIMIT 1) THEN 1 END AS behind FROM shops h",
    "SELECT area, bool_or((rank, id) > (SELECT rank, id FROM sales WHERE id = 2)) AS any FROM shops GROUP BY area",
    "SELECT id, (h.area, 60 / (h.rank + 9)) = (SELECT s.area, 7 FROM sales s WHERE s.id = h.id) AS computed FROM shops h",
    "SELECT id, (id, rank) = (SELECT s.id, s.rank FROM sales s WHERE s.cents = h.best) AS own FROM shops h",
    "SELECT id FROM shops WHERE (area, rank) < (SELECT area, rank FROM sales WHERE cents > 97)",
];

#[test]
fn rows_are_compared_with_the_row_of_a_subquery() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE TABLE shops (id int, area text, rank int, best int); CREATE TABLE sales (id int PRIMARY KEY, area text, rank int, cents int)",
    );
    for table in ["shops", "sales"] {
        pair.stream(&format!("kept_{table}"), &format!("SELECT * FROM {table}"));
    }
    for (at, query) in ROWS_OF_SUBQUERIES.iter().enumerate() {
        pair.stream(&format!("beside{at}"), query);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    let mut random = rng::seeded("rows of subqueries");
    for _ in 0..rng::rounds(12, 150) {
        let number = |random: &mut rand::rngs::StdRng, most: i32| match random.random_range(0..8) {
            0 => "NULL".to_owned(),
            _ => random.random_range(0..most).to_string(),
        };
        let (id, rank, cents) = (random.random_range(0..9), number(&mut random, 4), number(&mut random, 100));
        let area = ["'north'", "'south'", "''", "NULL"][random.random_range(0..4)];
        let table = ["shops", "sales"][random.random_range(0..2)];
        pair.direct.execute(&match random.random_range(0..4) {
            0 => format!("DELETE FROM {table} WHERE id = {id}"),
            1 => format!("UPDATE {table} SET rank = {rank} WHERE id >= {id}"),
            _ => format!(
                "DELETE FROM {table} WHERE id = {id}; INSERT INTO {table} VALUES ({id}, {area}, {rank}, {cents})"
            ),
        });
        for (at, query) in ROWS_OF_SUBQUERIES.iter().enumerate() {
            let read = query.replace("shops", "kept_shops").replace("sales", "kept_sales");
            for sql in [format!("SELECT * FROM beside{at}"), read] {
                let direct = pair.direct.query(&sql);
                match direct.error {
                    // Postgres says so, and memory has no answer.
                    Some(error) => {
                        assert_eq!(pair.through.query(&sql).error.map(|e| e.code), Some(error.code), "{sql}")
                    }
                    None => pair.settled(&sql),
                }
            }
        }
    }
    // What is computed fails without a row, too, if the subquery is asked before the rows around it.
    let query = "SELECT id, (area, 60 / rank) = (SELECT area, 7 FROM sales WHERE id = -1) AS computed FROM shops";
    let made = pair.through.query(&format!(
        "SELECT pgtrickle.create_stream_table('refused', $weir$ {query} $weir$, '1s', 'DIFFERENTIAL')"
    ));
    let message = made.error.expect("refused").message;
    assert!(message.contains("a row that is computed, compared with a subquery"), "{message}");
}

/// Through all rows, page by page, each behind the last key of the page before, given as parameters.
#[test]
fn pages_behind_a_key() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE TABLE posts (id int PRIMARY KEY, at timestamptz NOT NULL, title text); \
         INSERT INTO posts SELECT n, timestamptz '2024-05-05 00:00+00' - n / 3 * interval '1 h', 'post ' || n FROM generate_series(1, 50) n",
    );
    pair.stream("feed", "SELECT id, at, title FROM posts");
    pair.through.execute("SET weir.consistency = 'latest'");
    let pages =
        "SELECT at, id, title FROM feed WHERE (at, id) < ($1::timestamptz, $2::int) ORDER BY at DESC, id DESC LIMIT 7";
    pair.settled("SELECT * FROM feed");
    // Analysed once, it is answered from memory.
    let started = Instant::now();
    loop {
        seen_by(&mut pair, pages, "infinity", "0");
        if pair.through.last_route().starts_with("memory") {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{}", pair.through.last_route());
    }
    let (mut at, mut id, mut seen) = ("infinity".to_owned(), "0".to_owned(), 0);
    loop {
        let rows = seen_by(&mut pair, pages, &at, &id);
        assert!(pair.through.last_route().starts_with("memory"), "{}", pair.through.last_route());
        let Some(last) = rows.last() else { break };
        seen += rows.len();
        (at, id) = (last[0].clone(), last[1].clone());
    }
    assert_eq!(seen, 50);
    for sql in [
        "SELECT count(*) FROM feed WHERE (at, id) >= ('2024-05-04 12:00+00', 17)",
        "SELECT id FROM feed WHERE (title, id) > ('post 3', 30) AND NOT (id, title) <= (12, 'a')",
        "SELECT id FROM feed f WHERE (at, id) < ALL (SELECT at, id FROM feed g WHERE g.id < 5)",
        "SELECT id FROM feed f WHERE (id, title) > ANY (SELECT id, title FROM feed g WHERE g.at = f.at)",
    ] {
        pair.settled(sql);
        compare_from_memory(&mut pair.through, &mut pair.direct, sql, Order::Any).unwrap();
        compare(&mut pair.through, &mut pair.direct, &format!("{sql} AND false"), Order::Any).unwrap();
    }
}

/// The same rows both ways.
fn seen_by(pair: &mut Pair, pages: &str, at: &str, id: &str) -> Vec<Vec<String>> {
    let messages = pair.same_messages(pages, |client| client.extended(pages, &[Some(at), Some(id)], 0));
    Table::read(&messages).texts()
}
