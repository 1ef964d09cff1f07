//! Errors of rows that nobody sees: Postgres raises them where it computes a subquery as it stands, and so it answers while
//! they are there. When they have gone, memory answers again.

use std::time::{Duration, Instant};
use weir_tests::oracle::{Order, compare, compare_from_memory};
use weir_tests::postgres::TestServer;
use weir_tests::weir::TestWeir;
use weir_tests::wire::RawClient;

/// What is waited for comes within this time, or never.
const PATIENCE: Duration = Duration::from_secs(20);

const TABLES: &str = "CREATE TABLE event (id int PRIMARY KEY, grp int NOT NULL, name text, amount bigint NOT NULL);
     CREATE TABLE grp (id int PRIMARY KEY, label text);
     INSERT INTO event VALUES (1, 1, 'a', 1), (2, 1, 'b', 2), (3, 2, 'c', 3), (4, 2, 'd', 4), (5, 3, 'e', 5);
     INSERT INTO grp VALUES (1, 'one'), (2, 'two')";

/// What makes group 3 fail, which no row of `grp` matches, and what takes that back.
const FAILURES: [(&str, &str); 2] = [
    ("UPDATE event SET name = NULL WHERE id = 5", "UPDATE event SET name = 'e' WHERE id = 5"),
    (
        "INSERT INTO event VALUES (6, 3, 'f', 9223372036854775807), (7, 3, 'g', 9223372036854775807)",
        "DELETE FROM event WHERE id > 5",
    ),
];

/// Definitions, by name. Group 3 of each is dropped by a join, a condition, a limit or a grouping.
const STREAM_TABLES: [(&str, &str); 9] = [
    (
        "outer_join",
        "SELECT g.label, e.names FROM grp g LEFT JOIN (SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp) e ON e.grp = g.id",
    ),
    (
        "inner_join",
        "SELECT g.label, e.total FROM grp g JOIN (SELECT grp, sum((amount * 2)::int) AS total FROM event GROUP BY grp) e ON e.grp = g.id",
    ),
    (
        "projected",
        "SELECT g.label, e.share FROM grp g JOIN (SELECT grp, 10 / sum((amount - 7)::int) AS share FROM event GROUP BY grp) e ON e.grp = g.id",
    ),
    ("of_two", "SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp HAVING count(*) = 2"),
    (
        "semi_join",
        "SELECT e.grp, e.names FROM (SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp) e WHERE EXISTS (SELECT FROM grp g WHERE g.id = e.grp)",
    ),
    ("limited", "SELECT grp, jsonb_object_agg(name, amount) AS names FROM event GROUP BY grp ORDER BY grp LIMIT 2"),
    (
        "windowed",
        "SELECT g.label, w.running FROM (SELECT grp, id, sum((amount + 1)::int) OVER (PARTITION BY grp ORDER BY id) AS running FROM event) w JOIN grp g ON g.id = w.grp",
    ),
    (
        "optional",
        "SELECT g.label, e.half FROM grp g LEFT JOIN (SELECT grp, CASE WHEN amount > 5 THEN (amount + 1)::int ELSE 0 END AS half FROM event) e ON e.grp = g.id",
    ),
    (
        "unseen_by_filter",
        "SELECT sum(hashed.n) FILTER (WHERE hashed.grp < 3) AS n FROM (SELECT grp, sum(amount::int) AS n FROM event GROUP BY grp) hashed",
    ),
];

/// Over `by_group`, a stream table whose group 3 fails.
const READS: [&str; 6] = [
    "SELECT * FROM by_group",
    "SELECT g.label, b.names FROM grouped g JOIN by_group b ON b.grp = g.id",
    "SELECT g.label, b.names FROM grouped g LEFT JOIN by_group b ON b.grp = g.id",
    "SELECT names, n FROM by_group WHERE n = 2",
    "SELECT names FROM by_group WHERE grp = 1",
    "SELECT names FROM by_group ORDER BY grp LIMIT 1",
];

struct Ground {
    _server: TestServer,
    weir: TestWeir,
    app: RawClient,
    direct: RawClient,
}

impl Ground {
    fn new() -> Ground {
        let server = TestServer::start();
        let weir = TestWeir::start(&server);
        let mut app = RawClient::superuser(&weir.address());
        let direct = RawClient::superuser(&server.address());
        app.execute(TABLES);
        app.execute("SET weir.consistency = 'latest'");
        Ground { _server: server, weir, app, direct }
    }

    fn stream(&mut self, name: &str, query: &str) {
        self.app.execute(&format!(
            "SELECT pgtrickle.create_stream_table(name => '{name}', query => $weir$ {query} $weir$, \
             schedule => '1s', refresh_mode => 'DIFFERENTIAL')"
        ));
        self.weir.wait_until_live(&[name]);
    }

    /// Reads from memory while nothing fails, as Postgres answers while something does, and from memory again.
    fn compare_through_failures(&mut self, reads: &[String]) {
        let mut raised = vec![false; reads.len()];
        for (fail, heal) in FAILURES {
            self.all_from_memory(reads);
            self.app.execute(fail);
            for (sql, raised) in reads.iter().zip(&mut raised) {
                self.equals_postgres(sql, fail);
                *raised |= self.direct.query(sql).error.is_some();
            }
            self.app.execute(heal);
        }
        self.all_from_memory(reads);
        let quiet: Vec<&String> = reads.iter().zip(raised).filter(|(_, raised)| !raised).map(|(sql, _)| sql).collect();
        let expected: Vec<&String> = reads.iter().filter(|sql| sql.contains("grp = 1")).collect();
        assert_eq!(quiet, expected, "raised nowhere in Postgres");
    }

    /// Once the statement's analysis is over: until then Postgres answers whatever memory would say.
    fn equals_postgres(&mut self, sql: &str, change: &str) {
        let started = Instant::now();
        loop {
            if let Err(difference) = compare(&mut self.app, &mut self.direct, sql, Order::Any) {
                panic!("after {change}: {difference}");
            }
            if !self.app.last_route().contains("analysis") {
                return;
            }
            assert!(started.elapsed() < PATIENCE, "{sql} is being analysed for ever");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A table comes back into service with its next refresh.
    fn all_from_memory(&mut self, reads: &[String]) {
        let started = Instant::now();
        for sql in reads {
            while let Err(difference) = compare_from_memory(&mut self.app, &mut self.direct, sql, Order::Any) {
                assert!(started.elapsed() < PATIENCE, "{difference}");
                std::thread::sleep(Duration::from_millis(50));
            }
        }
    }
}

#[test]
fn of_stream_tables_are_raised_while_they_are_there() {
    let mut ground = Ground::new();
    for (name, query) in STREAM_TABLES {
        ground.stream(name, query);
    }
    let reads: Vec<String> = STREAM_TABLES.iter().map(|(name, _)| format!("SELECT * FROM {name}")).collect();
    ground.compare_through_failures(&reads);
}

#[test]
fn of_what_a_read_drops_are_raised_while_they_are_there() {
    let mut ground = Ground::new();
    ground.stream("by_group", "SELECT grp, jsonb_object_agg(name, amount) AS names, sum(amount::int) AS total, count(*) AS n FROM event GROUP BY grp");
    ground.stream("grouped", "SELECT id, label FROM grp");
    ground.compare_through_failures(&READS.map(str::to_owned));
}
