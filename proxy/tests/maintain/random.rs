//! Stream tables come and go over tables that are written: whatever memory answers, whenever it is asked, is what Postgres
//! says. `WEIR_TEST_SEED` replays a run; `WEIR_TEST_KEEP=nothing` has all base tables let go.

use crate::rig::{Rig, run};
use rand::Rng;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use tokio_postgres::SimpleQueryMessage;
use weir_planner::{Row, Value};
use weir_proxy::registry::State;
use weir_tests::rng;

const TABLES: usize = 3;
const MOST_STREAM_TABLES: usize = 7;

/// `{t}` and `{u}` are base tables, `{s}` is a stream table with columns g and n, or a base table. The last ones look rows up by
/// key: what they read is kept.
const SHAPES: [&str; 12] = [
    "SELECT id, g, n FROM {t} WHERE n > 3",
    "SELECT g, count(*) AS n FROM {s} GROUP BY g",
    "SELECT g, sum(n) AS n FROM {t} WHERE g <> 2 GROUP BY g",
    "SELECT DISTINCT g, n FROM {t}",
    "SELECT g, n FROM {s} WHERE n % 2 = 0",
    "SELECT g, n FROM {t} ORDER BY n DESC, id LIMIT 3",
    "SELECT g, row_number() OVER (PARTITION BY g ORDER BY n, id) AS n FROM {t}",
    "SELECT g, n FROM {t} UNION ALL SELECT g, n FROM {s}",
    "SELECT g, n FROM {s} WHERE 10 / (n - 11) < 2",
    "SELECT max(g) AS g, min(n) AS n FROM {s}",
    "SELECT t.g, u.n FROM {t} t JOIN {u} u ON u.g = t.g",
    "SELECT t.g, t.n FROM {t} t WHERE NOT EXISTS (SELECT FROM {s} s WHERE s.g = t.g)",
];
const LOOKING_UP: usize = 2;

struct Walk {
    random: StdRng,
    rig: Rig,
    /// Stream tables, what each reads of the others.
    streams: BTreeMap<String, Option<String>>,
    made: usize,
    /// How many of the shapes occur.
    shapes: usize,
    answered: usize,
    withheld: usize,
}

impl Walk {
    fn base(&mut self) -> String {
        format!("base_{}", self.random.random_range(0..TABLES))
    }

    fn any_stream(&mut self) -> Option<String> {
        let at = self.random.random_range(0..self.streams.len().max(1));
        self.streams.keys().nth(at).cloned()
    }

    fn write(&mut self) -> String {
        let (table, n, g) = (self.base(), self.random.random_range(0..9), self.random.random_range(0..5));
        let id = self.random.random_range(0..60);
        match self.random.random_range(0..14) {
            0 => format!("TRUNCATE {table}"),
            1..=5 => format!("INSERT INTO {table} VALUES ({id}, {g}, {n}) ON CONFLICT (id) DO UPDATE SET n = {n}"),
            6 | 7 => format!("UPDATE {table} SET n = n + 1 WHERE g = {g}"),
            8 | 9 => format!("UPDATE {table} SET g = {g} WHERE id % 7 = {n}"),
            10 => format!("DELETE FROM {table} WHERE n > 6 AND g = {g}"),
            11 => format!(
                "INSERT INTO {table} SELECT i, i % 5, i % 9 FROM generate_series({id}, {id} + 9) i ON CONFLICT DO NOTHING"
            ),
            _ => format!("DELETE FROM {table} WHERE id = {id}"),
        }
    }

    fn transaction(&mut self) -> String {
        let mut statements = vec!["BEGIN".to_owned()];
        for _ in 0..self.random.random_range(2..5) {
            statements.push(self.write());
        }
        if self.random.random_bool(0.2) {
            statements.extend(["SAVEPOINT s".into(), self.write(), "ROLLBACK TO s".into()]);
        }
        statements.push(if self.random.random_bool(0.15) { "ROLLBACK" } else { "COMMIT" }.to_owned());
        statements.join("; ")
    }

    /// A definition, and the stream table that it reads.
    fn definition(&mut self) -> (String, Option<String>) {
        let shape = SHAPES[self.random.random_range(0..self.shapes)];
        let below = if self.random.random_bool(0.6) && shape.contains("{s}") { self.any_stream() } else { None };
        let source = below.clone().unwrap_or_else(|| self.base());
        (shape.replace("{t}", &self.base()).replace("{u}", &self.base()).replace("{s}", &source), below)
    }

    async fn create(&mut self) {
        let name = format!("stream_{}", self.made);
        self.made += 1;
        let (query, below) = self.definition();
        self.rig.sql(&format!("SELECT pgtrickle.create_stream_table('{name}', $q${query}$q$, '1s')")).await;
        self.streams.insert(name, below);
    }

    async fn drop(&mut self) {
        let Some(name) = self.any_stream() else { return };
        if !self.streams.values().any(|below| below.as_ref() == Some(&name)) {
            self.rig.sql(&format!("SELECT pgtrickle.drop_stream_table('{name}')")).await;
            self.streams.remove(&name);
        }
    }

    async fn pause(&mut self) {
        let Some(name) = self.any_stream() else { return };
        self.rig.sql(&format!("SELECT pgtrickle.pause_stream_table('{name}')")).await;
        self.compare().await;
        let write = self.write();
        self.rig.sql(&write).await;
        self.rig.sql(&format!("SELECT pgtrickle.resume_stream_table('{name}')")).await;
    }

    /// Nobody writes meanwhile: what memory answers must be what Postgres does.
    async fn compare(&mut self) {
        let names: Vec<String> = self.streams.keys().cloned().collect();
        for name in names {
            let Some(id) = self.rig.table(&name).map(|table| table.id) else { continue };
            // An error of a row (a division by zero) is raised by Postgres, and memory does not answer.
            let theirs = self.rig.client.simple_query(&format!("SELECT g::text, n::text FROM {name}")).await.ok();
            let ours = self.rig.services.maintenance.pull(&[id], self.rig.now().await, PULL).await;
            let in_error = self.rig.services.published.is_in_error(id);
            match (ours, theirs) {
                (Ok(snapshot), Some(theirs)) if !in_error => {
                    self.answered += 1;
                    let mut ours = Vec::new();
                    snapshot.tables[&id].for_each(&mut |row, weight| {
                        ours.extend(std::iter::repeat_n(text_of(row), weight as usize));
                    });
                    let mut theirs: Vec<String> = theirs.iter().filter_map(text_of_message).collect();
                    ours.sort_unstable();
                    theirs.sort_unstable();
                    assert_eq!(ours, theirs, "{name}");
                }
                _ => self.withheld += 1,
            }
        }
    }

    /// Everything comes to be in memory.
    async fn settle(&mut self) {
        self.rig.settle().await;
        for name in self.streams.keys() {
            let is_live = async || self.rig.state(name) == Some(State::Live);
            self.rig.until(&format!("{name} is live"), is_live).await;
        }
        self.compare().await;
    }
}

/// A read that is not right at once waits for so long.
const PULL: std::time::Duration = std::time::Duration::from_secs(10);

/// The last two columns: g and n.
fn text_of(row: &Row) -> String {
    let text = |value: &Value| match value {
        Value::Int4(number) => number.to_string(),
        Value::Int8(number) => number.to_string(),
        Value::Numeric(number) => number.to_string(),
        Value::Null => "NULL".to_owned(),
        other => panic!("a value of no type of this test: {other:?}"),
    };
    row[row.len() - 2..].iter().map(text).collect::<Vec<_>>().join(" ")
}

fn text_of_message(message: &SimpleQueryMessage) -> Option<String> {
    let SimpleQueryMessage::Row(row) = message else { return None };
    Some([0, 1].map(|column| row.get(column).unwrap_or("NULL")).join(" "))
}

#[test]
fn stream_tables_come_and_go_following_the_log() {
    run(async {
        let mut random = rng::seeded("stream_tables_come_and_go_following_the_log");
        let shapes = if random.random_bool(0.5) { SHAPES.len() } else { SHAPES.len() - LOOKING_UP };
        let rig = Rig::start().await;
        let mut walk = Walk { random, rig, streams: BTreeMap::new(), made: 0, shapes, answered: 0, withheld: 0 };
        for table in 0..TABLES {
            let key = if table == 0 { "id int, UNIQUE (id)" } else { "id int PRIMARY KEY" };
            let sql = format!(
                "CREATE TABLE base_{table} ({key}, g int, n int); \
                 INSERT INTO base_{table} SELECT i, i % 5, i % 9 FROM generate_series(0, 30) i"
            );
            walk.rig.sql(&sql).await;
        }
        for _ in 0..rng::rounds(120, 400) {
            match walk.random.random_range(0..20) {
                0..=2 if walk.streams.len() < MOST_STREAM_TABLES => walk.create().await,
                3 => walk.drop().await,
                4 => walk.pause().await,
                5..=7 => walk.settle().await,
                8..=10 => {
                    let transaction = walk.transaction();
                    walk.rig.sql(&transaction).await;
                }
                11..=16 => {
                    let write = walk.write();
                    walk.rig.sql(&write).await;
                }
                _ => walk.compare().await,
            }
        }
        walk.settle().await;
        let let_go = walk.rig.services.metrics.tables_let_go.load(std::sync::atomic::Ordering::Relaxed);
        eprintln!("{} answers equal, {} withheld, {let_go} tables let go", walk.answered, walk.withheld);
        assert!(walk.answered > 3 * walk.streams.len(), "{} answers", walk.answered);
    });
}
