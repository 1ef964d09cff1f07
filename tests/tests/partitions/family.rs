//! The tables of the random test that inherit, its stream tables, and random statements over them.

use crate::shape::write_keyed;
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// `folk` has heirs of every kind: with its columns alone, with more, in another order, with a dropped one; heirs of heirs, of two
/// tables, and of two heirs of the same.
pub const SETUP: &str = "
    CREATE TABLE folk (k int, g int NOT NULL, v int, note text, amount numeric(10,2));
    CREATE TABLE sons () INHERITS (folk);
    CREATE TABLE daughters (extra text DEFAULT 'more', amount numeric(10,2), v int) INHERITS (folk);
    CREATE TABLE adopted (gone int, note text, amount numeric(10,2), k int, own int, v int, g int NOT NULL);
    ALTER TABLE adopted DROP COLUMN gone;
    INSERT INTO adopted (note, amount, k, v, g) SELECT 'early', 1.5, 20 + n, n, n % 4 FROM generate_series(0, 5) n;
    ALTER TABLE adopted INHERIT folk;
    CREATE TABLE grandsons (last int) INHERITS (sons);
    CREATE TABLE guests (k int, w int);
    CREATE TABLE of_both () INHERITS (guests, sons);
    CREATE TABLE twice_over () INHERITS (sons, daughters);
    CREATE TABLE names (g int PRIMARY KEY, name text);
    INSERT INTO names SELECT n, 'group ' || n FROM generate_series(0, 4) n;
    CREATE TABLE keyed (id int PRIMARY KEY, v int, twice int GENERATED ALWAYS AS (v * 2) STORED);
    CREATE TABLE keyless () INHERITS (keyed);
    INSERT INTO folk SELECT n * 7 % 100, n % 5, n, 'note ' || n % 3, n / 4.0 FROM generate_series(1, 30) n;
    INSERT INTO twice_over (k, g, v) SELECT n, n % 5, n FROM generate_series(1, 10) n;
    INSERT INTO of_both (k, g, v, w) SELECT n, n % 5, n, n * n FROM generate_series(1, 10) n;
    INSERT INTO guests SELECT n, n FROM generate_series(1, 10) n;
    INSERT INTO keyed (id, v) SELECT n, n % 9 FROM generate_series(0, 20) n;
    INSERT INTO keyless (id, v) SELECT n, n % 7 FROM generate_series(10, 30) n";

/// Name and definition.
pub const STREAMS: [(&str, &str); 7] = [
    ("by_group", "SELECT g, count(*) AS n, sum(v) AS total, max(amount) AS most FROM folk GROUP BY g"),
    ("named", "SELECT f.k, f.v, f.note, f.amount, n.name FROM folk f LEFT JOIN names n USING (g)"),
    ("alone", "SELECT k, v, note FROM ONLY folk WHERE v IS NOT NULL"),
    ("below", "SELECT g, count(*) AS n, sum(amount) AS amount FROM sons GROUP BY g"),
    ("of_two", "SELECT g.k, count(*) AS n, sum(g.w) AS w FROM guests g JOIN ONLY sons s ON s.k = g.k GROUP BY g.k"),
    (
        "an_heir",
        "SELECT g, string_agg(extra, ',' ORDER BY extra) AS extras, min(own) AS least FROM daughters LEFT JOIN adopted USING (g) GROUP BY g",
    ),
    (
        "beside",
        "SELECT d.id, d.twice, f.n FROM keyed d LEFT JOIN (SELECT k, count(*) AS n FROM folk GROUP BY k) f ON f.k = d.id",
    ),
];

const TABLES: [&str; 11] = [
    "folk",
    "folk",
    "ONLY folk",
    "sons",
    "ONLY sons",
    "daughters",
    "adopted",
    "grandsons",
    "of_both",
    "twice_over",
    "ONLY daughters",
];

/// A statement that writes rows: through whom they inherit from, or into one table alone. It may fail (a table that is gone).
pub fn write(rng: &mut StdRng, merge: bool) -> String {
    let (k, g, v, n) =
        (rng.random_range(0..100), rng.random_range(0..5), rng.random_range(-50..50), rng.random_range(1..6));
    let table = TABLES.choose(rng).copied().unwrap_or("folk");
    let alone = table.trim_start_matches("ONLY ");
    let note = rng.random_range(0..4);
    match rng.random_range(0..14) {
        0..4 => format!(
            "INSERT INTO {alone} (k, g, v, note, amount) SELECT ({k} + i * 13) % 100, {g}, {v} + i, 'note {note}', i / 3.0 \
             FROM generate_series(1, {n}) i"
        ),
        4 => format!("INSERT INTO guests VALUES ({k}, {v}), ({k}, NULL)"),
        5 => format!("UPDATE guests SET w = w + {v} WHERE k % 3 = {}", k % 3),
        6 | 7 => format!("UPDATE {table} SET v = v + {v}, note = 'changed {note}', g = {g} WHERE k % 5 = {}", k % 5),
        8 => format!("UPDATE {table} SET k = (k + {}) % 100 WHERE k % 7 = {}", rng.random_range(1..60), k % 7),
        9 => format!("DELETE FROM {table} WHERE k % 6 = {} AND v % 2 = {}", k % 6, n % 2),
        10 | 11 => write_keyed(rng, k, v, n, merge),
        12 => format!("INSERT INTO keyless (id, v) VALUES ({k}, {v}), ({k}, {v})"),
        _ => format!("UPDATE names SET name = name || '{note}' WHERE g = {g}"),
    }
}

/// Statements, run one by one, that change who inherits from whom, or empty tables. Each may fail.
pub fn change(rng: &mut StdRng) -> Vec<String> {
    let heir = format!("heir_{}", rng.random_range(0..4));
    let parent = *["folk", "sons", "daughters", "keyed"].choose(rng).expect("not empty");
    let (columns, rows) = if parent == "keyed" {
        ("id, v", "SELECT i * 9, i FROM generate_series(0, 3) i")
    } else {
        ("k, g, v, note, amount", "SELECT i * 11, i % 5, i, 'new', i FROM generate_series(0, 3) i")
    };
    let one = |text: String| vec![text];
    match rng.random_range(0..16) {
        0 | 1 => one(format!("CREATE TABLE {heir} () INHERITS ({parent})")),
        2 => one(format!(
            "BEGIN; CREATE TABLE {heir} (more int) INHERITS ({parent}); INSERT INTO {heir} ({columns}) {rows}; \
             UPDATE {parent} SET v = v + 1 WHERE v = 2; COMMIT"
        )),
        // Another order, a dropped column, rows from before.
        3 | 4 => one(format!(
            "BEGIN; CREATE TABLE {heir} (note text, extra text, gone int, v int, amount numeric(10,2), g int NOT NULL, k int); \
             INSERT INTO {heir} (k, g, v, note, amount) {rows}; ALTER TABLE {heir} DROP COLUMN gone; \
             ALTER TABLE {heir} INHERIT {parent}; COMMIT"
        )),
        5 | 6 => one(format!("DROP TABLE {heir}")),
        7 => vec![
            format!("ALTER TABLE {heir} NO INHERIT {parent}"),
            format!("DELETE FROM {heir} WHERE v = 1"),
            format!("INSERT INTO {heir} ({columns}) {rows}"),
            format!("ALTER TABLE {heir} INHERIT {parent}"),
        ],
        8 => vec![
            "ALTER TABLE adopted NO INHERIT folk".into(),
            "INSERT INTO adopted (k, g, v) VALUES (3, 3, 3)".into(),
            "ALTER TABLE adopted INHERIT folk".into(),
        ],
        // From one to the other, and both are read.
        9 => one("BEGIN; ALTER TABLE adopted NO INHERIT folk; ALTER TABLE adopted INHERIT sons; COMMIT".into()),
        10 => one("BEGIN; ALTER TABLE adopted NO INHERIT sons; UPDATE adopted SET v = 0 WHERE v < 0; ALTER TABLE adopted INHERIT folk; COMMIT".into()),
        11 => one("BEGIN; ALTER TABLE sons NO INHERIT folk; UPDATE sons SET v = v + 1 WHERE g = 1; ALTER TABLE sons INHERIT folk; COMMIT".into()),
        12 => one(format!("TRUNCATE {}", TABLES.choose(rng).copied().unwrap_or("folk"))),
        13 => one(["TRUNCATE keyed, ONLY sons", "BEGIN; TRUNCATE folk; INSERT INTO twice_over (k, g, v) VALUES (41, 0, 5); COMMIT"]
            [rng.random_range(0..2)]
        .into()),
        14 => vec![
            "ALTER TABLE folk ADD COLUMN added int DEFAULT 7".into(),
            "INSERT INTO sons (k, g, v, added) VALUES (1, 1, 1, 1)".into(),
            "ALTER TABLE folk DROP COLUMN added".into(),
        ],
        _ => one(format!("BEGIN; DROP TABLE IF EXISTS {heir}; INSERT INTO folk (k, g, v, note, amount) SELECT 1, 1, 1, 'x', 1; ROLLBACK")),
    }
}
