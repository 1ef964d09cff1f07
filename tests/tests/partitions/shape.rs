//! The tables of the random test, its stream tables, and random statements over them. Names of leaves tell their range.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// Keys lie below this; a slot is a range of ten keys.
pub const KEYS: i32 = 100;
pub const SLOT: i32 = 10;

/// `facts` has no key. `facts_0` is read by a stream table of its own, `facts_20` has columns in another order and a dropped
/// one, `facts_40` is partitioned again (by name `deep`), and all else falls into the default partition.
pub const SETUP: &str = "
    CREATE TABLE facts (k int, g int NOT NULL, v int, note text, amount numeric(10,2)) PARTITION BY RANGE (k);
    CREATE TABLE facts_0 PARTITION OF facts FOR VALUES FROM (0) TO (10);
    CREATE TABLE facts_20 (gone int, note text, amount numeric(10,2), k int, v int, g int NOT NULL);
    ALTER TABLE facts_20 DROP COLUMN gone;
    INSERT INTO facts_20 SELECT 'early', 1.5, 20 + n, n, n % 4 FROM generate_series(0, 5) n;
    ALTER TABLE facts ATTACH PARTITION facts_20 FOR VALUES FROM (20) TO (30);
    CREATE TABLE deep PARTITION OF facts FOR VALUES FROM (40) TO (50) PARTITION BY LIST (g);
    CREATE TABLE deep_low PARTITION OF deep FOR VALUES IN (0, 1);
    CREATE TABLE deep_rest PARTITION OF deep DEFAULT;
    CREATE TABLE facts_default PARTITION OF facts DEFAULT;
    CREATE TABLE names (g int PRIMARY KEY, name text);
    INSERT INTO names SELECT n, 'group ' || n FROM generate_series(0, 4) n;
    CREATE TABLE keyed (id int, v int, twice int GENERATED ALWAYS AS (v * 2) STORED, PRIMARY KEY (id)) PARTITION BY HASH (id);
    CREATE TABLE keyed_0 PARTITION OF keyed FOR VALUES WITH (MODULUS 3, REMAINDER 0);
    CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES WITH (MODULUS 3, REMAINDER 1);
    CREATE TABLE keyed_2 PARTITION OF keyed FOR VALUES WITH (MODULUS 3, REMAINDER 2);
    INSERT INTO facts SELECT n * 7 % 100, n % 5, n, 'note ' || n % 3, n / 4.0 FROM generate_series(1, 60) n;
    INSERT INTO keyed SELECT n, n % 9 FROM generate_series(0, 40) n";

/// Name and definition.
pub const STREAMS: [(&str, &str); 5] = [
    ("by_group", "SELECT g, count(*) AS n, sum(v) AS total, max(amount) AS most FROM facts GROUP BY g"),
    ("named", "SELECT f.k, f.v, f.note, f.amount, n.name FROM facts f LEFT JOIN names n USING (g)"),
    ("one_leaf", "SELECT k, v, note FROM facts_0 WHERE v IS NOT NULL"),
    ("below", "SELECT g, count(*) AS n, sum(amount) AS amount FROM deep GROUP BY g"),
    (
        "beside",
        "SELECT d.id, d.twice, f.n FROM keyed d LEFT JOIN (SELECT k, count(*) AS n FROM facts GROUP BY k) f ON f.k = d.id",
    ),
];

/// A statement that writes rows: through a root, in the midst of the tree, or into a leaf. It may fail (a range that has no
/// partition at the moment, a leaf that is gone).
pub fn write(rng: &mut StdRng, merge: bool) -> String {
    let (k, g, v, n) =
        (rng.random_range(0..KEYS), rng.random_range(0..5), rng.random_range(-50..50), rng.random_range(1..6));
    let table = ["facts", "facts", "facts", "facts_0", "facts_20", "deep", "deep_low", "deep_rest", "facts_default"]
        .choose(rng)
        .copied()
        .unwrap_or("facts");
    let note = rng.random_range(0..4);
    match rng.random_range(0..14) {
        0..3 => format!(
            "INSERT INTO facts (k, g, v, note, amount) SELECT ({k} + i * 13) % {KEYS}, {g}, {v} + i, 'note {note}', i / 3.0 \
             FROM generate_series(1, {n}) i"
        ),
        3 => format!("INSERT INTO facts_0 (k, g, v, note) VALUES ({}, {g}, {v}, NULL)", k % SLOT),
        4 => format!("INSERT INTO facts_20 (k, g, v, note) VALUES ({}, {g}, {v}, 'leaf')", 20 + k % SLOT),
        5 => format!("INSERT INTO deep (k, g, v, amount) VALUES ({}, {g}, {v}, {v} / 7.0)", 40 + k % SLOT),
        6 => format!("UPDATE facts SET k = (k + {}) % {KEYS} WHERE k % 7 = {}", rng.random_range(1..60), k % 7),
        7 => format!("UPDATE deep SET g = {g}, v = v + 1 WHERE v % 3 = {}", k % 3),
        8 => format!("UPDATE {table} SET v = v + {v}, note = 'changed {note}' WHERE k % 5 = {}", k % 5),
        9 => format!("DELETE FROM {table} WHERE k % 6 = {} AND v % 2 = {}", k % 6, n % 2),
        10 | 11 => write_keyed(rng, k, v, n, merge),
        12 => format!("UPDATE keyed SET id = id + 1000 * {} WHERE id % 11 = {}", n - 3, k % 11),
        _ => format!("UPDATE names SET name = name || '{note}' WHERE g = {g}"),
    }
}

/// A statement that writes some rows of `keyed`, in one of three ways.
pub fn write_keyed(rng: &mut StdRng, k: i32, v: i32, n: i32, merge: bool) -> String {
    match rng.random_range(0..2) {
        0 => format!(
            "INSERT INTO keyed VALUES ({k}, {v}), ({}, {v}) ON CONFLICT (id) DO UPDATE SET v = keyed.v + excluded.v",
            k + 1
        ),
        _ if merge => format!(
            "MERGE INTO keyed d USING (SELECT {k} + i AS id FROM generate_series(0, {n}) i) s ON d.id = s.id \
             WHEN MATCHED AND d.v < 0 THEN DELETE WHEN MATCHED THEN UPDATE SET v = d.v - 3 \
             WHEN NOT MATCHED THEN INSERT (id, v) VALUES (s.id, {v})"
        ),
        _ => format!("DELETE FROM keyed WHERE id BETWEEN {k} AND {k} + {n}"),
    }
}

/// Statements, run one by one, that change which partitions there are, or empty them. Each may fail.
pub fn change(rng: &mut StdRng) -> Vec<String> {
    let slot = rng.random_range(5..10) * SLOT;
    let (leaf, bounds) = (format!("facts_{slot}"), format!("FOR VALUES FROM ({slot}) TO ({})", slot + SLOT));
    // Rows of the range lie in the default partition until there is a leaf.
    let room = format!("DELETE FROM facts_default WHERE k >= {slot} AND k < {}", slot + SLOT);
    let rows = format!("SELECT {slot} + i, i % 5, i, 'new', i FROM generate_series(0, 3) i");
    let one = |text: String| vec![text];
    match rng.random_range(0..15) {
        0 | 1 => one(format!("BEGIN; {room}; CREATE TABLE {leaf} PARTITION OF facts {bounds}; COMMIT")),
        2 => one(format!(
            "BEGIN; {room}; CREATE TABLE {leaf} PARTITION OF facts {bounds}; INSERT INTO {leaf} {rows}; \
             UPDATE facts SET v = v + 1 WHERE k = {slot}; COMMIT"
        )),
        // Another order, a dropped column, rows from before.
        3 | 4 => one(format!(
            "BEGIN; {room}; CREATE TABLE {leaf} (note text, gone int, v int, amount numeric(10,2), g int NOT NULL, k int); \
             INSERT INTO {leaf} (k, g, v, note, amount) {rows}; ALTER TABLE {leaf} DROP COLUMN gone; \
             ALTER TABLE facts ATTACH PARTITION {leaf} {bounds}; COMMIT"
        )),
        5 => one(format!(
            "BEGIN; {room}; CREATE TABLE {leaf} PARTITION OF facts {bounds} PARTITION BY LIST (g); \
             CREATE TABLE {leaf}_any PARTITION OF {leaf} DEFAULT; INSERT INTO facts {rows}; COMMIT"
        )),
        6 | 7 => one(format!("DROP TABLE {leaf}")),
        8 => vec![
            format!("ALTER TABLE facts DETACH PARTITION {leaf}"),
            format!("DELETE FROM {leaf} WHERE v = 1"),
            format!("INSERT INTO {leaf} (k, g, v) VALUES ({slot}, 2, 99)"),
            format!("BEGIN; {room}; ALTER TABLE facts ATTACH PARTITION {leaf} {bounds}; COMMIT"),
        ],
        9 => vec![
            "ALTER TABLE facts DETACH PARTITION facts_0".into(),
            "INSERT INTO facts_0 (k, g, v) VALUES (3, 3, 3)".into(),
            "BEGIN; DELETE FROM facts_default WHERE k < 10; ALTER TABLE facts ATTACH PARTITION facts_0 FOR VALUES FROM (0) TO (10); COMMIT".into(),
        ],
        10 => vec![
            "BEGIN; ALTER TABLE facts DETACH PARTITION deep; UPDATE deep SET v = 0 WHERE v < 0; COMMIT".into(),
            "INSERT INTO deep (k, g, v) VALUES (44, 1, 1), (44, 4, 1)".into(),
            "BEGIN; DELETE FROM facts_default WHERE k BETWEEN 40 AND 49; ALTER TABLE facts ATTACH PARTITION deep FOR VALUES FROM (40) TO (50); COMMIT".into(),
        ],
        11 => one(format!("TRUNCATE {}", ["facts_0", "facts_20", "deep", "deep_low", "facts_default", &leaf][rng.random_range(0..6)])),
        12 => one(["TRUNCATE facts", "TRUNCATE keyed, facts_0", "BEGIN; TRUNCATE deep; INSERT INTO deep (k, g, v) VALUES (41, 0, 5); COMMIT"]
            [rng.random_range(0..3)]
        .into()),
        13 => vec![
            "ALTER TABLE facts ADD COLUMN more int DEFAULT 7".into(),
            "INSERT INTO facts (k, g, v, more) VALUES (1, 1, 1, 1)".into(),
            "ALTER TABLE facts DROP COLUMN more".into(),
        ],
        _ => one(format!("BEGIN; DROP TABLE IF EXISTS {leaf}; INSERT INTO facts {rows}; ROLLBACK")),
    }
}
