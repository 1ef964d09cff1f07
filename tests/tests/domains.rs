//! Columns of domains: their values are of the type below, in stream tables that are maintained, in those that Postgres
//! evaluates, and in reads; with either way of capturing.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::pair::Pair;
use weir_tests::postgres::TestServer;
use weir_tests::rng;
use weir_tests::weir::TestWeir;

const TYPES: &str = "CREATE TYPE size AS ENUM ('small', 'large', 'huge');
    CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN rank AS positive CHECK (VALUE < 1000);
    CREATE DOMAIN code AS varchar(5); CREATE DOMAIN price AS numeric(8,2); CREATE DOMAIN fit AS size;
    CREATE DOMAIN list AS int[]; CREATE DOMAIN span AS int4range; CREATE DOMAIN doc AS jsonb;
    CREATE DOMAIN moment AS timestamptz(0); CREATE DOMAIN label AS char(4);
    CREATE TABLE goods (id int PRIMARY KEY, n positive, r rank, c code, p price, f fit, l list, s span, d doc, m moment,
        b label, plain int, many positive[], doubled positive GENERATED ALWAYS AS (plain * 2 + 5) STORED)";

/// Stream tables; those of `FULL` are evaluated by Postgres.
const VIEWS: &[(&str, &str)] = &[
    ("DIFFERENTIAL", "SELECT * FROM goods"),
    ("DIFFERENTIAL", "SELECT n, count(*) AS n1, min(r) AS least, sum(p) AS total FROM goods GROUP BY n"),
    (
        "DIFFERENTIAL",
        "SELECT id, n + 1 AS more, c || 'x' AS word, p * 2 AS twice, f::text AS name, l[1] AS first, upper(s) AS up, d -> 'a' AS a,
             m::text AS t, b || '|' AS padded, doubled - r AS less FROM goods",
    ),
    ("DIFFERENTIAL", "SELECT g.id, h.id AS other FROM goods g JOIN goods h ON h.r = g.n AND h.id < g.id"),
    ("DIFFERENTIAL", "SELECT id, coalesce(n, 7) AS a, nullif(n, 2) AS b, greatest(n, r) AS c, CASE WHEN plain > 0 THEN n ELSE r END AS e FROM goods"),
    ("DIFFERENTIAL", "SELECT n FROM goods UNION SELECT plain FROM goods"),
    ("DIFFERENTIAL", "SELECT DISTINCT f, c FROM goods"),
    ("DIFFERENTIAL", "SELECT l, s, count(*) AS n FROM goods GROUP BY l, s"),
    ("DIFFERENTIAL", "SELECT string_agg(c, ',' ORDER BY id) AS words, array_agg(p::numeric ORDER BY id) AS prices FROM goods"),
    ("FULL", "SELECT id, n, r, c, p, f, l, s, d, m, b FROM goods"),
];

const READS: &[&str] = &[
    "SELECT id, n, f, p FROM kept0 WHERE n = 2 OR p > 20 ORDER BY id",
    "SELECT max(r), min(c), count(DISTINCT f), sum(p) FROM kept0 WHERE r BETWEEN 2 AND 9",
    "SELECT id, lag(n) OVER (ORDER BY id), rank() OVER (PARTITION BY f ORDER BY p) FROM kept0",
    "SELECT l || 4, s @> 2, d ->> 'a', b = 'b1', m > '2024-01-01 00:00:10+00' FROM kept0",
    "SELECT f, count(*) FROM kept9 GROUP BY f",
    "SELECT to_jsonb(p), jsonb_build_object('n', n, 'l', l) FROM kept9",
];

fn row(id: i32, random: &mut StdRng) -> String {
    let n = if random.random_bool(0.2) { "NULL".to_owned() } else { random.random_range(1..6).to_string() };
    let size = ["small", "large", "huge"].choose(random).expect("not empty");
    let (a, b) = (random.random_range(0..3), random.random_range(1..6));
    format!(
        "({id}, {n}, {b}, 'c{a}', {b}.{a}5, '{size}', ARRAY[{a}, NULL, {b}], int4range({a}, {}), '{{\"a\": {a}}}', \
         timestamptz '2024-01-01' + {b} * interval '2.5 s', 'b{a}', {a}, ARRAY[{b}]::positive[])",
        a + b
    )
}

#[test]
fn domains_as_postgres_has_them() {
    let mut random = rng::seeded("domains");
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(TYPES);
    for (at, (mode, query)) in VIEWS.iter().enumerate() {
        pair.through.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => 'kept{at}', query => $q$ {query} $q$, schedule => '1s', refresh_mode => '{mode}')"
        ));
    }
    // An array of a domain is what only Postgres can show.
    let shown = |at: usize| match at {
        0 => "SELECT id, n, r, c, p, f, l, s, d, m, b, doubled FROM kept0".to_owned(),
        at => format!("SELECT * FROM kept{at}"),
    };
    pair.through.execute("SET weir.consistency = 'latest'");
    for at in 0..VIEWS.len() {
        pair.settled(&shown(at));
    }
    for round in 0..rng::rounds(4, 60) {
        let rows: Vec<String> = (0..8).map(|_| row(random.random_range(0..60), &mut random)).collect();
        for row in rows {
            pair.direct.execute(&format!(
                "INSERT INTO goods VALUES {row} ON CONFLICT (id) DO UPDATE SET n = excluded.r, f = excluded.f"
            ));
        }
        pair.direct.execute("DELETE FROM goods WHERE id % 7 = 3");
        if round == 1 {
            pair.direct.execute("ALTER DOMAIN price ADD CONSTRAINT small CHECK (VALUE < 100000)");
        }
        for at in 0..VIEWS.len() {
            pair.settled(&shown(at));
        }
        for sql in READS {
            pair.settled(sql);
        }
        compare(&mut pair.through, &mut pair.direct, "SELECT id, many FROM kept0", Order::Any).unwrap();
    }
    // Another type, and back: the tables are copied again.
    for change in ["ALTER TABLE extra ALTER n TYPE int", "ALTER TABLE extra ALTER n TYPE rank"] {
        if change.ends_with("int") {
            pair.direct.execute(
                "CREATE TABLE extra (id int PRIMARY KEY, n positive); INSERT INTO extra VALUES (1, 5), (2, NULL)",
            );
            pair.stream("of_extra", "SELECT id FROM extra WHERE n > 1");
        }
        pair.settled("SELECT * FROM of_extra");
        // The view stands in the way of a change of its column, as it does in Postgres.
        let refused = (pair.through.query(change).error, pair.direct.query(change).error);
        assert!(refused.0.is_some() && refused.0 == refused.1, "{change}: {refused:?}");
        pair.direct.execute("INSERT INTO extra VALUES (3, 9) ON CONFLICT (id) DO UPDATE SET n = 1");
        compare_from_memory(&mut pair.through, &mut pair.direct, "SELECT * FROM of_extra", Order::Any).unwrap();
    }
}
