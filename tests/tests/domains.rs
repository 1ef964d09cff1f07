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

/// Casts to domains: what a constraint does not take is an error in every row that asks for it, and heals; constraints come and go.
#[test]
fn casts_are_checked() {
    let server = TestServer::start();
    let weir = TestWeir::start(&server);
    let mut pair = Pair::superuser(&server, &weir);
    pair.direct.execute(
        "CREATE TYPE size AS ENUM ('small', 'large'); \
         CREATE DOMAIN positive AS int CHECK (VALUE > 0); CREATE DOMAIN even AS positive CONSTRAINT of_two CHECK (VALUE % 2 = 0); \
         CREATE DOMAIN code AS varchar(5) CHECK (VALUE ~ '^[a-z]+$' AND length(VALUE) > 1); CREATE DOMAIN present AS int NOT NULL; \
         CREATE DOMAIN price AS numeric(8,2) CHECK (VALUE BETWEEN 0 AND 1000); CREATE DOMAIN any_text AS text; \
         CREATE DOMAIN fit AS size CHECK (VALUE >= 'small'); \
         CREATE TABLE raw (id int PRIMARY KEY, n int, t text, p numeric, f size); \
         INSERT INTO raw SELECT i, i * 2, repeat('ab', i), i * 1.005, 'large' FROM generate_series(1, 3) i",
    );
    let definitions = [
        "SELECT id, n::even AS e, (n + 1)::positive AS p FROM raw",
        "SELECT id, t::code AS c, t::any_text || '!' AS a, length(t::code) AS l FROM raw",
        "SELECT id, CASE WHEN n > 0 THEN n::even ELSE -1 END AS guarded, p::price AS p, p::price * 2 AS q, f::fit AS f FROM raw",
        "SELECT n::present AS n, count(*) AS c FROM raw GROUP BY 1",
        "SELECT id FROM raw WHERE (n::positive)::text LIKE '%4%'",
    ];
    pair.stream("kept", "SELECT * FROM raw");
    for (at, definition) in definitions.iter().enumerate() {
        pair.stream(&format!("cast{at}"), definition);
    }
    pair.through.execute("SET weir.consistency = 'latest'");
    let reads: Vec<String> = (0..definitions.len())
        .map(|at| format!("SELECT * FROM cast{at}"))
        .chain(definitions.iter().map(|definition| definition.replace("FROM raw", "FROM kept")))
        .chain(["SELECT id, $1::int::even FROM kept".replace("$1", "6")])
        .collect();
    let check = |pair: &mut Pair, what: &str| {
        for read in &reads {
            // With an error, Postgres answers; where there is none, memory.
            let (through, direct) = (pair.through.query(read), pair.direct.query(read));
            assert_eq!(
                through.error.as_ref().map(|error| (&error.code, &error.message)),
                direct.error.as_ref().map(|error| (&error.code, &error.message)),
                "{what}: {read}"
            );
            if direct.error.is_none() {
                pair.settled(read);
            }
        }
    };
    check(&mut pair, "at the start");
    for change in [
        "INSERT INTO raw VALUES (4, 3, 'abc', 5, 'small')",
        "UPDATE raw SET n = -4 WHERE id = 4",
        "UPDATE raw SET n = NULL, t = 'A1' WHERE id = 4",
        "UPDATE raw SET n = 8, t = NULL, p = 1000.004 WHERE id = 4",
        "UPDATE raw SET p = 1000.005, f = NULL WHERE id = 4",
        "DELETE FROM raw WHERE id = 4",
        "ALTER DOMAIN positive ADD CONSTRAINT little CHECK (VALUE < 6) NOT VALID",
        "ALTER DOMAIN positive DROP CONSTRAINT little",
        "ALTER DOMAIN even DROP CONSTRAINT of_two; ALTER DOMAIN even ADD CONSTRAINT of_four CHECK (VALUE % 4 = 0) NOT VALID",
        "ALTER DOMAIN even DROP CONSTRAINT of_four",
        "ALTER DOMAIN code SET NOT NULL; UPDATE raw SET t = NULL WHERE id = 1",
        "ALTER DOMAIN code DROP NOT NULL",
    ] {
        // Also through Weir, that its own session knows of it.
        let through = change.starts_with("ALTER");
        if through {
            pair.through.execute(change)
        } else {
            pair.direct.execute(change)
        };
        if !through && change.starts_with("CREATE") {
            std::thread::sleep(std::time::Duration::from_millis(500));
        }
        check(&mut pair, change);
    }
}
