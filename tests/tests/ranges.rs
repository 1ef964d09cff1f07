//! Ranges: their functions and operators over random values, equality, order and output, in stream tables and in reads over
//! stored ones, answered from memory as Postgres answers them.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_tests::oracle::{Order, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// Range types, with the type of their bounds and values of it.
const TYPES: [(&str, &str, &[&str]); 6] = [
    ("int4range", "int4", &["-2147483648", "-1", "0", "1", "2", "5", "2000000000"]),
    ("int8range", "int8", &["-9223372036854775808", "0", "1", "2", "3", "9000000000"]),
    ("numrange", "numeric", &["-1.5", "0.0", "1.0", "1.5", "2.5", "100000000000000000000.5"]),
    ("daterange", "date", &["-infinity", "2024-02-28", "2024-02-29", "2024-03-01", "infinity", "0044-03-15 BC"]),
    ("tsrange", "timestamp", &["-infinity", "2024-02-28 23:59:59.5", "2024-02-29", "2024-03-01", "infinity"]),
    (
        "tstzrange",
        "timestamptz",
        &["2024-02-28 23:59:59.5+00", "2024-02-29 01:00+00", "2024-03-31 01:30+00", "infinity"],
    ),
];

/// Over r, s of the range type and e of its bounds' type.
const EXPRESSIONS: &[&str] = &[
    "r::text, lower(r), upper(r), isempty(r), lower_inc(r), upper_inc(r), lower_inf(r), upper_inf(r)",
    "r = s, r <> s, r < s, r <= s, r > s, r >= s, r IS DISTINCT FROM s, nullif(r, s), greatest(r, s), least(r, s)",
    "r @> s, r <@ s, r && s, r << s, r >> s, r &< s, r &> s, r -|- s",
    "r @> e, e <@ s, r * s, range_merge(r, s)",
    "RANGE(e, NULL), RANGE(NULL, e, '[]'), RANGE(e, e), RANGE(e, e, '[]'), RANGE(e, e, '(]')",
    "coalesce(r, 'empty'), CASE WHEN r = '(,)' THEN 'all' WHEN r = 'empty' THEN 'none' END, r IN (s, 'empty', '(,)')",
];

const VIEWS: &[&str] = &[
    "SELECT r, count(*) AS n, count(DISTINCT s) AS d FROM TABLE GROUP BY r",
    "SELECT a.id, b.id AS other FROM TABLE a JOIN TABLE b ON a.r = b.s",
    "SELECT id, rank() OVER (PARTITION BY e ORDER BY r) AS k FROM TABLE",
    "SELECT DISTINCT r FROM TABLE WHERE r > 'empty' AND NOT isempty(s)",
    "SELECT e, percentile_disc(0.5) WITHIN GROUP (ORDER BY r) AS m FROM TABLE GROUP BY e",
];

const READS: &[&str] = &[
    "SELECT id, r FROM STORED ORDER BY r DESC NULLS LAST, id",
    "SELECT id, r FROM STORED ORDER BY r, id LIMIT 7",
    "SELECT r FROM STORED UNION SELECT s FROM STORED",
    "SELECT r FROM STORED EXCEPT SELECT s FROM STORED",
    "SELECT a.id FROM STORED a WHERE EXISTS (SELECT FROM STORED b WHERE b.s = a.r AND b.id > a.id)",
    "SELECT a.id, (SELECT count(*) FROM STORED b WHERE b.r && a.r) AS n FROM STORED a",
];

fn range(values: &[&str], random: &mut StdRng) -> String {
    if random.random_bool(0.1) {
        return ["NULL", "'empty'", "'(,)'"].choose(random).expect("not empty").to_string();
    }
    let mut places = [random.random_range(0..values.len()), random.random_range(0..values.len())];
    places.sort_unstable();
    let bound = |place: usize, random: &mut StdRng| if random.random_bool(0.15) { "" } else { values[place] };
    let (lower, upper) = (bound(places[0], random), bound(places[1], random));
    let (open, close) = (["[", "("].choose(random).expect("two"), ["]", ")"].choose(random).expect("two"));
    format!("'{open}{lower},{upper}{close}'")
}

/// Whether Postgres takes it: what is before Christ comes first in time, not in the list.
fn is_valid(direct: &mut RawClient, literal: &str, kind: &str) -> bool {
    direct.query(&format!("SELECT {literal}::{kind}")).error.is_none()
}

#[test]
fn ranges_as_postgres_has_them() {
    let mut random = rng::seeded("ranges");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut through = RawClient::superuser(&weir.address());
    let mut direct = RawClient::superuser(&server.address());
    let mut names = Vec::new();
    for (kind, of, _) in TYPES {
        direct.execute(&format!("CREATE TABLE t_{kind} (id int PRIMARY KEY, r {kind}, s {kind}, e {of})"));
        let mut queries = vec![format!("SELECT * FROM t_{kind}")];
        for list in EXPRESSIONS {
            let list = list.replace("RANGE", kind);
            let aliased: Vec<String> =
                split(&list).iter().enumerate().map(|(at, expr)| format!("{expr} AS c{at}")).collect();
            queries.push(format!("SELECT id, {} FROM t_{kind}", aliased.join(", ")));
        }
        queries.extend(VIEWS.iter().map(|view| view.replace("TABLE", &format!("t_{kind}"))));
        for (at, query) in queries.iter().enumerate() {
            let name = format!("kept_{kind}_{at}");
            through.execute(&format!(
                "SELECT pgtrickle.create_stream_table(name => '{name}', query => $q$ {query} $q$, schedule => '1s', \
                 refresh_mode => 'DIFFERENTIAL')"
            ));
            names.push(name);
        }
    }
    weir.wait_until_live(&names.iter().map(String::as_str).collect::<Vec<_>>());
    through.execute("SET weir.consistency = 'latest'");
    let mut compared = 0;
    for _ in 0..rng::rounds(2, 60) {
        for (kind, _, values) in TYPES {
            for _ in 0..40 {
                let (r, s) = (range(values, &mut random), range(values, &mut random));
                let element = format!("'{}'", values.choose(&mut random).expect("not empty"));
                if !is_valid(&mut direct, &r, kind) || !is_valid(&mut direct, &s, kind) {
                    continue;
                }
                // Beyond the last of its type there is no exclusive bound.
                direct.execute(&format!(
                    "INSERT INTO t_{kind} VALUES ({}, {r}, {s}, {element}) ON CONFLICT (id) DO UPDATE \
                     SET r = EXCLUDED.r, s = EXCLUDED.s, e = EXCLUDED.e",
                    random.random_range(0..50)
                ));
            }
            direct.execute(&format!("DELETE FROM t_{kind} WHERE id % 5 = 3"));
        }
        for name in &names {
            compare_from_memory(&mut through, &mut direct, &format!("SELECT * FROM {name}"), Order::Any).unwrap();
            compared += 2;
        }
        for (kind, _, _) in TYPES {
            let reads =
                EXPRESSIONS.iter().map(|list| format!("SELECT id, {} FROM STORED", list.replace("RANGE", kind)));
            for sql in reads.chain(READS.iter().map(|sql| (*sql).to_owned())) {
                let order = if sql.contains("ORDER BY r") { Order::Exact } else { Order::Any };
                let sql = sql.replace("STORED", &format!("kept_{kind}_0"));
                compare_from_memory(&mut through, &mut direct, &sql, order).unwrap();
                compared += 2;
            }
        }
    }
    eprintln!("{compared} answers compared");
}

/// The expressions of a list: its commas outside brackets and quotes.
fn split(list: &str) -> Vec<String> {
    let (mut found, mut depth, mut quoted) = (vec![String::new()], 0, false);
    for c in list.chars() {
        match c {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => {
                found.push(String::new());
                continue;
            }
            _ => {}
        }
        found.last_mut().expect("there is one").push(c);
    }
    found
}
